"""What single words and short phrases hint at. Entries are compared by stem, so "cough" also finds "coughing".

The lists are ours, written for everyday consultation talk in English; nothing was copied or trained.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, auto
from functools import lru_cache
from typing import Final

from pipeline.notes.english.drugs import is_drug
from pipeline.notes.english.vocabulary import phrase_set, word_set
from pipeline.notes.english.wording import WORDS_KEPT, stem


class Cue(IntEnum):
    """A kind of hint."""

    SYMPTOM = auto()
    BODY = auto()
    COURSE = auto()  # onset, severity, what makes it better or worse
    CONDITION = auto()  # a named disease
    TIME = auto()
    INTRODUCTION = auto()  # "58 year old", "presents with"
    RECALL = auto()  # "you mentioned", "the patient reports"
    KIN = auto()
    FAMILY = auto()
    SOCIAL = auto()
    SURGERY = auto()
    OBSTETRIC = auto()
    VACCINE = auto()
    ALLERGY = auto()
    DRUG = auto()
    MEDICATION = auto()  # talk of medicines in general
    TAKING = auto()
    VITAL = auto()
    LAB = auto()
    IMAGING = auto()
    FINDING = auto()  # what only an examination tells
    SENSED = auto()  # "I hear", "I don't see"
    MANOEUVRE = auto()  # "when I press here"
    RESULT = auto()  # shows, normal, elevated
    OPINION = auto()  # "I think", "consistent with"
    INTENT = auto()  # "I'm going to", "let's"
    DUTY = auto()  # "you should", "make sure"
    ADVICE = auto()
    ORDER = auto()  # verbs of treatment
    REFERRAL = auto()
    PRESCRIBING = auto()
    VISIT = auto()  # when to be seen again
    CONDITIONAL = auto()
    CHATTER = auto()
    PROCEDURE = auto()  # what is done in the room: "let me listen to your heart"
    OPENING = auto()  # "what brings you in"
    RECEIVED = auto()  # "I had", "she got"


_PHRASES: Final[dict[Cue, str]] = {
    Cue.SYMPTOM: """
        pain, painful, ache, achy, hurt, sore, soreness, fever, feverish, chills, chilling, cough, nausea, nauseous,
        nauseated, vomit, throw up, threw up, throwing up, diarrhea, diarrhoea, constipation, constipated, dizzy,
        dizziness, lightheaded, light headed, lightheadedness, faint, fainted, passed out, fatigue, fatigued, tired,
        tiredness, exhausted, swelling, swollen, numb, numbness, tingling, weak, weakness, short of breath,
        shortness of breath, out of breath, breathless, breathing, breath, headache, migraine, rash, itch, itchy,
        bleed, bleeding, blood, bruise, bruising, weight loss, weight gain, lost weight, gained weight, appetite,
        sleep, sleeping, insomnia, stiff, stiffness, burning, burn, palpitations, pounding, racing, sweats,
        sweating, anxious, anxiety, depressed, mood, congestion, congested, runny nose, stuffy, sneeze, sneezing,
        throat, hoarse, hoarseness, bloated, bloating, wheeze, wheezing, cramp, cramping, fell, fall, injured,
        injury, twisted, symptom, mucus, phlegm, sputum, sick, stools, stool, discharge, heartburn, reflux, swallow,
        lump, blister, spots, blurry, blurred, vision, my hearing, hearing loss, trouble hearing, lack of hearing,
        hard of hearing, ringing, memory, confused, confusion, seizure, tremor, shaking, shaky, unwell, ill,
        illness, night sweats, jaundice, thirsty, thirst, urinate, urinating, pee, peeing, urine, periods, hot
        flashes, limp, limping, popping, clicking, giving out, locking, spasm, bring up, brings up, bringing up, out
        of sorts, lack of energy, no energy, spit up, cough up, tight, tightness, pressure in my chest, lethargic,
        temperature, trouble, problems with, issues with, sob, n/v, ha, f/c, bowel changes,
        bladder changes, saddle anesthesia""",
    Cue.BODY: """
        head, neck, chest, back, shoulder, arm, elbow, wrist, hand, finger, thumb, hip, leg, knee, ankle, foot,
        feet, toe, stomach, belly, tummy, abdomen, groin, eye, ear, nose, mouth, tooth, teeth, jaw, face, skin,
        heart, lung, kidney, bladder, bowel, breast, rib, spine, calf, heel, sinus""",
    Cue.COURSE: """
        worse, better, worsening, improve, severe, mild, moderate, constant, intermittent, comes and goes, come and
        go, sharp, dull, throbbing, stabbing, shooting, radiate, spread, sudden, suddenly, gradually, started,
        began, start, onset, all of a sudden, wakes me, keeps me awake, at night, scale, out of 10, relief, relieve,
        helps, helped, triggered, getting worse, getting better, went away, goes away, comes back, on and off,
        unbearable""",
    Cue.CONDITION: """
        diabetes, diabetic, prediabetes, hypertension, high blood pressure, high cholesterol, cholesterol, asthma,
        copd, emphysema, bronchitis, pneumonia, cancer, tumor, tumour, stroke, heart attack, heart failure, heart
        disease, lung disease, kidney disease, liver disease, angina, arrhythmia, atrial fibrillation, afib,
        arthritis, osteoarthritis, rheumatoid, gout, osteoporosis, thyroid, hypothyroidism, hyperthyroidism, anemia,
        anaemia, depression, bipolar, epilepsy, seizures, migraine, migraines, ulcer, ulcers, gastritis, gerd, acid
        reflux, ibs, crohn's, colitis, diverticulitis, celiac, hepatitis, cirrhosis, kidney stone, kidney stones,
        gallstones, uti, urinary tract infection, infection, sinusitis, tonsillitis, strep, flu, influenza, covid,
        virus, viral, cold, sprain, strain, fracture, broken, tear, hernia, sciatica, tendonitis, tendinitis,
        bursitis, carpal tunnel, eczema, psoriasis, dermatitis, cellulitis, shingles, acne, melanoma, glaucoma,
        cataract, cataracts, vertigo, sleep apnea, blood clot, blood clots, dvt, pulmonary embolism, lupus, hiv,
        sclerosis, parkinson's, alzheimer's, dementia, adhd, gastroenteritis, appendicitis, allergic rhinitis, hay
        fever, concussion, contusion, neuropathy, edema, apnea, murmur, aneurysm, polyps, fibroids, endometriosis,
        ptsd, tuberculosis, disease, disorder, syndrome, tendinopathy, impingement, deficiency, obesity,
        htn, dm, dm2, t2dm, cad, chf, osa, ckd, hld, bph, radiculopathy""",
    Cue.TIME: """
        day, week, month, year, hour, minute, ago, since, yesterday, last night, this morning, monday, tuesday,
        wednesday, thursday, friday, saturday, sunday, january, february, april, june, july, august, september,
        october, november, december, last year, last month, last week, always, recently, lately, childhood, as a
        child, as a kid""",
    Cue.INTRODUCTION: """
        year old, years old, who presents, presents with, presenting with, presents for, presents to, presents
        today, here for, here today for, here with, comes in, came in, past medical history, history of, status
        post, for evaluation, referred by, follow up for, c/o, s/p, h/o, y/o, presenting for""",
    Cue.RECALL: """
        you said, you mentioned, you told, you reported, you've been having, you have been having, you've been
        feeling, you've had, you noticed, patient reports, patient denies, patient states, patient has, patient had,
        he reports, she reports, he denies, she denies, he has, she has, he had, she had, he says, she says, he
        states, she states""",
    Cue.KIN: """
        mother, father, mom, mum, dad, brother, sister, sibling, parent, grandmother, grandfather, grandma, grandpa,
        grandparents, aunt, uncle, cousin, son, daughter, wife, husband""",
    Cue.FAMILY: """
        family history, runs in the family, run in the family, runs in my family, in your family, in the family, in
        my family, family has, your family""",
    Cue.SOCIAL: """
        smoke, smoker, smoking, smoked, cigarette, cigar, vape, vaping, tobacco, pack, packs, alcohol, drink
        alcohol, beer, wine, glass of wine, liquor, drinks, drinking, drink, marijuana, cannabis, weed, cocaine,
        drugs, recreational, married, divorced, widowed, live alone, live with, lives with, live by myself, living
        with, work as, works as, work in, work at, job, retired, retire, occupation, employed, unemployed, exercise,
        gym, student, college, school, teacher, engineer, accountant, diet, caffeine, partner, sexually active,
        travel, travelled, traveled, do for work, for a living""",
    Cue.SURGERY: """
        surgery, surgeries, operation, operated, appendectomy, appendix out, appendix removed, tonsillectomy,
        tonsils out, tonsils removed, cholecystectomy, gallbladder out, gallbladder removed, hysterectomy,
        mastectomy, lumpectomy, lobectomy, thyroidectomy, bypass, stent, replacement, knee replacement, hip
        replacement, transplant, c-section, caesarean, pacemaker, fusion, arthroscopy, bunionectomy, vasectomy,
        tubal ligation, reconstruction""",
    Cue.OBSTETRIC: """
        pregnant, pregnancy, pregnancies, miscarriage, gravida, para, delivered my, vaginal delivery, c-section,
        caesarean, gave birth, abortion, preeclampsia, gestational, breastfeeding""",
    Cue.VACCINE: """
        vaccine, vaccinated, vaccination, immunized, immunised, immunization, immunizations, booster, flu shot,
        tetanus shot, pneumonia shot, shingles shot, covid shot, shots up to date, tetanus""",
    Cue.ALLERGY: "allergic, allergy, allergies, anaphylaxis, epipen, nkda, nka",
    Cue.MEDICATION: """
        medication, medications, medicine, medicines, pills, pill, tablet, tablets, prescription, over the counter,
        meds, dose, inhaler, supplement, supplements, vitamin, vitamins, insulin, antibiotic, antibiotics,
        painkiller, painkillers, milligram, mg, mcg, birth control, steroid, steroids, blood thinner, blood
        thinners, injection, injections, cream, ointment, eye drops, drops, prn, bid, tid, qid, qhs, po""",
    Cue.TAKING: "take, takes, taking, i'm on, i am on, been on, use, using, you on",
    Cue.VITAL: """
        blood pressure, bp, heart rate, pulse, respiratory rate, respirations, temperature, temp, oxygen, oxygen
        level, oxygen saturation, saturation, sats, spo2, pulse ox, o2, weight, height, bmi, vitals, vital signs,
        hr, rr""",
    Cue.LAB: """
        lab, labs, blood work, blood test, blood tests, bloodwork, hemoglobin, haemoglobin, hematocrit, white count,
        white blood cell, white cell, platelet, platelets, creatinine, a1c, glucose, blood sugar, cholesterol, ldl,
        hdl, triglycerides, potassium, sodium, calcium, tsh, liver function, kidney function, urinalysis, urine
        test, culture, cultures, biopsy, pathology, ferritin, iron level, troponin, crp, esr, psa, inr, strep test,
        covid test, pregnancy test, rapid strep, gfr, bilirubin""",
    Cue.IMAGING: """
        x-ray, x-rays, xray, mri, ct, ct scan, cat scan, scan, ultrasound, echo, echocardiogram, ekg, ecg,
        electrocardiogram, mammogram, colonoscopy, endoscopy, egd, stress test, angiogram, doppler, dexa, bone
        density, pulmonary function, spirometry, holter""",
    Cue.FINDING: """
        murmur, gallop, rub, crackles, rales, rhonchi, wheezing, wheeze, tender, tenderness, palpation, palpate,
        range of motion, range of movement, edema, oedema, erythema, redness, bruising, ecchymosis, strength,
        reflex, reflexes, pulses, gait, auscultation, regular rate, rhythm, lymph node, lymph nodes,
        lymphadenopathy, adenopathy, thyromegaly, bruit, bruits, jugular, jvd, sensation, flexion, extension,
        rotation, abduction, adduction, incision, distress, capillary refill, lungs clear, lungs are clear, clear
        bilaterally, lung sound, sound clear, sounds clear, distended, distension, soft, nontender, non tender,
        effusion, crepitus, intact, pupils, cranial nerves, tympanic, eardrum, ear drum, exudate, tonsils, inflamed,
        swelling, swollen, physical exam, on exam, on examination, heart sounds, nodule, mass, deformity, guarding,
        rebound, straight leg, mcmurray, lachman, drawer, normocephalic, oriented, alert, lesion, lesions, nail,
        distention, congestion, rom, slr, lad, ttp, rrr, ctab, nad, lungs clear""",
    Cue.SENSED: """
        i hear, i feel, i see, i notice, i appreciate, i don't hear, i don't feel, i don't see, i don't notice, i
        don't appreciate, i do not hear, i do not feel, i do not see, i can hear, i can feel, i can see, i can't
        hear, i do hear, i do see, i do feel, i do appreciate, i found, i find""",
    Cue.MANOEUVRE: """
        i press, i push, i touch, i move, i tap, i squeeze, i lift, i bend, i pull, i twist, i examine, pressing
        here, press here, push here, here, when i press, squeeze my, push against""",
    Cue.RESULT: """
        rest of, rest of the, shows, showed, show, reveal, reveals, revealed, demonstrates, normal, abnormal,
        negative, positive, elevated, high, low, came back, results, result, looks good, look good, look great,
        looks great, stable, clear, fine, improved, unremarkable, within normal, evidence of, reduced, increased,
        decreased, slightly, good""",
    Cue.OPINION: """
        i think, i don't think, i do not think, i believe, i don't believe, i suspect, i'm worried, i am worried,
        i'm concerned, i am concerned, i'm not worried, i'm not concerned, consistent with, likely, unlikely,
        probably, most likely, looks like, seems like, sounds like, appears, diagnosis, diagnosed, you have, you've
        got, caused by, due to, suggestive, suggests, could be, may be, might be, rule out, this is a, this is an,
        it's a, it's an, signs of, impression, assessment, well controlled, poorly controlled, uncontrolled, under
        control, exacerbation""",
    Cue.INTENT: """
        i'm going to, i am going to, we're going to, we are going to, i will, i'll, we'll, we will, let's, i want
        to, we want to, i'd like to, i would like to, i'd like you, i would like you, i want you, i need you, we
        need to, i'd recommend, i would recommend, i recommend, we recommend, i suggest, i'd suggest, i would
        suggest, i advise, plan is, the plan, my plan, we can, i can, we should, we could, i also want""",
    Cue.DUTY: """
        you should, you need to, you'll need to, you can, you must, you have to, try to, make sure, please, you
        shouldn't, you don't need, you do not need, you won't need""",
    Cue.ADVICE: """
        avoid, rest, drink plenty, plenty of, fluids, elevate, time off, hydrated, lie down, get some sleep, ice,
        take it easy, warm, gargle, exercises, cut down, cut back, quit smoking, stop smoking, low salt, diet, weigh
        yourself, monitor, go to the hospital, emergency room, right away, wash, wear""",
    Cue.ORDER: """
        order, ordering, check, get a, get an, get some, get you, obtain, send, repeat, schedule, start, begin,
        continue, increase, decrease, stop, switch, change, add, give you, put you on, treat, treatment, prescribe,
        try, perform, draw, provide, proceed, brace, splint, cast, injection, physical therapy, work up, workup,
        test, tests, biopsy, discuss, keep, stay, take, hold, call, recheck""",
    Cue.REFERRAL: """
        refer, referral, referring, specialist, consult, send you to, cardiologist, dermatologist, neurologist,
        orthopedic, therapist""",
    Cue.PRESCRIBING: """
        prescribe, prescribing, prescription, refill, refills, pharmacy, start you on, put you on, starting you on,
        course of, write you, increase your, decrease your, increase the, decrease the, milligrams, mg, times a day,
        once a day, twice a day, every 6 hours, every 4 hours, every 8 hours, every 12 hours, daily, continue, keep
        taking, take""",
    Cue.VISIT: """
        follow up, follow-up, see you again, see you back, see me again, see me back, come back, back in, come in
        again, next visit, next appointment, appointment, return in, return to clinic, check back, call me, call us,
        call the office, check up, see you in, rtc, f/u""",
    Cue.CONDITIONAL: "if, unless, in case, should you, whenever, as long as",
    Cue.CHATTER: """
        date of birth, full name, your address, address, how are you, how are you doing, how have you been, nice to,
        good to see, good morning, good afternoon, any questions, questions, sound good, sounds good, make sense,
        makes sense, thank you, thanks, thank, bye, take care, you're welcome, hello, hi, show me, have a seat,
        happy to, sorry to hear, i understand, no problem, sounds like a plan, have a good, have a great, welcome,
        weather, weekend plans, holiday, dragon, i see, got it, of course, my name""",
    Cue.PROCEDURE: """
        let me, let's talk, i'll take it, i take it, listen to, take a listen, take a look, look at, have a look,
        let me see, examine, examination, going to check you, going to press, going to push, feel your, going to
        feel, go over, pull up, open your, deep breath, lie down, lay down, lay back, lie back, sit up, hop up,
        stick out, going to ask, ask you, tell you, talk about, quick physical, physical exam, explain, touch,
        listening, check out, going to look, need to ask, wash my, talk to you, tell me""",
    Cue.OPENING: """
        brings you in, brought you in, brings you here, brought you here, can i help, can i do for you, may i help,
        seems to be the, what's going on, what is going on, help you today, reason for your""",
    Cue.RECEIVED: """
        i had, i've had, i have had, had a, had an, had my, had, got, underwent, i got, i received, done, removed,
        up to date, have you had, have you ever had""",
}  # fmt: skip

# Endings of the names of diseases and complaints: "radiculopathy", "tonsillitis", "myalgia".
CLINICAL_ENDINGS: Final = (
    "pathy", "itis", "algia", "megaly", "plegia", "paresis", "penia", "stenosis", "rrhea", "rrhoea", "rrhagia",
    "phagia", "dynia", "uria", "emia", "aemia", "sclerosis", "malacia", "cytosis", "trophy",
)  # fmt: skip
NOT_CLINICAL: Final = word_set(
    "sympathy empathy apathy antipathy telepathy homeopathy naturopathy nostalgia academia bohemia trophy"
)

# "come back" and "back in two weeks" are no body part: alone the word needs an owner.
_BACK: Final = "back"
_OWNERS: Final = frozenset({"my", "your", "the", "lower", "upper", "his", "her"})


def _key(phrase: str) -> str:
    return " ".join(stem(word) for word in phrase.split())


def _table() -> dict[str, frozenset[Cue]]:
    table: dict[str, set[Cue]] = {}
    for cue, phrases in _PHRASES.items():
        for phrase in phrase_set(phrases):
            table.setdefault(_key(phrase), set()).add(cue)
    return {phrase: frozenset(kinds) for phrase, kinds in table.items()}


_TABLE: Final = _table()
_LONGEST_FROM: Final = {
    first: max(len(phrase.split()) for phrase in _TABLE if phrase.split()[0] == first)
    for first in {phrase.split()[0] for phrase in _TABLE}
}  # first stem → words of the longest phrase that begins with it
_SECONDS: Final = {
    first: frozenset(phrase.split()[1] for phrase in _TABLE if phrase.startswith(f"{first} "))
    for first in _LONGEST_FROM
}  # first stem → second stems of the phrases that begin with it
_NONE: Final = frozenset[Cue]()


def cues(words: Sequence[str]) -> Counter[Cue]:
    """How often each kind of hint occurs in a sentence's words (lower case). The longest phrase counts alone."""
    found: Counter[Cue] = Counter()
    for _, _, kinds in spans(words):
        for kind in kinds:
            found[kind] = found.get(kind, 0) + 1
    return found


def spans(words: Sequence[str]) -> Iterator[tuple[int, int, frozenset[Cue]]]:
    """Where hints stand: begin, end and kinds of each phrase, from left to right, none within another."""
    signs = [_sign(word) for word in words]
    behind = 0
    for at, sign in enumerate(signs):
        if sign is None or at < behind:
            continue
        length, kinds = 1, sign.alone
        if sign.seconds and at + 1 < len(words) and stem(words[at + 1]) in sign.seconds:
            length, kinds = _longest([stem(word) for word in words[at : at + sign.longest]])
        if length == 1 and sign.stem == _BACK and (at == 0 or words[at - 1] not in _OWNERS):
            continue
        if kinds := kinds | sign.own:
            behind = at + length
            yield at, behind, kinds


@dataclass(frozen=True, slots=True)
class _Sign:
    """What a word hints at, alone or at the beginning of a phrase."""

    stem: str
    alone: frozenset[Cue]  # as a phrase of one word
    own: frozenset[Cue]  # by its ending, or as the name of a medicine; also of a phrase that it begins
    seconds: frozenset[str]  # stems of the words that stand second in its phrases
    longest: int  # words of its longest phrase


@lru_cache(WORDS_KEPT)
def _sign(word: str) -> _Sign | None:
    """None for a word that begins no hint, as most do."""
    stemmed = stem(word)
    own = _NONE
    if word.endswith(CLINICAL_ENDINGS) and word not in NOT_CLINICAL:
        own = frozenset({Cue.CONDITION})
    elif word.endswith("-year-old"):
        own = frozenset({Cue.INTRODUCTION})
    elif is_drug(word):
        own = frozenset({Cue.DRUG})
    longest, seconds = _LONGEST_FROM.get(stemmed, 0), _SECONDS.get(stemmed, frozenset())
    alone = _TABLE.get(stemmed, _NONE)
    return _Sign(stemmed, alone, own, seconds, longest) if own or longest else None


def _longest(stems: Sequence[str]) -> tuple[int, frozenset[Cue]]:
    """Length and kinds of the longest phrase that these stems begin with."""
    for length in range(len(stems), 0, -1):
        kinds = _TABLE.get(" ".join(stems[:length]))
        if kinds is not None:
            return length, kinds
    return 1, _NONE

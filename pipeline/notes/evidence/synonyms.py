"""Lay words and the clinical words for the same thing: what a patient says, and how a note puts it.

Whoever says one of a line has said them all. The list is ours, and short on purpose: only what means the same, in
whatever context. No medicine is here: a brand is not its substance, and what was prescribed must be what was said.
"""

from typing import Final

from pipeline.notes.english.wording import FUNCTION_WORDS, stem

_LINES: Final = """
short of breath, shortness of breath, out of breath, breathless, trouble breathing, difficulty breathing, dyspnea
blood pressure, bp
heart rate, hr, pulse
probably, probable, likely
needed, need, required, necessary, indicated
flu, influenza
died, passed away, deceased, death
in the hospital, hospitalized, hospitalised, hospitalization, admitted
high blood pressure, hypertension
low blood pressure, hypotension
heart attack, myocardial infarction
throw up, threw up, throwing up, vomit, vomiting, emesis
sick to my stomach, nausea, nauseous, nauseated
belly, stomach, tummy, abdomen, abdominal
stomach ache, belly pain, stomach pain, abdominal pain
tired, tiredness, fatigue, fatigued, exhausted, exhaustion, no energy
dizzy, dizziness, lightheaded, lightheadedness, light headed
passed out, pass out, fainted, faint, syncope
peeing, pee, urinate, urinating, urination
itchy, itch, itching, pruritus
runny nose, rhinorrhea, nasal discharge
stuffy nose, stuffy, nasal congestion, congestion, congested
hives, urticaria
bruise, bruising, ecchymosis
swelling, swollen, swells, edema, oedema
sore throat, throat pain, throat hurts
headache, head hurts, headaches, cephalgia
hurts, hurt, hurting, sore, ache, aches, aching, pain, painful
heartburn, acid reflux, reflux
can't sleep, trouble sleeping, difficulty sleeping, insomnia
stroke, cva
heart failure, chf
atrial fibrillation, a fib, afib
blood sugar, glucose
high cholesterol, hyperlipidemia, hypercholesterolemia
kidney, kidneys, renal
heart, cardiac
lung, lungs, pulmonary
liver, hepatic
skin, dermal, cutaneous
throbbing, pulsating
numb, numbness
weak, weakness
stiff, stiffness
fever, feverish, febrile
redness, red, erythema
started, start, began, begin, onset
worse, worsen, worsened, worsening, aggravated, exacerbated
better, improve, improved, improving, relieved, alleviated, improvement, relief
operation, surgery, surgical
shot, vaccine, vaccination, immunization, vaccinated
pill, pills, tablet, tablets
smoke, smoking, smoker, cigarettes, tobacco use
medicine, medicines, medication, medications, meds
come back, return, see you again, follow up, follow-up, followup
blood test, blood work, bloodwork, lab work, labs, laboratory
x-ray, x ray, xray, radiograph
checked, check, monitor, monitoring
twice a day, two times a day, 2 times a day, twice daily, bid
once a day, daily, every day, one time a day
at night, nightly, nocturnal
every morning, in the morning, mornings
dad, father
mom, mum, mother
grandma, grandmother
grandpa, grandfather
prescribe, prescribed, prescription
refer, referral, referred
scared, anxious, anxiety, nervous
worried, worry, concerned, concern, scared, afraid
sad, depressed, low mood
"""


def _stems(phrase: str) -> tuple[str, ...]:
    return tuple(stem(word) for word in phrase.split())


SYNONYMS: Final = tuple(
    tuple(dict.fromkeys(_stems(phrase) for phrase in line.split(", "))) for line in _LINES.strip().splitlines()
)
"""Each line as phrases, each of them a row of stems."""

_SILENT: Final = frozenset(stem(word) for word in FUNCTION_WORDS)
_BY_FIRST: Final = {
    first: tuple((phrase, line) for line in SYNONYMS for phrase in line if phrase[0] == first)
    for first in {phrase[0] for line in SYNONYMS for phrase in line}
}


def same_meaning(said: list[str]) -> dict[int, frozenset[str]]:
    """Stems that mean what stands at a place of a row of stems, by the place where that phrase begins."""
    found: dict[int, frozenset[str]] = {}
    for at, word in enumerate(said):
        for phrase, line in _BY_FIRST.get(word, ()):
            if tuple(said[at : at + len(phrase)]) == phrase:
                others = frozenset(part for other in line for part in other if part not in _SILENT)
                found[at] = found.get(at, frozenset()) | others
    return found

"""Plain words for medical ones. The list is ours; nothing was copied.

A word is replaced where the plain one means the same, and explained where it does not, or where people will meet the
word again: on a label, on an appointment. No entry holds a number, a side or a denial, so that none can come or go.
"""

from typing import Final


def _entries(text: str) -> dict[str, str]:
    return dict(line.strip().split(" = ") for line in text.strip().splitlines())


REPLACED: Final = _entries(
    """
    abdomen = belly
    abdominal = belly
    administer = give
    administered = given
    adverse effects = side effects
    analgesic = pain medicine
    analgesics = pain medicines
    ambulate = walk
    ambulating = walking
    ambulation = walking
    antihypertensive = blood pressure medicine
    axilla = armpit
    bowel movement = trip to the toilet
    carcinoma = cancer
    cardiac = heart
    benign = harmless
    cephalgia = headache
    chronic = long-lasting
    cerebrovascular accident = stroke
    contusion = bruise
    contusions = bruises
    discontinue = stop
    discontinued = stopped
    dyspnea = shortness of breath
    dyspnoea = shortness of breath
    dysuria = pain when passing water
    ecchymosis = bruising
    edema = swelling
    oedema = swelling
    emesis = vomiting
    epistaxis = nosebleed
    erythema = redness
    etiologies = causes
    etiology = cause
    febrile = feverish
    hematuria = blood in the urine
    hemoptysis = coughing up blood
    hepatic = liver
    hypercholesterolemia = high cholesterol
    hyperglycemia = high blood sugar
    hyperlipidemia = high blood fats
    hypertension = high blood pressure
    hypoglycemia = low blood sugar
    hypotension = low blood pressure
    influenza = flu
    initiate = start
    initiated = started
    laceration = cut
    lacerations = cuts
    lower extremity = leg
    lower extremities = legs
    lumbar = lower back
    malignancy = cancer
    malignant = cancerous
    medication = medicine
    medications = medicines
    musculoskeletal = muscle and bone
    myalgia = muscle pain
    myalgias = muscle pain
    myocardial infarction = heart attack
    nephrolithiasis = kidney stones
    obtain = get
    ocular = eye
    orally = by mouth
    otalgia = ear pain
    palpation = touch
    past medical history significant for = history of
    p.o. = by mouth
    prn = as needed
    p.r.n. = as needed
    prophylaxis = prevention
    pruritus = itching
    pulmonary = lung
    pyrexia = fever
    q.d. = every day
    renal = kidney
    rhinorrhea = runny nose
    strenuous = hard
    syncope = fainting
    upper extremity = arm
    upper extremities = arms
    utilize = use
    x-ray = X-ray
    """
)

EXPLAINED: Final = _entries(
    """
    acl = a band in the knee
    adenoma = a lump that is most often harmless
    allergic rhinitis = hay fever
    anemia = too few red blood cells
    anaemia = too few red blood cells
    angina = chest pain from the heart
    antibiotic = a medicine against germs
    antibiotics = medicine against germs
    arrhythmia = an uneven heartbeat
    arthritis = sore joints
    asthma = tight airways
    atrial fibrillation = an uneven heartbeat
    biopsy = a small piece is taken to be looked at
    bronchitis = sore airways in the lungs
    bursitis = a sore pad near a joint
    carpal tunnel syndrome = a squeezed nerve at the wrist
    cataract = a cloudy lens in the eye
    cellulitis = a skin infection
    chronic kidney disease = kidneys that work less well
    chronic obstructive pulmonary disease = a long-lasting lung disease
    colonoscopy = a look into the bowel with a tube
    congestive heart failure = a weak heart
    conjunctivitis = pink eye
    copd = a long-lasting lung disease
    coronary artery disease = narrow blood vessels of the heart
    ct = a scan
    deep vein thrombosis = a blood clot in a vein
    dermatitis = sore skin
    diverticulitis = sore pouches in the bowel
    dyspepsia = an upset stomach
    echocardiogram = a scan of the heart
    egd = a look into the stomach with a tube
    ekg = a test of the heartbeat
    ecg = a test of the heartbeat
    endoscopy = a look inside with a tube
    esophagitis = a sore food pipe
    fracture = a broken bone
    gastritis = a sore stomach lining
    gastroenteritis = a stomach bug
    gerd = stomach acid that comes up
    hematologist = a blood doctor
    hemoglobin a1c = a test of blood sugar over time
    a1c = a test of blood sugar over time
    hypothyroidism = a slow thyroid
    hyperthyroidism = a fast thyroid
    imaging = pictures of the inside
    intravenous = into a vein
    lesion = a changed spot
    mcl = a band in the knee
    meniscus = a pad in the knee
    migraine = a kind of bad headache
    mri = a scan
    nephrologist = a kidney doctor
    neurologist = a nerve doctor
    neuropathy = hurt nerves
    cardiologist = a heart doctor
    dermatologist = a skin doctor
    endocrinologist = a doctor for hormones and sugar
    gastroenterologist = a doctor for the stomach and bowel
    oncologist = a cancer doctor
    orthopedic = for bones and joints
    osteoarthritis = worn joints
    osteoporosis = weak bones
    pharyngitis = a sore throat
    physical therapy = exercises with help
    pneumonia = a lung infection
    pulmonary embolism = a blood clot in the lung
    rheumatoid arthritis = sore joints that the body attacks
    sciatica = pain from a nerve in the back
    sinusitis = sore sinuses
    splint = something stiff that holds it still
    sprain = a stretched band at a joint
    tendonitis = a sore tendon
    tendinitis = a sore tendon
    ultrasound = pictures by sound
    urologist = a doctor for the bladder
    urinary tract infection = an infection where you pass water
    uti = an infection where you pass water
    vertigo = a spinning feeling
    virus = a kind of germ
    """
)

"""Which words of a text say something, and which are medical: the judge's lists, independent of the writer's own.

Medical are the words of the ICD-10-CM's descriptions that are rare elsewhere, the names of medicines, and common words
for complaints and findings. Source of the measure: research on aci-bench with public word lists; a clinician's note has
about 30 % of such words that nobody said, so the measure triages and does not prove.
"""

import re
from functools import cache
from typing import Final

from pipeline.notes.english.drugs import DRUGS
from pipeline.notes.english.vocabulary import word_set

RARER_THAN: Final = 4.35  # Zipf frequency (wordfreq) of a word of the ICD-10-CM that counts as medical
MEDICINES_RARER_THAN: Final = 3.9  # of a medicine's name: among them are words like "oxygen" and first names
LONGEST_CODE: Final = 6  # characters; longer codes say the same of left and right, first and later encounters
SHORTEST_STEM: Final = 3  # letters; shorter ones are pieces of hyphenated names
COMMON: Final = word_set(
    """
    pain fever fevers chills cough nausea vomiting diarrhea swelling headache headaches chest heart lung lungs blood
    pressure knee shoulder back breath numbness tingling weakness rash cancer surgery allergy allergies smoking alcohol
    depression anxiety weight infection fracture sleep insulin oxygen aspirin
    """
)
NOT_MEDICAL: Final = word_set(
    "other type with without specified initial subsequent sequela encounter patient status history disease related test"
    " screen general health"
)
NO_MEDICINES: Final = word_set("camila cortisol aldosterone")  # a first name; what laboratories measure
STOP_WORDS: Final = word_set(
    """
    a an the and or of to in on at for with is are was were be been has have had do does did he she it they we i you his
    her their my your our this that these those there as by from not no so if but about any all also will would can
    could should just okay patient reports states denies notes mr ms mrs dr today right
    """
)

_WORD: Final = re.compile(r"[a-z0-9]+(?:/[0-9]+)?")
_NAME: Final = re.compile(r"[a-z][a-z-]{4,}")


def stems(text: str) -> list[str]:
    """The words of a text that say something, in order, without the endings of number and tense."""
    return [_stem(word) for word in _WORD.findall(text.lower()) if word not in STOP_WORDS]


def _stem(word: str) -> str:
    if len(word) > 4 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if len(word) > 5 and word.endswith("ing"):
        return word[:-3]
    return word[:-2] if len(word) > 4 and word.endswith("ed") else word


@cache
def medicines() -> frozenset[str]:
    """Names of medicines in lower case, generic and brand names, that are no words of everyday life."""
    from drug_named_entity_recognition.drugs_finder import drug_variant_to_canonical
    from wordfreq import zipf_frequency

    names = (name for name in drug_variant_to_canonical if _NAME.fullmatch(name))
    rare = {name for name in names if zipf_frequency(name, "en") < MEDICINES_RARER_THAN}
    return frozenset(rare | DRUGS) - NO_MEDICINES


@cache
def medical_words() -> frozenset[str]:
    """Every word that counts as medical, in lower case."""
    import simple_icd_10_cm as icd
    from wordfreq import zipf_frequency

    described: set[str] = set()
    for code in icd.get_all_codes():
        if len(code) <= LONGEST_CODE:
            for term in (icd.get_description(code), *icd.get_inclusion_term(code)):
                described.update(re.findall(r"[a-z]{4,}", term.lower()))
    rare = {word for word in described if zipf_frequency(word, "en") < RARER_THAN}
    return frozenset(rare | medicines() | COMMON) - NOT_MEDICAL


@cache
def medical_stems() -> frozenset[str]:
    """The same as `stems` makes them."""
    known = {stem for word in medical_words() for stem in stems(word) if len(stem) >= SHORTEST_STEM}
    return frozenset(known) - frozenset(map(_stem, NOT_MEDICAL))


def medical(text: str) -> frozenset[str]:
    """The medical words of a text, as stems."""
    return medical_stems().intersection(stems(text))


def named_medicines(text: str) -> frozenset[str]:
    """The medicines that a text names, in lower case."""
    return medicines().intersection(re.findall(r"[a-z][a-z-]{3,}", text.lower()))

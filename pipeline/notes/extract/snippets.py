"""What a short piece of a consultation is about, as one of the 20 section headers of MTS-Dialog. Pure.

One linear answer for each header over the words and pairs of words that `pipeline.notes.extract.scoring` knows:
those that anybody said, and those that the doctor said. The weights are shipped with the others. English only.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np

from pipeline.notes.english.wording import clean, words
from pipeline.notes.extract.scoring import SectionWeights, section_weights
from pipeline.types import Role, Utterance

# Source: Ben Abacha et al. 2023. FAM/SOCHX is family or social history, EDCOURSE what was done in an emergency.
HEADERS: Final = (
    "ALLERGY", "ASSESSMENT", "CC", "DIAGNOSIS", "DISPOSITION", "EDCOURSE", "EXAM", "FAM/SOCHX", "GENHX", "GYNHX",
    "IMAGING", "IMMUNIZATIONS", "LABS", "MEDICATIONS", "OTHER_HISTORY", "PASTMEDICALHX", "PASTSURGICAL", "PLAN",
    "PROCEDURES", "ROS",
)  # fmt: skip


def header_of(items: Iterable[Utterance]) -> str:
    """The header under which a clinician would note what these items say."""
    weights = section_weights()
    said, doctors = terms_of(items, weights)
    scores = weights.snippet_bias.copy()
    for found, table in ((said, weights.snippet_said), (doctors, weights.snippet_doctors)):
        _, columns, values = weights.vectors([found], len(weights.terms))
        scores += values @ table[columns]
    return HEADERS[int(np.argmax(scores))]


def terms_of(items: Iterable[Utterance], weights: SectionWeights) -> tuple[frozenset[int], frozenset[int]]:
    """The places of the terms that anybody said, and of those that a doctor said."""
    known = [(item.role, weights.places(words(clean(item.text)))) for item in items]
    everyone = frozenset[int]().union(*(found for _, found in known))
    return everyone, frozenset[int]().union(*(found for role, found in known if role is Role.DOCTOR))

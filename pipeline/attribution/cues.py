"""Who speaks, in languages without a learned model: a few cues, of small weight. Pure.

Doctors address the patient, ask, examine and prescribe; patients speak of themselves. What counts are whole words and
phrases; several cues add up. The weights are set by hand, lower than what such words weigh in the English model.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

BOUND: Final = 2.0  # log-odds; a table says less than a model
QUESTION: Final = 0.6  # of a question mark, where the recogniser writes one


@dataclass(frozen=True, slots=True)
class Cues:
    """Patterns of one language with their log-odds, positive for the doctor."""

    patterns: tuple[tuple[re.Pattern[str], float], ...]

    def log_odds(self, text: str) -> float:
        """log P(doctor) / P(patient) of whoever said this, within ±`BOUND`; 0 where no cue is found."""
        total = QUESTION * ("?" in text)
        for pattern, weight in self.patterns:
            total += weight * min(3, len(pattern.findall(text)))
        return BOUND * math.tanh(total / BOUND)


def _cues(**weighted: tuple[float, Sequence[str]]) -> Cues:
    return Cues(
        tuple(
            (re.compile(rf"\b(?:{'|'.join(phrases)})\b", re.IGNORECASE), weight)
            for weight, phrases in weighted.values()
        )
    )


CUES: Final[Mapping[str, Cues]] = MappingProxyType(
    {
        "de": _cues(
            addresses=(
                0.5,
                ("haben sie", "hatten sie", "sind sie", "nehmen sie", "können sie", "ihnen", "ihre[nrms]?"),
            ),
            asks=(0.6, ("seit wann", "wie lange", "wie oft", "wo genau", "tut es weh", "was führt sie")),
            acts=(
                0.8,
                ("ich verschreibe", "ich untersuche", "ich höre sie", "atmen sie", "wir machen", "ich empfehle"),
            ),
            self=(
                -0.4,
                ("ich habe", "ich hatte", "ich bin", "mir ist", "mir geht", "mein", "meine[nrms]?", "mich", "mir"),
            ),
            suffers=(-0.6, ("es tut weh", "schmerzt", "herr doktor", "frau doktor", "ich nehme", "ich kann nicht")),
        ),
        "fr": _cues(
            addresses=(
                0.5,
                ("avez[- ]vous", "êtes[- ]vous", "prenez[- ]vous", "vous avez", "vous êtes", "votre", "vos"),
            ),
            asks=(0.6, ("depuis quand", "depuis combien", "combien de", "est-ce que vous", "où exactement")),
            acts=(0.8, ("je vous prescris", "je vais vous", "respirez", "on va faire", "je vous conseille")),
            self=(-0.4, ("j'ai", "je suis", "je prends", "je me", "mon", "ma", "mes", "moi")),
            suffers=(-0.6, ("ça me fait mal", "j'ai mal", "docteur", "je n'arrive pas")),
        ),
        "it": _cues(
            addresses=(0.5, ("lei ha", "lei è", "prende", "ha avuto", "suo", "sua", "suoi", "sue")),
            asks=(0.6, ("da quando", "da quanto", "quante volte", "dove esattamente", "che cosa la porta")),
            acts=(0.8, ("le prescrivo", "la visito", "respiri", "facciamo", "le consiglio")),
            self=(-0.4, ("ho", "sono", "mi sento", "mio", "mia", "miei", "mie", "prendo")),
            suffers=(-0.6, ("mi fa male", "dottore", "dottoressa", "non riesco")),
        ),
        "es": _cues(
            addresses=(0.5, ("usted", "tiene", "toma", "ha tenido", "su", "sus", "le duele")),
            asks=(0.6, ("desde cuándo", "cuánto tiempo", "cuántas veces", "dónde exactamente", "qué le trae")),
            acts=(0.8, ("le voy a", "le receto", "respire", "vamos a hacer", "le recomiendo")),
            self=(-0.4, ("tengo", "estoy", "me siento", "mi", "mis", "tomo")),
            suffers=(-0.6, ("me duele", "doctor", "doctora", "no puedo")),
        ),
    }
)
"""By ISO 639-1 code."""

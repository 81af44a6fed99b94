"""What a transcript of a recording is worth, against what was said in it. Pure; marks of several recordings add up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench import score
from bench.manifest import Entry
from bench.score import Item
from bench.terms import Glossary, Recalls, recall
from bench.words import NO_ERRORS, WordErrors, compare, medical_form, whisper_form


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What was counted."""

    whisper: WordErrors = NO_ERRORS
    medical: WordErrors = NO_ERRORS
    recalls: Recalls = field(default_factory=Recalls)
    start_errors: tuple[float, ...] = ()  # milliseconds
    items: int = 0
    lost: int = 0

    def __add__(self, other: "Marks") -> "Marks":
        return Marks(
            whisper=self.whisper + other.whisper,
            medical=self.medical + other.medical,
            recalls=self.recalls + other.recalls,
            start_errors=self.start_errors + other.start_errors,
            items=self.items + other.items,
            lost=self.lost + other.lost,
        )


def marks(entry: Entry, items: Sequence[Item], known: Glossary, *, split: bool) -> Marks:
    """What a transcript is worth, against what was said."""
    whisper, medical = whisper_form(entry.language), medical_form(entry.language)
    total = Marks(
        start_errors=tuple(score.start_errors(entry.items, items)) if entry.exact else (),
        items=len(items),
        lost=len(score.lost(entry.items, items)),
    )
    for said, heard in texts(entry, items, split=split):
        total += Marks(
            whisper=compare(whisper(said), whisper(heard)),
            medical=compare(medical(said), medical(heard)),
            recalls=recall(medical(said), medical(heard), known),
        )
    return total


def texts(entry: Entry, items: Iterable[Item], *, split: bool) -> list[tuple[str, str]]:
    """What was said and what was heard: of each voice where they are apart, else of all together."""
    heard = list(items)
    if not split or entry.stereo is None:
        return [(entry.text, score.in_order(heard))]
    roles = sorted({item.speaker for item in entry.items} | {item.role for item in heard})
    return [score.words_of(entry.items, heard, role, str) for role in roles]

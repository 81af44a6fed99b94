"""A long talk → portions that fit a language model's context; each begins with the end of the one before it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipeline.errors import ModelTooLong
from pipeline.notes.asking.prompting import Line
from pipeline.notes.request import Background

ASCII_PER_TOKEN = (
    3.0  # characters; tokenisers of today's models take 3.5 to 4.5 of English prose: this is on the safe side
)
MARKS_PER_TOKEN = 1.0  # … of other scripts and of letters with accents about one
MESSAGE_TOKENS = 16  # of the chat format around a message
OVERLAP = 0.1  # share of a portion's room for the end of the one before: a reply needs its question
MOST_BACKGROUND = 0.25  # share of the context that the background may take: what is longer is cut
LEAST_OF_LINE = 12  # tokens of what stands around its text
LEAST_ROOM = 256  # tokens of talk that must fit beside all else


def tokens(text: str) -> int:
    """How many tokens a text has at most, as a rule: an estimate, because each model counts in its own way."""
    plain = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    return MESSAGE_TOKENS + int(plain / ASCII_PER_TOKEN + (len(text) - plain) / MARKS_PER_TOKEN)


def fewest_tokens(texts: Iterable[str]) -> int:
    """A number of tokens that lines with these texts have at least, found without reading them."""
    lengths = [length for text in texts if (length := len(text.strip()))]
    return int(sum(lengths) / ASCII_PER_TOKEN) + LEAST_OF_LINE * len(lengths)


def line_tokens(line: Line) -> int:
    """Tokens of a line among others."""
    return tokens(line.encoded) - MESSAGE_TOKENS + 1


def portions(lines: Sequence[Line], room: int) -> list[tuple[Line, ...]]:
    """The lines in portions of at most `room` tokens. Raises `ModelTooLong` where no talk fits."""
    if room < LEAST_ROOM:
        raise ModelTooLong
    sizes = list(map(line_tokens, lines))
    made: list[tuple[Line, ...]] = []
    begin = end = 0
    while end < len(lines):
        begin = _overlapping(sizes, begin, end, int(room * OVERLAP))
        taken = sum(sizes[begin:end])
        fresh = end
        while end < len(lines) and (taken + sizes[end] <= room or end == fresh):
            taken += sizes[end]
            end += 1
        made.append(tuple(lines[begin:end]))
    return made


def longest_line(room: int) -> int:
    """Characters of a line that always fit a room, whatever they are."""
    return max(200, int(room / 4))


def bounded(known: Background, room: int) -> Background:
    """The background, its texts cut to a common length where all of them together take more than `room` tokens."""
    most = max(1, room // (2 * MESSAGE_TOKENS))  # of pairs that can fit
    known = replace(known, patient=known.patient[:most], chat=known.chat[-most:], sections=known.sections[:most])
    known = _cut(known, int(room * ASCII_PER_TOKEN) + 1)  # so that no more is looked at than can fit
    longest = max((len(text) for text in _texts(known)), default=0)
    while longest > 64 and sum(map(tokens, _texts(known))) > room:
        longest //= 2
        known = _cut(known, longest)
    while known.chat and sum(map(tokens, _texts(known))) > room:
        known = replace(known, chat=known.chat[len(known.chat) // 2 + 1 :])  # the latest messages stay
    return known


def _overlapping(sizes: Sequence[int], begin: int, end: int, room: int) -> int:
    """Where a portion begins whose first new line is at `end`: a little before."""
    at = end
    while at > begin and sum(sizes[at - 1 : end]) <= room:
        at -= 1
    return at


def _texts(known: Background) -> list[str]:
    pairs = [*known.patient, *known.chat, *known.sections]
    return [
        *(text for pair in pairs for text in pair),
        known.history,
        known.context,
        known.instructions,
        known.earlier_note,
    ]


def _cut(known: Background, longest: int) -> Background:
    def cut(text: str) -> str:
        return text if len(text) <= longest else f"{text[: longest - 1]}…"

    def second(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        return tuple((cut(name), cut(text)) for name, text in pairs)

    return replace(
        known,
        patient=second(known.patient),
        history=cut(known.history),
        context=cut(known.context),
        instructions=cut(known.instructions),
        chat=second(known.chat),
        earlier_note=cut(known.earlier_note),
        sections=second(known.sections),
    )

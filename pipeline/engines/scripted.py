"""A recogniser that listens to nothing: it counts. For load and protocol tests, where only audio's length matters."""

from collections.abc import Callable, Sequence

import anyio

from pipeline.errors import RecognitionFailed
from pipeline.types import SAMPLE_RATE, Hypothesis, RecognitionRequest, Word

WORD = SAMPLE_RATE * 4 // 10  # samples a word lasts, 400 ms
SPOKEN = WORD * 7 // 8  # samples of it that are sound
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NAMES = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima")

_CODES = (  # ISO 639-1, as far as Whisper goes
    "af am ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl gu he hi hr hu hy id is it ja ka kk km kn ko "
    "la lb lo lt lv mi mk ml mn mr ms mt my nb ne nl nn no pa pl ps pt ro ru sd si sk sl sn so sq sr su sv sw ta te tg "
    "th tk tl tr tt uk ur uz vi yi yo zh"
)
ANY_LANGUAGE = frozenset(_CODES.split())


class ScriptedRecogniser:
    """Says one word for each 400 ms: first a name by the segment's ordinal, then "one two three …".

    The words of a partial are the first words of its final.
    """

    name = "scripted"
    model = "counts, does not listen"
    languages = ANY_LANGUAGE
    max_batch = 16
    window = 0
    continues = True  # what it says of a beginning is a beginning of what it says
    speculates = False
    temperatures: tuple[float, ...] = (0.0,)

    def __init__(
        self,
        *,
        delay_ms: float = 0.0,
        capacity: int = 1,
        fails: Callable[[RecognitionRequest], bool] = lambda request: False,
    ) -> None:
        """`delay_ms`: how long a call takes; `capacity`: calls at a time; `fails`: which requests fail."""
        self.capacity = capacity
        self._delay = delay_ms / 1000  # seconds
        self._fails = fails

    async def start(self) -> None:
        """There is nothing to load."""

    async def recognise(self, batch: Sequence[RecognitionRequest]) -> Sequence[Hypothesis | RecognitionFailed]:
        """One answer for each request, in order."""
        await anyio.sleep(self._delay)  # as long as a real engine would compute
        return [RecognitionFailed() if self._fails(request) else script(request) for request in batch]

    async def aclose(self) -> None:
        """There is nothing to free."""


def script(request: RecognitionRequest) -> Hypothesis:
    """What the recogniser says for a request; a pure function of its ordinal, its length and its language."""
    count = len(request.pcm) // WORD
    if request.purpose.whole:
        count = max(1, count)
    texts = [NAMES[request.segment % len(NAMES)], *(NUMBERS[n % len(NUMBERS)] for n in range(count - 1))][:count]
    words = tuple(
        Word(text=text, start=n * WORD, end=min(n * WORD + SPOKEN, len(request.pcm))) for n, text in enumerate(texts)
    )
    return Hypothesis(words=words, language=request.language or "en")

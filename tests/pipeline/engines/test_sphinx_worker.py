import io
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.engines.sphinx_wire import LENGTH_BYTES, Decode, Decoded, DecodedWord, Failed, Ready, frame, read_answer
from pipeline.engines.sphinx_worker import SegmentDecoder, Worker, cepstral_meter, read_frame, write_frame
from tests.pipeline.engines.conftest import Phrase


@pytest.fixture(scope="module")
def measure() -> Callable[[bytes], str]:
    return cepstral_meter()


@pytest.fixture(scope="module")
def decoder(measure: Callable[[bytes], str]) -> SegmentDecoder:
    return SegmentDecoder(measure)


@pytest.fixture(scope="module")
def sentence(phrases: Sequence[Phrase]) -> bytes:
    """About five seconds."""
    return b"".join((phrases[number].pcm * 32767).astype("<i2").tobytes() for number in (1, 3))


def whole(decoder: SegmentDecoder, audio: bytes) -> tuple[DecodedWord, ...]:
    return decoder.decode(0, audio, final=True)


@pytest.mark.slow
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 5 * 16_000), max_size=8))
def test_a_segment_says_the_same_in_whatever_pieces_it_comes(
    decoder: SegmentDecoder, sentence: bytes, cuts: list[int]
) -> None:
    expected = whole(decoder, sentence)
    ends = [min(2 * cut, len(sentence)) for cut in sorted(cuts)]
    for begin, end in zip([0, *ends], ends, strict=False):
        decoder.decode(begin, sentence[begin:end], final=False)
    kept = ends[-1] if ends else 0
    assert decoder.decode(kept, sentence[kept:], final=True) == expected


def test_audio_that_is_taken_back_is_forgotten(decoder: SegmentDecoder, sentence: bytes) -> None:
    half = len(sentence) // 4 * 2
    expected = whole(decoder, sentence[:half])
    decoder.decode(0, sentence, final=False)
    assert decoder.decode(half, b"", final=True) == expected


def test_a_partial_of_a_moment_holds_no_words(decoder: SegmentDecoder, sentence: bytes) -> None:
    assert decoder.decode(0, sentence[:100], final=False) == ()
    assert decoder.decode(0, b"", final=False) == ()


class Fragile(SegmentDecoder):
    """Breaks on audio of one byte, as pocketsphinx may break, and is broken from then on."""

    broken = False

    def decode(self, offset: int, pcm: bytes, *, final: bool) -> tuple[DecodedWord, ...]:
        self.broken = self.broken or len(pcm) == 1
        if self.broken:
            raise RuntimeError
        return super().decode(offset, pcm, final=final)


def test_a_decoder_that_breaks_is_replaced(measure: Callable[[bytes], str], sentence: bytes) -> None:
    worker = Worker(lambda: Fragile(measure))
    assert worker.answer(Decode(slot=0, offset=0, pcm=b"\x00", final=True)) == Failed()
    after = worker.answer(Decode(slot=0, offset=0, pcm=sentence, final=True))
    assert isinstance(after, Decoded)
    assert after.words


def test_slots_do_not_share_what_they_heard(measure: Callable[[bytes], str], sentence: bytes) -> None:
    worker = Worker(lambda: SegmentDecoder(measure))
    half = len(sentence) // 4 * 2
    expected = worker.answer(Decode(slot=0, offset=0, pcm=sentence, final=True))
    worker.answer(Decode(slot=0, offset=0, pcm=sentence[:half], final=False))
    worker.answer(Decode(slot=1, offset=0, pcm=sentence[: half // 2], final=False))
    assert worker.answer(Decode(slot=0, offset=half, pcm=sentence[half:], final=True)) == expected


# The pipe


def test_answers_are_read_as_they_were_written() -> None:
    word = DecodedWord(text="cough", start=160, end=4800, probability=0.5)
    answers = (Ready(), Decoded((word,)), Decoded(()), Failed())
    pipe = io.BytesIO()
    for answer in answers:
        write_frame(pipe, answer)
    pipe.seek(0)
    for answer in answers:
        body = read_frame(pipe)
        assert body is not None
        assert read_answer(body) == answer
    assert read_frame(pipe) is None


@pytest.mark.parametrize("length", [0, 1, LENGTH_BYTES, LENGTH_BYTES + 3])
def test_a_frame_that_breaks_off_is_the_end(length: int) -> None:
    assert read_frame(io.BytesIO(frame(Ready())[:length])) is None

"""A child process that decodes speech with pocketsphinx: `python -m pipeline.engines.sphinx_worker`.

A process, because pocketsphinx holds the interpreter's lock while it searches. It speaks `sphinx_wire` on stdin and
stdout, ends when stdin does (so it never outlives a killed server) and writes nothing anywhere else.

Each segment is decoded while it is still growing, so that its final text costs only its last samples. What comes out
depends on the segment's samples alone, not on how often it was looked at nor on what was decoded before:

- the noise estimate is reset where a segment begins;
- the cepstral mean, which a live decoder would carry over from other speech, is measured on the segment's own first
  two seconds (that costs no accuracy against normalising over the whole segment), or on the first one while there are
  less than two, or on whatever there is;
- samples are fed in blocks of 100 ms counted from the segment's start, because pocketsphinx shifts the mean of long
  utterances at block borders.

The second pass over the words found (`fwdflat`) is off: it takes as long as the search itself, and it can only run when
the segment is complete. The best path through the word lattice is searched; that takes milliseconds.
"""

import os
import re
import signal
import sys
from collections.abc import Callable
from typing import BinaryIO

from pocketsphinx import Config, Decoder

from pipeline.engines.sphinx_wire import (
    LENGTH_BYTES,
    Answer,
    Decode,
    Decoded,
    DecodedWord,
    Failed,
    Ready,
    body_length,
    frame,
    read_request,
)

BYTES_PER_SECOND = 32_000  # s16 mono at 16 kHz
BLOCK_BYTES = BYTES_PER_SECOND // 10
HEADS_BYTES = (2 * BYTES_PER_SECOND, BYTES_PER_SECOND)  # what the cepstral mean is measured on: the first that is there
FRAME_SAMPLES = 160  # pocketsphinx counts time in frames of 10 ms
LOG_LEVEL = "FATAL"  # stderr goes nowhere, but a log could hold words

_PRONUNCIATION = re.compile(r"\(\d+\)$")  # "read(2)": the dictionary's second way of saying it
_FILLER = re.compile(r"^[<\[+]")  # "<sil>", "</s>", "[NOISE]", "++breath++": not words


def cepstral_meter() -> Callable[[bytes], str]:
    """A function from audio to its mean cepstrum, as pocketsphinx writes it.

    It asks a decoder that knows and listens for a single word, because that one is made in no time (reading the
    dictionary would take 0.1 s) and hardly searches: 2 % of real time.
    """
    decoder = Decoder(Config(lm=None, dict=None, loglevel=LOG_LEVEL))
    decoder.add_word("a", "AH")
    decoder.add_keyphrase("a", "a")
    decoder.activate_search("a")

    def measure(pcm: bytes) -> str:
        decoder.reinit_feat()
        decoder.start_utt()
        decoder.process_raw(pcm, full_utt=True)
        mean: str = decoder.get_cmn(False)
        decoder.end_utt()
        return mean

    return measure


def head_of(length: int) -> int:
    """Bytes that the cepstral mean is measured on in a segment of `length` bytes."""
    return next((head for head in HEADS_BYTES if head <= length), length)


class SegmentDecoder:
    """Decodes one segment at a time, as it grows."""

    def __init__(self, measure: Callable[[bytes], str]) -> None:
        self._decoder = Decoder(Config(fwdflat=False, loglevel=LOG_LEVEL))
        self._measure = measure
        self._open = False  # between start_utt and end_utt
        self._audio = bytearray()  # the segment so far
        self._fed = 0  # bytes of it that were searched
        self._head = 0  # bytes of it that the cepstral mean was measured on

    def decode(self, offset: int, pcm: bytes, *, final: bool) -> tuple[DecodedWord, ...]:
        """Keep `offset` bytes of the segment, append `pcm`, and say what all of it holds."""
        del self._audio[offset:]
        self._audio += pcm
        if not self._can_go_on(offset, final=final):
            self._begin()
        self._feed(final=final)
        if final:
            self._end()
        words = self._words()
        if final:
            self._audio.clear()
        return words

    def _can_go_on(self, offset: int, *, final: bool) -> bool:
        """Whether what was searched so far is how this segment would have been searched from its start."""
        if not self._open or offset == 0 or self._fed > offset:
            return False
        guess = not final and len(self._audio) < HEADS_BYTES[-1]  # the first words shown have to do with less
        return guess or self._head == head_of(len(self._audio))

    def _begin(self) -> None:
        self._end()
        head = bytes(self._audio[: head_of(len(self._audio))])
        self._decoder.reinit_feat()  # forgets the noise estimate
        if head:
            self._decoder.set_cmn(self._measure(head))
        self._decoder.start_utt()
        self._open, self._fed, self._head = True, 0, len(head)

    def _feed(self, *, final: bool) -> None:
        while len(self._audio) - self._fed >= BLOCK_BYTES:
            self._search(BLOCK_BYTES)
        if final and self._fed < len(self._audio):
            self._search(len(self._audio) - self._fed)

    def _search(self, size: int) -> None:
        self._decoder.process_raw(bytes(self._audio[self._fed : self._fed + size]))
        self._fed += size

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._decoder.end_utt()

    def _words(self) -> tuple[DecodedWord, ...]:
        if self._fed == 0 or self._decoder.hyp() is None:
            return ()
        return tuple(
            DecodedWord(
                text=_PRONUNCIATION.sub("", found.word),
                start=found.start_frame * FRAME_SAMPLES,
                end=min((found.end_frame + 1) * FRAME_SAMPLES, self._fed // 2),
                probability=min(1.0, max(0.0, float(found.prob))),
            )
            for found in self._decoder.seg() or ()
            if not _FILLER.match(found.word)
        )


class Worker:
    """Several decoders, so that several segments can be open at the same time."""

    def __init__(self, make: Callable[[], SegmentDecoder]) -> None:
        self._make = make
        self._slots = {0: make()}  # the others are made (0.4 s, 70 MB) when they are needed

    def answer(self, request: Decode) -> Answer:
        """What the request's segment says."""
        if request.slot not in self._slots:
            self._slots[request.slot] = self._make()
        try:
            return Decoded(self._slots[request.slot].decode(request.offset, request.pcm, final=request.final))
        except (RuntimeError, IndexError):  # what pocketsphinx raises
            del self._slots[request.slot]
            return Failed()


def read_frame(source: BinaryIO) -> bytes | None:
    """The next frame's body; None when the parent has gone, even in the middle of a frame."""
    prefix = source.read(LENGTH_BYTES)
    length = body_length(prefix)
    body = source.read(length)
    return body if len(prefix) == LENGTH_BYTES and len(body) == length else None


def write_frame(sink: BinaryIO, answer: Answer) -> None:
    """Send an answer at once."""
    sink.write(frame(answer))
    sink.flush()


def main() -> None:
    """Serve until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server decides when we end
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the C library must not print into the frames
        measure = cepstral_meter()
        worker = Worker(lambda: SegmentDecoder(measure))
        write_frame(answers, Ready())
        while (body := read_frame(sys.stdin.buffer)) is not None:
            write_frame(answers, worker.answer(read_request(body)))


if __name__ == "__main__":
    main()

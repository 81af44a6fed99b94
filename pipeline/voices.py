"""The voiceprints of one segment: asked for while it is open, complete soon after it is closed. Pure."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from pipeline.clustering import windows
from pipeline.types import Pcm, VoiceprintRequest, Voiceprints

Span: TypeAlias = tuple[int, int]
"""First sample of a window in its stream, and the one behind its last."""


class SegmentVoices:
    """See the module. Which windows count in the end depends only on where the segment begins and ends."""

    def __init__(self, stream_id: str, segment: int) -> None:
        self._stream_id = stream_id
        self._segment = segment
        self._known: dict[Span, np.ndarray[tuple[int], np.dtype[np.float32]] | None] = {}  # None: asked for
        self._wanted: tuple[Span, ...] | None = None  # of the closed segment
        self._unheard_of = False  # voices cannot be told apart

    def ask(self, start: int, pcm: Pcm, speech_start: int, *, closed: bool = False) -> VoiceprintRequest | None:
        """What is still to be asked of the segment that begins at `start` and sounds like `pcm` (so far).

        While it is open only windows are asked that will count in any case; `closed`, all.
        """
        spans = windows(max(start, speech_start), start + len(pcm))
        if closed:
            self._wanted = tuple(spans)
        else:
            spans = spans[:-1]
        new = tuple(span for span in spans if span not in self._known)
        if not new or self._unheard_of:
            return None
        self._known |= dict.fromkeys(new)
        audio = tuple(pcm[first - start : behind - start] for first, behind in new)
        return VoiceprintRequest(stream_id=self._stream_id, segment=self._segment, spans=new, windows=audio)

    def answer(self, request: VoiceprintRequest, prints: Voiceprints | None) -> None:
        """Take an answer; None: voices cannot be told apart."""
        if prints is None:
            self._unheard_of = True
            return
        self._known |= dict(zip(request.spans, prints.vectors, strict=True))

    @property
    def complete(self) -> bool:
        """Whether the segment is closed and nothing is waited for."""
        if self._wanted is None:
            return False
        return self._unheard_of or all(self._known.get(span) is not None for span in self._wanted)

    @property
    def prints(self) -> Voiceprints | None:
        """What is known of a segment that is `complete`."""
        vectors: Sequence[object] = [self._known.get(span) for span in self._wanted or ()]
        if self._unheard_of or not vectors:
            return None
        return Voiceprints(spans=self._wanted or (), vectors=np.stack([np.asarray(v, np.float32) for v in vectors]))

"""Deciding that speech began and that it ended, from one probability of speech per window.

Two thresholds (hysteresis) make three inputs: a window is *loud* (probability ≥ start), *quiet* (< end) or *unsure*
(between). One window at a time, the automaton moves by this table; `n` counts the windows since the state was entered:

    state      loud                              unsure              quiet
    ─────────  ────────────────────────────────  ──────────────────  ─────────────────────────────────
    QUIET      STARTING                          QUIET               QUIET
    STARTING   n ≥ min_speech: SPEAKING, began   STARTING            QUIET
    SPEAKING   SPEAKING                          SPEAKING            STOPPING, paused
    STOPPING   SPEAKING, resumed                 STOPPING            n ≥ silence: QUIET, ended

`began` is reported late by the windows that STARTING lasted, `ended` by those of STOPPING: both say how many, so that
the caller knows where speech really began and ended. The four states are those of pipecat's VAD analyser.
"""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.types import WINDOW, to_samples


class Speech(StrEnum):
    """State of the automaton."""

    QUIET = "quiet"
    STARTING = "starting"
    SPEAKING = "speaking"
    STOPPING = "stopping"


class Change(StrEnum):
    """What a window changed."""

    NONE = "none"
    BEGAN = "began"
    PAUSED = "paused"
    RESUMED = "resumed"
    ENDED = "ended"


QUIET, STARTING, SPEAKING, STOPPING = Speech.QUIET, Speech.STARTING, Speech.SPEAKING, Speech.STOPPING


def windows(ms: float) -> int:
    """How many windows cover a time in milliseconds; at least one."""
    return max(1, -(-to_samples(ms) // WINDOW))


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When speech begins and ends."""

    start: float = 0.5  # probability from which a window is loud
    end: float = 0.35  # probability below which a window is quiet
    min_speech: int = 3  # windows of STARTING before speech counts as begun (a cough is shorter)
    silence: int = 12  # windows of STOPPING before speech counts as ended: the endpoint delay


class Endpointing:
    """The automaton of the table above, for one stream."""

    def __init__(self, thresholds: Thresholds, state: Speech = QUIET, lasted: int = 0) -> None:
        self.thresholds = thresholds
        self.state = state
        self.lasted = lasted  # windows since the state was entered, the last one included

    def receive(self, probability: float) -> Change:
        """Judge the next window; say what it changed."""
        loud = probability >= self.thresholds.start
        quiet = probability < self.thresholds.end
        self.lasted += 1
        if self.state is QUIET:
            if loud:
                return self._started()
        elif self.state is STARTING:
            if quiet:
                self._enter(QUIET)
            elif loud and self.lasted >= self.thresholds.min_speech:
                return self._enter(SPEAKING, self.lasted, Change.BEGAN)
        elif self.state is SPEAKING:
            if quiet:
                return self._enter(STOPPING, 1, Change.PAUSED)
        elif loud:
            return self._enter(SPEAKING, 1, Change.RESUMED)
        elif quiet and self.lasted >= self.thresholds.silence:
            return self._enter(QUIET, self.lasted, Change.ENDED)
        return Change.NONE

    def _started(self) -> Change:
        if self.thresholds.min_speech <= 1:
            return self._enter(SPEAKING, 1, Change.BEGAN)
        return self._enter(STARTING, 1)

    def _enter(self, state: Speech, lasted: int = 0, change: Change = Change.NONE) -> Change:
        """`lasted` keeps counting through BEGAN and ENDED, where it says how late they are."""
        self.state = state
        self.lasted = lasted
        return change

"""Captions: texts with their times, as plain text, SubRip (.srt) and WebVTT (https://www.w3.org/TR/webvtt1/). Pure."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple


class Cue(NamedTuple):
    """A text, and when it is to be seen."""

    start_ms: int
    end_ms: int
    text: str
    speaker: str = ""


def plain(cues: Sequence[Cue]) -> str:
    """A line for each, "Doctor: How are you?"."""
    return "".join(f"{_named(cue)}\n" for cue in cues)


def srt(cues: Sequence[Cue]) -> str:
    """SubRip: numbered blocks, with a comma before the milliseconds."""
    return "".join(
        f"{number}\n{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}\n{_named(cue)}\n\n"
        for number, cue in enumerate(cues, 1)
    )


def vtt(cues: Sequence[Cue]) -> str:
    """WebVTT, with a voice span (§3.3.4) where the speaker is known."""
    return "WEBVTT\n\n" + "".join(
        f"{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')}\n{_voiced(cue)}\n\n" for cue in cues
    )


def _time(ms: int, point: str) -> str:
    seconds, thousandths = divmod(ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{thousandths:03d}"


def _named(cue: Cue) -> str:
    line = _line(cue.text).replace("-->", "->")  # which would begin another block
    return f"{_line(cue.speaker)}: {line}" if cue.speaker else line


def _voiced(cue: Cue) -> str:
    line = escape(_line(cue.text), quote=False)
    return f"<v {escape(_line(cue.speaker), quote=False)}>{line}" if cue.speaker else line


def _line(text: str) -> str:
    """An empty line ends a cue."""
    return " ".join(text.split())

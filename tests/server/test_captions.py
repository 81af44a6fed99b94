"""Captions: what players read."""

from server.captions import Cue, srt, vtt

LATE = Cue(3_600_000 + 61_000 + 5, 3_662_000, "Good  day.\n\nIt hurts.")


def test_subrip_numbers_its_cues_and_writes_milliseconds_behind_a_comma() -> None:
    written = srt([Cue(0, 1_250, "Hello."), LATE])
    assert written == (
        "1\n00:00:00,000 --> 00:00:01,250\nHello.\n\n2\n01:01:01,005 --> 01:01:02,000\nGood day. It hurts.\n\n"
    )


def test_webvtt_begins_with_its_name_and_writes_a_point() -> None:
    assert vtt([LATE]) == "WEBVTT\n\n01:01:01.005 --> 01:01:02.000\nGood day. It hurts.\n\n"
    assert vtt([]) == "WEBVTT\n\n"


def test_no_text_is_taken_for_markup_or_for_a_time() -> None:
    text = "BP < 120 & falling --> 00:00"
    assert "<v the doctor>BP &lt; 120 &amp; falling --&gt; 00:00\n" in vtt([Cue(0, 1, text, "the doctor")])
    (line,) = [line for line in srt([Cue(0, 1, text, "Doctor")]).splitlines() if "BP" in line]
    assert line == "Doctor: BP < 120 & falling -> 00:00"

from pipeline.speakers import Speaker, speakers
from pipeline.types import SAMPLE_RATE, Role, Utterance


def item(speaker: str, start: float, end: float, text: str, role: Role = Role.UNSPECIFIED) -> Utterance:
    return Utterance(
        id=f"{speaker}{start}",
        stream="s",
        role=role,
        start=round(start * SAMPLE_RATE),
        end=round(end * SAMPLE_RATE),
        text=text,
        speaker=speaker,
    )


def test_talk_time_turns_and_words_of_each() -> None:
    items = [
        item("s1", 0, 2, "how are you", Role.DOCTOR),
        item("s2", 2, 3, "not well", Role.PATIENT),
        item("s2", 3.5, 5, "at all", Role.PATIENT),
        item("s1", 5, 6, "oh", Role.DOCTOR),
    ]
    assert speakers(items) == (
        Speaker(id="s1", role=Role.DOCTOR, talk_ms=3000, overlap_ms=0, turns=2, words=4),
        Speaker(id="s2", role=Role.PATIENT, talk_ms=2500, overlap_ms=0, turns=1, words=4),
    )


def test_time_in_which_two_speak_counts_for_both() -> None:
    first, second = speakers([item("s1", 0, 4, "a b c"), item("s2", 3, 6, "d e")])
    assert (first.talk_ms, first.overlap_ms) == (4000, 1000)
    assert (second.talk_ms, second.overlap_ms) == (3000, 1000)


def test_unknown_speakers_are_summed_up_and_nothing_is_nobody() -> None:
    (unknown,) = speakers([item("", 1, 2, "a"), item("", 4, 5, "b")])
    assert (unknown.id, unknown.turns, unknown.talk_ms) == ("", 1, 2000)
    assert speakers([]) == ()


def test_shared_time_is_counted_once_however_many_speak_in_it() -> None:
    said = [
        item("a", 0, 10, "one"),
        item("b", 1, 3, "two"),
        item("c", 2, 4, "three"),
        item("b", 9, 12, "four"),
        item("a", 11, 13, "five"),
    ]
    a, b, c = speakers(said)
    assert (a.overlap_ms, b.overlap_ms, c.overlap_ms) == (5000, 4000, 2000)

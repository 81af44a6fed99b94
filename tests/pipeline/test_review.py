"""What a diarisation of a whole stream changes of its labels."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipeline.attribution.review import review
from pipeline.events import SpeakerRenamed
from pipeline.types import SAMPLE_RATE, Role, SpokenSpan, Utterance
from tests.fakes import words

ROLES = {"s1": Role.DOCTOR, "s2": Role.PATIENT, "s3": Role.UNSPECIFIED, "": Role.UNSPECIFIED}
TURN = 4 * SAMPLE_RATE


def turns(speakers: Iterable[str]) -> list[Utterance]:
    """A turn of four seconds for each name, ten words in its first half."""
    return [
        Utterance(
            id=f"item{index}",
            stream="stream0",
            role=ROLES[speaker],
            start=index * TURN,
            end=index * TURN + 10 * 3200,
            text="ten words",
            words=words("a b c d e f g h i j", start=index * TURN, length=3200),
            speaker=speaker,
        )
        for index, speaker in enumerate(speakers)
    ]


def spans(voices: Iterable[str]) -> list[SpokenSpan]:
    """A span of four seconds for each name; "" is silence."""
    return [
        SpokenSpan(start=index * TURN, end=(index + 1) * TURN, speaker=voice)
        for index, voice in enumerate(voices)
        if voice
    ]


def applied(items: Sequence[Utterance], renames: Iterable[SpeakerRenamed]) -> list[Utterance]:
    news = {name: rename for rename in renames for name in rename.items}
    return [
        replace(item, speaker=news[item.id].speaker, role=news[item.id].role) if item.id in news else item
        for item in items
    ]


def reviewed(speakers: Sequence[str], voices: Sequence[str]) -> list[str]:
    items = turns(speakers)
    return [item.speaker for item in applied(items, review(items, spans(voices)))]


S = ["s1", "s2"]


def test_where_both_agree_nothing_changes_whatever_the_names() -> None:
    assert review(turns(S * 3), spans(["B", "A"] * 3)) == []


def test_an_item_given_to_the_wrong_speaker_is_given_back_with_that_speaker_s_role() -> None:
    items = turns(["s1", "s2", "s1", "s1", "s1", "s2"])
    assert review(items, spans(["A", "B", "A", "B", "A", "B"])) == [
        SpeakerRenamed(speaker="s2", role=Role.PATIENT, items=("item3",))
    ]


def test_an_item_that_nobody_could_be_named_for_gets_its_speaker() -> None:
    assert reviewed(["s1", "s2", "", "s2"], ["A", "B", "A", "B"]) == ["s1", "s2", "s1", "s2"]


def test_an_item_that_the_diarisation_hears_nobody_in_keeps_its_label() -> None:
    assert reviewed(["s1", "s2", "s2", "s2"], ["A", "B", "", "B"]) == ["s1", "s2", "s2", "s2"]


def test_a_voice_under_two_names_is_one_speaker() -> None:
    speakers = ["s1", "s2", "s1", "s2", "s1", "s1", "s1", "s1", "s1", "s2"]
    voices = ["A", "B", "A", "B", "C", "C", "C", "A", "A", "C"]
    assert reviewed(speakers, voices) == [*speakers[:9], "s1"]


def test_where_the_diarisation_hears_one_voice_only_doctor_and_patient_stay() -> None:
    assert reviewed(S * 3, ["A"] * 6) == S * 3


def test_a_stray_speaker_without_a_role_is_taken_back() -> None:
    assert reviewed(["s1", "s2", "s1", "s2", "s3", "s2"], ["A", "B"] * 3) == S * 3


def test_no_speaker_appears() -> None:
    assert reviewed(["s1"] * 4, ["A", "B", "A", "B"]) == ["s1"] * 4


def test_words_said_while_somebody_else_talks_do_not_decide() -> None:
    items = turns(["s1", "s2", "s1", "s2"])
    half = 2 * TURN + 5 * 3200
    heard = [span for span in spans(["A", "B", "A", "B"]) if span.start != 2 * TURN]
    heard += [
        SpokenSpan(start=2 * TURN, end=half, speaker="A"),
        SpokenSpan(start=half, end=3 * TURN, speaker="B", overlap=True),
    ]
    assert review(items, heard) == []


def test_an_item_of_two_voices_keeps_its_label() -> None:
    items = turns(["s1", "s2", "s1", "s2"])
    heard = [span for span in spans(["A", "B", "A", "B"]) if span.start != 2 * TURN]
    middle = 2 * TURN + 5 * 3200
    heard += [
        SpokenSpan(start=2 * TURN, end=middle, speaker="A"),
        SpokenSpan(start=middle, end=3 * TURN, speaker="B"),
    ]
    assert review(items, heard) == []


def test_nothing_is_made_of_nothing() -> None:
    assert review([], spans(["A"])) == []
    assert review(turns(S), []) == []


NAMES = st.lists(st.tuples(st.sampled_from(["s1", "s2", "s3", ""]), st.sampled_from("ABCDEFGH ")), max_size=14)


@given(NAMES)
def test_a_second_review_finds_nothing_more(names: list[tuple[str, str]]) -> None:
    items = turns(speaker for speaker, _ in names)
    heard = spans(voice.strip() for _, voice in names)
    once = applied(items, review(items, heard))
    assert review(once, heard) == []
    assert {item.speaker for item in once} <= {item.speaker for item in items}
    assert [(item.id, item.text, item.words) for item in once] == [(item.id, item.text, item.words) for item in items]

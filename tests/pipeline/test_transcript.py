from pipeline.transcript import chronological, item_id, sentences, utterances
from pipeline.types import Role, StreamOptions, to_ms
from tests.fakes import words

OPTIONS = StreamOptions(encounter="e1", stream="stream1", role=Role.DOCTOR)


def test_the_same_place_has_the_same_id_and_another_place_another() -> None:
    assert item_id(OPTIONS, 3) == item_id(OPTIONS, 3)
    assert item_id(OPTIONS, 3) != item_id(OPTIONS, 4)


def test_a_segment_is_one_item_unless_sentences_are_asked_for() -> None:
    said = words("Any pain? No.")
    (item,) = utterances(OPTIONS, Role.DOCTOR, 0, said)
    assert item.text == "Any pain? No."
    split = StreamOptions(encounter="e1", stream="stream1", split_by_sentence=True)
    first, second = utterances(split, Role.DOCTOR, 0, said)
    assert (first.text, second.text) == ("Any pain?", "No.")
    assert first.id != second.id
    assert first.end_ms == to_ms(said[1].end)


def test_an_abbreviation_ends_no_sentence() -> None:
    assert [len(group) for group in sentences(words("I saw Dr. Jones yesterday. Good."))] == [5, 1]


def test_silence_is_no_item() -> None:
    assert utterances(OPTIONS, Role.DOCTOR, 0, ()) == ()


def test_items_are_ordered_by_when_they_were_spoken() -> None:
    late = utterances(OPTIONS, Role.DOCTOR, 1, words("later", start=90_000))
    early = utterances(OPTIONS, Role.PATIENT, 0, words("earlier"))
    assert [item.text for item in chronological([*late, *early])] == ["earlier", "later"]

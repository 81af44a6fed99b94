import pytest

from pipeline.transcript import chronological, item_id, sentences, spoken, utterances
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


@pytest.mark.parametrize(
    "told",
    [
        "I saw Dr. Jones yesterday. | Good.",
        "Take 3.5 mg. | Then 0.5 mg. at night.",
        "Take it at 8 a.m. and at 5 p.m. every day. | Okay.",
        "Come back at 5 p.m. | We close at 6.",
        "Twice a day, b.i.d. is what we write. | Yes.",
        "Some painkillers, e.g. ibuprofen, i.e. Advil, vs. aspirin. | Fine.",
        "Milk, eggs, etc. are fine. | Fish, etc. | Nothing else.",
        "Any pain? | No. | 5 days ago it stopped.",
        'He said "stop." | Then he left.',
        "It hurts (mostly at night). | Does it?",
        "(Dr. Smith was here.) | Yes.",
        "I... I don't know. | Well... okay.",
        "It was bad… | Now it is fine.",
        "Really?! | Yes!",
        "Ich nehme z.B. Aspirin, ca. 100 mg bzw. mehr. | Gut.",
        "Avez-vous mal ? | Oui.",
        "i have pain. | it hurts.",  # a recogniser that knows no capitals
        "no marks at all",
        "it ends open. | then it",
    ],
)
def test_a_sentence_ends_where_a_reader_would_say_so(told: str) -> None:
    said = words(told.replace(" | ", " "))
    assert " | ".join(" ".join(word.text for word in group) for group in sentences(said)) == told


def test_sentences_have_the_times_of_their_words_and_ids_that_stay() -> None:
    split = StreamOptions(encounter="e1", stream="stream1", split_by_sentence=True)
    said = words("Any pain? No. I saw Dr. Jones.")
    items = utterances(split, Role.PATIENT, 4, said)
    assert [(item.start, item.end) for item in items] == [
        (said[0].start, said[1].end),
        (said[2].start, said[2].end),
        (said[3].start, said[-1].end),
    ]
    assert [item.id for item in items] == [item_id(split, 4, sentence) for sentence in range(3)]
    assert utterances(split, Role.PATIENT, 4, said) == items
    assert [word for item in items for word in item.words] == list(said)


def test_where_several_spoke_each_sentence_keeps_its_speaker_and_has_an_id_of_its_own() -> None:
    split = StreamOptions(encounter="e1", stream="room", split_by_sentence=True)
    said = words("Any pain? Where? No. Nowhere.")
    items = spoken(split, 0, [("anna", said[:3], False), ("ben", said[3:], True)])
    assert [(item.speaker, item.text, item.overlap) for item in items] == [
        ("anna", "Any pain?", False),
        ("anna", "Where?", False),
        ("ben", "No.", True),
        ("ben", "Nowhere.", True),
    ]
    assert [item.id for item in items] == [item_id(split, 0, sentence) for sentence in range(4)]


def test_silence_is_no_item() -> None:
    assert utterances(OPTIONS, Role.DOCTOR, 0, ()) == ()


def test_items_are_ordered_by_when_they_were_spoken() -> None:
    late = utterances(OPTIONS, Role.DOCTOR, 1, words("later", start=90_000))
    early = utterances(OPTIONS, Role.PATIENT, 0, words("earlier"))
    assert [item.text for item in chronological([*late, *early])] == ["earlier", "later"]

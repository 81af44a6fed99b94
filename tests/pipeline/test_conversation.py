from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.conversation import Conversation, ConversationOptions
from pipeline.events import (
    ChannelsSplit,
    Committed,
    Event,
    RoleDoubted,
    SpeakerRenamed,
    StreamFinished,
)
from pipeline.types import Role, Utterance
from tests.voices import DIFFERENT, SAME, Voices, said, stream

ASKS = "how long have you had this pain in your chest and does it get worse when you breathe"
TELLS = "i have had it for three days and i feel really sick my wife told me to come"
MORE = "okay let me listen to your lungs please take a deep breath are you taking any medication"
LESS = "no i am not taking anything i just had some paracetamol last night and it helped me"


def conversation(state: bytes = b"", items: Sequence[Utterance] = (), expected: int = 2) -> Conversation:
    options = ConversationOptions(expected_speakers=expected, same=SAME, different=DIFFERENT)
    return Conversation(options, state, items)


class Room:
    """One mixed stream, and everything that was told of it."""

    def __init__(
        self, subject: Conversation | None = None, expected: int = 2, name: str = "s", **options: object
    ) -> None:
        self.stream = stream(name, **options)
        self.subject = subject or conversation(expected=expected)
        self.subject.open(self.stream)
        self.events: list[Event] = []
        self.labels: dict[str, tuple[str, Role]] = {}
        self.items: dict[str, Utterance] = {}
        self.segment = 0
        self.now = 0.0

    def hear(self, voices: Voices, *parts: tuple[str, str], known: bool = True) -> list[Utterance]:
        event = said(voices, parts, begin=self.now, segment=self.segment, options=self.stream, known=known)
        self.segment += 1
        self.now += sum(len(text.split()) for _, text in parts) * 0.4 + 0.6
        self.subject.receive(event)
        return self.take()

    def take(self) -> list[Utterance]:
        told: list[Utterance] = []
        for event in self.subject.events():
            self.events.append(event)
            if isinstance(event, Committed):
                for item in event.utterances:
                    assert item.id not in self.items
                    self.items[item.id] = item
                    self.labels[item.id] = (item.speaker, item.role)
                    told.append(item)
            if isinstance(event, SpeakerRenamed):
                for each in event.items:
                    self.labels[each] = (event.speaker, event.role)
        return told

    def end(self) -> None:
        self.subject.receive(StreamFinished(stream=self.stream.stream, duration=0))
        self.subject.end()
        self.take()

    def role_of(self, text: str) -> Role:
        return next(self.labels[item.id][1] for item in self.items.values() if item.text == text)

    def speaker_of(self, text: str) -> str:
        return next(self.labels[item.id][0] for item in self.items.values() if item.text == text)


def visit(room: Room, voices: Voices, times: int = 2) -> None:
    for _ in range(times):
        room.hear(voices, ("d", ASKS))
        room.hear(voices, ("p", TELLS))
        room.hear(voices, ("d", MORE))
        room.hear(voices, ("p", LESS))


def test_doctor_and_patient_are_told_apart_in_one_stream() -> None:
    room, voices = Room(), Voices("d", "p")
    visit(room, voices)
    room.end()
    assert {room.labels[item.id][1] for item in room.items.values() if item.text in (ASKS, MORE)} == {Role.DOCTOR}
    assert {room.labels[item.id][1] for item in room.items.values() if item.text in (TELLS, LESS)} == {Role.PATIENT}
    assert {speaker for speaker, _ in room.labels.values()} == {"s1", "s2"}


def test_a_segment_is_cut_between_words_where_the_voice_changes() -> None:
    room, voices = Room(), Voices("d", "p")
    visit(room, voices)
    told = room.hear(voices, ("d", MORE), ("p", LESS))
    assert [item.text for item in told] == [MORE, LESS]
    assert [item.role for item in told] == [Role.DOCTOR, Role.PATIENT]
    assert len({item.id for item in told}) == 2
    assert told[0].end == told[1].start


def test_what_was_said_before_voices_are_known_gets_its_label_by_an_event() -> None:
    room, voices = Room(), Voices("d", "p")
    (first,) = room.hear(voices, ("d", "hello"))
    assert first.role is Role.UNSPECIFIED
    visit(room, voices)
    room.end()
    assert room.role_of("hello") is Role.DOCTOR
    assert any(isinstance(event, SpeakerRenamed) and first.id in event.items for event in room.events)


def test_a_third_voice_is_kept_apart_and_has_no_role() -> None:
    room, voices = Room(), Voices("d", "p", "wife")
    visit(room, voices)
    for _ in range(4):
        room.hear(voices, ("wife", "we were at home when it began and then we drove here at once together"))
        room.hear(voices, ("d", ASKS))
    room.end()
    others = {room.labels[item.id] for item in room.items.values() if item.text.startswith("we were")}
    assert others == {("s3", Role.UNSPECIFIED)}
    assert room.role_of(TELLS) is Role.PATIENT


def test_one_voice_is_one_speaker() -> None:
    room, voices = Room(), Voices("d")
    for _ in range(20):
        room.hear(voices, ("d", MORE))
    room.end()
    assert {speaker for speaker, _ in room.labels.values()} == {"s1"}


def test_voices_that_sound_alike_are_not_torn_apart() -> None:
    room, voices = Room(), Voices("d", "p", alike=0.995)
    visit(room, voices, 4)
    room.end()
    assert len({speaker for speaker, _ in room.labels.values()}) == 1


def test_without_voiceprints_everything_is_unspecified() -> None:
    room, voices = Room(), Voices("d", "p")
    for text in (ASKS, TELLS, MORE, LESS) * 3:
        room.hear(voices, ("d", text), known=False)
    room.end()
    assert set(room.labels.values()) == {("", Role.UNSPECIFIED)}


def test_a_declared_role_stands_and_is_doubted_once_where_the_words_are_another_s() -> None:
    room, voices = Room(role=Role.PATIENT, voices=False), Voices("d")
    for _ in range(30):
        room.hear(voices, ("d", ASKS), known=False)
        room.hear(voices, ("d", MORE), known=False)
    room.end()
    assert {role for _, role in room.labels.values()} == {Role.PATIENT}
    assert [event for event in room.events if isinstance(event, RoleDoubted)] == [
        RoleDoubted(stream="s", declared=Role.PATIENT)
    ]


def test_a_declared_role_is_not_doubted_where_the_words_fit() -> None:
    room, voices = Room(role=Role.DOCTOR, voices=False), Voices("d")
    for _ in range(30):
        room.hear(voices, ("d", ASKS), known=False)
    assert not [event for event in room.events if isinstance(event, RoleDoubted)]


def test_a_few_neutral_words_get_no_role() -> None:
    room, voices = Room(), Voices("d", "p")
    room.hear(voices, ("d", "good morning today"))
    room.hear(voices, ("p", "good morning today"))
    room.end()
    assert {role for _, role in room.labels.values()} == {Role.UNSPECIFIED}


def test_two_streams_of_undeclared_roles_are_two_speakers_with_roles() -> None:
    subject, voices = conversation(), Voices("d", "p")
    left, right = Room(subject, name="left"), Room(subject, name="right")
    for _ in range(3):
        left.hear(voices, ("d", ASKS))
        right.now = left.now
        right.hear(voices, ("p", TELLS))
        left.now = right.now
    subject.end()
    left.take()
    roles = {item.stream: left.labels.get(item.id, right.labels.get(item.id)) for item in left.items.values()}
    assert roles["left"] == ("s1", Role.DOCTOR)


def test_channels_that_were_split_are_one_speaker_each() -> None:
    subject, voices = conversation(), Voices("d", "p")
    sides = tuple(stream(f"s.{side}") for side in ("left", "right"))
    subject.open(stream())
    subject.receive(ChannelsSplit(stream="s", streams=(sides[0], sides[1])))
    told: dict[str, Utterance] = {}
    for turn in range(6):
        side, text = sides[turn % 2], (ASKS, TELLS)[turn % 2]
        subject.receive(said(voices, [("dp"[turn % 2], text)], begin=turn * 10, segment=turn // 2, options=side))
    subject.receive(StreamFinished(stream="s", duration=0))
    subject.end()
    for event in subject.events():
        if isinstance(event, Committed):
            told |= {item.id: item for item in event.utterances}
        if isinstance(event, SpeakerRenamed):
            for each in event.items:
                told[each] = replace(told[each], speaker=event.speaker, role=event.role)
    assert {(item.stream, item.speaker, item.role) for item in told.values()} == {
        ("s.left", "s1", Role.DOCTOR),
        ("s.right", "s2", Role.PATIENT),
    }


def test_on_one_channel_with_everybody_beside_a_dead_one_voices_tell() -> None:
    subject, voices = conversation(), Voices("d", "p")
    left, right = stream("s.left"), stream("s.right")
    subject.open(stream())
    subject.receive(ChannelsSplit(stream="s", streams=(left, right)))
    labels: dict[str, tuple[str, Role]] = {}
    for turn in range(12):
        text = (ASKS, TELLS)[turn % 2]
        subject.receive(said(voices, [("dp"[turn % 2], text)], begin=turn * 10, segment=turn, options=left))
    subject.end()
    texts: dict[str, str] = {}
    for event in subject.events():
        if isinstance(event, Committed):
            labels |= {item.id: (item.speaker, item.role) for item in event.utterances}
            texts |= {item.id: item.text for item in event.utterances}
        if isinstance(event, SpeakerRenamed):
            labels |= dict.fromkeys(event.items, (event.speaker, event.role))
    assert {role for each, (_, role) in labels.items() if texts[each] == ASKS} == {Role.DOCTOR}
    assert {role for each, (_, role) in labels.items() if texts[each] == TELLS} == {Role.PATIENT}


def test_another_process_goes_on_with_the_same_speakers() -> None:
    voices, room = Voices("d", "p"), Room()
    visit(room, voices)
    state = room.subject.state()
    items = [replace(item, speaker=room.labels[i][0], role=room.labels[i][1]) for i, item in room.items.items()]
    again = Room(conversation(state, items))
    again.segment, again.now = room.segment, room.now
    (patient,) = again.hear(voices, ("p", LESS))
    (doctor,) = again.hear(voices, ("d", MORE))
    assert (patient.speaker, patient.role) == (room.speaker_of(TELLS), Role.PATIENT)
    assert (doctor.speaker, doctor.role) == (room.speaker_of(ASKS), Role.DOCTOR)


def test_what_is_kept_stays_small_over_four_hours() -> None:
    voices, room = Voices("d", "p"), Room()
    sizes = []
    for _ in range(600):
        room.hear(voices, ("d", ASKS))
        room.hear(voices, ("p", TELLS))
        sizes.append(len(room.subject.state()))
    assert max(sizes) < 20_000
    assert sizes[-1] == sizes[99]


@settings(max_examples=40)
@given(
    turns=st.lists(
        st.tuples(st.sampled_from(["d", "p", "x"]), st.sampled_from([ASKS, TELLS, MORE, LESS, "yes", "no never"])),
        min_size=1,
        max_size=25,
    ),
    seed=st.integers(1, 5),
)
def test_every_label_that_changes_is_told(turns: list[tuple[str, str]], seed: int) -> None:
    room, voices = Room(), Voices("d", "p", "x", seed=seed)
    for turn in turns:
        room.hear(voices, turn)
    room.end()
    held = {final.id: (final.speaker, final.told[1]) for final in room.subject._finals.values()}
    assert held == room.labels
    assert [word for item in room.items.values() for word in item.text.split()] == [
        word for _, text in turns for word in text.split()
    ]


@pytest.mark.parametrize("broken", [np.zeros((0, 64), np.float32), np.zeros((3, 64), np.float32)])
def test_voiceprints_of_nothing_do_no_harm(broken: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
    voices, room = Voices("d"), Room()
    event = said(voices, [("d", "yes")], begin=0, segment=0, options=room.stream)
    assert event.voices is not None
    spans = event.voices.spans[:1] * len(broken)
    room.subject.receive(replace(event, voices=type(event.voices)(spans=spans, vectors=broken)))
    assert [item.text for item in room.take()] == ["yes"]


def test_a_number_that_a_merge_frees_is_not_given_to_somebody_else() -> None:
    subject = Conversation(ConversationOptions())
    assert [subject._label(voice) for voice in "123"] == ["s1", "s2", "s3"]
    subject._merge("2", "1")
    assert subject._label("4") == "s4"


# Corrections


def test_a_correction_is_told_and_stands_against_all_that_is_said_later() -> None:
    room, voices = Room(), Voices("d", "p")
    visit(room, voices)
    doctor, patient = room.speaker_of(ASKS), room.speaker_of(TELLS)
    room.subject.correct({doctor: Role.PATIENT, patient: Role.DOCTOR})
    room.take()
    assert (room.role_of(ASKS), room.role_of(TELLS)) == (Role.PATIENT, Role.DOCTOR)
    (more,) = room.hear(voices, ("d", MORE))
    assert (more.speaker, more.role) == (doctor, Role.PATIENT)
    room.end()
    assert {role for speaker, role in room.labels.values() if speaker == doctor} == {Role.PATIENT}


def test_a_correction_outlives_the_process() -> None:
    room, voices = Room(), Voices("d", "p")
    visit(room, voices)
    doctor = room.speaker_of(ASKS)
    room.subject.correct({doctor: Role.UNSPECIFIED})
    room.take()
    items = [
        replace(item, speaker=room.labels[item.id][0], role=room.labels[item.id][1]) for item in room.items.values()
    ]
    again = Room(conversation(room.subject.state(), items))
    again.segment, again.now = room.segment, room.now
    (more,) = again.hear(voices, ("d", MORE))
    assert (more.speaker, more.role) == (doctor, Role.UNSPECIFIED)


def test_a_correction_goes_before_the_role_that_a_stream_was_declared_with() -> None:
    room = Room(name="mic", role=Role.DOCTOR, voices=False)
    voices = Voices("d")
    (first,) = room.hear(voices, ("d", ASKS))
    assert first.role is Role.DOCTOR
    room.subject.correct({first.speaker: Role.PATIENT})
    room.take()
    assert room.role_of(ASKS) is Role.PATIENT
    (second,) = room.hear(voices, ("d", MORE))
    assert second.role is Role.PATIENT

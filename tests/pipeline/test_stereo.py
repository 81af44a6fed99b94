"""One stream of one channel or two: what becomes of it, whatever its audio is cut into, and behind a takeover."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.endpointing import Thresholds
from pipeline.engines.scripted import script
from pipeline.errors import RecognitionFailed, UndecodableAudio
from pipeline.events import ChannelsSplit, Committed, Event, SegmentLost, StreamFailed, StreamFinished
from pipeline.segmenter import SegmenterOptions
from pipeline.session import Session, SessionOptions
from pipeline.stereo import StereoSession
from pipeline.types import SAMPLE_RATE, WINDOW, Audio, Checkpoint, Ear, Role, StreamOptions, Utterance
from tests.fakes import LoudnessModel, silence, speech
from tests.talk import both, dual, inverted, talk

STREAM = StreamOptions(encounter="e1", stream="stream0")
OPTIONS = SessionOptions(
    segmenter=SegmenterOptions(thresholds=Thresholds(min_speech=3, silence=10), pre_roll=4, hangover=3),
    partial_interval=0,
)
ROLES = (Role.PATIENT, Role.DOCTOR)
SECOND = SAMPLE_RATE


def session(
    checkpoints: Sequence[Checkpoint] = (), hints: Sequence[Role] = (), stream: StreamOptions = STREAM
) -> StereoSession:
    return StereoSession(stream, OPTIONS, LoudnessModel(), checkpoints, hints)


@dataclass(kw_only=True)
class Told:
    """What came out of a session, and where it could have been taken up again."""

    events: list[Event] = field(default_factory=list)
    states: list[tuple[Checkpoint, ...]] = field(default_factory=list)

    @property
    def items(self) -> list[Utterance]:
        return [item for event in self.events if isinstance(event, Committed) for item in event.utterances]

    @property
    def streams(self) -> set[str]:
        return {item.stream for item in self.items}

    def of(self, kind: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def take(self, subject: StereoSession, first: Sequence[Checkpoint] = ()) -> None:
        """Answer what is asked until nothing more is."""
        while requests := subject.recognition_requests():
            for request in requests:
                subject.receive_hypothesis(request, script(request))
        state = list(self.states[-1] if self.states else first or [Checkpoint()])
        for event in subject.events():
            self.events.append(event)
            if isinstance(event, Committed):
                if event.checkpoint.ear is Ear.RIGHT:
                    state[1:] = [event.checkpoint]
                else:
                    state[0] = event.checkpoint
        self.states.append(tuple(state))


def told(*pieces: Audio, subject: StereoSession | None = None, first: Sequence[Checkpoint] = ()) -> Told:
    subject, result = subject or session(), Told()
    for piece in pieces:
        subject.receive_audio(piece)
        result.take(subject, first)
    subject.receive_end()
    result.take(subject, first)
    assert subject.finished
    return result


def in_turns() -> Audio:
    """Left speaks, then right, then left again. Shape `(n, 2)`."""
    turns = [(talk(2.0, 1), None), (None, talk(1.5, 2)), (talk(1.0, 3), None)]
    parts = [np.zeros((3 * SECOND, 2), np.float32)]
    for left, right in turns:
        length = len(left if left is not None else right if right is not None else ())
        still = np.zeros(length, np.float32)
        parts.append(both(still if left is None else left, still if right is None else right))
        parts.append(np.zeros((SECOND, 2), np.float32))
    return np.concatenate(parts)


def cut(audio: Audio, sizes: Sequence[int]) -> list[Audio]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(audio[at : at + size])
        at += size
    return [*pieces, audio[at:]]


def test_one_channel_is_a_session_like_any_other() -> None:
    audio = np.concatenate([silence(1000), speech(800), silence(1000), speech(500)])
    alone = Session(STREAM, OPTIONS, LoudnessModel())
    alone.receive_audio(audio)
    alone.receive_end()
    for request in alone.recognition_requests():
        alone.receive_hypothesis(request, script(request))
    expected = [event for event in alone.events() if not isinstance(event, Committed)]
    result = told(audio)
    assert result.events[-1:] == expected
    assert [item.text for item in result.items] == ["alpha one", "bravo"]
    assert result.streams == {"stream0"}
    assert not result.of(ChannelsSplit)


def test_two_people_are_heard_apart_and_announced_first() -> None:
    result = told(in_turns())
    split = result.events[0]
    assert isinstance(split, ChannelsSplit)
    assert [(each.stream, each.role, each.voices) for each in split.streams] == [
        ("stream0.left", Role.UNSPECIFIED, False),
        ("stream0.right", Role.UNSPECIFIED, False),
    ]
    spoken = sorted((item.start // SECOND, item.stream) for item in result.items)
    assert spoken == [(2, "stream0.left"), (5, "stream0.right"), (8, "stream0.left")]
    assert len({item.id for item in result.items}) == 3
    assert result.of(StreamFinished) == [StreamFinished(stream="stream0", duration=len(in_turns()))]


def test_hinted_roles_split_at_once_and_name_the_channels() -> None:
    subject = session(hints=ROLES)
    subject.receive_audio(np.zeros((WINDOW, 2), np.float32))
    split = subject.events()[0]
    assert isinstance(split, ChannelsSplit)
    assert tuple(each.role for each in split.streams) == ROLES
    result = told(dual(talk(3.0, 1)), subject=session(hints=ROLES))
    assert {(item.stream, item.role) for item in result.items} == {
        ("stream0.left", Role.PATIENT),
        ("stream0.right", Role.DOCTOR),
    }


@pytest.mark.parametrize("one_person", ["hint", "role"])
def test_where_one_room_is_known_two_voices_are_not_split(one_person: str) -> None:
    if one_person == "hint":
        subject = session(hints=(Role.DOCTOR,))
    else:
        subject = session(stream=StreamOptions(encounter="e1", stream="stream0", role=Role.DOCTOR))
    result = told(in_turns(), subject=subject)
    assert result.streams == {"stream0"}
    assert len(result.items) == 3


def test_an_inverted_channel_does_not_silence_the_other() -> None:
    speaking = np.concatenate([silence(1000), talk(3.0, 1), silence(1000)])
    result = told(inverted(speaking))
    assert [item.text for item in result.items] == [item.text for item in told(speaking).items]
    committed = result.of(Committed)[-1]
    assert isinstance(committed, Committed)
    assert committed.checkpoint.ear is Ear.OPPOSED


@pytest.mark.parametrize("kind", ["turns", "dual", "inverted", "silence", "short"])
@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(1, 30_000), max_size=12))
def test_how_audio_is_cut_changes_nothing(kind: str, sizes: list[int]) -> None:
    speaking = np.concatenate([silence(3000), talk(2.0, 1), silence(1000)])
    audio = {
        "turns": in_turns(),
        "dual": dual(speaking),
        "inverted": inverted(speaking),
        "silence": np.zeros((4 * SECOND, 2), np.float32),
        "short": dual(np.concatenate([silence(100), talk(0.4, 1)])),
    }[kind]
    assert told(*cut(audio, sizes)).events == told(audio).events


@pytest.mark.parametrize("kind", ["turns", "dual", "inverted"])
def test_whoever_takes_over_tells_the_same_items(kind: str) -> None:
    speaking = np.concatenate([silence(40_000), talk(2.0, 1), silence(1000), talk(2.0, 2), silence(1500)])
    late = np.concatenate([np.zeros((40 * SECOND, 2), np.float32), in_turns()])
    audio = {"turns": late, "dual": dual(speaking), "inverted": inverted(speaking)}[kind]
    pieces = cut(audio, [SECOND // 5] * (len(audio) * 5 // SECOND))
    whole = told(*pieces)
    for state in {id(state): state for state in whole.states}.values():
        begin = min(each.audio_from for each in state)
        again = told(*cut(audio[begin:], [777] * 50), subject=session(state), first=state)
        known = {item.id: item for item in whole.items}
        assert all(known[item.id] == item for item in again.items)
        last = max(again.items, key=lambda item: item.start, default=None)
        assert last in (None, max(whole.items, key=lambda item: item.start))
    missing = {item.id for item in whole.items} - {item.id for item in told(*pieces).items}
    assert not missing


def test_a_state_from_before_channels_were_told_apart_goes_on_with_their_mean() -> None:
    old = Checkpoint(audio_from=SECOND, position=SECOND, segment=3)
    result = told(in_turns(), subject=session([old]))
    assert result.streams == {"stream0"}


def test_an_announcement_is_repeated_by_whoever_takes_over() -> None:
    left, right = (
        Checkpoint(audio_from=n * WINDOW, position=n * WINDOW, ear=ear) for n, ear in ((9, Ear.LEFT), (5, Ear.RIGHT))
    )
    subject = session([left, right])
    assert isinstance(subject.events()[0], ChannelsSplit)
    assert subject.hears_from == 5 * WINDOW


def test_long_silence_before_speech_is_not_kept_and_can_be_skipped_by_whoever_takes_over() -> None:
    subject, result = session(), Told()
    for _ in range(40):
        subject.receive_audio(np.zeros((10 * SECOND, 2), np.float32))
        result.take(subject)
    assert len(result.of(Committed)) >= 10
    (state,) = result.states[-1]
    assert state.audio_from > 360 * SECOND
    assert state.ear is Ear.UNDECIDED
    later = told(in_turns(), subject=session([state]), first=[state])
    assert later.streams == {"stream0.left", "stream0.right"}
    assert min(item.start for item in later.items) > 360 * SECOND


def test_of_one_channel_behind_two_people_the_left_one_hears_all() -> None:
    result = told(in_turns(), np.concatenate([talk(1.0, 5), silence(1000)]))
    late = [item for item in result.items if item.start > len(in_turns()) - SECOND]
    assert [item.stream for item in late] == ["stream0.left"]


def test_two_channels_behind_one_are_mixed() -> None:
    result = told(np.concatenate([talk(1.0, 5), silence(1000)]), in_turns())
    assert result.streams == {"stream0"}
    assert len(result.items) == 4


def test_one_channel_behind_two_silent_ones_is_heard_in_its_place() -> None:
    result = told(np.zeros((3 * SECOND, 2), np.float32), np.concatenate([talk(1.0, 5), silence(1000)]))
    (item,) = result.items
    assert item.stream == "stream0"
    assert item.start == pytest.approx(3 * SECOND, abs=5 * WINDOW)


def test_a_stream_that_breaks_off_is_finished_once() -> None:
    subject, result = session(), Told()
    subject.receive_audio(in_turns())
    subject.fail(UndecodableAudio())
    result.take(subject)
    assert len(result.of(StreamFailed)) == 1
    assert len(result.of(StreamFinished)) == 1
    assert len(result.items) == 3


@pytest.mark.parametrize("length", [0, 100, 3 * SECOND])
def test_what_breaks_off_undecided_is_finished(length: int) -> None:
    subject, result = session(), Told()
    subject.receive_audio(np.zeros((length, 2), np.float32))
    subject.fail(UndecodableAudio())
    result.take(subject)
    assert [type(event) for event in result.events if not isinstance(event, Committed)] == [
        StreamFailed,
        StreamFinished,
    ]


def test_a_failure_is_told_under_the_name_of_its_channel() -> None:
    subject, events = session(), list[Event]()
    subject.receive_audio(in_turns())
    while requests := subject.recognition_requests():
        for request in requests:
            subject.receive_failure(request, RecognitionFailed())
    events = subject.events()
    assert [event.stream for event in events if isinstance(event, SegmentLost)] == [
        "stream0.left",
        "stream0.left",
        "stream0.right",
    ]

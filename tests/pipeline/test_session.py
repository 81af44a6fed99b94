import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.endpointing import Thresholds
from pipeline.errors import RecognitionFailed, UndecodableAudio
from pipeline.events import Committed, Event, Partial, PartialWithdrawn, SegmentLost, StreamFailed, StreamFinished
from pipeline.segmenter import SegmenterOptions
from pipeline.session import Session, SessionOptions
from pipeline.types import SAMPLE_RATE, Checkpoint, Pcm, Purpose, RecognitionRequest, Role, StreamOptions
from tests.fakes import LoudnessModel, hypothesis, silence, speech

STREAM = StreamOptions(encounter="e1", stream="stream1", role=Role.PATIENT)
OPTIONS = SessionOptions(
    segmenter=SegmenterOptions(thresholds=Thresholds(min_speech=3, silence=10), pre_roll=4, hangover=3),
    partial_interval=SAMPLE_RATE // 2,
)


def session(checkpoint: Checkpoint | None = None) -> Session:
    return Session(STREAM, OPTIONS, LoudnessModel(), checkpoint)


def audio(*parts: Pcm) -> Pcm:
    return np.concatenate(parts)


def finals(requests: list[RecognitionRequest]) -> list[RecognitionRequest]:
    return [request for request in requests if request.purpose is Purpose.FINAL]


def committed(events: list[Event]) -> list[str]:
    return [item.text for event in events if isinstance(event, Committed) for item in event.utterances]


def answer_all(subject: Session, text: str = "said {}") -> list[Event]:
    for request in finals(subject.recognition_requests()):
        subject.receive_hypothesis(request, hypothesis(text.format(request.segment)))
    return subject.events()


def test_speech_becomes_one_item_with_stream_times() -> None:
    subject = session()
    subject.receive_audio(audio(silence(1000), speech(800), silence(1000)))
    (request,) = finals(subject.recognition_requests())
    subject.receive_hypothesis(request, hypothesis("hello", start=1600))
    (event,) = [e for e in subject.events() if isinstance(e, Committed)]
    (item,) = event.utterances
    assert item.text == "hello"
    assert item.role is Role.PATIENT
    assert item.start == request.start + 1600


def test_answers_in_any_order_are_committed_in_spoken_order() -> None:
    subject = session()
    for _ in range(3):
        subject.receive_audio(audio(speech(500), silence(800)))
    requests = finals(subject.recognition_requests())
    for request in reversed(requests):
        subject.receive_hypothesis(request, hypothesis(f"said {request.segment}"))
    assert committed(subject.events()) == ["said 0", "said 1", "said 2"]


def test_a_partial_has_the_id_of_the_item_that_it_becomes() -> None:
    subject = session()
    subject.receive_audio(speech(700))
    (request,) = subject.recognition_requests()
    subject.receive_hypothesis(request, hypothesis("hel"))
    (partial,) = subject.events()
    assert isinstance(partial, Partial)
    subject.receive_audio(silence(800))
    (event,) = answer_all(subject)
    assert isinstance(event, Committed)
    assert event.utterances[0].id == partial.id


def test_a_partial_that_comes_after_its_final_is_forgotten() -> None:
    subject = session()
    subject.receive_audio(speech(700))
    (late,) = subject.recognition_requests()
    subject.receive_audio(silence(800))
    answer_all(subject)
    subject.receive_hypothesis(late, hypothesis("too late"))
    assert subject.events() == []


def test_a_partial_that_turns_out_to_be_nothing_is_withdrawn() -> None:
    subject = session()
    subject.receive_audio(speech(700))
    (request,) = subject.recognition_requests()
    subject.receive_hypothesis(request, hypothesis("um"))
    subject.receive_audio(silence(800))
    events = answer_all(subject, text="")
    assert [type(event) for event in events] == [Partial, PartialWithdrawn, Committed]


def test_a_segment_that_fails_is_asked_again_once_and_then_given_up() -> None:
    subject = session()
    subject.receive_audio(audio(speech(500), silence(800)))
    (request,) = finals(subject.recognition_requests())
    subject.receive_failure(request, RecognitionFailed())
    (again,) = finals(subject.recognition_requests())
    subject.receive_failure(again, RecognitionFailed())
    events = subject.events()
    assert [type(event) for event in events] == [SegmentLost, Committed]
    assert committed(events) == []


def test_the_end_closes_what_is_open_and_finishes_when_it_is_answered() -> None:
    subject = session()
    subject.receive_audio(speech(900))
    subject.receive_end()
    assert not subject.finished
    events = answer_all(subject)
    assert committed(events) == ["said 0"]
    assert isinstance(events[-1], StreamFinished)
    assert subject.finished


def test_silence_alone_finishes_without_items() -> None:
    subject = session()
    subject.receive_audio(silence(5000))
    subject.receive_end()
    assert subject.finished
    assert committed(subject.events()) == []


def test_a_broken_source_still_finishes_what_was_heard() -> None:
    subject = session()
    subject.receive_audio(speech(900))
    subject.fail(UndecodableAudio())
    events = answer_all(subject)
    assert isinstance(events[0], StreamFailed)
    assert committed(events) == ["said 0"]
    assert subject.finished


def test_a_long_silence_leaves_checkpoints() -> None:
    subject = session()
    subject.receive_audio(silence(65_000))
    checkpoints = [event.checkpoint for event in subject.events() if isinstance(event, Committed)]
    assert checkpoints
    assert checkpoints[-1].position >= 60 * SAMPLE_RATE


@pytest.mark.parametrize("late", ["audio", "end", "failure"])
def test_nothing_comes_out_after_the_end(late: str) -> None:
    subject = session()
    subject.receive_end()
    subject.events()
    if late == "audio":
        subject.receive_audio(speech(1000))
    elif late == "end":
        subject.receive_end()
    else:
        subject.fail(UndecodableAudio())
    assert subject.events() == []
    assert subject.recognition_requests() == []


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(100, 3000), st.integers(100, 2000)), min_size=1, max_size=8),
    st.lists(st.integers(1, 20_000), min_size=1, max_size=5),
    st.data(),
)
def test_a_rebuilt_session_makes_the_same_items(
    turns: list[tuple[int, int]], sizes: list[int], data: st.DataObject
) -> None:
    whole = audio(*(part for loud, quiet in turns for part in (speech(loud), silence(quiet))))

    def play(subject: Session) -> list[Committed]:
        position, turn = subject.hears_from, 0
        told: list[Event] = []
        while position < len(whole):
            size = sizes[turn % len(sizes)]
            subject.receive_audio(whole[position : position + size])
            told += answer_all(subject)
            position, turn = position + size, turn + 1
        subject.receive_end()
        return [event for event in told + answer_all(subject) if isinstance(event, Committed)]

    first = play(session())
    if not first:
        return
    cut = data.draw(st.integers(0, len(first) - 1))
    again = play(session(first[cut].checkpoint))
    items = [item for event in first[cut + 1 :] for item in event.utterances]
    assert [item for event in again for item in event.utterances] == items


def test_a_word_cannot_begin_in_the_pre_roll() -> None:
    subject = session()
    subject.receive_audio(audio(silence(1024), speech(800), silence(1000)))
    (request,) = finals(subject.recognition_requests())
    subject.receive_hypothesis(request, hypothesis("hello there"))
    (event,) = [e for e in subject.events() if isinstance(e, Committed)]
    (item,) = event.utterances
    assert abs(item.start_ms - 1024) <= 64
    assert item.words[1].start >= item.words[0].start


def test_a_partial_is_withdrawn_although_the_next_segment_is_already_shown() -> None:
    subject = session()
    subject.receive_audio(speech(700))
    (first,) = subject.recognition_requests()
    subject.receive_hypothesis(first, hypothesis("um"))
    subject.receive_audio(audio(silence(800), speech(700)))
    requests = subject.recognition_requests()
    for request in requests:
        if not request.purpose.whole:
            subject.receive_hypothesis(request, hypothesis("next"))
    subject.events()
    subject.receive_hypothesis(finals(requests)[0], hypothesis(""))
    assert [type(event) for event in subject.events()] == [PartialWithdrawn, Committed]

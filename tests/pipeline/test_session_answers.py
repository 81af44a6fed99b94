"""What a session does with answers that come early, late, wrong or never: guesses, packs, committed words."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.endpointing import Thresholds
from pipeline.errors import RecognitionFailed, RecognitionGivenUp
from pipeline.events import Committed, Event, Guarded, Partial, PartialWithdrawn, SegmentLost
from pipeline.segmenter import SegmenterOptions
from pipeline.session import Session, SessionOptions
from pipeline.types import (
    SAMPLE_RATE,
    WINDOW,
    Guard,
    Hypothesis,
    Pcm,
    Purpose,
    RecognitionRequest,
    StreamOptions,
    Utterance,
    Word,
)
from tests.fakes import LOUD, LoudnessModel, hypothesis, silence, speech

STREAM = StreamOptions(encounter="e1", stream="stream1", language="en", tenant="clinic")
SILENCE, SPECULATE, FINISHED = 15, 5, 8  # windows
LIVE = SessionOptions(
    segmenter=SegmenterOptions(thresholds=Thresholds(min_speech=3, silence=SILENCE), pre_roll=10, hangover=5),
    partial_interval=SAMPLE_RATE // 2,
    speculate_after=SPECULATE,
    finished_after=FINISHED,
)
FILE = replace(LIVE, partial_interval=0, speculate_after=0, finished_after=0, pack=20 * SAMPLE_RATE)
WINDOW_MS = 32


def session(options: SessionOptions = LIVE, stream: StreamOptions = STREAM) -> Session:
    return Session(stream, options, LoudnessModel())


def play(subject: Session, *parts: Pcm) -> None:
    """In pieces of 100 ms, as live audio comes."""
    pcm = np.concatenate(parts)
    for at in range(0, len(pcm), SAMPLE_RATE // 10):
        subject.receive_audio(pcm[at : at + SAMPLE_RATE // 10])


def asked(subject: Session, *purposes: Purpose) -> list[RecognitionRequest]:
    return [request for request in subject.recognition_requests() if request.purpose in purposes]


def items(events: Sequence[Event]) -> list[Utterance]:
    return [item for event in events if isinstance(event, Committed) for item in event.utterances]


def listen(request: RecognitionRequest) -> Hypothesis:
    """Hears one word in each burst of sound; loud ones end a sentence. Word times count from the request's start."""
    loud = [
        bool((window**2).mean() > LOUD)
        for window in request.pcm[: len(request.pcm) // WINDOW * WINDOW].reshape(-1, WINDOW)
    ]
    words: list[Word] = []
    for at, voiced in enumerate(loud):
        if not voiced:
            continue
        if at and loud[at - 1]:
            words[-1] = replace(words[-1], end=(at + 1) * WINDOW)
        else:
            level = float(np.abs(request.pcm[at * WINDOW : (at + 1) * WINDOW]).max())
            text = f"word{at}{'.' if level > 0.6 else ''}"
            words.append(Word(text=text, start=at * WINDOW, end=(at + 1) * WINDOW))
    return Hypothesis(words=tuple(words))


def settle(subject: Session) -> list[Event]:
    """Answer whatever is asked until nothing more is."""
    while requests := subject.recognition_requests():
        for request in requests:
            subject.receive_hypothesis(request, listen(request))
    return subject.events()


def test_a_finished_sentence_is_final_after_a_short_pause_and_without_a_second_request() -> None:
    subject = session()
    play(subject, speech(800), silence(200))
    (guess,) = asked(subject, Purpose.SPECULATIVE)
    subject.receive_hypothesis(guess, hypothesis("It hurts."))
    assert items(subject.events()) == []
    play(subject, silence(100))
    assert [item.text for item in items(subject.events())] == ["It hurts."]
    assert asked(subject, Purpose.FINAL, Purpose.SPECULATIVE) == []


def test_an_unfinished_sentence_waits_for_the_whole_silence_and_then_its_final_is_there() -> None:
    subject = session()
    play(subject, speech(800), silence(200))
    (guess,) = asked(subject, Purpose.SPECULATIVE)
    subject.receive_hypothesis(guess, hypothesis("It hurts when"))
    play(subject, silence(200))
    assert items(subject.events()) == []
    play(subject, silence(200))
    assert [item.text for item in items(subject.events())] == ["It hurts when"]
    assert asked(subject, Purpose.FINAL) == []


def test_a_guess_is_thrown_away_when_speech_goes_on() -> None:
    subject = session()
    play(subject, speech(800), silence(200))
    (guess,) = asked(subject, Purpose.SPECULATIVE)
    play(subject, speech(800))
    subject.receive_hypothesis(guess, hypothesis("It hurts."))
    assert items(subject.events()) == []
    play(subject, silence(200))
    (second,) = asked(subject, Purpose.SPECULATIVE)
    assert len(second.pcm) > len(guess.pcm) + 600 * 16
    assert second.segment == guess.segment


def test_what_was_guessed_is_shown_while_the_pause_lasts() -> None:
    subject = session()
    play(subject, speech(800), silence(200))
    (guess,) = asked(subject, Purpose.SPECULATIVE)
    subject.receive_hypothesis(guess, hypothesis("It hurts"))
    assert [event.text for event in subject.events() if isinstance(event, Partial)] == ["It hurts"]


def test_nothing_is_decided_before_a_late_answer_and_everything_after_it() -> None:
    subject = session()
    play(subject, speech(800), silence(1000), speech(800), silence(1000))
    (guess,) = asked(subject, *Purpose)[-1:]
    assert subject.backlog > SAMPLE_RATE
    subject.receive_hypothesis(guess, hypothesis("It hurts."))
    (second,) = asked(subject, Purpose.SPECULATIVE)
    subject.receive_hypothesis(second, hypothesis("Here."))
    assert [item.text for item in items(subject.events())] == ["It hurts.", "Here."]


def test_a_guess_that_fails_leaves_the_final_to_the_whole_silence() -> None:
    subject = session()
    play(subject, speech(800), silence(300))
    (guess,) = asked(subject, Purpose.SPECULATIVE)
    subject.receive_failure(guess, RecognitionFailed())
    play(subject, silence(300))
    (final,) = asked(subject, Purpose.FINAL)
    subject.receive_hypothesis(final, hypothesis("It hurts."))
    assert [item.text for item in items(subject.events())] == ["It hurts."]


def test_the_end_of_the_stream_does_not_wait_for_a_guess() -> None:
    subject = session()
    play(subject, speech(800), silence(200))
    subject.receive_end()
    (final,) = asked(subject, Purpose.FINAL)
    subject.receive_hypothesis(final, hypothesis("It hurts."))
    assert [item.text for item in items(subject.events())] == ["It hurts."]
    assert subject.finished


def test_later_requests_name_the_words_that_will_not_change() -> None:
    subject = session()
    for text in ("where does it", "where does it hurt", "where does it hurt now"):
        play(subject, speech(1100))
        (request,) = asked(subject, Purpose.FIRST_PARTIAL, Purpose.REFRESH)[-1:]
        subject.receive_hypothesis(request, hypothesis(text))
    play(subject, silence(200))
    (guess,) = asked(subject, Purpose.SPECULATIVE)
    assert guess.committed == "where does it"
    assert guess.tenant == "clinic"


def test_a_final_begins_with_the_committed_words_although_the_recogniser_changed_its_mind() -> None:
    subject = session()
    for text in ("two milligrams a", "two milligrams a day"):
        play(subject, speech(1100))
        (request,) = asked(subject, Purpose.FIRST_PARTIAL, Purpose.REFRESH)[-1:]
        subject.receive_hypothesis(request, hypothesis(text, start=320 * 16))
    play(subject, silence(300))
    (guess,) = asked(subject, Purpose.SPECULATIVE)
    subject.receive_hypothesis(guess, hypothesis("ten milligrams a day.", start=320 * 16))
    assert [item.text for item in items(subject.events())] == ["two milligrams a day."]


def test_the_language_is_the_one_of_most_of_the_first_seconds() -> None:
    subject = session(stream=replace(STREAM, language=""))
    for language in ("nl", "de", "de"):
        play(subject, speech(1000), silence(600))
        (request,) = asked(subject, Purpose.SPECULATIVE)
        assert request.language == ""
        subject.receive_hypothesis(request, replace(hypothesis("Ja."), language=language))
    checkpoint = [event.checkpoint for event in subject.events() if isinstance(event, Committed)][-1]
    play(subject, speech(800), silence(600))
    (later,) = asked(subject, Purpose.SPECULATIVE)
    assert later.language == checkpoint.language == "de"


def test_a_short_stream_has_the_language_of_all_there_is() -> None:
    subject = session(stream=replace(STREAM, language=""))
    play(subject, speech(1000))
    subject.receive_end()
    (request,) = asked(subject, Purpose.FINAL)
    subject.receive_hypothesis(request, replace(hypothesis("Ja."), language="de"))
    (checkpoint,) = [event.checkpoint for event in subject.events() if isinstance(event, Committed)]
    assert checkpoint.language == "de"


def test_noise_has_no_language() -> None:
    subject = session(stream=replace(STREAM, language=""))
    play(subject, speech(4000), silence(600))
    (request,) = asked(subject, Purpose.SPECULATIVE)
    noise = replace(hypothesis("Takk."), language="nn", no_speech_prob=0.95, avg_logprob=-2.0)
    subject.receive_hypothesis(request, noise)
    play(subject, speech(1000), silence(600))
    (later,) = asked(subject, Purpose.SPECULATIVE)
    assert later.language == ""


def test_what_was_committed_stays_when_the_final_fails() -> None:
    subject = session()
    for text in ("I am allergic to", "I am allergic to penicillin", "I am allergic to penicillin since"):
        play(subject, speech(1100))
        (request,) = asked(subject, Purpose.FIRST_PARTIAL, Purpose.REFRESH)[-1:]
        subject.receive_hypothesis(request, hypothesis(text, start=320 * 16))
    subject.receive_end()
    for _ in range(2):
        (final,) = asked(subject, Purpose.FINAL)
        subject.receive_failure(final, RecognitionFailed())
    events = subject.events()
    assert [item.text for item in items(events)] == ["I am allergic to"]
    assert len([event for event in events if isinstance(event, SegmentLost)]) == 1
    assert not any(isinstance(event, PartialWithdrawn) for event in events)


def test_no_newer_question_replaces_an_answer_that_is_awaited() -> None:
    thresholds = Thresholds(min_speech=3, silence=32)
    segmenter = SegmenterOptions(thresholds=thresholds, pre_roll=10, hangover=32)
    subject = session(replace(LIVE, segmenter=segmenter, finished_after=28, partial_interval=SAMPLE_RATE // 10))
    play(subject, speech(800), silence(850))
    purposes = [request.purpose for request in subject.recognition_requests()]
    assert purposes[-1] is Purpose.SPECULATIVE
    assert purposes.count(Purpose.SPECULATIVE) == 1


def test_a_guard_that_takes_words_away_is_reported_without_them() -> None:
    subject = session()
    play(subject, speech(800), silence(300))
    (guess,) = asked(subject, Purpose.SPECULATIVE)
    subject.receive_hypothesis(guess, hypothesis("no. " * 9))
    events = subject.events()
    assert [item.text for item in items(events)] == ["no."]
    assert [event.guard for event in events if isinstance(event, Guarded)] == [Guard.LOOP]


def test_segments_of_a_file_share_requests() -> None:
    subject = session(FILE)
    for _ in range(12):
        play(subject, speech(1500), silence(1000))
    subject.receive_end()
    requests = asked(subject, *Purpose)
    assert {request.purpose for request in requests} == {Purpose.FINAL}
    assert len(requests) == 2
    assert all(len(request.pcm) <= FILE.pack for request in requests)
    for request in requests:
        subject.receive_hypothesis(request, listen(request))
    assert len(items(subject.events())) == 12


def test_a_pack_that_fails_is_tried_again_segment_by_segment() -> None:
    subject = session(FILE)
    for _ in range(3):
        play(subject, speech(1500), silence(1000))
    subject.receive_end()
    (pack,) = asked(subject, Purpose.FINAL)
    subject.receive_failure(pack, RecognitionFailed())
    alone = asked(subject, Purpose.FINAL)
    assert [request.segment for request in alone] == [0, 1, 2]
    subject.receive_failure(alone[1], RecognitionFailed())
    for request in (alone[2], alone[0]):
        subject.receive_hypothesis(request, listen(request))
    events = subject.events()
    assert len(items(events)) == 2
    assert len([event for event in events if isinstance(event, SegmentLost)]) == 1
    assert subject.finished


def test_a_segment_that_was_given_up_is_not_tried_again() -> None:
    subject = session()
    play(subject, speech(800), silence(200))
    subject.receive_end()
    (final,) = asked(subject, Purpose.FINAL)
    subject.receive_failure(final, RecognitionGivenUp())
    assert asked(subject, *Purpose) == []
    assert len([event for event in subject.events() if isinstance(event, SegmentLost)]) == 1
    assert subject.finished


def test_an_hour_of_talk_without_a_pause_keeps_little_audio() -> None:
    subject = session()
    minute = speech(60_000)
    most = 0
    for _ in range(60):
        play(subject, minute)
        for request in subject.recognition_requests():
            subject.receive_hypothesis(request, hypothesis("and so on"))
            most = max(most, len(request.pcm))
        subject.events()
        assert subject.backlog == 0
    assert most <= LIVE.segmenter.max_segment * WINDOW


BURSTS = st.lists(
    st.tuples(st.integers(4, 60), st.sampled_from([0.3, 0.5, 0.7, 0.9]), st.integers(1, 60)), min_size=1, max_size=10
)


def scene(bursts: list[tuple[int, float, int]]) -> tuple[Pcm, list[tuple[int, int]]]:
    """Bursts of sound, each followed by silence (all in windows) → samples, and where the sounds are."""
    parts, spans, at = [silence(20 * WINDOW_MS)], [], 20 * WINDOW
    for length, level, pause in bursts:
        parts += [speech(length * WINDOW_MS, level), silence(pause * WINDOW_MS)]
        spans.append((at, at + length * WINDOW))
        at += (length + pause) * WINDOW
    return np.concatenate(parts), spans


@pytest.mark.parametrize("options", [LIVE, FILE], ids=["live", "file"])
@settings(max_examples=25, deadline=None)
@given(bursts=BURSTS)
def test_every_word_is_where_it_was_in_the_stream(
    options: SessionOptions, bursts: list[tuple[int, float, int]]
) -> None:
    pcm, spans = scene(bursts)
    subject = session(options)
    events: list[Event] = []
    for at in range(0, len(pcm), 5000):
        subject.receive_audio(pcm[at : at + 5000])
        events += settle(subject) if options is LIVE else []
    subject.receive_end()
    events += settle(subject)
    words = [word for item in items(events) for word in item.words]
    assert [(word.start, word.end) for word in words] == spans
    assert all(item.start == item.words[0].start and item.end == item.words[-1].end for item in items(events))


@settings(max_examples=25, deadline=None)
@given(bursts=BURSTS, data=st.data())
def test_when_answers_come_does_not_change_what_is_committed(
    bursts: list[tuple[int, float, int]], data: st.DataObject
) -> None:
    pcm, _ = scene(bursts)
    prompt, slow = session(), session()
    told: list[Event] = []
    late: list[Event] = []
    waiting: list[RecognitionRequest] = []
    for at in range(0, len(pcm), 1600):
        prompt.receive_audio(pcm[at : at + 1600])
        told += settle(prompt)
        slow.receive_audio(pcm[at : at + 1600])
        waiting += asked(slow, Purpose.FINAL, Purpose.SPECULATIVE)
        for _ in range(data.draw(st.integers(0, 2)) if waiting else 0):
            if not waiting:
                break
            request = waiting.pop(data.draw(st.integers(0, len(waiting) - 1)))
            slow.receive_hypothesis(request, listen(request))
        late += slow.events()
    prompt.receive_end()
    told += settle(prompt)
    slow.receive_end()
    waiting += asked(slow, Purpose.FINAL, Purpose.SPECULATIVE)
    while waiting:
        request = waiting.pop(0)
        slow.receive_hypothesis(request, listen(request))
        waiting += asked(slow, Purpose.FINAL, Purpose.SPECULATIVE)
    late += slow.events()
    assert slow.finished
    assert [(i.id, i.start, i.text) for i in items(late)] == [(i.id, i.start, i.text) for i in items(told)]


@settings(max_examples=25, deadline=None)
@given(bursts=BURSTS, data=st.data())
def test_a_rebuilt_session_asks_the_same_from_any_checkpoint(
    bursts: list[tuple[int, float, int]], data: st.DataObject
) -> None:
    pcm, _ = scene(bursts)
    options = replace(LIVE, segmenter=replace(LIVE.segmenter, max_segment=40))
    first = session(options)
    requests: list[RecognitionRequest] = []
    events: list[Event] = []
    hear(first, pcm, requests, events)
    checkpoints = [event.checkpoint for event in events if isinstance(event, Committed)]
    if not checkpoints:
        return
    number = data.draw(st.integers(0, len(checkpoints) - 1))
    rebuilt = Session(STREAM, options, LoudnessModel(), checkpoints[number])
    again: list[RecognitionRequest] = []
    told: list[Event] = []
    hear(rebuilt, pcm[rebuilt.hears_from :], again, told)
    behind = [event for event in events if isinstance(event, Committed)][number + 1 :]
    assert [(i.id, i.start, i.text) for i in items(told)] == [(i.id, i.start, i.text) for i in items(behind)]
    guesses = {(r.segment, r.start, len(r.pcm)) for r in again if r.purpose is Purpose.SPECULATIVE}
    assert guesses <= {(r.segment, r.start, len(r.pcm)) for r in requests if r.purpose is Purpose.SPECULATIVE}


def hear(subject: Session, pcm: Pcm, requests: list[RecognitionRequest], events: list[Event]) -> None:
    """All of it, a window at a time, each answer at once."""
    for at in range(0, len(pcm), WINDOW):
        subject.receive_audio(pcm[at : at + WINDOW])
        while new := subject.recognition_requests():
            requests += new
            for request in new:
                subject.receive_hypothesis(request, listen(request))
        events += subject.events()
    subject.receive_end()
    events += settle(subject)

from collections.abc import Sequence

from pipeline.crosstalk import Crosstalk
from pipeline.events import BleedDropped, Committed, Event, Heard, Partial, PartialWithdrawn, StreamFinished
from pipeline.types import SAMPLE_RATE, Role
from tests.voices import Voices, said, stream

VOICES = Voices("d")
LONG = "please take one of these tablets every morning"


class Two:
    """Streams a and b of one encounter."""

    def __init__(self) -> None:
        self.subject = Crosstalk()
        self.subject.open("a")
        self.subject.open("b")
        self.out: list[Event] = []
        self.segments = {"a": 0, "b": 0}

    def say(self, name: str, text: str, at: float, level: float = 0.1) -> Committed:
        event = said(
            VOICES, [("d", text)], begin=at, segment=self.segments[name], options=stream(name), level=level, known=False
        )
        self.segments[name] += 1
        self.give(event)
        return event

    def heard(self, name: str, until: float, position: float | None = None) -> None:
        self.give(Heard(stream=name, until=_at(until), position=_at(until if position is None else position)))

    def give(self, event: Event) -> None:
        self.out += self.subject.receive(event)

    def texts(self, name: str) -> list[str]:
        return [
            item.text
            for event in self.out
            if isinstance(event, Committed) and event.stream == name
            for item in event.utterances
        ]

    def of(self, kind: type[Event]) -> Sequence[Event]:
        return [event for event in self.out if isinstance(event, kind)]


def _at(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def test_words_that_were_overheard_are_dropped_once_and_counted() -> None:
    two = Two()
    two.heard("a", 0, 5)
    two.heard("b", 0, 5)
    two.say("b", LONG, 0.1, level=0.01)
    assert two.texts("b") == []  # it is not known yet what a says
    two.say("a", LONG, 0.0)
    two.heard("a", 6)
    two.heard("b", 6)
    assert two.texts("a") == [LONG]
    assert two.texts("b") == []
    assert two.of(BleedDropped) == [BleedDropped(stream="b", items=1)]
    assert len([event for event in two.of(Committed) if isinstance(event, Committed) and event.stream == "b"]) == 1


def test_a_partial_that_was_overheard_is_withdrawn() -> None:
    two = Two()
    two.heard("a", 0, 5)
    event = said(VOICES, [("d", LONG)], begin=0.1, segment=0, options=stream("b"), level=0.01, known=False)
    shown = event.utterances[0].id
    two.give(Partial(id=shown, stream="b", role=Role.UNSPECIFIED, start=0, end=_at(1), text="please take"))
    two.give(event)
    two.say("a", LONG, 0.0)
    two.heard("a", 6)
    assert two.of(PartialWithdrawn) == [PartialWithdrawn(id=shown, stream="b")]


def test_only_the_overheard_part_of_a_segment_is_dropped() -> None:
    two = Two()
    two.heard("a", 0, 9)
    two.say("b", LONG + " yes of course i will do that twice a day if you want", 0.1, level=0.01)
    two.say("a", LONG, 0.0)
    two.heard("a", 20)
    assert two.texts("b") == ["yes of course i will do that twice a day if you want"]


def test_different_words_at_the_same_time_are_kept_and_marked() -> None:
    two = Two()
    two.heard("a", 0, 5)
    two.say("b", "my stomach hurts so much today", 0.0, level=0.01)
    two.say("a", LONG, 0.0)
    two.heard("a", 6)
    two.heard("b", 6)
    assert two.texts("b") == ["my stomach hurts so much today"]
    assert not two.of(BleedDropped)
    kept = [event for event in two.of(Committed) if isinstance(event, Committed)]
    assert all(item.overlap for event in kept for item in event.utterances)


def test_two_people_who_say_yes_at_once_are_both_heard() -> None:
    two = Two()
    two.heard("a", 0, 2)
    two.say("b", "yes", 0.0, level=0.05)
    two.say("a", "yes", 0.0)
    two.heard("a", 3)
    two.heard("b", 3)
    assert (two.texts("a"), two.texts("b")) == (["yes"], ["yes"])


def test_the_same_words_later_are_no_bleed() -> None:
    two = Two()
    two.say("a", LONG, 0.0)
    two.heard("a", 10)
    two.say("b", LONG, 6.0, level=0.01)
    assert two.texts("b") == [LONG]


def test_a_final_waits_only_while_the_other_stream_is_in_speech() -> None:
    two = Two()
    two.heard("a", 3)
    two.say("b", "good morning", 1.0)
    assert two.texts("b") == ["good morning"]
    two.heard("a", 3, 8)
    two.say("b", "how are you", 5.0)
    assert two.texts("b") == ["good morning"]
    two.heard("a", 7, 9)
    assert two.texts("b") == ["good morning", "how are you"]


def test_what_the_other_one_is_saying_lets_other_words_go_at_once() -> None:
    two = Two()
    two.heard("a", 1, 9)
    two.give(Partial(id="x", stream="a", role=Role.DOCTOR, start=_at(1), end=_at(9), text=LONG))
    two.say("b", "mhm", 4.0)
    assert two.texts("b") == ["mhm"]


def test_a_stream_of_which_nothing_comes_holds_up_nobody() -> None:
    two = Two()
    two.say("b", "good morning", 1.0)
    assert two.texts("b") == ["good morning"]  # nothing was ever heard of a
    two.heard("a", 3, 4)
    two.say("b", "are you there", 5.0)
    two.heard("b", 8)
    assert two.texts("b") == ["good morning"]
    two.heard("b", 9.5)
    assert two.texts("b") == ["good morning", "are you there"]


def test_a_stream_that_is_over_holds_up_nobody() -> None:
    two = Two()
    two.heard("a", 1, 9)
    two.say("b", "good morning", 2.0)
    assert two.texts("b") == []
    two.give(StreamFinished(stream="a", duration=_at(9)))
    assert two.texts("b") == ["good morning"]


def test_everything_held_comes_out_in_its_order_at_the_end() -> None:
    two = Two()
    two.heard("a", 0.5, 20)
    for at, text in enumerate(("one thing", "another thing", "a third thing")):
        two.say("b", text, 1.0 + 3 * at)
    two.give(StreamFinished(stream="b", duration=_at(20)))
    assert two.texts("b") == []
    two.out += two.subject.release()
    assert two.texts("b") == ["one thing", "another thing", "a third thing"]
    assert isinstance(two.out[-1], StreamFinished)


def test_one_stream_alone_is_never_held() -> None:
    subject = Crosstalk()
    subject.open("a")
    event = said(VOICES, [("d", LONG)], begin=0, segment=0, options=stream("a"), known=False)
    assert subject.receive(event) == [event]

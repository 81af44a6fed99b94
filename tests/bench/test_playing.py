"""What is played, and how messages become the figures of a run."""

from bench.clients import Received
from bench.playing import finals_of, said_by, voice_of
from bench.recordings import Recording
from bench.score import Final
from bench.wires import AudioChunkAck, Message, TranscriptItem
from pipeline.types import Role


def item(id: str, text: str, *, final: bool) -> TranscriptItem:
    return TranscriptItem(
        id=id, text=text, speaker=Role.PATIENT, start_offset_ms=100, end_offset_ms=900, is_final=final
    )


def test_a_final_knows_when_its_first_words_were_shown() -> None:
    came: list[tuple[float, Message]] = [
        (50.1, item("a", "", final=False)),
        (50.4, item("a", "so", final=False)),
        (50.6, item("b", "other", final=False)),
        (50.8, item("a", "so it", final=False)),
        (51.0, AudioChunkAck(ack_id=3)),
        (51.5, item("a", "so it is", final=True)),
    ]
    (final,) = finals_of([Received(at=at, message=message) for at, message in came], begun=50.0)
    assert final == Final(
        role=Role.PATIENT,
        start_ms=100,
        end_ms=900,
        text="so it is",
        arrived_ms=1500.0,
        first_partial_ms=final.first_partial_ms,
    )
    assert final.first_partial_ms is not None
    assert round(final.first_partial_ms) == 400


def test_a_final_without_partials_has_no_first_one() -> None:
    (final,) = finals_of([Received(at=2.0, message=item("a", "yes", final=True))], begun=1.0)
    assert final.first_partial_ms is None
    assert final.arrived_ms == 1000.0


def test_one_voice_alone_says_only_its_own_lines() -> None:
    recording = Recording.load("headache")
    patient = said_by(recording.items, Role.PATIENT)
    assert {item.speaker for item in patient} == {Role.PATIENT}
    assert said_by(recording.items, Role.UNSPECIFIED) == recording.items
    assert bytes(voice_of(recording, Role.PATIENT).audio) != bytes(voice_of(recording, Role.DOCTOR).audio)


def test_nobody_in_particular_is_everybody_in_one_channel() -> None:
    recording = Recording.load("headache")
    voice = voice_of(recording, Role.UNSPECIFIED)
    assert voice.role is Role.UNSPECIFIED
    assert len(voice.audio) == 2 * len(recording.mono())
    assert bytes(voice.audio) != bytes(voice_of(recording, Role.DOCTOR).audio)

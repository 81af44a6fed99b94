"""The peers' protocols, from the frames their servers send; and ours."""

import json

from bench.calls import Frame, Wire
from bench.nabla_wire import NablaWire
from bench.peers.wires import RealtimeSttWire, WhisperLiveKitWire, WhisperLiveOptions, WhisperLiveWire


def told(wire: Wire, *messages: dict[str, object]) -> Wire:
    for at_ms, message in enumerate(messages):
        wire.receive(json.dumps(message), 100.0 * at_ms)
    return wire


def whisper_live() -> Wire:
    return WhisperLiveWire(options=WhisperLiveOptions(uid="u", language="en"))


def item(id: str, text: str, start_ms: int, *, final: bool = False) -> dict[str, object]:
    return {
        "object": "transcript_item",
        "id": id,
        "text": text,
        "speaker": "doctor",
        "start_offset_ms": start_ms,
        "end_offset_ms": start_ms + 500,
        "is_final": final,
    }


def test_whisper_live_takes_raw_audio_once_it_is_ready() -> None:
    wire = whisper_live()
    (hello,) = wire.opening()
    assert json.loads(hello)["audio_format"] == "int16"
    assert not wire.ready
    assert told(wire, {"uid": "u", "message": "SERVER_READY", "backend": "faster_whisper"}).ready
    assert wire.packet(b"\1\2") == b"\1\2"
    assert wire.closing() == [b"END_OF_AUDIO"]


def test_whisper_live_completes_all_segments_but_the_last() -> None:
    segments = [{"text": " Good morning.", "completed": True}, {"text": " What", "completed": False}]
    wire = told(whisper_live(), {"uid": "u", "segments": segments})
    assert wire.text == "Good morning. What"
    assert wire.settled == "Good morning."


def test_whisper_live_refuses_with_a_waiting_time() -> None:
    assert told(whisper_live(), {"uid": "u", "status": "WAIT", "message": 0.25}).refused


def test_realtime_stt_packs_metadata_before_the_audio() -> None:
    packet = RealtimeSttWire().packet(b"\1\2")
    assert isinstance(packet, bytes)
    length = int.from_bytes(packet[:4], "little")
    assert json.loads(packet[4 : 4 + length]) == {"sampleRate": 16000, "channels": 1, "format": "pcm_s16le"}
    assert packet[4 + length :] == b"\1\2"


def test_realtime_stt_replaces_realtime_text_by_its_final() -> None:
    wire = RealtimeSttWire()
    told(wire, {"type": "timeline", "event": "recording_started"}, {"type": "realtime", "text": "Good"})
    assert (wire.text, wire.settled) == ("Good", "")
    told(wire, {"type": "final", "text": "Good morning."})
    assert (wire.text, wire.settled) == ("Good morning.", "Good morning.")


def test_realtime_stt_keeps_what_the_next_recording_shows_when_a_final_is_late() -> None:
    started: dict[str, object] = {"type": "timeline", "event": "recording_started"}
    wire = told(RealtimeSttWire(), started, {"type": "realtime", "text": "one"})
    told(wire, started, {"type": "realtime", "text": "two"})
    assert wire.text == "one two"
    assert told(wire, {"type": "final", "text": "One."}).text == "One. two"


def test_realtime_stt_drops_a_recording_without_words() -> None:
    wire = told(
        RealtimeSttWire(), {"type": "timeline", "event": "recording_started"}, {"type": "realtime", "text": "uh"}
    )
    assert told(wire, {"type": "error", "where": "final", "code": "empty_final"}).text == ""


def test_realtime_stt_refuses_at_its_session_limit() -> None:
    assert told(RealtimeSttWire(), {"type": "error", "where": "admission", "message": "full"}).refused


def test_whisper_live_kit_shows_lines_and_a_buffer() -> None:
    wire = told(WhisperLiveKitWire(), {"type": "config", "useAudioWorklet": True})
    assert wire.ready
    lines = [{"speaker": 1, "text": " Good morning."}, {"speaker": -2, "text": None}]
    told(wire, {"status": "active_transcription", "lines": lines, "buffer_transcription": " what"})
    assert wire.text == "Good morning. what"
    assert wire.settled == "Good morning."
    assert told(wire, {"type": "ready_to_stop"}).ended


def test_ours_orders_items_by_their_start_and_tells_finals() -> None:
    wire = told(
        NablaWire(), item("b", "Fine.", 900), item("a", "How are", 100), item("a", "How are you?", 100, final=True)
    )
    assert wire.text == "How are you? Fine."
    assert wire.settled == "How are you?"
    (final,) = wire.finals
    assert (final.text, final.arrived_ms, final.first_partial_ms) == ("How are you?", 200, 100)


def test_ours_sends_audio_as_the_vendor_has_it() -> None:
    packet: Frame = NablaWire().packet(b"\0\1")
    assert json.loads(packet) == {"object": "audio_chunk", "payload": "AAE=", "stream_id": "microphone"}

"""Recordings in which it is known who speaks, and what the pipeline makes of them, step by step.

The audio goes through the pipeline as live audio does, 200 ms at a time, and every question is answered before the
next: what is told when depends on nothing but the audio.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from faster_whisper.audio import decode_audio

from bench import recordings
from bench.recordings import Recording
from pipeline.conversation import Conversation, ConversationOptions
from pipeline.events import BleedDropped, Committed, Event, SpeakerRenamed, relabelled
from pipeline.ports import Recogniser, VoiceActivityModel, VoiceEmbedder
from pipeline.session import SessionOptions
from pipeline.stereo import StereoSession
from pipeline.types import (
    SAMPLE_RATE,
    Audio,
    Hypothesis,
    RecognitionRequest,
    Role,
    StreamOptions,
    Utterance,
    Word,
    split_side,
    to_samples,
)

PIECE = SAMPLE_RATE // 5
STAND_IN = SAMPLE_RATE * 3 // 10  # samples of a word where it is only known who speaks when: three a second
SETS = ("ours", "ours-stereo", "mono", "noisy", "stereo", "dialogues", "clips")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenWord:
    """A word of the truth. Times are samples."""

    text: str
    start: int
    end: int
    speaker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A recording in which it is known who speaks."""

    name: str
    kind: str  # of SETS
    path: Path
    stereo: bool
    words: tuple[SpokenWord, ...]  # in order of their start
    spans: tuple[tuple[str, int, int], ...]  # speaker, first sample, one behind the last
    transcribed: bool = True  # whether the words are what is said, or only stand for it

    @property
    def roles(self) -> bool:
        """Whether the speakers are a doctor and a patient."""
        return {word.speaker for word in self.words} <= {Role.DOCTOR, Role.PATIENT}

    def audio(self) -> Audio:
        """Everything that is heard. Shape `(n,)` or `(n, 2)` float32."""
        if not self.stereo:
            return np.asarray(decode_audio(str(self.path), SAMPLE_RATE), np.float32)
        left, right = decode_audio(str(self.path), SAMPLE_RATE, split_stereo=True)
        return np.stack([left, right], axis=1).astype(np.float32)


@dataclass(slots=True, kw_only=True)
class Told:
    """A final, and what was said of it."""

    item: Utterance  # with the label it had in the end
    first: tuple[str, Role]  # speaker and role as told first
    renames: list[tuple[int, str, Role]] = field(default_factory=list)  # samples heard by then, speaker, role
    at: int  # samples heard when it was told


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What was told of a sample."""

    told: dict[str, Told] = field(default_factory=dict)
    duration: int = 0  # samples
    embedding_s: float = 0.0  # CPU seconds
    dropped: int = 0  # items that were only overheard
    unexplained: int = 0  # labels that changed without an event: must be 0
    state_bytes: int = 0  # of what is stored of the conversation


def samples(kinds: Sequence[str], data: Path | None) -> Iterator[Sample]:
    """Samples of these sets; those of the data folder are left out where it is missing."""
    for name in recordings.names():
        ours = Recording.load(name)
        if "ours" in kinds:
            yield _ours(ours, "ours", ours.mono_path, stereo=False)
        if "ours-stereo" in kinds:
            yield _ours(ours, "ours-stereo", ours.stereo_path, stereo=True)
    if data is None:
        return
    audio = data / "audio"
    for kind in ("mono", "noisy", "stereo"):
        if kind in kinds:
            yield from _consultations(audio / "consult", kind)
    if "dialogues" in kinds:
        for truth in sorted((audio / "real_dialogues").glob("*.truth.json")):
            name = truth.name.removesuffix(".truth.json")
            yield _sample(name, "dialogues", truth.with_name(f"{name}.flac"), msgspec.json.decode(truth.read_bytes()))
    if "clips" in kinds:
        for line in (audio / "real" / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
            row = msgspec.json.decode(line)
            path = audio / "real" / row["file"]
            if row.get("two_speakers") and row.get("items"):
                yield _sample(path.stem, "clips", path, row)
            elif row.get("two_speakers") and row.get("rttm"):
                yield untranscribed(path.stem, path, turns(path.with_name(row["rttm"]).read_text(encoding="utf-8")))


def _ours(ours: Recording, kind: str, path: Path, *, stereo: bool) -> Sample:
    items = [{"speaker": i.speaker, "start_ms": i.start_ms, "end_ms": i.end_ms, "text": i.text} for i in ours.items]
    return _sample(ours.id, kind, path, {"items": items}, stereo=stereo)


def _consultations(folder: Path, kind: str) -> Iterator[Sample]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        truth = path / f"{path.name}.truth.json"
        if truth.exists():
            known = msgspec.json.decode(truth.read_bytes())
            aligned = msgspec.json.decode((path / f"{path.name}.words.json").read_bytes())
            audio = path / known["files"][kind]
            yield _sample(path.name, kind, audio, known, aligned=aligned["items"], stereo=kind == "stereo")


def _sample(
    name: str,
    kind: str,
    path: Path,
    truth: dict[str, Any],
    *,
    aligned: Sequence[dict[str, Any]] = (),
    stereo: bool = False,
) -> Sample:
    spans = [(str(i["speaker"]), to_samples(i["start_ms"]), to_samples(i["end_ms"])) for i in truth["items"]]
    spoken = {"clinician": "doctor"}
    spans = [(spoken.get(who, who), start, end) for who, start, end in spans]
    if aligned:
        words = [
            SpokenWord(text=text, start=to_samples(start), end=to_samples(end), speaker=item["speaker"])
            for item in aligned
            for text, start, end in item["words"]
        ]
    else:
        words = [
            word
            for item, (who, start, end) in zip(truth["items"], spans, strict=True)
            for word in spread(item["text"], who, start, end)
        ]
    ordered = tuple(sorted(words, key=lambda word: (word.start, word.end)))
    return Sample(name=name, kind=kind, path=path, stereo=stereo, words=ordered, spans=tuple(spans))


def turns(rttm: str) -> tuple[tuple[str, int, int], ...]:
    """Speaker, first sample and one behind the last of each line (NIST RT-09 evaluation plan, appendix A)."""
    lines = [line.split() for line in rttm.splitlines() if line.startswith("SPEAKER ")]
    return tuple(
        (fields[7], to_samples(1000 * float(fields[3])), to_samples(1000 * (float(fields[3]) + float(fields[4]))))
        for fields in lines
    )


def untranscribed(name: str, path: Path, spans: tuple[tuple[str, int, int], ...]) -> Sample:
    """A clip of which it is only known who speaks when: numbers, each once, stand for the words that are said."""
    words: list[SpokenWord] = []
    for speaker, start, end in spans:
        numbers = range(len(words), len(words) + max(1, (end - start) // STAND_IN))
        words += spread(" ".join(f"{n:04}" for n in numbers), speaker, start, end)
    ordered = tuple(sorted(words, key=lambda word: (word.start, word.end)))
    return Sample(name=name, kind="clips", path=path, stereo=False, words=ordered, spans=spans, transcribed=False)


def spread(text: str, speaker: str, start: int, end: int) -> Iterator[SpokenWord]:
    """Words of a text, each as long as its letters say."""
    words = text.split()
    total, done = sum(len(word) + 1 for word in words), 0
    for word in words:
        first, done = start + (end - start) * done // total, done + len(word) + 1
        yield SpokenWord(text=word, start=first, end=start + (end - start) * done // total, speaker=speaker)


class TrueWords:
    """Answers recognition requests with the words of the truth whose middles lie in their audio, whoever says them."""

    def __init__(self, words: Sequence[SpokenWord], side: str = "") -> None:
        """`side`: of two channels, the speaker whose words are on this one."""
        self._words = sorted((w for w in words if not side or w.speaker == side), key=lambda w: w.start + w.end)
        self._middles = [(word.start + word.end) / 2 for word in self._words]

    def answer(self, request: RecognitionRequest) -> Hypothesis:
        """What is said in the request's audio."""
        first = bisect_left(self._middles, request.start)
        behind = bisect_left(self._middles, request.start + len(request.pcm))
        words = sorted(self._words[first:behind], key=lambda word: word.start)
        origin = request.start
        return Hypothesis(
            words=tuple(
                Word(text=word.text, start=max(0, word.start - origin), end=max(0, word.end - origin)) for word in words
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Player:
    """What plays samples through the pipeline."""

    options: SessionOptions
    voice_activity: VoiceActivityModel
    embedder: VoiceEmbedder | None
    recogniser: Recogniser | None  # None: the words of the truth
    expected_speakers: int = 2

    async def play(self, sample: Sample) -> Outcome:
        """Everything that is told of a sample."""
        stream = StreamOptions(
            encounter=sample.name, stream="stream0", voices=self.embedder is not None, reports=True, language="en"
        )
        session = StereoSession(stream, self.options, self.voice_activity)
        expected = ConversationOptions(expected_speakers=self.expected_speakers)
        conversation = Conversation(expected.heard_by(self.embedder))
        conversation.open(stream)
        truth = {
            "": TrueWords(sample.words),
            "left": TrueWords(sample.words, Role.DOCTOR),
            "right": TrueWords(sample.words, Role.PATIENT),
        }
        if not sample.spans:  # who is on which side is not known
            truth |= dict.fromkeys(("left", "right"), truth[""])
        outcome = Outcome()
        audio = sample.audio()
        for begin in range(0, len(audio), PIECE):
            session.receive_audio(audio[begin : begin + PIECE])
            outcome.duration = min(len(audio), begin + PIECE)
            await self._answer(session, truth, outcome)
            _take(conversation, session.events(), outcome)
        session.receive_end()
        await self._answer(session, truth, outcome)
        _take(conversation, session.events(), outcome)
        conversation.end()
        _take(conversation, (), outcome)
        outcome.state_bytes = len(conversation.state())
        return outcome

    async def _answer(self, session: StereoSession, truth: dict[str, TrueWords], outcome: Outcome) -> None:
        while True:
            requests, voiceprints = session.recognition_requests(), session.voiceprint_requests()
            if not requests and not voiceprints:
                return
            for request in requests:
                _, side = split_side(request.stream_id.split("/")[1])
                session.receive_hypothesis(request, await self._recognised(request, truth[side]))
            for wanted in voiceprints:
                assert self.embedder is not None
                begun = time.process_time()
                vectors = await self.embedder.embed(wanted.windows)
                outcome.embedding_s += time.process_time() - begun
                session.receive_voiceprints(wanted, wanted.answered(vectors))

    async def _recognised(self, request: RecognitionRequest, truth: TrueWords) -> Hypothesis:
        if self.recogniser is None:
            return truth.answer(request)
        (answer,) = await self.recogniser.recognise([request])
        return answer if isinstance(answer, Hypothesis) else Hypothesis(words=())


def _take(conversation: Conversation, events: Sequence[Event], outcome: Outcome) -> None:
    for event in events:
        conversation.receive(event)
    for told in conversation.events():
        if isinstance(told, Committed):
            for item in told.utterances:
                outcome.unexplained += item.id in outcome.told
                outcome.told[item.id] = Told(item=item, first=(item.speaker, item.role), at=outcome.duration)
        elif isinstance(told, SpeakerRenamed):
            for each in told.items:
                known = outcome.told[each]
                known.renames.append((outcome.duration, told.speaker, told.role))
                known.item = relabelled(known.item, told)
        elif isinstance(told, BleedDropped):
            outcome.dropped += told.items

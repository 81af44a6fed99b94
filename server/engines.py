"""Which engines run, and how they are used, as the settings say: recognisers, voices, voice activity, decoding."""

from pathlib import Path

import structlog

from pipeline.batching import Batcher, Observer
from pipeline.endpointing import Thresholds, windows
from pipeline.engines import models as models
from pipeline.engines.ge2e import Ge2eEmbedder
from pipeline.engines.ge2e_weights import weights_path
from pipeline.engines.llm import ChatModel, LlmOptions
from pipeline.engines.pyannote import PyannoteDiarizer, pyannote_embedder
from pipeline.engines.pyav import open_decoder as open_decoder
from pipeline.engines.pyav_opus import OpusWriter as OpusWriter
from pipeline.engines.pyav_probe import duration as duration
from pipeline.engines.scripted import ScriptedRecogniser
from pipeline.engines.silero import SileroModel
from pipeline.engines.sphinx import SphinxRecogniser
from pipeline.engines.webrtc_vad import WebRtcModel
from pipeline.engines.whisper_ct2 import WhisperRecogniser
from pipeline.errors import VoicesUnavailable
from pipeline.notes.asking.prompt_file import Prompt, read_prompt
from pipeline.ports import Recogniser, VoiceActivityModel, VoiceEmbedder
from pipeline.segmenter import SegmenterOptions
from pipeline.session import SessionOptions
from pipeline.types import SAMPLE_RATE, to_samples
from pipeline.writing import ModelWriter, WriterOptions
from server.internal.credentials import client_context, token_header
from server.internal.remote import RemoteRecogniser, hang_s
from server.reviewing import Reviewer
from server.settings import Settings, config_directory

log = structlog.get_logger()

FILE_BACKLOG = 120 * SAMPLE_RATE  # samples of a recording that wait for the recogniser: work for all of its batches


def make_voice_activity(settings: Settings) -> VoiceActivityModel:
    """The voice activity detector that the settings name."""
    return SileroModel() if settings.voice_activity.kind == "silero" else WebRtcModel()


def chosen(settings: Settings) -> models.Choice:
    """Which recogniser runs under these settings, and why. Raises `RecogniserUnavailable`."""
    return models.choose(settings.recogniser.kind, settings.recogniser.model, models_directory(settings))


def models_directory(settings: Settings) -> Path | None:
    """Where Whisper models are kept; None for the hub's own cache."""
    return Path(settings.recogniser.models_dir) if settings.recogniser.models_dir else None


def make_recogniser(settings: Settings) -> Recogniser:
    """The recogniser that the settings name, not yet loaded. Raises `RecogniserUnavailable`, `ServerError`."""
    wanted = settings.recogniser
    if recognises_elsewhere(settings):
        log.info("recogniser.chosen", kind="remote", model=f"{len(wanted.workers_at)} workers")
        return make_remote(settings)
    choice = chosen(settings)
    log.info("recogniser.chosen", kind=choice.kind, model=choice.model, reason=choice.reason, hint=choice.hint)
    if choice.kind == "whisper":
        return WhisperRecogniser(
            choice.model,
            device=wanted.device,
            compute_type=wanted.compute_type,
            encoder_window=wanted.encoder_window,
            beam_size=wanted.beam_size,
            workers=wanted.workers,
            threads=wanted.threads,
            use_prompt=wanted.use_prompt,
            download_root=models_directory(settings),
        )
    if choice.kind == "scripted":
        every = wanted.scripted_fails_every
        return ScriptedRecogniser(
            delay_ms=wanted.scripted_delay_ms,
            capacity=4,
            fails=lambda request: every > 0 and request.segment % every == every - 1,
        )
    return SphinxRecogniser(workers=wanted.workers or None)


def recognises_elsewhere(settings: Settings) -> bool:
    """Whether workers recognise for this process."""
    return bool(settings.recogniser.workers_at) and settings.server.role != "recogniser"


def make_remote(settings: Settings) -> RemoteRecogniser:
    """The recogniser that has the workers of the settings recognise. Raises `ServerError`."""
    return RemoteRecogniser(
        settings.recogniser.workers_at,
        headers=token_header(settings.internal),
        tls=client_context(settings.internal),
        deadline_s=settings.recogniser.deadline_s,
    )


def make_batcher(settings: Settings, recogniser: Recogniser, observer: Observer | None = None) -> Batcher:
    """The owner of a recogniser: one elsewhere ends its calls itself."""
    if recognises_elsewhere(settings):
        return Batcher(recogniser, observer, hang_s=hang_s(settings.recogniser.deadline_s))
    return Batcher(recogniser, observer)


def make_embedder(settings: Settings) -> VoiceEmbedder | None:
    """What tells voices apart under these settings, not yet loaded. None: nothing does."""
    try:
        return find_embedder(settings)
    except VoicesUnavailable as exc:  # whoever shares a stream with others stays unspecified, all else works
        log.warning("voices.unavailable", reason=str(exc))
        return None


def find_embedder(settings: Settings) -> VoiceEmbedder | None:
    """As `make_embedder`; None: the settings want nothing. Raises `VoicesUnavailable` that says how to mend it."""
    match settings.speakers.embedder:
        case "none":
            return None
        case "pyannote":
            return pyannote_embedder(
                settings.speakers.pyannote_model, settings.speakers.hub_token, device=settings.recogniser.device
            )
        case "auto" | "ge2e":
            return Ge2eEmbedder(weights_path())


def make_reviewer(settings: Settings) -> Reviewer | None:
    """What looks at labels once more at the end; None where the settings name no pyannote pipeline for it."""
    speakers = settings.speakers
    if not speakers.review or not speakers.pyannote_model:
        return None
    return Reviewer(PyannoteDiarizer(speakers.pyannote_model, speakers.hub_token, device=settings.recogniser.device))


def make_note_model(settings: Settings) -> ModelWriter | None:
    """The language model that writes notes under these settings; None: none does. Raises `InvalidPrompt`."""
    if not writes_with_model(settings):
        return None
    model = settings.note_model
    return ModelWriter(
        make_chat_model(settings),
        note_prompt(settings),
        WriterOptions(
            context_tokens=model.context_tokens,
            output_tokens=model.max_output_tokens,
            budget_tokens=model.budget_tokens,
            budget_s=model.budget_s,
            concurrency=model.concurrency,
            tries=model.tries,
            codes=model.codes,
        ),
    )


def writes_with_model(settings: Settings) -> bool:
    """Whether a language model writes notes."""
    return settings.notes.writer != "embedded" and settings.note_model.is_set


def make_chat_model(settings: Settings) -> ChatModel:
    """The language model that the settings name. Nothing is loaded or connected before it is asked."""
    model = settings.note_model
    headers = (header.partition(":") for header in model.headers)
    return ChatModel(
        LlmOptions(
            url=model.url,
            model=model.name,
            key=model.key,
            headers={name: value.strip() for name, _, value in headers},
            ca=model.ca,
            timeout_s=model.timeout_s,
            most_tokens=model.max_output_tokens,
            temperature=model.temperature,
            structured=model.structured,
        )
    )


def note_prompt(settings: Settings) -> Prompt:
    """How the model is asked. Raises `InvalidPrompt`."""
    own = settings.note_model.prompt_file
    return read_prompt(Path(own) if own else config_directory() / "prompts" / "note.toml")


def pyannote_missing(settings: Settings) -> str | None:
    """What keeps the pyannote pipeline of the settings from running, and what mends it; None: nothing."""
    try:
        pyannote_embedder(settings.speakers.pyannote_model, settings.speakers.hub_token)
    except VoicesUnavailable as exc:
        return str(exc)
    return None


def live_options(settings: Settings, recogniser: Recogniser) -> SessionOptions:
    """How live streams are cut and recognised, in the pipeline's units."""
    ends = settings.endpointing
    speculates = recogniser.speculates and ends.speculate_ms > 0
    finished_ms = min(ends.finished_ms, ends.silence_ms)
    return SessionOptions(
        segmenter=segmenter_options(settings),
        partial_interval=to_samples(ends.partial_interval_ms),
        commits=recogniser.continues,
        speculate_after=windows(ends.speculate_ms) if speculates else 0,
        finished_after=windows(finished_ms) if speculates and finished_ms else 0,
    )


def file_options(settings: Settings, recogniser: Recogniser) -> SessionOptions:
    """How recordings are cut and recognised: as live streams are, but nobody waits for a segment."""
    return SessionOptions(
        segmenter=segmenter_options(settings),
        partial_interval=0,
        pack=recogniser.window,
        max_backlog=FILE_BACKLOG,
    )


def segmenter_options(settings: Settings) -> SegmenterOptions:
    """How streams are cut, in windows."""
    voice, ends = settings.voice_activity, settings.endpointing
    return SegmenterOptions(
        thresholds=Thresholds(
            start=voice.start_threshold,
            end=voice.end_threshold,
            min_speech=windows(ends.min_speech_ms),
            silence=windows(ends.silence_ms),
        ),
        pre_roll=windows(ends.pre_roll_ms),
        hangover=windows(ends.hangover_ms),
        max_segment=windows(ends.max_segment_ms),
    )

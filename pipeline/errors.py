"""What can go wrong, as a tree. The docstring of a class is its default message; `code` is what interfaces map.

AuscultError
├── InvalidAudio
│   ├── UnsupportedAudio     the first bytes are no known container
│   ├── UndecodableAudio     a known container, but broken
│   ├── NoAudioTrack         a container without an audio track
│   ├── AudioTooShort        less than is asked of a recording
│   └── NoSpeech             nobody speaks in it
├── RecogniserError
│   ├── RecogniserUnavailable  model or package is missing; says which command mends it
│   ├── RecognitionFailed      one request failed (retryable)
│   │   ├── RecogniserHung       no answer in time
│   │   └── RecognitionGivenUp   and failed again when it was tried alone (not retryable)
│   ├── SegmentUnheard         a stretch of a stream has no text; says where
│   └── LanguageUnsupported    the running recogniser does not know the language
├── VoicesUnavailable        what tells voices apart is missing; says which command mends it
├── NoteError
│   ├── TranscriptTooShort
│   ├── NoteLanguageUnsupported
│   ├── UnknownTemplate
│   ├── InvalidTemplate      a template file is wrong; names the file
│   ├── InvalidPrompt        a prompt file is wrong; names the file
│   ├── NoteUnsupported      nothing that the model wrote was said
│   └── ModelError           the language model wrote no note; the embedded writer can
│       ├── ModelUnavailable     it cannot be reached, or answers with an error of its own (retryable)
│       │   └── ModelBusy            too many requests; says when to come back (retryable)
│       ├── ModelTimeout         nothing comes, or not all of it in time (retryable)
│       ├── ModelBrokenAnswer    what it wrote cannot be read (retryable)
│       ├── ModelRefused
│       ├── ModelUnauthorised    the key is wrong
│       ├── ModelRejected        it takes no such request: unknown model, or a setting that it does not know
│       └── ModelTooLong         the visit does not fit its context, or the budget
├── InvalidGlossary          a glossary file is wrong; names the file
└── Overloaded               no capacity; retry later
No message ever carries what was said, nor a person's name.
"""

from typing import TypeVar

E = TypeVar("E", bound=BaseException)


class AuscultError(Exception):
    """Something went wrong."""

    code = "error"
    retryable = False
    retry_after_s = 1  # where it is retryable: seconds to wait first

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


class InvalidAudio(AuscultError):
    """The audio cannot be used."""

    code = "invalid_audio"


class UnsupportedAudio(InvalidAudio):
    """These bytes are no audio this server knows: send webm, mp4, ogg, mp3, flac or wav."""

    code = "unsupported_audio"


class AudioTooLong(InvalidAudio):
    """The recording is longer than the server takes: split it."""

    code = "recording_too_long"


class UndecodableAudio(InvalidAudio):
    """The audio container is damaged or incomplete: restart the recorder, or send the file anew from the first byte."""

    code = "undecodable_audio"


class NoAudioTrack(InvalidAudio):
    """The file has no audio track: send a recording that contains sound."""

    code = "no_audio_track"


class AudioTooShort(InvalidAudio):
    """The recording is too short to make a note of."""

    code = "audio_too_short"


class NoSpeech(InvalidAudio):
    """No speech was found in the recording."""

    code = "no_speech"


class RecogniserError(AuscultError):
    """Speech could not be recognised."""

    code = "recogniser_error"


class RecogniserUnavailable(RecogniserError):
    """The recogniser cannot be loaded. `auscult doctor` says what is missing."""

    code = "recogniser_unavailable"


class RecognitionFailed(RecogniserError):
    """The recogniser failed on this segment."""

    code = "recognition_failed"
    retryable = True


class RecogniserHung(RecognitionFailed):
    """The recogniser did not answer in time for this segment."""

    code = "recogniser_hung"


class RecognitionGivenUp(RecognitionFailed):
    """The recogniser failed on this segment twice, the second time on it alone."""

    code = "recognition_given_up"
    retryable = False


class SegmentUnheard(RecogniserError):
    """A stretch of a stream could not be recognised."""

    code = "segment_unheard"


class LanguageUnsupported(RecogniserError):
    """The running recogniser does not know this language."""

    code = "language_unsupported"


class VoicesUnavailable(AuscultError):
    """Voices cannot be told apart: `auscult doctor` says what is missing."""

    code = "voices_unavailable"


class NoteError(AuscultError):
    """The note could not be written."""

    code = "note_error"


class TranscriptTooShort(NoteError):
    """We can't generate the note when the transcript is too short."""  # Nabla's own words (vendor page)

    code = "transcript_too_short"


class NoteUnsupported(NoteError):
    """Nothing that the model wrote was said."""

    code = "model_unsupported"


class NoteLanguageUnsupported(NoteError):
    """The note writer does not know this language."""

    code = "note_language_unsupported"


class UnknownTemplate(NoteError):
    """There is no note template of this name."""

    code = "unknown_template"


class InvalidTemplate(NoteError):
    """A note template file cannot be used."""

    code = "invalid_template"


class InvalidPrompt(NoteError):
    """A prompt file cannot be used."""

    code = "invalid_prompt"


class ModelError(NoteError):
    """The language model could not write the note."""

    code = "model_error"


class ModelUnavailable(ModelError):
    """The language model cannot be reached. `auscult doctor` says what is missing."""

    code = "model_unavailable"
    retryable = True


class ModelBusy(ModelUnavailable):
    """The language model takes no more requests now."""

    code = "model_busy"

    def __init__(self, message: str = "", *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelTimeout(ModelError):
    """The language model did not answer in time."""

    code = "model_timeout"
    retryable = True


class ModelBrokenAnswer(ModelError):
    """The language model's answer cannot be read."""

    code = "model_broken_answer"
    retryable = True


class ModelRefused(ModelError):
    """The language model refuses to write this note."""

    code = "model_refused"


class ModelUnauthorised(ModelError):
    """The language model's server does not accept the key: set note_model.key."""

    code = "model_unauthorised"


class ModelRejected(ModelError):
    """The language model's server does not take this request: see the settings of note_model."""

    code = "model_rejected"


class ModelTooLong(ModelError):
    """The visit is too long for the language model: see note_model.context_tokens and budget_tokens."""

    code = "model_too_long"


class InvalidGlossary(AuscultError):
    """A glossary file cannot be used."""

    code = "invalid_glossary"


class Overloaded(AuscultError):
    """There is no capacity for another session."""

    code = "overloaded"
    retryable = True

    def __init__(self, *, retry_after_s: int = 10) -> None:
        super().__init__(f"There is no capacity for another session now: try again in {retry_after_s} seconds.")
        self.retry_after_s = retry_after_s


def first(group: BaseExceptionGroup[E]) -> E:
    """The first error in a group of them, of which each may be another group."""
    head = group.exceptions[0]
    return first(head) if isinstance(head, BaseExceptionGroup) else head

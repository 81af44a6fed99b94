"""Generation C, `transcribe-ws`: items and acknowledgements, no note. Pure."""

from collections.abc import Collection, Sequence

from pipeline.errors import AuscultError
from pipeline.events import Partial, PartialWithdrawn
from pipeline.notes.note import Note
from pipeline.types import Role, Utterance, to_ms
from server.domain import EncounterOptions, Failure
from server.errors import BadRequest
from server.facades.nabla import convert, schema
from server.facades.nabla import schema_c as wire
from server.facades.nabla.dialect import Setup
from server.facades.nabla.locales import LANGUAGES
from server.speaking import expected_speakers

API = "nabla-c"


class GenerationC:
    """See `Dialect`."""

    sub_protocol = "transcribe-protocol"
    inbound: object = wire.ClientMessage
    outbound: object = wire.ServerMessage

    def setup(self, message: schema.ClientMessage, max_streams: int, languages: Collection[str]) -> Setup:
        """See `Dialect.setup`."""
        if not isinstance(message, wire.Config):
            raise BadRequest("The first message must be a CONFIG.")
        asked = message.speech_locales or ([message.speech_locale] if message.speech_locale else [])
        convert.one_of("speech_locales", asked, tuple(LANGUAGES))
        spoken = locale(asked, languages)
        options = EncounterOptions(
            api=API,
            streams=convert.streams(message, max_streams),
            language=LANGUAGES[spoken],
            split_by_sentence=bool(message.split_by_sentence),
            expected_speakers=expected_speakers(message.expected_speakers or 0),
            note=False,
            resumable=bool(message.enable_audio_chunk_ack),  # who is told nothing cannot know what to repeat
            attended=True,
        )
        return Setup(
            options=options,
            streams=tuple(stream.id for stream in message.streams),
            acknowledges=bool(message.enable_audio_chunk_ack),
            locale=spoken,
        )

    def item(self, said: Utterance | Partial | PartialWithdrawn, setup: Setup) -> wire.TranscriptItem:
        """See `Dialect.item`."""
        if isinstance(said, PartialWithdrawn):
            role, text, start, end = Role.UNSPECIFIED, "", 0, 0
        else:
            role, text, start, end = said.role, said.text, to_ms(said.start - setup.zero), to_ms(said.end - setup.zero)
        return wire.TranscriptItem(
            id=said.id,
            text=text,
            speaker_type=role.upper(),
            locale=setup.locale,
            start_offset_ms=start,
            end_offset_ms=end,
            is_final=isinstance(said, Utterance),
        )

    def acknowledgement(self, number: int) -> wire.AudioChunkAck:
        """See `Dialect.acknowledgement`."""
        return wire.AudioChunkAck(ack_id=number)

    def error(self, exc: AuscultError | Failure) -> wire.ErrorMessage:
        """See `Dialect.error`."""
        return convert.error(wire.ErrorMessage, exc)

    def note(self, written: Note) -> None:
        """Notes are written over REST in this generation."""


def locale(asked: Sequence[str], languages: Collection[str]) -> str:
    """The first locale whose language the recogniser knows; the first of all where it knows none."""
    known = (name for name in asked if LANGUAGES[name].split("-")[0] in languages)
    return next(known, asked[0])

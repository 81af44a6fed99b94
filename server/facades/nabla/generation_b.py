"""Generations A and B, `listen` and `listen-ws`: one wire format. Pure."""

from collections.abc import Collection

from pipeline.errors import AuscultError
from pipeline.events import Partial, PartialWithdrawn
from pipeline.notes.note import Note
from pipeline.types import Role, Utterance, to_ms
from server.domain import EncounterOptions, Failure
from server.errors import BadRequest
from server.facades.nabla import convert, schema
from server.facades.nabla import schema_b as wire
from server.facades.nabla.dialect import Setup
from server.speaking import expected_speakers

API = "nabla"
OUTPUTS = ("transcript_item", "note")
LANGUAGES = ("fr", "en", "en-US", "en-GB", "fr-FR", "es-ES", "es-MX")
STYLES = ("auto", "paragraphs", "bullet_points")
ENGLISH_ONLY = ("GENERAL_MEDICINE_AP_MERGED",)  # templates


class GenerationB:
    """See `Dialect`."""

    sub_protocol = "copilot-listen-protocol"
    inbound: object = wire.ClientMessage
    outbound: object = wire.ServerMessage

    def setup(self, message: schema.ClientMessage, max_streams: int, languages: Collection[str]) -> Setup:
        """See `Dialect.setup`."""
        if not isinstance(message, wire.ListenConfig):
            raise BadRequest("The first message must be a listen_config.")
        wanted = ["transcript_item"] if message.output_objects is None else message.output_objects
        language, style = message.language or "en-US", message.section_style or "auto"
        template = message.note_template or "GENERAL_MEDICINE"
        convert.one_of("output_objects", wanted, OUTPUTS)
        convert.one_of("language", [language], LANGUAGES)
        convert.one_of("section_style", [style], STYLES)
        if "note" in wanted:
            check_template(template, language)
        options = EncounterOptions(
            api=API,
            streams=convert.streams(message, max_streams),
            language=language,
            template=template,
            style=style,
            split_by_sentence=bool(message.split_by_sentence),
            split_by_problem=bool(message.split_by_problem),
            expected_speakers=expected_speakers(message.expected_speakers or 0),
            note="note" in wanted,
            resumable=False,
            attended=True,
        )
        return Setup(
            options=options,
            streams=tuple(stream.id for stream in message.streams),
            tells_items="transcript_item" in wanted,
            acknowledges=bool(message.enable_audio_chunk_ack),
        )

    def item(self, said: Utterance | Partial | PartialWithdrawn, setup: Setup) -> wire.TranscriptItem:
        """See `Dialect.item`."""
        if isinstance(said, PartialWithdrawn):
            return wire.TranscriptItem(
                id=said.id, text="", speaker=Role.UNSPECIFIED, start_offset_ms=0, end_offset_ms=0, is_final=False
            )
        return wire.TranscriptItem(
            id=said.id,
            text=said.text,
            speaker=said.role,
            start_offset_ms=to_ms(said.start),
            end_offset_ms=to_ms(said.end),
            is_final=isinstance(said, Utterance),
        )

    def acknowledgement(self, number: int) -> wire.AudioChunkAck:
        """See `Dialect.acknowledgement`."""
        return wire.AudioChunkAck(ack_id=number)

    def error(self, exc: AuscultError | Failure) -> wire.ErrorMessage:
        """See `Dialect.error`."""
        return convert.error(wire.ErrorMessage, exc)

    def note(self, written: Note) -> wire.Note:
        """The note with its evidence."""
        return wire.Note(
            title=written.title,
            sections=[
                wire.Section(
                    key=section.key,
                    title=section.title,
                    text=section.text,
                    sentences=[
                        wire.Sentence(text=s.text, transcript_item_ids=list(s.items), faults=s.faults)
                        for s in section.sentences
                    ],
                )
                for section in written.sections
            ],
            generator=written.generator,
            fallback=written.fallback,
        )


def check_template(template: str, language: str) -> None:
    """Raises `BadRequest` for a note template that is not there in this language."""
    if template in ENGLISH_ONLY and not language.startswith("en"):
        raise BadRequest(f"The note template {template} is only available in English.")

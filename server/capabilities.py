"""The use-case of looking before asking: what this server can do for a caller. Nothing of it is confidential."""

import msgspec

from pipeline.notes.templates import Template
from pipeline.ports import Recogniser
from server.domain import Caller
from server.notes import Notes
from server.retention import Retention, kept
from server.tenants import Tenants


class Ceilings(msgspec.Struct, frozen=True, kw_only=True):
    """How much may be sent, and how long may be waited."""

    max_recording_bytes: int
    max_recording_minutes: int
    max_recording_files: int
    max_session_minutes: int
    max_streams_per_session: int
    max_chunk_bytes: int
    stream_silence_timeout_s: float
    reconnect_timeout_s: float
    max_token_s: int


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller can have."""

    recogniser: str  # its kind
    model: str  # of it, for people
    languages: tuple[str, ...]  # of speech, ISO 639-1; none: any, or not known yet
    writer: str  # of notes: see `Note.generator`
    note_languages: tuple[str, ...]  # ISO 639-1; none: any
    templates: tuple[Template, ...]  # by name
    template: str  # where a client names none
    style: str  # likewise
    retention: Retention  # the caller's own
    ceilings: Ceilings


class Capabilities:
    """See the module. One per process."""

    def __init__(
        self, recogniser: Recogniser, notes: Notes, tenants: Tenants, retention: Retention, ceilings: Ceilings
    ) -> None:
        """`retention`: where a tenant has no settings of its own."""
        self._recogniser = recogniser
        self._notes = notes
        self._tenants = tenants
        self._retention = retention
        self._ceilings = ceilings

    async def offered(self, caller: Caller) -> Offer:
        """What this caller can have. Raises `StoreUnavailable`."""
        own = await self._tenants.settings(caller.tenant_id)
        recogniser, notes = self._recogniser, self._notes
        return Offer(
            recogniser=recogniser.name,
            model=recogniser.model,
            languages=tuple(sorted(recogniser.languages)),
            writer=notes.generator,
            note_languages=notes.languages,
            templates=tuple(template for _, template in sorted(notes.templates.items())),
            template=notes.default_template,
            style=notes.default_style,
            retention=kept(self._retention, own),
            ceilings=self._ceilings,
        )

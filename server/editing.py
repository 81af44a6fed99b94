"""The use-cases of whoever corrects an encounter: who speaks, what was consented to, what its note says.

What can be edited has a tag that changes with it. `expected` are the tags that a client knows (None: it named none, and
"*" is any), so that nobody overwrites what they have not seen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TypeAlias, TypeVar

import msgspec
from sqlalchemy import Connection

from pipeline.events import SpeakerRenamed
from pipeline.notes.note import PROVIDER, Note, NoteSection
from pipeline.notes.templates import Template
from pipeline.speakers import Speaker, speakers
from pipeline.types import Role, Utterance
from server.access import Action, record
from server.domain import FINISHED, Caller, EncounterRow, NoteVersion, Review, StoredNote
from server.encounters import Encounters
from server.errors import (
    BadRequest,
    Conflict,
    EpochLost,
    Erased,
    Forbidden,
    NoteUnwritten,
    PreconditionFailed,
    PreconditionRequired,
)
from server.following import renamed
from server.intake import Consent
from server.live import Studio
from server.store import encounters as sql
from server.store import notes
from server.store.seal import Seal
from server.turns import Turns

T = TypeVar("T")

Expected: TypeAlias = frozenset[str] | None
Corrections: TypeAlias = Callable[[Sequence[Utterance]], Mapping[str, Role]]
"""What roles speakers have, to be found out from what was said."""

ANY = "*"
MOST_AT_ONCE = 3  # notes of one encounter that are asked for: one is written, the others wait
SWAPPED = {Role.DOCTOR: Role.PATIENT, Role.PATIENT: Role.DOCTOR}


class NoteEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be changed in a note; None: nothing."""

    title: str | None = None
    sections: tuple[NoteSection, ...] | None = None
    review: Review | None = None


class NoteWishes(msgspec.Struct, frozen=True, kw_only=True):
    """How a note is to be written again; empty and None: as it was asked for at first."""

    template: str = ""
    style: str = ""
    split_by_problem: bool | None = None
    instructions: str = ""
    writer: str = ""  # embedded | model; empty: as the server is set


class Editing:
    """See the module. One per process. Every method raises `NotFound`; those that change something, `Forbidden`."""

    def __init__(self, encounters: Encounters, studio: Studio) -> None:
        self._encounters = encounters
        self._studio = studio
        self._turns = Turns(MOST_AT_ONCE)

    # Who speaks

    async def speakers(self, caller: Caller, encounter: str) -> tuple[tuple[Speaker, ...], str]:
        """Who spoke how much so far, and the tag of who is who."""
        summary = await self._encounters.speakers(caller, encounter)
        return summary, speakers_tag(summary)

    async def correct_speakers(
        self, caller: Caller, encounter: str, corrections: Corrections, expected: Expected
    ) -> tuple[tuple[Speaker, ...], str]:
        """Speakers have other roles: the items change, and whoever follows is told. Raises `BadRequest`,
        `PreconditionFailed`.
        """
        row = await self._editable(caller, encounter)
        items = await self._encounters.items(row)
        if expected is not None:
            check(speakers_tag(speakers(items)), expected)
        roles = corrections(items)
        if unknown := set(roles) - {item.speaker for item in items}:
            raise BadRequest(f"{len(unknown)} of the speaker_ids named are none of this encounter's.")
        live = await self._encounters.correctable(row)
        if live is not None:
            try:
                async with live.correcting:
                    said = live.transcript.items
                    if expected is not None:
                        check(speakers_tag(speakers(said)), expected)
                    await live.relabel(corrections(said))
            except EpochLost:
                row = await self._encounters.row(encounter)
                if row.state not in FINISHED:
                    raise
                live = None  # it was completed a moment ago
        at, seal = self._studio.now(), self._encounters.seal(row)

        def operation(connection: Connection) -> None:
            if live is None:
                sql.lock(connection, encounter)
                stored = sql.read_items(connection, seal, encounter)
                if expected is not None:
                    check(speakers_tag(speakers(stored)), expected)
                relabel(connection, seal, encounter, stored, corrections(stored))
            record(connection, caller, Action.EDIT, encounter, at)

        await self._studio.writer.write(operation)
        summary = speakers(await self._encounters.items(row))
        return summary, speakers_tag(summary)

    # Consent

    async def consent(self, caller: Caller, encounter: str) -> tuple[Consent | None, str]:
        """What is known of the patient's consent."""
        row = await self._encounters.owned(caller, encounter)

        def query(connection: Connection) -> tuple[Consent | None, str]:
            return self._consent(connection, self._encounters.seal(row), encounter)

        found = await self._studio.reader.read(query)
        await self._record(caller, Action.READ, encounter)
        return found

    async def put_consent(
        self, caller: Caller, encounter: str, consent: Consent, expected: Expected
    ) -> tuple[Consent | None, str]:
        """The patient consented. Raises `PreconditionRequired` where that was said before, `PreconditionFailed`."""

        def change(connection: Connection, seal: Seal) -> tuple[Consent | None, str]:
            before, tag = self._consent(connection, seal, encounter)
            if before is not None or expected is not None:
                check(tag, expected)
            intake = msgspec.structs.replace(sql.get_intake(connection, seal, encounter), consent=consent)
            sql.put_intake(connection, seal, encounter, intake)
            return self._consent(connection, seal, encounter)

        return await self._change(caller, await self._editable(caller, encounter), change)

    @staticmethod
    def _consent(connection: Connection, seal: Seal, encounter: str) -> tuple[Consent | None, str]:
        intake = sql.get_intake(connection, seal, encounter)
        return intake.consent, notes.tag(sql.sealed_intake(connection, encounter))

    # Notes

    async def notes(self, caller: Caller, encounter: str) -> list[NoteVersion]:
        """All versions, the oldest first."""
        row = await self._encounters.owned(caller, encounter)
        query = partial(notes.versions, seal=self._encounters.seal(row), encounter=encounter)
        found = await self._studio.reader.read(query)
        await self._record(caller, Action.READ, encounter)
        return found

    async def note(self, caller: Caller, encounter: str, number: int) -> NoteVersion:
        """One version."""
        row = await self._encounters.owned(caller, encounter)
        query = partial(notes.version, seal=self._encounters.seal(row), encounter=encounter, number=number)
        found = await self._studio.reader.read(query)
        await self._record(caller, Action.READ, encounter)
        return found

    async def amends(self, row: EncounterRow, version: NoteVersion) -> bool:
        """Whether a version was made of one that was approved of, however often it was edited in between."""
        seal = self._encounters.seal(row)
        query = partial(notes.amends, seal=seal, encounter=row.id, stored=version.stored)
        return await self._studio.reader.read(query)

    async def write_note(self, caller: Caller, encounter: str, wishes: NoteWishes) -> NoteVersion:
        """Write the note again, from what was said as it stands now.

        Raises `UnknownTemplate`, `Conflict`, and `NoteUnwritten`, which leaves the versions as they are.
        """
        row = _over(await self._editable(caller, encounter))
        await self._studio.reader.read(partial(notes.check_room, encounter=encounter))
        written = await self._written(row, wishes)
        at = self._studio.now()
        return await self._change(
            caller, row, lambda connection, seal: notes.add(connection, seal, encounter, written, at)
        )

    async def draft_note(self, caller: Caller, encounter: str, wishes: NoteWishes) -> StoredNote:
        """The note of what was said so far; nothing is stored. Raises `UnknownTemplate`, `NoteUnwritten`."""
        row = await self._encounters.owned(caller, encounter)
        drafted = await self._written(row, wishes)
        await self._record(caller, Action.READ, encounter)
        return drafted

    async def _written(self, row: EncounterRow, wishes: NoteWishes) -> StoredNote:
        """Raises `UnknownTemplate`, `BadRequest`, `TooManyAtOnce`, `NoteUnwritten`, `Erased`."""
        writing = self._encounters.notes
        if wishes.template:
            writing.require(wishes.template)
        writing.check_writer(wishes.writer)
        asked, intake = row.options, await self._encounters.intake(row)
        options = msgspec.structs.replace(
            asked,
            template=wishes.template or asked.template,
            style=wishes.style or asked.style,
            split_by_problem=asked.split_by_problem if wishes.split_by_problem is None else wishes.split_by_problem,
        )
        intake = msgspec.structs.replace(intake, instructions=wishes.instructions or intake.instructions)
        async with self._turns.turn(row.id):
            items = await self._encounters.items(row)
            with self._encounters.under_way.writing(row.id, final=False) as scope:
                written = await writing.write(options, items, intake, writer=wishes.writer, pressing=False)
        if scope.cancelled_caught:
            raise Erased
        if written.absence is not None:
            raise NoteUnwritten(written.absence.code, written.absence.message)
        return written

    async def edit_note(
        self, caller: Caller, encounter: str, number: int, edit: NoteEdit, expected: Expected
    ) -> NoteVersion:
        """A provider says something else, which is a version more, or what they think of this one.

        Raises `BadRequest`, `Conflict` where it was edited before, `PreconditionRequired`, `PreconditionFailed`.
        """
        row = _over(await self._editable(caller, encounter))
        known = {item.id for item in await self._encounters.items(row)}
        cited = {item for section in edit.sections or () for each in section.sentences for item in each.items}
        if cited - known:
            raise BadRequest("A sentence names items that are none of this encounter's.")
        at = self._studio.now()

        def change(connection: Connection, seal: Seal) -> NoteVersion:
            before = notes.version(connection, seal, encounter, number)
            check(before.tag, expected)
            after = edited(before, row, edit, at, self._encounters.notes.templates)
            if after.edited_from != number:
                return notes.replace(connection, seal, encounter, number, after)
            if (other := notes.edit_of(connection, seal, encounter, number)) is not None:
                raise Conflict(f"Version {number} was edited before, as version {other}: edit that one.")
            return notes.add(connection, seal, encounter, after, at)

        return await self._change(caller, row, change)

    # Inside

    async def _editable(self, caller: Caller, encounter: str) -> EncounterRow:
        row = await self._encounters.owned(caller, encounter)
        if not caller.may_feed:
            raise Forbidden("This token only follows the session: change it with another one, or with a key.")
        return row

    async def _change(self, caller: Caller, row: EncounterRow, change: Callable[[Connection, Seal], T]) -> T:
        """What `change` returns, done while nobody else changes the encounter, and recorded with it."""
        at, seal = self._studio.now(), self._encounters.seal(row)

        def operation(connection: Connection) -> T:
            sql.lock(connection, row.id)
            done = change(connection, seal)
            record(connection, caller, Action.EDIT, row.id, at)
            return done

        return await self._studio.writer.write(operation)

    async def _record(self, caller: Caller, action: Action, encounter: str) -> None:
        at = self._studio.now()
        await self._studio.writer.write(partial(record, caller=caller, action=action, encounter=encounter, at=at))


def check(tag: str, expected: Expected) -> None:
    """Raises `PreconditionRequired`, `PreconditionFailed` (RFC 9110 §13.1.1)."""
    if expected is None:
        raise PreconditionRequired
    if not expected & {ANY, tag}:
        raise PreconditionFailed


def speakers_tag(summary: Sequence[Speaker]) -> str:
    """Another one whenever somebody is somebody else."""
    return sha256(msgspec.json.encode([(each.id, each.role) for each in summary])).hexdigest()[:16]


def swapped(items: Sequence[Utterance]) -> dict[str, Role]:
    """The doctor is the patient, and the other way round."""
    return {item.speaker: SWAPPED[item.role] for item in items if item.role in SWAPPED}


def relabel(
    connection: Connection, seal: Seal, encounter: str, items: Sequence[Utterance], roles: Mapping[str, Role]
) -> None:
    """The stored items of these speakers have these roles."""
    wrong = [item for item in items if roles.get(item.speaker, item.role) is not item.role]
    right = [
        renamed(item, SpeakerRenamed(speaker=item.speaker, role=roles[item.speaker], items=(item.id,)))
        for item in wrong
    ]
    sql.relabel(connection, seal, encounter, right)


def edited(
    version: NoteVersion, row: EncounterRow, edit: NoteEdit, at: float, templates: Mapping[str, Template]
) -> StoredNote:
    """The note with its changes. One that says something else is `edited_from` the version; it is a draft, unless it is
    approved of in the same breath. Raises `BadRequest`.
    """
    before = version.stored
    if edit.title is None and edit.sections is None:
        if before.note is None:
            raise BadRequest("There is no note in this version yet: send its title and its sections.")
        return msgspec.structs.replace(before, review=edit.review or before.review)
    note = before.note
    if note is None:
        if edit.sections is None:
            raise BadRequest("There is no note in this version yet: send its sections, too.")
        note = Note(template=row.options.template, title="", language=row.options.language, sections=())
    note = replace(
        note,
        title=note.title if edit.title is None else edit.title,
        sections=note.sections if edit.sections is None else with_topics(edit.sections, note, templates),
        generator=PROVIDER,
        fallback="",
        left_out=0,
    )
    return StoredNote(
        note=note,
        style=before.style,
        review=edit.review or Review.DRAFT,
        edited_at=at,
        edited_from=version.version,
    )


def with_topics(
    sections: Sequence[NoteSection], before: Note, templates: Mapping[str, Template]
) -> tuple[NoteSection, ...]:
    """A provider's sections, each with the topics of its key: they decide where an API puts it."""
    template = templates.get(before.template)
    topics = {} if template is None else {section.key: section.topics for section in template.sections}
    topics |= {section.key: section.topics for section in before.sections}
    return tuple(replace(section, topics=topics.get(section.key, ())) for section in sections)


def _over(row: EncounterRow) -> EncounterRow:
    """Raises `Conflict`."""
    if row.state not in FINISHED:
        raise Conflict("The encounter is not over: its note is written when it is.")
    return row

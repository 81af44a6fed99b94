"""The use-cases beside a note: what its patient may read, billing codes, and what is behind a version."""

from collections.abc import Mapping, Sequence

import msgspec

from pipeline.notes.beside.coding import Coding, code_visit
from pipeline.notes.beside.icd10 import shipped_catalogue
from pipeline.types import Utterance
from server.computing import Computing
from server.domain import Caller, EncounterRow, NoteVersion
from server.editing import Editing
from server.encounters import Encounters
from server.intake import Patient


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A version with all that its document may hold."""

    row: EncounterRow
    version: NoteVersion
    patient: Patient
    items: tuple[Utterance, ...]  # that its sentences rest on, as far as they are still there
    amends: bool  # whether a version that was approved of is behind it


class NoteExports:
    """See the module. One per process. Every method raises `NotFound`."""

    def __init__(
        self, encounters: Encounters, editing: Editing, procedures: Mapping[str, str], computing: Computing
    ) -> None:
        """`procedures`: the operator's CPT codes."""
        self._encounters = encounters
        self._editing = editing
        self._procedures = procedures
        self._computing = computing

    async def version(self, caller: Caller, encounter: str, number: int) -> NoteVersion:
        """One version."""
        return await self._editing.note(caller, encounter, number)

    async def coding(self, caller: Caller, encounter: str, number: int) -> tuple[NoteVersion, Coding]:
        """One version with the billing codes that were spoken, or are suggested for what it names."""
        version = await self._editing.note(caller, encounter, number)
        items = await self._encounters.items(await self._encounters.owned(caller, encounter))
        return version, await self._computing.run(self._code, version, items)

    async def exported(self, caller: Caller, encounter: str, number: int) -> Exported:
        """One version with what is behind it."""
        version = await self._editing.note(caller, encounter, number)
        row = await self._encounters.owned(caller, encounter)
        sections = () if version.stored.note is None else version.stored.note.sections
        cited = {item for section in sections for sentence in section.sentences for item in sentence.items}
        return Exported(
            row=row,
            version=version,
            patient=(await self._encounters.intake(row)).patient,
            items=tuple(item for item in await self._encounters.items(row) if item.id in cited),
            amends=await self._editing.amends(row, version),
        )

    def _code(self, version: NoteVersion, items: Sequence[Utterance]) -> Coding:
        return code_visit(version.stored.note, items, shipped_catalogue(), self._procedures)

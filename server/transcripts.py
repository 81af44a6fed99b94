"""Encounters that come as text: typed by somebody who was there, or transcribed elsewhere."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial

import msgspec
from sqlalchemy import Connection

from pipeline.transcript import item_id
from pipeline.typed import Turn
from pipeline.types import Role, StreamOptions, Utterance, to_samples
from server.access import Action, record
from server.domain import Callback, Caller, EncounterOptions, Stage, State
from server.encounters import Encounters
from server.errors import BadRequest, Forbidden, TooLarge
from server.intake import NOTHING, Intake
from server.live import Studio
from server.notes import Written
from server.store import encounters as sql
from server.store.deliveries import put_callback

STREAM = "text"
MAX_TURNS = 20_000  # of one text: more than a day of talk
DRAFT = "draft"  # in the place of an encounter's id, where nothing is stored


class Transcripts:
    """See the module. One per process."""

    def __init__(self, encounters: Encounters, studio: Studio, check_address: Callable[[str], None]) -> None:
        """`check_address` raises `AddressRefused` for a callback that will never be made."""
        self._check_address = check_address
        self._encounters = encounters
        self._studio = studio

    async def open(
        self,
        caller: Caller,
        options: EncounterOptions,
        turns: Sequence[Turn],
        *,
        client_key: str | None = None,
        callback: Callback | None = None,
        intake: Intake = NOTHING,
    ) -> str:
        """Store an encounter that is over; returns its id (the known one for a `client_key` used before).

        Its note is written as that of any other: `Encounters.outcome` waits for it.

        Raises `BadRequest`, `Forbidden`, `AddressRefused`, `QuotaExceeded`.
        """
        if caller.encounter:
            raise Forbidden("A token for one session opens no other: use an API key.")
        said = _said(turns)
        if callback is not None:
            self._check_address(callback.url)
        encounter, seal, wrapped = self._encounters.new_seal()
        row = await self._encounters.new_row(caller, options, encounter, wrapped, state=State.CLOSING, owner="")
        reached = {Stage.CREATED: row.created_at, Stage.TRANSCRIBED: row.created_at}
        row = msgspec.structs.replace(row, stages=reached, percentage=Stage.TRANSCRIBED.percentage)
        items = _utterances(encounter, said)

        allowed = await self._encounters.quotas.allowance(caller.tenant_id)

        def operation(connection: Connection) -> str:
            known = client_key is not None and sql.find(connection, row.tenant_id, client_key) is not None
            if not known:
                self._encounters.quotas.check(connection, row.tenant_id, allowed, streams=0)
            opened = sql.create(connection, row, client_key)
            if opened == encounter:
                sql.add_items(connection, seal, encounter, list(enumerate(items)))
                sql.put_intake(connection, seal, encounter, intake)
                if callback is not None:
                    put_callback(connection, seal, encounter, options.api, callback)
            record(connection, caller, Action.OPEN, opened, row.created_at)
            return opened

        with self._encounters.quotas.counted():
            opened = await self._studio.writer.write(operation)
        if opened == encounter:
            self._studio.metrics.sessions_opened.labels(api=options.api).inc()
            await self._encounters.typed(opened)
        return opened

    async def check(self, caller: Caller, turns: Sequence[Turn] | None = None) -> None:
        """Whether this caller may have a text's note written. Raises `Forbidden`, `QuotaExceeded`, and as `draft`."""
        if turns is not None:
            _said(turns)
        if caller.encounter:
            raise Forbidden("A token for one session opens no other: use an API key.")
        quotas = self._encounters.quotas
        allowed = await quotas.allowance(caller.tenant_id)
        with quotas.counted():
            check = partial(quotas.check, tenant_id=caller.tenant_id, allowed=allowed, streams=0)
            await self._studio.reader.read(check)

    async def draft(
        self, options: EncounterOptions, turns: Sequence[Turn], intake: Intake = NOTHING
    ) -> AsyncGenerator[Written]:
        """The note of a text as it is written: see `Notes.writing`. Nothing is stored; closing it ends the writing.

        Raises `BadRequest`, `TooLarge`.
        """
        said = _utterances(DRAFT, _said(turns))
        async with aclosing(self._encounters.notes.writing(options, said, intake)) as updates:
            async for update in updates:
                yield update


def _said(turns: Sequence[Turn]) -> list[Turn]:
    """Those with words. Raises `BadRequest`, `TooLarge`."""
    said = [turn for turn in turns if turn.text.strip()]
    if len(said) > MAX_TURNS:
        raise TooLarge(f"The transcript has more than {MAX_TURNS} sentences: send it in parts.")
    if not said:
        raise BadRequest("There is no text in the transcript.")
    return said


def _utterances(encounter: str, turns: Sequence[Turn]) -> list[Utterance]:
    """Each behind the one before it, also where no times are known: that is how they are read again."""
    stream = StreamOptions(encounter=encounter, stream=STREAM)
    said: list[Utterance] = []
    for turn in turns:
        start = max(to_samples(turn.start_ms), said[-1].start + 1 if said else 0)
        said.append(
            Utterance(
                id=item_id(stream, len(said)),
                stream=STREAM,
                role=turn.role,
                speaker="" if turn.role is Role.UNSPECIFIED else turn.role,
                start=start,
                end=max(start, to_samples(turn.end_ms)),
                text=turn.text.strip(),
            )
        )
    return said

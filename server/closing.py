"""The steps that close an encounter. Each may run again after a crash, and does then what is left to do."""

from collections.abc import Sequence
from contextlib import aclosing
from functools import partial

import msgspec
from sqlalchemy import Connection

from pipeline.containers import begins_file
from pipeline.errors import AudioTooLong, AudioTooShort, LanguageUnsupported, NoSpeech
from pipeline.types import Utterance
from server.deliveries.sending import Deliveries
from server.domain import FINISHED, EncounterRow, EncounterView, Failure, Stage, StoredNote, StreamSpec
from server.encounters import Encounters
from server.errors import EpochLost, NotFound
from server.executors import DELIVER, Executors
from server.live import Studio
from server.notes import FAILED
from server.store import encounters as sql
from server.store.blobs import Blobs
from server.store.encounters import Archived
from server.store.seal import Seal


class Closing:
    """Finish the transcript, write the note, say the last word, archive the audio."""

    def __init__(
        self, encounters: Encounters, studio: Studio, blobs: Blobs, deliveries: Deliveries, executors: Executors
    ) -> None:
        self._encounters = encounters
        self._studio = studio
        self._blobs = blobs
        self._deliveries = deliveries
        self._executors = executors

    async def finish_transcript(self, encounter: str) -> None:
        """Hear everything that was logged, to the end."""
        row = await self._encounters.row(encounter)
        if row.state in FINISHED or Stage.TRANSCRIBED in row.stages:
            return
        live = await self._encounters.held(row)
        if live is None:
            raise NotFound
        live.end()
        await live.gone.wait()
        if not live.transcribed.is_set():
            raise EpochLost

    async def write_note(self, encounter: str) -> None:
        """Write the note, or remember why there is none."""
        row = await self._encounters.row(encounter)
        if row.state in FINISHED or not row.options.note:
            return
        items = await self._encounters.items(row)
        intake = await self._encounters.intake(row)
        note = StoredNote(absence=FAILED)
        under_way = self._encounters.under_way
        with self._encounters.boards.watch(encounter) as board, under_way.writing(encounter, final=True) as scope:
            async with aclosing(self._encounters.notes.writing(row.options, items, intake)) as updates:
                async for update in updates:
                    if isinstance(update, StoredNote):
                        note = update
                    else:
                        board.publish(update)
        if scope.cancelled_caught:
            return
        seal, at = self._encounters.seal(row), self._studio.now()

        def operation(connection: Connection) -> None:
            sql.lock(connection, encounter)
            if sql.get(connection, encounter).state not in FINISHED:  # another process may have been faster
                sql.put_note(connection, seal, encounter, note, at)

        await self._studio.writer.write(operation)

    async def complete(self, encounter: str) -> None:
        """Say the last word."""
        row = await self._encounters.row(encounter)
        if row.state in FINISHED:
            return
        items = await self._encounters.items(row)
        await self._studio.batcher.meet()  # it may have been restarted since, and could not say why nothing came out
        await self.conclude(row, self._failure(row, items), items)

    async def conclude(self, row: EncounterRow, failure: Failure | None, items: Sequence[Utterance]) -> None:
        """Say the last word, whoever is at work on it, and put into the outbox, with it, who is to be told."""
        seal = self._encounters.seal(row)
        foreseen = await self._foreseen(row, seal, items)
        at = self._studio.now()

        def operation(connection: Connection) -> int:
            sql.conclude(connection, row.id, at, failure)
            note = sql.get_note(connection, seal, row.id)
            intake = sql.get_intake(connection, seal, row.id)
            over = sql.get(connection, row.id)
            view = EncounterView(
                row=over,
                items=tuple(items),
                note=note,
                intake=intake,
                expires_at=self._encounters.expires_at(connection, over),
            )
            if (note, intake) == (foreseen.note, foreseen.intake):
                view = msgspec.structs.replace(view, coding=foreseen.coding, summary=foreseen.summary)
            return self._deliveries.enqueue(connection, seal, view)

        self._encounters.under_way.over(row.id)
        to_deliver = await self._studio.writer.write(operation)
        self._studio.metrics.sessions_completed.labels(outcome="done" if failure is None else failure.code).inc()
        await self._encounters.completed(row.id)
        if to_deliver:
            await self._executors.tell(DELIVER, row.id)

    async def _foreseen(self, row: EncounterRow, seal: Seal, items: Sequence[Utterance]) -> EncounterView:
        """What will be told of the encounter, as far as it takes long to work out."""

        def query(connection: Connection) -> EncounterView:
            note, intake = sql.get_note(connection, seal, row.id), sql.get_intake(connection, seal, row.id)
            return EncounterView(row=row, items=tuple(items), note=note, intake=intake)

        return await self._deliveries.foresee(seal, await self._studio.reader.read(query))

    async def archive_audio(self, encounter: str) -> None:
        """Move the chunk log into blobs: written outside the transaction that then drops the rows."""
        row = await self._encounters.row(encounter)
        seal = self._encounters.seal(row)
        known = await self._studio.reader.read(partial(sql.blob_keys, encounter=encounter))
        kept: list[Archived] = []
        for stream, spec in enumerate(row.options.streams):
            if (key := f"{encounter}-{stream}") not in known:  # else the step ran before, and the log is gone
                kept.append(await self._archive(seal, encounter, stream, spec, key))
        at = self._studio.now()
        await self._studio.writer.write(partial(sql.drop_log, seal=seal, encounter=encounter, kept=kept, at=at))

    def _failure(self, row: EncounterRow, items: Sequence[Utterance]) -> Failure | None:
        """Why nothing useful came out; None where something did, or where simply nothing was said."""
        if row.failure is not None and row.failure.code == AudioTooLong.code:
            return row.failure
        if items:
            return _too_short(row)
        try:
            self._encounters.check_language(row.options)
        except LanguageUnsupported as exc:
            return Failure(code=exc.code, message=str(exc))
        if row.failure is None and row.options.least_audio_ms:
            return _too_short(row) or Failure(code=NoSpeech.code, message=str(NoSpeech()))
        return row.failure

    async def _archive(self, seal: Seal, encounter: str, stream: int, spec: StreamSpec, key: str) -> Archived:
        """Copy one stream's log into a blob, where the borders of its chunks are lost: those of its files are told."""
        read = partial(sql.read_log, seal=seal, encounter=encounter, stream=stream)
        files: list[int] = []
        async with self._blobs.writer(key, seal) as blob:
            begin = 0
            while chunks := await self._studio.reader.read(partial(read, begin=begin)):
                for chunk in chunks:
                    if chunk.offset and spec.encoding == "container" and begins_file(chunk.body):
                        files.append(chunk.offset)
                    await blob.write(chunk.body)
                begin = chunks[-1].offset + len(chunks[-1].body)
            return Archived(stream=stream, key=key, size=await blob.finish(), files=tuple(files))


def _too_short(row: EncounterRow) -> Failure | None:
    least_ms = row.options.least_audio_ms
    if row.audio_ms >= least_ms:
        return None
    message = f"The recording is shorter than {least_ms // 1000} seconds."
    return Failure(code=AudioTooShort.code, message=message)

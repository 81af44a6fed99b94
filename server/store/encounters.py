"""Encounters, their streams, chunk log, items and notes, as SQL. One function per statement or pair of statements.

Functions that write are meant for `Writer.write`: they raise our own errors before they change anything. Every write
of a session names its epoch, so that a former owner's writes fail (`EpochLost`) instead of mixing with the new one's.
"""

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, literal, select, update

from pipeline.types import Utterance
from server.domain import (
    EncounterOptions,
    EncounterRow,
    Failure,
    Stage,
    State,
    StoredChunk,
    StoredNote,
    StreamSpec,
    StreamState,
)
from server.errors import AlreadyFinal, EpochLost, Erased, NotFound
from server.intake import NOTHING, Intake
from server.store import tables as t
from server.store import usage
from server.store.retention import delete_all
from server.store.seal import Seal

ROW = tuple(column for column in t.encounters.c if column.name not in ("intake", "conversation"))  # for `read_row`
READ_BYTES = 1 << 22  # of the log that are opened at a time

_encode = msgspec.json.encode


# Of every chunk: made once, because making one takes as long as running it.
_OWN = (
    select(t.encounters.c.epoch, t.encounters.c.state)
    .where(t.encounters.c.id == bindparam("encounter"))
    .with_for_update(key_share=True)
)
_KNOWN_CHUNK = select(t.chunks.c.seq).where(
    t.chunks.c.encounter_id == bindparam("encounter"),
    t.chunks.c.stream == bindparam("stream"),
    t.chunks.c.client_key == bindparam("key"),
)
_APPEND = insert(t.chunks)


class LogEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What comes behind the last chunk of a stream."""

    seq: int  # of the next chunk
    offset: int  # of the next byte
    client_key: str | None  # of the last chunk


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Where an entry of a stream's log lies, without its bytes."""

    offset: int
    size: int
    client_key: str | None


class SealedChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk to be appended to the log of a stream: its fields are columns."""

    stream: int
    seq: int
    offset: int
    size: int  # bytes, unsealed
    client_key: str | None
    sealed: bytes


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """A stream whose bytes lie in a blob."""

    stream: int
    key: str
    size: int  # bytes
    files: tuple[int, ...]  # bytes at which other files than the first begin


class DuplicateChunk(AlreadyFinal):
    """This chunk was stored before."""

    code = "duplicate_chunk"


def create(connection: Connection, row: EncounterRow, client_key: str | None) -> str:
    """Insert a new encounter and its streams. Returns its id, or the id of the one with the same client key."""
    if client_key is not None and (known := find(connection, row.tenant_id, client_key)) is not None:
        return known
    connection.execute(
        insert(t.encounters).values(
            id=row.id,
            tenant_id=row.tenant_id,
            client_key=client_key,
            options=_encode(row.options).decode(),
            state=row.state,
            stages=_encode(row.stages).decode(),
            percentage=row.percentage,
            warnings=_encode(row.warnings).decode(),
            epoch=row.epoch,
            owner=row.owner,
            lease_until=0.0,
            priority=row.priority,
            key_id=row.key_id,
            token_id=row.token_id,
            data_key=row.data_key,
            created_at=row.created_at,
            active_at=row.active_at,
        )
    )
    if row.options.streams:
        streams = [_stream(row.id, ordinal, spec) for ordinal, spec in enumerate(row.options.streams)]
        connection.execute(insert(t.streams), streams)
    return row.id


def add_stream(
    connection: Connection, seal: Seal, encounter: str, epoch: int, options: EncounterOptions, state: StreamState
) -> None:
    """A stream more, the last one of `options`, and where it begins. Raises `EpochLost`."""
    own(connection, encounter, epoch)
    values = {"options": _encode(options).decode()}
    connection.execute(update(t.encounters).where(t.encounters.c.id == encounter).values(**values))
    ordinal = len(options.streams) - 1
    connection.execute(insert(t.streams).values(**_stream(encounter, ordinal, options.streams[ordinal])))
    commit(connection, seal, encounter, epoch, ordinal, state, [])


def _stream(encounter: str, ordinal: int, spec: StreamSpec) -> dict[str, object]:
    return {
        "encounter_id": encounter,
        "ordinal": ordinal,
        "name": spec.name,
        "role": spec.role,
        "format": _encode(spec.format).decode(),
    }


def find(connection: Connection, tenant: str, client_key: str) -> str | None:
    """The encounter that was opened with this key."""
    query = select(t.encounters.c.id).where(t.encounters.c.tenant_id == tenant, t.encounters.c.client_key == client_key)
    found = connection.execute(query).scalar()
    return None if found is None else str(found)


def get(connection: Connection, encounter: str) -> EncounterRow:
    """An encounter by id. Raises `NotFound`."""
    if "\0" in encounter:  # which PostgreSQL cannot even be asked for
        raise NotFound
    found = connection.execute(select(*ROW).where(t.encounters.c.id == encounter)).one_or_none()
    if found is None:
        raise NotFound
    return read_row(found)


def in_states(connection: Connection, states: Iterable[State]) -> list[EncounterRow]:
    """Encounters in any of these states, oldest first."""
    query = select(*ROW).where(t.encounters.c.state.in_(list(states))).order_by(t.encounters.c.created_at)
    return [read_row(found) for found in connection.execute(query)]


def live_of_key(connection: Connection, tenant: str, key_id: str) -> list[EncounterRow]:
    """Encounters that take audio and were opened with a key, or with a token of it."""
    c = t.encounters.c
    query = select(*ROW).where(c.state == State.LIVE, c.tenant_id == tenant, c.key_id == key_id)
    return [read_row(found) for found in connection.execute(query)]


def take_over(connection: Connection, encounter: str, owner: str, epoch: int) -> int:
    """Become the owner: bump the epoch, so that the former owner's next write fails. Returns the new epoch.

    Raises `EpochLost` where it is no longer at `epoch`: another process was faster.
    """
    c = t.encounters.c
    done = connection.execute(
        update(t.encounters).where(c.id == encounter, c.epoch == epoch).values(epoch=epoch + 1, owner=owner)
    )
    if not done.rowcount:
        raise EpochLost
    return epoch + 1


def append_chunks(connection: Connection, encounter: str, epoch: int, chunks: Sequence[SealedChunk]) -> None:
    """Append to the log. Raises `EpochLost` unless the encounter is live and ours, `DuplicateChunk` on a known key.

    Then none of them is appended.
    """
    own(connection, encounter, epoch, state=State.LIVE)
    for chunk in chunks:
        if chunk.client_key is not None:
            named = {"encounter": encounter, "stream": chunk.stream, "key": chunk.client_key}
            if connection.execute(_KNOWN_CHUNK, named).first() is not None:
                raise DuplicateChunk
    rows = [{"encounter_id": encounter, **msgspec.structs.asdict(chunk)} for chunk in chunks]
    connection.execute(_APPEND, rows)


def has_chunk(connection: Connection, encounter: str, key: str) -> bool:
    """Whether a chunk with this key is in the encounter's log."""
    query = select(literal(1)).where(t.chunks.c.encounter_id == encounter, t.chunks.c.client_key == key)
    return connection.execute(query.limit(1)).scalar() is not None


def log_ends(connection: Connection, encounter: str) -> dict[int, LogEnd]:
    """Where the log of each stream with chunks ends."""
    c = t.chunks.c
    last = (
        select(c.stream, func.max(c.seq).label("seq")).where(c.encounter_id == encounter).group_by(c.stream).subquery()
    )
    query = select(c.stream, c.seq, (c.offset + c.size).label("behind"), c.client_key).where(
        c.encounter_id == encounter, c.stream == last.c.stream, c.seq == last.c.seq
    )
    return {
        int(row.stream): LogEnd(seq=row.seq + 1, offset=row.behind, client_key=row.client_key)
        for row in connection.execute(query)
    }


def last_key(connection: Connection, encounter: str, stream: int) -> str | None:
    """The client key of the last chunk of a stream that has one: others may be behind it."""
    c = t.chunks.c
    query = select(c.client_key).where(c.encounter_id == encounter, c.stream == stream, c.client_key.is_not(None))
    key: str | None = connection.execute(query.order_by(c.seq.desc()).limit(1)).scalar()
    return key


def newest_entries(connection: Connection, encounter: str, stream: int, *, most: int) -> list[LogEntry]:
    """The last entries of a stream's log, newest first."""
    c = t.chunks.c
    query = select(c.offset, c.size, c.client_key).where(c.encounter_id == encounter, c.stream == stream)
    return [
        LogEntry(offset=row.offset, size=row.size, client_key=row.client_key)
        for row in connection.execute(query.order_by(c.seq.desc()).limit(most))
    ]


def read_log(
    connection: Connection,
    seal: Seal,
    encounter: str,
    stream: int,
    *,
    begin: int,
    end: int | None = None,
    most: int = 64,
) -> list[StoredChunk]:
    """The next chunks that overlap the byte range [begin, end) of a stream, opened.

    At most `most`, and no more than `READ_BYTES` of them, but always one where there is one.
    """
    c = t.chunks.c
    wanted = [c.encounter_id == encounter, c.stream == stream, c.offset + c.size > begin]
    if end is not None:
        wanted.append(c.offset < end)
    last, total = -1, 0
    for row in connection.execute(select(c.seq, c.size).where(*wanted).order_by(c.seq).limit(most)):
        total += row.size
        if total > READ_BYTES and last >= 0:
            break
        last = row.seq
    query = select(c.seq, c.offset, c.sealed).where(*wanted, c.seq <= last).order_by(c.seq)
    return [
        StoredChunk(seq=row.seq, offset=row.offset, body=seal.open(f"chunk/{stream}/{row.seq}", row.sealed))
        for row in connection.execute(query)
    ]


def stream_states(connection: Connection, seal: Seal, encounter: str) -> list[StreamState]:
    """Progress of every stream, in their order."""
    query = select(t.streams.c.ordinal, t.streams.c.sealed).where(t.streams.c.encounter_id == encounter)
    return [
        StreamState(begin=0)
        if row.sealed is None
        else msgspec.json.decode(seal.open(f"stream/{row.ordinal}", row.sealed), type=StreamState)
        for row in connection.execute(query.order_by(t.streams.c.ordinal))
    ]


def commit(
    connection: Connection,
    seal: Seal,
    encounter: str,
    epoch: int,
    stream: int,
    state: StreamState,
    items: Sequence[tuple[int, Utterance]],
) -> None:
    """Store finals (with their ordinals) and the checkpoint behind them, together. Raises `EpochLost`."""
    own(connection, encounter, epoch)
    add_items(connection, seal, encounter, items)
    _put_state(connection, seal, encounter, stream, state)


def _put_state(connection: Connection, seal: Seal, encounter: str, stream: int, state: StreamState) -> None:
    connection.execute(
        update(t.streams)
        .where(t.streams.c.encounter_id == encounter, t.streams.c.ordinal == stream)
        .values(sealed=seal.seal(f"stream/{stream}", _encode(state)))
    )


def add_items(connection: Connection, seal: Seal, encounter: str, items: Sequence[tuple[int, Utterance]]) -> None:
    """Finals, each with its number among them."""
    rows = [
        {
            "encounter_id": encounter,
            "id": item.id,
            "ordinal": ordinal,
            "sealed": seal.seal(f"item/{item.id}", _encode(item)),
        }
        for ordinal, item in items
    ]
    if rows:
        connection.execute(insert(t.items), rows)


def own(connection: Connection, encounter: str, epoch: int, *, state: State | None = None) -> None:
    """Raises `EpochLost` unless the encounter is still at this epoch (and in this state), `Erased` where it is no more.

    Its row stays locked until the commit: no other process can take it over in between.
    """
    found = connection.execute(_OWN, {"encounter": encounter}).first()
    if found is None:
        raise Erased
    if found.epoch != epoch or (state is not None and found.state != state):
        raise EpochLost


def lock(connection: Connection, encounter: str) -> EncounterRow:
    """An encounter that nobody else changes until the commit. Raises `NotFound`."""
    c = t.encounters.c
    connection.execute(select(c.id).where(c.id == encounter).with_for_update())
    return get(connection, encounter)


def read_items(connection: Connection, seal: Seal, encounter: str) -> list[Utterance]:
    """Every final, in the order in which they became final."""
    query = select(t.items.c.id, t.items.c.sealed).where(t.items.c.encounter_id == encounter)
    return [
        msgspec.json.decode(seal.open(f"item/{row.id}", row.sealed), type=Utterance)
        for row in connection.execute(query.order_by(t.items.c.ordinal))
    ]


def relabel(connection: Connection, seal: Seal, encounter: str, items: Sequence[Utterance]) -> None:
    """Finals that are stored have another speaker or role."""
    c = t.items.c
    for item in items:
        sealed = seal.seal(f"item/{item.id}", _encode(item))
        connection.execute(update(t.items).where(c.encounter_id == encounter, c.id == item.id).values(sealed=sealed))


def put_conversation(connection: Connection, seal: Seal, encounter: str, state: bytes) -> None:
    """What is known of who speaks (`Conversation.state`)."""
    sealed = seal.seal("conversation", state)
    connection.execute(update(t.encounters).where(t.encounters.c.id == encounter).values(conversation=sealed))


def get_conversation(connection: Connection, seal: Seal, encounter: str) -> bytes:
    """What is known of who speaks; empty at the start."""
    query = select(t.encounters.c.conversation).where(t.encounters.c.id == encounter)
    sealed = connection.execute(query).scalar()
    return b"" if sealed is None else seal.open("conversation", sealed)


def put_intake(connection: Connection, seal: Seal, encounter: str, intake: Intake) -> None:
    """What the client knew when it opened the encounter, or has told since."""
    sealed = None if intake == NOTHING else seal.seal("intake", _encode(intake))
    connection.execute(update(t.encounters).where(t.encounters.c.id == encounter).values(intake=sealed))


def get_intake(connection: Connection, seal: Seal, encounter: str) -> Intake:
    """What the client knew."""
    sealed = sealed_intake(connection, encounter)
    return NOTHING if sealed is None else msgspec.json.decode(seal.open("intake", sealed), type=Intake)


def sealed_intake(connection: Connection, encounter: str) -> bytes | None:
    """The same as it is stored; None: nothing."""
    sealed: bytes | None = connection.execute(
        select(t.encounters.c.intake).where(t.encounters.c.id == encounter)
    ).scalar()
    return sealed


def set_stages(connection: Connection, encounter: str, stages: dict[Stage, float], at: float) -> None:
    """Stamp stages; the percentage only grows."""
    row = get(connection, encounter)
    merged = dict(sorted((stages | row.stages).items(), key=lambda entry: list(Stage).index(entry[0])))
    percentage = max(row.percentage, *(stage.percentage for stage in merged))
    connection.execute(
        update(t.encounters)
        .where(t.encounters.c.id == encounter)
        .values(stages=_encode(merged).decode(), percentage=percentage, active_at=at)
    )


def set_progress(connection: Connection, encounter: str, percentage: int) -> None:
    """How far a recording is; it only grows."""
    c = t.encounters.c
    connection.execute(
        update(t.encounters).where(c.id == encounter, c.percentage < percentage).values(percentage=percentage)
    )


def add_warning(connection: Connection, encounter: str, warning: str) -> None:
    """Remember a warning once."""
    row = get(connection, encounter)
    if warning not in row.warnings:
        values = {"warnings": _encode([*row.warnings, warning]).decode()}
        connection.execute(update(t.encounters).where(t.encounters.c.id == encounter).values(**values))


def set_failure(connection: Connection, encounter: str, failure: Failure) -> None:
    """Remember what broke; whether the encounter fails of it is decided when it is completed."""
    values = {"failure": _encode(failure).decode()}
    connection.execute(update(t.encounters).where(t.encounters.c.id == encounter).values(**values))


def add_audio(connection: Connection, encounter: str, heard_ms: int) -> None:
    """So many milliseconds more were heard, of all streams together."""
    c = t.encounters.c
    connection.execute(update(t.encounters).where(c.id == encounter).values(audio_ms=c.audio_ms + heard_ms))


def close(connection: Connection, encounter: str, epoch: int, at: float, last_key: str | None) -> None:
    """No more audio: the closing job takes over. `last_key` is the last chunk's. Raises `EpochLost`."""
    own(connection, encounter, epoch)
    connection.execute(
        update(t.encounters)
        .where(t.encounters.c.id == encounter, t.encounters.c.state == State.LIVE)
        .values(state=State.CLOSING, active_at=at, last_key=last_key)
    )


def conclude(connection: Connection, encounter: str, at: float, failure: Failure | None) -> None:
    """The last word on an encounter: done, or failed with the reason; what was heard is added to its tenant's usage.

    Does nothing the second time. Whoever is still at work on it learns that by its next write.
    """
    row = get(connection, encounter)
    if row.state in (State.DONE, State.FAILED):
        return
    state, stage = (State.DONE, Stage.DONE) if failure is None else (State.FAILED, Stage.FAILED)
    set_stages(connection, encounter, {stage: at}, at)
    values = {"state": state, "completed_at": at, "epoch": row.epoch + 1}
    if failure is not None:
        set_failure(connection, encounter, failure)
    connection.execute(update(t.encounters).where(t.encounters.c.id == encounter).values(**values))
    usage.add_audio(connection, row.tenant_id, usage.month_of(at), row.audio_ms)


def spend_resume_tokens(connection: Connection, encounter: str, below: int) -> None:
    """Resume tokens with a lower number are good no more."""
    connection.execute(
        update(t.encounters)
        .where(t.encounters.c.id == encounter, t.encounters.c.resumptions < below)
        .values(resumptions=below)
    )


def hand_on(connection: Connection, encounter: str, token_id: str) -> None:
    """Another token of the same key opened it, so to say: that one reaches it from now on."""
    connection.execute(update(t.encounters).where(t.encounters.c.id == encounter).values(token_id=token_id))


def mark_fetched(connection: Connection, encounter: str, at: float) -> bool:
    """Note that the result was given out. True for the first who asks."""
    done = connection.execute(
        update(t.encounters)
        .where(t.encounters.c.id == encounter, t.encounters.c.fetched_at.is_(None))
        .values(fetched_at=at)
    )
    return bool(done.rowcount)


def put_note(connection: Connection, seal: Seal, encounter: str, note: StoredNote, at: float) -> None:
    """Store the note (or why there is none). Writing it again replaces it: the closing job may run twice."""
    connection.execute(delete(t.notes).where(t.notes.c.encounter_id == encounter, t.notes.c.version == 1))
    sealed = seal.seal("note/1", _encode(note))
    values = {"encounter_id": encounter, "version": 1, "created_at": at, "sealed": sealed}
    connection.execute(insert(t.notes).values(**values, edited_from=note.edited_from))


def get_note(connection: Connection, seal: Seal, encounter: str) -> StoredNote | None:
    """The newest note."""
    query = select(t.notes.c.version, t.notes.c.sealed).where(t.notes.c.encounter_id == encounter)
    row = connection.execute(query.order_by(t.notes.c.version.desc()).limit(1)).one_or_none()
    return row and msgspec.json.decode(seal.open(f"note/{row.version}", row.sealed), type=StoredNote)


def drop_log(connection: Connection, seal: Seal, encounter: str, kept: Sequence[Archived], at: float) -> None:
    """The log's bytes now lie in blobs: remember them and delete the rows."""
    known = set(blob_keys(connection, encounter))  # the closing job may have run up to here before
    states = stream_states(connection, seal, encounter)
    for each in kept:
        if each.key in known:
            continue
        values = {"encounter_id": encounter, "stream": each.stream, "key": each.key, "size": each.size}
        connection.execute(insert(t.blobs).values(**values, created_at=at))
        if each.files:
            state = msgspec.structs.replace(states[each.stream], files=each.files)
            _put_state(connection, seal, encounter, each.stream, state)
    connection.execute(delete(t.chunks).where(t.chunks.c.encounter_id == encounter))


def blob_keys(connection: Connection, encounter: str) -> list[str]:
    """Names of an encounter's blobs."""
    query = select(t.blobs.c.key).where(t.blobs.c.encounter_id == encounter)
    return [str(row.key) for row in connection.execute(query)]


def blobs_of(connection: Connection, encounter: str) -> dict[int, str]:
    """Names of the blobs that hold archived streams, by their ordinal."""
    query = select(t.blobs.c.stream, t.blobs.c.key).where(t.blobs.c.encounter_id == encounter)
    return {int(row.stream): str(row.key) for row in connection.execute(query)}


def erase(connection: Connection, encounter: str) -> None:
    """Delete an encounter and all that belongs to it; its data key first."""
    connection.execute(update(t.encounters).where(t.encounters.c.id == encounter).values(data_key=None))
    delete_all(connection, encounter)
    connection.execute(delete(t.encounters).where(t.encounters.c.id == encounter))


def read_row(found: Row[tuple[object, ...]]) -> EncounterRow:
    """A row of the table `encounters`, read."""
    return EncounterRow(
        id=found.id,
        tenant_id=found.tenant_id,
        key_id=found.key_id,
        token_id=found.token_id,
        options=msgspec.json.decode(found.options, type=EncounterOptions),
        state=State(found.state),
        stages=msgspec.json.decode(found.stages, type=dict[Stage, float]),
        percentage=found.percentage,
        failure=None if found.failure is None else msgspec.json.decode(found.failure, type=Failure),
        warnings=msgspec.json.decode(found.warnings, type=tuple[str, ...]),
        epoch=found.epoch,
        owner=found.owner,
        audio_ms=found.audio_ms,
        priority=found.priority,
        data_key=found.data_key,
        last_key=found.last_key,
        resumptions=found.resumptions,
        created_at=found.created_at,
        active_at=found.active_at,
        completed_at=found.completed_at,
        fetched_at=found.fetched_at,
    )

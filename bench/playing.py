"""Recordings through the live API: what to play, playing it to a server, and what came back as figures need it."""

from collections.abc import Iterable, Sequence

import anyio
import msgspec
import numpy as np
from rich.console import Console
from rich.progress import Progress

from bench.clients import NablaClient, Received, Voice, converse, streams_of, to_s16le
from bench.recordings import Recording, TruthItem
from bench.resources import Meter
from bench.score import Final
from bench.server import RunningServer
from bench.wires import ErrorMessage, ListenConfig, Message, TranscriptItem
from pipeline.types import Role

GRACE_S = 180.0  # for the recogniser to catch up and the note to be written, after the last word


def voice_of(recording: Recording, who: Role) -> Voice:
    """One voice of a recording; nobody in particular is all of them in one channel."""
    if who is Role.UNSPECIFIED:
        pcm = recording.mono()
    else:
        doctor, patient = recording.channels()
        pcm = doctor if who is Role.DOCTOR else patient
    return Voice(stream=who, role=who, audio=to_s16le(pcm))


def said_by(items: Iterable[TruthItem], who: Role) -> tuple[TruthItem, ...]:
    """What is heard in `voice_of`."""
    return tuple(item for item in items if who in (item.speaker, Role.UNSPECIFIED))


async def play(
    server: RunningServer,
    meter: Meter,
    voices: Sequence[Voice],
    seconds: float,
    console: Console,
    *,
    speed: float = 1.0,
    note: bool = True,
) -> NablaClient:
    """Play voices that last `seconds` to the server, as one session, while the meter runs.

    Raises: `Refused`, `OSError`, `TimeoutError` where the server is not done long after the last word.
    """
    config = ListenConfig(streams=streams_of(voices))
    if not note:
        config = msgspec.structs.replace(config, output_objects=("transcript_item",))
    with Progress(console=console, transient=True) as progress, anyio.fail_after(seconds / speed + GRACE_S):
        bar = progress.add_task("Playing", total=seconds * 1000)

        def advance(received: Received) -> None:
            if isinstance(item := received.message, TranscriptItem):
                progress.update(bar, completed=item.end_offset_ms)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(meter.watch)
            client = await converse(server.base_url, server.key, config, voices, speed=speed, on_message=advance)
            tasks.cancel_scope.cancel()
    meter.sample()
    return client


def messages(client: NablaClient) -> list[Message]:
    """Everything the server said."""
    return [received.message for received in client.received]


def errors(client: NablaClient) -> list[str]:
    """What the server said went wrong."""
    return [message.message for message in messages(client) if isinstance(message, ErrorMessage)]


def lateness_p95_ms(clients: Iterable[NablaClient]) -> float:
    """How late the clients themselves sent their chunks."""
    lateness = [seconds for client in clients for seconds in client.lateness]
    return round(float(np.percentile(lateness or [0.0], 95)) * 1000, 1)


def finals_of(received: Iterable[Received], begun: float) -> list[Final]:
    """The final items, each with the arrival of its first partial that had text, on the send clock."""
    partials: dict[str, float] = {}
    finals: list[Final] = []
    for each in received:
        item, at_ms = each.message, (each.at - begun) * 1000
        if not isinstance(item, TranscriptItem):
            continue
        if not item.is_final:
            if item.text:
                partials.setdefault(item.id, at_ms)
            continue
        finals.append(
            Final(
                role=item.speaker,
                start_ms=item.start_offset_ms,
                end_ms=item.end_offset_ms,
                text=item.text,
                arrived_ms=at_ms,
                first_partial_ms=partials.get(item.id),
            )
        )
    return finals

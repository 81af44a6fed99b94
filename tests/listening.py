"""Feeding decoders and hearing what comes out."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import anyio
import numpy as np

from pipeline.engines.pyav import ContainerDecoder, RawDecoder, open_decoder
from pipeline.errors import InvalidAudio
from pipeline.ports import AudioDecoder
from pipeline.types import Audio, AudioFormat, RestartPoint
from tests.audio import cut

CONTAINER = AudioFormat()


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What a decoder made of a stream."""

    pcm: Audio
    error: InvalidAudio | None
    nonfinite: int
    skipped: int


async def listen(
    chunks: Iterable[bytes], format: AudioFormat = CONTAINER, *, restart: RestartPoint | None = None
) -> Heard:
    """Feed and read a stream at the same time; its blocks must be contiguous."""
    decoder = open_decoder(format, restart=restart)
    assert isinstance(decoder, ContainerDecoder | RawDecoder)
    pieces: list[Audio] = []
    position, error = restart.position if restart else 0, None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed, decoder, chunks)
        try:
            async for block in decoder:
                assert block.start == position
                assert block.pcm.dtype == np.float32
                position += len(block.pcm)
                pieces.append(block.pcm)
        except InvalidAudio as exc:
            error = exc
    skipped = decoder.skipped
    await decoder.aclose()
    pcm = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    return Heard(pcm=pcm, error=error, nonfinite=decoder.nonfinite, skipped=skipped)


async def feed(decoder: AudioDecoder, chunks: Iterable[bytes]) -> None:
    """All chunks, and the end."""
    for chunk in chunks:
        await decoder.feed(chunk)
    decoder.end()


def heard(*chunks: bytes, format: AudioFormat = CONTAINER, restart: RestartPoint | None = None) -> Heard:
    """What comes of a stream of these chunks."""
    return asyncio.run(listen(chunks, format, restart=restart))


def decoded(*chunks: bytes, format: AudioFormat = CONTAINER) -> Audio:
    """The audio of a good stream."""
    result = heard(*chunks, format=format)
    assert result.error is None
    return result.pcm


def as_raw(encoding: str, rate: int, channels: int = 1) -> AudioFormat:
    """Declared, not recognised."""
    return AudioFormat(encoding=encoding, sample_rate=rate, channels=channels)


async def follow(
    chunks: Sequence[bytes], format: AudioFormat, positions: Sequence[int]
) -> tuple[Audio, list[RestartPoint]]:
    """Hear a stream and, while it arrives, ask for restart points as soon as their positions were heard."""
    decoder = open_decoder(format)
    pieces: list[Audio] = []
    points: list[RestartPoint] = []
    asked = iter([*sorted(positions), 1 << 62])
    position = next(asked)
    feeding = asyncio.create_task(feed(decoder, chunks))
    async for block in decoder:
        pieces.append(block.pcm)
        while position <= block.start:
            points.append(decoder.restart_point(position))
            position = next(asked)
    await feeding
    points += [decoder.restart_point(late) for late in (position, *asked) if late < 1 << 62]
    await decoder.aclose()
    return np.concatenate(pieces), points


def again(octets: bytes, point: RestartPoint, sizes: Sequence[int], format: AudioFormat = CONTAINER) -> Audio:
    """What a new decoder makes of the header and all that follows the restart point."""
    header = octets[slice(*point.header)]
    chunks = [*([header] if header else []), *cut(octets[point.offset :], sizes)]
    result = heard(*chunks, format=format, restart=point)
    assert result.error is None
    return result.pcm

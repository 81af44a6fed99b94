"""Who feeds and who reads wait for each other, and nothing is left behind."""

import asyncio
import threading

import anyio
import pytest

from pipeline.engines.pyav import open_decoder
from pipeline.engines.pyav_exchange import Turns
from pipeline.errors import UnsupportedAudio
from pipeline.ports import AudioDecoder
from pipeline.types import SAMPLE_RATE, AudioFormat
from tests.audio import RECIPES, cut, recording, voice, wav
from tests.listening import CONTAINER, as_raw, feed


@pytest.mark.parametrize("format", [CONTAINER, as_raw("pcm_s16le", 16_000)])
async def test_who_feeds_waits_while_nobody_reads(format: AudioFormat) -> None:
    octets = wav(voice(120, 16_000), 16_000)
    decoder = open_decoder(format, max_buffered_bytes=100_000)
    fed = 0

    async def feed_all() -> None:
        nonlocal fed
        for chunk in cut(octets, [10_000] * 1000):
            await decoder.feed(chunk)
            fed += len(chunk)
        decoder.end()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed_all)
        before = -1
        while fed != before:  # until it stands still
            before = fed
            await anyio.wait_all_tasks_blocked()
        assert fed < 1_000_000
        heard = [len(block.pcm) async for block in decoder]
        assert fed == len(octets)
    await decoder.aclose()
    assert sum(heard) >= 120 * SAMPLE_RATE
    assert max(heard) <= SAMPLE_RATE  # in small pieces, so that the loop stays free


@pytest.mark.parametrize("format", [CONTAINER, as_raw("pcm_s16le", 16_000)])
async def test_a_chunk_above_the_bound_goes_through_alone(format: AudioFormat) -> None:
    decoder = open_decoder(format, max_buffered_bytes=1000)
    octets = wav(voice(3, 16_000), 16_000)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed, decoder, [octets[:50_000], octets[50_000:]])
        assert sum([len(block.pcm) async for block in decoder]) >= 3 * SAMPLE_RATE
    await decoder.aclose()


async def test_audio_comes_out_as_soon_as_it_went_in() -> None:
    decoder = open_decoder(CONTAINER)
    octets = recording("webm", 5.0)
    chunks = cut(octets, [octets.index(b"\x1f\x43\xb6\x75", 2000)] * 10)
    await decoder.feed(chunks[0])  # one second, and no more for now
    block = await anext(aiter(decoder))
    assert block.start == 0
    assert len(block.pcm) > 0.3 * SAMPLE_RATE
    await decoder.aclose()


async def test_bytes_behind_a_failure_are_ignored() -> None:
    decoder = open_decoder(CONTAINER, max_buffered_bytes=1000)
    await decoder.feed(b"this is no audio at all")
    with pytest.raises(UnsupportedAudio):
        await anext(aiter(decoder))
    for _ in range(100):
        await decoder.feed(bytes(5000))
    await decoder.aclose()


# A clean end


def decoder_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "auscult-decoder"]


@pytest.mark.parametrize("kind", RECIPES)
async def test_closing_leaves_no_thread_wherever_it_is(kind: str) -> None:
    octets = recording(kind)
    for fed in (0, 1, 40, 3000, len(octets)):
        decoder = open_decoder(CONTAINER)
        await decoder.feed(octets[:fed])
        await decoder.aclose()
        assert decoder_threads() == []
        assert [block async for block in decoder] == []


async def test_closing_frees_who_waits() -> None:
    decoder = open_decoder(CONTAINER, max_buffered_bytes=1000)
    octets = wav(voice(60, 16_000), 16_000)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed, decoder, cut(octets, [50_000] * 1000))
        await anyio.wait_all_tasks_blocked()
        await decoder.aclose()
    assert decoder_threads() == []


async def test_closing_twice_or_before_anything_came_is_harmless() -> None:
    for format in (CONTAINER, as_raw("pcm_s16le", 8_000)):
        decoder = open_decoder(format)
        await decoder.aclose()
        await decoder.aclose()
        assert [block async for block in decoder] == []


def test_a_loop_that_closes_first_does_not_trouble_the_thread() -> None:
    async def abandon() -> AudioDecoder:
        decoder = open_decoder(CONTAINER)
        await decoder.feed(recording("webm", 5.0))
        return decoder

    decoder = asyncio.run(abandon())
    (thread,) = decoder_threads()
    assert thread.daemon  # it would not even keep the process
    decoder.end()
    thread.join(10)
    assert not thread.is_alive()


async def test_a_hundred_streams_at_once_are_heard_alike() -> None:
    octets = recording("webm", 2.0)
    lengths: list[int] = []

    async def one() -> None:
        decoder = open_decoder(CONTAINER)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(feed, decoder, cut(octets, [900] * 1000))
            lengths.append(sum([len(block.pcm) async for block in decoder]))
        await decoder.aclose()

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(one)
    assert len(lengths) == 100
    assert len(set(lengths)) == 1
    assert decoder_threads() == []


async def test_streams_that_wait_for_bytes_or_for_a_reader_keep_no_other_from_being_decoded() -> None:
    octets = wav(voice(60, 16_000), 16_000)
    waiting = [open_decoder(CONTAINER) for _ in range(8)]  # more than may work at a time
    unread = [open_decoder(CONTAINER) for _ in range(8)]
    for decoder in waiting:
        await decoder.feed(octets[:100])
    for decoder in unread:  # longer than what is decoded ahead of a reader
        await decoder.feed(octets)
        decoder.end()
    other = open_decoder(CONTAINER)
    await feed(other, [octets])
    heard = sum([len(block.pcm) async for block in other])
    for decoder in [*waiting, *unread, other]:
        await decoder.aclose()
    assert heard == 60 * SAMPLE_RATE


def test_as_many_work_at_a_time_as_there_are_turns_and_who_rests_gives_his_away() -> None:
    turns, working, most = Turns(2), 0, 0
    lock, done = threading.Lock(), threading.Condition()

    def work() -> None:
        nonlocal working, most
        with turns.taken():
            for _ in range(20):
                with lock:
                    working += 1
                    most = max(most, working)
                with lock:
                    working -= 1
                with turns.given_up():
                    pass

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= most <= 2
    with turns.taken():
        turns.await_with(done, lambda: True)  # what is there already is not waited for

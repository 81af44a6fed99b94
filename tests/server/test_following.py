"""What followers of a live transcript are told, at whatever pace they read."""

from collections.abc import AsyncIterator

import anyio
from anyio.lowlevel import checkpoint

from pipeline.errors import AuscultError
from pipeline.events import Partial, PartialWithdrawn
from pipeline.types import Role, Utterance
from server.following import Finished, Interrupted, LiveTranscript, Problem, Skipped, Update


def final(name: str) -> Utterance:
    return Utterance(id=name, stream="stream0", role=Role.DOCTOR, start=0, end=16_000, text=f"Said {name}.")


def partial(name: str, text: str) -> Partial:
    return Partial(id=name, stream="stream0", role=Role.DOCTOR, start=0, end=8_000, text=text)


async def rest(following: AsyncIterator[Update]) -> list[Update]:
    return [update async for update in following]


async def test_a_follower_is_told_everything_from_the_beginning_and_then_that_it_is_over() -> None:
    transcript = LiveTranscript([final("a")])
    transcript.add([final("b")])
    transcript.end(complete=True)
    assert await rest(transcript.follow()) == [final("a"), final("b"), Finished()]


async def test_a_follower_that_comes_back_goes_on_behind_the_finals_it_has() -> None:
    transcript = LiveTranscript([final("a"), final("b"), final("c")])
    transcript.end(complete=True)
    assert await rest(transcript.follow(after=2)) == [final("c"), Finished()]


async def test_one_that_claims_more_finals_than_there_are_is_told_the_next_ones_only() -> None:
    transcript = LiveTranscript([final("a")])
    transcript.end(complete=True)
    assert await rest(transcript.follow(after=9)) == [Finished()]


async def test_a_slow_reader_misses_partials_and_is_told_how_many_but_never_misses_a_final() -> None:
    transcript = LiveTranscript([])
    following = transcript.follow()
    transcript.show(partial("a", "it"))
    assert await anext(following) == partial("a", "it")
    for text in ("it hurts", "it hurts in", "it hurts in my"):  # while it is busy with the first
        transcript.show(partial("a", text))
    transcript.add([final("z")])
    assert await anext(following) == final("z")
    assert await anext(following) == Skipped(partials=2)
    assert await anext(following) == partial("a", "it hurts in my")


async def test_a_reader_that_keeps_up_is_never_called_slow() -> None:
    transcript = LiveTranscript([])
    told: list[Update] = []

    async def read() -> None:
        told.extend(await rest(transcript.follow()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await checkpoint()
        for number in range(5):
            transcript.show(partial(str(number), "so far"))
            transcript.add([final(str(number))])  # in the same step: nobody could have read the partial
            await checkpoint()
            await checkpoint()
        transcript.end(complete=True)
    assert told == [*(final(str(number)) for number in range(5)), Finished()]


async def test_who_comes_later_is_told_what_is_interrupted_now() -> None:
    transcript = LiveTranscript([])
    transcript.interrupt("stream0")
    transcript.resume("stream0")
    transcript.interrupt("stream0")
    transcript.interrupt("stream1")
    transcript.resume("stream1")
    transcript.end(complete=True)
    assert await rest(transcript.follow()) == [Interrupted(stream="stream0"), Finished()]


async def test_who_comes_later_is_told_of_errors_but_not_of_interruptions_that_are_past() -> None:
    transcript = LiveTranscript([])
    transcript.interrupt("stream0")
    transcript.resume("stream0")
    transcript.withdraw(PartialWithdrawn(id="a", stream="stream0"))
    transcript.report(error := AuscultError("The audio ended early."))
    following = transcript.follow()
    assert await anext(following) == Problem(error=error)
    transcript.interrupt("stream0")
    assert await anext(following) == Interrupted(stream="stream0")

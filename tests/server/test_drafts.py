"""Drafts of notes: of a talk that goes on, and of a note that is being written."""

from collections.abc import AsyncGenerator
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from pipeline.events import SpeakerRenamed
from pipeline.notes.note import NoteSection, NoteSentence
from pipeline.types import Role, Utterance
from server.domain import EncounterOptions, EncounterRow, Failure, StoredNote
from server.drafts import Boards, Drafting, UnderWay
from server.errors import StoreUnavailable
from server.following import Finished, LiveTranscript, Update
from server.intake import NOTHING, Intake
from server.live import LiveEncounter
from server.notes import Draft, Notes
from tests.server.test_notes import OPTIONS, SAID, TEMPLATES


def draft(*texts: str) -> Draft:
    sentences = tuple(NoteSentence(text=text, items=("i0",)) for text in texts)
    return Draft(sections=(NoteSection(key="S", title="S", sentences=sentences),))


class Held:
    """A live encounter as far as drafts know it."""

    def __init__(self) -> None:
        self.id = "e"
        self.row = cast(EncounterRow, SimpleNamespace(options=OPTIONS))
        self.transcript = LiveTranscript([])
        self.gone = anyio.Event()

    @property
    def live(self) -> LiveEncounter:
        return cast(LiveEncounter, self)


async def nothing(row: EncounterRow) -> Intake:
    return NOTHING


def drafting(notes: object = None, intake: Any = nothing) -> Drafting:
    return Drafting(cast(Notes, notes or Notes(TEMPLATES)), intake, anyio.current_time, interval_s=0.01)


def texts(update: Draft) -> list[str]:
    return [sentence.text for section in update.sections for sentence in section.sentences]


async def test_the_note_of_a_talk_grows_as_long_as_somebody_follows_it() -> None:
    held, written = Held(), drafting()
    async with anyio.create_task_group() as tasks:
        written.start(tasks)
        with written.wanted(held.live), anyio.fail_after(10):
            following = held.transcript.follow()
            held.transcript.add(SAID[:2])
            first = await next_draft(following)
            assert not any("penicillin" in text for text in texts(first))
            held.transcript.add(SAID[2:])
            while not any("penicillin" in text for text in texts(await next_draft(following))):
                pass
            await following.aclose()
    # … nobody wants it: the task ends, and with it the group, although the encounter is not gone


async def next_draft(following: AsyncGenerator[Update]) -> Draft:
    return await anext(update async for update in following if isinstance(update, Draft))


async def test_nothing_is_written_before_anything_was_said_and_too_little_makes_no_draft() -> None:
    asked: list[int] = []

    class Short:
        drafter = "embedded"

        async def write(
            self,
            options: EncounterOptions,
            items: tuple[Utterance, ...],
            intake: Intake,
            *,
            writer: str,
            draft: bool,
        ) -> StoredNote:
            assert draft
            asked.append(len(items))
            return StoredNote(absence=Failure(code="transcript_too_short", message="Too short."))

    held, written = Held(), drafting(Short())
    async with anyio.create_task_group() as tasks:
        written.start(tasks)
        with written.wanted(held.live), written.wanted(held.live):  # two followers, one draft
            await anyio.sleep(0.03)
            assert not asked
            held.transcript.add(SAID[:1])
            await anyio.sleep(0.05)
            assert asked == [1]
            held.gone.set()
            held.transcript.end(complete=True)
    assert [update async for update in held.transcript.follow()] == [SAID[0], Finished()]


async def test_what_breaks_a_draft_breaks_nothing_else_and_is_tried_again() -> None:
    tries: list[EncounterRow] = []

    async def away_once(row: EncounterRow) -> Intake:
        tries.append(row)
        if len(tries) == 1:
            raise StoreUnavailable
        return NOTHING

    held, written = Held(), drafting(intake=away_once)
    async with anyio.create_task_group() as tasks:
        written.start(tasks)
        with written.wanted(held.live), anyio.fail_after(10):
            following = held.transcript.follow()
            held.transcript.add(SAID[:1])
            await anyio.wait_all_tasks_blocked()
            held.transcript.add(SAID[1:])
            assert texts(await next_draft(following))
            await following.aclose()
    assert len(tries) == 2


async def test_what_is_over_or_erased_is_written_no_further() -> None:
    under_way = UnderWay()
    ended: list[str] = []

    async def write(name: str, *, final: bool) -> None:
        with under_way.writing("e", final=final) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        ended.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(write, "final", final=True))
        tasks.start_soon(partial(write, "asked for", final=False))
        await anyio.wait_all_tasks_blocked()
        under_way.over("other")
        under_way.over("e")
        await anyio.wait_all_tasks_blocked()
        assert ended == ["final"]
        under_way.erased("e")
    assert ended == ["final", "asked for"]


async def test_a_follower_is_told_the_newest_draft_only() -> None:
    transcript = LiveTranscript([])
    transcript.show_draft(draft("Old."))
    transcript.show_draft(newest := draft("New."))
    transcript.end(complete=True)
    assert [update async for update in transcript.follow()] == [newest, Finished()]


def test_a_final_that_is_renamed_makes_the_transcript_another_one() -> None:
    transcript = LiveTranscript(SAID)
    before = transcript.revision
    transcript.rename(SpeakerRenamed(speaker="x", role=Role.DOCTOR, items=("i0",)))
    assert transcript.revision != before


async def test_a_board_lasts_as_long_as_somebody_writes_or_watches() -> None:
    boards = Boards()
    with boards.watch("e") as written:
        written.publish(shown := draft("Shown."))
        with boards.watch("e") as board:
            assert board.draft is shown  # who comes late sees what is there
            changed = board.changed
            written.publish(newer := draft("Newer."))
            assert board.draft is newer
            assert changed.is_set()
            changed = board.changed
            boards.completed("e")
            assert changed.is_set()
    with boards.watch("e") as board:
        assert board.draft is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_two_who_watch_leave_in_any_order(order: tuple[int, int]) -> None:
    boards = Boards()
    watches = [boards.watch("e"), boards.watch("e")]
    first, second = (watch.__enter__() for watch in watches)
    assert first is second
    for at in order:
        watches[at].__exit__(None, None, None)
    with boards.watch("e") as fresh:
        assert fresh is not first

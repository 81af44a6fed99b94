"""How long what is kept: a decision for each tenant, and the sweep that acts on it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import msgspec
import structlog

from server.domain import TenantSettings
from server.store import retention as sql
from server.store import tenants as tenant_sql
from server.store.blobs import Blobs
from server.store.database import Reader

log = structlog.get_logger()

HOUR_S = 3600.0
HELD_S = HOUR_S  # for which a clock that has jumped ahead is not believed
JUMP_S = 60.0  # ahead of what has passed: less is the clock being set right bit by bit
LEFT_S = HOUR_S  # a blob that nothing refers to for so long belongs to nothing: see `Blobs.sweep`


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """Hours for which is kept: where a tenant has no settings of its own, or of one with them (`kept`)."""

    upload_audio: float  # files of recordings, after completion
    live_audio: float  # audio of live sessions, after completion
    results: float  # everything else, after completion
    patient_contexts: float = 8_760.0  # after they were last used


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoffs:
    """What was completed, or last used, before these times (seconds since 1970) goes."""

    upload_audio: float
    live_audio: float
    results: float
    patient_contexts: float


def kept(retention: Retention, tenant: TenantSettings) -> Retention:
    """How long is kept for one tenant: its own settings come first."""

    def hours(own: float | None, all_others: float) -> float:
        return all_others if own is None else own

    return Retention(
        upload_audio=hours(tenant.upload_audio_hours, retention.upload_audio),
        live_audio=hours(tenant.live_audio_hours, retention.live_audio),
        results=hours(tenant.result_hours, retention.results),
        patient_contexts=hours(tenant.patient_context_hours, retention.patient_contexts),
    )


def cutoffs(retention: Retention, tenant: TenantSettings, now: float) -> Cutoffs:
    """What is due for one tenant."""
    own = kept(retention, tenant)
    return Cutoffs(
        upload_audio=now - HOUR_S * own.upload_audio,
        live_audio=now - HOUR_S * own.live_audio,
        results=now - HOUR_S * own.results,
        patient_contexts=now - HOUR_S * own.patient_contexts,
    )


def expires_at(retention: Retention, tenant: TenantSettings, completed_at: float) -> float:
    """When what was completed then goes."""
    return completed_at + HOUR_S * kept(retention, tenant).results


def keeps_files(retention: Retention, tenant: TenantSettings) -> bool:
    """Whether the files of a tenant's recordings outlive their transcription."""
    return kept(retention, tenant).upload_audio > 0


class HeldTime:
    """Time for what cannot be undone: where the clock jumps ahead, as before it did, until it has stayed there for an
    hour. It may have been set wrong, and what is erased meanwhile is gone. Back it is followed at once.
    """

    def __init__(self, now: Callable[[], float], steady: Callable[[], float]) -> None:
        """`now`: seconds since 1970; `steady`: seconds of a clock that never goes back."""
        self._now = now
        self._steady = steady
        self._offset = now() - steady()  # of the one clock from the other, as believed
        self._jumped: float | None = None  # when the clock was first seen ahead, by the steady one

    def __call__(self) -> float:
        """Seconds since 1970."""
        steady = self._steady()
        offset = self._now() - steady
        if offset - self._offset <= JUMP_S:
            self._offset, self._jumped = offset, None
        elif self._jumped is None:
            self._jumped = steady
            log.warning("clock.jumped", ahead_s=round(offset - self._offset))
        elif steady - self._jumped >= HELD_S:
            self._offset, self._jumped = offset, None
        return steady + self._offset


class Erases(Protocol):
    """Use-cases that erase (`server.encounters`)."""

    @property
    def erasures(self) -> int:
        """How often something was erased in this process."""
        ...

    async def erase(self, encounter: str) -> None:
        """Erase all of an encounter."""
        ...

    async def erase_audio(self, encounter: str) -> None:
        """Erase the audio of an encounter that is over."""
        ...


class Forgets(Protocol):
    """Use-cases that forget patients (`server.patients`)."""

    @property
    def erasures(self) -> int:
        """How often something was erased in this process."""
        ...

    async def forget(self, tenant: str, before: float) -> None:
        """Erase what was neither changed nor used since a time."""
        ...


class Sweeper:
    """Erases what is due, deletes blobs that belong to nothing, and has the database forget old pages."""

    def __init__(
        self,
        encounters: Erases,
        patients: Forgets,
        blobs: Blobs,
        reader: Reader,
        retention: Retention,
        compact: Callable[[], Awaitable[bool]],
        now: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        """`now`: seconds since 1970; `steady`: seconds of a clock that never goes back."""
        self._encounters = encounters
        self._patients = patients
        self._blobs = blobs
        self._reader = reader
        self._retention = retention
        self._compact = compact
        self._now = HeldTime(now, steady)
        self._steady = steady
        self._compacted_at = -1  # erasures that the database has forgotten; at the start nobody knows of any
        self._next_blobs = steady()

    async def sweep(self) -> int:
        """One round; returns how many encounters were erased. Raises `StoreUnavailable`.

        One that cannot be erased keeps no other: the next round tries again.
        """
        now, erased = self._now(), 0
        for tenant in await self._reader.read(tenant_sql.listing):
            due = cutoffs(self._retention, tenant.settings, now)
            read = partial(sql.completed_before, tenant=tenant.id, at=due.results)
            erased += await self._each(await self._reader.read(read), self._encounters.erase)
            audio = partial(sql.audio_before, tenant=tenant.id, live=due.live_audio, uploads=due.upload_audio)
            await self._each(await self._reader.read(audio), self._encounters.erase_audio)
            await self._patients.forget(tenant.id, due.patient_contexts)
        if self._steady() >= self._next_blobs:
            await self._blobs.sweep(self._referenced, now - LEFT_S)
            self._next_blobs = self._steady() + LEFT_S
        erasures = self._encounters.erasures + self._patients.erasures
        if erasures != self._compacted_at and await self._compact():
            self._compacted_at = erasures
        return erased

    async def _each(self, encounters: Sequence[str], erase: Callable[[str], Awaitable[None]]) -> int:
        erased = 0
        for encounter in encounters:
            try:
                await erase(encounter)
            except Exception as exc:  # a file that cannot be removed, a locked database
                log.error("encounter.not_erased", encounter=encounter, exc_info=exc)
            else:
                erased += 1
        return erased

    async def _referenced(self, names: Sequence[str]) -> set[str]:
        return await self._reader.read(partial(sql.referenced, names=names))

"""What recognition costs a note: the same consultations as they were said, and as they are heard in one channel.

The recordings are our own and, where the folder with data has them, calls of PriMock57 that a synthesiser spoke. They
are played into the pipeline as live audio is, so that who spoke is told by voice and wording; aci-bench has no audio.
"""

import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Final

import anyio
import msgspec
from rich.console import Console

from bench import recordings
from bench.manifest import Entry, entries
from bench.notes_checks import Share, check
from bench.notes_divisions import note_text, said_in
from bench.notes_figures import mean_of, total
from bench.notes_rouge import Rouge, mean, rouge
from bench.notes_sets import STREAM, Visit
from bench.notes_vocabulary import medical, named_medicines, stems
from bench.notes_writing import Write
from bench.offline import Engine
from bench.speaking import Player, Sample
from bench.words import ENGLISH, WordErrors, compare, medical_form
from pipeline.notes.note import Note
from pipeline.types import Utterance, to_samples
from server.engines import live_options, make_embedder, make_recogniser, make_voice_activity

OURS: Final = "ours"
SPOKEN_CALLS: Final = Path("audio") / "consult"  # in the folder with data


class Likeness(msgspec.Struct, frozen=True, kw_only=True):
    """Of our two notes with a clinician's: ROUGE-1, and the share of its words that were said and that ours have."""

    said_rouge_1: float
    heard_rouge_1: float
    said_kept: float | None
    heard_kept: float | None


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """One recording. Notes are compared with the one that the same writer makes of what was really said."""

    id: str
    recogniser: str
    errors: WordErrors  # in the medical form
    said_words: int  # in the note of what was said
    heard_words: int  # in the note of what was heard
    rouge: Rouge
    words_kept: Share  # of the note of what was said: in the note of what was heard
    terms_kept: Share
    medicines_kept: Share
    numbers: Share  # numbers of the note of what was heard that were really said
    terms_unsaid: float | None  # share of its medical words that were not
    as_answered: Share  # medical words that it affirms or denies as was really done
    clinician: Likeness | None  # where a clinician wrote a note


def ours() -> list[Visit]:
    """Our own consultations as they were said; nobody wrote a note of them."""
    return [_visit(entry) for entry in entries([recordings.FOLDER])]


async def listen(
    engine: Engine, write: Write, references: Mapping[str, str], limit: int, console: Console
) -> list[Heard]:
    """Play, write and compare. `references`: notes of clinicians, by name. Raises `RecogniserUnavailable`."""
    chosen = _recordings()
    found: list[Heard] = []
    async with _player(engine) as (player, recogniser):
        for entry in chosen[:limit] if limit else chosen:
            outcome = await player.play(_sample(entry))
            items = sorted((told.item for told in outcome.told.values()), key=lambda item: (item.start, item.end))
            found.append(await compared(entry, recogniser, items, write, references.get(entry.id, "")))
            rate = found[-1].errors.rate
            console.print(f"{entry.id}: {len(items)} items heard, word errors {rate or 0:.1%}")
    return found


async def compared(entry: Entry, recogniser: str, items: Sequence[Utterance], write: Write, reference: str) -> Heard:
    """The notes that a writer makes of a recording as it was said, and of the items that were heard of it.

    `reference`: a clinician's note; empty where there is none.
    """
    visit = _visit(entry, reference)
    said, heard = (await write(visit.items)).note, (await write(items)).note
    said_text, heard_text = _text(said), _text(heard)
    wanted, noted = said_in(said) if said is not None else "", said_in(heard) if heard is not None else ""
    checked, form = check(visit, heard), medical_form(ENGLISH)
    return Heard(
        id=entry.id,
        recogniser=recogniser,
        errors=compare(form(entry.text), form(" ".join(item.text for item in items))),
        said_words=len(said_text.split()),
        heard_words=len(heard_text.split()),
        rouge=rouge(said_text, heard_text),
        words_kept=_kept(stems(wanted), stems(noted)),
        terms_kept=_kept(medical(wanted), medical(noted)),
        medicines_kept=_kept(named_medicines(wanted), named_medicines(noted)),
        numbers=checked.numbers,
        terms_unsaid=checked.terms_unsaid,
        as_answered=checked.as_answered,
        clinician=Likeness(
            said_rouge_1=rouge(reference, said_text).one,
            heard_rouge_1=rouge(reference, heard_text).one,
            said_kept=check(visit, said).words_kept,
            heard_kept=checked.words_kept,
        )
        if reference
        else None,
    )


def pooled(heard: Sequence[Heard]) -> Heard:
    """Of all recordings, of which there is at least one: counts together, everything else in the mean."""
    clinicians = [one.clinician for one in heard if one.clinician is not None]
    errors = heard[0].errors
    for one in heard[1:]:
        errors += one.errors
    return Heard(
        id="all",
        recogniser=heard[0].recogniser,
        errors=errors,
        said_words=round(fmean(one.said_words for one in heard)),
        heard_words=round(fmean(one.heard_words for one in heard)),
        rouge=mean(one.rouge for one in heard) or heard[0].rouge,
        words_kept=total(one.words_kept for one in heard),
        terms_kept=total(one.terms_kept for one in heard),
        medicines_kept=total(one.medicines_kept for one in heard),
        numbers=total(one.numbers for one in heard),
        terms_unsaid=mean_of(one.terms_unsaid for one in heard),
        as_answered=total(one.as_answered for one in heard),
        clinician=_mean_likeness(clinicians) if clinicians else None,
    )


def _mean_likeness(of: Sequence[Likeness]) -> Likeness:
    return Likeness(
        said_rouge_1=fmean(one.said_rouge_1 for one in of),
        heard_rouge_1=fmean(one.heard_rouge_1 for one in of),
        said_kept=mean_of(one.said_kept for one in of),
        heard_kept=mean_of(one.heard_kept for one in of),
    )


def _recordings() -> list[Entry]:
    elsewhere = os.environ.get("AUSCULT_TEST_DATA")
    spoken = Path(elsewhere) / SPOKEN_CALLS if elsewhere else None
    return entries([recordings.FOLDER, *([spoken] if spoken is not None and spoken.is_dir() else [])])


@asynccontextmanager
async def _player(engine: Engine) -> AsyncIterator[tuple[Player, str]]:
    settings = engine.settings()
    recogniser = make_recogniser(settings)
    try:
        await recogniser.start()
        embedder = make_embedder(settings)
        if embedder is not None:
            await embedder.start()
        player = Player(
            options=replace(
                live_options(settings, recogniser), partial_interval=0
            ),  # finals are what a note is made of
            voice_activity=make_voice_activity(settings),
            embedder=embedder,
            recogniser=recogniser,
        )
        yield player, f"{recogniser.name} {Path(recogniser.model).name}"
    finally:
        with anyio.CancelScope(shield=True):
            await recogniser.aclose()


def _sample(entry: Entry) -> Sample:
    """The recording without its truth: nothing but the audio is told."""
    return Sample(name=entry.id, kind="mono", path=entry.mono, stereo=False, words=(), spans=())


def _visit(entry: Entry, reference: str = "") -> Visit:
    items = tuple(
        Utterance(
            id=f"item{number}",
            stream=STREAM,
            role=item.speaker,
            start=to_samples(item.start_ms),
            end=to_samples(item.end_ms),
            text=item.text,
        )
        for number, item in enumerate(entry.items, 1)
    )
    return Visit(name=entry.id, corpus=OURS, items=items, reference=reference)


def _text(note: Note | None) -> str:
    return note_text(note) if note is not None else ""


def _kept(wanted: Iterable[str], noted: Iterable[str]) -> Share:
    expected = frozenset(wanted)
    return Share(kept=len(expected.intersection(noted)), of=len(expected))

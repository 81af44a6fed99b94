"""Commands of `auscult-bench`: what is said, by whom and how soon, against the truth.

What they need is imported by each of them: `--help` stays quick, and a missing package is one clear line.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import anyio
import typer

from bench.commands import (
    ComputeType,
    EncoderWindow,
    Json,
    Model,
    Prompt,
    Recogniser,
    Recording,
    Speed,
    engine_for,
    names_in,
    out,
    write,
)
from pipeline.types import Role

Voice: TypeAlias = Literal["all", "doctor", "patient"]
ROLES = Path("pipeline/attribution/roles.json")  # the weights that are shipped
SECTIONS = Path("pipeline/notes/extract/sections.npz")
ICD10CM = Path("pipeline/notes/beside/icd10cm.tsv.zlib")


def live(
    recording: Recording = "cough",
    recogniser: Recogniser = "sphinx",
    model: Model = "",
    speed: Speed = 1.0,
    json: Json = None,
) -> None:
    """Measure a recogniser through the live API: words, speakers, times, delays, cost."""
    from bench.live import LiveOptions, run, show

    report = anyio.run(run, LiveOptions(recording=recording, recogniser=recogniser, model=model, speed=speed), out)
    show(report, out)
    write(report, json)
    if not report.finals:
        raise typer.Exit(1)


def latency(
    recording: Recording = "cough",
    voice: Annotated[Voice, typer.Option(help="Who is in the stream.")] = "all",
    recogniser: Recogniser = "auto",
    model: Model = "",
    encoder_window: EncoderWindow = "",
    compute_type: ComputeType = "",
    prompt: Prompt = True,
    repeat: Annotated[int, typer.Option(min=1, max=1000, help="Sessions, one after the other.")] = 1,
    minutes: Annotated[
        float, typer.Option(min=0, max=240, help="Instead: one session so long, the recording over and over.")
    ] = 0,
    speed: Speed = 1.0,
    json: Json = None,
) -> None:
    """Measure one live stream: time to final text, partials, false endpoints, words live and as a file."""
    from bench.latency import LatencyOptions, run
    from bench.latency_report import show

    options = LatencyOptions(
        recording=recording,
        voice=Role.UNSPECIFIED if voice == "all" else Role(voice),
        engine=engine_for(recogniser, model, compute_type, encoder_window, prompt=prompt),
        repeats=repeat,
        minutes=minutes,
        speed=speed,
    )
    report = anyio.run(run, options, out)
    show(report, out)
    write(report, json)
    if not report.finals:
        raise typer.Exit(1)


def accuracy(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(help="Manifests, truth files, or folders of them; else our recordings.", exists=True),
    ] = None,
    only: Annotated[str, typer.Option(help="Recordings whose id contains this.")] = "",
    channels: Annotated[
        Literal["split", "mono"], typer.Option(help="Each voice by itself where it has a channel, or all in one.")
    ] = "split",
    recogniser: Recogniser = "auto",
    model: Model = "",
    encoder_window: Annotated[
        list[str] | None, typer.Option(help="Whisper: full, dynamic or seconds; several are compared.")
    ] = None,
    compute_type: ComputeType = "",
    prompt: Prompt = True,
    reference: Annotated[
        bool, typer.Option("--reference", help="Compare with faster-whisper's own batched pipeline.")
    ] = False,
    repeat: Annotated[int, typer.Option(min=1, max=100, help="Runs of each recording; times are medians.")] = 1,
    json: Json = None,
) -> None:
    """Measure recordings as files: word errors, medical terms, time offsets, real-time factor."""
    from bench.accuracy import AccuracyOptions, run, show

    options = AccuracyOptions(
        sources=sources or (),
        only=only,
        split=channels == "split",
        engine=engine_for(recogniser, model, compute_type, prompt=prompt),
        encoder_windows=encoder_window or (),
        reference=reference,
        repeats=repeat,
    )
    report = anyio.run(run, options, out)
    show(report, out)
    write(report, json)
    if any(variant.total.errors for variant in report.variants):
        raise typer.Exit(1)


def speakers(
    sets: Annotated[str, typer.Option(help="Which of: ours, ours-stereo, mono, noisy, stereo, dialogues, clips.")] = "",
    only: Annotated[str, typer.Option(help="A part of the recordings' names.")] = "",
    words: Annotated[Literal["truth", "recognised"], typer.Option(help="Whose words are attributed.")] = "truth",
    expected: Annotated[int, typer.Option(min=1, max=6, help="People who are expected.")] = 2,
    odd: Annotated[bool, typer.Option("--odd", help="Instead: what is no conversation of two.")] = False,
    recogniser: Recogniser = "auto",
    model: Model = "",
    encoder_window: EncoderWindow = "",
    prompt: Prompt = True,
    json: Json = None,
) -> None:
    """Measure who is told to speak: by words, by time, by text; how soon, how steadily, at what cost."""
    from bench import speakers as measuring

    options = measuring.SpeakersOptions(
        kinds=tuple(names_in(sets)) or measuring.SETS,
        only=only,
        recognised=words == "recognised",
        engine=engine_for(recogniser, model, "", encoder_window, prompt=prompt),
        expected=expected,
    )
    if odd:
        anyio.run(measuring.odd, options, out)
        return
    report = anyio.run(measuring.run, options, out)
    measuring.show(report, out)
    write(report, json)


def voices(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(help="RTTM files with audio beside them, or folders of them; else our recordings.", exists=True),
    ] = None,
    suffix: Annotated[str, typer.Option(help="Of the audio, as in .noisy.opus.")] = "",
    levels: Annotated[bool, typer.Option("--levels", help="Make turns up to 24 dB quieter.")] = False,
    embedder: Annotated[Literal["ge2e", "pyannote"], typer.Option(help="As in the settings.")] = "ge2e",
    repeat: Annotated[int, typer.Option(min=1, max=1000, help="Calls of each kind; times are medians.")] = 9,
    json: Json = None,
) -> None:
    """Measure what telling voices apart costs, and how well it goes."""
    from bench.voices import VoicesOptions, run, show

    options = VoicesOptions(sources=sources or (), suffix=suffix, levels=levels, embedder=embedder, rounds=repeat)
    report = anyio.run(run, options, out)
    show(report, out)
    write(report, json)


def notes(
    folder: Annotated[
        Path | None,
        typer.Argument(help="A folder with aci-bench, mts-dialog, primock57; else notes in AUSCULT_TEST_DATA."),
    ] = None,
    sets: Annotated[str, typer.Option(help="Which of: aci, mts, primock, ours.")] = "aci,mts,primock,ours",
    split: Annotated[
        Literal["valid", "test1", "train"],
        typer.Option(help="Of aci-bench and MTS-Dialog. test1 is for the final figures: never look at it to tune."),
    ] = "valid",
    limit: Annotated[int, typer.Option(min=0, help="Consultations of each set; 0: all.")] = 0,
    template: Annotated[str, typer.Option(help="Of the notes that are written.")] = "GENERAL_MEDICINE",
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Also measure sentences that a server would drop.")
    ] = False,
    sample: Annotated[int, typer.Option(min=0, help="Show so many sentences with what they cite, to be read.")] = 0,
    seed: Annotated[int, typer.Option(help="Which sentences; the same number shows the same ones.")] = 0,
    doubtful: Annotated[
        bool, typer.Option("--doubtful", help="Show sentences that a server drops, or whose polarity is in doubt.")
    ] = False,
    missing: Annotated[
        bool, typer.Option("--missing", help="Show medicines and allergies that notes leave out.")
    ] = False,
    recognised: Annotated[
        bool, typer.Option("--recognised", help="Also of recordings, as they are heard in one channel.")
    ] = False,
    recogniser: Recogniser = "auto",
    model: Model = "",
    encoder_window: EncoderWindow = "",
    prompt: Prompt = True,
    json: Json = None,
) -> None:
    """Measure notes: likeness to clinicians' notes, evidence, omissions, time; beside published systems."""
    from bench import notes as measuring
    from bench.notes_table import show, show_doubtful, show_missing, show_sample

    kinds = tuple(names_in(sets))
    if unknown := set(kinds) - set(measuring.SETS):
        raise typer.BadParameter(f"no set {', '.join(sorted(unknown))}; there are: {', '.join(measuring.SETS)}")
    options = measuring.NotesOptions(
        folder=folder,
        kinds=kinds,
        split=split,
        limit=limit,
        template=template,
        checked=not unchecked,
        sampled=sample,
        seed=seed,
        engine=engine_for(recogniser, model, "", encoder_window, prompt=prompt) if recognised else None,
    )
    measured = anyio.run(measuring.run, options, out)
    show(measured.report, out)
    show_sample(measured.sample, out)
    show_missing(measured.missing if missing else (), out)
    show_doubtful([*measured.refused, *measured.doubtful] if doubtful else (), out)
    write(measured.report, json)


def beside(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder with aci-bench; without it only our own consultations.")
    ] = None,
    template: Annotated[str, typer.Option(help="Of the notes that are written.")] = "GENERAL_MEDICINE",
    json: Json = None,
) -> None:
    """Measure what is beside notes: how hard summaries are to read, codes suggested, what looking them up costs."""
    from bench.beside import run, show

    report = run(folder, template)
    show(report, out)
    write(report, json)


def icd10cm(
    out_to: Annotated[Path, typer.Option("--out", help="File to write.")] = ICD10CM,
) -> None:
    """Make the ICD-10-CM table from the package simple-icd-10-cm; say what is in it."""
    from bench.icd10cm import run

    run(out_to, out)


def train_roles(
    notes: Annotated[Path, typer.Argument(help="A folder with aci-bench, mts-dialog and primock57.", exists=True)],
    out_file: Annotated[Path, typer.Option("--out", help="Where the weights go.", dir_okay=False)] = ROLES,
) -> None:
    """Learn who speaks from the words of doctors and patients; write the weights, and measure them."""
    from bench.train_roles import run

    run(notes, out_file, out)


def train_notes(
    notes: Annotated[Path, typer.Argument(help="A folder with aci-bench and mts-dialog.", exists=True)],
    out_file: Annotated[Path, typer.Option("--out", help="Where the weights go.", dir_okay=False)] = SECTIONS,
) -> None:
    """Learn what of a talk is worth noting, and in which section of a note; write the weights."""
    from bench.train_notes import run

    run(notes, out_file, out)

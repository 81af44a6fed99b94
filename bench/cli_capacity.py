"""Commands of `auscult-bench`: what everything costs, and how much a machine carries.

What they need is imported by each of them: `--help` stays quick, and a missing package is one clear line.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import anyio
import typer

from bench.commands import (
    ComputeType,
    Database,
    EncoderWindow,
    Json,
    Model,
    Prompt,
    Recogniser,
    Recording,
    counts_in,
    names_in,
    out,
    shares_in,
    write,
)

Shape: TypeAlias = Literal["tiny", "base", "small", "medium", "distil-small"]
Quantization: TypeAlias = Literal["int8", "float16", "float32"]
CallSeconds = Annotated[float, typer.Option(min=10, max=3600, help="Of speech in each stream.")]
Apart = Annotated[bool, typer.Option("--apart", help="Each stream is one microphone; else both voices are in it.")]
Most = Annotated[int, typer.Option("--max", min=1, max=10_000, help="Streams that are tried at most.")]
TtfsLimit = Annotated[float, typer.Option(min=1, help="Latest end of speech → text, p95, ms.")]
AgeLimit = Annotated[float, typer.Option(min=1, help="Oldest partial, p95, ms.")]
Minutes = Annotated[float, typer.Option(min=0, help="No round begins later.")]
SliceMs = Annotated[int, typer.Option("--slice-ms", min=20, max=10_000, help="Of each chunk.")]


def recognisers(
    recording: Recording = "cough",
    recogniser: Recogniser = "sphinx",
    model: Model = "",
    calls: Annotated[int, typer.Option(min=1, max=10_000, help="Of each kind.")] = 20,
    seconds: Annotated[float, typer.Option(min=0.5, max=30, help="Of audio in each call.")] = 5.0,
    json: Json = None,
) -> None:
    """Measure what it adds to a call to recognise in a worker process instead of this one."""
    from bench.recognisers import RecognisersOptions, run, show

    options = RecognisersOptions(recording=recording, recogniser=recogniser, model=model, calls=calls, seconds=seconds)
    report = anyio.run(run, options)
    show(report, out)
    write(report, json)


def engine(
    model: Model,
    threads: Annotated[int, typer.Option(min=0, help="For each call on a CPU; 0: as the engine chooses.")] = 0,
    compute_type: ComputeType = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    beam_size: Annotated[int, typer.Option(min=2, max=20, help="Of finals.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="How often everything is measured.")] = 9,
    json: Json = None,
) -> None:
    """Measure what a Whisper model costs by itself: encoding, decoding and aligning, single and in batches."""
    from bench.engine import EngineOptions, run, show

    options = EngineOptions(
        model=model, threads=threads, compute_type=compute_type, device=device, beam_size=beam_size, rounds=rounds
    )
    report = run(options, out)
    show(report, out)
    write(report, json)


def model(
    shape: Annotated[Shape, typer.Argument(help="The published model whose size it has.")],
    directory: Annotated[Path, typer.Argument(help="Where it is written.", file_okay=False)],
    tokens: Annotated[int, typer.Option(min=0, max=440, help="After which it ends each text; 0: chance.")] = 30,
    quantization: Annotated[Quantization, typer.Option(help="Of its weights.")] = "int8",
    english: Annotated[bool, typer.Option("--english", help="English only, as tiny.en.")] = False,
) -> None:
    """Write a Whisper model with random weights: its text is gibberish, its cost that of the published model."""
    from bench.random_model import SHAPES, write_model

    with out.status(f"Writing {shape}"):
        write_model(directory, shape=SHAPES[shape], tokens=tokens, quantization=quantization, multilingual=not english)
    out.print(f"{directory}: the size of {shape}, {quantization}, {tokens or 'any number of'} tokens in each text.")


def decoders(
    decoders: Annotated[int, typer.Option(min=1, max=10_000, help="At the same time.")] = 100,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Measured time.")] = 20.0,
    slice_ms: SliceMs = 250,
    json: Json = None,
) -> None:
    """Measure what decoding live webm costs, and how soon a chunk is audio."""
    from bench.decoders import DecoderOptions, run, show

    options = DecoderOptions(decoders=decoders, seconds=seconds, slice_ms=slice_ms)
    report = anyio.run(run, options, out, backend_options={"use_uvloop": True})
    show(report, out)
    write(report, json)


def ingest(
    sessions: Annotated[int, typer.Option(min=1, max=10_000, help="Sockets at the same time.")] = 50,
    streams: Annotated[int, typer.Option(min=1, max=32, help="Audio streams in each.")] = 2,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Measured time.")] = 30.0,
    ack: Annotated[bool, typer.Option("--ack/--no-ack", help="Ask for acknowledgements.")] = True,
    recording: Recording = "cough",
    directory: Annotated[
        Path | None, typer.Option(help="Disk to measure on; the data are removed.", exists=True, file_okay=False)
    ] = None,
    database: Database = "sqlite",
    json: Json = None,
) -> None:
    """Measure what taking audio in costs, without recognising it."""
    from bench.ingest import IngestOptions, run, show

    options = IngestOptions(
        sessions=sessions,
        streams=streams,
        seconds=seconds,
        acknowledge=ack,
        recording=recording,
        directory=directory,
        database=database,
    )
    report = anyio.run(run, options, out)
    show(report, out)
    write(report, json)
    if report.lost_chunks or report.errors or report.broken:
        raise typer.Exit(1)


def webrtc(
    peers: Annotated[int, typer.Option(min=1, max=1_000, help="Connections at the same time.")] = 10,
    seconds: Annotated[float, typer.Option(min=3, max=3600, help="Measured time of each network.")] = 60.0,
    loss: Annotated[str, typer.Option(help="Networks, by the share of packets they lose, in %.")] = "0,2,5,10",
    late: Annotated[float, typer.Option(min=0, max=50, help="Packets that others overtake, in %.")] = 0.0,
    twice: Annotated[float, typer.Option(min=0, max=100, help="Packets that come twice, in %.")] = 0.0,
    split: Annotated[bool, typer.Option("--split", help="Left and right are streams of their own.")] = False,
    recording: Recording = "cough",
    json: Json = None,
) -> None:
    """Measure what taking audio in over WebRTC costs, without recognising it, and what a bad network takes away."""
    from bench.webrtc import WebRtcOptions, run, show

    options = WebRtcOptions(
        peers=peers,
        seconds=seconds,
        losses=shares_in(loss),
        late=late / 100,
        twice=twice / 100,
        split=split,
        recording=recording,
    )
    report = anyio.run(run, options, out, backend_options={"use_uvloop": True})
    show(report, out)
    write(report, json)
    if any(each.used_of_arrived < 0.9 for each in report.rounds):
        raise typer.Exit(1)


def recorder(
    recording: Recording = "cough",
    recogniser: Recogniser = "sphinx",
    model: Model = "",
    sessions: Annotated[int, typer.Option(min=1, max=1000, help="For first words, one after the other.")] = 10,
    slice_ms: SliceMs = 100,
    cuts: Annotated[int, typer.Option(min=1, max=100, help="Of the connection of one session.")] = 5,
    json: Json = None,
) -> None:
    """Measure what a browser's recorder meets: acknowledgements, first words, coming back after a cut."""
    from bench.recorder import RecorderOptions, run, show

    options = RecorderOptions(
        recording=recording, recogniser=recogniser, model=model, sessions=sessions, slice_ms=slice_ms, cuts=cuts
    )
    report = anyio.run(run, options, out)
    show(report, out)
    write(report, json)
    if report.lost_words or report.repeated_words:
        raise typer.Exit(1)


def followers(
    followers: Annotated[int, typer.Option(min=1, max=10_000, help="Of one session.")] = 200,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Measured time, alone and followed.")] = 30.0,
    json: Json = None,
) -> None:
    """Measure what followers of a session cost the server."""
    from bench.followers import FollowerOptions, run, show

    report = anyio.run(run, FollowerOptions(followers=followers, seconds=seconds), out)
    show(report, out)
    write(report, json)
    if report.missing_finals:
        raise typer.Exit(1)


def load(
    recording: Recording = "cough",
    recogniser: Recogniser = "auto",
    model: Model = "",
    encoder_window: EncoderWindow = "",
    compute_type: ComputeType = "",
    prompt: Prompt = True,
    seconds: CallSeconds = 40.0,
    apart: Apart = False,
    streams: Annotated[str, typer.Option(help="Measure these, as in 1,2,4, and look for no limit.")] = "",
    most: Most = 64,
    ttfs: TtfsLimit = 1000.0,
    age: AgeLimit = 1500.0,
    minutes: Minutes = 15.0,
    admission: Annotated[
        bool,
        typer.Option("--admission/--no-admission", help="Whether the server may refuse while the limit is sought."),
    ] = False,
    overload: Annotated[
        bool, typer.Option("--overload", help="Then call twice as often as it carries, and it may refuse.")
    ] = False,
    json: Json = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw a picture: .png, .svg.", dir_okay=False)] = None,
) -> None:
    """Measure how many live streams this machine carries, with callers that speak in real time."""
    from bench.load import Limits, LoadOptions, held, run, show
    from bench.ours import OurTarget
    from bench.rounds import Speech

    options = LoadOptions(
        target=OurTarget(
            recogniser=recogniser,
            model=model,
            compute_type=compute_type,
            encoder_window=encoder_window,
            prompt=prompt,
            admission=admission,
        ),
        speech=Speech(recording=recording, seconds=seconds, apart=apart),
        streams=counts_in(streams),
        most=most,
        limits=Limits(ttfs_ms=ttfs, age_ms=age),
        minutes=minutes,
        overload=overload,
    )
    report = anyio.run(run, options, out)
    show(report, out)
    write(report, json)
    if plot is not None:
        from bench.load_plot import plot as draw

        draw(report, plot)
    if not held(report):
        raise typer.Exit(1)


def peers(
    model: Annotated[
        Path, typer.Option(help="Directory with a CTranslate2 Whisper model.", exists=True, file_okay=False)
    ],
    names: Annotated[
        str, typer.Option("--peers", help="Whom to compare with.")
    ] = "whisperlive-lock,whisperlive-batch,realtimestt,whisperlivekit,whisper_streaming",
    windows: Annotated[str, typer.Option(help="Encoder windows of ours.")] = "full,dynamic",
    recording: Recording = "cough",
    streams: Annotated[str, typer.Option(help="At the same time.")] = "1,2,4",
    seconds: CallSeconds = 30.0,
    apart: Apart = False,
    most: Annotated[
        int, typer.Option("--max", min=0, max=10_000, help="Streams that are tried at most; 0: --streams alone.")
    ] = 64,
    ttfs: TtfsLimit = 1000.0,
    age: AgeLimit = 1500.0,
    minutes: Minutes = 100.0,
    trials: Annotated[
        bool, typer.Option("--trials/--no-trials", help="Try a peer's settings and go on with the best.")
    ] = True,
    cache: Annotated[
        Path | None,
        typer.Option(help="Where their environments are kept; else ~/.cache/auscult-bench.", file_okay=False),
    ] = None,
    json: Json = None,
) -> None:
    """Measure others' live Whisper servers and ours with the same audio, model and pace."""
    from bench.load import Limits
    from bench.peers.compare import PeersOptions, run
    from bench.peers.environments import cache_directory
    from bench.peers.tables import show
    from bench.rounds import Speech

    options = PeersOptions(
        model=model.resolve(),
        peers=names_in(names),
        windows=names_in(windows),
        streams=counts_in(streams),
        speech=Speech(recording=recording, seconds=seconds, apart=apart),
        limits=Limits(ttfs_ms=ttfs, age_ms=age),
        most=most,
        trials=trials,
        minutes=minutes,
        cache=cache or cache_directory(),
    )
    report = anyio.run(run, options, out)
    show(report, out)
    write(report, json)
    if not report.peers:
        raise typer.Exit(1)

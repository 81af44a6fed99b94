"""`auscult-bench`: show what Auscult does, and measure it. Everything runs on this machine and ends by itself."""

import signal
import sys
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import anyio
import msgspec
import typer
from rich.console import Console

from pipeline.errors import AuscultError
from pipeline.types import Role

if TYPE_CHECKING:
    from bench.offline import Engine

# What the commands need is imported by each of them: `--help` stays quick, and a missing package is one clear line.

KNOWN = (AuscultError, OSError, ModuleNotFoundError)  # what is one line, not a traceback

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)

ROLES = Path("pipeline/attribution/roles.json")  # the weights that are shipped
Recording = Annotated[str, typer.Option(help="Which recording of ours is played.")]
Recogniser = Annotated[str, typer.Option(help="auto, sphinx, whisper or scripted.")]
Model = Annotated[str, typer.Option(help="Whisper model: a directory, or the name of a fetched one.")]
EncoderWindow = Annotated[str, typer.Option(help="Whisper: full, dynamic or seconds.")]
Prompt = Annotated[bool, typer.Option("--prompt/--no-prompt", help="Tell the recogniser what was said before.")]
ComputeType = Annotated[str, typer.Option(help="Whisper: arithmetic, as in the settings.")]
Databases: TypeAlias = Literal["sqlite", "postgresql", "both"]
Voice: TypeAlias = Literal["all", "doctor", "patient"]
Shape: TypeAlias = Literal["tiny", "base", "small", "medium", "distil-small"]
Quantization: TypeAlias = Literal["int8", "float16", "float32"]
Speed = Annotated[float, typer.Option(min=0.1, max=100, help="Times real time.")]
CallSeconds = Annotated[float, typer.Option(min=10, max=3600, help="Of speech in each stream.")]
Apart = Annotated[bool, typer.Option("--apart", help="Each stream is one microphone; else both voices are in it.")]
Most = Annotated[int, typer.Option("--max", min=1, max=10_000, help="Streams that are tried at most.")]
TtfsLimit = Annotated[float, typer.Option(min=1, help="Latest end of speech → text, p95, ms.")]
AgeLimit = Annotated[float, typer.Option(min=1, help="Oldest partial, p95, ms.")]
Minutes = Annotated[float, typer.Option(min=0, help="No round begins later.")]
SliceMs = Annotated[int, typer.Option("--slice-ms", min=20, max=10_000, help="Of each chunk.")]
Database = Annotated[Literal["sqlite", "postgresql"], typer.Option(help="Where the server keeps its data.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.", dir_okay=False)]


def main() -> None:
    """The command's entry: what goes wrong is one line, not a traceback."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except KNOWN as exc:
        _fail(exc)
    except BaseExceptionGroup as group:
        known, others = group.split(KNOWN)
        if known is None or others is not None:
            raise
        _fail(_first(known))


@app.command()
def demo(
    recording: Recording = "cough",
    recogniser: Recogniser = "auto",
    model: Model = "",
    speed: Speed = 1.0,
    url: Annotated[str, typer.Option(help="A server that runs already; else one is started.")] = "",
    key: Annotated[str, typer.Option(help="API key of that server.", envvar="AUSCULT_API_KEY")] = "",
) -> None:
    """Play a consultation through the live API; print the transcript as it becomes final, then the note."""
    from bench.demo import DemoOptions, run

    if url and not key:
        raise typer.BadParameter("a server that runs already needs its key: --key, or AUSCULT_API_KEY")
    options = DemoOptions(recording=recording, recogniser=recogniser, model=model, speed=speed, url=url, key=key)
    if not anyio.run(run, options, out):
        raise typer.Exit(1)


@app.command()
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
    _write(report, json)
    if not report.finals:
        raise typer.Exit(1)


@app.command()
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
    _write(report, json)


@app.command()
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
        engine=_engine(recogniser, model, compute_type, encoder_window, prompt=prompt),
        repeats=repeat,
        minutes=minutes,
        speed=speed,
    )
    report = anyio.run(run, options, out)
    show(report, out)
    _write(report, json)
    if not report.finals:
        raise typer.Exit(1)


@app.command()
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
        engine=_engine(recogniser, model, compute_type, prompt=prompt),
        encoder_windows=encoder_window or (),
        reference=reference,
        repeats=repeat,
    )
    report = anyio.run(run, options, out)
    show(report, out)
    _write(report, json)
    if any(variant.total.errors for variant in report.variants):
        raise typer.Exit(1)


@app.command()
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
    _write(report, json)
    if report.lost_chunks or report.errors or report.broken:
        raise typer.Exit(1)


@app.command()
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
        losses=_shares(loss),
        late=late / 100,
        twice=twice / 100,
        split=split,
        recording=recording,
    )
    report = anyio.run(run, options, out, backend_options={"use_uvloop": True})
    show(report, out)
    _write(report, json)
    if any(each.used_of_arrived < 0.9 for each in report.rounds):
        raise typer.Exit(1)


@app.command()
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
    _write(report, json)
    if report.lost_words or report.repeated_words:
        raise typer.Exit(1)


@app.command()
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
    _write(report, json)


@app.command()
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
    _write(report, json)


@app.command()
def followers(
    followers: Annotated[int, typer.Option(min=1, max=10_000, help="Of one session.")] = 200,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Measured time, alone and followed.")] = 30.0,
    json: Json = None,
) -> None:
    """Measure what followers of a session cost the server."""
    from bench.followers import FollowerOptions, run, show

    report = anyio.run(run, FollowerOptions(followers=followers, seconds=seconds), out)
    show(report, out)
    _write(report, json)
    if report.missing_finals:
        raise typer.Exit(1)


@app.command()
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
    _write(report, json)


@app.command()
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


@app.command()
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
        kinds=tuple(_names(sets)) or measuring.SETS,
        only=only,
        recognised=words == "recognised",
        engine=_engine(recogniser, model, "", encoder_window, prompt=prompt),
        expected=expected,
    )
    if odd:
        anyio.run(measuring.odd, options, out)
        return
    report = anyio.run(measuring.run, options, out)
    measuring.show(report, out)
    _write(report, json)


@app.command()
def train_roles(
    notes: Annotated[Path, typer.Argument(help="A folder with aci-bench, mts-dialog and primock57.", exists=True)],
    out_file: Annotated[Path, typer.Option("--out", help="Where the weights go.", dir_okay=False)] = ROLES,
) -> None:
    """Learn who speaks from the words of doctors and patients; write the weights, and measure them."""
    from bench.train_roles import run

    run(notes, out_file, out)


@app.command()
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
        streams=_counts(streams),
        most=most,
        limits=Limits(ttfs_ms=ttfs, age_ms=age),
        minutes=minutes,
        overload=overload,
    )
    report = anyio.run(run, options, out)
    show(report, out)
    _write(report, json)
    if plot is not None:
        from bench.load_plot import plot as draw

        draw(report, plot)
    if not held(report):
        raise typer.Exit(1)


@app.command()
def chaos(
    database: Annotated[
        Literal["sqlite", "postgresql", "both"], typer.Option(help="What the processes share.")
    ] = "both",
    kills: Annotated[int, typer.Option(min=1, help="On each database.")] = 200,
    sessions: Annotated[int, typer.Option(min=1, max=100, help="Live sessions in work.")] = 10,
    recordings: Annotated[int, typer.Option(min=0, max=200, help="Recordings in work.")] = 20,
    workers: Annotated[int, typer.Option(min=0, max=16, help="Recognisers of their own, on PostgreSQL.")] = 2,
    seconds: Annotated[float, typer.Option(min=5, max=3600, help="Of audio in each session.")] = 120,
    seed: Annotated[int, typer.Option(help="The same kills at the same moments.")] = 0,
    json: Json = None,
) -> None:
    """Kill processes at random moments, and compare what they promised with what they did."""
    from bench.chaos import chaos as run_chaos

    for each in ("sqlite", "postgresql") if database == "both" else (database,):
        many = {"kills": kills, "sessions": sessions, "recordings": recordings, "workers": workers}
        report = anyio.run(partial(run_chaos, each, **many, seconds=seconds, seed=seed))
        out.print_json(msgspec.json.encode(report).decode())
        _write(report, json)
        if not report.kept:
            raise typer.Exit(1)


@app.command()
def durability(
    database: Database = "sqlite",
    minutes: Annotated[float, typer.Option(min=1, max=240, help="Of the long recording.")] = 60,
    queued: Annotated[int, typer.Option(min=1, max=500, help="Recordings of the tenant that floods.")] = 50,
    json: Json = None,
) -> None:
    """Measure a long upload, polls beside it, webhooks, fairness, an idle server; with PostgreSQL takeovers, too."""
    from bench.durability import measure
    from bench.durability_report import held, show

    report = anyio.run(partial(measure, database, minutes=minutes, queued=queued))
    show(report, out)
    _write(report, json)
    if not held(report):
        raise typer.Exit(1)


@app.command()
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
        peers=_names(names),
        windows=_names(windows),
        streams=_counts(streams),
        speech=Speech(recording=recording, seconds=seconds, apart=apart),
        limits=Limits(ttfs_ms=ttfs, age_ms=age),
        most=most,
        trials=trials,
        minutes=minutes,
        cache=cache or cache_directory(),
    )
    report = anyio.run(run, options, out)
    show(report, out)
    _write(report, json)
    if not report.peers:
        raise typer.Exit(1)


def _names(listed: str) -> list[str]:
    return [name for part in listed.split(",") if (name := part.strip())]


def _counts(listed: str) -> list[int]:
    """Numbers of streams. Raises: `typer.BadParameter`."""
    try:
        counts = sorted({int(name) for name in _names(listed)})
    except ValueError:
        counts = [0]
    if any(count < 1 for count in counts):
        raise typer.BadParameter("numbers from 1 on, with commas between them: --streams 1,2,4")
    return counts


def _shares(listed: str) -> list[float]:
    """Percentages as shares. Raises: `typer.BadParameter`."""
    try:
        shares = [float(name) / 100 for name in _names(listed)]
    except ValueError:
        shares = [-1.0]
    if not shares or not all(0 <= share < 1 for share in shares):
        raise typer.BadParameter("percentages from 0 to 99, with commas between them: --loss 0,2,5,10")
    return shares


def _engine(
    recogniser: str, model: str, compute_type: str, encoder_window: str = "", *, prompt: bool = True
) -> "Engine":
    """What a recogniser in this process needs; it says only what went wrong."""
    from bench.offline import Engine
    from server.logs import configure_logging
    from server.settings import LogSettings

    configure_logging(LogSettings(level="warning", format="console"))
    return Engine(
        recogniser=recogniser, model=model, compute_type=compute_type, encoder_window=encoder_window, prompt=prompt
    )


def _write(report: msgspec.Struct, path: Path | None) -> None:
    if path is not None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def _interrupt(_: int, __: FrameType | None) -> None:
    """A request to end is what Ctrl-C is: everything started is ended in order."""
    signal.raise_signal(signal.SIGINT)


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    head = group.exceptions[0]
    return _first(head) if isinstance(head, BaseExceptionGroup) else head


def _fail(error: Exception) -> None:
    message = str(error)
    if isinstance(error, ModuleNotFoundError):
        message = f"the package {error.name} is missing: pip install 'auscult[bench]'"
    elif isinstance(error, TimeoutError):
        message = "it did not finish in time."
    err.print(f"auscult-bench: {message}", style="red", markup=False)
    sys.exit(1)


if __name__ == "__main__":
    main()

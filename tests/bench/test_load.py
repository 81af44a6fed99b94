"""How rounds become figures, and figures a limit; and the command against a real server."""

import io
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench import load, load_plot
from bench.calls import Heard, Shown
from bench.excerpts import Excerpt
from bench.ladder import Carried, Ladder
from bench.load import Limits, held, show, verdict
from bench.recordings import TruthItem
from bench.rounds import Cost, Judged, Round, tell
from bench.score import Final, Spread
from bench.words import NO_ERRORS, Words
from pipeline.types import Role
from tests.bench.conftest import Bench

NEVER = float("inf")
COST = Cost(seconds=10, server_s=5, client_s=1, machine_s=8, peak_rss=200_000_000)
ALL_RIGHT = Shown(at_ms=1400, text="All right.", settled="All right.")
EXCERPT = Excerpt(audio=b"", items=(TruthItem(speaker=Role.DOCTOR, start_ms=0, end_ms=1000, text="All right."),))


def measured(streams: int = 1, *, ttfs_ms: float = 400, age_ms: float = 300, refused: int = 0, lost: int = 0) -> Round:
    ttfs = Spread.of([ttfs_ms])
    return Round(
        server="auscult",
        streams=streams,
        refused=refused,
        broken=(),
        items=10 * streams,
        lost_items=lost,
        ttfs=ttfs,
        final_ttfs=ttfs,
        timed_ttfs=ttfs,
        lost_finals=lost,
        age=Spread.of([age_ms]),
        lag=None,
        words=Words.of(NO_ERRORS),
        cpu=0.5,
        client_cpu=0.0,
        other_cpu=0.0,
        peak_rss_mb=200,
        load_average=1.0,
        lateness_p95=1.0,
    )


def told(*heard: Heard, alone: Sequence[Heard] = (), unheard: int | None = None) -> Round:
    calls = [Judged.of(EXCERPT, each) for each in heard if not each.refused]
    again = [Judged.of(EXCERPT, each) for each in alone]
    return tell("auscult", heard, calls, COST, 0.7, alone=again, unheard=unheard)


def reported(*rounds: Round, carried: Carried | None = None, overload: Round | None = None) -> load.Report:
    return load.Report(
        recogniser="scripted",
        model="",
        encoder_window="",
        recording="cough",
        seconds=40,
        apart=False,
        speaking=0.8,
        limits=Limits(),
        admission=False,
        rounds=rounds,
        carried=carried,
        overload=overload,
    )


def final(text: str, arrived_ms: float, *, start_ms: int = 0, end_ms: int = 1000) -> Final:
    return Final(role=Role.UNSPECIFIED, start_ms=start_ms, end_ms=end_ms, text=text, arrived_ms=arrived_ms)


def ladder(fits_up_to: int, *, most: int = 1000, deadline: float = NEVER) -> Ladder:
    async def measure(streams: int) -> Round:
        return measured(streams, ttfs_ms=400 if streams <= fits_up_to else 4000)

    return Ladder(measure, most=most, deadline=deadline)


@given(most=st.integers(0, 10))
async def test_small_limits_are_found_exactly(most: int) -> None:
    assert await ladder(most).carried(Limits().hold) == Carried(streams=most, too_many=most + 1)


@given(most=st.integers(11, 400))
async def test_large_limits_are_found_within_a_tenth(most: int) -> None:
    carried = await ladder(most).carried(Limits().hold)
    assert carried.too_many is not None
    assert carried.streams <= most < carried.too_many
    assert carried.too_many - carried.streams <= max(1, carried.streams // 10)


async def test_no_more_streams_are_tried_than_asked_for() -> None:
    climbed = ladder(1000, most=6)
    assert await climbed.carried(Limits().hold) == Carried(streams=6, too_many=None)
    assert set(climbed.rounds) == {1, 2, 4, 6}


async def test_no_round_begins_after_the_deadline() -> None:
    late = ladder(1000, deadline=0.0)
    assert await late.round(1) is None
    assert await late.carried(Limits().hold) == Carried(streams=0, too_many=None)


async def test_a_round_that_failed_while_others_worked_is_measured_again_once() -> None:
    disturbances = [1.0, 0.4]
    calls: list[int] = []

    async def measure(streams: int) -> Round:
        calls.append(streams)
        return msgspec.structs.replace(measured(streams, ttfs_ms=4000), other_cpu=disturbances[len(calls) - 1])

    climbed = Ladder(measure, most=10, deadline=NEVER)
    assert (await climbed.carried(Limits().hold)).streams == 0
    assert calls == [1, 1]
    assert climbed.rounds[1].other_cpu == 0.4


@pytest.mark.parametrize(
    ("round_", "holds"),
    [
        (measured(), True),
        (measured(ttfs_ms=1001), False),
        (measured(age_ms=1501), False),
        (measured(refused=1), False),
        (measured(lost=1), False),
        (msgspec.structs.replace(measured(), timed_ttfs=None), False),
        (msgspec.structs.replace(measured(), broken=("the server closed with 1011",)), False),
    ],
)
def test_everybody_must_be_served_and_soon(round_: Round, holds: bool) -> None:
    assert Limits().hold(round_) == holds


def test_a_round_is_told_of_those_who_were_taken() -> None:
    shown = (
        Shown(at_ms=900, text="all", settled=""),
        Shown(at_ms=1200, text="All right.", settled=""),
        ALL_RIGHT,
    )
    round_ = told(
        Heard(caller=0, shown=shown, finals=(final("All right.", 1400.0),), lateness_ms=(1.0, 3.0)),
        Heard(caller=1, refused=True),
    )
    assert (round_.streams, round_.refused, round_.items) == (2, 1, 1)
    assert (round_.lost_items, round_.lost_finals, round_.misheard) == (0, 0, 0)
    assert round_.ttfs is not None
    assert round_.final_ttfs is not None
    assert round_.timed_ttfs is not None
    assert (round_.ttfs.median, round_.final_ttfs.median, round_.timed_ttfs.median) == (200, 400, 400)
    assert round_.words.rate == 0
    assert (round_.cpu, round_.client_cpu, round_.other_cpu) == (0.5, 0.1, 0.2)


def test_a_final_that_has_other_words_at_the_right_time_is_not_lost() -> None:
    assert told(Heard(caller=0, finals=(final("", 1400.0),))).lost_finals == 0
    assert told(Heard(caller=0)).lost_finals == 1


def test_what_a_caller_alone_does_not_get_either_is_misheard_and_all_the_rest_is_lost() -> None:
    missed, got = Heard(caller=0), Heard(caller=0, shown=(ALL_RIGHT,), finals=(final("All right.", 1400.0),))
    misheard, lost = told(missed, alone=[missed]), told(missed, alone=[got])
    assert (misheard.lost_items, misheard.lost_finals, misheard.misheard) == (0, 0, 1)
    assert (lost.lost_items, lost.lost_finals, lost.misheard) == (1, 1, 0)
    assert misheard.finished
    assert not lost.finished
    assert not lost.served


def test_no_loss_is_too_small_to_count_and_a_mishearing_now_and_then_is_none() -> None:
    assert not measured(100, lost=1).finished
    assert not measured(100, lost=1).served
    assert not Limits().hold(measured(100, lost=1))
    assert msgspec.structs.replace(measured(10), misheard=10).served
    assert not msgspec.structs.replace(measured(10), misheard=11).served


def test_a_segment_that_the_server_gave_up_counts_whatever_the_screens_show() -> None:
    got = Heard(caller=0, shown=(ALL_RIGHT,), finals=(final("All right.", 1400.0),))
    assert told(got, unheard=0).finished
    assert not told(got, unheard=1).finished


def test_a_call_that_broke_loses_what_it_did_not_bring() -> None:
    round_ = told(Heard(caller=0, error="the server closed with 1011"))
    assert round_.broken == ("the server closed with 1011",)
    assert (round_.lost_items, round_.lost_finals) == (1, 1)
    assert not round_.served


def test_the_sentence_says_what_is_carried_and_what_overload_did() -> None:
    overload = measured(16, refused=7)
    report = reported(measured(8), carried=Carried(streams=8, too_many=9), overload=overload)
    said = verdict(report)
    assert "carries 8 streams" in said
    assert "9 are too many" in said
    assert "Called by 16 it took 9, refused 7 and lost 0 finals." in said
    assert held(report)
    assert not held(reported(measured(8), carried=Carried(streams=8, too_many=9), overload=measured(16, lost=16)))


def test_the_table_has_every_figure_on_a_narrow_screen() -> None:
    text = io.StringIO()
    show(reported(measured(4, ttfs_ms=432.1, age_ms=234.5)), Console(file=text, width=40))
    assert "432" in text.getvalue()
    assert "234" in text.getvalue()
    assert "0 of 40" in text.getvalue()


def test_the_picture_is_one(tmp_path: Path) -> None:
    path = tmp_path / "load.png"
    load_plot.plot(reported(measured(1), msgspec.structs.replace(measured(2), timed_ttfs=None, age=None)), path)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_server_that_is_called_too_often_refuses_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    monkeypatch.setenv("AUSCULT_LIMITS_MAX_STREAMS", "2")
    figures = tmp_path / "figures.json"
    arguments = ["load", "--recogniser", "scripted", "--seconds", "10"]
    options = ["--streams", "2", "--age", "60000", "--ttfs", "60000", "--admission", "--overload"]
    done = bench(*arguments, *options, "--json", str(figures))
    assert done.returncode == 0, done.stdout + done.stderr
    report = msgspec.json.decode(figures.read_bytes(), type=load.Report)
    (within,) = report.rounds
    assert (within.streams, within.refused, within.broken, within.lost_finals) == (2, 0, (), 0)
    assert within.timed_ttfs is not None
    assert within.cpu > 0
    assert within.unheard == 0
    assert report.overload is not None
    assert (report.overload.streams, report.overload.refused, report.overload.lost_finals) == (4, 2, 0)

"""Peers without their packages: what is left out and why, servers that come and go, and how a comparison is printed."""

import io
import json
import sys
from pathlib import Path

import msgspec
import psutil
import pytest
from rich.console import Console

from bench.ladder import Carried
from bench.load import Limits
from bench.peers.catalogue import PEERS, Peer, Place, Project, Setting
from bench.peers.compare import AtComfort, PeersOptions, Report, Server, Trial, run
from bench.peers.environments import PeerUnavailable, environment
from bench.peers.servers import PeerTarget
from bench.peers.tables import show
from bench.rounds import Round
from bench.score import Spread
from bench.words import NO_ERRORS, Words

NOTHING = Project(name="nothing", alone=(), needs=("there-is-no-such-package==1",))
QUIET = Console(file=io.StringIO())
ALONE = Setting(name="1 thread", threads=1)


def a_round(server: str, streams: int, ttfs_ms: float, *, lost: int = 0, rest_ms: float | None = None) -> Round:
    """`rest_ms`: when texts came to rest; else when they were final."""
    ttfs = Spread.of([ttfs_ms])
    return Round(
        server=server,
        streams=streams,
        refused=0,
        broken=(),
        items=10,
        lost_items=lost,
        ttfs=Spread.of([ttfs_ms if rest_ms is None else rest_ms]),
        final_ttfs=ttfs,
        timed_ttfs=None,
        lost_finals=lost,
        age=ttfs,
        lag=ttfs,
        words=Words.of(NO_ERRORS),
        cpu=1.0,
        client_cpu=0.0,
        other_cpu=0.0,
        peak_rss_mb=400,
        load_average=0.5,
        lateness_p95=1.0,
    )


def test_a_server_is_judged_by_its_finals_and_by_texts_at_rest_where_it_tells_none() -> None:
    tells = a_round("tells", 1, 2000, rest_ms=300)
    assert tells.judged_ttfs == Spread.of([2000])
    assert msgspec.structs.replace(tells, final_ttfs=None).judged_ttfs == Spread.of([300])


def target(*arguments: str, health: str = "") -> PeerTarget:
    """A server whose command is an interpreter of ours; `{port}` in an argument is its port."""

    def command(place: Place, _: Setting) -> list[str]:
        return [str(place.python), *(argument.format(port=place.port) for argument in arguments)]

    peer = Peer(
        name="somebody",
        project=NOTHING,
        wire="whisperlive",
        command=command,
        path="/live",
        health=health,
        settings=(ALONE,),
    )
    return PeerTarget(peer=peer, setting=ALONE, python=Path(sys.executable), model=Path("model"), language="en")


def test_one_thread_is_asked_for_where_a_setting_says_so() -> None:
    assert ALONE.environment == {"OMP_NUM_THREADS": "1"}
    assert Setting(name="its own").environment == {}


def test_every_peer_listens_on_loopback_with_the_model_it_is_given() -> None:
    place = Place(python=Path("/env/bin/python"), port=4321, model=Path("/models/small"), language="en")
    for peer in PEERS:
        for setting in peer.settings:
            command = " ".join(peer.command(place, setting))
            assert "127.0.0.1" in command
            assert "4321" in command
            assert "/models/small" in command
            assert "0.0.0.0" not in command


def test_whisper_live_is_tried_with_batches_of_several_sizes_and_several_streams() -> None:
    place = Place(python=Path("/env/bin/python"), port=4321, model=Path("/models/small"), language="en")
    batched = next(peer for peer in PEERS if peer.name == "whisperlive-batch")
    given = [json.loads(batched.command(place, setting)[-1]) for setting in batched.settings]
    assert {each.get("batch_max_size", 16) for each in given} == {1, 4, 16}
    assert {each.get("batch_window_ms", 50) for each in given} == {0, 50}
    assert max(batched.tried_with) > 1


async def test_a_peer_takes_connections_and_is_gone_afterwards() -> None:
    serving = target("-m", "http.server", "--bind", "127.0.0.1", "{port}")
    async with serving.running() as server:
        assert server.endpoint.url.startswith("ws://127.0.0.1:")
        assert server.endpoint.url.endswith("/live")
        (process,) = server.family()
        assert process.is_running()
    assert not psutil.pid_exists(process.pid) or not process.is_running()


async def test_a_peer_that_does_not_start_says_what_it_said() -> None:
    with pytest.raises(PeerUnavailable, match="no model of mine"):
        async with target("-c", "raise SystemExit('no model of mine')").running():
            pass


@pytest.mark.slow
async def test_a_peer_that_cannot_be_installed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(PeerUnavailable, match=r"^nothing: it could not be installed: \S"):
        await environment(NOTHING, tmp_path)


async def test_peers_without_a_driver_are_left_out_with_the_reason(tmp_path: Path) -> None:
    options = PeersOptions(model=tmp_path, peers=("whisper_streaming", "nobody"), windows=(), cache=tmp_path)
    report = await run(options, QUIET)
    assert report.peers == ()
    assert "not on the registry" in report.left_out["whisper_streaming"]
    assert report.left_out["nobody"] == "there is no driver for it"


def test_the_tables_say_what_each_carries_and_how_many_times_ours_it_takes() -> None:
    peer = Server(
        name="somebody",
        setting="1 thread",
        trials=(
            Trial(setting="1 thread", round=a_round("somebody", 1, 2000)),
            Trial(setting="its own threads", round=a_round("somebody", 1, 7000)),
        ),
        rounds=(a_round("somebody", 1, 2000, rest_ms=500), a_round("somebody", 4, 9000)),
        comfort_ms=2000,
        carried=Carried(streams=0, too_many=1),
        comfortable=Carried(streams=1, too_many=2),
    )
    forgetful = Server(
        name="forgetful", setting="", rounds=(a_round("forgetful", 1, 50, lost=9),), comfort_ms=None, carried=None
    )
    ours = Server(
        name="auscult, full",
        setting="",
        rounds=(a_round("auscult, full", 1, 250), a_round("auscult, full", 4, 300)),
        comfort_ms=250,
        carried=Carried(streams=12, too_many=13),
    )
    report = Report(
        recording="cough",
        seconds=30,
        apart=False,
        speaking=0.8,
        streams=(1, 4),
        limits=Limits(),
        peers=(peer, forgetful),
        ours=(ours,),
        at_comfort=(
            AtComfort(
                peer="somebody", ours="auscult, full", comfort_ms=2000, carried=Carried(streams=17, too_many=None)
            ),
        ),
        left_out={"nobody": "there is no driver for it"},
    )
    text = io.StringIO()
    show(report, Console(file=text, width=50))
    lines = [line.split() for line in text.getvalue().splitlines()]
    assert ["somebody", "2000", "1", "≥", "17", "0"] in lines
    assert ["somebody", "1", "8.0", "8.0"] in lines
    assert ["somebody", "1", "2.0", "2.0"] in lines  # at rest
    assert ["somebody", "4", "30.0", "30.0"] in lines
    assert ["forgetful", "1", "lost", "lost"] in lines
    assert ["(somebody:", "its", "own", "threads)", "1", "7000"] in [line[:6] for line in lines]
    assert "nobody is left out: there is no driver for it." in text.getvalue()

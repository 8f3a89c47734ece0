"""The load counts what is answered, and a server that answers wrongly under it is found out."""

import os
import shutil
from pathlib import Path

import pytest
from bench.dns.bench import build
from bench.dns.lists import MadeList, make
from bench.dns.measure import MeasureError, Reference, load
from bench.dns.peers import PEERS, running

CORE = min(os.sched_getaffinity(0))
SERVE = next(peer for peer in PEERS if peer.name == "whimbrel serve")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeList:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed (Debian package gcc)")
    build()
    return make(4, 2_000, tmp_path_factory.mktemp("list"), zone_file=False)


def test_half_are_hits_and_the_time_is_the_servers(made: MadeList, tmp_path: Path) -> None:
    with running(SERVE, made, tmp_path, CORE, Reference(made).is_answered) as server:
        found = load(server.pid, server.port, made, seconds=0.5, core=CORE, checked=True)
    assert found.hits == pytest.approx(0.5, abs=0.1)
    assert found.per_second > 0
    assert 0 < found.busy <= 1.1
    assert found.nanoseconds > 0


def test_wrong_answers_do_not_count(made: MadeList, tmp_path: Path) -> None:
    other = make(4, 1_900, tmp_path, zone_file=False)
    with running(SERVE, made, tmp_path / "peer", CORE, Reference(made).is_answered) as server:
        with pytest.raises(MeasureError, match="wrong answers under load"):
            load(server.pid, server.port, other, seconds=1.0, core=CORE, checked=True)
        assert load(server.pid, server.port, other, seconds=1.0, core=CORE, checked=False).hits < 0.01

"""Every server of the bench answers as the reference does, from the same list; a wrong one is found out."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.dns.lists import MadeList, make
from bench.dns.measure import MeasureError, Reference, cpu_nanoseconds, memory, processes
from bench.dns.peers import PEERS, Peer, PeerError, program, running

CORE = min(os.sched_getaffinity(0))
_PROGRAMS = {"rbldnsd": "rbldnsd", "Knot": "knotd", "NSD": "nsd", "BIND": "named"}


@pytest.fixture(scope="module", params=[4, 6])
def made(request: pytest.FixtureRequest) -> Iterator[MadeList]:
    # rbldnsd does not stay root, and pytest closes its own folders to others.
    with tempfile.TemporaryDirectory(prefix="bench-dns-") as folder:
        Path(folder).chmod(0o755)
        yield make(request.param, 2_000, Path(folder), zone_file=True)


@pytest.mark.debian
@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.checked], ids=lambda peer: peer.name)
def test_answers_are_the_references(peer: Peer, made: MadeList, tmp_path: Path) -> None:
    if peer.name in _PROGRAMS:
        try:
            program(_PROGRAMS[peer.name])
        except PeerError as error:
            if os.environ.get("WHIMBREL_REQUIRE_DEBIAN") == "1":
                pytest.fail(str(error))
            pytest.skip(str(error))
    reference = Reference(made)
    with running(peer, made, tmp_path / "peer", CORE, reference.is_answered) as server:
        reference.check(server.port, same_bytes=peer.ours)
        assert cpu_nanoseconds(server.pid) > 0
        assert memory(server.pid).rss >= memory(server.pid).pss > 0
        held = processes(server.pid)
    deadline = time.monotonic() + 10  # what was killed is there until the system has noticed
    while any(Path(f"/proc/{pid}").exists() for pid in held):
        assert time.monotonic() < deadline, "something that the server started outlives it"
        time.sleep(0.01)


def test_another_list_is_found_out(made: MadeList, tmp_path: Path) -> None:
    other = make(made.family, 1_900, tmp_path, zone_file=False)
    serve = next(peer for peer in PEERS if peer.name == "whimbrel serve")
    with (
        running(serve, other, tmp_path / "peer", CORE, Reference(other).is_answered) as server,
        pytest.raises(MeasureError, match="right is"),
    ):
        Reference(made).check(server.port, same_bytes=True)


def test_a_server_that_ends_says_why(made: MadeList, tmp_path: Path) -> None:
    ends = Peer("broken", lambda *_: ["sh", "-c", "echo no list >&2; exit 1"])
    with pytest.raises(PeerError, match="no list"), running(ends, made, tmp_path / "peer", CORE, lambda _: False):
        pass

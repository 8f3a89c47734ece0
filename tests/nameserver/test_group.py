"""The sockets of an endpoint: by worker and class, steered anew, and what was dropped in them."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network

import pytest

from whimbrel.nameserver import Endpoint, bind, group
from whimbrel.nameserver.group import Group
from whimbrel.nameserver.guards.access import Network
from whimbrel.nameserver.guards.counts import Count, counts_of_nothing

HERE, ELSEWHERE = ip_network("127.0.0.0/24"), ip_network("127.9.0.0/16")

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="SO_ATTACH_REUSEPORT_CBPF is Linux's")


@contextmanager
def made(known: list[Network] | None, beside: int = 0) -> Iterator[Group]:
    (bound,) = bind([Endpoint("127.0.0.1", 0)], beside)
    found = Group(bound, known)
    try:
        yield found
    finally:
        found.close()
        bound.tcp.close()


def asked(found: Group, source: str, times: int = 1) -> None:
    for _ in range(times):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind((source, 0))
            client.sendto(b"x" * 100, found.endpoint)


def waiting(each: socket.socket | None) -> int:
    """Take what lies in a socket; return how much it was."""
    count = 0
    if each is not None:
        try:
            while each.recv(100):
                count += 1
        except BlockingIOError:
            pass
    return count


def test_a_known_source_reaches_its_socket_and_a_change_holds_at_once() -> None:
    with made([HERE]) as found:
        (pair,) = found.pairs
        asked(found, "127.0.0.1")
        asked(found, "127.9.0.1", 2)
        assert (waiting(pair.strangers), waiting(pair.known)) == (2, 1)
        found.steer([ELSEWHERE])
        asked(found, "127.0.0.1")
        asked(found, "127.9.0.1", 2)
        assert (waiting(pair.strangers), waiting(pair.known)) == (1, 2)


def test_without_known_networks_there_is_one_socket_a_worker() -> None:
    with made(None) as found:
        assert [pair.known for pair in found.pairs] == [None]
        found.widen(3, ())
        found.steer([HERE])
        assert [pair.known for pair in found.pairs] == [None] * 3


@pytest.mark.parametrize("beside", [0, 1, 5])
@pytest.mark.parametrize("known", [None, [HERE]])
def test_every_worker_has_a_share_of_each_class(known: list[Network] | None, beside: int) -> None:
    with made(known, beside) as found:
        found.widen(3, known or ())
        assert len(found.pairs) == 3
        asked(found, "127.0.0.1", 60)
        asked(found, "127.9.0.1", 60)
        strangers, familiar = zip(
            *((waiting(pair.strangers), waiting(pair.known)) for pair in found.pairs), strict=True
        )
        assert min(strangers) > 0
        assert (sum(strangers), sum(familiar)) == ((120, 0) if known is None else (60, 60))
        if known:
            assert min(familiar) > 0


def test_where_no_further_socket_can_be_had_one_worker_stays(caplog: pytest.LogCaptureFixture) -> None:
    (bound,) = bind([Endpoint("127.0.0.1", 0)])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as alone:
        alone.bind(("127.0.0.1", 0))
        found = Group(bound._replace(udp=alone), None)
        found.widen(2, ())
        assert len(found.pairs) == 1
        assert "no further socket" in caplog.text
        # Nor can such a one be steered.
        assert [pair.known for pair in Group(bound._replace(udp=alone), [HERE]).pairs] == [None]
        assert "cannot be told from others" in caplog.text
    bound.udp.close()
    bound.tcp.close()


def test_what_a_full_socket_drops_is_counted_once_and_by_class(monkeypatch: pytest.MonkeyPatch) -> None:
    with made([HERE]) as found:
        counts = counts_of_nothing()
        (pair,) = found.pairs
        pair.strangers.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asked(found, "127.9.0.1", 100)
        asked(found, "127.0.0.1", 100)
        found.count_overflows(counts)
        kept = waiting(pair.strangers)
        assert 0 < kept < 100
        assert waiting(pair.known) == 100
        assert (counts.totals[Count.OVERFLOW], counts.totals[Count.OVERFLOW_KNOWN]) == (100 - kept, 0)
        found.count_overflows(counts)
        assert counts.totals[Count.OVERFLOW] == 100 - kept


def test_more_networks_than_fit_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with made([ip_network((number << 12, 28)) for number in range(3000)]):
        assert "known networks are more than the kernel's programs hold" in caplog.text


def test_what_the_system_does_not_tell_counts_as_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "_SO_MEMINFO", 9999)
    with made([HERE]) as found:
        counts = counts_of_nothing()
        found.count_overflows(counts)
        assert not counts.totals.any()


AS_NOBODY = """
import sys
from whimbrel.nameserver import Endpoint, bind
from whimbrel.nameserver.group import Group
from whimbrel.nameserver.privileges import become
(bound,) = bind([Endpoint("127.0.0.1", 0)], int(sys.argv[1]))
become("nobody")
group = Group(bound, ())
group.widen(2, ())
print(sum(1 + (pair.known is not None) for pair in group.pairs))
"""


@pytest.mark.debian
@pytest.mark.parametrize(("beside", "expected"), [(3, 4), (0, 1)])
def test_sockets_of_a_server_that_has_become_somebody_else(beside: int, expected: int) -> None:
    """The kernel lets no other user's socket into a group: who opens them later has none (`--user`, two workers)."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, str(beside)], capture_output=True, text=True, check=True)
    assert int(done.stdout) == expected

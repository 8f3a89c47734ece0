"""What a server tells of itself, and what is made of it."""

from pathlib import Path

import pytest

from whimbrel.errors import StoreError
from whimbrel.nameserver import Counters, GuardSettings
from whimbrel.nameserver.guards.client import client_at
from whimbrel.nameserver.guards.counts import Count, code_place, note, time_place
from whimbrel.nameserver.guards.guard import Guard
from whimbrel.nameserver.statistics import Spent, gathered, percentile, read, write

KEY = "abcdefghijklmnopqrstuvwx23"


@pytest.fixture
def counters(tmp_path: Path) -> Counters:
    path = tmp_path / "subscribers"
    path.write_text(f"acme {KEY} 20\n")
    path.chmod(0o600)
    counters = Counters()
    counts = counters.counts
    counters.guard = Guard(GuardSettings(subscribers=path), counts)
    for count in Count:
        counts.totals[count] = count + 1
    counts.rcodes[[0, 3, 23, 11]] = 5, 6, 7, 8
    counts.codes[[code_place(0, 4), code_place(255, 254)]] = 9, 1
    for nanoseconds in (1000, 1000, 2_000_000):
        counts.times[time_place(nanoseconds)] += 1
    for host in ("192.0.2.1", "192.0.2.2", "2001:db8::1"):
        note(counts.clients, counts.asked, client_at(host).prefix)
    note(counts.limited, counts.withheld, client_at("198.51.100.1").prefix)
    return counters


def test_all_that_is_counted_is_told(counters: Counters) -> None:
    told = gathered(counters, 5.0)
    assert told.queries == {"udp": 1, "tcp": 2}
    assert told.dropped == {"unanswerable": 3, "limited": 4, "unsent": 9, "overflow": 12, "overflow_known": 13}
    assert told.known == 11
    assert (told.slipped, told.denied, told.cookies) == (5, 6, {"proved": 7, "unproved": 8})
    assert told.rcodes == {"NOERROR": 5, "NXDOMAIN": 6, "RCODE11": 8, "BADCOOKIE": 7}
    assert told.codes == {"127.0.0.4": 9, "127.255.255.254": 1}
    assert list(told.clients.items()) == [("192.0.2.0/24", 2), ("2001:db8::/56", 1)]
    assert told.limited == {"198.51.100.0/24": 1}
    assert told.subscribers == {"acme": Spent(used=0, limit=20)}
    assert (told.at, told.serial) == (5.0, None)


def test_percentiles(counters: Counters) -> None:
    times = gathered(counters, 0.0).times
    assert percentile(times, 0.5) == pytest.approx(1e-6, rel=0.26)
    assert percentile(times, 0.99) == pytest.approx(2e-3, rel=0.26)
    assert percentile({}, 0.5) is None


def test_the_file_is_its_owner_s_and_holds_no_key(tmp_path: Path, counters: Counters) -> None:
    path = tmp_path / "serving.statistics"
    path.write_text("old")
    path.chmod(0o644)
    told = gathered(counters, 5.0)
    write(path, told)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read(path) == told
    assert KEY not in path.read_text()
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_what_is_no_such_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="start whimbrel serve"):
        read(tmp_path / "none")
    (tmp_path / "other").write_text('{"at": 5}')
    with pytest.raises(StoreError, match="not the statistics"):
        read(tmp_path / "other")

"""The tables say what counts, and what does not."""

import msgspec
from bench.dns.measure import Load, Memory
from bench.dns.results import START, Bytes, Results, Row, Settings, report


def _row(peer: str, nanoseconds: float, busy: float = 0.99) -> Row:
    loads = [Load(nanoseconds + step, 1e6, busy, 0.5, 1.0) for step in (-10, 0, 1000)]
    return Row(peer, 4, 1_000_000, loads, [0.25], Memory(30_000_000, 20_000_000))


RESULTS = Results(
    "2004-08-01",
    "a processor",
    "Linux",
    {"rbldnsd": "1.0"},
    Settings(rounds=3, seconds=4, server_core=1, load_core=0),
    [
        _row("C echo", 1000),
        _row("rbldnsd", 2000, busy=0.9),
        Row("BIND", 4, 1_000_000, note="it is not here"),
        Row(f"{START}rbldnsd", 4, 1_000_000, start_seconds=[0.1, 0.2, 0.9]),
    ],
    [Bytes(4, 1_000_000, 3_250_000)],
)


def test_medians_beside_the_echo() -> None:
    lines = report(RESULTS).splitlines()
    assert "| C echo | 1000 | 1.00 | 1,000,000 | 99% | 1.0 | 30 | 20 | 0.25 |" in lines
    assert "| rbldnsd | 2000 | 0.50 | 1,000,000 | 90% (does not count) | 1.0 | 30 | 20 | 0.25 |" in lines
    assert "| rbldnsd | 1 M | 0.20 |" in lines
    assert "| IPv4, 1 M | 3,250,000 | 3.25 |" in lines


def test_rounds_that_do_not_count_are_left_out() -> None:
    row = _row("C echo", 1000)
    row.loads[0] = row.loads[0]._replace(busy=0.5)
    lines = report(msgspec.structs.replace(RESULTS, rows=[row])).splitlines()
    assert "| C echo | 1500 | 1.00 | 1,000,000 | 99% (2 of 3 rounds count) | 1.0 | 30 | 20 | 0.25 |" in lines


def test_the_ratio_is_taken_round_by_round() -> None:
    """The machine is twice as slow in some rounds, for all alike; in the last the server's core was not busy."""
    speeds = [1, 2, 1, 2, 1, 2]
    echo, server = _row("C echo", 0), _row("rbldnsd", 0)
    echo.loads[:] = [Load(1000.0 * speed, 1e6, 0.99, 0.5, 1.0) for speed in speeds]
    server.loads[:] = [Load(1000.0 * speed * 1.25, 1e6, 0.99, 0.5, 1.0) for speed in speeds]
    server.loads[-1] = server.loads[-1]._replace(nanoseconds=99_999.0, busy=0.5)
    lines = report(msgspec.structs.replace(RESULTS, rows=[echo, server])).splitlines()
    assert any(line.startswith("| rbldnsd | 1250 | 0.80 (0.80 to 0.80) |") for line in lines)
    assert any(line.startswith("| C echo | 1500 | 1.00 |") for line in lines)


def test_memory_for_each_further_entry() -> None:
    longer = msgspec.structs.replace(_row("rbldnsd", 2000), entries=2_000_000, memory=Memory(0, 36_000_000))
    lines = report(msgspec.structs.replace(RESULTS, rows=[*RESULTS.rows, longer])).splitlines()
    assert "| rbldnsd, IPv4 | 16.0 |" in lines
    assert not any(line.startswith("| C echo, IPv4 |") for line in lines)


def test_what_was_not_measured_says_why() -> None:
    assert any(line.startswith("| BIND | it is not here |") for line in report(RESULTS).splitlines())


def test_what_is_kept_can_be_read_again() -> None:
    kept = msgspec.json.encode(RESULTS)
    assert report(msgspec.json.decode(kept, type=Results)) == report(RESULTS)

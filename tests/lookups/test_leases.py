"""Leases from a file: what lines may say, and each mistake by its line."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.errors import ConfigError
from whimbrel.lookups import leases as module
from whimbrel.lookups.leases import LEASES, read_leases
from whimbrel.lookups.lines import Lines

START = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leases.txt"


def test_lines_of_every_kind(path: Path) -> None:
    path.write_text(
        "host,since,until,holder\n"
        "192.0.2.8,2026-01-06T00:00:00Z,-,\n"
        "192.0.2.7 2026-01-05T00:00:00Z 2026-01-06T01:00:00+01:00 customer-17\n"
        "192.0.2.7\t2026-01-06T00:00:00Z\t2026-01-07T00:00:00Z\tcustomer 18\n"
        "2001:db8:0:1:2::3 2026-01-05T00:00:00.9Z 2026-01-06T00:00:00Z\n"
    )
    read = read_leases(path)
    assert read.table.schema == LEASES
    day = int(START.timestamp())
    assert [tuple(row.values()) for row in read.table.to_pylist()] == [
        ("192.0.2.7", day, day + 86_400, "customer-17"),
        ("192.0.2.7", day + 86_400, day + 2 * 86_400, "customer 18"),
        ("192.0.2.8", day + 86_400, module._OPEN_S, None),
        ("2001:db8:0:1::/64", day, day + 86_400, None),
    ]
    assert read.notes == ["4 leases of 3 hosts", "2 holders named"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("192.0.2.7 2026-01-05T00:00:00Z", "line 1: 2 fields"),
        ("192.0.2.7 2026-01-05T00:00:00Z - customer 17", "line 1: 5 fields"),
        ("192.0.2.7 2026-01-05T00:00:00 -", "no time; write one with its offset"),
        ("192.0.2.7 yesterday -", "'yesterday' is no time"),
        ("192.0.2.7 1969-12-31T00:00:00Z -", "no time"),
        ("192.0.2.7 - 2026-01-05T00:00:00Z", "'-' is no time"),
        ("192.0.2.7 2026-01-05T00:00:00Z 2026-01-05T00:00:00Z", "before a second of it has passed"),
        ("192.0.2.0/24 2026-01-05T00:00:00Z -", "'192.0.2.0/24' is no host"),
        ("192.0.2.7/64 2026-01-05T00:00:00Z -", "is no host"),
        ("1\x1b[2J 2026-01-05T00:00:00Z -", "is no host"),
        ("# nothing", "holds no lease"),
        (
            "192.0.2.7 2026-01-07T00:00:00Z -\n192.0.2.7 2026-01-05T00:00:00Z 2026-01-07T00:00:01Z",
            "line 2: overlaps the lease of 192.0.2.7 on line 1",
        ),
        (
            "2001:db8::1 2026-01-05T00:00:00Z -\n2001:db8::/64 2026-01-06T00:00:00Z -",
            "line 2: overlaps the lease of 2001:db8::/64 on line 1",
        ),
    ],
)
def test_each_mistake_is_one_line(path: Path, text: str, said: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_leases(path)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


_SPANS = st.tuples(st.sampled_from(["192.0.2.1", "192.0.2.2"]), st.integers(0, 40), st.integers(1, 8))


@given(st.lists(_SPANS, min_size=1, max_size=8))
def test_leases_that_overlap_are_refused_and_no_others(spans: list[tuple[str, int, int]]) -> None:
    def at(day: int) -> str:
        return f"{START + timedelta(days=day):%Y-%m-%dT%H:%M:%SZ}"

    text = "\n".join(f"{host} {at(since)} {at(since + days)}" for host, since, days in spans)
    days = [(host, since + n) for host, since, length in spans for n in range(length)]
    lines = Lines(Path("leases"), "", text.encode())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "read_lines", lambda _: lines)
        if len(set(days)) == len(days):
            assert read_leases(Path("leases")).table.num_rows == len(spans)
        else:
            with pytest.raises(ConfigError, match="overlaps"):
                read_leases(Path("leases"))

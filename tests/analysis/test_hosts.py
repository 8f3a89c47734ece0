"""Host-days, hosts and networks: sums by hand, and the same tables whatever the order and the split."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from whimbrel.analysis.hosts import HOST_DAYS, days_of, host_days, hosts, networks, replace_days
from whimbrel.model.columns import MEMBERSHIP, OBSERVATIONS

START = datetime(2002, 7, 1, tzinfo=UTC)


def observation(number: int, **given: Any) -> dict[str, Any]:
    at = given.get("seen_at", START)
    row = {"id": number.to_bytes(16, "big"), "seen_at": at, "learned_at": at, "sensor": "s", "host": "192.0.2.1"}
    return row | {"kind": "message", "label": "spam", "count": 1} | given


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=OBSERVATIONS)


_observed = st.builds(
    observation,
    st.integers(0, 2**40),
    seen_at=st.integers(0, 5 * 24).map(lambda hours: START + timedelta(hours=hours)),
    host=st.sampled_from(["192.0.2.1", "192.0.2.9", "198.51.100.7", "2001:db8:1:2::/64"]),
    kind=st.sampled_from(["message", "message", "connection", "infection", "report"]),
    label=st.sampled_from(["spam", "ham", "unknown"]),
    count=st.integers(1, 5),
    sensor=st.sampled_from("ab"),
    family=st.none() | st.sampled_from(["w", "x"]),
    campaign=st.none() | st.sampled_from(["C1", "C2"]),
    rdns=st.none() | st.sampled_from(["r1", "r2"]),
    helo=st.none() | st.sampled_from(["h1", "h2"]),
)
_many = st.lists(_observed, max_size=40, unique_by=lambda row: row["id"])


def plainly(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What `host_days` says, one group after the other."""
    groups: dict[tuple[date, str], list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row["seen_at"], row["id"])):
        groups.setdefault((row["seen_at"].date(), row["host"]), []).append(row)
    return [_one(day, host, groups[day, host]) for day, host in sorted(groups)]


def _one(day: date, host: str, group: list[dict[str, Any]]) -> dict[str, Any]:
    def total(kind: str, *labels: str) -> int:
        return sum(row["count"] for row in group if row["kind"] == kind and (not labels or row["label"] in labels))

    def names(column: str) -> list[str]:
        return sorted({row[column] for row in group if row[column] is not None})

    def latest(column: str) -> str | None:
        return next((row[column] for row in reversed(group) if row[column] is not None), None)

    return {
        "host": host,
        "day": day,
        **{f"{label}_messages": total("message", label) for label in ("spam", "ham", "unknown")},
        **{f"{kind}s": total(kind) for kind in ("connection", "infection", "report")},
        "first_seen": group[0]["seen_at"],
        "last_seen": group[-1]["seen_at"],
        **{
            column: names(name)
            for column, name in (("sensors", "sensor"), ("families", "family"), ("campaigns", "campaign"))
        },
        **{column: latest(column) for column in ("rdns", "helo")},
    }


@given(_many, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_host_days_are_what_a_plain_count_gives(rows: list[dict[str, Any]], order: random.Random) -> None:
    expected = pa.Table.from_pylist(plainly(rows), schema=HOST_DAYS)
    order.shuffle(rows)
    chunks = [table(*rows[: len(rows) // 2]), table(*rows[len(rows) // 2 :])]
    assert host_days(pa.concat_tables(chunks)).to_pylist() == expected.to_pylist()


def test_many_groups_in_many_chunks_keep_their_order() -> None:
    # Arrow's hash aggregation gave groups out of order here, and only at this size.
    draw = random.Random(5)
    rows = [
        observation(number, host=f"192.0.2.{draw.randrange(99)}", seen_at=START + timedelta(hours=draw.randrange(480)))
        | dict.fromkeys(("family", "campaign", "rdns", "helo"))
        for number in range(5000)
    ]
    chunked = pa.concat_tables([table(*rows[:4000]), table(*rows[4000:])])
    assert host_days(chunked).to_pylist() == plainly(rows)


@given(_many, _many)
@settings(max_examples=60, deadline=None)
def test_touched_days_computed_again_give_the_whole(first: list[dict[str, Any]], more: list[dict[str, Any]]) -> None:
    known = {row["id"] for row in first}
    more = [row for row in more if row["id"] not in known]
    days = days_of(table(*more))
    everything = [*first, *more]
    again = [row for row in everything if row["seen_at"].date() in days.to_pylist()]
    kept = replace_days(host_days(table(*first)), host_days(table(*again)), days)
    assert kept.to_pylist() == host_days(table(*everything)).to_pylist()


@given(_many)
@settings(max_examples=60, deadline=None)
def test_a_history_sums_its_days(rows: list[dict[str, Any]]) -> None:
    days = host_days(table(*rows))
    history = hosts(days).to_pylist()
    assert [row["host"] for row in history] == sorted({row["host"] for row in rows})
    for row in history:
        own = [entry for entry in rows if entry["host"] == row["host"]]
        ordered = sorted(own, key=lambda entry: (entry["seen_at"], entry["id"]))
        expected = _one(START.date(), row["host"], ordered)
        expected["days"] = len({entry["seen_at"].date() for entry in own})
        assert {name: row[name] for name in expected if name != "day"} == {
            name: value for name, value in expected.items() if name != "day"
        }


def test_the_campaign_of_the_message_counts_where_none_was_given() -> None:
    rows = table(
        observation(1, message_id=b"m" * 16), observation(2, message_id=b"n" * 16, campaign="C2"), observation(3)
    )
    member = {"message_id": b"m" * 16, "seen_at": START, "campaign": "C1", "basis": "url"}
    membership = pa.Table.from_pylist([member, member | {"message_id": b"n" * 16}], schema=MEMBERSHIP)
    assert host_days(rows, membership)["campaigns"].to_pylist() == [["C1", "C2"]]
    assert host_days(rows)["campaigns"].to_pylist() == [["C2"]]


def test_the_worst_networks_come_first() -> None:
    rows = [
        observation(1, host="192.0.2.1"),
        observation(2, host="192.0.2.2"),
        observation(3, host="192.0.2.3", label="ham", count=2),
        observation(4, host="198.51.100.1", count=9),
        observation(5, host="2001:db8:1:2::/64"),
        observation(6, host="2001:db8:1:3::/64", label="unknown"),
        observation(7, host="203.0.113.1", kind="report"),
    ]
    worst = networks(hosts(host_days(table(*rows)))).to_pylist()
    assert [row["network"] for row in worst] == ["192.0.2.0/24", "198.51.100.0/24", "2001:db8:1::/48", "203.0.113.0/24"]
    assert worst[0] == {
        "network": "192.0.2.0/24",
        "hosts": 3,
        "spam_hosts": 2,
        "spam_messages": 2,
        "ham_messages": 2,
        "spam_share": 0.5,
    }
    assert [row["spam_share"] for row in worst[1:]] == [1.0, 1.0, None]


def test_a_day_ends_at_midnight_utc() -> None:
    last = datetime(2002, 7, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    days = days_of(table(observation(1, seen_at=last + timedelta(microseconds=1)), observation(2, seen_at=last)))
    assert days.to_pylist() == [date(2002, 7, 1), date(2002, 7, 2)]


def test_nothing_gives_nothing() -> None:
    days = host_days(table())
    assert (days.schema, days.num_rows, len(days_of(table()))) == (HOST_DAYS, 0, 0)
    assert networks(hosts(days)).num_rows == 0
    assert pc.sum(days["spam_messages"]).as_py() is None

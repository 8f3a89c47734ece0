import json
from pathlib import Path

import jsonschema
import msgspec
import pyarrow as pa
import pytest
from tests.listings.rows import seen

from whimbrel.listings.explain import Explanation, TargetKind, explain, schema, target_of
from whimbrel.listings.ledger import replayed
from whimbrel.listings.policy import Decider
from whimbrel.listings.settings import OWN
from whimbrel.listings.state import Seen
from whimbrel.model.columns import OBSERVATIONS
from whimbrel.model.listing import Event

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "why.schema.json"


def table(rows: list[Seen]) -> pa.Table:
    empty = dict.fromkeys(OBSERVATIONS.names)
    full = [{**empty, **row._asdict(), "recipient_domains": ["trap.secret.example"], "campaign": "C01"} for row in rows]
    return pa.Table.from_pylist(full, schema=OBSERVATIONS)


def world() -> tuple[Decider, list[Event], list[Seen]]:
    decider = Decider(OWN)
    rows = [seen(f"192.0.{n}.1", day=n / 10) for n in range(30)]
    rows += [seen("198.51.100.1", day=4 + n, salt=str(n)) for n in range(8)]
    return decider, [event for row in rows for event in decider.decide(row)], rows


def asked(target: str, kind: TargetKind, host: str | None = None) -> Explanation:
    decider, events, rows = world()
    now = decider.clock
    host = host or target
    return explain(
        target,
        kind,
        now,
        settings=OWN,
        listings=replayed(events, now),
        history=[event for event in events if event.target == target],
        judged=decider.judge(target, now) if kind == "address" else None,
        observations=table([row for row in rows if row.host == host]),
    )


def test_the_published_schema_is_the_types() -> None:
    assert json.loads(PUBLISHED.read_text()) == schema()


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("198.51.100.1", "address"),
        ("203.0.113.9", "address"),
        ("198.51.100.0/24", "network"),
        ("shop.example", "domain"),
    ],
)
def test_answers_keep_the_schema_and_tell_no_recipient(target: str, kind: TargetKind) -> None:
    told = msgspec.json.encode(asked(target, kind, "198.51.100.1"))
    jsonschema.validate(json.loads(told), schema())
    assert b"secret" not in told


def test_a_listed_address() -> None:
    why = asked("198.51.100.1", "address")
    assert why.is_listed
    assert why.listed_target == "198.51.100.1"
    assert why.code == "127.0.0.2"
    assert why.since is not None
    assert why.until is not None
    assert why.since < why.now < why.until
    assert why.distance_to_q is not None
    assert why.distance_to_q <= 0
    assert len(why.examples) == 5
    assert why.by_label[0].count == 8
    assert why.campaigns == ("C01",)
    assert "198.51.100.1" in why.removal
    assert "8 bad messages and 0 legitimate ones seen" in why.sentence


def test_a_removal_that_would_be_refused_is_not_offered() -> None:
    decider, events, rows = world()
    now = decider.clock
    (listing,) = (each for each in replayed(events, now) if each.target == "198.51.100.1")
    again = msgspec.structs.replace(listing, times_listed=2)
    why = explain(
        "198.51.100.1", "address", now, settings=OWN, listings=[again], history=[], judged=None,
        observations=table(rows[:0]),
    )  # fmt: skip
    assert "would be refused" in why.removal


def test_an_address_through_its_network() -> None:
    why = asked("198.51.100.77", "address")
    assert why.is_listed == (why.listed_target == "198.51.100.0/24")
    assert why.scope in {"the whole network 198.51.100.0/24", "nothing is listed"}


def test_what_is_not_listed_says_what_is_known() -> None:
    assert "nothing is known" in asked("203.0.113.9", "address").sentence
    why = asked("shop.example", "domain", "198.51.100.1")
    assert not why.is_listed
    assert "this version lists no domain" in why.sentence
    assert why.hosts == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.0.2.1", ("192.0.2.1", "address")),
        ("192.0.2.1/32", ("192.0.2.1", "address")),
        ("192.0.2.9/24", ("192.0.2.0/24", "network")),
        ("2001:db8::1", ("2001:db8::/64", "address")),
        ("2001:db8::/64", ("2001:db8::/64", "address")),
        ("2001:db8::/48", ("2001:db8::/48", "network")),
        ("Shop.Example.", ("shop.example", "domain")),
        ("A" * 64, ("a" * 64, "hash")),
        ("192.0.2.1/77", None),
        ("nonsense", None),
    ],
)
def test_targets(text: str, found: tuple[str, str] | None) -> None:
    assert target_of(text) == found

"""What one observation weighs."""

from datetime import UTC, datetime

import pytest

from whimbrel.listings.assignment import look_of
from whimbrel.listings.state import Seen
from whimbrel.listings.weighing import NOTHING, Worth, worth_of

AT = datetime(2026, 1, 1, tzinfo=UTC)
SPAM = Seen(
    id=bytes(16), seen_at=AT, learned_at=AT, sensor="a", host="192.0.2.1", kind="message", label="spam",
    label_basis="given", family=None, method=None, received_below=0, helo="friend", rdns=None, asn=None, count=3,
    supersedes=None,
)  # fmt: skip
SERVER = SPAM._replace(helo="zeus.example.org", rdns="zeus.example.org")
WORM = SPAM._replace(kind="infection", label="unknown", method="payload")


def worth(row: Seen, *, trusted: bool = True) -> Worth:
    return worth_of(row, look_of(row.host, row.helo, row.rdns), trusted=trusted)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (SPAM, Worth(spam=3)),
        (SPAM._replace(label="ham"), Worth(ham=3)),
        (SPAM._replace(kind="report"), Worth(reports=3)),
        (WORM, Worth(hard=3)),
        (SPAM._replace(received_below=2), Worth(spam=3)),  # no server: lines below are its own forgery
        (SERVER, Worth(spam=3)),
        (SERVER._replace(received_below=1, passed_on=False), Worth(spam=3)),
        (SERVER._replace(received_below=1, passed_on=True, label="ham"), Worth(ham=3)),
    ],
)
def test_what_weighs(row: Seen, expected: Worth) -> None:
    assert worth(row) == expected


@pytest.mark.parametrize(
    "row",
    [
        SPAM._replace(label="unknown"),
        SPAM._replace(label_basis="list"),
        SPAM._replace(kind="connection"),
        WORM._replace(method="list"),
        WORM._replace(received_below=1),
        WORM._replace(helo=SERVER.helo, rdns=SERVER.rdns),
        SERVER._replace(received_below=1),  # nobody has looked at the lines
        SERVER._replace(received_below=1, passed_on=True),
        SERVER._replace(received_below=1, passed_on=False, helo="mail.example.org", rdns="mail.example.org"),
    ],
)
def test_what_weighs_nothing(row: Seen) -> None:
    assert worth(row) is NOTHING


def test_a_worm_verdict_of_a_sensor_that_is_not_trusted_weighs_nothing() -> None:
    assert worth(WORM, trusted=False) is NOTHING

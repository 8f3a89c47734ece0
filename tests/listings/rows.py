"""Rows for the tests of listings: one observation a call, with only what matters said."""

import hashlib
from datetime import UTC, datetime, timedelta

from whimbrel.listings.settings import OWN
from whimbrel.listings.state import Seen
from whimbrel.model.listing import Run, RunKind

DAY_0 = datetime(2026, 1, 1, tzinfo=UTC)


def seen(
    host: str = "192.0.2.1",
    label: str = "spam",
    *,
    day: float = 0.0,
    sensor: str = "a",
    kind: str = "message",
    basis: str | None = "given",
    method: str | None = None,
    below: int | None = 0,
    helo: str | None = "friend",
    rdns: str | None = None,
    salt: str = "",
    count: int = 1,
) -> Seen:
    at = DAY_0 + timedelta(days=day)
    text = f"{host} {label} {day} {sensor} {kind} {salt}"
    return Seen(
        hashlib.sha256(text.encode()).digest()[:16],
        at,
        at,
        sensor,
        host,
        kind,
        label,
        basis,
        None,
        method,
        below,
        helo,
        rdns,
        None,
        count,
        None,
    )


def day(number: float) -> datetime:
    return DAY_0 + timedelta(days=number)


def a_run(number: float, kind: RunKind = "decided") -> Run:
    """Return a run at the end of a day."""
    return Run(
        kind=kind, at=day(number), batch=0, until=day(number), profile=OWN.profile, rule_version=OWN.rule_version
    )

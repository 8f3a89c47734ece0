"""Rows of the ledger's tables, to and from the values they hold; times are microseconds since 1970."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from whimbrel.listings.state import EPOCH
from whimbrel.model.listing import Allowed, Code, Event, Listing, Run
from whimbrel.model.observation import ID_BYTES


def micros(at: datetime) -> int:
    """Return a time as a column holds it."""
    return (at - EPOCH) // timedelta(microseconds=1)


def instant(since: int) -> datetime:
    """Return the time that a column holds."""
    return EPOCH + timedelta(microseconds=since)


def _pack(evidence: Sequence[bytes]) -> bytes:
    return b"".join(evidence)


def _unpack(packed: bytes) -> tuple[bytes, ...]:
    return tuple([packed[start : start + ID_BYTES] for start in range(0, len(packed), ID_BYTES)])


def event_row(event: Event, number: int) -> dict[str, object]:
    """Return the row of the event with this number."""
    return {
        "number": number,
        "at": micros(event.at),
        "target": event.target,
        "change": event.change,
        "actor": event.actor,
        "code": None if event.code is None else int(event.code),
        "role": event.role,
        "until": None if event.until is None else micros(event.until),
        "score": event.score,
        "prior_logit": event.prior_logit,
        "probability_legitimate": event.probability_legitimate,
        "why": event.why,
        "evidence": _pack(event.evidence),
    }


def event(row: Mapping[Any, Any]) -> Event:
    """Return the event of a row."""
    return Event(
        at=instant(row["at"]),
        target=row["target"],
        change=row["change"],
        actor=row["actor"],
        code=None if row["code"] is None else Code(row["code"]),
        role=row["role"],
        until=None if row["until"] is None else instant(row["until"]),
        score=row["score"],
        prior_logit=row["prior_logit"],
        probability_legitimate=row["probability_legitimate"],
        why=row["why"],
        evidence=_unpack(bytes(row["evidence"])),
    )


def listing_row(listing: Listing) -> dict[str, object]:
    """Return the row of a listing."""
    return {
        "target": listing.target,
        "code": int(listing.code),
        "role": listing.role,
        "since": micros(listing.since),
        "until": micros(listing.until),
        "probability_legitimate": listing.probability_legitimate,
        "times_listed": listing.times_listed,
        "rule_version": listing.rule_version,
        "evidence": _pack(listing.evidence),
    }


def listing(row: Mapping[Any, Any]) -> Listing:
    """Return the listing of a row."""
    return Listing(
        target=row["target"],
        code=Code(row["code"]),
        role=row["role"],
        since=instant(row["since"]),
        until=instant(row["until"]),
        probability_legitimate=row["probability_legitimate"],
        times_listed=row["times_listed"],
        rule_version=row["rule_version"],
        evidence=_unpack(bytes(row["evidence"])),
    )


def run_row(run: Run) -> dict[str, object]:
    """Return the row of a run."""
    return {
        "number": run.number,
        "kind": run.kind,
        "at": micros(run.at),
        "batch": run.batch,
        "until": micros(run.until),
        "own": json.dumps(run.own),
        "profile": run.profile,
        "rule_version": run.rule_version,
        "decided": run.decided,
        "last_event": run.last_event,
    }


def run(row: Mapping[Any, Any]) -> Run:
    """Return the run of a row."""
    return Run(
        number=row["number"],
        kind=row["kind"],
        at=instant(row["at"]),
        batch=row["batch"],
        until=instant(row["until"]),
        own=tuple(json.loads(row["own"])),
        profile=row["profile"],
        rule_version=row["rule_version"],
        decided=row["decided"],
        last_event=row["last_event"],
    )


def allowed_row(allowed: Allowed) -> dict[str, object]:
    """Return the row of a network that is never listed."""
    return {
        "target": allowed.target,
        "owner": allowed.owner,
        "why": allowed.why,
        "since": micros(allowed.since),
    }


def allowed(row: Mapping[Any, Any]) -> Allowed:
    """Return the network, never listed, of a row."""
    return Allowed(target=row["target"], owner=row["owner"], why=row["why"], since=instant(row["since"]))


def state_row(key: str, value: bytes) -> dict[str, object]:
    """Return the row of the policy's state; PostgreSQL's texts hold no NUL, names that hosts gave may."""
    return {"key": key.replace("\\", "\\\\").replace("\0", "\\0"), "value": value}


def state(row: Mapping[Any, Any]) -> tuple[str, bytes]:
    """Return key and value of a row of the policy's state."""
    key = row["key"]
    if "\\" in key:
        key = key.replace("\\\\", "\1").replace("\\0", "\0").replace("\1", "\\")
    return key, bytes(row["value"])

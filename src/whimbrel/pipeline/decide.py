"""Decisions: new evidence goes by the policy in order of time, and what it changed into the ledger.

One transaction holds a run's events, the working state they leave behind, and the mark up to which evidence is decided;
so a run that dies decides nothing, and the next one decides all of it.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from whimbrel.errors import ConfigError
from whimbrel.evidence import Evidence
from whimbrel.listings.ledger import Ledger
from whimbrel.listings.policy import Decider
from whimbrel.listings.settings import PROFILES, Settings
from whimbrel.listings.state import seen_from_table
from whimbrel.model.listing import Event
from whimbrel.pipeline.places import ledger_path
from whimbrel.pipeline.settle import own_networks

DEFAULT_PROFILE = "shared"


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Up to where evidence is decided: all batches up to `batch`, as far as they were learned by `until`."""

    batch: int
    until: datetime


class Decided(NamedTuple):
    """What a run of decisions did; `waiting` counts observations learned after `now`, which a later run decides."""

    profile: str
    decided: int
    waiting: int
    events: int
    listed: int
    ended: int


def check_profile(data_dir: Path, profile: str | None) -> None:
    """Raise ConfigError where a store that decides by one profile is asked to decide by another."""
    path = ledger_path(data_dir)
    if profile is None or not path.exists():
        return
    with Ledger.open(path) as ledger:
        mark = ledger.mark()
    if mark is not None and mark[1] != profile:
        raise ConfigError(
            f"{data_dir} decides by the profile {mark[1]}, not {profile}; leave --profile out, or name another --data"
        )


def decide(store: Evidence, data_dir: Path, now: datetime, profile: str | None = None) -> Decided:
    """Decide what is not decided yet and was learned by `now`."""
    with Ledger.open(ledger_path(data_dir), "write") as ledger:
        recorded = ledger.mark()
        mark = None if recorded is None else msgspec.msgpack.decode(recorded[0], type=Mark)
        settings = settings_of(recorded[1] if recorded else profile or DEFAULT_PROFILE)
        decider = Decider(settings)
        decider.loads(ledger.load_state())
        events = decider.allow(own_networks(store))
        last = store.counts().batches
        batches = store.in_decision_order(
            after_batch=mark.batch if mark else 0, decided_until=mark.until if mark else None, until=now
        )
        decided = 0
        for batch in batches:
            decided += batch.num_rows
            for row in seen_from_table(batch):
                events += decider.decide(row)
        reached = Mark(last, now if mark is None else max(now, mark.until))
        ledger.commit(
            events,
            decider.dumps(),
            msgspec.msgpack.encode(reached),
            profile=settings.profile,
            rule_version=settings.rule_version,
        )
    return Decided(settings.profile, decided, _waiting(store, reached.until), len(events), *_changed(events))


def settings_of(profile: str) -> Settings:
    """Return a profile's settings; raises ConfigError for one that does not exist."""
    if profile not in PROFILES:
        raise ConfigError(f"there is no profile {profile!r}; it is one of {', '.join(PROFILES)}")
    return PROFILES[profile]


def _waiting(store: Evidence, until: datetime) -> int:
    found = store.query("SELECT count(*) AS rows FROM observations WHERE learned_at > $until", {"until": until})
    return int(found["rows"][0].as_py())


def _changed(events: Iterable[Event]) -> tuple[int, int]:
    """Count the targets listed, and those whose listing ended."""
    changes = {(event.target, event.change) for event in events}
    listed = sum(change == "listed" for _, change in changes)
    return listed, sum(change in {"expired", "removed"} for _, change in changes)

"""The list of any moment from the log alone: what was recorded, repeated; nothing is computed anew."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from whimbrel.errors import StoreError
from whimbrel.model.listing import Allowed, Event, Listing, State

# Changes that end a listing, whoever ends it.
ENDS: Final[frozenset[State]] = frozenset({"expired", "removed", "erased"})

# Changes that the list and the allow list are made of; the others say what was thought of a target.
OF_THE_LIST: Final[frozenset[State]] = ENDS | {"listed", "allowed", "no longer allowed"}


def replayed(events: Iterable[Event], at: datetime) -> list[Listing]:
    """Return the listings in force at `at`, built from the log alone: what was recorded by then, repeated."""
    listings: dict[str, Listing] = {}
    apply(listings, {}, (event for event in events if event.at <= at), keep_ended=False)
    return sorted((listing for listing in listings.values() if listing.until > at), key=lambda listing: listing.target)


def apply(listings: dict[str, Listing], times: dict[str, int], events: Iterable[Event], *, keep_ended: bool) -> None:
    """Carry listings over events; `keep_ended` leaves an ended one there with its end (it counts the times)."""
    for event in events:
        old = listings.get(event.target)
        if event.change == "listed":
            listings[event.target] = _listed(event, old, times)
        elif event.change in ENDS and old is not None:
            if keep_ended:
                listings[event.target] = msgspec.structs.replace(old, until=min(old.until, event.at))
            else:
                del listings[event.target]


def _listed(event: Event, old: Listing | None, times: dict[str, int]) -> Listing:
    if event.code is None or event.role is None or event.until is None or event.probability_legitimate is None:
        raise StoreError(f"the ledger's event for {event.target} at {event.at.isoformat()} is incomplete")
    renewed = old is not None and old.until > event.at
    if not renewed:
        times[event.target] = times.get(event.target, 0) + 1
    return Listing(
        target=event.target,
        code=event.code,
        role=event.role,
        since=old.since if renewed and old is not None else event.at,
        until=event.until,
        probability_legitimate=event.probability_legitimate,
        times_listed=times[event.target],
        rule_version=event.actor,
        evidence=event.evidence,
    )


def apply_allowed(allowed: dict[str, Allowed], events: Iterable[Event]) -> None:
    """Carry the allow list over events."""
    for event in events:
        if event.change == "allowed":
            allowed[event.target] = Allowed(target=event.target, owner=event.actor, why=event.why, since=event.at)
        elif event.change in {"no longer allowed", "erased"}:
            allowed.pop(event.target, None)

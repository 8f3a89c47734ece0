"""What people decide: to remove, to allow, to allow no longer.  Pure rules: state in, events out, the state changed.

A removal is free.  It works at once for a first listing, whoever asks; listed again, a target has had its second chance
and its listing ends by itself.  What was seen of it before a removal counts no more (`Decider.forgive`).  What is
allowed is never listed, and what is listed of it ends at once.
"""

import ipaddress
from collections.abc import Iterable

from whimbrel.listings import lifecycle
from whimbrel.listings.policy import Decider
from whimbrel.model.listing import Event, said


def remove(decider: Decider, target: str, *, by: str, why: str) -> list[Event]:
    """Return the request and what became of it: `removed`, or `refused` with the reason.

    The target must be listed (`is_listed`), and its state be in the decider.
    """
    standing = decider.standing(target)
    assert standing is not None
    assert standing.until is not None
    asked = said(decider.clock, target, "removal requested", by, why)
    if standing.times_listed == 1:
        reason = "it is its first listing: removal works at once"
        end = lifecycle.ended(standing, target, decider.clock, decider.rule_version, change="removed", why=reason)
        decider.forgive(target)
        return [asked, end]
    reason = (
        f"it is listed for the {_ordinal(standing.times_listed)} time: removal works for a first listing; "
        f"this one ends by itself at {standing.until:%Y-%m-%d %H:%M} UTC unless it sends spam"
    )
    return [asked, said(decider.clock, target, "refused", decider.rule_version, reason)]


def is_listed(decider: Decider, target: str) -> bool:
    """Tell whether a target is listed at the decider's clock."""
    standing = decider.standing(target)
    if standing is None or standing.state != "listed" or standing.until is None:
        return False
    return standing.until > decider.clock


def allow(decider: Decider, target: str, listed: Iterable[str], *, owner: str, why: str) -> list[Event]:
    """Return the events of allowing a host or network; of the `listed` targets, what holds it or lies in it ends."""
    events = [said(decider.clock, target, "allowed", owner, why)]
    for each in sorted(listed):
        standing = decider.standing(each)
        if standing is not None and is_listed(decider, each) and overlap(each, target):
            reason = f"it is allowed: {target}"
            events.append(lifecycle.ended(standing, each, decider.clock, owner, change="removed", why=reason))
            decider.forgive(each)
    return events


def end_allowance(decider: Decider, target: str, *, owner: str, why: str) -> list[Event]:
    """Return the event of allowing a host or network no longer."""
    return [said(decider.clock, target, "no longer allowed", owner, why)]


def overlap(one: str, other: str) -> bool:
    """Tell whether of two targets one lies in the other; texts that are no targets (what was erased) lie nowhere."""
    try:
        first, second = ipaddress.ip_network(one), ipaddress.ip_network(other)
    except ValueError:
        return False
    return first.version == second.version and first.overlaps(second)


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")

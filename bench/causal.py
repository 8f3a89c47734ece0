"""Causal replay: decide at receipt, learn after; and the oracle that bounds what memory can do.

Pure: rows in order in, figures out.  The rows may be real mail or a simulated stream.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import scipy

from whimbrel.listings.policy import Decider
from whimbrel.listings.settings import Settings
from whimbrel.listings.state import Seen
from whimbrel.model.address import network_of
from whimbrel.model.listing import Event

if TYPE_CHECKING:
    from datetime import datetime

CONFIDENCE = 0.95  # of the one-sided bounds that are printed


class Oracle(NamedTuple):
    """What can be caught by one who knows beforehand which addresses and networks will ever send ham."""

    by_address: int
    by_address_or_network: int
    mixed_hosts: int


class Point(NamedTuple):
    """One policy setting's outcome; `wrong_*` are ham messages, hosts with ham, hosts with nothing but ham.

    `mean_probability` is the list's own claim (its false discovery rate): the mean P at listing of the hosts listed.
    `hours_to_list` are quantiles (50, 90, 99 %) from a host's first spam to its listing; `listed_at_once` the share of
    listed hosts whose first spam listed them.  `stale_share` is the part of all listed time that follows the last
    spam known of the target, `collateral_minutes` the time that hosts with ham were listed.
    """

    q: float
    caught: int
    caught_by_network: int
    wrong_messages: int
    wrong_hosts: int
    wrong_ham_only_hosts: int
    listings: int
    mean_probability: float
    listed_at_once: float
    hours_to_list: tuple[float, float, float]
    stale_share: float
    collateral_minutes: float


def oracle(rows: Sequence[Seen]) -> Oracle:
    """Return what the causal oracle catches of the rows' spam."""
    ham = {row.host for row in rows if row.label == "ham"}
    ham_networks = {network_of(host) for host in ham}
    hosts: set[str] = set()
    networks: set[str] = set()
    by_address = by_either = 0
    for row in rows:
        if row.label == "spam":
            network = network_of(row.host)
            known = row.host in hosts and row.host not in ham
            by_address += known
            by_either += known or (network in networks and network not in ham_networks)
            hosts.add(row.host)
            networks.add(network)
    return Oracle(by_address, by_either, len(hosts & ham))


def replay(rows: Sequence[Seen], settings: Settings) -> Point:
    """Decide each row from the rows before it, then learn it; what is answered is what the ledger's listing says."""
    decider = Decider(settings)
    events: list[Event] = []
    caught = by_network = 0
    wrong: list[str] = []
    for row in rows:
        events += decider.expire(row.learned_at)
        target = decider.would_list(row.host, row.learned_at)
        if target is not None and row.label == "spam":
            caught += 1
            by_network += target != row.host
        elif target is not None and row.label == "ham":
            wrong.append(row.host)
        events += decider.decide(row)
    spamming = {row.host for row in rows if row.label == "spam"}
    listed = [event for event in events if event.change == "listed"]
    delays = _delays(rows, listed)
    stale, collateral = _leftover(rows, events)
    return Point(
        q=settings.q,
        caught=caught,
        caught_by_network=by_network,
        wrong_messages=len(wrong),
        wrong_hosts=len(set(wrong)),
        wrong_ham_only_hosts=len(set(wrong) - spamming),
        listings=len({event.target for event in listed}),
        mean_probability=sum(event.probability_legitimate or 0.0 for event in listed) / max(1, len(listed)),
        listed_at_once=sum(delay == 0.0 for delay in delays) / max(1, len(delays)),
        hours_to_list=(_quantile(delays, 0.5), _quantile(delays, 0.9), _quantile(delays, 0.99)),
        stale_share=stale,
        collateral_minutes=collateral,
    )


def upper_bound(wrong: int, n: int) -> float:
    """Return the one-sided Clopper-Pearson upper bound of a share of which `wrong` of `n` were seen."""
    return 1.0 if wrong >= n else float(scipy.stats.beta.ppf(CONFIDENCE, wrong + 1, n - wrong))


def _delays(rows: Sequence[Seen], listed: Sequence[Event]) -> list[float]:
    first: dict[str, datetime] = {}
    for row in rows:
        if row.label == "spam":
            first.setdefault(row.host, row.learned_at)
    hours: dict[str, float] = {}
    for event in listed:
        if event.target in first:
            hours.setdefault(event.target, (event.at - first[event.target]).total_seconds() / 3600)
    return sorted(hours.values())


def _leftover(rows: Sequence[Seen], events: Sequence[Event]) -> tuple[float, float]:
    """Return the share of listed time after each target's last spam, and the minutes hosts with ham were listed."""
    last: dict[str, datetime] = {}
    for row in rows:
        if row.label == "spam":
            last[row.host] = last[network_of(row.host)] = row.learned_at
    ham = {row.host for row in rows if row.label == "ham"}
    since: dict[str, datetime] = {}
    total = stale = collateral = 0.0
    end_of_stream = rows[-1].learned_at if rows else None
    spans = []
    for event in events:
        if event.change == "listed":
            since.setdefault(event.target, event.at)
        elif event.target in since:
            spans.append((event.target, since.pop(event.target), event.at))
    if end_of_stream is not None:
        spans += [(target, start, end_of_stream) for target, start in since.items()]
    for target, start, end in spans:
        total += (end - start).total_seconds()
        stale += max(0.0, (end - max(start, last.get(target, start))).total_seconds())
        collateral += (end - start).total_seconds() / 60 if target in ham else 0.0
    return stale / total if total else 0.0, collateral


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

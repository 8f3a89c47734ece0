"""Policy: `(state, observation, now) -> decision`, pure; the rules are published in `docs/listing.md`.

`Decider` keeps the working state in memory: one small record a host and a network, the tallies of the prior, and a
heap of listings by their end.  It is driven by rows alone: its clock is the largest `learned_at` so far, listings that
ended before a row are expired before that row is weighed, and reading (`probability`, `would_list`) changes nothing.
So the same rows give the same events, bit for bit, however they are cut into batches and saved in between.

What an observation weighs, if anything: `weighing.py`; what follows for its host, P(legitimate): `judging.py`; how the
working state is kept: `keeping.py`; how memory holds a part of it alone: `recalling.py`.
"""

import heapq
import ipaddress
from collections.abc import Iterable, Iterator
from datetime import datetime
from math import exp
from operator import itemgetter
from typing import Final

from whimbrel.listings import judging, keeping, lifecycle
from whimbrel.listings.assignment import Look, look_of
from whimbrel.listings.prior import Prior, Tally, groups_of
from whimbrel.listings.settings import DAY_SECONDS, Settings
from whimbrel.listings.state import (
    EPOCH,
    HOSTS_KEPT,
    HostState,
    Judgement,
    NetworkState,
    Seen,
    Standing,
    remember,
    seconds_of,
)
from whimbrel.listings.weighing import NOTHING, Worth, worth_of
from whimbrel.model.address import network_of
from whimbrel.model.listing import Code, Event, Role

# At most so many messages a host make a spamming network a snowshoe one: its point is to spread the weight.
SNOWSHOE_MESSAGES: Final = 3.0

# The window of a network's predicted collateral (design: legitimate mail of the last 30 days).
COLLATERAL_TAU_SECONDS: Final = 30 * DAY_SECONDS


class Decider:
    """The working state, and the one way to change it.

    `trusted` names the sensors whose worm verdict is hard evidence where the settings do not trust every sensor.
    """

    def __init__(self, settings: Settings, *, trusted: Iterable[str] = ()) -> None:
        self.settings = settings
        self.rule_version = settings.rule_version
        self.prior = Prior()
        self.hosts: dict[str, HostState] = {}
        self.networks: dict[str, NetworkState] = {}
        self.clock = EPOCH
        self.began: datetime | None = None
        self.touched: set[str] = set()
        self._trusted = frozenset(trusted)
        self._allowed: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._near_allowed: dict[str, bool] = {}  # by network, as asked
        self._ends: list[tuple[datetime, str]] = []

    def decide(self, row: Seen) -> list[Event]:
        """Learn one observation and return what it changed; rows come in (learned_at, seen_at, id) order.

        A row learned before the clock (a late arrival) is decided at the clock.
        """
        self.clock = max(self.clock, row.learned_at)
        self.began = self.began or self.clock
        events = self.expire(self.clock) if self._ends and self._ends[0][0] <= self.clock else []
        look = look_of(row.host, row.helo, row.rdns)
        worth = worth_of(row, look, trusted=self.settings.trusts_every_sensor or row.sensor in self._trusted)
        if worth is NOTHING:
            return events
        now = seconds_of(self.clock)
        # What comes late counts as what is left of it: last year's spam, learned today, lists nobody today.
        seen = min(now, seconds_of(row.seen_at))
        host = self._host(row, look)
        if not worth.ham and _is_forgiven(host.standing, seen):
            return events
        judging.add(host, row.sensor, worth, now=now, seen=seen, settings=self.settings)
        if not worth.ham:
            remember(host.evidence, row.id)
        self._count(host, worth, now)
        network = self._see_network(host, row, worth, now, seen)
        events += self._judge_host(host, worth, now)
        events += self._judge_network(network, host, now, ham=bool(worth.ham))
        return events

    def expire(self, now: datetime) -> list[Event]:
        """End the listings whose time has come by `now`, each dated at its end; the clock moves up to these ends."""
        events = []
        while self._ends and self._ends[0][0] <= now:
            end, target = heapq.heappop(self._ends)
            state = self._known(target)
            if state is not None and state.standing.state == "listed" and state.standing.until == end:
                self.clock = max(self.clock, end)
                events.append(
                    lifecycle.ended(
                        state.standing, target, end, self.rule_version, change="expired", why="its term is over"
                    )
                )
                self.touched.add(target)
        return events

    def allow(self, targets: Iterable[str]) -> list[Event]:
        """Never list these and no others (own servers, the operator's allow list); end the listings they have."""
        self._allowed = [ipaddress.ip_network(target, strict=False) for target in targets]
        self._near_allowed.clear()
        events = []
        states: dict[str, HostState | NetworkState] = {**self.hosts, **self.networks}
        for target, state in sorted(states.items(), key=itemgetter(0)):
            if state.standing.state == "listed" and self.is_allowed(target):
                why = "it is one of our own servers, or on the operator's allow list"
                events.append(
                    lifecycle.ended(state.standing, target, self.clock, self.rule_version, change="removed", why=why)
                )
                self.forgive(target)
        return events

    def forgive(self, target: str) -> None:
        """Forget what bad mail was seen of a target that was removed: listing it again takes new evidence."""
        state = self._state(target)
        if isinstance(state, HostState):
            for mass in state.sensors.values():
                mass.spam = mass.reports = mass.hard = 0.0
        else:
            state.hosts.clear()
            state.unnamed.clear()
        state.evidence.clear()
        self.touched.add(target)

    def erase(self, host: str) -> None:
        """Forget a host, and that it was seen in its network; what it adds to the prior names nobody."""
        self.hosts.pop(host, None)
        self.touched.discard(host)
        network = self.networks.get(network_of(host))
        if network is not None:
            network.hosts.pop(host, None)
            network.unnamed.pop(host, None)
            self.touched.add(network.network)

    def standing(self, target: str) -> Standing | None:
        """Return where a target stands, or None where it was never seen."""
        state = self._known(target)
        return None if state is None else state.standing

    def standings(self) -> Iterator[tuple[str, Standing]]:
        """Yield every target and where it stands."""
        for states in (self.hosts, self.networks):
            for target, state in states.items():
                yield target, state.standing

    def carry(self, event: Event) -> None:
        """Take over what was recorded, as if it had been decided here and now: people's word, or earlier rules'."""
        self.clock = max(self.clock, event.at)
        standing = self.standing(event.target)
        if standing is None:
            return
        lifecycle.carried(standing, event)
        self.touched.add(event.target)
        if event.change == "removed":
            self.forgive(event.target)
        elif event.until is not None:
            heapq.heappush(self._ends, (event.until, event.target))

    def restore(self, target: str, standing: Standing) -> None:
        """Put a target where the log says that it stands."""
        state = self._known(target)
        if state is not None:
            state.standing = standing
            self.touched.add(target)
            if standing.state == "listed" and standing.until is not None:
                heapq.heappush(self._ends, (standing.until, target))

    def is_allowed(self, target: str) -> bool:
        """Tell whether a target holds, or lies in, something that is never listed."""
        if not self._allowed:
            return False
        network = network_of(target)
        near = self._near_allowed.get(network)
        if near is None:
            near = self._near_allowed[network] = self._overlaps_allowed(network)
        # Nearly every network is far from all that is allowed, and so are its hosts.
        return near and (target == network or self._overlaps_allowed(target))

    def _overlaps_allowed(self, target: str) -> bool:
        network = ipaddress.ip_network(target)
        return any(network.version == other.version and network.overlaps(other) for other in self._allowed)

    def judge(self, host: str, now: datetime) -> Judgement:
        """Return what is thought of a host at `now`; of one never seen, what its network alone says."""
        state = self.hosts.get(host)
        if state is not None:
            return judging.judged(state, seconds_of(now), self.prior, self.settings)
        return judging.judged_unseen(network_of(host), seconds_of(now), self.prior)

    def probability(self, host: str, now: datetime) -> float:
        """Return P(legitimate) of a host at `now`."""
        return self.judge(host, now).probability_legitimate

    def would_list(self, host: str, now: datetime) -> str | None:
        """Return the listed target (the host, or its network) that DNS answers for this host at `now`, or None."""
        for state in (self.hosts.get(host), self.networks.get(network_of(host))):
            if state is not None and state.standing.state == "listed":
                until = state.standing.until
                if until is not None and until > now:
                    return state.host if isinstance(state, HostState) else state.network
        return None

    def dumps(self) -> list[tuple[str, bytes]]:
        """Return the working state touched since the last call as (key, value) rows, for one transaction."""
        rows = [keeping.clock_row((self.clock, self.began))]
        rows += [keeping.row_of(self._state(target)) for target in sorted(self.touched)]
        rows += [keeping.group_row(group, self.prior.tallies[group]) for group in sorted(self.prior.touched)]
        self.touched.clear()
        self.prior.touched.clear()
        return rows

    def loads(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Take up the state that `dumps` gave, the latest value of each key, or some of it."""
        ends: list[tuple[datetime, str]] = []
        for key, value in rows:
            name, state = keeping.kept_in(key, value)
            if isinstance(state, HostState):
                self.hosts[name] = state
            elif isinstance(state, NetworkState):
                self.networks[name] = state
            elif isinstance(state, Tally):
                self.prior.tallies[name] = state
                continue
            else:
                self.clock, self.began = state
                continue
            if state.standing.state == "listed" and state.standing.until is not None:
                ends.append((state.standing.until, name))
        if ends:
            self._ends += ends
            heapq.heapify(self._ends)

    def _known(self, target: str) -> HostState | NetworkState | None:
        return self.hosts.get(target) or self.networks.get(target)

    def _state(self, target: str) -> HostState | NetworkState:
        return self.hosts.get(target) or self.networks[target]

    def _host(self, row: Seen, look: Look) -> HostState:
        self.touched.add(row.host)
        state = self.hosts.get(row.host)
        if state is None:
            groups = groups_of(network_of(row.host), look.shape, look.organisation, row.asn)
            state = self.hosts[row.host] = HostState(row.host, groups[-1], look, groups, {}, [])
        return state

    def _count(self, host: HostState, worth: Worth, now: float) -> None:
        if host.counted is None:
            if not worth.reports:
                host.counted = self.prior.count(host.groups, now, legitimate=bool(worth.ham))
        elif worth.ham and not host.counted.legitimate:
            host.counted = self.prior.turn(host.groups, host.counted)

    def _see_network(self, host: HostState, row: Seen, worth: Worth, now: float, seen: float) -> NetworkState:
        self.touched.add(host.network)
        network = self.networks.get(host.network)
        if network is None:
            network = self.networks[host.network] = NetworkState(host.network, {}, {}, [])
        fresh = row.count * exp((seen - now) / COLLATERAL_TAU_SECONDS)
        network.messages = network.messages * exp((network.at - now) / COLLATERAL_TAU_SECONDS) + fresh
        network.at = now
        if worth.ham:
            network.ham_at = max(seen, network.ham_at or seen)
        elif (worth.spam or worth.hard) and not _is_forgiven(network.standing, seen):
            network.hosts[host.host] = max(seen, network.hosts.pop(host.host, seen))
            if host.look.unnamed:
                network.unnamed[host.host] = None
            if len(network.hosts) > HOSTS_KEPT:
                oldest = next(iter(network.hosts))
                del network.hosts[oldest]
                network.unnamed.pop(oldest, None)
            remember(network.evidence, row.id)
        return network

    def _judge_host(self, host: HostState, worth: Worth, now: float) -> list[Event]:
        judged = judging.judged(host, now, self.prior, self.settings)
        standing, settings = host.standing, self.settings
        proven = judged.hard or judged.spamming_sensors >= settings.sensors_needed
        unlikely = proven and judged.probability_legitimate <= settings.q
        if standing.state == "listed" and (worth.ham or not unlikely):
            # Ham ends a listing whatever P says: a wrong label costs one more spam, a wrong listing a person's mail.
            why = "legitimate mail was seen from it" if worth.ham else "its neighbours turned out legitimate"
            return [
                lifecycle.ended(
                    standing, host.host, self.clock, self.rule_version, change="expired", why=why, judged=judged
                )
            ]
        if worth.ham or self.is_allowed(host.host):
            return []
        if unlikely:
            return self._list_host(host, judged)
        watched = standing.state == "candidate" or judged.probability_legitimate > settings.candidate_q
        if watched:
            return []
        return [
            lifecycle.candidate(
                standing, host.host, self.clock, self.rule_version, judged=judged, evidence=host.evidence
            )
        ]

    def _list_host(self, host: HostState, judged: Judgement) -> list[Event]:
        dynamic, settings = host.look.assignment == "dynamic", self.settings
        event = lifecycle.listed(
            host.standing,
            host.host,
            self.clock,
            self.rule_version,
            judged=judged,
            evidence=host.evidence,
            code=Code.INFECTED if judged.hard else Code.SPAM_SOURCE,
            role="infected" if judged.hard else "unknown",
            term_seconds=settings.dynamic_term_seconds if dynamic else settings.static_term_seconds,
            half_life_seconds=settings.dynamic_half_life_seconds if dynamic else settings.static_half_life_seconds,
            why="sent a worm or behaves as a bot" if judged.hard else "sent spam",
        )
        return self._with_end(event)

    def _judge_network(self, network: NetworkState, host: HostState, now: float, *, ham: bool) -> list[Event]:
        standing, settings, target = network.standing, self.settings, network.network
        if standing.state == "listed" and ham:
            why = "legitimate mail was seen from it"
            return [lifecycle.ended(standing, target, self.clock, self.rule_version, change="expired", why=why)]
        if standing.state == "listed" and standing.until is not None:
            left = seconds_of(standing.until) - now
            if left > settings.network_term_seconds * lifecycle.RENEW_BELOW:
                return []
        if host.host not in network.hosts or not self._ham_free(network, now) or self.is_allowed(target):
            return []
        spamming = sum(now - at <= settings.network_ham_free_seconds for at in network.hosts.values())
        unnamed = 2 * len(network.unnamed) > len(network.hosts)
        hosts_needed = settings.range_hosts if unnamed else settings.network_hosts
        q = settings.range_q if unnamed else settings.network_q
        if hosts_needed is None or spamming < hosts_needed:
            return []
        # A fresh host of the network: of no look, or where its hosts are unnamed, of the look that spammed last.
        _, _, wide, organisation, nearest = host.groups
        look = f"look {host.look.shape}" if unnamed else ""
        logit, _ = self.prior.chain(("", look, wide, organisation if unnamed else "", nearest), now)
        judged = Judgement(0.0, logit, judging.logistic(logit), 0, hard=False)
        if judged.probability_legitimate > q:
            return []
        code, role, why = _what_network(network, spamming, unnamed=unnamed)
        event = lifecycle.listed(
            standing,
            target,
            self.clock,
            self.rule_version,
            judged=judged,
            evidence=network.evidence,
            code=code,
            role=role,
            term_seconds=settings.network_term_seconds,
            half_life_seconds=settings.static_half_life_seconds,
            why=why,
        )
        return self._with_end(event)

    def _ham_free(self, network: NetworkState, now: float) -> bool:
        began = self.clock if self.began is None else self.began
        watched = now - seconds_of(began) >= self.settings.network_watch_seconds
        return watched and (network.ham_at is None or now - network.ham_at >= self.settings.network_ham_free_seconds)

    def _with_end(self, event: Event | None) -> list[Event]:
        if event is None or event.until is None:
            return []
        heapq.heappush(self._ends, (event.until, event.target))
        return [event]


def _is_forgiven(standing: Standing, seen: float) -> bool:
    """Tell whether what was seen then lies before a removal, and counts no more."""
    return standing.removed_at is not None and seen <= seconds_of(standing.removed_at)


def _what_network(network: NetworkState, spamming: int, *, unnamed: bool) -> tuple[Code, Role, str]:
    """Return code, role and sentence of a network's listing, with its predicted collateral."""
    collateral = f"predicted collateral: 0 of {network.messages:.0f} messages of 30 days"
    if unnamed:
        why = f"its addresses have no names of their own, {spamming} sent spam and none legitimate mail; {collateral}"
        return Code.POLICY, "unknown", why
    why = f"{spamming} hosts of it sent spam and none legitimate mail; {collateral}"
    snowshoe = network.messages <= SNOWSHOE_MESSAGES * len(network.hosts)
    return (Code.SNOWSHOE, "snowshoe", why) if snowshoe else (Code.NETWORK, "dedicated", why)

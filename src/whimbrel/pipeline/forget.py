"""Forgetting: a host, a recipient, or days whose term is over.  What names them goes; that it went stays in the log.

    evidence: rows erased, host-days counted anew, chains and link state without them   one manifest transaction
    ledger:   a mark in the target's place, the event, a checkpoint of the working state one ledger transaction
    dead files deleted, the ledger's database written anew

Between the two a note in the manifest says that an erasure is under way: whoever dies in the middle leaves it there,
and the same command again finishes the work.
"""

from contextlib import ExitStack
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from whimbrel.errors import ConfigError, StoreError
from whimbrel.evidence import Erased, Evidence, naming
from whimbrel.listings.decisions import overlap
from whimbrel.listings.explain import target_of
from whimbrel.listings.ledger import Ledger
from whimbrel.listings.policy import Decider
from whimbrel.model.address import network_of
from whimbrel.model.listing import Event
from whimbrel.pipeline.analyse import count_days_again, drop_days
from whimbrel.pipeline.decide import settings_of, under_rules, undisturbed
from whimbrel.pipeline.link import forget_state
from whimbrel.pipeline.places import ledger_place
from whimbrel.pipeline.settle import forget_in_chains, own_networks

_UNDER_WAY = "erasure under way"


class Forgotten(NamedTuple):
    """What went: rows of evidence, over so many days; `event` is the mark in the log, None where nothing was known."""

    observations: int
    facts: int
    days: int
    event: str | None


def forget(data_dir: Path, text: str, now: datetime, *, by: str, why: str) -> Forgotten:
    """Forget a host (an address) or a recipient (a mail address).

    Raises ConfigError where `text` is neither, or one of our own servers; StoreError where it cannot be done now.
    """
    told = target_of(text)
    if text.lower() in f"{why} {by}".lower():
        raise ConfigError("the reason names what is to be forgotten; say it without")
    if told is not None and told[1] == "address":
        return _forget(data_dir, told[0], "", now, by=by, why=why)
    if "@" in text.strip("@") and not text.split()[1:]:
        return _forget(data_dir, None, text.lower(), now, by=by, why=why)
    raise ConfigError(f"{text!r} is neither an address, as 192.0.2.1, nor a mail address, as joe@example.org")


def end_terms(data_dir: Path, before: date, now: datetime) -> Forgotten:
    """Delete the evidence of all days before `before`, whose term is over; what was decided on it stands."""
    with Evidence.open(data_dir, write=True, make=False) as store:
        _check_staging(store)
        return end_terms_of(store, data_dir, before, now, by="operator")


def end_terms_of(store: Evidence, data_dir: Path, before: date, now: datetime, *, by: str) -> Forgotten:
    """Do so in a store that is open for writing."""
    with store.together():
        rows = store.forget(before=before)
        if rows:
            drop_days(store, before)
            forget_state(store)
            store.remember(_UNDER_WAY, "yes")
    mark = _finish(store, data_dir, None, now, by=by, why=f"the term of all days before {before} was over")
    return Forgotten(rows, 0, 0, mark)


def _forget(data_dir: Path, host: str | None, recipient: str, now: datetime, *, by: str, why: str) -> Forgotten:
    with Evidence.open(data_dir, write=True, make=False) as store:
        _check_staging(store)
        if host is not None and any(overlap(host, network) for network in own_networks(store)):
            raise ConfigError(f"{host} is one of our own servers: what is told of these is a setting; see --trust")
        with store.together():
            erased = store.erase_recipient(recipient) if host is None else _erase_host(store, host)
            if erased.observations or erased.facts:
                store.remember(_UNDER_WAY, "yes")
        mark = _finish(store, data_dir, host, now, by=by, why=why)
    return Forgotten(erased.observations, erased.facts, len(erased.days), mark)


def _erase_host(store: Evidence, host: str) -> Erased:
    erased = store.erase_host(host)
    forget_in_chains(store, naming(host))
    if erased.days:
        count_days_again(store, sorted(erased.days))
        forget_state(store)
    return erased


def _finish(store: Evidence, data_dir: Path, host: str | None, now: datetime, *, by: str, why: str) -> str | None:
    """Delete what is dead, bring the ledger up to it, and take the note away; return the mark, None for nothing."""
    store.bury()
    is_under_way = store.recall(_UNDER_WAY) == "yes"
    event = None
    with ExitStack() as closing:
        ledger = Ledger.find(ledger_place(data_dir), "append")
        if ledger is not None:
            closing.enter_context(ledger)
            event = undisturbed(lambda: _enter(ledger, host, now, by=by, why=why, must=is_under_way))
        if is_under_way:
            store.remember(_UNDER_WAY, "no")
        if ledger is not None:
            ledger.scrub()
    return None if event is None else event.target


def _enter(ledger: Ledger, host: str | None, now: datetime, *, by: str, why: str, must: bool) -> Event | None:
    last = ledger.last_run()
    if last is None:
        return None
    decider = Decider(settings_of(last.profile))
    last = under_rules(ledger, last, decider.rule_version)
    states: list[tuple[str, bytes]] = []
    if host is not None:
        decider.loads(ledger.load_state(["clock", f"host {host}", f"network {network_of(host)}"]))
        decider.clock = max(decider.clock, now)
        decider.erase(host)
        states = decider.dumps()
    run = replace(last, number=last.number + 1, kind="forgotten", at=max(decider.clock, now), decided=0)
    return ledger.erase(host, run, states, by=by, why=why, must=must)


def _check_staging(store: Evidence) -> None:
    if store.staged_keys():
        raise StoreError("an interrupted ingest waits to be finished: run it again, then forget")

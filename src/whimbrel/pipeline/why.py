"""Why a target is listed or not: everything that the explanation needs, looked up for one target."""

from datetime import datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import pyarrow as pa

from whimbrel.errors import ConfigError
from whimbrel.evidence import Evidence
from whimbrel.listings.decisions import overlap
from whimbrel.listings.explain import Explanation, TargetKind, covering_names, explain, target_of
from whimbrel.listings.ledger import Ledger
from whimbrel.listings.policy import Decider
from whimbrel.listings.prior import groups_of
from whimbrel.listings.state import Judgement
from whimbrel.messages.suffixes import registered_domain
from whimbrel.model.address import network_of
from whimbrel.pipeline.decide import DEFAULT_PROFILE, settings_of
from whimbrel.pipeline.places import ledger_place

_COLUMNS = "id, seen_at, sensor, host, kind, label, family, helo, recipient_domains, count"


def why(data_dir: Path, text: str, now: datetime) -> Explanation:
    """Return the explanation for an address, network, domain or hash, from what was known at `now`.

    Raises ConfigError where `text` is none of these.
    """
    told = target_of(text)
    if told is None:
        raise ConfigError(f"{text!r} is no address, network, domain or hash; as in: whimbrel why 192.0.2.1")
    target, kind = told
    with Evidence.open(data_dir) as store, Ledger.open(ledger_place(data_dir)) as ledger:
        last = ledger.last_run()
        decider = Decider(settings_of(last.profile if last else DEFAULT_PROFILE))
        names = covering_names(target, kind)
        allowed = [each.target for each in ledger.allowed() if overlap(each.target, target)]
        return explain(
            target,
            kind,
            now,
            settings=decider.settings,
            listings=ledger.listings(now, names),
            history=sorted(
                (event for name in {*names, *allowed} for event in ledger.history(name) if event.at <= now),
                key=lambda event: event.at,
            ),
            judged=_judged(decider, ledger, target, now) if kind == "address" else None,
            observations=_observations(store, target, kind, now),
        )


def _judged(decider: Decider, ledger: Ledger, host: str, now: datetime) -> Judgement | None:
    """Judge a host from its own record and those of its neighbours' groups, and no others."""
    decider.loads(ledger.load_state([f"host {host}"]))
    state = decider.hosts.get(host)
    groups = groups_of(network_of(host), "", None, None) if state is None else state.groups
    decider.loads(ledger.load_state(["clock", *(f"group {group}" for group in groups)]))
    # The working state is of the latest decision; what was thought before is in the log, and not thought again.
    return decider.judge(host, now) if now >= decider.clock else None


def _observations(store: Evidence, target: str, kind: TargetKind, now: datetime) -> pa.Table:
    condition, parameters = _condition(store, target, kind)
    known = bool(store.derived_versions("membership"))
    campaign = "coalesce(campaign, (SELECT any_value(m.campaign) FROM membership m WHERE m.message_id = o.message_id))"
    sql = (
        f"SELECT {_COLUMNS}, {campaign if known else 'campaign'} AS campaign FROM observations o "  # noqa: S608 - own
        f"WHERE learned_at <= $now AND {condition}"
    )
    return store.query(sql, {"now": now, **parameters})


def _condition(store: Evidence, target: str, kind: TargetKind) -> tuple[str, dict[str, object]]:
    """Return the SQL condition for the observations that say something of a target, and its parameters."""
    if kind == "address":
        return "host = $host", {"host": target}
    if kind == "network":
        return "host IN (SELECT unnest($hosts::VARCHAR[]))", {"hosts": _hosts_within(store, target)}
    column, value = ("attachment_sha256s", target) if kind == "hash" else ("url_domains", _domain(target))
    held = f"SELECT message_id FROM facts WHERE list_contains({column}, $value)"  # noqa: S608 - our own names
    return f"message_id IN ({held})", {"value": value}


def _domain(name: str) -> str:
    return registered_domain(name) or name


def _hosts_within(store: Evidence, network: str) -> list[str]:
    within = ip_network(network)
    hosts = store.query("SELECT DISTINCT host FROM observations")["host"].to_pylist()
    # An address of another version is in no network of this one, which `in` knows.
    return [host for host in hosts if ip_address(host.partition("/")[0]) in within]

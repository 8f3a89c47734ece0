"""From readings to observations: who handed us each message.

When every path of a run has been read, the trust boundary is known: told by the operator, or inferred from a sample of
all chains that the sensor has ever given.  Then each staged message becomes a row of facts and, where there is a
connecting client and a time, one observation.  Trust that has grown since an earlier run corrects: a message whose
client is now another is observed again, with `supersedes` naming the older observation; nothing is edited.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa

from whimbrel.evidence import Batch, Evidence, Names, decode_hops, encode_hops, hops_name
from whimbrel.model.address import host_of
from whimbrel.model.columns import FACTS, INSTANT, OBSERVATIONS
from whimbrel.model.observation import message_observation_id
from whimbrel.model.reading import Hop
from whimbrel.sensors.boundary import (
    TRUST_VERSION,
    Connection,
    Trust,
    absence,
    connecting_client,
    was_passed_on,
)
from whimbrel.sensors.inference import TrustLearner

# Times before the first mail over SMTP (RFC 821, August 1982), or later than any calendar in use, are a clock's fault.
_EARLIEST = datetime(1982, 8, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class Settled(NamedTuple):
    """What a run added: messages new to the store, observations of them, corrections, and why some gave none."""

    messages: int
    known: int
    observed: int
    corrected: int
    unobserved: Mapping[str, int]
    trust: Mapping[str, Trust]


def tell_trust(store: Evidence, sensor: str, told: Trust) -> None:
    """Record whom the operator says to trust behind a sensor; the next settling goes by it, and all later ones."""
    store.remember(f"trust told {sensor}", told.to_json().decode())


def trust_of(store: Evidence, sensor: str) -> Trust | None:
    """Return the trust that a sensor's messages were last settled by."""
    return _recalled(store, f"trust {sensor}")


def own_networks(store: Evidence) -> list[str]:
    """Return every network that is our own behind some sensor: none of them is ever listed."""
    trusts = (trust_of(store, sensor) for sensor in sensors_of(store))
    return sorted({network for trust in trusts if trust is not None for network in trust.all_networks})


def sensors_of(store: Evidence) -> list[str]:
    """Return the sensors that gave mail."""
    return json.loads(store.recall(_SENSORS) or "[]")  # type: ignore[no-any-return]


class Arrived(NamedTuple):
    """How far the places were read that the staged messages came from: keys of whole files, marks by what they mark."""

    keys: Sequence[str] = ()
    marks: Mapping[str, str] = MappingProxyType({})


_NOTHING_MORE = Arrived()


def settle(
    store: Evidence, sensor: str | None = None, *, arrived: Arrived = _NOTHING_MORE, infer: bool = True
) -> Settled:
    """Append all that is staged as one batch, and correct what newly told or grown trust (of `sensor` too) changes.

    What `arrived` says is kept with the batch.  Without `infer` the trust in force stays as it is, where there is one:
    to infer it takes as long as reading a thousand messages, and a later call with `infer` catches up on all chains.
    """
    staged = {str(table["sensor"][0]) for table in store.staged() if table.num_rows}
    told = {sensor} if sensor is not None and _recalled(store, f"trust told {sensor}") is not None else set()
    behind = {each for each in sensors_of(store) if _learned_up_to(store, each) is not None} if infer else set()
    before = {each: trust_of(store, each) for each in sorted(staged | told | behind)}
    trusts = {each: _boundary(store, each, infer=infer) for each in before}
    unobserved: Counter[str] = Counter()
    if not store.staged_keys() and trusts == before:
        return Settled(0, 0, 0, 0, unobserved, trusts)
    rows = observed = corrected = 0
    with store.batch("mail", chunks=[*store.staged_keys(), *arrived.keys]) as batch:
        for key, mark in arrived.marks.items():
            store.remember(key, mark)
        for each, trust in trusts.items():
            earlier = before[each]
            if earlier is not None and earlier != trust:
                corrected += _correct(store, batch, each, earlier, trust)
            store.remember(f"trust {each}", trust.to_json().decode())
        store.remember(_SENSORS, json.dumps(sorted({*sensors_of(store), *trusts})))
        for table in store.staged():
            if table.num_rows:
                facts, observations = _settled(table, trusts[str(table["sensor"][0])], unobserved)
                rows += table.num_rows
                batch.facts(facts)
                observed += batch.observations(observations)
    new = batch.added["facts"]
    return Settled(new, rows - new, observed, corrected, unobserved, trusts)


_SENSORS = "sensors"


def _recalled(store: Evidence, key: str) -> Trust | None:
    stored = store.recall(key)
    return None if stored is None else Trust.from_json(stored.encode())


def _learned_up_to(store: Evidence, sensor: str) -> int | None:
    """Return the last batch whose chains the kept sample knows; None where it knows those of all batches."""
    batch = store.recall(f"chains known {sensor}")
    return int(batch) if batch else None


def _boundary(store: Evidence, sensor: str, *, infer: bool) -> Trust:
    """Return the trust in force for this run; what the operator tells is not second-guessed by inference."""
    told = _recalled(store, f"trust told {sensor}")
    if told is not None:
        return told
    in_force, known = trust_of(store, sensor), _learned_up_to(store, sensor)
    if in_force is not None and not infer:
        if known is None:
            store.remember(f"chains known {sensor}", str(store.last_batch()))
        return in_force
    learner = TrustLearner()
    if known is not None:
        for rows in store.each_facts(after_batch=known, columns=["sensor", "hops"]):
            for row in rows.to_pylist():
                if row["sensor"] == sensor:
                    learner.add(decode_hops(row["hops"]))
    partition = _partition(sensor)
    kept = store.derived("chains", [partition])
    if kept is not None:
        learner.loads(zip(kept["digest"].to_pylist(), map(decode_hops, kept["hops"].to_pylist()), strict=True))
    for table in store.staged():
        if table.num_rows and str(table["sensor"][0]) == sensor:
            for hops in table["hops"].to_pylist():
                learner.add(decode_hops(hops))
    sample = learner.dumps()
    columns = [[digest for digest, _ in sample], [encode_hops(hops) for _, hops in sample]]
    with store.together():
        store.replace("chains", {partition: pa.table(columns, schema=_CHAINS)}, stage="boundary", version=TRUST_VERSION)
        if known is not None:
            store.remember(f"chains known {sensor}", "")
    return learner.result()


def forget_in_chains(store: Evidence, names: Names) -> None:
    """Take the chains that name a host out of the samples that trust is inferred from."""
    for sensor in sensors_of(store):
        partition = _partition(sensor)
        kept = store.derived("chains", [partition])
        if kept is not None:
            is_its = [hops_name(decode_hops(hops), names) for hops in kept["hops"].to_pylist()]
            if any(is_its):
                rest = kept.filter(pa.array([not each for each in is_its]))
                store.replace("chains", {partition: rest}, stage="boundary", version=TRUST_VERSION)


def _partition(sensor: str) -> str:
    return hashlib.sha256(sensor.encode()).hexdigest()[:32]


# The sample of chains that trust is inferred from (`TrustLearner.dumps`), one partition a sensor.
_CHAINS = pa.schema([pa.field("digest", pa.binary(32), nullable=False), pa.field("hops", pa.binary(), nullable=False)])


def _settled(table: pa.Table, trust: Trust, unobserved: Counter[str]) -> tuple[pa.Table, pa.Table]:
    """Return the rows of facts, with their times, and the observations of one staged chunk."""
    times: list[datetime | None] = []
    rows: list[dict[str, object]] = []
    # Arrow makes a time with a zone from a number many times slower than Python does, and few are looked at.
    envelope_times = table["seen_at"].cast(pa.int64()).to_pylist()
    for row, envelope_at in zip(table.select(_SETTLED).to_pylist(), envelope_times, strict=True):
        hops = decode_hops(row["hops"])
        connection = connecting_client(hops, trust)
        at = _plausible(connection.at if connection else None, *(hop.at for hop in hops[:1]))
        if at is None and envelope_at is not None:
            at = _plausible(_EPOCH + timedelta(microseconds=envelope_at))
        times.append(at)
        if connection is None:
            unobserved[absence(hops, trust) or "no connecting client"] += 1
        elif at is None:
            unobserved["no time that could be true"] += 1
        else:
            rows.append(_observation(row, hops, connection, at))
    facts = table.set_column(FACTS.get_field_index("seen_at"), FACTS.field("seen_at"), pa.array(times, INSTANT))
    return facts, _observations(rows)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SETTLED = [
    "message_id", "sensor", "label", "label_basis", "size_bytes", "content_sha256", "hops", "recipient_domains",
]  # fmt: skip
_NEEDED = [*_SETTLED, "seen_at"]


def _observation(row: Mapping[str, Any], hops: Sequence[Hop], connection: Connection, at: datetime) -> dict[str, Any]:
    peer = connection.peer
    return {
        "id": message_observation_id(row["sensor"], peer, connection.trace_sha256, row["content_sha256"]),
        "seen_at": at,
        "learned_at": at,
        "sensor": row["sensor"],
        "host": host_of(peer),
        "kind": "message",
        "label": row["label"],
        "label_basis": row["label_basis"],
        "received_below": connection.received_below,
        "helo": connection.helo,
        "rdns": connection.rdns,
        "recipient_domains": row["recipient_domains"],
        "bytes": row["size_bytes"],
        "count": 1,
        "message_id": row["message_id"],
        "passed_on": was_passed_on(hops, connection),
    }


def _observations(rows: Iterable[Mapping[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=OBSERVATIONS)


def _correct(store: Evidence, batch: Batch, sensor: str, earlier: Trust, trust: Trust) -> int:
    """Observe stored messages again whose connecting client is another under the new trust, or is no more.

    The days on which anything changed are remembered, for what was computed of them.
    """
    corrected = 0
    days = stale_days(store)
    for rows in store.each_facts(columns=_NEEDED):
        observed, withdrawn = [], []
        for row in rows.to_pylist():
            if row["sensor"] != sensor or row["seen_at"] is None:
                continue
            hops = decode_hops(row["hops"])
            old, new = (_observed(row, hops, connecting_client(hops, each)) for each in (earlier, trust))
            if old == new:
                continue
            days |= {each["seen_at"].date() for each in (old, new) if each is not None}
            if new is None:
                withdrawn += [old["id"]] if old is not None else []
            else:
                observed.append(new | {"supersedes": None if old is None else old["id"]})
        if observed or withdrawn:
            batch.correct(_observations(observed), withdrawn)
            corrected += len(observed) + len(withdrawn)
    store.remember(_STALE, json.dumps(sorted(day.isoformat() for day in days)))
    return corrected


def stale_days(store: Evidence) -> set[date]:
    """Return the days whose observations were corrected since they were last analysed."""
    return set(map(date.fromisoformat, json.loads(store.recall(_STALE) or "[]")))


def forget_stale_days(store: Evidence) -> None:
    """Forget them, when they have been analysed again."""
    store.remember(_STALE, "[]")


_STALE = "stale days"


def _observed(row: Mapping[str, Any], hops: Sequence[Hop], connection: Connection | None) -> dict[str, Any] | None:
    """Return the observation of a stored message whose time is known."""
    if connection is None:
        return None
    return _observation(row, hops, connection, _plausible(connection.at, row["seen_at"]) or row["seen_at"])


def _plausible(*times: datetime | None) -> datetime | None:
    """Return the first time that can be true."""
    return next((at for at in times if at is not None and _EARLIEST <= at < _LATEST), None)

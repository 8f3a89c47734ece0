"""Observations that somebody got wrong: villages beside each other, each with one mistake and the same planted link.

Every village has sensors, hosts, families and campaigns of its own, so that no stratum is shared: what is said of one
is said of its mistake.  Without a mistake its family W is linked to its campaign C1.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from tests.analysis.links.tiny import MONDAY, tiny_world

NOW = MONDAY + timedelta(weeks=8)
LEAST_SENDERS = 5  # `Settings.least_senders`

NO_STRATUM = "no stratum in which the campaign was sent holds both units of the family and units to compare with"
NOT_AFTER = "no first sending of the campaign was seen after the week of the family's first infection"


class Village(NamedTuple):
    """A mistake; the reason it is told with (none: it does no harm); whether the pair gets a row among all pairs."""

    name: str
    mistake: Callable[[pa.Table], pa.Table]
    reason: str | None = None
    listed: bool = True


def changed(observations: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    place = observations.schema.get_field_index(name)
    return observations.set_column(place, name, values.cast(observations.schema.field(name).type))


def _moved(observations: pa.Table, by: timedelta, *, names: tuple[str, ...], kind: str | None = None) -> pa.Table:
    """Return the observations (of one kind) with the named times moved."""
    for name in names:
        later = pc.add(observations[name], pa.scalar(by, pa.duration("us")))
        chosen = True if kind is None else pc.equal(observations["kind"], kind)
        observations = changed(observations, name, pc.if_else(chosen, later, observations[name]))
    return observations


def of_kind(observations: pa.Table, *kinds: str) -> pa.Table:
    return observations.filter(pc.is_in(observations["kind"], pa.array(kinds)))


def _own_sensor(observations: pa.Table) -> pa.Table:
    own = pc.fill_null(pc.equal(observations["family"], "W"), False)
    return changed(observations, "sensor", pc.if_else(own, "s2", observations["sensor"]))


def _one_family(observations: pa.Table) -> pa.Table:
    hosts = observations.filter(pc.equal(observations["family"], "W"))["host"].combine_chunks()
    return observations.filter(pc.is_in(observations["host"], hosts))


def _own_networks(observations: pa.Table) -> pa.Table:
    alone = pc.binary_join_element_wise(observations["host"], "32", "/")
    return changed(changed(observations, "prefix", alone), "asn", pa.nulls(observations.num_rows, pa.int64()))


def _one_week(observations: pa.Table) -> pa.Table:
    """Everything in the first week, in its order."""
    for name in ("seen_at", "learned_at"):
        past = pc.divide(pc.subtract(observations[name], pa.scalar(MONDAY)).cast(pa.int64()), 10)
        moved = pc.add(pa.scalar(int(MONDAY.timestamp()) * 1_000_000), past)
        observations = changed(observations, name, moved.cast(pa.timestamp("us", tz="UTC")))
    return observations


def again(observations: pa.Table) -> pa.Table:
    """Every infection and every message a second time, a little later and by another sensor."""
    events = of_kind(observations, "infection", "message")
    second = changed(events, "sensor", pa.array(["s9"] * events.num_rows))
    return pa.concat_tables(
        [observations, _moved(second, timedelta(microseconds=1), names=("seen_at", "learned_at")), events]
    )


def _of_one_message(observations: pa.Table) -> pa.Table:
    """The campaigns fall apart into campaigns of one message."""
    number = iter(range(observations.num_rows))
    names = [None if name is None else f"C{next(number)}" for name in observations["campaign"].to_pylist()]
    return changed(observations, "campaign", pa.array(names, pa.string()))


def _few_senders(observations: pa.Table) -> pa.Table:
    kept = of_kind(observations, "message").slice(0, LEAST_SENDERS - 1)
    return pa.concat_tables([of_kind(observations, "connection", "infection"), kept])


VILLAGES = (
    Village("sound", lambda rows: rows),
    Village("twice", again),
    Village("learned-before-seen", lambda rows: _moved(rows, -timedelta(days=400), names=("learned_at",))),
    Village("own-sensor", _own_sensor, "no controls: own-sensor-s2 saw no other family"),
    Village("one-family", _one_family, "no controls: one-family-s1 saw no other family"),
    Village("own-networks", _own_networks, NO_STRATUM),
    Village("one-week", _one_week, NOT_AFTER),
    Village(
        "sent-before",
        lambda rows: _moved(rows, -timedelta(weeks=6), names=("seen_at", "learned_at"), kind="message"),
        NOT_AFTER,
    ),
    Village(
        "learned-late",
        lambda rows: _moved(rows, timedelta(weeks=2), names=("learned_at",), kind="message"),
        "every first sending of the campaign was learned after its week had closed",
    ),
    Village(
        "clock-of-1970",
        lambda rows: changed(rows, "seen_at", pa.array([datetime(1970, 1, 1, tzinfo=UTC)] * rows.num_rows)),
        "every first sending of the campaign was learned after its week had closed",
    ),
    Village(
        "no-method",
        lambda rows: changed(rows, "method", pa.nulls(rows.num_rows)),
        "how the infection was seen (method) is absent for",
    ),
    Village(
        "clock-of-2150",
        lambda rows: _moved(rows, timedelta(days=124 * 365), names=("seen_at",), kind="infection"),
        "no infection of the family has been seen",
        listed=False,
    ),
    Village("few-senders", _few_senders, "the campaign was never sent by 5 units", listed=False),
    Village("one-message", _of_one_message, "the campaign was never sent by 5 units", listed=False),
)


def pair_of(village: Village) -> tuple[str, str]:
    return f"{village.name}-W", f"{village.name}-C1"


def all_villages() -> pa.Table:
    """Return the observations of all villages; the dice are the same in each."""
    sound = tiny_world(odds_ratio=6, hosts=800, rate=0.06)
    parts = []
    for number, village in enumerate(VILLAGES):
        rows = village.mistake(sound)
        for name in ("sensor", "family", "campaign"):
            marked = pc.binary_join_element_wise(f"{village.name}-", rows[name], "", null_handling="emit_null")
            rows = changed(rows, name, marked)
        own = pc.replace_substring_regex(rows["host"], "^10", str(20 + number))
        rows = changed(rows, "host", own)
        parts.append(changed(rows, "prefix", pc.replace_substring_regex(rows["prefix"], "^10", str(20 + number))))
    return pa.concat_tables(parts)

"""Observations as columns: what happened in a week, as a batch of the columns below, in order of `seen_at`.

The columns are those of `model.columns.OBSERVATIONS` that a world fills, with its meanings; all others would be null.
Texts are dictionary-encoded (one dictionary for all batches of a world); times are whole milliseconds.
"""

import datetime as dt
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from whimbrel.model.columns import INSTANT
from whimbrel.worlds.places import Names, Real, Whole
from whimbrel.worlds.seeing import METHODS
from whimbrel.worlds.settings import World, campaign_name, family_name, sensor_name

NOTHING: Final = -1  # a code that is written as null

MESSAGE, CONNECTION, INFECTION = 0, 1, 2
_KINDS: Final = ("message", "connection", "infection")
_LABELS: Final = ("spam", "unknown")
_LABEL_BASES: Final = ("given", "list")
_CAMPAIGN_BASES: Final = ("url",)

COLUMNS: Final = pa.schema(
    [
        pa.field("seen_at", INSTANT, nullable=False),
        pa.field("learned_at", INSTANT, nullable=False),
        pa.field("sensor", pa.dictionary(pa.int16(), pa.string()), nullable=False),
        pa.field("host", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("kind", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        pa.field("label", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        pa.field("label_basis", pa.dictionary(pa.int8(), pa.string())),
        pa.field("campaign", pa.dictionary(pa.int32(), pa.string())),
        pa.field("campaign_basis", pa.dictionary(pa.int8(), pa.string())),
        pa.field("family", pa.dictionary(pa.int16(), pa.string())),
        pa.field("method", pa.dictionary(pa.int8(), pa.string())),
        pa.field("asn", pa.int64()),
        pa.field("prefix", pa.dictionary(pa.int32(), pa.string())),
        pa.field("count", pa.int64(), nullable=False),
    ]
)


class Rows(NamedTuple):
    """Observations of one kind, in no order; codes count from 0, and `NOTHING` is none."""

    at_seconds: Real
    sensor: Whole
    host: Whole
    kind: Whole
    campaign: Whole
    family: Whole
    method: Whole
    listed: Whole
    counts: Whole


def rows(
    kind: int,
    at_seconds: Real,
    sensor: Whole,
    host: Whole,
    *,
    campaign: Whole | None = None,
    family: Whole | None = None,
    method: Whole | None = None,
    listed: bool = False,
    counts: Whole | None = None,
) -> Rows:
    """Return rows of one kind, with nothing where nothing is given."""
    size = at_seconds.size
    none = np.full(size, NOTHING)
    return Rows(
        at_seconds,
        sensor,
        host,
        np.full(size, kind),
        none if campaign is None else campaign,
        none if family is None else family,
        none if method is None else method,
        np.full(size, int(listed)),
        np.ones(size, dtype=np.int64) if counts is None else counts,
    )


class Dictionaries(NamedTuple):
    """The texts behind the codes, the same for every batch of a world."""

    sensors: pa.Array
    campaigns: pa.Array
    families: pa.Array
    names: Names
    start_milliseconds: int


def dictionaries(world: World, names: Names) -> Dictionaries:
    """Return the texts of a world."""
    start = dt.datetime.combine(world.start, dt.time(), dt.UTC)
    return Dictionaries(
        pa.array([sensor_name(number + 1) for number in range(world.sensors)]),
        pa.array([campaign_name(number + 1) for number in range(world.campaigns)]),
        pa.array([family_name(number + 1) for number in range(world.families)]),
        names,
        int(start.timestamp()) * 1_000,
    )


def batch(parts: list[Rows], delay_seconds: float, texts: Dictionaries, dice: np.random.Generator) -> pa.RecordBatch:
    """Return rows as one batch; `delay_seconds` is the mean time from what happened to our knowing of it."""
    whole = Rows._make(np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(whole.at_seconds, kind="stable")
    whole = Rows._make(column[order] for column in whole)
    seen = texts.start_milliseconds + (whole.at_seconds * 1_000).astype(np.int64)
    learned = seen
    if delay_seconds:
        learned = seen + (dice.standard_exponential(order.size) * delay_seconds * 1_000).astype(np.int64)
    message = whole.kind == MESSAGE
    spam = message | (whole.listed == 1)
    arrays = [
        _instants(seen),
        _instants(learned),
        _coded("sensor", whole.sensor, texts.sensors),
        _coded("host", whole.host, texts.names.hosts),
        _coded("kind", whole.kind, pa.array(_KINDS)),
        _coded("label", np.where(spam, 0, 1), pa.array(_LABELS)),
        _coded("label_basis", np.where(spam, whole.listed, NOTHING), pa.array(_LABEL_BASES)),
        _coded("campaign", whole.campaign, texts.campaigns),
        _coded("campaign_basis", np.where(message, 0, NOTHING), pa.array(_CAMPAIGN_BASES)),
        _coded("family", whole.family, texts.families),
        _coded("method", whole.method, pa.array(METHODS)),
        pa.array(texts.names.asn_of_host[whole.host]),
        _coded("prefix", texts.names.prefix_of_host[whole.host], texts.names.prefixes),
        pa.array(whole.counts),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=COLUMNS)


def _instants(milliseconds: Whole) -> pa.Array:
    return pa.array(milliseconds * 1_000).cast(INSTANT)


def _coded(name: str, codes: Whole, texts: pa.Array) -> pa.Array:
    kind = COLUMNS.field(name).type
    narrow = codes.astype(kind.index_type.to_pandas_dtype())
    indices = pa.array(narrow, mask=codes < 0) if COLUMNS.field(name).nullable else pa.array(narrow)
    return pa.DictionaryArray.from_arrays(indices, texts)

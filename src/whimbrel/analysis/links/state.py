"""The evidence of every pair, which grows by closed windows: a fold, window after window, in order.

The state of a pair is sums (`reference.SUMS`, log Z at each point of the lattice), kept by arm and sensor; and, for the
veto, score and information of each other family among units without W.  Closing a window adds its tables' sums and
recomputes nothing.  Within a window cells are put in one order first, so the same observations give the same bits,
whether windows were closed one by one or replayed all at once.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whimbrel.analysis.links.columns import STRATUM
from whimbrel.analysis.links.hypothesis import Lattice
from whimbrel.analysis.links.reference import SUMS
from whimbrel.analysis.links.settings import Settings
from whimbrel.analysis.links.tallies import Controls, Tally

STATE_VERSION = 1
CONTROLLED_ARM = "sending"  # the arm whose ratio the negative controls are compared with

EVIDENCE = pa.schema(
    [
        pa.field("arm", pa.string(), nullable=False),
        pa.field("campaign", pa.string(), nullable=False),
        pa.field("family", pa.string(), nullable=False),
        pa.field("sensor", pa.string(), nullable=False),
        pa.field("windows", pa.int64(), nullable=False),
        pa.field("sums", pa.list_(pa.float64()), nullable=False),
    ]
)
CONTROLS = pa.schema(
    [
        pa.field("campaign", pa.string(), nullable=False),
        pa.field("family", pa.string(), nullable=False),
        pa.field("control", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("information", pa.float64(), nullable=False),
    ]
)

SensorFamily = tuple[str, str]


class Stored(NamedTuple):
    """A state as tables: what is written, and read back bit for bit.

    Their metadata carry version, settings and the digest of what was told from outside.
    """

    evidence: pa.Table
    controls: pa.Table


class State:
    """Sums of all pairs up to and including the window `through`; None before the first.

    `outside` is the digest of the tables from outside by which units were made (`outside.Outside`).
    """

    def __init__(self, settings: Settings, outside: str = "") -> None:
        self.settings, self.outside = settings, outside
        self.lattice = Lattice.of(settings)
        self.through: int | None = None
        self.tallies: dict[tuple[str, str], Tally[SensorFamily]] = {}  # by arm and campaign
        self.controls: dict[str, Controls] = {}  # by campaign

    @property
    def width(self) -> int:
        """Return how many sums a pair has in an arm and sensor."""
        return len(SUMS) + self.lattice.log_theta.size

    def close(self, window: int, cells: pa.Table) -> None:
        """Add the cells of one window, which must come after all closed ones."""
        if self.through is not None and window <= self.through:
            raise ValueError(f"window {window} is closed already: evidence is added through {self.through}")
        self.through = window
        for (arm, campaign), block in _blocks(cells):
            self._add(arm, campaign, block)

    def store(self) -> Stored:
        """Return the state as tables, rows in order of their keys."""
        metadata = {
            "link_state_version": str(STATE_VERSION),
            "through": "" if self.through is None else str(self.through),
            "settings": msgspec.json.encode(self.settings).decode(),
            "outside": self.outside,
        }
        evidence = sorted(
            (arm, campaign, family, sensor, int(tally.times[row]), tally.sums[row].tolist())
            for (arm, campaign), tally in self.tallies.items()
            for (sensor, family), row in tally.place.items()
        )
        controls = sorted(
            (campaign, family, *control)
            for campaign, found in self.controls.items()
            for family in found.place
            for control in found.of(family)
        )
        return Stored(
            _table(evidence, EVIDENCE.with_metadata(metadata)), _table(controls, CONTROLS.with_metadata(metadata))
        )

    @classmethod
    def restore(cls, stored: Stored, settings: Settings, outside: str = "") -> "State":
        """Return the state that was stored; ValueError where it is of another version, other settings or tables."""
        metadata = {key.decode(): value.decode() for key, value in (stored.evidence.schema.metadata or {}).items()}
        if metadata.get("link_state_version") != str(STATE_VERSION):
            raise ValueError("the link state is of another version: rebuild it by replay")
        if msgspec.json.decode(metadata["settings"], type=Settings) != settings:
            raise ValueError("the link state was made under other settings: rebuild it by replay")
        if metadata.get("outside", "") != outside:
            raise ValueError("the link state was made with other tables from outside: rebuild it by replay")
        state = cls(settings, outside)
        state.through = int(metadata["through"]) if metadata["through"] else None
        for row in stored.evidence.to_pylist():
            tally = state.tallies.setdefault((row["arm"], row["campaign"]), Tally(state.width))
            tally.add([(row["sensor"], row["family"])], np.array([row["sums"]]))
            tally.times[-1] = row["windows"]
        for row in stored.controls.to_pylist():
            pair = [row["family"], row["control"]]
            values = [np.array([[0, row[name]], [0, 0]]) for name in ("score", "information")]
            state.controls.setdefault(row["campaign"], Controls()).add(pair, *values)
        return state

    def _add(self, arm: str, campaign: str, block: "_Block") -> None:
        from whimbrel.analysis.links.kernel import campaign_sums  # noqa: PLC0415 - Numba takes 0.3 s to import

        added = campaign_sums(block.starts, block.slot, block.family, block.at_risk, block.sent, self.lattice.log_theta)
        told = np.flatnonzero(added.slots[:, SUMS.index("tables")] > 0)
        if told.size:
            tally = self.tallies.setdefault((arm, campaign), Tally(self.width))
            tally.add([block.slots[slot] for slot in told.tolist()], added.slots[told])
            if arm == CONTROLLED_ARM:
                found = self.controls.setdefault(campaign, Controls())
                found.add(block.families, added.scores, added.information)


class _Block(NamedTuple):
    """The cells of one campaign in one window, in the form that `kernel.campaign_sums` takes."""

    starts: NDArray[np.int64]
    slot: NDArray[np.int64]
    family: NDArray[np.int64]
    at_risk: NDArray[np.int64]
    sent: NDArray[np.int64]
    slots: list[SensorFamily]
    families: list[str]


def _blocks(cells: pa.Table) -> Iterator[tuple[tuple[str, str], _Block]]:
    """Yield the cells campaign by campaign, in the order of all their keys."""
    if cells.num_rows == 0:
        return
    codes, names = _ranked(cells, ("arm", "campaign", *STRATUM, "family"))
    order = np.lexsort(codes[::-1])
    codes = [code[order] for code in codes]
    at_risk, sent = (cells[name].to_numpy().astype(np.int64)[order] for name in ("at_risk", "sent"))
    pair_ends = _ends(codes[:2])
    begin = 0
    for end in pair_ends:
        part = slice(begin, end)
        starts = np.concatenate([[0], _ends([code[part] for code in codes[:-1]])]).astype(np.int64)
        sensor, family = codes[3][part], codes[-1][part]
        both, slot = np.unique(sensor * len(names[-1]) + family, return_inverse=True)
        own, local = np.unique(family, return_inverse=True)
        slots = [(names[3][one // len(names[-1])], names[-1][one % len(names[-1])]) for one in both]
        block = _Block(starts, slot, local, at_risk[part], sent[part], slots, [names[-1][one] for one in own])
        yield (names[0][codes[0][begin]], names[1][codes[1][begin]]), block
        begin = end


def _ranked(table: pa.Table, columns: tuple[str, ...]) -> tuple[list[NDArray[np.int64]], list[list[str]]]:
    """Return each column as places in its distinct values, and these values in ascending order.

    Texts are compared once a distinct value: sorting the columns themselves took ten times as long.
    """
    ranks, names = [], []
    for column in columns:
        encoded = pc.dictionary_encode(table[column].combine_chunks())
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        values = encoded.dictionary.to_pylist()
        order = sorted(range(len(values)), key=values.__getitem__)
        rank = np.empty(len(values), np.int64)
        rank[order] = np.arange(len(values))
        ranks.append(rank[encoded.indices.to_numpy()])
        names.append([values[place] for place in order])
    return ranks, names


def _ends(codes: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return where each run of equal codes ends."""
    size = codes[0].size
    changed = np.zeros(max(size - 1, 0), dtype=bool)
    for code in codes:
        changed |= code[1:] != code[:-1]
    return np.append(np.flatnonzero(changed) + 1, size)


def _table(rows: Sequence[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [() for _ in schema]
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )

"""Many runs of one world through one relational pass, each as if it were alone.

Most of the time of a small run goes into writing SQL, once a pass whatever its rows.  So the observations of several
runs are laid together, with sensors, hosts and campaigns named by run: no stratum, unit or campaign is shared, and the
very functions of the link test see one larger world.  The small tables that come out are then taken apart by run and
lose the mark; `tests/bench/test_link_packs.py` holds each to what the run gives alone, bit for bit.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whimbrel.analysis.links import Evidence, Settings, State
from whimbrel.analysis.links.growing import tabulated

# A mark comes last and begins with a sign below all letters and digits: names keep their order, addresses their form.
_MARKED: Final = ("sensor", "host", "campaign")
_MARK: Final = "#{:03}"
_MARK_LENGTH: Final = len(_MARK.format(0))


class Run(NamedTuple):
    """What the relational part says of one run: cells window by window, campaigns and families."""

    windows: list[tuple[int, pa.Table]]
    campaigns: pa.Table
    families: pa.Table

    def looks(self, settings: Settings) -> Iterator[Evidence]:
        """Yield the evidence after each closed window; the state is one that grows."""
        state = State(settings)
        for window, cells in self.windows:
            state.close(window, cells)
            yield Evidence(state, self.campaigns, self.families)

    def evidence(self, settings: Settings) -> Evidence:
        """Return the evidence after the last closed window."""
        state = State(settings)
        for window, cells in self.windows:
            state.close(window, cells)
        return Evidence(state, self.campaigns, self.families)


def tabulate(runs: Sequence[pa.Table], settings: Settings, now: datetime) -> list[Run]:
    """Return each run's tables; all runs have the same columns and end."""
    if len(runs) == 1:
        with tabulated(runs[0], settings, now) as found:
            return [Run(list(found.windows()), found.campaigns, found.families)]
    with tabulated(together(runs), settings, now) as found:
        windows = [(window, _apart(cells, "campaign", len(runs))) for window, cells in found.windows()]
        campaigns = _apart(found.campaigns, "campaign", len(runs))
        families = _apart(found.families, "sensor", len(runs))
    return [
        Run([(window, parts[number]) for window, parts in windows], campaigns[number], families[number])
        for number in range(len(runs))
    ]


def together(runs: Sequence[pa.Table]) -> pa.Table:
    """Return the observations of all runs, names marked by run."""
    return pa.concat_tables([_marked(table, _MARK.format(number)) for number, table in enumerate(runs)])


def _marked(table: pa.Table, mark: str) -> pa.Table:
    for name in _MARKED:
        place = table.schema.get_field_index(name)
        column = table.column(place).combine_chunks()
        encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        texts = pc.binary_join_element_wise(encoded.dictionary.cast(pa.string()), mark, "")
        marked = pa.DictionaryArray.from_arrays(encoded.indices.cast(pa.int32()), texts)
        table = table.set_column(place, name, marked)
    return table


def _apart(table: pa.Table, by: str, count: int) -> list[pa.Table]:
    """Return the rows of each run in their order, names as they were."""
    texts = table[by].combine_chunks()
    number = pc.utf8_slice_codeunits(texts, -_MARK_LENGTH + 1).cast(pa.int64()).to_numpy(zero_copy_only=False)
    plain = table
    for name in set(_MARKED) & set(table.column_names):
        place = table.schema.get_field_index(name)
        cut = pc.utf8_slice_codeunits(table[name].combine_chunks(), 0, -_MARK_LENGTH)
        plain = plain.set_column(place, table.schema.field(name), cut)
    order = np.argsort(number, kind="stable")
    ends = np.searchsorted(number[order], np.arange(count + 1))
    ordered: Any = plain.take(pa.array(order))
    return [ordered.slice(ends[one], ends[one + 1] - ends[one]) for one in range(count)]

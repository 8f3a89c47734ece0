"""One append: any number of tables, live together when the batch ends, or not at all.

Rows wait in memory up to `FLUSH_BYTES`, then go to files, so a batch may be larger than memory.  The manifest's
transaction is open all the while: ids entered for a batch that fails are rolled back with it.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from whimbrel.evidence.files import discard, in_schema, storing, sync_folder
from whimbrel.evidence.layout import ID_COLUMN, STORED, day_numbered, day_numbers, write_slices
from whimbrel.evidence.manifest import Manifest
from whimbrel.model.columns import FACTS, OBSERVATIONS

# Large enough that 100,000 messages (about 1 KB of facts each) make two rounds of files, small enough to be a
# constant in the memory of an ingest.
FLUSH_BYTES = 64 * 1024 * 1024


class Batch:
    """What is being appended: `number` ascends from batch to batch, `added` counts rows that were new."""

    def __init__(self, folder: Path, manifest: Manifest, number: int) -> None:
        self.number = number
        self.added = {"observations": 0, "facts": 0}
        self._day_numbers: set[int] = set()
        self._folder = folder
        self._manifest = manifest
        self._waiting: dict[str, list[pa.Table]] = {"observations": [], "facts": []}
        self._waiting_bytes = 0
        self._written: list[Path] = []

    @property
    def days(self) -> set[date]:
        """The days of `seen_at` that got new rows."""
        return {day_numbered(number) for number in self._day_numbers}

    def observations(self, table: pa.Table) -> int:
        """Append rows of `OBSERVATIONS`; those whose id is known are dropped.  Return how many were new."""
        new = self._append("observations", in_schema(table, OBSERVATIONS))
        if new.num_rows:
            corrected = new.column("supersedes").drop_null().to_pylist()
            with storing(self._manifest.path):
                self._manifest.supersede(corrected, self.number)
        return int(new.num_rows)

    def correct(self, table: pa.Table, withdrawn: Sequence[bytes]) -> int:
        """Append corrections, whose `supersedes` names what no longer stands; nor do the ids `withdrawn`.

        A correction whose id is known is what stood before an earlier correction: it stands again, and is not new.
        """
        with storing(self._manifest.path):
            self._manifest.reinstate(table.column(ID_COLUMN["observations"]).to_pylist(), self.number)
            corrected = [*withdrawn, *table.column("supersedes").drop_null().to_pylist()]
            self._manifest.supersede(corrected, self.number)
        return int(self._append("observations", in_schema(table, OBSERVATIONS)).num_rows)

    def facts(self, table: pa.Table) -> int:
        """Append rows of `FACTS`; those whose message id is known are dropped.  Return how many were new."""
        return int(self._append("facts", in_schema(table, FACTS)).num_rows)

    def _append(self, kind: str, table: pa.Table) -> pa.Table:
        with storing(self._manifest.path):
            is_new = self._manifest.new_ids(kind, table.column(ID_COLUMN[kind]).to_pylist())
        if not all(is_new):
            table = table.filter(pa.array(is_new, pa.bool_()))
        if table.num_rows:
            self.added[kind] += table.num_rows
            self._day_numbers.update(day_numbers(table))
            self._waiting[kind].append(table)
            self._waiting_bytes += table.nbytes
            if self._waiting_bytes >= FLUSH_BYTES:
                with storing(self._folder):
                    self._flush()
        return table

    def _flush(self) -> None:
        for kind, tables in self._waiting.items():
            if tables:
                table = pa.concat_tables(tables)
                numbers = pa.array(np.full(table.num_rows, self.number, np.int64))
                stored = pa.Table.from_arrays([*table.columns, numbers], schema=STORED[kind])
                for file in write_slices(self._folder, kind, stored, self._written):
                    self._manifest.add_file(file)
                tables.clear()
        self._waiting_bytes = 0

    def finish(self) -> None:
        """Write what still waits and sync the folders: all but the commit."""
        with storing(self._folder):
            self._flush()
            for folder in {path.parent for path in self._written}:
                sync_folder(folder)

    def discard(self) -> None:
        """Remove the files of a batch that failed; what cannot be removed is swept at the next opening."""
        discard(self._written)

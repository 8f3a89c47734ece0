"""Simulated worlds with planted truth, as observations.

In: a world file (TOML) and a seed.  Out: Observation v1, as columns (`generate`, `batches`) or as lines (`to_lines`);
what is true of every pair of family and campaign (`truth`), and what an operator would know (`as_table`, `leases`).

It does not know how the truth will be looked for: no strata, no windows' tables, no statistics.  It simulates no
names, no message texts and no real networks, and reads no clock.  Used by the command line, tests and `bench/` only.

Read `simulation.py` first: it opens with the model.  `settings.py` has every number, `docs/worlds.md` what it means.
"""

from whimbrel.worlds.operator import as_table, leases
from whimbrel.worlds.reading import changed, checked, read_world
from whimbrel.worlds.settings import Bundle, Link, World
from whimbrel.worlds.simulation import batches, generate
from whimbrel.worlds.text import to_lines
from whimbrel.worlds.truth import Truth, truth

__all__ = [
    "Bundle",
    "Link",
    "Truth",
    "World",
    "as_table",
    "batches",
    "changed",
    "checked",
    "generate",
    "leases",
    "read_world",
    "to_lines",
    "truth",
]

"""The link test: are this family and this campaign connected?

In: observations (`model.columns.OBSERVATIONS`), as an Ibis table of any backend or an Arrow table, and `now`.  Out: one
verdict a pair and claim (`VERDICTS`), and on request all that a sceptic asks for about one pair (`explain_pair`).
Deliberately absent: any database (whoever calls holds it), names of people, and claims L3 and L4, which need tooling
and infrastructure compared.

Read `hypothesis.py` first: the null and the bet.  Then, as the data flow: `units.py` and `tables.py` (observations to
cells, as Ibis expressions; `kept.py` has them computed, `outside.py` is where networks and leases are told),
`reference.py` (the statistics of one stratum; `kernel.py` is its fast twin), `state.py` (sums that grow by closed
windows), `verdicts.py`.
"""

from whimbrel.analysis.links.columns import VERDICTS
from whimbrel.analysis.links.explain import Explanation, explain_pair
from whimbrel.analysis.links.growing import Evidence, grow
from whimbrel.analysis.links.settings import Settings
from whimbrel.analysis.links.state import State, Stored
from whimbrel.analysis.links.verdicts import judge, verdicts

__all__ = [
    "VERDICTS",
    "Evidence",
    "Explanation",
    "Settings",
    "State",
    "Stored",
    "explain_pair",
    "grow",
    "judge",
    "verdicts",
]

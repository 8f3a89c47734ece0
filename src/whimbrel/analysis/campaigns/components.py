"""Connected components of a bipartite graph, in whole-array steps.

Vertices are messages, numbered in canonical order; two are joined when they hold the same key.  The method is the
classic parallel one: every root hooks onto the smallest root that it meets, then paths are halved until flat
(Shiloach and Vishkin, "An O(log n) parallel connectivity algorithm", J. Algorithms 1982; hooking to the minimum as in
FastSV, Zhang, Azad and Hu, 2020). Roots only ever get smaller, so the end is reached, and the root of a component is
its earliest member.
"""

import numpy as np
from numpy.typing import NDArray


def component_roots(vertices: int, groups: NDArray[np.int64], members: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each vertex the smallest vertex of its component.

    `members[i]` belongs to `groups[i]`; members of one group are joined; `groups` is ascending.  Linear in `members`
    for each round; the rounds grow as the logarithm of the longest chain (13 for a chain of a million groups).
    """
    parent = np.arange(vertices, dtype=np.int64)
    if members.size == 0:
        return parent
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    sizes = np.diff(np.r_[starts, groups.size])
    while True:
        roots = parent[members]
        smallest = np.repeat(np.minimum.reduceat(roots, starts), sizes)
        hooking = smallest < roots
        if not hooking.any():
            return parent
        np.minimum.at(parent, roots[hooking], smallest[hooking])
        parent = _flattened(parent)


def _flattened(parent: NDArray[np.int64]) -> NDArray[np.int64]:
    while True:
        grandparent = parent[parent]
        if np.array_equal(grandparent, parent):
            return parent
        parent = grandparent

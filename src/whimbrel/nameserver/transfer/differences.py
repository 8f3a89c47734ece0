"""What changed between two snapshots, and a bounded history of it: what IXFR answers from (RFC 1995).

A change is a key and what was said of it before and after: 16 bytes for a host.  The two lists are compared a part at a
time, so that ten million entries take no memory of their own.
"""

from collections import deque
from collections.abc import Iterator
from itertools import dropwhile, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whimbrel.nameserver.transfer import owners
from whimbrel.nameserver.transfer.hosts import PART_ROWS, Hosts
from whimbrel.nameserver.transfer.networks import network_names
from whimbrel.nameserver.transfer.said import Said, Sayings
from whimbrel.wire.snapshot import Snapshot

# What is kept: names (16 MB, if hosts), and steps from one list to the next (at two lists a second: eight minutes).
MAX_NAMES = 1_000_000
MAX_STEPS = 1_000

_NOTHING = 0  # in a change: nothing was said of the key
_END = 1 << 64  # above every key
_Numbers = NDArray[np.uint32]


class HostChanges(NamedTuple):
    """Hosts of one family that changed: keys, and what was said `before` and `after`, as places in `said`, from 1."""

    key: NDArray[np.uint64]
    before: _Numbers
    after: _Numbers


class Difference(NamedTuple):
    """All that changed from one serial to the next; `networks`: by name, what it said before and after."""

    since: int
    serial: int
    said: list[Said]
    hosts: dict[int, HostChanges]
    networks: dict[bytes, tuple[Said | None, Said | None]]

    @property
    def names(self) -> int:
        """How many names changed."""
        return sum(len(changes.key) for changes in self.hosts.values()) + len(self.networks)

    def removed(self) -> Iterator[bytes]:
        """Yield the records that are no more, in wire form."""
        return self._records(before=True)

    def added(self) -> Iterator[bytes]:
        """Yield the records that are new, in wire form."""
        return self._records(before=False)

    def _records(self, *, before: bool) -> Iterator[bytes]:
        for owner, was, now, target in self._changes():
            here, there = (was, now) if before else (now, was)
            if here is None:
                continue
            if there is None or there.code != here.code:
                yield owner + here.a_record()
            if there is None or there.text != here.text:
                yield owner + here.txt_record(target)

    def _changes(self) -> Iterator[tuple[bytes, Said | None, Said | None, str]]:
        said = [None, *self.said]
        for family, changes in self.hosts.items():
            for key, before, after in zip(*(column.tolist() for column in changes), strict=True):
                target = owners.written(family, key, owners.BITS[family])
                for owner in owners.owners_of_host(family, key):
                    yield owner, said[before], said[after], target
        for owner, (was, now) in self.networks.items():
            yield owner, was, now, ""


class Step(NamedTuple):
    """The way to a new list: what changed, None where all of it is to be had anew; the names of its networks."""

    snapshot: Snapshot
    networks: dict[bytes, Said]
    difference: Difference | None


class History:
    """The differences from one list in force to the next, the newest of them within bounds.

    Names of networks are kept of the list in force, to compare the next one with.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._networks = dict(network_names(snapshot, Sayings(snapshot)))
        self._differences: deque[Difference] = deque()
        self._names = 0

    def step_to(self, snapshot: Snapshot) -> Step:
        """Return the step to a newer list; changes nothing, so it may be made in a thread."""
        networks = dict(network_names(snapshot, Sayings(snapshot)))
        if snapshot.zone != self._snapshot.zone:  # other names, or name servers: all of it anew
            return Step(snapshot, networks, None)
        return Step(snapshot, networks, _difference(self._snapshot, snapshot, self._networks, networks))

    def take(self, step: Step) -> None:
        """Go on from a newer list."""
        self._snapshot, self._networks = step.snapshot, step.networks
        if step.difference is None:
            self._differences.clear()
            self._names = 0
            return
        self._differences.append(step.difference)
        self._names += step.difference.names
        while self._names > MAX_NAMES or len(self._differences) > MAX_STEPS:
            self._names -= self._differences.popleft().names

    def since(self, serial: int) -> list[Difference] | None:
        """Return the differences from a serial to the list in force; None: not known, or not less than the list."""
        known = list(dropwhile(lambda difference: difference.since != serial, self._differences))
        names = sum(difference.names for difference in known)
        return known if known and names <= len(self._snapshot) else None


def _difference(
    old: Snapshot, new: Snapshot, old_networks: dict[bytes, Said], new_networks: dict[bytes, Said]
) -> Difference:
    numbers: dict[Said, int] = {}
    maps = [_numbered(Sayings(snapshot), numbers) for snapshot in (old, new)]
    hosts = {family: _host_changes(Hosts(old, family), Hosts(new, family), *maps) for family in (4, 6)}
    # Only what is still spoken of is kept.
    used = np.unique(np.concatenate([column for changes in hosts.values() for column in changes[1:]]))
    used = used[used != _NOTHING]
    place = np.zeros(len(numbers) + 1, np.uint32)
    place[used] = np.arange(1, len(used) + 1)
    said = list(numbers)
    return Difference(
        old.serial,
        new.serial,
        [said[number - 1] for number in used.tolist()],
        {family: HostChanges(each.key, place[each.before], place[each.after]) for family, each in hosts.items()},
        {
            owner: (old_networks.get(owner), new_networks.get(owner))
            for owner in {**old_networks, **new_networks}
            if old_networks.get(owner) != new_networks.get(owner)
        },
    )


def _numbered(sayings: Sayings, numbers: dict[Said, int]) -> _Numbers:
    """Return what each class says as a number of its own, from 1, the same for both lists."""
    each = (numbers.setdefault(sayings[number], len(numbers) + 1) for number in range(len(sayings)))
    return np.fromiter(each, np.uint32, len(sayings))


def _host_changes(old: Hosts, new: Hosts, old_map: _Numbers, new_map: _Numbers) -> HostChanges:
    found = [HostChanges(np.empty(0, np.uint64), np.empty(0, np.uint32), np.empty(0, np.uint32))]
    for low, high in pairwise([*_bounds(old, new), _END]):
        found.append(_changed(_said(old, low, high, old_map), _said(new, low, high, new_map)))
    return HostChanges(*(np.concatenate(columns) for columns in zip(*found, strict=True)))


def _bounds(old: Hosts, new: Hosts) -> list[int]:
    """Return keys between which neither list has more rows than a part."""
    return sorted({0} | {hosts.key_at(row) for hosts in (old, new) for row in range(0, len(hosts), PART_ROWS)})


def _said(hosts: Hosts, low: int, high: int, said: _Numbers) -> tuple[NDArray[np.uint64], _Numbers]:
    """Return the keys from `low` to before `high`, and what is said of each."""
    keys, classes = hosts.part(hosts.row_of(low), len(hosts) if high == _END else hosts.row_of(high))
    return keys, said[classes]


def _changed(old: tuple[NDArray[np.uint64], _Numbers], new: tuple[NDArray[np.uint64], _Numbers]) -> HostChanges:
    keys = np.union1d(old[0], new[0])
    before, after = np.zeros(len(keys), np.uint32), np.zeros(len(keys), np.uint32)
    before[np.searchsorted(keys, old[0])] = old[1]
    after[np.searchsorted(keys, new[0])] = new[1]
    changed = before != after
    return HostChanges(keys[changed], before[changed], after[changed])

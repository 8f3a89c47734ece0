"""Indices that are derived when a list is loaded, so that a search of it makes few steps and waits for memory once.

A step of a search is a guess that is wrong half of the time: it costs as much as the memory that it waits for.  So IPv4
hosts are looked for among some five of a small part of the space, and IPv6 ones, whose keys crowd so that no equal
parts would do, by a hash.  Neither is in the file: they would make it longer, and take milliseconds to make.
"""

import secrets

import numpy as np

from whimbrel.nameserver.fast.insides import compiled, signed, unsigned
from whimbrel.nameserver.fast.search import EMPTY, Array, next_slot, slot_of

_BLOCK_BITS = 16
_FEWEST_CELL_BITS = 8
# Cells are a fourth to an eighth as many as entries, so the index takes at most a byte an entry: 8 MB for ten million,
# beside the 30 of the list.
_ENTRIES_TO_CELLS_BITS = 3
_SLOTS_PER_ENTRY = 2  # four bytes each; more entries to a slot would be shorter, and have longer ways


def cell_bits_of(entries: int) -> int:
    """Return how many bits of an address tell places within a cell apart, where so many hosts are listed."""
    bits = entries.bit_length() - _ENTRIES_TO_CELLS_BITS
    return min(_BLOCK_BITS, max(_FEWEST_CELL_BITS, 32 - bits))


def cells_of(block: Array, suffix: Array, cell_bits: int) -> Array:
    """Return the row at which each cell begins, and the number of rows, from the index by /16 and the suffixes."""
    if cell_bits == _BLOCK_BITS:
        return block
    cells = np.zeros((1 << 32 - cell_bits) + 1, np.uint32)
    _fill_cells(block, suffix, cell_bits, cells)
    cells.flags.writeable = False
    return cells


def slots_of(keys: Array, seed: int) -> Array:
    """Return the hash table of distinct keys: in each slot a row with a tag above its bits, or EMPTY."""
    slots = np.full(_SLOTS_PER_ENTRY * len(keys), EMPTY, np.uint32)
    _fill_slots(keys, seed, row_bits_of(keys), slots)
    slots.flags.writeable = False
    return slots


def row_bits_of(keys: Array) -> int:
    """Return how many bits of a slot are a row; no row has all of them set, so no slot that is taken is EMPTY."""
    return len(keys).bit_length()


def new_seed() -> int:
    """Return two random odd numbers of 31 bits, side by side: nobody can have keys listed that share their slots."""
    return (_odd() << 32) | _odd()


def _odd() -> int:
    return 1 << 30 | secrets.randbits(30) | 1


@compiled
def _fill_cells(block: Array, suffix: Array, cell_bits: int, cells: Array) -> None:
    for number in range(len(block) - 1):
        behind = (number << _BLOCK_BITS - cell_bits) + 1
        for row in range(signed(block[number]), signed(block[number + 1])):
            cells[unsigned(behind + (suffix[unsigned(row)] >> cell_bits))] = row + 1  # the last one's stays
    for cell in range(1, len(cells)):
        cells[cell] = max(cells[cell], cells[cell - 1])  # where nothing is listed, the last one before


@compiled
def _fill_slots(keys: Array, seed: int, row_bits: int, slots: Array) -> None:
    for row in range(len(keys)):
        at, tag = slot_of(keys[row], seed, len(slots))
        while slots[unsigned(at)] != EMPTY:
            at = next_slot(slots, at)
        slots[unsigned(at)] = tag >> row_bits << row_bits | row

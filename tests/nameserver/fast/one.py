"""The answer to one packet, as it is compiled for tests: in a file of its own, so that all of them find it compiled.

Numba keeps compiled code by the file that the outermost function is in.
"""

from whimbrel.nameserver.fast import answer as fast
from whimbrel.nameserver.fast.search import Array, Lists


def one(packet: Array, length: int, lists: Lists, now: int, soon: int) -> int:
    return fast.answer(packet, length, lists, now, soon, False)

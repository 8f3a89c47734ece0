"""The compiled packet loop alone, on one socket, without the server around it: `bare.py SNAPSHOT PORT`.

What the server costs above this is guards that limit and the change of lists: here nobody is limited, but all is
counted.  What the loop hands on is not answered.
"""

import mmap
import socket
import sys
from pathlib import Path

from whimbrel.nameserver.counters import Counters
from whimbrel.nameserver.fast.guarded import guards_of
from whimbrel.nameserver.fast.loop import EXPIRES, Loop
from whimbrel.nameserver.fast.tables import lists_of
from whimbrel.nameserver.guards.guard import Guard
from whimbrel.nameserver.guards.settings import GuardSettings
from whimbrel.wire.snapshot import Snapshot

_RECEIVE_BUFFER_BYTES = 4 << 20  # as the server's


def main() -> None:
    """Answer until killed."""
    path, port = Path(sys.argv[1]), int(sys.argv[2])
    with path.open("rb") as file:
        snapshot = Snapshot(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        listening.bind(("127.0.0.1", port))
        loop, lists = Loop(listening.fileno()), lists_of(snapshot)
        loop.control[EXPIRES] = snapshot.expires
        guards = guards_of(Guard(GuardSettings(rate=0), Counters().counts), loop.cookie)
        while True:
            loop.run(lists, guards)


if __name__ == "__main__":
    main()

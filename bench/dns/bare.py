"""The compiled packet loop alone, on one socket, without the server around it: `bare.py SNAPSHOT PORT`.

What the server costs above this is guards, counts and the change of lists.  What the loop hands on is not answered.
"""

import mmap
import socket
import sys
from pathlib import Path

from whimbrel.nameserver.fast.loop import EXPIRES, Loop
from whimbrel.nameserver.fast.tables import lists_of
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
        while True:
            loop.run(lists)


if __name__ == "__main__":
    main()

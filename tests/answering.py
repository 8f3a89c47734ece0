"""A name server of a test's own: whatever it is given to answer with, and the names that it was asked for."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dns.message


@contextmanager
def answering(ours: socket.socket, respond: Callable[[bytes], bytes | None]) -> Iterator[list[str]]:
    """Answer on a bound UDP socket in a thread; gives the names asked for so far.  None stays without an answer."""
    asked: list[str] = []
    done = threading.Event()
    ours.settimeout(0.05)

    def loop() -> None:
        while not done.is_set():
            try:
                packet, client = ours.recvfrom(65_535)
            except TimeoutError:
                continue
            asked.append(dns.message.from_wire(packet).question[0].name.to_text().lower())
            response = respond(packet)
            if response is not None:
                ours.sendto(response, client)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield asked
    finally:
        done.set()
        thread.join()

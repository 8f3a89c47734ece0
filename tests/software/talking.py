"""Lists that are not `whimbrel serve`: one that can be listened to, and one that is broken."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dns.message
import dns.rrset
from tests.answering import answering
from tests.software.machine import Machine


@contextmanager
def talking(
    machine: Machine, respond: Callable[[bytes], bytes | None], address: str = "127.0.0.1", port: int = 5300
) -> Iterator[list[str]]:
    """Answer over UDP in a machine; gives the names asked for so far."""
    with machine.inside(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind((address, port))
        with answering(ours, respond) as asked:
            yield asked


def silence(_: bytes) -> None:
    """Answer nothing, as a list does whose machine hangs, or whose network drops packets."""


def complaint(packet: bytes) -> bytes:
    """Answer as lists do that will not serve whoever asks: 127.255.255.254 for every name (INTEROP)."""
    query = dns.message.from_wire(packet)
    response = dns.message.make_response(query)
    response.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "127.255.255.254"))
    return response.to_wire()

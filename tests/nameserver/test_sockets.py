"""Sockets bound, taken over, and shared by several threads."""

import os
import socket
import sys
from pathlib import Path

import pytest

from whimbrel.errors import ConfigError
from whimbrel.nameserver import Endpoint, adopt, bind
from whimbrel.nameserver.sockets import more_sockets


def test_what_are_no_sockets_is_one_line() -> None:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as datagrams, Path("/dev/null").open() as file:
        for descriptors in ([os.dup(file.fileno())] * 2, [os.dup(tcp.fileno())], [999, 998]):
            with pytest.raises(ConfigError, match="cannot be taken over"):
                adopt(descriptors)
        with pytest.raises(ConfigError, match="not UDP and TCP by turns"):
            adopt([os.dup(tcp.fileno()), os.dup(datagrams.fileno())])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_further_sockets_share_the_address_and_each_query_reaches_one(host: str) -> None:
    (bound,) = bind([Endpoint(host, 0)])
    shared = [bound.udp, *more_sockets(bound.udp, 2)]
    try:
        assert len({each.getsockname() for each in shared}) == 1
        for _ in range(40):  # each from a port of its own
            with socket.socket(bound.udp.family, socket.SOCK_DGRAM) as client:
                client.sendto(b"x", bound.udp.getsockname())
        came = [0, 0, 0]
        for number, each in enumerate(shared):
            while True:
                try:
                    each.recv(10)
                except BlockingIOError:
                    break
                came[number] += 1
        assert sum(came) == 40
        assert min(came) > 0
    finally:
        for each in (*shared, bound.tcp):
            each.close()


def test_sockets_beside_get_nothing_until_told() -> None:
    (bound,) = bind([Endpoint("127.0.0.1", 0)], beside=2)
    try:
        assert len(bound.beside) == (2 if sys.platform.startswith("linux") else 0)
        for _ in range(40):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(b"x", bound.udp.getsockname())
        for _ in range(40):
            bound.udp.recv(10)
        for each in bound.beside:
            with pytest.raises(BlockingIOError):
                each.recv(10)
    finally:
        for each in (bound.udp, bound.tcp, *bound.beside):
            each.close()


def test_a_socket_that_shares_with_nobody_is_left_alone() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
        first.bind(("127.0.0.1", 0))
        before = len(list(Path("/dev/fd").iterdir()))
        with pytest.raises(OSError, match="in use"):
            more_sockets(first, 2)
        assert len(list(Path("/dev/fd").iterdir())) == before

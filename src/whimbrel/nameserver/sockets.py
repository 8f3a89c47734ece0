"""Sockets of a name server: bound here, or taken over from a parent process that keeps them open."""

import errno
import logging
import socket
from collections.abc import Sequence
from typing import NamedTuple

from whimbrel.errors import ConfigError
from whimbrel.model.endpoint import Endpoint
from whimbrel.nameserver.steering import attach, program

# RFC 7766, section 6.2.2 asks for a limit; BIND's `tcp-clients` is 150.
MAX_TCP_CONNECTIONS = 150
# Room for queries that come while Python collects garbage: 4 MB hold about 5,000 of them with the kernel's overhead.
# The kernel cuts it to net.core.rmem_max, but for those who may go beyond (CAP_NET_ADMIN).
_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h
# With port 0 the kernel picks for the first socket; another program may hold that number on the next.
_PORT_ATTEMPTS = 20

_log = logging.getLogger(__name__)


class Bound(NamedTuple):
    """An endpoint and its sockets; those `beside` share the UDP socket's address, and get nothing yet."""

    endpoint: Endpoint
    udp: socket.socket
    tcp: socket.socket
    beside: tuple[socket.socket, ...] = ()


def adopt(descriptors: Sequence[int]) -> list[Bound]:
    """Return the sockets that a parent process bound and left open: of each endpoint UDP, then TCP.

    Raises ConfigError where they are none.
    """
    opened: list[socket.socket] = []
    problem = "they are not UDP and TCP by turns"
    try:
        opened += (socket.socket(fileno=descriptor) for descriptor in descriptors)
        pairs = list(zip(opened[::2], opened[1::2], strict=True))
    except (OSError, ValueError) as error:
        pairs, problem = [], str(error)
    if not pairs or any((udp.type, tcp.type) != (socket.SOCK_DGRAM, socket.SOCK_STREAM) for udp, tcp in pairs):
        for each in opened:
            each.close()
        raise ConfigError(f"sockets {', '.join(map(str, descriptors))} cannot be taken over: {problem}")
    for each in opened:
        each.setblocking(False)
    return [Bound(Endpoint(*udp.getsockname()[:2]), udp, tcp) for udp, tcp in pairs]


def bind(listen: Sequence[Endpoint], beside: int = 0) -> list[Bound]:
    """Return bound sockets for every endpoint; those with port 0 share one number.

    `beside` is how many further UDP sockets each is to have: another user than the first one's cannot open them later.
    Raises ConfigError where one cannot be had.
    """
    for _ in range(_PORT_ATTEMPTS):
        pairs: list[Bound] = []
        free_port = 0
        try:
            for endpoint in listen:
                pairs.append(_bound_pair(Endpoint(endpoint.address, endpoint.port or free_port), beside))
                if not endpoint.port:
                    free_port = pairs[-1].endpoint.port
        except OSError as error:
            if pairs and endpoint is listen[-1] and _lacks_ipv6(endpoint, error):
                _log.warning("this machine has no IPv6: not listening on %s", endpoint.address)
                return pairs
            _close(pairs)
            if error.errno == errno.EADDRINUSE and not endpoint.port:
                continue
            raise _cannot_listen(endpoint, error) from None
        return pairs
    raise ConfigError(f"no port is free on all of {', '.join(endpoint.address for endpoint in listen)}; name one")


def _lacks_ipv6(endpoint: Endpoint, error: OSError) -> bool:
    """Tell whether an error only means that the machine was started without IPv6."""
    return endpoint.address == "::1" and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def _bound_pair(endpoint: Endpoint, beside: int) -> Bound:
    udp = _socket(endpoint, socket.SOCK_DGRAM)
    try:
        endpoint = Endpoint(endpoint.address, udp.getsockname()[1])
        return Bound(endpoint, udp, _socket(endpoint, socket.SOCK_STREAM), _waiting(udp, beside))
    except OSError:
        udp.close()
        raise


def _waiting(first: socket.socket, count: int) -> tuple[socket.socket, ...]:
    """Return further sockets that get nothing so far; none where the system cannot leave all to the first."""
    if not count:
        return ()
    try:
        attach(first, program((), first.family, 1))
    except OSError:
        return ()
    return tuple(more_sockets(first, count))


def _socket(endpoint: Endpoint, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
    bound = socket.socket(family, kind)
    try:
        bound.setblocking(False)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_DGRAM:
            _make_room(bound, _RECEIVE_BUFFER_BYTES)
            if hasattr(socket, "SO_REUSEPORT"):  # for the sockets of further workers; TCP tells of another program
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past connections in TIME_WAIT do not block
        bound.bind((endpoint.address, endpoint.port))
        if kind == socket.SOCK_STREAM:
            # Here, not later: two that share a bound port find out only when they listen.
            bound.listen(MAX_TCP_CONNECTIONS)
    except OSError:
        bound.close()
        raise
    return bound


def _make_room(bound: socket.socket, size: int) -> None:
    try:
        bound.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except OSError:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def _close(pairs: list[Bound]) -> None:
    for pair in pairs:
        for each in (pair.udp, pair.tcp, *pair.beside):
            each.close()


def _cannot_listen(endpoint: Endpoint, error: OSError) -> ConfigError:
    where = f"cannot listen on {endpoint.address} port {endpoint.port}"
    if error.errno == errno.EADDRINUSE:
        return ConfigError(f"{where}: in use by another program; end that one, or give another port (0: a free one)")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ConfigError(f"{where}: not permitted; give a port above 1023, or grant CAP_NET_BIND_SERVICE")
    return ConfigError(f"{where}: {error.strerror or error}; give an address of this machine")


def more_sockets(first: socket.socket, count: int) -> list[socket.socket]:
    """Return so many further UDP sockets on the address of one that allows it (SO_REUSEPORT): the kernel spreads.

    Raises OSError where not all can be had: the first is another user's, or does not allow it.
    """
    made: list[socket.socket] = []
    try:
        for _ in range(count):
            each = socket.socket(first.family, socket.SOCK_DGRAM)
            made.append(each)
            each.setblocking(False)
            if first.family == socket.AF_INET6:
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            _make_room(each, first.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2)  # Linux tells twice the size
            each.bind(first.getsockname())
    except OSError:
        for each in made:
            each.close()
        raise
    return made

"""Programs of sockets' groups: run by a simulator of classic BPF beside plain arithmetic, and by the real kernel."""

import errno
import random
import socket
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from whimbrel.nameserver import Endpoint, bind, steering
from whimbrel.nameserver.guards.access import Network
from whimbrel.nameserver.sockets import more_sockets
from whimbrel.nameserver.steering import (
    KNOWN,
    MOST_INSTRUCTIONS,
    STRANGERS,
    Instruction,
    attach,
    fitting,
    program,
    steer,
)

_HEADER_AT = 0xFFF00000
_WORD = 0xFFFFFFFF


@pytest.fixture
def chance() -> random.Random:
    return random.Random(6)


def run(instructions: Sequence[Instruction], header: bytes) -> int:
    """Return what the kernel would: only forward jumps within the program, only loads within the header."""
    a = x = at = 0
    while True:
        operation, value, yes, no = instructions[at]
        assert 0 <= yes <= 255
        assert 0 <= no <= 255
        at += 1
        if operation in (steering.LOAD_WORD, steering.LOAD_HALF, steering.LOAD_BYTE):
            size = {steering.LOAD_WORD: 4, steering.LOAD_HALF: 2, steering.LOAD_BYTE: 1}[operation]
            a = loaded(header, value - _HEADER_AT, size)
        elif operation == steering.LOAD_HALF_BEHIND_X:
            a = loaded(header, value - _HEADER_AT + x, 2)
        elif operation == steering.LOAD_HEADER_BYTES_TO_X:
            x = 4 * (header[value - _HEADER_AT] & 0xF)
        elif operation == steering.JUMP:
            at += value
        elif operation == steering.RETURN:
            return value
        elif operation == steering.RETURN_A:
            return a
        elif operation == steering.A_TO_X:
            x = a
        elif operation == steering.X_TO_A:
            a = x
        else:
            holds = {steering.IF_EQUAL: a == value, steering.IF_ABOVE: a > value, steering.IF_NOT_BELOW: a >= value}
            if operation in holds:
                at += yes if holds[operation] else no
                continue
            a = {
                steering.ADD: a + value,
                steering.ADD_X: a + x,
                steering.MULTIPLY: a * value,
                steering.REMAINDER: a % value if value else 0,
                steering.SHIFT_RIGHT: a >> value % 32,
            }[operation] & _WORD


def loaded(header: bytes, at: int, size: int) -> int:
    assert 0 <= at <= len(header) - size
    return int.from_bytes(header[at : at + size], "big")


def header(source: IPv4Address | IPv6Address, port: int = 5353, options: int = 0) -> bytes:
    """An IP header, with some words of options, and the UDP ports."""
    if source.version == 4:
        head = bytes([0x45 + options]) + bytes(11) + source.packed + bytes(4 + 4 * options)
    else:
        head = b"\x60" + bytes(7) + source.packed + bytes(16)
    return head + port.to_bytes(2, "big") + b"\0\x35"


def family_of(version: int) -> int:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def networks_of(version: int, count: int, chance: random.Random) -> list[Network]:
    """Networks near each other and far apart, nested and adjacent, at both ends of the space."""
    bits = 32 if version == 4 else 128
    found: list[Network] = []
    while len(found) < count:
        base = chance.choice((0, (1 << bits) - 1, chance.getrandbits(bits), int(found[-1][0]) if found else 0))
        if version == 6 and chance.random() < 0.5:
            base ^= chance.getrandbits(2) << 64
        length = chance.randint(4, 64 if version == 6 else 32)
        found.append(ip_network((base >> bits - length << bits - length, length)))
    return found


@pytest.mark.parametrize("version", [4, 6])
def test_any_networks_are_told_as_plain_arithmetic_tells_them(version: int, chance: random.Random) -> None:
    bits = 32 if version == 4 else 128
    for count in (0, 1, 2, 3, 7, 60, 400):
        networks = networks_of(version, count, chance)
        code = program(networks, family_of(version), 1)
        probes = [chance.getrandbits(bits) for _ in range(200)]
        for each in chance.sample(networks, min(count, 100)):
            first, last = int(each[0]), int(each[-1])
            probes += [first, last, max(first - 1, 0), min(last + 1, (1 << bits) - 1)]
        for probe in probes:
            address = ip_address(probe.to_bytes(bits // 8, "big"))
            expected = KNOWN if any(address in each for each in networks) else STRANGERS
            assert run(code, header(address)) == expected, (address, networks)


def test_ipv6_is_told_by_the_64_and_other_versions_are_strangers() -> None:
    code = program([ip_network("2001:db8:1:2::5/128"), ip_network("192.0.2.0/24")], socket.AF_INET6, 1)
    assert run(code, header(ip_address("2001:db8:1:2:ffff::1"))) == KNOWN
    assert run(code, header(ip_address("2001:db8:1:3::5"))) == STRANGERS
    assert run(code, header(ip_address("192.0.2.1"), options=5)) == STRANGERS


@pytest.mark.parametrize("version", [4, 6])
def test_workers_share_evenly_and_one_client_stays_with_one(version: int, chance: random.Random) -> None:
    known = ip_network("192.0.2.0/24" if version == 4 else "2001:db8::/32")
    code = program([known], family_of(version), 3)
    counted = [0] * 6
    for number in range(3000):
        base = known[number % 100] if number % 2 else ip_address("203.0.113.9" if version == 4 else "2001:1::9")
        port, options = chance.randint(1024, 65535), chance.randint(0, 10)
        which = run(code, header(base, port, options))
        assert run(code, header(base, port, 0)) == which
        assert which % 2 == (KNOWN if number % 2 else STRANGERS)
        counted[which] += 1
    assert min(counted) > 350


def test_one_class_is_spread_and_nothing_else(chance: random.Random) -> None:
    code = program([], socket.AF_INET, 4, classes=1)
    found = [run(code, header(IPv4Address(chance.getrandbits(32)), chance.randint(1, 65535))) for _ in range(400)]
    assert {*found} == {0, 1, 2, 3}
    assert run(program([], socket.AF_INET, 1, classes=1), header(IPv4Address("192.0.2.1"))) == 0


def test_how_many_fit_and_how_long_a_search_is(chance: random.Random) -> None:
    """Two instructions an IPv4 network; an IPv6 one in a /32 of its own takes five or six."""
    v4 = [ip_network((number << 12, 28)) for number in range(4000)]
    assert 2000 <= fitting(v4, socket.AF_INET, 1) <= 2048
    v6 = [ip_network((number << 101 | 5 << 72, 56)) for number in range(4000)]
    assert 650 <= fitting(v6, socket.AF_INET6, 1) <= 820
    for networks, family in ((v4, socket.AF_INET), (v6, socket.AF_INET6)):
        fits = fitting(networks, family, 1)
        assert (
            len(program(networks[:fits], family, 1))
            <= MOST_INSTRUCTIONS
            < len(program(networks[: fits + 3], family, 1))
        )
    beside = [ip_network((number << 4, 28)) for number in range(4000)]
    assert fitting(beside, socket.AF_INET, 1) == 4000  # one range


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="SO_ATTACH_REUSEPORT_CBPF is Linux's")


def arrived(group: Sequence[socket.socket]) -> list[int]:
    """Return the numbers of the sockets that got something, once for each datagram."""
    found = []
    for number, each in enumerate(group):
        try:
            while True:
                each.recv(16)
                found.append(number)
        except BlockingIOError:
            pass
    return found


def sent_from(source: str, to: socket.socket, port: int = 0) -> None:
    with socket.socket(to.family, socket.SOCK_DGRAM) as client:
        client.bind((source, port))
        client.sendto(b"x", to.getsockname())


@linux
def test_the_kernel_steers_a_known_source_to_its_socket() -> None:
    (bound,) = bind([Endpoint("127.0.0.1", 0)])
    group = [bound.udp, *more_sockets(bound.udp, 1)]
    try:
        assert steer(bound.udp, [ip_network("127.9.0.0/16"), ip_network("127.0.7.7"), ip_network("::1")], 1) == 0
        for source, expected in (("127.9.255.1", 1), ("127.0.7.7", 1), ("127.0.7.8", 0), ("127.8.255.255", 0)):
            sent_from(source, bound.udp)
            assert arrived(group) == [expected], source
        steer(bound.udp, [], 1)
        sent_from("127.9.255.1", bound.udp)
        assert arrived(group) == [0]
    finally:
        for each in (*group, bound.tcp):
            each.close()


@linux
def test_the_kernel_steers_ipv6_and_spreads_over_workers() -> None:
    (bound,) = bind([Endpoint("::1", 0)])
    group = [bound.udp, *more_sockets(bound.udp, 3)]
    try:
        for networks, expected in (([ip_network("::/64")], {1, 3}), ([ip_network("1::/64")], {0, 2})):
            steer(bound.udp, networks, 2)
            for _ in range(40):
                sent_from("::1", bound.udp)
            assert {*arrived(group)} == expected
    finally:
        for each in (*group, bound.tcp):
            each.close()


@linux
@pytest.mark.parametrize("version", [4, 6])
def test_the_kernel_takes_the_longest_program(version: int, chance: random.Random) -> None:
    (bound,) = bind([Endpoint("127.0.0.1" if version == 4 else "::1", 0)])
    networks = [ip_network((chance.getrandbits(24) << 8, 24)) for _ in range(5000)]
    if version == 6:
        networks = [ip_network((chance.getrandbits(56) << 72, 56)) for _ in range(5000)]
    try:
        assert 2500 < steer(bound.udp, networks, 4) < 4400
    finally:
        bound.udp.close()
        bound.tcp.close()


def test_a_kernel_with_less_memory_for_it_gets_a_shorter_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def bounded(member: socket.socket, instructions: Sequence[Instruction]) -> None:
        if len(instructions) > 500:
            raise OSError(errno.ENOMEM, "no memory")

    monkeypatch.setattr(steering, "attach", bounded)
    networks = [ip_network((number << 12, 28)) for number in range(2000)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as member:
        assert 1740 < steer(member, networks, 1) < 1850


@linux
def test_what_is_no_group_is_an_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as alone, pytest.raises(OSError, match="Invalid argument"):
        attach(alone, program([], socket.AF_INET, 1))

"""Where to listen, or to ask: an address and a port."""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import NamedTuple


class Endpoint(NamedTuple):
    """An address and port; where to listen, port 0 means a free one."""

    address: str
    port: int

    def __str__(self) -> str:
        """Return it as it is written: IPv6 in brackets."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def strangers(listen: Iterable[Endpoint]) -> list[Endpoint]:
    """Return the endpoints that others than this machine can ask."""
    return [endpoint for endpoint in listen if not ip_address(endpoint.address).is_loopback]


def parse_endpoint(text: str, default_port: int | None = None) -> Endpoint:
    """Read `127.0.0.1:53` or `[::1]:53`, or, with a default port, the address alone.

    Raises ValueError for anything else.
    """
    bare = text.startswith("[") or text.count(":") < 2  # an IPv6 address with a port stands in brackets
    address, _, port = text.rpartition(":") if bare and ":" in text.rpartition("]")[2] else (text, "", "")
    if not port and default_port is None:
        raise ValueError(f"{text!r} names no port")
    number = int(port) if port else default_port
    assert number is not None
    if not 0 <= number <= 65_535:
        raise ValueError(f"{number} is no port")
    return Endpoint(str(ip_address(address.removeprefix("[").removesuffix("]"))), number)

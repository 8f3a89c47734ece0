"""The list of formats: one line each, by the name that the command line takes."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from whimbrel.publishing.exports import firewalls, intelligence, postfix, rbldnsd, tables, zones
from whimbrel.publishing.exports.content import Content


class Format(NamedTuple):
    """A format: who reads it, and its lines; or, where it is a folder, its files with their lines, in order."""

    consumer: str
    lines: Callable[[Content], Iterator[str]] | None = None
    files: Callable[[Content], Iterator[tuple[str, Iterator[str]]]] | None = None


FORMATS = {
    "ip4set": Format("rbldnsd, IPv4 as ranges", rbldnsd.ip4set),
    "ip4trie": Format("rbldnsd, IPv4 as networks", rbldnsd.ip4trie),
    "ip6trie": Format("rbldnsd, IPv6", rbldnsd.ip6trie),
    "dnset": Format("rbldnsd, both families as names", rbldnsd.dnset),
    "rpz": Format("response policy zone: Unbound, BIND, Knot Resolver, PowerDNS", zones.rpz),
    "plain": Format("one target a line", tables.plain),
    "csv": Format("spreadsheets (RFC 4180)", tables.comma_separated),
    "jsonl": Format("one JSON object a line", tables.json_lines),
    "nftables": Format("nft -f: one set a family and code", firewalls.nftables),
    "ipset": Format("ipset restore: one set a family and code", firewalls.ipset),
    "postfix": Format("a CIDR table for check_client_access", postfix.cidr),
    "stix": Format("a STIX 2.1 bundle", intelligence.stix),
    "misp": Format("a MISP feed (a folder)", files=intelligence.misp),
}

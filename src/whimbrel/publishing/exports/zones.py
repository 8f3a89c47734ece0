"""RPZ, the response policy zone that BIND, Unbound, Knot Resolver and PowerDNS load.

An address or network is an `rpz-ip` trigger, a domain a trigger of its own name: what is listed, or resolves to what is
listed, does not exist (`CNAME .`).  What is excluded passes (`CNAME rpz-passthru.`); the narrowest trigger decides.
Names are relative, so the zone may be called as its user likes.  Hashes are looked up by nobody, and left out.
"""

from collections.abc import Iterator

from whimbrel.publishing.exports.content import (
    Content,
    address,
    one_by_one,
)
from whimbrel.publishing.exports.names import closed, is_domain
from whimbrel.wire import lifetimes

_HEXTETS = 4  # of the upper half of an IPv6 address


def rpz(content: Content) -> Iterator[str]:
    """Yield the lines of the zone; no two records are alike, which PowerDNS would refuse."""
    zone = content.zone
    # A secondary that cannot reach us forgets the list when name servers do, but not before it has tried once more.
    expire = max(content.expires - content.at, lifetimes.REFRESH_SECONDS + lifetimes.RETRY_SECONDS)
    timers = (
        f"{content.serial} {lifetimes.REFRESH_SECONDS} {lifetimes.RETRY_SECONDS} {expire} {lifetimes.NEGATIVE_SECONDS}"
    )
    yield f"; Whimbrel: {content.about()}"
    yield f"$TTL {lifetimes.POSITIVE_SECONDS}"
    yield f"@ SOA {zone.servers[0]}. {zone.mailbox}. ({timers})"
    for server in zone.servers:
        yield f"@ NS {server}."
    for family, rows in content.families:
        for key, prefix, reason, _ in one_by_one(rows):
            yield f"{_trigger(family, key, prefix)} CNAME {_action(content, reason)}"
    domains = [name for name in content.names if is_domain(content.reasons[name.reason].code)]
    for written, name in closed(domains):
        yield f"{written} CNAME {_action(content, name.reason)}"


def _action(content: Content, reason: int) -> str:
    return "rpz-passthru." if content.excludes(reason) else "."


def _trigger(family: int, key: int, prefix: int) -> str:
    if family == 4:
        return f"{prefix}.{'.'.join(reversed(address(4, key).split('.')))}.rpz-ip"
    # The longest run of zeros is always the last, at least the lower half: `zz` stands for it.
    hextets = [f"{key >> 16 * place & 0xFFFF:x}" for place in range(_HEXTETS)]
    while hextets[0] == "0":
        del hextets[0]
    return f"{prefix}.zz.{'.'.join(hextets)}.rpz-ip"

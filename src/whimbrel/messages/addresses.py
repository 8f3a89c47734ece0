"""Whom a message names as its recipients: addr-specs of RFC 5322 section 3.4.1, without quoted local parts.

Display names are not kept, groups and routes are looked through.  A regular expression and not a grammar, because what
a worm writes in `To` follows none, and because 50,000 addresses must cost no more than their length.
"""

import re

from whimbrel.messages import bounds
from whimbrel.model.facts import Facts

_FIELDS = frozenset({"to", "cc", "delivered-to", "x-original-to"})
# RFC 5321, section 4.5.3.1: a local part has 64 octets at most, a domain 255.  An address begins where no other
# character of one stands before it, so no byte belongs to more than two attempts.
_ADDRESS = re.compile(rb'(?<![^\s<>,;:"()\[\]])[^\s<>,;:"()\[\]@]{1,64}+@[A-Za-z0-9._-]{1,255}+(?!@)')
_DISPLAY_NAME = re.compile(rb'"(?:[^"\\]|\\.)*+"')


def recipients(facts: Facts) -> tuple[str, ...]:
    """Return the addresses in To, Cc, Delivered-To and X-Original-To, lower case, each once, in order."""
    found: dict[str, None] = {}
    for header in facts.headers:
        if header.name.lower() not in _FIELDS:
            continue
        value = _DISPLAY_NAME.sub(b" ", header.value) if b'"' in header.value else header.value
        for match in _ADDRESS.finditer(value):
            found[match[0].decode("utf-8", "replace").lower()] = None
            if len(found) == bounds.RECIPIENTS:
                return tuple(found)
    return tuple(found)


def domain_of(address: str) -> str:
    """Return the domain of an address in lower case, without a final dot; empty where it has none."""
    return address.rpartition("@")[2].lower().rstrip(".") if "@" in address else ""

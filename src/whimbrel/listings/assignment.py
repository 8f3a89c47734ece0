"""What a host's names say about it: how it got its address, whether it looks like a mail server, whose it is.

Names prove nothing (whoever runs the reverse zone writes them, and HELO is the client's own claim), so they only
choose the group that a host is first compared with; how much of a group is legitimate is learned (`prior.py`).
On the shipped corpus this is where hosts part: of 22 hosts that sent spam first and ham later, 21 gave a HELO of the
same organisation as their reverse name; of all hosts without a reverse name that greeted with an address or a bare
word, 85 % never sent ham.
"""

import re
from functools import lru_cache
from typing import Literal, NamedTuple

Assignment = Literal["dynamic", "static"]

# Words that providers put into the names of customers' lines.  RFC draft-msullivan-dnsop-generic-naming-schemes-00
# proposed them ("dyn", "dial", "dsl", "cable"); the rest are what large access networks use.
_LINE_WORDS = re.compile(
    r"(?:adsl|broadband|cable|catv|client|cpe|cust|dhcp|dial|docsis|dsl|dyn|fbx|fiber|ftth|gprs|home|host|"
    r"in-addr|modem|node|pool|pppoe|ppp|res|user|wifi|wimax|xdsl)"
)

# What operators call their mail servers; a client so named that also greets so is a queueing mail server.
_MAIL_WORDS = re.compile(
    r"mail|smtp|relay|imta|mta\d|listserv|"
    r"(?:^|[.\-])(?:bulk|gate|gateway|gw|imap|list|lists|mta|mx|out|outbound|post|web)\d*[.\-]"
)

_NUMBERS = re.compile(r"\d+")

# Second levels under which countries register organisations: there the organisation is the third label.  Enough for
# grouping hosts; the exact public suffix list belongs to `messages`, which a sibling package may not import.
_SECOND_LEVELS = frozenset({"ac", "co", "com", "ed", "edu", "go", "gov", "gob", "ne", "net", "nom", "or", "org"})

# Hosts repeat; 64 Ki entries of a few hundred bytes stay under 32 MB.
_CACHED_HOSTS = 65_536


class Look(NamedTuple):
    """What the names of one host say.

    `shape` is the group's name (`line-other`, `mail-same`, ... ), `organisation` the registered domain of the reverse
    name (None without one), `server_like` whether the greeting agrees with a reverse name that is no customer's line,
    `unnamed` whether the address has no name of its own: a customer's line, or a greeting without any reverse name.
    """

    shape: str
    assignment: Assignment
    organisation: str | None
    server_like: bool
    unnamed: bool


@lru_cache(maxsize=_CACHED_HOSTS)
def look_of(host: str, helo: str | None, rdns: str | None) -> Look:
    """Return what the names of a host say; any text is accepted."""
    greeting = (helo or "").lower().rstrip(".")
    name = (rdns or "").lower().rstrip(".")
    if "." not in name:
        return _nameless(greeting)
    organisation = organisation_of(name)
    agrees = greeting == name or (organisation is not None and organisation == organisation_of(greeting))
    if _names_a_line(host, name):
        kind: str = "line"
    elif _MAIL_WORDS.search(name):
        kind = "mail"
    else:
        kind = "name"
    return Look(
        shape=f"{kind}-{'same' if agrees else 'other'}",
        assignment="dynamic" if kind == "line" else "static",
        organisation=organisation,
        server_like=agrees and kind != "line",
        unnamed=kind == "line",
    )


def organisation_of(name: str) -> str | None:
    """Return the registered domain of a lower-case host name, or None where it has none (an address, one label)."""
    labels = name.split(".")
    if len(labels) < 2 or not labels[-1].isalpha():
        return None
    country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS
    return ".".join(labels[-3:] if country else labels[-2:])


def _nameless(greeting: str) -> Look:
    if not greeting:
        return Look("silent", "static", None, server_like=False, unnamed=False)
    if _NUMBERS.fullmatch(greeting.strip("[]").replace(".", "")) or ":" in greeting:
        shape = "nameless-address"
    elif "." not in greeting:
        shape = "nameless-word"
    else:
        shape = "nameless-mail" if _MAIL_WORDS.search(greeting) else "nameless-name"
    return Look(shape, "static", None, server_like=False, unnamed=True)


def _names_a_line(host: str, name: str) -> bool:
    """Tell whether a reverse name is made from the address (holds its last two octets) or names a customer's line."""
    if ":" in host:
        return bool(_LINE_WORDS.search(name)) and bool(_NUMBERS.search(name))
    numbers = {number.lstrip("0") or "0" for number in _NUMBERS.findall(name)}
    third, fourth = host.split(".")[2:4]
    made = third in numbers and fourth in numbers
    return made or (bool(numbers) and bool(_LINE_WORDS.search(name)))

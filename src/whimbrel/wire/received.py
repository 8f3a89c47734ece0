"""One `Received` line to a `Hop`: what the receiving server itself says about the machine that connected to it.

A line is written by the server that took the message, but it quotes two strangers.  HELO is whatever the client chose
to say.  The looked-up name (rDNS) is whatever the owner of the address put into DNS.  Only the address of the TCP
connection is the server's own knowledge, and each mail server has its own place for it:

    Postfix, Sendmail   from HELO (RDNS [ADDRESS])            Sendmail: (IDENT@RDNS [ADDRESS] (may be forged))
    Exim                from RDNS ([ADDRESS] helo=HELO)       from [ADDRESS] (helo=HELO)      from HELO ([ADDRESS])
    qmail               from RDNS (HELO HELO) (IDENT@ADDRESS) from RDNS (ADDRESS)
    Exchange            from HELO (ADDRESS)                   SMTPSVC: from HELO ([ADDRESS])
    Gmail               from HELO (RDNS. [ADDRESS])           by 2002:a05:...
    Yahoo               from ADDRESS (EHLO HELO)              from [ADDRESS] by ... via HTTP
    CommuniGate         from [ADDRESS] (HELO HELO)
    MDaemon, old ones   from HELO [ADDRESS]

So the rules are these, in this order, and they do not ask which server it is (its name in the line could be quoted
text, too):

1. An address in the parentheses that follow the first word wins over that word, which then is a claim or a name.
2. In such a group the address stands first (Exim) or last (the others).  Where both places hold one and they differ,
somebody
   quoted an address: the hop is `ambiguous` and has none.
3. The first word is the address only in brackets, or where an EHLO stands beside it, and no group holds another.
4. HELO, as these servers write it, holds no blank and no parenthesis (Postfix replaces them, Sendmail refuses them,
qmail
   replaces them, Exim puts the address before it).  A server that copies anything gives a line in which a second
   peer group stands before a second ` by `: `ambiguous` again.

An error costs an innocent his mail; a hop without an address costs one observation.  So doubt always means: no address.

Everything is bounded: a line is read up to `LINE_CHARACTERS`, and the expressions repeat only possessively, so that the
time is linear.  What follows `by` (queue ids, recipients, envelope senders) is searched for the product's name, the
protocol and the date, never for an address.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Final

from whimbrel.model.address import parse_address
from whimbrel.model.reading import FETCHMAIL, LOCAL, Hop

# A line of mail has at most 998 octets (RFC 5322, section 2.1.1) and a trace field folds into a few; more is not read.
LINE_CHARACTERS: Final = 4_096
# A name in DNS has at most 255 octets (RFC 1035, section 2.3.4); a longer claim is cut.
NAME_CHARACTERS: Final = 255

# How far the server's product and protocol are looked for; the longest seen (Exchange with its cipher) has 110
# characters.
_SERVER_CHARACTERS: Final = 256
# The same relays and servers write line after line; 4,096 entries of at most a line each stay under 20 MB.
_CACHED: Final = 4_096

AMBIGUOUS: Final = "ambiguous"  # two addresses could be the peer's: somebody quoted one
CLAIM: Final = "claim"  # a peer is named, without its address
UNREAD: Final = "unread"  # none of the shapes above

# What an address may be made of (`parse_address` decides); 45 characters is the longest (RFC 4291, section 2.2, form
# 3).
_ADDRESS = r"(?:[Ii][Pp][Vv]6:)?+[0-9A-Fa-f:.]{2,45}+(?:%\w{1,15}+)?+"
_GROUP_BODY = r"\((?:[^()]++|\((?:[^()]++|\([^()]*+\))*+\))*+\)"  # parentheses within parentheses, three deep

_LINE = re.compile(
    rf"""
    (?:[Ff]rom\ (?P<first>(?!by\ )[^\s()]*+)
       (?P<more>(?:\ (?!by\ )[^\s()\[\]]++)*+)
       (?:\ ?\[(?P<bare>{_ADDRESS})\](?::\d++)?+)?+
       (?P<groups>(?:\ ?{_GROUP_BODY})*+)[\ ,]*+
       (?:\[(?P<behind>{_ADDRESS})\]\ )?+
    )?+
    [Bb]y\ (?P<by>[^\s();,]++)
    (?:\ [(\[]{{1,2}}+(?P<by_address>{_ADDRESS})[)\]]{{1,2}}+)?+
    """,
    re.VERBOSE,
)
_GROUP = re.compile(_GROUP_BODY)
_AT_START = re.compile(rf"\[({_ADDRESS})\](?::\d++)?+(?=$|[\s,])")
_AFTER_END = re.compile(r"(?::\d++)?+(?:\ ?\(may\ be\ forged\))?+(?:\ verified)?+\ ?$")
_WHOLE = re.compile(rf"(?:[^\s\[\]()@]*+@)*+({_ADDRESS})(?::\d++)?+$")
_SAYS_HELO = re.compile(r"(?:^|[\s\]])(?:(?P<verb>[EHLehl]{2}(?:LO|lo))\ |helo=\ ?)(?P<helo>\S++)")
_SUBMITTED = re.compile(r"\([\w.:-]++@localhost\)|\(localhost \[\[UNIX: localhost\]\]\)")
_EXIM_DETAIL = re.compile(r"(?:port|helo|ident)=|account ")
_PROTOCOL = re.compile(r" (?:with|via) (?:Microsoft )?([A-Za-z][A-Za-z0-9-]*+)")
_RECIPIENT = re.compile(r" for <?[^<>@\s]{1,128}+@([\w.-]{1,255}+)")
# Servers that look the name's addresses up as well, and write a name only where the peer's is among them (or say
# otherwise).
_CONFIRMING = frozenset({"postfix", "sendmail", "exim"})
_FORM = re.compile(
    r"(?P<postfix>\(Postfix)|(?P<exim>\(Exim)|(?P<exchange>Microsoft |Frontend Transport|Internet Mail Service"
    r"|with mapi)"
    r"|(?P<sendmail>\((?:[\w+.-]{1,20}[/ -])?8\.\d{1,2}[./ab)])|(?P<fetchmail>\(fetchmail|with (?:IMAP|POP3) \()"
    r"|(?P<mdaemon>MDaemon)|(?P<domino>Lotus |Domino)|(?P<communigate>CommuniGate)|(?P<powermta>PowerMTA)"
    r"|(?P<qmail>\(qmail|\(qp )"
    r"|(?P<courier>\(Courier|\(\w{8}\.\w{8}\.)|(?P<local> with (?:local|LMTP|lmtp|qmail-scanner|stdio)|, from userid)"
)
_LOCAL_START = ("(qmail ", "(from ", "(EGP: ", "(nullmailer ", "(cpmta ", "via dmail")
_FORM_OF_BY = ((".google.com", "gmail"), (".gmail.com", "gmail"), (".yahoo.com", "yahoo"), (".aol.com", "aol"))

_DATE = re.compile(
    r"([0-9]{1,2}[ -][A-Za-z]{3}[a-z]{0,6}+[ -]\d{2,4}) (\d\d?+):(\d\d)"
    r"(?::(\d\d)(?:\.\d++)?+)? ?([+-]\d{4}|[A-Za-z]{1,5})"
)
_IN_DATE = re.compile("[ -]")
_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
# Nobody's mail server has written a line before SMTP (RFC 772, 1980); and near year 9999 datetime would overflow.
_EARLIEST_YEAR: Final = 1980
_LATEST_YEAR: Final = 9998
# Hours east of Greenwich (RFC 5322, section 4.3); a zone it does not know means "time zone unknown", read as UTC like
# -0000.
_ZONE_HOURS = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}


def parse_received(value: bytes) -> Hop:
    """Read one `Received` header's raw value, folded or not.

    Never raises, whatever the bytes; linear in their number.  `form` names the mail server whose shape the line has, or
    says why there is no address (`local`, `fetchmail`, `claim`, `ambiguous`, `unread`).  Lines: RFC 5321, section 4.4,
    and what servers really write (docs/received.md).
    """
    unfolded = b" ".join(value.split())
    trace_sha256 = sha256(unfolded).digest()
    text = unfolded[:LINE_CHARACTERS].decode("latin-1")
    at = _date_of(text)
    if text.startswith(_LOCAL_START):
        return Hop(None, None, None, _by_of_local(text), None, None, at, LOCAL, trace_sha256)
    match = _LINE.match(text)
    if match is None:
        return Hop(None, None, None, None, None, None, at, UNREAD, trace_sha256)
    first, more, bare, groups, behind, by, by_address = match.groups()
    start = match.end()
    named = match.end("by")
    quoted = bare is not None and behind is not None
    if quoted or text.find(") by ", named) >= 0 or text.find("] by ", named) >= 0:
        return Hop(None, None, None, None, None, None, at, AMBIGUOUS, trace_sha256)
    end = text.find(" id ", start)
    by, form, protocol = _server(by, text[start : end if end >= 0 else text.find(";", start)][:_SERVER_CHARACTERS])
    server_address = parse_address(by_address) if by_address is not None else None
    if first is None or (first + more == "mail pickup service" and not groups and bare is None):
        return Hop(None, None, None, by, server_address, protocol, at, LOCAL, trace_sha256)
    recipient = _RECIPIENT.search(text, start)
    for_domain = recipient[1].lower() if recipient is not None else None
    address, helo, rdns, trouble = _peer(first + more if more else first, bare or behind, groups)
    if form == FETCHMAIL:
        address, helo, rdns = None, None, rdns or first.lower()
    elif address is not None:
        form = "qmail" if form == "other" and "(HELO " in groups else form
    else:
        form = trouble or (LOCAL if form == LOCAL else CLAIM)
    confirmed = rdns is not None and form in _CONFIRMING and "(may be forged)" not in groups
    return Hop(address, helo, rdns, by, server_address, protocol, at, form, trace_sha256, confirmed, for_domain)


@lru_cache(maxsize=_CACHED)
def _server(by: str, product: str) -> tuple[str, str, str | None]:
    """Return the receiving server's name, the form, and the protocol, from `by` and what stands before the queue id."""
    name = by.rstrip(".").lower()[:NAME_CHARACTERS]
    protocol = _PROTOCOL.search(product)
    return name, _form_of(name, product), protocol[1].upper() if protocol is not None else None


@lru_cache(maxsize=_CACHED)
def _peer(first: str, bare: str | None, groups: str) -> tuple[str | None, str | None, str | None, str | None]:
    """Return address, HELO and rDNS of a from clause, and `ambiguous` where it holds two addresses of equal right."""
    found: str | None = parse_address(bare) if bare is not None else None
    said: str | None = None
    verb = ""
    name: str | None = None
    plain_first = True  # no group told HELO, so the first word is it
    told = _GROUP.findall(groups)
    for group in told:
        inner = group[1:-1].strip()
        helo = _SAYS_HELO.search(inner)
        if helo is not None and said is None:
            said, verb, plain_first = helo["helo"].rstrip(",;"), helo["verb"] or "helo=", False
        # Behind a HELO at a group's start only the rest is the server's: the word itself is the client's.
        address, looked_up = _group_address(inner if helo is None or helo.start() else inner[helo.end() :].lstrip())
        if address == AMBIGUOUS or (address is not None and found not in (None, address)):
            return None, None, None, AMBIGUOUS
        if address is not None:
            found, name = address, looked_up
        elif _EXIM_DETAIL.match(inner):
            verb = verb or "detail"
    # Sendmail's own submission. It must be the only group: LOCAL makes a reader walk on, so no client may bring it
    # about.
    if found is None and not verb and len(told) == 1 and _SUBMITTED.match(told[0]):
        return None, _cut(first), None, LOCAL
    boxed = first[:1] == "["
    if boxed or verb:
        own = parse_address(first) if boxed or first[:1].isdigit() else None
        if own is not None:
            if found is None and len(told) < 2:
                return own, _cut(said), None, None
            if (boxed and verb) or verb.upper() == "EHLO":
                return (found, _cut(said), None, None) if own == found else (None, None, None, AMBIGUOUS)
    if plain_first:
        return found, _cut(first), _cut_name(name), None
    return found, _cut(said), _cut_name(name or first), None


def _group_address(inner: str) -> tuple[str | None, str | None]:
    """Return the address that a group in parentheses records and the name before it; `ambiguous` where it holds two."""
    opened = inner.rfind("[")
    if opened < 0:
        whole = _WHOLE.match(inner)
        return (parse_address(whole[1]), None) if whole is not None else (None, None)
    if inner.endswith(("helo=", "HELO ", "EHLO "), 0, opened):  # a claim that is itself written as an address
        inner = inner[:opened]
        opened = inner.rfind("[")
    closed = inner.find("]", opened)
    last = parse_address(inner[opened + 1 : closed]) if _AFTER_END.match(inner, closed + 1) else None
    if opened == 0 and last is not None:
        return last, None
    start = _AT_START.match(inner)
    leading = parse_address(start[1]) if start is not None else None
    if leading is not None and last is not None and leading != last:
        return AMBIGUOUS, None
    if leading is not None:
        return leading, None
    if last is None:
        return None, None
    return last, inner[:opened].rstrip().rpartition(" ")[2].rpartition("@")[2]


def _form_of(by: str, rest: str) -> str:
    found = _FORM.search(rest)
    if found is not None:
        return str(found.lastgroup)
    if by.startswith("2002:a"):
        return "gmail"
    for suffix, form in _FORM_OF_BY:
        if by.endswith(suffix):
            return form
    return "other"


def _by_of_local(text: str) -> str | None:
    """Return the server of `(from user@localhost) by HOST ...`; the other local forms name none."""
    before, _, after = text.partition(" by ")
    if not before.startswith("(from ") or not after:
        return None
    return after.split(" ", 1)[0].rstrip(".;").lower()[:NAME_CHARACTERS] or None


def _cut(name: str | None) -> str | None:
    return name[:NAME_CHARACTERS] if name else None


def _cut_name(name: str | None) -> str | None:
    """Return a looked-up name in lower case, or None where the server wrote that there is none."""
    if not name:
        return None
    bare = name.rstrip(".").lower()[:NAME_CHARACTERS]
    return None if bare in _NO_NAME or not _NAME.match(bare) else bare


_NO_NAME = frozenset({"unknown", "unverified", "really", "unresolved", "null", "no", "network", "reverse"})
_NAME = re.compile(r"(?![\d.]+$)[\w.-]++$")  # an address written as a name is none


def _date_of(text: str) -> datetime | None:
    """Return the time at the line's end, in UTC.

    It stands behind the last semicolon; where none stands there (no semicolon; a comment with one behind the date),
    the first date behind the first semicolon is taken, or else the first of the line.
    """
    found = _DATE.search(text, text.rfind(";") + 1) or _DATE.search(text, text.find(";") + 1)
    if found is None:
        return None
    date, hour, minute, second, zone = found.groups()
    midnight = _midnight(date, zone)
    if midnight is None or int(hour) > 23 or minute > "59":
        return None
    seconds = min(int(second), 59) if second else 0  # datetime has no leap second
    return midnight + timedelta(0, int(hour) * 3_600 + int(minute) * 60 + seconds)


@lru_cache(maxsize=_CACHED)
def _midnight(date: str, zone: str) -> datetime | None:
    """Return when that day began in that zone, in UTC; obsolete years and zones by RFC 5322, section 4.3."""
    day, month, year = _IN_DATE.split(date)
    number = _MONTHS.get(month[:3].lower())
    offset_minutes = _offset_minutes(zone)
    full_year = int(year)
    if len(year) == 2:
        full_year += 2000 if full_year < 50 else 1900
    elif len(year) == 3:
        full_year += 1900
    if number is None or offset_minutes is None or not _EARLIEST_YEAR <= full_year <= _LATEST_YEAR:
        return None
    try:
        return datetime(full_year, number, int(day), tzinfo=UTC) - timedelta(minutes=offset_minutes)
    except ValueError:
        return None


def _offset_minutes(zone: str) -> int | None:
    if zone[0] not in "+-":
        return 60 * _ZONE_HOURS.get(zone.upper(), 0)
    minutes = int(zone[3:])
    if minutes > 59:
        return None
    return (int(zone[1:3]) * 60 + minutes) * (-1 if zone[0] == "-" else 1)

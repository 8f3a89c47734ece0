"""Web addresses: found in text, and resolved to the host that a click would reach.

`find_urls` stops at the only two signs every address has, `:` before a slash and `.` before a letter, and looks
around each stop inside bounds: ordinary text has few such stops, and `re` finds them quickly.  Beside linkify-it-py
on every fourth text of the SpamAssassin and phishing mail: 2.4 found a text by each (it finds e-mail addresses
besides), in a twentieth of its time or less.

`resolve_url` undoes what spam does to hide a host, in the order a browser would (WHATWG URL Standard, section 4.4):
white space inside, back slashes, missing slashes, `user@`, percent-encoding, addresses in decimal, octal or hex.
Behind a known redirector the true host is the target's.
"""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

import idna

from whimbrel.messages.suffixes import is_suffix, registered_domain
from whimbrel.model.address import parse_address
from whimbrel.model.facts import Url

# RFC 9110, section 4.1 wants 8,000 octets supported; 99.9 % of 90,988 URLs in real mail are shorter than 1,332.
MAX_RAW_CHARACTERS = 2_048

# One text of the 8,931 measured reaches this bound; the most in one real HTML part is 498.
MAX_URLS = 2_000

_MAX_NAME_CHARACTERS = 253  # RFC 1035, section 2.3.4
_MAX_LABEL_CHARACTERS = 63

# Hosts repeat: 64 Ki authorities of some 30 characters stay under 16 MB.
_CACHED_HOSTS = 65_536
_MAX_CACHED_CHARACTERS = 512

# Each begins with the one character that `re` searches for in a single sweep.  Of a scheme, which group is met tells
# the length.
_WITH_SCHEME = re.compile(
    r""":(?=[/\\])(?:(?<=[hH][tT][tT][pP]:)()|(?<=[hH][tT][tT][pP][sS]:)()|(?<=[fF][tT][pP]:)())[^\s<>"]{0,2048}"""
)
_SCHEME_CHARACTERS = (0, len("http"), len("https"), len("ftp"))
# No dot of a number (3.14, 10.0.0.1) is looked at further; a name has at most 17 labels (`_NAME`).
_DOT = re.compile(r"\.(?<=[\w-]\.)(?=[^\W_])(?!\d{1,63}+(?:\.\d{1,63}+){0,16}+(?!\.?[\w-]))")
_LABEL = re.compile(r"[\w-]++")
_NAME = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63}){1,16}")
_TAIL = re.compile(r"""(?::\d{1,5})?(?:[/?#][^\s<>"]{0,2048})?""")
_TRAILING = ".,;:!?'*_]}|>"

# In front of a bare name these tell that it is part of something else: an e-mail address, a path, a longer name.
_JOINING = frozenset("@./=&%+\\:$~")

# Top-level domains that make a name without scheme or path an address; others may be a missing blank ("like.free").
_PLAIN_SUFFIXES = frozenset(
    "com net org edu gov mil biz info name pro aero asia coop mobi shop online site club xyz top".split()  # noqa: SIM905
)
# Country codes that are also words, or extensions of files, and common as such in mail.
_DOUBTFUL_SUFFIXES = frozenset(
    "ad am an as at be by cc cf do ai go id in is it la ma md me mm ms mo my no pa ph pl pm ps py re rs sc sh so st tv to us vi zip".split()  # noqa: E501, SIM905
)


def find_urls(text: str) -> list[str]:
    """Return the web addresses written in a text, as written and in order, at most `MAX_URLS`; linear, never raises."""
    found: list[str] = []
    past = 0
    for match in _WITH_SCHEME.finditer(text):
        begin = match.start() - _SCHEME_CHARACTERS[match.lastindex or 0]
        past = _find_bare(text, past, begin, found)
        if begin >= past:
            past = match.end()
            found.append(_trimmed(text[begin:past]))
        if len(found) >= MAX_URLS:
            return found[:MAX_URLS]
    _find_bare(text, past, len(text), found)
    return found[:MAX_URLS]


def _find_bare(text: str, past: int, limit: int, found: list[str]) -> int:
    """Add the addresses without scheme that begin between `past` and `limit`; return what is looked at by then."""
    for stop in _DOT.finditer(text, past, limit):
        at = stop.start()
        if at < past:
            continue
        begin, end = _bare(text, past, at)
        if begin >= 0:
            found.append(_trimmed(text[begin:end]))
            if len(found) >= MAX_URLS:
                return len(text)
        past = max(past, end)
    return past


def _bare(text: str, past: int, at: int) -> tuple[int, int]:
    """Return where an address without scheme around the dot at `at` begins and ends; begin is -1 where there is none."""  # noqa: E501
    # Backwards from the dot; as a search up to the dot it would begin anew at every letter before.
    label = _LABEL.match(text[max(past, at - _MAX_LABEL_CHARACTERS) : at][::-1])
    if label is None:
        return -1, at
    begin = at - label.end()
    if begin and text[begin - 1] in _JOINING:
        return -1, at
    name = _NAME.match(text, begin)
    if name is None or text.startswith("@", name.end()):
        return -1, name.end() if name else at
    tail = _TAIL.match(text, name.end())
    end = tail.end() if tail else name.end()
    if not _is_plain(name[0].lower(), with_path=end > name.end()):
        return -1, end
    return begin, end


def _is_plain(name: str, *, with_path: bool) -> bool:
    """Tell whether a name without scheme is meant as an address, and not as a file, an abbreviation or a typing error."""  # noqa: E501
    front, _, suffix = name.rpartition(".")
    if not is_suffix(suffix):
        return False
    if with_path or suffix in _PLAIN_SUFFIXES or name.startswith("www."):
        return True
    return len(suffix) == 2 and (suffix not in _DOUBTFUL_SUFFIXES or "." in front) and len(front) > 2


def _trimmed(written: str) -> str:
    trimmed = written.rstrip(_TRAILING)
    surplus = trimmed.count(")") - trimmed.count("(")
    if surplus > 0 and trimmed.endswith(")"):
        closing = len(trimmed) - len(trimmed.rstrip(")"))
        trimmed = trimmed[: -min(surplus, closing)].rstrip(_TRAILING)
    return trimmed


_SPLIT = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]{0,20}):)?([/\\]*)([^/\\?#]*)")
# A browser drops tabs and line ends anywhere in a URL, and blanks around it; spam also has blanks inside the host.
_BLANKS = re.compile(r"[\x00-\x20\x7f\xa0\u200b\u2028\u2029]+")
_SCHEMES = frozenset({"http", "https", "ftp"})
_PORT_SCHEME = re.compile(r"[\w-]+(?:\.[\w-]+)+")  # `example.com:80/` has no scheme

# Who sends the reader on to a URL in the query or path: search engines and portals of their time, and mail gateways.
_REDIRECTORS = (
    ".rd.yahoo.com", ".drs.yahoo.com", ".srd.yahoo.com", ".g.msn.com", ".r.aol.com", ".google.com",
    ".l.facebook.com", ".lm.facebook.com", ".bing.com", ".safelinks.protection.outlook.com", ".urldefense.proofpoint.com",  # noqa: E501
    ".urldefense.com", ".linkprotect.cudasvc.com", ".click.pstmrk.it", ".slack-redir.net", ".out.reddit.com", ".t.umblr.com",  # noqa: E501
)  # fmt: skip
_TARGET = re.compile(r"(?:https?|ftp)(?::|%(?:25)*3a|-3a)[/\\%_-].*", re.IGNORECASE | re.DOTALL)
_MAX_REDIRECTIONS = 3


class _Host(NamedTuple):
    """Whom an authority names: the host, its registered domain, and whether it sends the reader on."""

    name: str
    domain: str
    redirects: bool


def resolve_url(raw: str, seen_in: str) -> Url | None:
    """Return the URL with its true host and registered domain, or None where it names no host of the web.

    `seen_in` is one of `text`, `href`, `src`, `form`.  A relative URL names no host.  Never raises.
    """
    cut = raw[:MAX_RAW_CHARACTERS]
    # None of the characters that a browser drops is printable, but for the blank.
    bare = cut if cut.isprintable() and " " not in cut else _BLANKS.sub("", cut)
    resolved = _resolved(bare, _MAX_REDIRECTIONS)
    return None if resolved is None else Url(cut, resolved.name, resolved.domain, seen_in)


def _resolved(url: str, redirections: int) -> _Host | None:
    match = _SPLIT.match(url)
    if match is None:
        return None
    scheme, slashes, authority = match.groups()
    if scheme is not None and scheme.lower() not in _SCHEMES:
        if not _PORT_SCHEME.fullmatch(scheme):
            return None
        authority, scheme = scheme, None
    if scheme is None and len(slashes) != 2 and not (not slashes and _is_bare(authority, url[match.end() :])):
        return None
    found = _host(authority) if len(authority) <= _MAX_CACHED_CHARACTERS else _host.__wrapped__(authority)
    if found is not None and found.redirects and redirections:
        target = _TARGET.search(url, match.end())
        if target is not None:
            return _resolved(_undone(target[0]), redirections - 1) or found
    return found


def _is_bare(authority: str, rest: str) -> bool:
    name = authority.partition(":")[0].lower()
    # A page beside the one it stands on (`index.pl`) is no host.
    return "." in name and _is_plain(name, with_path=rest.startswith("/"))


def _undone(target: str) -> str:
    """Undo a gateway's escapes: percent-encoding, twice where the first leaves a colon escaped, and `-3A_` for `:/`."""
    url = target
    if re.match(r"\w+-3a", url, re.IGNORECASE):
        url = re.sub(r"-([0-9A-Fa-f]{2})", r"%\1", url.replace("_", "/"))
    for _ in range(2):
        if re.match(r"\w+%", url):
            url = unquote(url)
    return url.partition("&")[0]


_PLAIN_NAME = re.compile(r"[a-z0-9_.-]+")
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")  # the other full stops of UTS 46, section 2.3


@lru_cache(maxsize=_CACHED_HOSTS)
def _host(authority: str) -> _Host | None:
    """Return the host and registered domain (or the address, twice) of `user@host:port`."""
    host = authority.rpartition("@")[2]
    if "%" in host:
        host = unquote(host).rpartition("@")[2]
    if host.startswith("["):
        address = parse_address(host.partition("]")[0])
        return _Host(address, address, redirects=False) if address else None
    host = host.partition(":")[0].strip(".").lower()
    if not host or len(host) > _MAX_NAME_CHARACTERS:
        return None
    if not host.isascii():
        host = _ascii(host)
    if not _PLAIN_NAME.fullmatch(host):
        return None
    address = _numeric_address(host)
    if address is not None:
        return _Host(address, address, redirects=False)
    domain = registered_domain(host)
    return _Host(host, domain, redirects=f".{host}".endswith(_REDIRECTORS)) if domain else None


def _ascii(host: str) -> str:
    """Return the IDNA form (RFC 5891 after UTS 46's mapping), or nothing where there is none."""
    try:
        return idna.encode(host.translate(_DOTS), uts46=True).decode("ascii").lower().strip(".")
    except (idna.IDNAError, UnicodeError, ValueError, IndexError):
        return ""


_NUMBER = re.compile(r"0x[0-9a-f]{0,32}|[0-9]{1,32}")


def _numeric_address(host: str) -> str | None:
    """Return the IPv4 address of up to four numbers in decimal, octal or hex (WHATWG URL, section 3.5), or None.

    Numbers too great wrap around, as in the browsers that such spam was made for.
    """
    parts = host.split(".")
    if len(parts) > 4 or not all(map(_NUMBER.fullmatch, parts)):
        return None
    *octets, last = map(_number, parts)
    value = 0
    for octet in octets:
        value = value << 8 | octet & 0xFF
    bits = 8 * (4 - len(octets))
    value = value << bits | last & ((1 << bits) - 1)
    return ".".join(str(value >> shift & 0xFF) for shift in (24, 16, 8, 0))


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    if part.startswith("0") and len(part) > 1 and "8" not in part and "9" not in part:
        return int(part, 8)
    return int(part)

"""Web addresses: found in text, and resolved to the host that a click would reach.

Two steps.  `find_urls` is one pass over the text: a regular expression stops at the only two characters every address
has (`:` before slashes, `.` between letters), and what stands around such a stop is matched once, inside bounds.
`resolve_url` undoes what spam does to hide the host, in the order a browser would (WHATWG URL Standard, section 4.4):
white space inside, back slashes, missing slashes, `user@`, percent-encoding, addresses in decimal, octal or hex.
"""

import re
from functools import lru_cache
from urllib.parse import unquote

import idna

from whimbrel.messages.suffixes import is_suffix, registered_domain
from whimbrel.model.facts import Url

# RFC 9110, section 4.1 recommends at least 8,000 octets; real URLs in the SpamAssassin and phishing mail: 99.9 % < 2,048.
MAX_RAW_CHARACTERS = 2_048

# Most in one real text of that mail: 1,053 (a digest of news).
MAX_URLS = 2_000

_CACHED_HOSTS = 65_536

_SCHEMES = ("http", "https", "ftp")

_FOUND = re.compile(
    r"""(?:(?:https?|ftp):[/\\]{1,3}|(?<![\w@.-])www\.)[^\s<>"]{1,2048}"""
    r"""|(?<![\w@./=&%+-])(?:[a-z0-9](?:[a-z0-9_-]{0,62})\.){1,8}([a-z]{2,24})(?=[/\s,;!?)>"']|[.:](?:\s|\Z)|\Z)(/[^\s<>"]{0,2048})?""",
    re.IGNORECASE,
)


def find_urls(text: str) -> list[str]:
    """Return the web addresses written in a text, as written and in order, at most `MAX_URLS`."""
    found: list[str] = []
    for match in _FOUND.finditer(text):
        suffix = match[1]
        if suffix is not None and not is_suffix(suffix.lower()):
            continue
        found.append(match[0].rstrip(".,;:!?'*_)]}|"))
        if len(found) >= MAX_URLS:
            break
    return found


_SPLIT = re.compile(r"(?:([a-z][a-z0-9+.-]{0,20}):)?[/\\]*([^/\\?#]*)", re.IGNORECASE)
_BLANKS = re.compile(r"[\x00-\x20\x7f]+")


def resolve_url(raw: str, seen_in: str) -> Url | None:
    """Return the URL with its true host and registered domain, or None where it names no host of the web.

    `seen_in` is one of `text`, `href`, `src`, `form`.
    """
    cut = raw[:MAX_RAW_CHARACTERS]
    match = _SPLIT.match(_BLANKS.sub("", cut))
    if match is None:
        return None
    scheme = (match[1] or "http").lower()
    if scheme not in _SCHEMES:
        return None
    resolved = _host(match[2])
    if resolved is None:
        return None
    host, domain = resolved
    return Url(raw=cut, host=host, domain=domain, seen_in=seen_in)


@lru_cache(maxsize=_CACHED_HOSTS)
def _host(authority: str) -> tuple[str, str] | None:
    name = unquote(authority).rpartition("@")[2].lower()
    name = name.partition(":")[0].strip(".")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    domain = registered_domain(name)
    return (name, domain) if domain else None

"""Registered domains: which part of a host name somebody paid for, by the public suffix list.

The list ships inside the wheel of publicsuffixlist, so no answer depends on a network.  Its PRIVATE section is in
force: the customers of a shared host (`a.github.io`, `b.github.io`) are apart, because they are different parties.
A name under no listed suffix has no registered domain (`accept_unknown=False`): `router.lan` is nobody's.
"""

from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList

# A corpus of 100,000 messages names some tens of thousands of hosts; 64 Ki names of at most 253 octets
# (RFC 1035, section 2.3.4) stay under 32 MB, commonly under 10.
_CACHED_HOSTS = 65_536

# The list has some 1,400 suffixes of one label; 16 Ki labels leave room for as many times what is none.
_CACHED_LABELS = 16_384

_MAX_NAME_OCTETS = 253
_MAX_LABEL_OCTETS = 63


@cache
def suffixes() -> PublicSuffixList:
    """Return the list, loaded at the first call: 60 ms and 3 MB, only for who asks."""
    return PublicSuffixList(accept_unknown=False)


@lru_cache(maxsize=_CACHED_HOSTS)
def registered_domain(host: str) -> str | None:
    """Return the registered domain of a lower-case host name in IDNA form, or None where it has none.

    None for addresses, for bare suffixes (`co.uk`), for unlisted ones (`lan`), and for what is no name at all.
    """
    name = host.rstrip(".")
    if not _may_be_name(name):
        return None
    domain: str | None = suffixes().privatesuffix(name)
    return domain


@lru_cache(maxsize=_CACHED_LABELS)
def is_suffix(label: str) -> bool:
    """Tell whether a lower-case label is a listed top-level suffix (`com`, `uk`)."""
    return bool(suffixes().is_public(label)) if label else False


def _may_be_name(name: str) -> bool:
    if not name or len(name) > _MAX_NAME_OCTETS or name[-1].isdigit():
        return False  # no top-level domain ends in a digit, every IPv4 address does
    return all(0 < len(label) <= _MAX_LABEL_OCTETS for label in name.split("."))

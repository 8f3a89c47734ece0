"""Networks that have asked in many different hours: known ones that no operator has to name.

Every look at the sketch of clients (`counts.py`) notes who is in it, once an hour each.  Who has been noted in a day's
worth of hours is known, until he has been silent for a month.  It is no proof of an address: who forges one network for
a day makes it known.  What bounds him: a look while queries were lost teaches nothing, so a flood does not; random
addresses come back too seldom; and whoever is known keeps his place, so only free ones can be had.
"""

import logging
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from whimbrel.nameserver.guards.access import Network
from whimbrel.nameserver.guards.client import prefix_network

# Of the two thousand IPv4 networks that a program of the kernel holds (`steering.py`), or the eight hundred of IPv6.
MOST_KNOWN = 500
# Those that may become known; the sketch tells 512 apart.
MOST_SEEN = 4096
HOURS = 24
SILENT_HOURS = 30 * 24
_HOUR_SECONDS = 3600

_log = logging.getLogger(__name__)


class Seen(msgspec.Struct, array_like=True):
    """In how many hours a network was noted, and the last of them (hours since 1970)."""

    hours: int
    last: int


class Learned:
    """All networks noted, kept in a file that only its owner may read; a bad file is begun anew, with a logged line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _read(path)
        self._hour = 0  # of the last look
        self.networks = self._known()

    def look(self, prefixes: Iterable[int], now: float, *, is_flooded: bool) -> None:
        """Note who asks (`Client.prefix`), unless queries were lost; after each hour `networks` is made anew."""
        hour = int(now) // _HOUR_SECONDS
        before, self._hour = self._hour, hour
        if 0 < before < hour:
            self._forget(hour)
            self.networks = self._known()
            self.save()
        if not is_flooded:
            self._note(prefixes, hour)

    def _note(self, prefixes: Iterable[int], hour: int) -> None:
        for prefix in prefixes:
            seen = self._seen.get(prefix)
            if seen is None:
                if len(self._seen) < 2 * MOST_SEEN:  # what an hour brings; at its end half of them stay
                    self._seen[prefix] = Seen(1, hour)
            elif seen.last < hour:
                seen.hours, seen.last = seen.hours + 1, hour

    def save(self) -> None:
        """Write the file; where that cannot be a logged line says so."""
        new = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(self._seen))
            new.replace(self._path)
        except OSError as error:
            _log.warning("%s: cannot be written (%s): a restart begins to learn anew", self._path, error.strerror)

    def _forget(self, hour: int) -> None:
        """Let go who has been silent, and of those who are not known who was seen least."""
        awake = {prefix: seen for prefix, seen in self._seen.items() if hour - seen.last <= SILENT_HOURS}
        order = sorted(awake, key=lambda prefix: (awake[prefix].hours, awake[prefix].last), reverse=True)
        self._seen = {prefix: awake[prefix] for prefix in order[:MOST_SEEN]}

    def _known(self) -> tuple[Network, ...]:
        """Return who has been noted in enough hours, who has been longest at first."""
        enough = [prefix for prefix, seen in self._seen.items() if seen.hours >= HOURS]
        order = sorted(enough, key=lambda prefix: (-self._seen[prefix].hours, prefix))
        return tuple(prefix_network(prefix) for prefix in order[:MOST_KNOWN])


def _read(path: Path) -> dict[int, Seen]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[int, Seen])
    except FileNotFoundError:
        return {}
    except OSError as error:
        _log.warning("%s: cannot be read (%s): networks are learned anew", path, error.strerror)
    except msgspec.MsgspecError:
        _log.warning("%s: no networks learned by this version: they are learned anew", path)
    return {}

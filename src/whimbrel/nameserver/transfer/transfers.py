"""What a secondary asks, and what it gets: the whole zone, what changed, or why not.

`respond` is tried before `answer` where transfers are on.  It takes what asks for a transfer and what is signed, and
leaves all else alone; what is signed and asks something ordinary gets the ordinary answer, signed.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.name

from whimbrel.errors import ConfigError
from whimbrel.model.transfer import TransferSettings
from whimbrel.nameserver.current import POLL_SECONDS, CurrentSnapshot
from whimbrel.nameserver.transfer import zone
from whimbrel.nameserver.transfer.differences import History
from whimbrel.nameserver.transfer.messages import packed, sealed
from whimbrel.nameserver.transfer.notify import Notifier
from whimbrel.nameserver.transfer.signing import Keyring, Seal, keyring, seal_of
from whimbrel.wire import dns as wire
from whimbrel.wire import keyfile, transferkeys
from whimbrel.wire.dns import Query, Rcode, Type
from whimbrel.wire.snapshot import is_newer

# What every packet has somewhere that concerns us: a record type and its class.
_MARKS = tuple(
    int(type_).to_bytes(2, "big") + class_.to_bytes(2, "big")
    for type_, class_ in ((Type.TSIG, 255), (Type.IXFR, wire.CLASS_IN), (Type.AXFR, wire.CLASS_IN))
)
# A stranger who asks again and again is told of once in so long, and of so many strangers at most.
_SAY_AGAIN_SECONDS = 60.0
_MOST_STRANGERS = 1_000

Answer = Callable[[], bytes | None]

_log = logging.getLogger(__name__)


def read_keys(settings: TransferSettings) -> Keyring:
    """Return the keys that sign transfers.

    Raises ConfigError where the file is none, or lacks a key that a secondary is told with, StoreError where others
    than its owner can read it.
    """
    path = Path(settings.keys)
    try:
        with path.open(encoding="utf-8") as file:
            keyfile.check_private(path, path.stat().st_mode)
            keys = transferkeys.parse(file.read(), path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the keys of transfers cannot be read ({error}); check the path") from None
    for secondary in settings.notify:
        if secondary.key is not None and secondary.key.rstrip(".").lower() not in keys:
            raise ConfigError(f"{path}: no key {secondary.key} in it, with which {secondary.endpoint} is to be told")
    return keyring(keys)


class Transfers:
    """Answers secondaries from the lists that were in force, and tells them of new ones.

    Raises what `read_keys` raises.
    """

    def __init__(self, settings: TransferSettings, current: CurrentSnapshot, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._keys = read_keys(settings)
        self._current = current
        self._clock = clock
        # Both change together, when the difference is known: whoever asks meanwhile is up to date.
        self._snapshot = current.snapshot
        self._history: History | None = None
        self._notifiers = [Notifier(secondary, self._keys) for secondary in settings.notify]
        self._said: dict[tuple[str, str], float] = {}

    async def run(self) -> None:
        """Take up each new list and tell the secondaries of it, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for notifier in self._notifiers:
                group.create_task(notifier.run())
            self._tell()
            # In threads: ten million entries take seconds, in which queries are answered.
            self._history = await asyncio.to_thread(History, self._snapshot)
            while True:
                await asyncio.sleep(POLL_SECONDS)
                # Secondaries follow snapshots; an overlay is not for them.
                if self._current.snapshot.checksum != self._snapshot.checksum:
                    snapshot = self._current.snapshot
                    step = await asyncio.to_thread(self._history.step_to, snapshot)
                    self._history.take(step)
                    self._snapshot = snapshot
                    self._tell()

    def _tell(self) -> None:
        for notifier in self._notifiers:
            notifier.tell(self._snapshot)

    def respond(self, packet: bytes, client: str, answer: Answer, *, tcp: bool) -> Iterator[bytes] | None:
        """Return the messages of the answer to a packet from an address, or None where it is no business of transfers.

        `answer` gives the ordinary answer to it.
        """
        if not any(mark in packet for mark in _MARKS):
            return None
        query = wire.parse_query(packet)
        if not isinstance(query, Query):
            return None
        seal = seal_of(packet, self._keys)
        if seal is not None and seal.fault is not None:
            self._say(query, client, f"signed with {seal}: {seal.reason}")
            return self._refused(query, Rcode.NOTAUTH, seal, tcp=tcp)
        if query.type in {Type.AXFR, Type.IXFR}:
            return self._transfer(packet, query, client, seal, tcp=tcp)
        response = None if seal is None else answer()
        return None if response is None else iter((sealed(query, response, seal, tcp=tcp),))

    def _transfer(self, packet: bytes, query: Query, client: str, seal: Seal | None, *, tcp: bool) -> Iterator[bytes]:
        snapshot, refused = self._snapshot, self._reason(query, client, seal, tcp=tcp)
        if refused is not None:
            rcode, reason = refused
            self._say(query, client, reason)
            return self._refused(query, rcode, seal, tcp=tcp)
        assert seal is not None
        serial = None if query.type == Type.AXFR else _serial(packet)
        if query.type == Type.IXFR and serial is None:
            return self._refused(query, Rcode.FORMERR, seal, tcp=tcp)
        if serial is not None and (not tcp or not is_newer(snapshot.serial, serial)):
            # Over UDP it says: come by TCP (RFC 1995, section 2); to one who has this list, that there is no newer.
            return packed(query, (zone.soa(snapshot, snapshot.serial),), seal)
        steps = None if serial is None or self._history is None else self._history.since(serial)
        if steps is None:
            _log.info("%s of list %d to %s: whole", Type(query.type).name, snapshot.serial, client)
            return packed(query, zone.whole(snapshot), seal)
        names = sum(step.names for step in steps)
        _log.info("IXFR of list %d to %s: %d names changed since %s", snapshot.serial, client, names, serial)
        return packed(query, zone.changed(snapshot, steps), seal)

    def _reason(self, query: Query, client: str, seal: Seal | None, *, tcp: bool) -> tuple[Rcode, str] | None:
        """Return why a transfer is refused, and the code that says so; None: it is not."""
        asked = dns.name.Name([*query.labels, b""])
        if query.class_ != wire.CLASS_IN or asked != dns.name.from_text(self._snapshot.zone.name):
            return Rcode.NOTAUTH, "the zone is another"
        if seal is None:
            return Rcode.REFUSED, "it is not signed"
        if not self._settings.allows(client):
            return Rcode.REFUSED, f"the address may not ask for it (signed with {seal})"
        if query.type == Type.AXFR and not tcp:
            return Rcode.REFUSED, "it was asked for over UDP"
        if self._clock() >= self._snapshot.expires:
            return Rcode.SERVFAIL, "the list has expired"
        return None

    def _refused(self, query: Query, rcode: Rcode, seal: Seal | None, *, tcp: bool) -> Iterator[bytes]:
        response = wire.write_response(query, rcode, authoritative=False, tcp=tcp)
        return iter((sealed(query, response, seal, tcp=tcp),))

    def _say(self, query: Query, client: str, reason: str) -> None:
        """Log why somebody gets no answer, once in a while."""
        now = time.monotonic()
        if now - self._said.get((client, reason), -_SAY_AGAIN_SECONDS) < _SAY_AGAIN_SECONDS:
            return
        if len(self._said) >= _MOST_STRANGERS:
            self._said.clear()
        self._said[client, reason] = now
        asked = dns.name.Name([*query.labels, b""]).to_text(omit_final_dot=True)
        kind = Type(query.type).name if query.type in {Type.AXFR, Type.IXFR} else "a query"
        _log.warning("%s of %s refused to %s: %s", kind, asked, client, reason)


def _serial(packet: bytes) -> int | None:
    """Return the serial that an IXFR question says its asker has (RFC 1995, section 3), or None."""
    for found in wire.records_of(packet) or ():
        if found.section == 1 and found.type == Type.SOA:
            primary = wire.read_name(packet, found.data.start)
            mailbox = None if primary is None else wire.read_name(packet, primary[1])
            if mailbox is not None and mailbox[1] + 20 == found.data.stop:
                return int.from_bytes(packet[mailbox[1] : mailbox[1] + 4], "big")
    return None

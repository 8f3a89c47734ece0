"""NOTIFY (RFC 1996): every secondary is told that there is a new list, until it says that it has heard.

Only the newest list is told of: what comes while a secondary is silent takes the place of what it has not heard.
"""

import asyncio
import logging
import secrets
from typing import cast

import dns.name
import dns.rcode

from whimbrel.model.transfer import Secondary
from whimbrel.nameserver.answer import soa_data
from whimbrel.nameserver.transfer.signing import Keyring, Seal, seal_of
from whimbrel.wire import dns as wire
from whimbrel.wire import lifetimes
from whimbrel.wire.snapshot import Snapshot

# RFC 1996, section 3.6, thinks of five tries, a minute apart; a list that changes by the minute tries sooner.
WAITS_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)

_NOTIFY = 4 << 11  # the opcode, where a header has it
_KIND_MASK, _RCODE_MASK = 0xF800, 0x000F  # QR and opcode; the code

_log = logging.getLogger(__name__)


class Notifier:
    """Tells one secondary of each new list, from `run` to its end."""

    def __init__(self, secondary: Secondary, keys: Keyring) -> None:
        self._secondary = secondary
        self._keys = keys
        self._news: asyncio.Queue[Snapshot] = asyncio.Queue()

    def tell(self, snapshot: Snapshot) -> None:
        """Have it told of a list, instead of an older one that it has not heard of."""
        self._news.put_nowait(snapshot)

    async def run(self) -> None:
        """Tell it whatever there is to tell, until cancelled."""
        while True:
            snapshot = await self._news.get()
            for wait_seconds in WAITS_SECONDS:
                while not self._news.empty():
                    snapshot = self._news.get_nowait()
                rcode = await self._try(snapshot, wait_seconds)
                if rcode is not None:
                    self._say(snapshot, rcode)
                    break
            else:
                _log.warning("%s does not answer when told of list %d", self._secondary, snapshot.serial)

    def _say(self, snapshot: Snapshot, rcode: int) -> None:
        if rcode == dns.rcode.NOERROR:
            _log.info("%s knows of list %d", self._secondary, snapshot.serial)
            return
        said = dns.rcode.to_text(dns.rcode.Rcode(rcode))
        _log.warning("%s says %s when told of list %d", self._secondary, said, snapshot.serial)

    async def _try(self, snapshot: Snapshot, wait_seconds: float) -> int | None:
        """Tell it once; return the code that it answers with, None where it does not."""
        message_id = secrets.randbelow(1 << 16)
        message, seal = self._message(snapshot, message_id)
        endpoint = self._secondary.endpoint
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(wait_seconds):
                # Connected, so that only what comes from there is heard.
                transport, ear = await loop.create_datagram_endpoint(
                    lambda: _Ear(self._keys, message, seal), remote_addr=(endpoint.address, endpoint.port)
                )
                try:
                    return await ear.heard
                finally:
                    transport.close()
        except TimeoutError:
            return None
        except OSError as error:  # nobody listens there yet, or there is no way: the next try comes after a wait
            _log.debug("%s: %s", self._secondary, error)
            await asyncio.sleep(wait_seconds)
            return None

    def _message(self, snapshot: Snapshot, message_id: int) -> tuple[bytes, Seal | None]:
        """Return the message and its signature: the zone's SOA is the question, and as it is now the answer."""
        name = wire.write_name(snapshot.zone.name)
        question = name + int(wire.Type.SOA).to_bytes(2, "big") + wire.CLASS_IN.to_bytes(2, "big")
        soa = soa_data(snapshot.zone, snapshot.serial)
        answer = name + wire.record_tail(wire.Type.SOA, lifetimes.APEX_SECONDS, soa)
        message = wire.HEADER.pack(message_id, _NOTIFY | wire.AA, 1, 1, 0, 0) + question + answer
        if self._secondary.key is None:
            return message, None
        key = self._keys[dns.name.from_text(self._secondary.key)]
        seal = Seal(key.name, message_id, key=key)
        return seal.put_on(message), seal


class _Ear(asyncio.DatagramProtocol):
    """Sends a message as soon as it can; `heard` is the code of the answer to it."""

    def __init__(self, keys: Keyring, message: bytes, seal: Seal | None) -> None:
        self._keys = keys
        self._message = message
        self._seal = seal
        self.heard: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: the event loop's own class is no DatagramTransport before Python 3.13.
        cast("asyncio.DatagramTransport", transport).sendto(self._message)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr
        if len(data) < wire.HEADER.size or data[:2] != self._message[:2] or self.heard.done():
            return
        flags = int.from_bytes(data[2:4], "big")
        rcode = flags & _RCODE_MASK
        # Whoever does not know the key cannot sign that he does not.
        if flags & _KIND_MASK == wire.QR | _NOTIFY and (rcode != dns.rcode.NOERROR or self._holds(data)):
            self.heard.set_result(rcode)

    def error_received(self, exc: Exception) -> None:
        if not self.heard.done():
            self.heard.set_exception(exc)

    def _holds(self, data: bytes) -> bool:
        """Tell whether an answer is signed where the message was."""
        if self._seal is None:
            return True
        theirs = seal_of(data, self._keys, self._seal.mac)
        return theirs is not None and theirs.fault is None

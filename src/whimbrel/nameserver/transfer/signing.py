"""TSIG around messages (RFC 8945): dnspython reckons, this says over what.

Its clock is the machine's, even where the server was told another time: the other side's is, too.
"""

import time
from collections.abc import Callable, Mapping

import dns.exception
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tsig
from dns.rdtypes.ANY.TSIG import TSIG

from whimbrel.wire import dns as wire
from whimbrel.wire.transferkeys import TransferKey

FUDGE_SECONDS = 300  # RFC 8945, section 10
# A TSIG record at its largest: two names, 10 bytes of every record, 16 of this one, a SHA-512, the time of a fault.
MOST_BYTES = 2 * wire.MAX_NAME_BYTES + 10 + 16 + 64 + 6

_ADDITIONAL = slice(10, 12)  # where a header says how many additional records there are
_REASONS = {
    dns.rcode.BADKEY: "no key of this name and algorithm is known here",
    dns.rcode.BADSIG: "the signature does not hold: the secrets differ",
    dns.rcode.BADTIME: "the clocks differ by more than five minutes",
}

Keyring = Mapping[dns.name.Name, dns.tsig.Key]


class Seal:
    """Whose signature a message bears, why it does not hold (`fault`), and how what belongs to it is signed.

    The parts of one answer are signed each over the one before; of a question that we ask, `mac` is its signature.
    """

    def __init__(
        self,
        name: dns.name.Name,
        message_id: int,
        *,
        key: dns.tsig.Key | None,
        request_mac: bytes = b"",
        theirs: TSIG | None = None,
        fault: dns.rcode.Rcode | None = None,
    ) -> None:
        self._name = name
        self._id = message_id
        self._key = key
        self._request_mac = request_mac
        self._theirs = theirs
        self._context: object = None
        self.fault = fault
        self.mac = b""

    def __str__(self) -> str:
        """Return the key's name as people write it."""
        return self._name.to_text(omit_final_dot=True)

    @property
    def reason(self) -> str:
        """Why it does not hold."""
        return "" if self.fault is None else _REASONS[self.fault]

    def put_on(self, message: bytes, *, is_part: bool = False) -> bytes:
        """Return a message with its TSIG record; `is_part`: of an answer of several messages."""
        if self.fault is None:
            assert self._key is not None
            return self._signed(message, self._record(self._key.algorithm), int(time.time()), is_part=is_part)
        assert self._theirs is not None
        late = self.fault == dns.rcode.BADTIME
        other = int(time.time()).to_bytes(6, "big") if late else b""
        record = self._record(self._theirs.algorithm, self._theirs.time_signed, self.fault, other)
        # Without a secret that is shared there is nothing to sign with (RFC 8945, section 5.3.2).
        return self._signed(message, record, record.time_signed) if late else self._with(message, record)

    def _signed(self, message: bytes, record: TSIG, at: int, *, is_part: bool = False) -> bytes:
        signed, self._context = _sign(message, self._key, record, at, self._request_mac, self._context, multi=is_part)
        self.mac = signed.mac
        return self._with(message, signed)

    def _record(self, algorithm: dns.name.Name, at: int = 0, error: int = 0, other: bytes = b"") -> TSIG:
        any_, tsig = dns.rdataclass.ANY, dns.rdatatype.TSIG
        return _TSIG(any_, tsig, algorithm, at, FUDGE_SECONDS, b"", self._id, error, other)

    def _with(self, message: bytes, record: TSIG) -> bytes:
        count = int.from_bytes(message[_ADDITIONAL], "big") + 1
        data = record.to_wire()
        assert data is not None
        owner = self._name.to_wire()
        assert owner is not None
        tail = wire.record_tail(wire.Type.TSIG, 0, data, dns.rdataclass.ANY)
        return message[: _ADDITIONAL.start] + count.to_bytes(2, "big") + message[_ADDITIONAL.stop :] + owner + tail


def keyring(keys: Mapping[str, TransferKey]) -> Keyring:
    """Return keys as dnspython has them, by name."""
    made = (dns.tsig.Key(dns.name.from_text(key.name), key.secret, key.algorithm) for key in keys.values())
    return {key.name: key for key in made}


def seal_of(packet: bytes, keys: Keyring, request_mac: bytes = b"") -> Seal | None:
    """Return whose signature a packet bears; None: none that can be read.

    `request_mac` is that of the question, where the packet is an answer to ours.
    """
    records = wire.records_of(packet)
    if not records or records[-1].type != wire.Type.TSIG or records[-1].section != 2:
        return None
    found = records[-1]
    # Neither is signed, so both are looked at (RFC 8945, section 4.2).
    if found.class_ != dns.rdataclass.ANY or found.lifetime_seconds:
        return None
    try:
        name = dns.name.Name([*found.owner, b""])
        length = found.data.stop - found.data.start
        theirs = dns.rdata.from_wire(dns.rdataclass.ANY, dns.rdatatype.TSIG, packet, found.data.start, length)
    except dns.exception.DNSException:
        return None
    assert isinstance(theirs, TSIG)
    key = keys.get(name)
    fault: dns.rcode.Rcode | None = dns.rcode.BADKEY
    if key is not None and key.algorithm == theirs.algorithm:
        fault = _fault(packet, key, theirs, request_mac, found.at)
    return Seal(name, theirs.original_id, key=key, request_mac=theirs.mac, theirs=theirs, fault=fault)


def _fault(packet: bytes, key: dns.tsig.Key, theirs: TSIG, request_mac: bytes, at: int) -> dns.rcode.Rcode | None:
    try:
        _validate(packet, key, key.name, theirs, int(time.time()), request_mac, at)
    except dns.tsig.BadTime:
        return dns.rcode.BADTIME
    except dns.exception.DNSException:
        return dns.rcode.BADSIG
    return None


# dnspython's own, whose types it does not say.
_sign: Callable[..., tuple[TSIG, object]] = dns.tsig.sign
_validate: Callable[..., object] = dns.tsig.validate
_TSIG: Callable[..., TSIG] = TSIG

"""An answer under guard, compiled: the twin of `Guard.respond` for what the compiled answer answers.

Denied clients, public resolvers and subscribers' keys are handed on.  Until it is sure that a query is not handed on
nothing is counted or charged, for the reference does that itself.
"""

from typing import NamedTuple

from whimbrel.nameserver.fast.answer import (
    COOKIE_HEAD_BYTES,
    HANDED_ON,
    OPT_BYTES,
    cookie_bytes,
    edns_of,
    put_opt,
    reply,
)
from whimbrel.nameserver.fast.batch import Searches
from whimbrel.nameserver.fast.insides import inlined, signed
from whimbrel.nameserver.fast.packet import HEADER_BYTES, PACKET_BYTES, byte, put, put_pair
from whimbrel.nameserver.fast.search import UNKNOWN, Array, Lists
from whimbrel.nameserver.guards import fast as guards
from whimbrel.nameserver.guards.access import Access
from whimbrel.nameserver.guards.cookies import CLIENT_BYTES, SERVER_BYTES
from whimbrel.nameserver.guards.counts import Count
from whimbrel.nameserver.guards.guard import Guard
from whimbrel.nameserver.guards.limits import Kind, Verdict
from whimbrel.wire.dns import COOKIE_OPTION, Rcode

NOT_SENT = -1  # beside a length and HANDED_ON: the limit says so
COOKIE_BYTES = CLIENT_BYTES + SERVER_BYTES

_EXEMPT = int(Access.EXEMPT)
_UDP, _PROVED, _UNPROVED, _LIMITED, _SLIPPED = (
    int(each) for each in (Count.UDP, Count.PROVED, Count.UNPROVED, Count.LIMITED, Count.SLIPPED)
)
_SEND, _DROP = int(Verdict.SEND), int(Verdict.DROP)
_POSITIVE, _NEGATIVE, _ERROR = int(Kind.POSITIVE), int(Kind.NEGATIVE), int(Kind.ERROR)
_REFUSED, _BADCOOKIE = int(Rcode.REFUSED), int(Rcode.BADCOOKIE)
_TRUNCATED = 2  # TC, in the header's third byte


class Guards(NamedTuple):
    """The state of a `Guard` as arrays; `is_closed`: the reference has to look at every query."""

    is_closed: int
    access_high: Array
    access_low: Array
    access_flags: Array
    secrets: Array
    keys: Array
    accounts: Array
    used_ms: Array
    withheld: Array
    rules: Array
    seed: Array
    totals: Array
    rcodes: Array
    codes: Array
    times: Array
    clients: Array
    asked: Array
    limited: Array
    limited_times: Array
    cookie: Array  # room for one


def guards_of(guard: Guard, room: Array) -> Guards:
    """Return the state of a guard, which goes on being used by it; `room` has COOKIE_BYTES."""
    counts = guard.counts
    return Guards(
        int(len(guard.quotas.ids) > 0),
        *guard.accesses,
        guard.secrets,
        *guard.limits,
        counts.totals,
        counts.rcodes,
        counts.codes,
        counts.times,
        counts.clients,
        counts.asked,
        counts.limited,
        counts.withheld,
        room,
    )


@inlined
def kind_of(packet: Array) -> int:
    """Return the class of an answer, as rate limiting has them."""
    if byte(packet, 3) & 0xF == _REFUSED:
        return _ERROR
    return _POSITIVE if byte(packet, 7) != 0 else _NEGATIVE


@inlined
def emptied(packet: Array, end: int, edns: int, has_cookie: bool) -> int:
    """Take the records from an answer that is over the limit: to be asked again over TCP, or with the cookie sent."""
    put_pair(packet, 6, 0)
    put_pair(packet, 8, 0)
    if has_cookie:
        put(packet, 2, 0x80 | byte(packet, 2) & 1)
        put(packet, 3, _BADCOOKIE & 0xF)
        return put_opt(packet, end, edns, _BADCOOKIE >> 4)
    put(packet, 2, byte(packet, 2) | _TRUNCATED)
    return put_opt(packet, end, edns, 0)


@inlined
def put_cookie(packet: Array, end: int, cookie: Array) -> int:
    """Put a cookie into the OPT record that ends an answer; return where it ends then."""
    put_pair(packet, end - 2, COOKIE_HEAD_BYTES + COOKIE_BYTES)
    put_pair(packet, end, COOKIE_OPTION)
    put_pair(packet, end + 2, COOKIE_BYTES)
    for place in range(COOKIE_BYTES):
        put(packet, end + COOKIE_HEAD_BYTES + place, signed(cookie[place]))
    return end + COOKIE_HEAD_BYTES + COOKIE_BYTES


@inlined
def verdict_on(packet: Array, guarded: Guards, prefix: int, now_ms: int) -> int:
    """Return what rate limiting makes of an answer to a network, and count what it withholds."""
    verdict = guards.judge_answer(
        guarded.keys, guarded.accounts, guarded.used_ms, guarded.withheld, guarded.rules, guarded.seed,
        prefix, kind_of(packet), now_ms,
    )  # fmt: skip
    if verdict != _SEND:
        guards.note(guarded.limited, guarded.limited_times, prefix)
        guarded.totals[_LIMITED if verdict == _DROP else _SLIPPED] += 1
    return int(verdict)


@inlined
def guarded_reply(
    packet: Array,
    length: int,
    name: Array,
    lists: Lists,
    under_way: Searches,
    row: int,
    guarded: Guards,
    now: int,
    soon: int,
    now_ms: int,
) -> int:
    """Write the answer to a query over it, or what the guards leave of it; return its length, HANDED_ON or NOT_SENT."""
    zone, number, end = under_way.zone[row], under_way.number[row], under_way.end[row]
    if number == UNKNOWN or guarded.is_closed:
        return HANDED_ON
    high, low = guards.client_of(name)
    access = guards.access_of(guarded.access_high, guarded.access_low, guarded.access_flags, high, low)
    if access & ~_EXEMPT:
        return HANDED_ON
    edns = edns_of(packet, end, length)
    shown = cookie_bytes(packet, end, length) if edns > 0 else 0
    is_proved = False
    if shown:
        if end + lists.soa_bytes[zone] + OPT_BYTES + COOKIE_HEAD_BYTES + COOKIE_BYTES > PACKET_BYTES:
            return HANDED_ON
        at = end + OPT_BYTES + COOKIE_HEAD_BYTES
        is_proved = guards.judge_cookie(packet, at, shown, high, low, now, guarded.secrets, guarded.cookie)
    size = reply(packet, length, lists, zone, number, end, soon)
    if size == HANDED_ON:
        return HANDED_ON
    prefix = guards.prefix_of(high, low)
    guarded.totals[_UDP] += 1
    guards.note(guarded.clients, guarded.asked, prefix)
    if shown:
        guarded.totals[_PROVED if is_proved else _UNPROVED] += 1
    if not (access & _EXEMPT or is_proved):
        verdict = verdict_on(packet, guarded, prefix, now_ms)
        if verdict == _DROP:
            return NOT_SENT
        if verdict != _SEND:
            size = emptied(packet, end, edns, shown != 0)
    guards.count_answer(guarded.rcodes, guarded.codes, packet, size, end - HEADER_BYTES)
    return put_cookie(packet, size, guarded.cookie) if shown else size

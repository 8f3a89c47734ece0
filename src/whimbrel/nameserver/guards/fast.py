"""The guards, compiled: for each reference function of the files beside this one its twin, on the same state.

For a packet loop that holds no GIL: arrays and numbers come in, numbers go out, nothing is allocated or raised, and no
index leaves its array whatever a packet holds, so long as `at` and `length` lie within the packet.  Packets are uint8
arrays; a client is two uint64 (`Client`'s `high` and `low`); `now` is seconds since 1970 and `now_ms` a clock that only
rises, both int64.  Importing this loads Numba, which takes a third of a second: only the packet loop does.

Numba compiles a function anew when its own file changes, not when one that it calls does; so a loop that calls these
clears its cache when this file is newer.
"""

import numba
import numpy as np

from whimbrel.nameserver.guards import cookies, counts, limits, quota, siphash

_compiled = numba.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy", forceinline=True, _nrt=False)  # type: ignore[call-overload]  # Numba's types know no `_nrt`

_U = np.uint64
_I0, _I1, _I2, _I3 = map(np.uint64, siphash.INITIAL)
_BYTE, _MAPPED, _FOUR = _U(0xFF), _U(0xFFFF), _U(0xFFFFFFFF)
_M1, _M2 = _U(0xBF58476D1CE4E5B9), _U(0x94D049BB133111EB)
_AF_INET6 = 10  # Linux
_SIP_LENGTH_SHIFT = _U(56)


@_compiled
def client_of(socket_address):  # type: ignore[no-untyped-def]
    """Return (high, low) of a client, from its sockaddr_in or sockaddr_in6 as recvmmsg wrote it (28 bytes)."""
    high, low = _U(0), _U(0)
    if socket_address[0] == _AF_INET6 or socket_address[1] == _AF_INET6:
        for at in range(8):
            high = high << _U(8) | _U(socket_address[8 + at])
            low = low << _U(8) | _U(socket_address[16 + at])
        return high, low
    low = _MAPPED
    for at in range(4):
        low = low << _U(8) | _U(socket_address[4 + at])
    return high, low


@_compiled
def is_ipv4(high, low):  # type: ignore[no-untyped-def]
    """As `Client.is_ipv4`."""
    return high == _U(0) and low >> _U(32) == _MAPPED


@_compiled
def prefix_of(high, low):  # type: ignore[no-untyped-def]
    """As `Client.prefix`."""
    return (low if is_ipv4(high, low) else high) & ~_BYTE


# SipHash-2-4, a word at a time, so that what is hashed need not be put together first


@_compiled
def _rotated(value, bits):  # type: ignore[no-untyped-def]
    return value << _U(bits) | value >> _U(64 - bits)


@_compiled
def _round(v0, v1, v2, v3):  # type: ignore[no-untyped-def]
    v0 += v1
    v2 += v3
    v1 = _rotated(v1, 13) ^ v0
    v3 = _rotated(v3, 16) ^ v2
    v0 = _rotated(v0, 32) + v3
    v2 += v1
    v1 = _rotated(v1, 17) ^ v2
    v3 = _rotated(v3, 21) ^ v0
    return v0, v1, _rotated(v2, 32), v3


@_compiled
def sip_begun(key):  # type: ignore[no-untyped-def]
    """Return the state under a key of two words."""
    return _I0 ^ key[0], _I1 ^ key[1], _I2 ^ key[0], _I3 ^ key[1]


@_compiled
def sip_fed(state, word):  # type: ignore[no-untyped-def]
    """Return the state after a word; the last one has the length of all (modulo 256) in its highest byte."""
    v0, v1, v2, v3 = state
    v0, v1, v2, v3 = _round(v0, v1, v2, v3 ^ word)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ word, v1, v2, v3


@_compiled
def sip_ended(state):  # type: ignore[no-untyped-def]
    """Return the hash."""
    v0, v1, v2, v3 = state
    v2 ^= _BYTE
    for _ in range(4):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


@_compiled
def _word_at(packet, at):  # type: ignore[no-untyped-def]
    word = _U(0)
    for place in range(8):
        word |= _U(packet[at + place]) << _U(8 * place)
    return word


@_compiled
def _put_word(packet, at, word):  # type: ignore[no-untyped-def]
    for place in range(8):
        packet[at + place] = np.uint8(word >> _U(8 * place) & _BYTE)


@_compiled
def _swapped(word):  # type: ignore[no-untyped-def]
    swapped = _U(0)
    for place in range(8):
        swapped = swapped << _U(8) | (word >> _U(8 * place) & _BYTE)
    return swapped


# Cookies


@_compiled
def cookie_hash(ours, head, high, low, secret):  # type: ignore[no-untyped-def]
    """Return a server cookie's hash: of client cookie and its own first 8 bytes, both as words, and the client."""
    state = sip_fed(sip_fed(sip_begun(secret), ours), head)
    if is_ipv4(high, low):
        return sip_ended(sip_fed(state, _swapped(low & _FOUR) >> _U(32) | _U(20) << _SIP_LENGTH_SHIFT))
    state = sip_fed(sip_fed(state, _swapped(high)), _swapped(low))
    return sip_ended(sip_fed(state, _U(32) << _SIP_LENGTH_SHIFT))


@_compiled
def judge_cookie(packet, at, length, high, low, now, known, out):  # type: ignore[no-untyped-def]
    """As `cookies.judged`: write what to say back (24 bytes) to `out`, and return whether the client is proved.

    The cookie's data, 8 bytes or 16 to 40, lie at `at` of the packet.
    """
    ours = _word_at(packet, at)
    _put_word(out, 0, ours)
    is_proved = False
    if length == cookies.CLIENT_BYTES + cookies.SERVER_BYTES and packet[at + 8] == 1:
        head, shown = _word_at(packet, at + 8), _word_at(packet, at + 16)
        made = np.int64(_swapped(head) & _FOUR)
        age = (now - made) & np.int64(0xFFFFFFFF)
        if age >> np.int64(31):
            age -= np.int64(1) << np.int64(32)
        if -cookies.NEWEST_SECONDS <= age <= cookies.OLDEST_SECONDS:
            for number in range(known.shape[0]):
                if cookie_hash(ours, head, high, low, known[number]) == shown:
                    if number == 0 and age < cookies.RENEW_SECONDS:
                        _put_word(out, 8, head)
                        _put_word(out, 16, shown)
                        return True
                    is_proved = True
                    break
    head = _swapped(_U(1) << _U(56) | _U(now) & _FOUR)
    _put_word(out, 8, head)
    _put_word(out, 16, cookie_hash(ours, head, high, low, known[0]))
    return is_proved


# Limits


@_compiled
def mixed(value):  # type: ignore[no-untyped-def]
    """As `limits.mixed`."""
    value = (value ^ value >> _U(30)) * _M1
    value = (value ^ value >> _U(27)) * _M2
    return value ^ value >> _U(31)


@_compiled
def judge_answer(keys, accounts, used_ms, withheld, rules, seed, prefix, kind, now_ms):  # type: ignore[no-untyped-def]
    """As `limits.judge`: return a Verdict's number; the first six are `Limits`, one by one."""
    rate, slip, window_ms = rules[0], rules[1], rules[2] * 1000
    if rate <= 0:
        return 0
    key = prefix | _U(kind + 1)
    first = np.int64(mixed(key ^ seed[0]) & _U(keys.size // limits.WAYS - 1)) * limits.WAYS
    at, is_there = int(first), False
    for place in range(first, first + limits.WAYS):
        if keys[place] == key:
            at, is_there = place, True
            break
        if used_ms[place] < used_ms[at]:
            at = place
    if not is_there:
        keys[at], accounts[at], used_ms[at], withheld[at] = key, rate * limits.ANSWER, now_ms, 0
    age_ms = min(max(now_ms - used_ms[at], 0), window_ms + 1000)
    account = min(accounts[at] + age_ms * rate, rate * limits.ANSWER) - limits.ANSWER
    accounts[at] = max(account, -window_ms * rate)
    used_ms[at] = max(used_ms[at], now_ms)
    if account >= 0:
        return 0
    withheld[at] += 1
    return 1 if slip > 0 and withheld[at] % slip == 0 else 2


# Access lists


@_compiled
def access_of(starts_high, starts_low, flags, high, low):  # type: ignore[no-untyped-def]
    """As `access.access_of`: return Access's number; the first three are `AccessList`, one by one."""
    first, behind = 0, flags.size
    while behind - first > 1:
        middle = (first + behind) // 2
        if starts_high[middle] < high or (starts_high[middle] == high and starts_low[middle] <= low):
            first = middle
        else:
            behind = middle
    return np.int64(flags[first])


# Quotas


@_compiled
def subscriber_at(packet, at, ids, secret):  # type: ignore[no-untyped-def]
    """As `quota.subscriber`, of the label whose length byte is at `at`: 26 bytes must lie behind it if it says so."""
    if packet[at] != quota.LABEL_BYTES:
        return quota.NO_KEY
    state, word = sip_begun(secret), _U(0)
    for place in range(quota.LABEL_BYTES):
        letter = packet[at + 1 + place]
        if 65 <= letter <= 90:
            letter += np.uint8(32)
        if not (97 <= letter <= 122 or 50 <= letter <= 55):
            return quota.NO_KEY
        word |= _U(letter) << _U(8 * (place & 7))
        if place & 7 == 7:
            state, word = sip_fed(state, word), _U(0)
    hashed = sip_ended(sip_fed(state, word | _U(quota.LABEL_BYTES) << _SIP_LENGTH_SHIFT))
    first, behind = 0, ids.size
    while first < behind:
        middle = (first + behind) // 2
        if ids[middle] < hashed:
            first = middle + 1
        else:
            behind = middle
    return first if first < ids.size and ids[first] == hashed else quota.UNKNOWN


@_compiled
def spend(quota_limits, used, days, number, day):  # type: ignore[no-untyped-def]
    """As `quota.spend`."""
    if days[number] != day:
        days[number], used[number] = day, 0
    used[number] += 1
    return used[number] <= quota_limits[number]


# Counts


@_compiled
def count_answer(rcodes, codes, packet, length, question_bytes):  # type: ignore[no-untyped-def]
    """As `counts.count_answer`, of an answer of so many bytes, at least 12."""
    rcode, at = np.int64(packet[3] & 0xF), 12 + question_bytes
    if packet[11] and length >= at + 11:
        rcode |= np.int64(packet[length - 6] & 1) << 4
    rcodes[rcode] += 1
    if rcode == 0 and packet[6] | packet[7] and length >= at + 16 and packet[at + 2] == 0 and packet[at + 3] == 1:
        codes[np.int64(packet[at + 14] & 3) << 8 | packet[at + 15]] += 1


@_compiled
def time_place(nanoseconds):  # type: ignore[no-untyped-def]
    """As `counts.time_place`."""
    value, first = max(nanoseconds, 4), 0
    while value >> first > 7:
        first += 1
    return min(first << 2 | (value >> first & 3), counts.BUCKETS - 1)


@_compiled
def note(keys, times, prefix):  # type: ignore[no-untyped-def]
    """As `counts.note`."""
    first = np.int64(mixed(prefix) & _U(keys.size // counts.WAYS - 1)) * counts.WAYS
    least = int(first)
    for at in range(first, first + counts.WAYS):
        if keys[at] == prefix:
            times[at] += 1
            return
        if times[at] < times[least]:
            least = at
    keys[least] = prefix
    times[least] += 1

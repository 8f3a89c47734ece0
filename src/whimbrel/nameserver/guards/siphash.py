"""SipHash-2-4 (Aumasson and Bernstein 2012): a keyed hash of short texts that nobody without the key can steer.

DNS server cookies are made with it (RFC 9018, section 4.4), and so are the places of clients and keys in our tables.
The same, compiled, is in `fast.py`.
"""

import struct

KEY_BYTES = 16
_MASK = 0xFFFFFFFFFFFFFFFF
# "somepseudorandomlygeneratedbytes", as the paper has it.
INITIAL = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)

_State = tuple[int, int, int, int]


def siphash24(key: bytes, data: bytes) -> int:
    """Return the 64-bit hash of some bytes under a key of 16; written little-endian it is the paper's 8 bytes."""
    low, high = struct.unpack("<QQ", key)
    state: _State = (INITIAL[0] ^ low, INITIAL[1] ^ high, INITIAL[2] ^ low, INITIAL[3] ^ high)
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 0xFF])
    for (word,) in struct.iter_unpack("<Q", padded):
        v0, v1, v2, v3 = state
        v0, v1, v2, v3 = _round(_round((v0, v1, v2, v3 ^ word)))
        state = (v0 ^ word, v1, v2, v3)
    v0, v1, v2, v3 = state
    state = (v0, v1, v2 ^ 0xFF, v3)
    for _ in range(4):
        state = _round(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _round(state: _State) -> _State:
    v0, v1, v2, v3 = state
    v0 = (v0 + v1) & _MASK
    v2 = (v2 + v3) & _MASK
    v1 = _rotated(v1, 13) ^ v0
    v3 = _rotated(v3, 16) ^ v2
    v0 = (_rotated(v0, 32) + v3) & _MASK
    v2 = (v2 + v1) & _MASK
    v1 = _rotated(v1, 17) ^ v2
    v3 = _rotated(v3, 21) ^ v0
    return v0, v1, _rotated(v2, 32), v3


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 64 - bits) & _MASK

"""A near-duplicate sketch: band keys of a MinHash over word shingles."""

import numpy as np
import xxhash

_MIN_SHINGLES = 16
_BANDS = 6
_ROWS = 3


def signature(text: str) -> tuple[int, ...]:
    """Return the band keys (64 bits each) of a text, or an empty tuple where it is too short."""
    words = [word for word in text.lower().split()[:4096] if word.isalpha()]
    if len(words) < _MIN_SHINGLES + 2:
        return ()
    hashes = np.array([xxhash.xxh3_64_intdigest(word.encode("utf-8", "replace")) for word in words], dtype=np.uint64)
    shingles = hashes[:-2] * np.uint64(3) + hashes[1:-1] * np.uint64(5) + hashes[2:] * np.uint64(7)
    odd = np.arange(1, 2 * _BANDS * _ROWS, 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    least = (shingles[:, None] * odd).min(axis=0).reshape(_BANDS, _ROWS)
    return tuple(xxhash.xxh3_64_intdigest(band.tobytes(), seed=index) for index, band in enumerate(least))

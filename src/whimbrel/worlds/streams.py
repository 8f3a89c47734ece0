"""One stream of random numbers for every component and week, so that one changed setting reshuffles nothing else."""

import zlib
from typing import Final

import numpy as np

ALWAYS: Final = 0  # the "week" of what is drawn once; weeks count from 1 here


def stream(seed: int, component: str, week: int = ALWAYS) -> np.random.Generator:
    """Return the generator of a component in a week: equal arguments give equal numbers, others independent ones."""
    words = np.random.SeedSequence([seed, zlib.crc32(component.encode()), week])
    return np.random.Generator(np.random.PCG64DXSM(words))

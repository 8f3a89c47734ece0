"""Many pairs: e-BH (Wang & Ramdas, arXiv 2009.02824), valid whatever depends on what."""

import numpy as np
from numpy.typing import NDArray

from whimbrel.analysis.links.reference import Floats


def e_bh(log_e: Floats, alpha: float) -> tuple[NDArray[np.bool_], float]:
    """Return which hypotheses fall at false discovery rate `alpha`, and the log e that each of them needed.

    With K hypotheses, the k largest fall if the k-th is at least K / (alpha k).  Where none falls, the first would
    have needed K / alpha.  Give it e-values as they stand now, never running maxima: these are no e-values.
    """
    count = log_e.size
    if count == 0:
        return np.zeros(0, dtype=bool), -float(np.log(alpha))
    ordered = np.sort(log_e)[::-1]
    needed = np.log(count) - np.log(alpha) - np.log(np.arange(1, count + 1))
    enough = np.flatnonzero(ordered >= needed)
    threshold = float(needed[enough[-1]] if enough.size else needed[0])
    return log_e >= threshold, threshold

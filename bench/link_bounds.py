"""Bounds and intervals of counts, by Clopper and Pearson."""

import scipy

_LEVEL = 0.95


def upper(count: int, runs: int) -> float:
    """Return the one-sided upper 95 % Clopper-Pearson bound."""
    return 1.0 if count >= runs else float(scipy.stats.beta.ppf(_LEVEL, count + 1, runs - count))


def lower(count: int, runs: int) -> float:
    """Return the one-sided lower 95 % Clopper-Pearson bound."""
    return 0.0 if count == 0 else float(scipy.stats.beta.ppf(1 - _LEVEL, count, runs - count + 1))


def interval(count: int, runs: int) -> tuple[float, float]:
    """Return the two-sided 95 % Clopper-Pearson interval."""
    if runs == 0:
        return 0.0, 1.0
    tail = (1 - _LEVEL) / 2
    low = 0.0 if count == 0 else float(scipy.stats.beta.ppf(tail, count, runs - count + 1))
    high = 1.0 if count == runs else float(scipy.stats.beta.ppf(1 - tail, count + 1, runs - count))
    return low, high

"""The reliability diagram: of the pairs of which so much was said, how many were linked; as SVG."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from bench.link_bounds import interval
from bench.link_tables import calibration_of

BINS: Final = 10
_SIDE: Final = 320  # of the square, in pixels
_LEFT, _TOP = 56, 40
_INK, _PALE, _BLUE = "#222", "#bbb", "#1f5fa8"


def diagram(pairs: Sequence[Sequence[Any]]) -> str:
    """Return the diagram of pairs (probability, linked, ...); those without a probability are left out."""
    known = [pair for pair in pairs if pair[0] is not None]
    said, true = np.array([pair[0] for pair in known]), np.array([pair[1] for pair in known], dtype=float)
    error, brier = calibration_of(said, true)
    constant = float(true.mean() * (1 - true.mean()))
    marks = [mark for one in range(BINS) for mark in _bin(said, true, one)]
    title = (
        f"{len(known):,} pairs of the second generator: calibration error {error:.3f}, Brier {brier:.3f} "
        f"(a constant: {constant:.3f})"
    )
    width, height = _SIDE + 2 * _LEFT + 180, _SIDE + _TOP + 70
    size = f'width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12" fill="{_INK}">',
        f"<title>{title}</title>",
        f'<rect {size} fill="white"/>',
        _text(_LEFT, 20, title, "start"),
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="{_INK}"/>',
        _line(0, 0, 1, 1, _PALE, dashed=True),
        *(_axis(tick / 5) for tick in range(6)),
        *marks,
        _text(_LEFT + _SIDE / 2, _TOP + _SIDE + 40, "probability said", "middle"),
        f'<g transform="rotate(-90 16 {_TOP + _SIDE / 2})">{_text(16, _TOP + _SIDE / 2, "share linked", "middle")}</g>',
        _text(_LEFT + _SIDE + 12, _TOP + 14, "bars: 95 % (Clopper-Pearson)", "start"),
        _text(_LEFT + _SIDE + 12, _TOP + 30, "numbers: pairs in the tenth", "start"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _bin(said: npt.NDArray[np.float64], true: npt.NDArray[np.float64], one: int) -> list[str]:
    own = np.minimum((said * BINS).astype(int), BINS - 1) == one
    count, linked = int(own.sum()), int(true[own].sum())
    if not count:
        return []
    at, share = float(said[own].mean()), linked / count
    low, high = interval(linked, count)
    x, y = _place(at, share)
    return [
        _line(at, low, at, high, _BLUE),
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{_BLUE}"/>',
        _text(x + 7, y + 12, f"{count:,}", "start"),
    ]


def _place(x: float, y: float) -> tuple[float, float]:
    return _LEFT + x * _SIDE, _TOP + (1 - y) * _SIDE


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, dashed: bool = False) -> str:
    (a, b), (c, d) = _place(x1, y1), _place(x2, y2)
    dash = ' stroke-dasharray="4 4"' if dashed else ""
    return f'<line x1="{a:.1f}" y1="{b:.1f}" x2="{c:.1f}" y2="{d:.1f}" stroke="{colour}"{dash}/>'


def _axis(value: float) -> str:
    x, bottom = _place(value, 0)
    left, y = _place(0, value)
    return _text(x, bottom + 18, f"{value:g}", "middle") + _text(left - 8, y + 4, f"{value:g}", "end")


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'

"""One pair as a picture: effects with their intervals, the negative controls, and the evidence over time.

SVG by hand: three panels of lines, points and texts need no library, and the same explanation gives the same bytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from math import exp, inf, isfinite, log
from typing import NamedTuple

from whimbrel.analysis.links.explain import Effect, Explanation, Step

_WIDTH = 900
_LEFT = 230  # room for the names of rows
_RIGHT = 40
_ROW = 22
_TITLE = 34
_AXIS = 40
_CONTROL_HEIGHT = 90
_PATH_HEIGHT = 190
_FAINT, _DARK, _BLUE, _RED = "#999999", "#222222", "#1f5fa8", "#b3261e"
_RATIO_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
_NORMAL_95 = 1.959964  # of the standard normal law, two-sided


class _Scale(NamedTuple):
    """A linear scale from values to places across the picture."""

    low: float
    high: float

    def at(self, value: float) -> float:
        bounded = min(max(value, self.low), self.high)
        return _LEFT + (bounded - self.low) / (self.high - self.low) * (_WIDTH - _LEFT - _RIGHT)


def picture(told: Explanation) -> str:
    """Return the picture of an explained pair as SVG."""
    panels = [_effects(told), _controls(told), _path(told)]
    parts, top = [], 46.0
    for height, elements in panels:
        parts.append(f'<g transform="translate(0 {top:.0f})">{"".join(elements)}</g>')
        top += height
    verdict = next(row["verdict"] for row in told.verdicts if row["claim"] == "L2")
    title = _text(20, 28, f"{told.family} and {told.campaign}: sending (L2) {verdict}", size=17, weight="bold")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top:.0f}" viewBox="0 0 {_WIDTH} {top:.0f}" '
        f'font-family="Helvetica, Arial, sans-serif"><rect width="100%" height="100%" fill="white"/>{title}'
        f"{''.join(parts)}</svg>\n"
    )


def _effects(told: Explanation) -> tuple[float, Iterator[str]]:
    rows = [effect for effect in told.effects if effect.tables > 0]
    height = _TITLE + _ROW * max(len(rows), 1) + _AXIS
    scale = _ratio_scale([each for row in rows for each in (row.odds_ratio_low, row.odds_ratio_high)])
    return height, _effect_elements(rows, scale, height)


def _effect_elements(rows: Sequence[Effect], scale: _Scale, height: float) -> Iterator[str]:
    yield _heading("Odds ratio by arm and sensor, with 95 % intervals")
    yield from _ratio_axis(scale, _TITLE, height - _AXIS)
    for number, row in enumerate(rows):
        y = _TITLE + _ROW * (number + 0.5)
        name = row.arm if row.sensor is None else f"at {row.sensor}"
        yield _text(_LEFT - 12, y + 4, name, anchor="end", weight="bold" if row.sensor is None else "normal")
        if isfinite(row.odds_ratio) and row.odds_ratio > 0:
            low, middle, high = (
                scale.at(_log(each)) for each in (row.odds_ratio_low, row.odds_ratio, row.odds_ratio_high)
            )
            yield _line((low, y), (high, y), _BLUE, 2 if row.sensor is None else 1)
            yield f'<circle cx="{middle:.1f}" cy="{y:.1f}" r="{5 if row.sensor is None else 3}" fill="{_BLUE}"/>'
    if not rows:
        yield _text(_LEFT, _TITLE + 15, "no stratum holds anything to compare", colour=_FAINT)


def _controls(told: Explanation) -> tuple[float, Iterator[str]]:
    ratios = [exp(control.log_odds_ratio) for control in told.controls]
    own = [] if told.own_log_odds_ratio is None else [exp(told.own_log_odds_ratio)]
    return _TITLE + _CONTROL_HEIGHT + _AXIS, _control_elements(told, _ratio_scale([*ratios, *own]))


def _control_elements(told: Explanation, scale: _Scale) -> Iterator[str]:
    bottom = _TITLE + _CONTROL_HEIGHT
    yield _heading(f"Negative controls: {len(told.controls)} families that nobody suspects, and {told.family}")
    yield from _ratio_axis(scale, _TITLE, bottom)
    for number, control in enumerate(sorted(told.controls, key=lambda each: each.log_odds_ratio)):
        y = _TITLE + 12 + (number * 7) % (_CONTROL_HEIGHT - 24)
        spread = _NORMAL_95 * control.standard_error
        ends = (scale.at(control.log_odds_ratio - spread), scale.at(control.log_odds_ratio + spread))
        yield _line((ends[0], y), (ends[1], y), _FAINT, 1)
        yield f'<circle cx="{scale.at(control.log_odds_ratio):.1f}" cy="{y}" r="3" fill="{_DARK}"/>'
    if told.own_log_odds_ratio is not None:
        x = scale.at(told.own_log_odds_ratio)
        yield _line((x, _TITLE), (x, bottom), _BLUE, 2)
        yield _text(x, _TITLE - 4, told.family, anchor="middle", colour=_BLUE)


def _path(told: Explanation) -> tuple[float, Iterator[str]]:
    return _TITLE + _PATH_HEIGHT + _AXIS, _path_elements(told)


def _told_path(told: Explanation) -> list[Step]:
    """Return the path without its quiet end: windows after the last that added anything, but one."""
    changes = [n for n in range(1, len(told.path)) if told.path[n].log_e != told.path[n - 1].log_e]
    return told.path[: changes[-1] + 2] if changes else told.path[:1]


def _path_elements(told: Explanation) -> Iterator[str]:
    path = _told_path(told)
    bottom = _TITLE + _PATH_HEIGHT
    yield _heading("Evidence over time: log10 of e, window by window; above the line it may be said")
    threshold = told.threshold_log_e / log(10)
    lines = {claim: [step.log_e[claim] / log(10) for step in path] for claim in ("L1", "L2")}
    every = [0.0, threshold, *(value for line in lines.values() for value in line if isfinite(value))]
    low, high = min(every), max(every) * 1.05 + 0.1
    across = _Scale(0, max(len(path) - 1, 1))

    def up(value: float) -> float:
        return bottom - (max(value, low) - low) / (high - low) * _PATH_HEIGHT

    yield _line((_LEFT, up(threshold)), (_WIDTH - _RIGHT, up(threshold)), _RED, 1, dashed=True)
    yield _text(_LEFT - 12, up(threshold) + 4, f"e = {exp(told.threshold_log_e):.0f}", anchor="end", colour=_RED)
    yield _line((_LEFT, up(0)), (_WIDTH - _RIGHT, up(0)), _FAINT, 1)
    yield _text(_LEFT - 12, up(0) + 4, "e = 1", anchor="end", colour=_FAINT)
    for claim, colour in (("L1", _FAINT), ("L2", _BLUE)):
        points = " ".join(f"{across.at(n):.1f},{up(value):.1f}" for n, value in enumerate(lines[claim]))
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        if path:
            yield _text(_WIDTH - _RIGHT + 6, up(lines[claim][-1]) + 4, claim, colour=colour)
    for number in sorted({0, len(path) // 2, len(path) - 1} if path else set()):
        when = path[number].opens_at.strftime("%Y-%m-%d")
        yield _text(across.at(number), bottom + 18, when, anchor="middle", colour=_FAINT)


def _ratio_scale(ratios: Iterable[float]) -> _Scale:
    logs = [_log(ratio) for ratio in ratios if isfinite(ratio) and ratio > 0]
    return _Scale(min([log(0.5), *logs]) - 0.1, max([log(2), *logs]) + 0.1)


def _ratio_axis(scale: _Scale, top: float, bottom: float) -> Iterator[str]:
    for tick in _RATIO_TICKS:
        if scale.low <= log(tick) <= scale.high:
            x = scale.at(log(tick))
            yield _line((x, top), (x, bottom), _DARK if tick == 1 else "#e3e3e3", 1)
            yield _text(x, bottom + 16, f"{tick:g}", anchor="middle", colour=_FAINT)


def _log(ratio: float) -> float:
    return log(ratio) if 0 < ratio < inf else (-inf if ratio <= 0 else inf)


def _heading(text: str) -> str:
    return _text(20, 18, text, size=13, weight="bold")


_Point = tuple[float, float]


def _line(begin: _Point, end: _Point, colour: str, width: float, *, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    place = f'x1="{begin[0]:.1f}" y1="{begin[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
    return f'<line {place} stroke="{colour}" stroke-width="{width}"{dash}/>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, weight: str = "normal", colour: str = _DARK
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{colour}"'
    return f"<text {place}>{escape(text)}</text>"

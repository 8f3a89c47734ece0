"""What `link.py` prints: a table a section, from whatever runs are there, counts with Clopper-Pearson bounds."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
import scipy
from bench.link_bounds import interval, lower, upper
from bench.link_efficiency import ratio_of_units
from bench.link_shipped import shipped_rows

from whimbrel.analysis.links import Settings

Line = dict[str, Any]
LINKED: Final = frozenset({"linked", "strongly linked"})
_SMALL = 0.05  # p-values below this are a simple test's "linked"
_BINS = 10


def tables(lines: Sequence[Line]) -> str:
    """Return all tables for which there are runs."""
    parts = []
    for section, table in _TABLES.items():
        own = [line for line in lines if line["section"] == section]
        if own:
            seconds = sum(line["seconds"] for line in own)
            parts.append(f"== {section}: {len(own):,} runs, {seconds:,.0f} s of one core\n\n{table(own)}")
    versions = {line["code"] for line in lines}
    if len(versions) > 1:
        parts.append(f"Attention: runs of {len(versions)} versions of the code are mixed here ({sorted(versions)}).")
    return "\n\n".join(parts) if parts else "no runs yet"


def _points(lines: Iterable[Line]) -> dict[tuple[str, str], list[Line]]:
    found: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        found.setdefault((line["world"], line["settings"]), []).append(line["result"])
    return dict(sorted(found.items()))


def _lay(head: Sequence[str], rows: Iterable[Sequence[str]], notes: str = "") -> str:
    """Return a Markdown table, padded to be read as it is."""
    whole = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in whole) for column in range(len(head))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in whole
    ]
    texts.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(texts) + (f"\n\n{notes}" if notes else "")


def _share(count: int, runs: int) -> str:
    return f"{count / runs:.1%}" if runs else "-"


def _two_sided(count: int, runs: int) -> str:
    low, high = interval(count, runs)
    return f"{low:.1%} to {high:.1%}"


def _null(lines: Sequence[Line]) -> str:
    alpha = Settings().alpha
    rows = []
    for (world, settings), runs in _points(lines).items():
        n = len(runs)
        linked = sum(run["linked_week"] is not None for run in runs)
        raw = sum(run["e_highest_before_veto"] >= 1 / alpha for run in runs)
        ratios = [run["odds_ratio"] for run in runs if run["odds_ratio"] is not None]
        rows.append(
            [
                world,
                settings.removeprefix("odds_ratio="),
                str(n),
                str(linked),
                f"{upper(linked, n):.2%}",
                "yes" if upper(linked, n) <= alpha else "NO" if lower(linked, n) > alpha else "open",
                str(raw),
                f"{max(run['e_highest'] for run in runs):.1f}",
                f"{statistics.median(ratios):.2f}" if ratios else "-",
                _share(sum(run["naive_p"] < _SMALL for run in runs), n),
                f"{statistics.median(run['naive_ratio'] for run in runs):.1f}",
                _share(sum(run["cmh_all_hosts_p"] < _SMALL for run in runs), n),
                _share(sum(run["cmh_p"] < _SMALL for run in runs), n),
                _share(sum(run["cmh_p_lowest"] < _SMALL for run in runs), n),
                _share(sum(run["method_unknown"] for run in runs), n),
            ]
        )
    head = ["world", "OR", "runs", "linked", "upper", "<= 5 %", "no veto", "highest e", "ratio", "naive", "naive ratio"]
    head += ["CMH hosts", "CMH end", "CMH weekly", "method"]
    notes = (
        "linked: e >= 1/alpha after the veto at any weekly look, the pair asked about alone; upper: one-sided 95 %\n"
        "Clopper-Pearson; no veto: the same without the negative controls; ratio: median Mantel-Haenszel odds ratio\n"
        "at the end; the rest is the share of runs with one-sided p < .05: naive overlap of hosts, CMH of W's hosts\n"
        "against all others (the strata of L1), CMH over the strata of L2 at the end, and at any weekly look; method:\n"
        "the reason given is that the method is not known."
    )
    total, linked = len(lines), sum(line["result"]["linked_week"] is not None for line in lines)
    return _lay(head, rows, f"All worlds: {linked} of {total} (worlds share seeds: no bound for the sum).\n{notes}")


def _looks(lines: Sequence[Line]) -> str:
    rows = [
        [
            world,
            settings,
            str(len(runs)),
            str(sum(run["looks"] for run in runs)),
            str(sum(run["equal"] for run in runs)),
        ]
        for (world, settings), runs in _points(lines).items()
    ]
    return _lay(
        ["world", "settings", "runs", "looks", "equal"], rows, "equal: runs in which every e-value is, bit for bit."
    )


def _against(lines: Sequence[Line]) -> str:
    rows = []
    for (world, settings), runs in _points(lines).items():
        n = len(runs)
        true = world == "against" and settings == "odds_ratio=1"
        end = sum(run["verdict"] == "evidence against" for run in runs)
        ever = sum(run["against_week"] is not None for run in runs)
        bound = f">= {lower(end, n):.1%}" if true else f"<= {upper(ever, n):.1%}"
        ratios = [run["odds_ratio"] for run in runs if run["odds_ratio"] is not None]
        ratio = f"{statistics.median(ratios):.2f}" if ratios else "-"
        linked = sum(run["verdict"] in LINKED for run in runs)
        kind = "true" if true else "false"
        rows.append([world, settings, kind, str(n), str(end), str(ever), bound, str(linked), ratio])
    head = ["world", "settings", "against is", "runs", "at the end", "at any week", "bound", "linked", "ratio"]
    notes = 'bound: one-sided, of "at the end" where it is true to say so, of "at any week" where it is false.'
    return _lay(head, rows, notes)


def _power(lines: Sequence[Line]) -> str:
    rows = []
    for (world, settings), runs in _points(lines).items():
        n, linked = len(runs), sum(run["verdict"] in LINKED for run in runs)
        change = dict(word.split("=") for word in settings.split())
        numbers = [float(change.get(key, 0)) for key in ("base_rate", "odds_ratio", "units")]
        ratios = [run["odds_ratio"] for run in runs if run["odds_ratio"] is not None]
        cells = [
            world,
            change.get("units", "2500"),
            change.get("odds_ratio", "3"),
            change.get("base_rate", "0.03"),
            str(n),
            str(linked),
            _share(linked, n),
            _two_sided(linked, n),
            f"{statistics.median(ratios):.2f}" if ratios else "-",
        ]
        rows.append(((world, *numbers), cells))
    head = ["world", "W-units", "OR", "base rate", "runs", "linked", "power", "95 %", "ratio"]
    return _lay(head, [cells for _, cells in sorted(rows)], "At the final verdict, asked alone.")


def _efficiency(lines: Sequence[Line]) -> str:
    rows = []
    by_ratio: dict[str, list[tuple[float, bool, bool]]] = {}
    alpha = Settings().alpha
    for line in lines:
        change = dict(word.split("=") for word in line["settings"].split())
        result = line["result"]
        told = (float(change["units"]), result["e_value"] >= 1 / alpha, result["exact_p"] <= alpha)
        by_ratio.setdefault(change["odds_ratio"], []).append(told)
    for ratio, runs in sorted(by_ratio.items()):
        table = np.array(runs, dtype=float)
        units, by_e, by_p = table[:, 0], table[:, 1] > 0, table[:, 2] > 0
        e, p, times, low, high = ratio_of_units(units, by_e, by_p)
        rows.append([ratio, str(len(runs)), f"{e:,.0f}", f"{p:,.0f}", f"{times:.2f}", f"{low:.2f} to {high:.2f}"])
    head = ["OR", "runs", "units by e", "units by the exact test", "ratio", "95 %"]
    notes = "W-units for a power of 80 % at the end (base rate 3 %, ten controls a unit); 95 %: bootstrap over runs."
    return _lay(head, rows, notes)


def _lines(lines: Sequence[Line]) -> str:
    keys = ("rows", "verdicts", "equal")
    rows = [
        [world, settings or "-", str(len(runs)), *(str(sum(run[key] for run in runs)) for key in keys)]
        for (world, settings), runs in _points(lines).items()
    ]
    head = ["world", "settings", "runs", "lines of text", "verdicts", "equal"]
    return _lay(head, rows, "equal: runs in which every field of every verdict is the same both ways.")


def calibration_of(said: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Return expected calibration error (ten bins of equal width) and Brier score."""
    bins = np.minimum((said * _BINS).astype(int), _BINS - 1)
    gaps = [abs(said[bins == one].mean() - true[bins == one].mean()) * np.mean(bins == one) for one in np.unique(bins)]
    return float(np.sum(gaps)), float(np.mean((said - true) ** 2))


def _calibration(lines: Sequence[Line]) -> str:
    pairs = [pair for line in lines for pair in line["result"]["pairs"]]
    known = [pair for pair in pairs if pair[0] is not None and pair[2] is not None]
    said, true = np.array([pair[0] for pair in known]), np.array([pair[1] for pair in known], dtype=float)
    error, brier = calibration_of(said, true)
    by_p = calibration_of(1 - np.array([pair[2] for pair in known]), true)
    constant = float(true.mean() * (1 - true.mean()))
    scores = _lay(
        ["measure", "whimbrel", "1 - CMH p", "a constant", "goal"],
        [
            ["expected calibration error", f"{error:.3f}", f"{by_p[0]:.3f}", "0", "<= 0.05"],
            ["Brier score", f"{brier:.3f}", f"{by_p[1]:.3f}", f"{constant:.3f}", f"<= {constant / 2:.3f}"],
        ],
    )
    bins = np.minimum((said * _BINS).astype(int), _BINS - 1)
    rows = []
    for one in np.unique(bins):
        own = true[bins == one]
        n, hits = own.size, int(own.sum())
        rows.append(
            [
                f"{one / _BINS:.1f}-{(one + 1) / _BINS:.1f}",
                str(n),
                f"{said[bins == one].mean():.3f}",
                f"{hits / n:.3f}",
                _two_sided(hits, n),
            ]
        )
    diagram = _lay(["said", "pairs", "mean said", "linked", "95 %"], rows)
    found = sum(pair[3] in LINKED for pair in pairs)
    false = sum(pair[3] in LINKED and not pair[1] for pair in pairs)
    denied = sum(pair[3] == "evidence against" for pair in pairs)
    wrong = sum(pair[3] == "evidence against" and pair[1] for pair in pairs)
    notes = (
        f"{len(lines)} worlds of the second generator, {len(pairs):,} pairs, {len(known):,} with a probability (the\n"
        f"rest is left out).  Verdicts, e-BH within a world: linked {found}, {false} of them falsely;\n"
        f"against {denied}, {wrong} of them falsely."
    )
    return f"{scores}\n\n{diagram}\n\n{notes}"


def _placebo(lines: Sequence[Line]) -> str:
    rows = []
    for (world, settings), runs in sorted(_points(lines).items(), key=lambda item: (item[0][1], item[0][0])):
        n, linked = len(runs), sum(run["verdict"] in LINKED for run in runs)
        ratios = [run["odds_ratio"] for run in runs if run["odds_ratio"] is not None]
        ratio = f"{statistics.median(ratios):.2f}" if ratios else "-"
        rows.append([settings, world, str(n), str(linked), f"{upper(linked, n):.1%}", ratio])
    return _lay(["placebo", "world", "runs", "linked", "upper", "ratio"], rows, "upper: one-sided Clopper-Pearson.")


def _shipped(lines: Sequence[Line]) -> str:
    head, rows, notes = shipped_rows({settings: runs for (_, settings), runs in _points(lines).items()}, _two_sided)
    return _lay(head, rows, notes)


def _many(lines: Sequence[Line]) -> str:
    runs = [line["result"] for line in lines]
    n = len(runs)
    shares = np.array([run["false"] / max(run["found"], 1) for run in runs])
    spread = float(scipy.stats.t.ppf(0.975, n - 1) * shares.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    found, false = sum(run["found"] for run in runs), sum(run["false"] for run in runs)
    true, hits = sum(run["true"] for run in runs), sum(run["found"] - run["false"] for run in runs)
    some = sum(run["false"] > 0 for run in runs)
    denied, denied_true = sum(run["denied"] for run in runs), sum(run["denied_true"] for run in runs)
    rows = [
        ["false discovery rate, mean over runs", f"{shares.mean():.2%} +- {spread:.2%}", "", "<= 5 %"],
        ["false of all found", f"{false} of {found}", _two_sided(false, max(found, 1)), ""],
        ["runs with a false one", f"{some} of {n}", _two_sided(some, n), ""],
        ["true pairs found", f"{hits} of {true} ({_share(hits, true)})", _two_sided(hits, true), ">= 80 %"],
        ["'against' said falsely", f"{denied_true} of {denied}", _two_sided(denied_true, max(denied, 1)), ""],
    ]
    notes = "Intervals of counts take pairs of one run as independent."
    return _lay(["measure", "value", "95 %", "goal"], rows, notes)


def _size(lines: Sequence[Line]) -> str:
    rows = [
        [
            line["world"],
            line["settings"] or "-",
            *(f"{line['result'][key]:,}" for key in ("observations", "pairs", "linked", "seconds", "mib")),
            f"{line['result']['observations'] / max(line['result']['generating_seconds'], 0.1):,.0f}",
        ]
        for line in sorted(lines, key=lambda line: int(line["result"]["observations"]))
    ]
    head = ["world", "settings", "observations", "pairs", "linked", "seconds", "peak MiB", "generated and written/s"]
    return _lay(head, rows, "From Parquet to all verdicts, a process of its own with DuckDB's threads as it chooses.")


_TABLES: Final[dict[str, Callable[[Sequence[Line]], str]]] = {
    "null": _null,
    "looks": _looks,
    "against": _against,
    "power": _power,
    "efficiency": _efficiency,
    "calibration": _calibration,
    "placebo": _placebo,
    "shipped": _shipped,
    "many": _many,
    "lines": _lines,
    "size": _size,
    "huge": _size,
}

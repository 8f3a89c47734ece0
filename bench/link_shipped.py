"""Placebos on the mail that ships: who is infected is drawn by seed, so that no family sends any campaign.

The mail is ingested once, as `./demo` does but to its end, into a store of its own below `build/`; its observations,
each with its campaign, are what `whimbrel links` reads.  A draw gives every chosen host one of eight families and four
sightings by a sinkhole, at times of the stream itself (more often when more mail came).  What is drawn does not look at
who sent what; so whatever is `linked` is false.

A placebo that cannot say `linked` proves nothing: `planted` gives one family to a campaign's own senders instead (all
of them, or a share), seen the week before each first sent it; the rest is drawn as before.

Networks are /24s where nobody names an AS: with some 2,400 hosts hardly two of these are alike.  `network=8` names the
/8 as the prefix instead, so that tables hold more.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whimbrel.analysis.links import Evidence, Settings, verdicts
from whimbrel.analysis.links.columns import READ

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parent / "samples" / "mail"
STORE = HERE.parent / "build" / "shipped-mail"
FAMILIES: Final = tuple(f"placebo-{number}" for number in range(1, 9))
SIGHTINGS = 4
LINKED: Final = frozenset({"linked", "strongly linked"})
LEAST_SENDERS = 20  # hosts of a campaign that gets a family of its own
_AFTER_ALL = "2003-12-31"
_WEEK_US = 7 * 86_400 * 1_000_000


@lru_cache(maxsize=1)
def mail() -> pa.Table:
    """Return the observations of the shipped mail, with campaigns, as `whimbrel links` reads them."""
    from whimbrel.evidence import Evidence as Store  # noqa: PLC0415 - only where the section runs
    from whimbrel.pipeline.link import _observations  # noqa: PLC0415

    if not STORE.exists():
        _ingest()
    with Store.open(STORE) as store, _observations(store) as observations:
        table = observations.to_pyarrow()
    return table.sort_by([("seen_at", "ascending"), ("host", "ascending"), ("campaign", "ascending")])


def _ingest() -> None:
    """Make the store; where another process was faster, that one's stays."""
    STORE.parent.mkdir(parents=True, exist_ok=True)
    made = tempfile.mkdtemp(prefix="shipped-mail-", dir=STORE.parent)
    told = "".join((SAMPLES / name).read_text(encoding="utf-8") for name in ("relays", "list-nodes"))
    trust = [word for line in told.splitlines() if not line.startswith("#") for word in ("--trust", line)]
    words: list[str | Path] = [Path(sys.executable).with_name("whimbrel"), "ingest"]
    words += [SAMPLES / "spamassassin.tar.xz", "--labels", SAMPLES / "labels", *trust]
    words += ["--profile", "own", "--now", _AFTER_ALL, "--data", made]
    subprocess.run(words, check=True, capture_output=True)
    try:
        Path(made).rename(STORE)
    except OSError:
        shutil.rmtree(made)


def end_of_mail() -> datetime:
    """Return an instant at which the last week of the mail is over."""
    last: datetime = pc.max(mail()["seen_at"]).as_py()
    return last.astimezone(UTC) + timedelta(weeks=1, hours=Settings().grace_hours)


def draw(settings: str, seed: int) -> pa.Table:
    """Return the mail with infections.

    `settings` is `random` or `planted`, then infected=SHARE of all hosts, network=24|8, and for `planted` share=SHARE.
    """
    kind, *changes = settings.split()
    given = dict(change.split("=") for change in changes)
    dice = np.random.default_rng([seed, len(settings)])
    observed = mail()
    hosts = np.array(sorted(set(observed["host"].to_pylist())))
    chosen = hosts[dice.random(hosts.size) < float(given["infected"])]
    at_us = observed["seen_at"].cast(pa.int64()).to_numpy()
    family = np.array(FAMILIES)[dice.integers(0, len(FAMILIES), chosen.size)]
    times = dice.choice(at_us, (SIGHTINGS, chosen.size)) + dice.integers(0, _WEEK_US, (SIGHTINGS, chosen.size))
    if kind == "planted":
        senders, first_us = senders_of(planted(seed))
        owned = dice.random(senders.size) < float(given["share"])
        senders, first_us = senders[owned], first_us[owned]
        others = ~np.isin(chosen, senders) & (family != FAMILIES[0])
        chosen = np.concatenate([senders, chosen[others]])
        family = np.concatenate([np.full(senders.size, FAMILIES[0]), family[others]])
        times = np.concatenate([np.tile(first_us - _WEEK_US, (SIGHTINGS, 1)), times[:, others]], axis=1)
    infected = _sightings(
        np.tile(chosen, SIGHTINGS), np.tile(family, SIGHTINGS), np.minimum(times.ravel(), at_us.max())
    )
    both = pa.concat_tables([observed, infected.cast(observed.schema)])
    return both if given["network"] == "24" else _by_first_octet(both)


def _sightings(host: npt.NDArray[Any], family: npt.NDArray[Any], at_us: npt.NDArray[np.int64]) -> pa.Table:
    times = pa.array(at_us).cast(pa.timestamp("us", tz="UTC"))
    columns: dict[str, Any] = {name: pa.nulls(host.size, pa.string()) for name in READ}
    columns |= {"seen_at": times, "learned_at": times, "host": pa.array(host.tolist()), "family": family.tolist()}
    columns |= {name: pa.array([text] * host.size) for name, text in _SINKHOLE.items()}
    columns |= {"asn": pa.nulls(host.size, pa.int64()), "count": pa.array(np.ones(host.size, np.int64))}
    return pa.table({name: columns[name] for name in ("seen_at", "learned_at", *READ)})


_SINKHOLE: Final = {"sensor": "mail", "kind": "infection", "method": "sinkhole"}


def _by_first_octet(table: pa.Table) -> pa.Table:
    octet = pc.replace_substring_regex(table["host"], r"^(\d+)\..*$", r"\1.0.0.0/8")
    return table.set_column(table.schema.get_field_index("prefix"), "prefix", octet)


@lru_cache(maxsize=1)
def _senders() -> dict[str, dict[str, int]]:
    """Return when each host first sent each campaign that enough hosts sent, in microseconds."""
    found: dict[str, dict[str, int]] = {}
    rows = mail().select(["campaign", "host", "seen_at"])
    for campaign, host, at in zip(rows["campaign"].to_pylist(), rows["host"].to_pylist(), _us(rows), strict=True):
        if campaign is not None:
            found.setdefault(campaign, {}).setdefault(host, at)
    return {campaign: hosts for campaign, hosts in sorted(found.items()) if len(hosts) >= LEAST_SENDERS}


def _us(rows: pa.Table) -> list[int]:
    told: list[int] = rows["seen_at"].cast(pa.int64()).to_pylist()
    return told


def planted(seed: int) -> str:
    """Return the campaign whose senders get a family of their own."""
    names = list(_senders())
    return names[seed % len(names)]


def senders_of(campaign: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return the hosts that sent a campaign, and when each first did."""
    told = _senders()[campaign]
    return np.array(list(told)), np.array(list(told.values()), np.int64)


def told_of_mail(settings: str, seed: int, evidence: Evidence) -> dict[str, Any]:
    """Return how many pairs there are, how many can be judged at all, and what is said of them."""
    rows = verdicts(evidence).to_pylist()
    threshold = 1 / evidence.state.settings.alpha
    result: dict[str, Any] = {}
    for claim in ("L1", "L2"):
        own = [row for row in rows if row["claim"] == claim]
        judged = [row for row in own if row["probability"] is not None]
        result[claim] = {
            "pairs": len(own),
            "judged": len(judged),
            "linked": sum(row["verdict"] in LINKED for row in own),
            "against": sum(row["verdict"] == "evidence against" for row in own),
            "alone": sum(row["e_value"] >= threshold for row in own),
            "highest": max((row["e_value"] for row in own), default=0.0),
            "mean_e": sum(row["e_value"] for row in judged) / max(len(judged), 1),
        }
    if settings.startswith("planted"):
        campaign = planted(seed)
        (row,) = [
            one for one in rows if (one["family"], one["campaign"], one["claim"]) == (FAMILIES[0], campaign, "L2")
        ]
        result["planted"] = {key: row[key] for key in ("verdict", "e_value", "windows", "units")}
        result["planted"] |= {"campaign": campaign, "informative": row["probability"] is not None}
    return result


Rows = list[list[str]]


def shipped_rows(
    points: Mapping[str, Sequence[dict[str, Any]]], two_sided: Callable[[int, int], str]
) -> tuple[list[str], Rows, str]:
    """Return heading, rows and notes of the table of this section; `points` are runs by settings."""
    rows = []
    for settings, runs in points.items():
        for claim in ("L1", "L2"):
            own = [run[claim] for run in runs]
            pairs, judged, linked, alone = (
                sum(run[key] for run in own) for key in ("pairs", "judged", "linked", "alone")
            )
            planted_found = sum(run["planted"]["verdict"] in LINKED for run in runs if "planted" in run)
            true = f"{planted_found} of {len(runs)}" if settings.startswith("planted") and claim == "L2" else "-"
            any_linked = sum(run["linked"] > 0 for run in own)
            rows.append(
                [
                    settings,
                    claim,
                    str(len(runs)),
                    f"{pairs:,}",
                    f"{judged:,}",
                    f"{linked}",
                    two_sided(linked, judged),
                    f"{any_linked}",
                    two_sided(any_linked, len(runs)),
                    f"{alone}",
                    f"{max(run['highest'] for run in own):.3g}",
                    f"{sum(run['mean_e'] * run['judged'] for run in own) / max(judged, 1):.3g}",
                    true,
                ]
            )
    head = ["draw", "claim", "draws", "pairs", "judged", "linked", "95 % of judged", "draws with any", "95 % of draws"]
    head += ["e >= 20", "highest e", "mean e", "planted found"]
    notes = (
        "judged: some table leaves the ratio open; linked: by e-BH over all pairs of a draw, as in `whimbrel links`;\n"
        "e >= 20: would be linked if asked about alone.  `planted` draws count the planted pair, too.  Pairs of one\n"
        "draw, and draws from one stream of mail, are not independent; the intervals take them to be."
    )
    return head, rows, notes

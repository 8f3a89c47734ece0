"""Runs an ingest as the command line does, and gives all that a store says, so that two stores can be compared."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.cli.running import WHIMBREL

from whimbrel.evidence import Evidence
from whimbrel.listings.ledger import Ledger
from whimbrel.pipeline.ingest import Asked, Ingested, ingest
from whimbrel.pipeline.places import ledger_place
from whimbrel.sensors.boundary import parse_trust

LATER = datetime(2003, 1, 1, tzinfo=UTC)
DERIVED = ("membership", "host_days", "campaign_messages", "campaign_keys", "chains")

KEY = "0badcafe " + "5a" * 32 + "\n"


def with_key(data_dir: Path) -> Path:
    """Give a store to be the key that all stores here have, so that recipients' hashes compare."""
    path = data_dir / "evidence" / "recipients.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(KEY)
        path.chmod(0o600)
    return data_dir


def ingested(
    data_dir: Path,
    paths: Sequence[str],
    *,
    now: datetime = LATER,
    sensor: str = "mail",
    label: Any = "spam",
    labels: str | None = None,
    trust: Sequence[str] = (),
    jobs: int = 1,
    profile: str | None = "own",
    demo: bool = False,
) -> Ingested:
    asked = Asked(
        data_dir=with_key(data_dir),
        paths=paths,
        now=now,
        sensor=sensor,
        label=label,
        labels=labels,
        trust=parse_trust(trust) if trust else None,
        jobs=jobs,
        profile=profile,
        demo=demo,
    )
    return ingest(asked, lambda *_: None)


def command(data_dir: Path, paths: Sequence[str], labels: str, *, jobs: int = 1) -> list[str]:
    """Return the command that does what `ingested` does with labels."""
    options = ["--labels", labels, "--label", "spam", "--profile", "own", "--now", LATER.isoformat()]
    return [str(WHIMBREL), "ingest", *paths, *options, "--data", str(with_key(data_dir)), "--jobs", str(jobs)]


def contents(data_dir: Path) -> dict[str, Any]:
    """Return every row of evidence, analysis and ledger, in an order of their own."""
    with Evidence.open(data_dir) as store:
        told: dict[str, Any] = {
            "facts": rows_of(store.facts()),
            "observations": rows_of(store.observations(superseded=True)),
            "in force": sorted(store.observations(columns=["id"])["id"].to_pylist()),
            "trust": store.recall("trust mail"),
            "staged": store.staged_keys(),
        }
        told |= {name: rows_of(store.derived(name)) for name in DERIVED}
    return told | decisions(data_dir)


def decisions(data_dir: Path) -> dict[str, Any]:
    """Return what the ledger says: events in their order, listings at the end and half way, and the working state."""
    with Ledger.open(ledger_place(data_dir)) as ledger:
        last = ledger.last_run()
        events = ledger.history()
        assert last is not None
        return {
            "events": events,
            "listings": [ledger.listings(at) for at in (LATER, *(event.at for event in events[::50]))],
            "state": dict(ledger.load_state()),
            "until": last.until,
            "rules": (last.profile, last.rule_version),
        }


def rows_of(table: pa.Table | None) -> list[dict[str, Any]]:
    """Return a table's rows in an order that the rows themselves give."""
    rows: list[dict[str, Any]] = [] if table is None else table.to_pylist()
    return sorted(rows, key=repr)


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for part, rows in expected.items():
        assert found[part] == rows, part

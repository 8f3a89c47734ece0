"""The list as it stands, cut into a snapshot for name servers."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from whimbrel.evidence import Evidence
from whimbrel.listings.ledger import Ledger
from whimbrel.pipeline.ingest import is_demo
from whimbrel.pipeline.places import ledger_place, snapshot_path
from whimbrel.publishing import DEMO_TEXTS, TEXTS, build_snapshot, next_serial, previous_serial, write_snapshot


class Published(NamedTuple):
    """What was written: `listings` in it, its size, and from when to when it may be answered from."""

    path: Path
    zone: str
    serial: int
    listings: int
    bytes: int
    born: datetime
    expires: datetime
    demo: bool


def publish(
    data_dir: Path,
    now: datetime,
    *,
    zone: str,
    servers: tuple[str, ...],
    mailbox: str | None,
    valid: timedelta,
    out: Path | None = None,
) -> Published:
    """Write the listings in force at `now`; a name server that serves the file takes it up by itself."""
    path = out or snapshot_path(data_dir)
    with Evidence.open(data_dir) as store:
        demo = is_demo(store)
    serial = next_serial(now, previous_serial(path))
    with Ledger.open(ledger_place(data_dir), "append") as ledger:
        listings = ledger.note_publication(serial, now)
    data = build_snapshot(
        listings,
        zone=zone,
        serial=serial,
        born=now,
        expires=now + valid,
        texts=DEMO_TEXTS if demo else TEXTS,
        servers=servers,
        mailbox=mailbox,
        demo=demo,
    )
    write_snapshot(path, data)
    return Published(path, zone, serial, len(listings), len(data), now, now + valid, demo)

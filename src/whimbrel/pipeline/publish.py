"""The list as it stands, cut into a snapshot for name servers."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from whimbrel.evidence import Evidence
from whimbrel.listings.ledger import Ledger
from whimbrel.pipeline.ingest import is_demo
from whimbrel.pipeline.places import ledger_place, signing_key_path, snapshot_path
from whimbrel.publishing import DEMO_TEXTS, TEXTS, Entries, next_serial, previous_serial, signing, write_snapshot
from whimbrel.wire.keyfile import KeyLine


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
    signed_by: list[str]


def publish(
    data_dir: Path,
    now: datetime,
    *,
    zone: str,
    servers: tuple[str, ...],
    mailbox: str | None,
    valid: timedelta,
    out: Path | None = None,
    signing_key: Path | None = None,
) -> Published:
    """Write the listings in force at `now`; a name server that serves the file takes it up by itself.

    The list is signed where the store has a signing key, or one is named.
    """
    path = out or snapshot_path(data_dir)
    signers = keys_in_use(data_dir, signing_key, now)
    signing.check_kept(path, signers)
    with Evidence.open(data_dir) as store:
        demo = is_demo(store)
    serial = next_serial(now, previous_serial(path))
    with Ledger.open(ledger_place(data_dir), "append") as ledger:
        listings = ledger.note_publication(serial, now)
    data = (
        Entries.of(listings)
        .moment()
        .snapshot(
            zone=zone,
            serial=serial,
            born=now,
            expires=now + valid,
            texts=DEMO_TEXTS if demo else TEXTS,
            servers=servers,
            mailbox=mailbox,
            demo=demo,
        )
    )
    if signers:
        data = signing.signed(data, signers)
    write_snapshot(path, data)
    ids = [key.id for key in signers]
    return Published(path, zone, serial, len(listings), len(data), now, now + valid, demo, ids)


def keys_in_use(data_dir: Path, signing_key: Path | None, now: datetime) -> list[KeyLine]:
    """Return the keys to sign with at `now`: of the file named, else of the store's own, if it has one."""
    path = signing_key or signing_key_path(data_dir)
    if signing_key is None and not path.exists():
        return []
    return signing.in_use(signing.read_keys(path), now)

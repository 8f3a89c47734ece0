"""The list cut into a snapshot is the list of that moment."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.conftest import Undisturbed
from tests.pipeline.mail import DAY_0, day, message, received
from tests.pipeline.stores import ingested

from whimbrel.errors import ConfigError, StoreError
from whimbrel.pipeline.publish import Published, publish
from whimbrel.pipeline.views import listings, listings_at
from whimbrel.publishing import TEXTS, Entries
from whimbrel.wire.snapshot import Snapshot

TEST_ENTRIES = 7  # 127.0.0.N, one a code


def published(data_dir: Path, path: Path | None, **given: Any) -> Published:
    settings: dict[str, Any] = {"zone": "bl.example", "servers": ("ns.example",), "mailbox": None}
    settings |= {"valid": timedelta(hours=2), "out": path} | given
    return publish(data_dir, settings.pop("now", day(60)), **settings)


@pytest.mark.parametrize("days", [20, 45, 70])
def test_the_snapshot_holds_what_is_listed_at_that_moment(tmp_path: Path, undisturbed: Undisturbed, days: int) -> None:
    done = published(undisturbed.data_dir, tmp_path / "list", now=day(days))
    in_force = listings(undisturbed.data_dir, day(days))
    snapshot = Snapshot((tmp_path / "list").read_bytes())
    assert done.listings == len(in_force)
    assert len(snapshot) == len(in_force) + TEST_ENTRIES
    assert (snapshot.zone.name, snapshot.zone.servers, snapshot.serial) == ("bl.example", ("ns.example",), done.serial)
    assert snapshot.born == int(day(days).timestamp())
    assert snapshot.expires == snapshot.born + 7200
    assert not snapshot.zone.demo
    assert done.bytes == (tmp_path / "list").stat().st_size


def test_the_moments_differ(undisturbed: Undisturbed) -> None:
    counts = [len(listings(undisturbed.data_dir, day(days))) for days in (20, 45, 70)]
    assert len(set(counts)) == 3
    assert max(counts) > 50


def test_what_was_published_is_the_list_of_its_moment_whatever_came_in_later(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    """Built anew from `listings --at`, every snapshot is the same file, bit for bit."""
    store, kept = tmp_path / "store", []
    for number, (path, days) in enumerate(zip(undisturbed.paths, (25, 40, 41, 55, 70, 70, 71), strict=True)):
        ingested(store, [path], labels=undisturbed.labels, now=day(days))
        for hours in (0, 7):
            out, at = tmp_path / f"list-{number}-{hours}", day(days + hours / 24)
            done = published(store, out, now=at)
            kept.append((done, at, out.read_bytes()))
    moments = {at for _, at, _ in kept}
    assert len({done.listings for done, _, _ in kept}) > 2
    assert any(len(listings_at(store, at)) != len(listings(store, at)) for at in moments)
    for done, at, data in kept:
        if done is not next(each for each, when, _ in reversed(kept) if when == at):
            continue  # of two of one moment it is the later one
        again = (
            Entries.of(listings_at(store, at))
            .moment()
            .snapshot(
                zone="bl.example",
                serial=done.serial,
                born=at,
                expires=at + timedelta(hours=2),
                texts=TEXTS,
                servers=("ns.example",),
                mailbox=None,
                demo=False,
            )
        )
        assert again == data, at


def test_a_serial_always_rises(tmp_path: Path, undisturbed: Undisturbed) -> None:
    serials = [published(undisturbed.data_dir, tmp_path / "list", now=now).serial for now in (day(9), day(9), day(8))]
    assert serials == sorted(set(serials))


def test_a_demo_is_marked_in_its_snapshot(tmp_path: Path) -> None:
    mail = tmp_path / "a"
    mail.write_bytes(message(received("24.1.2.3", DAY_0)))
    ingested(tmp_path / "store", [str(mail)], demo=True)
    done = published(tmp_path / "store", None)
    assert done.demo
    assert done.path == tmp_path / "store" / "list.snapshot"
    assert Snapshot(done.path.read_bytes()).zone.demo


def test_without_a_store_nothing_is_written(tmp_path: Path, undisturbed: Undisturbed) -> None:
    with pytest.raises(StoreError, match="ingest"):
        published(tmp_path / "none", tmp_path / "list")
    with pytest.raises(ConfigError, match=r"a\.\.b"):
        published(undisturbed.data_dir, tmp_path / "list", zone="a..b")
    assert not (tmp_path / "list").exists()

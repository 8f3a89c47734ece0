"""What is forgotten is nowhere in the store any more; that it was forgotten stays."""

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from tests.pipeline.conftest import Undisturbed
from tests.pipeline.mail import day, message, received
from tests.pipeline.stores import ingested

from whimbrel.errors import ConfigError, StoreError
from whimbrel.evidence import Evidence
from whimbrel.listings.ledger import Ledger, opening
from whimbrel.pipeline.forget import Forgotten, end_terms, forget
from whimbrel.pipeline.people import allow
from whimbrel.pipeline.places import LEDGER_FILE, LEDGER_URL_FILE, ledger_place
from whimbrel.pipeline.rebuild import rebuild
from whimbrel.pipeline.views import listing_rows, listings, within

if TYPE_CHECKING:
    from tests.postgresql import Server

PEER = "24.1.2.37"


def spam(folder: Path, number: float, peer: str = PEER, helo: str = "client.example") -> str:
    folder.mkdir(exist_ok=True)
    path = folder / f"{peer} {number}"
    path.write_bytes(message(received(peer, day(number), name=helo, id_=f"{number}")))
    return str(path)


def filled(data_dir: Path, mail: Path) -> Path:
    """Fill a store in which a host and its neighbours are listed; what others say names it, too."""
    near = [f"24.1.2.{n}" for n in (5, 6, 7)]
    paths = [spam(mail, n / 10, peer) for n in range(10) for peer in (PEER, *near, "62.1.2.3")]
    paths += [spam(mail, 1.5, "80.1.2.3", helo=f"[{PEER}]"), spam(mail, 2.5, "80.1.2.4", helo=f"x.{PEER}.example")]
    ingested(data_dir, paths, now=day(2))
    ingested(data_dir, paths, now=day(3))
    allow(data_dir, PEER, day(3), owner=f"owner of {PEER}", why=f"{PEER} asked")
    return data_dir


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    data_dir = tmp_path / "store"
    data_dir.mkdir()
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgresql_server")
        (data_dir / LEDGER_URL_FILE).write_text(server.new_url())
        (data_dir / LEDGER_URL_FILE).chmod(0o600)
    return filled(data_dir, tmp_path / "mail")


def holding(data_dir: Path, text: str) -> list[str]:
    """Return what in a store holds a text: files by their bytes, Parquet by its values, the ledger by its rows."""
    found = []
    for path in sorted(data_dir.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += repr(pq.read_table(path, partitioning=None).to_pylist()).encode()
        if text.encode() in content:
            found.append(str(path.relative_to(data_dir)))
    with Ledger.open(ledger_place(data_dir)) as ledger:
        told = [ledger.history(), ledger.runs(), ledger.allowed(), dict(ledger.load_state()), dict(ledger.checkpoint())]
        if text in repr(told):
            found.append("ledger")
    return found


def test_an_address_is_nowhere_any_more(store: Path) -> None:
    assert {Path(each).parts[0] for each in holding(store, PEER)} >= {"evidence", "ledger"}
    before = listings(store, day(2))
    done = forget(store, PEER, day(4), by="operator", why="objection")
    assert done.observations >= 11
    assert done.facts >= 11
    assert done.event == "erased-1"
    assert holding(store, PEER) == []
    with Ledger.open(ledger_place(store)) as ledger:
        last = ledger.history()[-1]
        assert (last.change, last.target, last.actor, last.why) == ("erased", "erased-1", "operator", "objection")
        assert ledger.allowed() == []
        changes = [event.change for event in ledger.history("erased-1")]
    assert {"listed", "allowed", "erased"} <= set(changes)
    # The past stays what it was, but for the name.
    then = {listing.target: listing for listing in listings(store, day(2))}
    assert set(then) == {("erased-1" if each.target == PEER else each.target) for each in before}
    rows = listing_rows(store, day(2))
    assert [row["network"] for row in rows if row["target"] == "erased"] == ["erased"]
    keep = within("24.1.0.0/16")
    assert any(keep(row["target"]) for row in rows)
    assert "erased-1" not in {listing.target for listing in listings(store, day(5))}


def test_forgetting_twice_finds_nothing(store: Path) -> None:
    forget(store, PEER, day(4), by="operator", why="objection")
    assert forget(store, PEER, day(5), by="operator", why="objection") == Forgotten(0, 0, 0, None)


def test_deciding_goes_on_and_can_be_decided_again(store: Path, tmp_path: Path) -> None:
    forget(store, PEER, day(4), by="operator", why="objection")
    ingested(store, [spam(tmp_path / "new", 5 + n / 10, peer) for n in range(9) for peer in (PEER, "62.1.2.3")])
    assert PEER in {listing.target for listing in listings(store, day(6))}  # it is a stranger again
    done = rebuild(store, write=False)
    assert (done.list_same, done.state_same, done.again) == (True, True, 1)


def _died(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "where",
    [
        "whimbrel.evidence.erasure.swap",
        "whimbrel.pipeline.forget.forget_in_chains",
        "whimbrel.pipeline.forget.count_days_again",
        "whimbrel.evidence.store.Evidence.bury",
        "whimbrel.evidence.erasure.Manifest.bury",
        "whimbrel.listings.ledger.Ledger.erase",
        "whimbrel.listings.ledger.erasing.rename",
        "whimbrel.listings.ledger.Ledger.scrub",
    ],
)
def test_whoever_dies_at_it_finishes_it_with_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    data_dir = tmp_path / "store"
    data_dir.mkdir()
    filled(data_dir, tmp_path / "mail")
    with monkeypatch.context() as dying:
        dying.setattr(where, _died)
        with pytest.raises(KeyboardInterrupt):
            forget(data_dir, PEER, day(4), by="operator", why="objection")
    forget(data_dir, PEER, day(4), by="operator", why="objection")
    assert holding(data_dir, PEER) == []
    with Ledger.open(ledger_place(data_dir)) as ledger:
        assert [event.target for event in ledger.history() if event.change == "erased"] == ["erased-1"]
    assert rebuild(data_dir, write=False).state_same


def test_free_pages_of_the_ledger_hold_nothing_while_it_is_open(tmp_path: Path) -> None:
    data_dir = tmp_path / "store"
    data_dir.mkdir()
    filled(data_dir, tmp_path / "mail")
    with Ledger.open(data_dir / LEDGER_FILE, "append"):
        forget(data_dir, PEER, day(4), by="operator", why="objection")
        assert holding(data_dir, PEER) == []


def test_a_reader_in_the_middle_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_BUSY_SECONDS", 1)  # the reader stays however long one waits
    data_dir = tmp_path / "store"
    data_dir.mkdir()
    filled(data_dir, tmp_path / "mail")
    reader = sqlite3.connect(data_dir / LEDGER_FILE)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM event").fetchone()
    with pytest.raises(StoreError, match="run the same command again"):
        forget(data_dir, PEER, day(4), by="operator", why="objection")
    reader.close()
    forget(data_dir, PEER, day(4), by="operator", why="objection")
    assert holding(data_dir, PEER) == []


def test_a_recipient_is_nowhere_any_more(tmp_path: Path) -> None:
    data_dir = filled(_made(tmp_path / "store"), tmp_path / "mail")
    with Evidence.open(data_dir) as store:
        its = store.keyed_hash("joe@site.example")
        assert its in {each for row in store.facts().to_pylist() for each in row["recipients"]}
        rows = store.counts().facts.rows
    done = forget(data_dir, "Joe@site.example", day(4), by="operator", why="objection")
    assert (done.observations, done.facts, done.event) == (0, rows, "erased-1")
    with Evidence.open(data_dir) as store:
        assert its not in {each for row in store.facts().to_pylist() for each in row["recipients"]}
        assert store.counts().facts.rows == rows
    assert forget(data_dir, "joe@site.example", day(4), by="operator", why="objection").event is None
    assert rebuild(data_dir, write=False).state_same


def _made(data_dir: Path) -> Path:
    data_dir.mkdir()
    return data_dir


def test_terms_end_by_whole_days_and_what_was_decided_stands(tmp_path: Path, undisturbed: Undisturbed) -> None:
    data_dir = tmp_path / "store"
    ingested(data_dir, undisturbed.paths, labels=undisturbed.labels)
    with Evidence.open(data_dir) as store:
        seen = sorted(store.observations(columns=["seen_at"])["seen_at"].to_pylist())
    limit = seen[len(seen) // 2].date()
    with Ledger.open(ledger_place(data_dir)) as ledger:
        before = ledger.history()
    done = end_terms(data_dir, limit, day(500))
    assert done.observations > len(seen) // 3
    with Evidence.open(data_dir) as store:
        assert min(store.observations(columns=["seen_at"])["seen_at"].to_pylist()).date() >= limit
        days = store.derived("host_days")
        assert days is not None
        assert min(days["day"].to_pylist()) >= limit
    with Ledger.open(ledger_place(data_dir)) as ledger:
        *events, last = ledger.history()
    assert events == before
    assert (last.change, last.why) == ("erased", f"the term of all days before {limit} was over")
    assert end_terms(data_dir, limit, day(500)).event is None
    rebuilt = rebuild(data_dir, write=False)
    assert (rebuilt.list_same, rebuilt.state_same) == (True, True)


@pytest.mark.parametrize("text", ["nonsense", "24.1.2.0/24", "example.com", "two words@example.org", "@"])
def test_what_is_neither_is_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="neither an address"):
        forget(tmp_path, text, day(1), by="x", why="x")


def test_a_reason_that_names_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="say it without"):
        forget(tmp_path, PEER, day(1), by="x", why=f"{PEER} asked")


def test_our_own_servers_and_an_interrupted_ingest_are_refused(tmp_path: Path) -> None:
    data_dir = filled(_made(tmp_path / "store"), tmp_path / "mail")
    ingested(data_dir, [], now=day(3), trust=["62.1.2.0/24"])
    with pytest.raises(ConfigError, match="one of our own servers"):
        forget(data_dir, "62.1.2.3", day(4), by="x", why="x")
    with Evidence.open(data_dir, write=True) as store:
        store.stage("chunk", "mail", [])
    with pytest.raises(StoreError, match="interrupted ingest waits"):
        forget(data_dir, PEER, day(4), by="x", why="x")


def test_where_there_is_no_store_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no evidence"):
        forget(tmp_path / "mistyped", PEER, day(4), by="them", why="asked")
    with pytest.raises(StoreError, match="there is no evidence"):
        end_terms(tmp_path / "mistyped", day(4).date(), day(4))
    assert not (tmp_path / "mistyped").exists()

"""Who handed us each message: told and inferred, and corrected when trust grows."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.mail import DAY_0, day, message, received
from tests.pipeline.stores import contents, ingested, rows_of, with_key

from whimbrel.evidence import Batch, Evidence
from whimbrel.pipeline.reading import read_work
from whimbrel.pipeline.settle import Arrived, own_networks, sensors_of, settle, trust_of
from whimbrel.pipeline.views import host_rows
from whimbrel.pipeline.work import Work

RELAY, CLIENT = "62.1.2.3", "24.1.2.3"
LATE = day(400)


def write(folder: Path, **mail: bytes) -> list[str]:
    folder.mkdir(exist_ok=True)
    for name, content in mail.items():
        (folder / name).write_bytes(content)
    return [str(folder / name) for name in mail]


def relayed(hours: float = 1, id_: str = "1") -> bytes:
    """A message that a relay handed us, `hours` after it got it from a client."""
    at = DAY_0 + timedelta(hours=hours)
    return message(
        received(RELAY, at, name="relay.example", id_=id_), received(CLIENT, DAY_0, by="relay.example", id_=id_)
    )


def in_force(data_dir: Path) -> list[dict[str, Any]]:
    with Evidence.open(data_dir) as store:
        return rows_of(store.observations())


def test_each_message_becomes_facts_and_an_observation(tmp_path: Path) -> None:
    done = ingested(tmp_path / "store", write(tmp_path / "mail", a=relayed()), trust=[RELAY])
    (row,) = in_force(tmp_path / "store")
    assert row["host"] == CLIENT
    assert (row["seen_at"], row["learned_at"]) == (DAY_0, DAY_0)
    assert (row["sensor"], row["kind"], row["label"], row["label_basis"]) == ("mail", "message", "spam", "given")
    assert (row["helo"], row["received_below"], row["count"]) == ("client.example", 0, 1)
    assert row["recipient_domains"] == ["site.example"]
    assert row["bytes"] == len(relayed())
    (facts,) = contents(tmp_path / "store")["facts"]
    assert facts["message_id"] == row["message_id"]
    assert done.settled.trust["mail"].networks == (f"{RELAY}/32",)


def test_what_gives_no_observation_is_counted_by_reason_and_kept_as_facts(tmp_path: Path) -> None:
    paths = write(
        tmp_path / "mail",
        none=message(),
        inner=message(received("10.1.2.3", DAY_0)),
        undated=message(received(CLIENT, DAY_0.replace(year=1971))),
        future=message(received(CLIENT, DAY_0.replace(year=2300))),
        good=message(received(CLIENT, DAY_0)),
    )
    settled = ingested(tmp_path / "store", paths).settled
    assert (settled.messages, settled.observed) == (5, 1)
    assert settled.unobserved == {
        "no Received line": 1,
        "every peer is a server of ours, or has no public address": 1,
        "no time that could be true": 2,
    }
    assert len(contents(tmp_path / "store")["facts"]) == 5


def test_mail_without_any_time_is_kept_as_facts(tmp_path: Path) -> None:
    """A folder of sent mail or drafts: no server dated it."""
    store = tmp_path / "store"
    settled = ingested(store, write(tmp_path / "mail", a=message(), b=message(subject="Other"))).settled
    assert (settled.messages, settled.observed) == (2, 0)
    assert [row["seen_at"] for row in contents(store)["facts"]] == [None, None]
    assert ingested(store, write(tmp_path / "mail", c=message(received(CLIENT, DAY_0)))).settled.observed == 1


def test_a_clock_that_is_wrong_gives_way_to_the_envelope(tmp_path: Path) -> None:
    content = b"From a@b.example Sat Jul 27 12:00:00 2002\n" + message(received(CLIENT, DAY_0.replace(year=1971)))
    ingested(tmp_path / "store", write(tmp_path / "mail", a=content))
    (row,) = in_force(tmp_path / "store")
    assert f"{row['seen_at']:%Y-%m-%d %H:%M}" == "2002-07-27 12:00"


def test_trust_told_later_corrects(tmp_path: Path) -> None:
    store = tmp_path / "store"
    paths = write(tmp_path / "mail", a=relayed(), b=relayed(id_="2"), c=message(received("80.1.2.3", DAY_0)))
    ingested(store, paths)
    old = {row["id"]: row for row in in_force(store) if row["host"] == RELAY}
    assert len(old) == 2
    corrected = ingested(store, paths, trust=[RELAY])
    assert (corrected.read, corrected.settled.corrected, corrected.settled.observed) == (0, 2, 0)
    rows = in_force(store)
    assert sorted(row["host"] for row in rows) == [CLIENT, CLIENT, "80.1.2.3"]
    assert {row["supersedes"] for row in rows if row["host"] == CLIENT} == old.keys()
    with Evidence.open(store) as opened:
        assert opened.observations(superseded=True).num_rows == 5  # nothing is edited
        assert opened.counts().superseded == 2
    # The tables leave out what was superseded ...
    assert {row["host"]: row["spam_messages"] for row in host_rows(store, LATE)} == {CLIENT: 2, "80.1.2.3": 1}
    # ... and the store says what one told from the beginning does.
    ingested(tmp_path / "told first", paths, trust=[RELAY])
    first = contents(tmp_path / "told first")
    assert {row["id"] for row in first["observations"]} == {row["id"] for row in rows}
    assert first["host_days"] == contents(store)["host_days"]


def test_correcting_twice_changes_nothing(tmp_path: Path) -> None:
    store = tmp_path / "store"
    paths = write(tmp_path / "mail", a=relayed())
    ingested(store, paths)
    ingested(store, paths, trust=[RELAY])
    before = contents(store)
    again = ingested(store, paths, trust=[RELAY])
    assert (again.settled.corrected, again.decided.decided) == (0, 0)
    assert contents(store) == before


def test_a_correction_supersedes_the_latest_of_a_chain(tmp_path: Path) -> None:
    store = tmp_path / "store"
    inner = "194.1.2.3"
    content = message(
        received(inner, day(0.2), name="inner.example"),
        received(RELAY, day(0.1), name="relay.example", by="inner.example"),
        received(CLIENT, DAY_0, by="relay.example"),
    )
    paths = write(tmp_path / "mail", a=content)
    for trust, client in (((), inner), ((inner,), RELAY), ((inner, RELAY), CLIENT)):
        ingested(store, paths, trust=trust)
        assert [row["host"] for row in in_force(store)] == [client]


def test_a_correction_on_another_day_takes_the_old_day_back(tmp_path: Path) -> None:
    """The relay kept the message over midnight: the correction's day is not that of what it corrects."""
    store = tmp_path / "store"
    paths = write(tmp_path / "mail", a=relayed(hours=20))
    ingested(store, paths)
    ingested(store, paths, trust=[RELAY])
    assert [row["host"] for row in in_force(store)] == [CLIENT]
    assert [row["host"] for row in host_rows(store, LATE)] == [CLIENT]


def test_a_client_that_turns_out_to_be_ours_is_no_longer_observed(tmp_path: Path) -> None:
    """All the lines are ours: there is no client, and what was said of our own server no longer stands."""
    store = tmp_path / "store"
    paths = write(tmp_path / "mail", a=message(received(RELAY, DAY_0)), b=message(received(CLIENT, DAY_0)))
    ingested(store, paths)
    ingested(store, paths, trust=[RELAY])
    assert [row["host"] for row in in_force(store)] == [CLIENT]


def test_trust_taken_back_is_corrected_as_well(tmp_path: Path) -> None:
    """The operator told a network that is not his, and then only what is."""
    store = tmp_path / "store"
    paths = write(tmp_path / "mail", a=relayed())
    for trust, client in ((("80.9.9.9",), RELAY), ((RELAY,), CLIENT), (("80.9.9.9",), RELAY)):
        ingested(store, paths, trust=trust)
        assert [row["host"] for row in in_force(store)] == [client]


def test_trust_is_each_sensors_own(tmp_path: Path) -> None:
    store = tmp_path / "store"
    paths = write(tmp_path / "mail", a=relayed())
    ingested(store, paths, sensor="a", trust=[RELAY, "relay.example"])
    ingested(store, paths, sensor="b")
    assert {row["sensor"]: row["host"] for row in in_force(store)} == {"a": CLIENT, "b": RELAY}
    with Evidence.open(store) as opened:
        assert sensors_of(opened) == ["a", "b"]
        told, inferred = trust_of(opened, "a"), trust_of(opened, "b")
        assert told is not None
        assert inferred is not None
        assert told.names == ("relay.example",)
        assert inferred.networks == ()
        assert own_networks(opened) == [f"{RELAY}/32"]
        assert trust_of(opened, "c") is None


def test_the_trust_that_is_told_stands_for_later_runs(tmp_path: Path) -> None:
    store = tmp_path / "store"
    ingested(store, write(tmp_path / "mail", a=relayed()), trust=[RELAY])
    ingested(store, write(tmp_path / "mail", b=relayed(id_="2")))
    assert [row["host"] for row in in_force(store)] == [CLIENT, CLIENT]


@pytest.mark.parametrize("jobs", [1, 2])
def test_inferred_servers_do_not_depend_on_how_mail_came(tmp_path: Path, jobs: int) -> None:
    """A forwarder is seen only in all the mail together; the first part's messages are then corrected."""
    store = tmp_path / "store"
    parts = [[forwarded(n) for n in range(start, 80, 2)] for start in (0, 1)]
    files = [write(tmp_path / f"mail{number}", **dict(part)) for number, part in enumerate(parts)]
    alone = ingested(tmp_path / "alone", files[0][:20], jobs=jobs)
    assert alone.settled.trust["mail"].inferred == ()
    for paths in (files[0][:20], files[0][20:] + files[1]):
        done = ingested(store, paths, jobs=jobs)
    assert done.settled.corrected == 20
    ingested(tmp_path / "whole", files[1] + files[0], jobs=jobs)
    whole, found = contents(tmp_path / "whole"), contents(store)
    assert found["trust"] == whole["trust"]
    assert found["host_days"] == whole["host_days"]
    assert found["in force"] == whole["in force"]
    assert RELAY not in {row["host"] for row in found["host_days"]}


def forwarded(number: int) -> tuple[str, bytes]:
    """Mail for an address elsewhere that is forwarded to us, from a stranger in a network of its own."""
    at = DAY_0 + timedelta(hours=9 * number)
    below = received(f"24.{number}.1.1", at, by="forward.example").replace("joe@site.example", "joe@forward.example")
    return f"m{number}", message(received(RELAY, at, name="forward.example", id_=str(number)), below)


# What runs for long infers seldom: `settle(infer=False)`.


def relays(numbers: range) -> dict[str, bytes]:
    """Return mail that a forwarder handed on, as `sensors.inference` asks of one: many days, many networks."""
    mail = {}
    for number in numbers:
        at = DAY_0 + timedelta(days=number % 30, minutes=number)
        outer = received(RELAY, at, name="relay.example", id_=f"A{number}")
        inner = received(f"24.{number % 50}.2.3", at, by="relay.example", id_=f"B{number}")
        mail[f"m{number:03}"] = message(outer, inner.replace("joe@site.example", "joe@forwards.example"))
    return mail


def staged(store: Evidence, folder: Path, mail: dict[str, bytes]) -> None:
    for path in write(folder, **mail):
        content = Path(path).read_bytes()
        reading = read_work(Work(path, "spam", "given", None, content))
        store.stage(hashlib.sha256(path.encode()).hexdigest(), "mail", [reading])


def test_trust_that_is_inferred_later_is_what_would_have_been_inferred_at_once(tmp_path: Path) -> None:
    ingested(tmp_path / "at once", write(tmp_path / "mail", **relays(range(60))))
    with Evidence.open(with_key(tmp_path / "later"), write=True) as store:
        for start in range(0, 60, 20):
            staged(store, tmp_path / str(start), relays(range(start, start + 20)))
            done = settle(store, infer=False)
            assert done.corrected == 0
            assert not done.trust["mail"].inferred
        assert {row["host"] for row in rows_of(store.observations())} == {RELAY}
        done = settle(store)
        assert done.corrected == 60
        assert [each.network for each in done.trust["mail"].inferred] == [f"{RELAY}/32"]
        assert settle(store).trust == {}  # nothing more to learn
        kept = rows_of(store.derived("chains"))
        seen = rows_of(store.observations())
    with Evidence.open(tmp_path / "at once") as store:
        assert rows_of(store.derived("chains")) == kept
        assert [row["host"] for row in rows_of(store.observations())] == [row["host"] for row in seen]


def test_what_arrived_is_kept_with_the_batch_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Evidence.open(with_key(tmp_path / "store"), write=True) as store:
        arrived = Arrived(("a" * 64,), {"mark of a place": "here"})
        assert settle(store, arrived=arrived).messages == 0  # nothing was staged: nothing to keep it with
        assert not store.is_ingested("a" * 64)
        staged(store, tmp_path / "mail", {"one": relayed()})
        with monkeypatch.context() as patch:
            patch.setattr(Batch, "finish", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
            with pytest.raises(OSError, match="full"):
                settle(store, arrived=arrived)
        assert not store.is_ingested("a" * 64)
        assert store.recall("mark of a place") is None
        assert settle(store, arrived=arrived).messages == 1
        assert store.is_ingested("a" * 64)
        assert store.recall("mark of a place") == "here"
        assert not store.staged_keys()

"""Placebos on real mail: draws move no mail and look at none, and a planted family is found."""

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from bench.link import SHIPPED_DRAWS
from bench.link_packs import tabulate
from bench.link_shipped import FAMILIES, SIGHTINGS, draw, end_of_mail, planted, senders_of, shipped_rows, told_of_mail
from tests.analysis.links.tiny import tiny_world

from bench import link_shipped
from whimbrel.analysis.links import Settings
from whimbrel.analysis.links.columns import READ

RANDOM, PLANTED = "random infected=1 network=8", "planted infected=1 network=8 share=1"


@pytest.fixture(autouse=True)
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[pa.Table]:
    """Messages alone, in place of the mail that ships."""
    world = tiny_world(hosts=400, weeks=8, rate=0.03)
    messages = world.filter(pc.equal(world["kind"], "message")).select(["seen_at", "learned_at", *READ])
    messages = messages.set_column(2, "sensor", pa.array(["mail"] * messages.num_rows)).sort_by("seen_at")
    messages = messages.set_column(
        messages.schema.get_field_index("asn"), "asn", pa.nulls(messages.num_rows, pa.int64())
    )
    monkeypatch.setattr(link_shipped, "mail", lambda: messages)
    link_shipped._senders.cache_clear()
    yield messages
    link_shipped._senders.cache_clear()


@pytest.mark.parametrize("settings", [settings for settings, _ in SHIPPED_DRAWS])
def test_the_mail_stays_and_each_host_has_one_family(mail: pa.Table, settings: str) -> None:
    drawn = draw(settings, 3)
    kept = drawn.filter(pc.is_null(drawn["family"]))
    assert kept.drop(["prefix"]).equals(mail.drop(["prefix"]))
    infected = drawn.filter(pc.is_valid(drawn["family"]))
    pairs = Counter(zip(infected["host"].to_pylist(), infected["family"].to_pylist(), strict=True))
    assert set(pairs.values()) == {SIGHTINGS}
    assert len({host for host, _ in pairs}) == len(pairs)
    assert set(infected["host"].to_pylist()) <= set(mail["host"].to_pylist())
    assert pc.max(infected["seen_at"]).as_py() <= pc.max(mail["seen_at"]).as_py()
    assert draw(settings, 3).equals(drawn)
    assert not draw(settings, 4).equals(drawn)


def test_who_is_infected_does_not_depend_on_who_sent_what(mail: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    before = draw(RANDOM, 1)
    place = mail.schema.get_field_index("campaign")
    turned = mail.set_column(place, "campaign", pa.array(mail["campaign"].to_pylist()[::-1]))
    monkeypatch.setattr(link_shipped, "mail", lambda: turned)
    after = draw(RANDOM, 1)
    assert after.filter(pc.is_valid(after["family"])).equals(before.filter(pc.is_valid(before["family"])))


def test_planted_senders_are_seen_a_week_before_they_send() -> None:
    drawn = draw(PLANTED, 1)
    own = drawn.filter(pc.equal(drawn["family"], FAMILIES[0]))
    hosts, first_us = senders_of(planted(1))
    assert set(own["host"].to_pylist()) == set(hosts.tolist())
    seen = dict(zip(own["host"].to_pylist(), own["seen_at"].cast(pa.int64()).to_pylist(), strict=True))
    week_us = 7 * 86_400 * 1_000_000
    assert all(seen[host] == at - week_us for host, at in zip(hosts.tolist(), first_us.tolist(), strict=True))


def test_the_planted_pair_is_linked_and_a_random_one_is_not() -> None:
    for settings, linked in ((RANDOM, 0), (PLANTED, 1)):
        (tables,) = tabulate([draw(settings, 1)], Settings(), end_of_mail())
        told = told_of_mail(settings, 1, tables.evidence(Settings()))
        assert told["L2"]["pairs"] == len(FAMILIES) * 2
        assert told["L2"]["judged"] > 0
        assert told["L2"]["linked"] == linked
        head, rows, _ = shipped_rows({settings: [told]}, lambda count, runs: f"{count}/{runs}")
        assert all(len(row) == len(head) for row in rows)
        assert rows[1][head.index("planted found")] == ("1 of 1" if linked else "-")

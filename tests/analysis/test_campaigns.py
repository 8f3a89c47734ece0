"""The growing index and the reference are twins; what joins and what does not; names that survive merges."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whimbrel.analysis.campaigns import CampaignIndex, campaign_name, cluster_all, resolve, summarise
from whimbrel.model.columns import FACTS, MEMBERSHIP, OBSERVATIONS

START = datetime(2002, 7, 1, tzinfo=UTC)


def message(number: int, **given: Any) -> dict[str, Any]:
    row = {
        "message_id": hashlib.sha256(b"%d" % number).digest()[:16],
        "seen_at": START + timedelta(hours=number),
        "sensor": "test",
        "label": "spam",
        "size_bytes": 1,
        "content_sha256": bytes(32),
        "hops": b"",
        "url_domains": [],
        "attachment_sha256s": [],
        "attachment_types": [],
        "recipient_domains": [],
        "header_skeleton": "h",
        "mime_skeleton": "m",
        "signature": [],
    }
    return row | given


def facts(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=FACTS)


def clusters(table: pa.Table) -> list[set[int]]:
    """The rows of `table` by campaign."""
    ids = table["message_id"].to_pylist()
    found: dict[str, set[int]] = {}
    for row in cluster_all(table).to_pylist():
        found.setdefault(row["campaign"], set()).add(ids.index(row["message_id"]))
    return sorted(found.values(), key=min)


# Few values, so that keys collide, turn into hubs and split; ids repeat, so that messages are replaced.
_rows = st.builds(
    message,
    st.integers(0, 40),
    seen_at=st.none() | st.integers(0, 5).map(lambda days: START + timedelta(days=days)),
    label=st.sampled_from(["spam", "spam", "spam", "unknown", "ham"]),
    url_domains=st.none() | st.lists(st.sampled_from(["a.com", "b.com", "c.com", "yahoo.com"]), max_size=2),
    attachment_sha256s=st.lists(st.sampled_from(["00", "01"]), max_size=1),
    signature=st.lists(st.integers(0, 5).map(lambda key: key << 60), max_size=3),
    header_skeleton=st.sampled_from("abcdefghijklmnop"),
)


@given(st.lists(_rows, max_size=60, unique_by=lambda row: row["message_id"]), st.data())
@settings(max_examples=80, deadline=None)
def test_any_order_and_split_gives_the_reference(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    expected = cluster_all(facts(*rows))
    whole = CampaignIndex()
    whole.update(facts(*rows))
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    grown = CampaignIndex()
    followed: dict[bytes, dict[str, Any]] = {}
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        changes = grown.update(facts(*shuffled[start:end]))
        for identity in changes.left.to_pylist():
            del followed[identity]
        followed |= {row["message_id"]: row for row in changes.members.to_pylist()}
        grown = CampaignIndex.from_tables(grown.to_tables())
    assert grown.membership().equals(expected)
    assert all(grown.to_tables()[name].equals(table) for name, table in whole.to_tables().items())
    assert followed == {row["message_id"]: row for row in expected.to_pylist()}


@given(st.lists(_rows, max_size=40), st.lists(_rows, max_size=40))
@settings(max_examples=60, deadline=None)
def test_a_message_given_again_is_replaced(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
    index = CampaignIndex()
    index.update(facts(*first))
    before = {row["message_id"]: row for row in index.membership().to_pylist()}
    changes = index.update(facts(*second))
    assert index.membership().equals(cluster_all(facts(*first, *second)))
    after = {row["message_id"]: row for row in index.membership().to_pylist()}
    assert set(changes.left.to_pylist()) == before.keys() - after.keys()
    assert {row["message_id"] for row in changes.members.to_pylist()} == {
        identity for identity, row in after.items() if before.get(identity) != row
    }
    assert set(changes.campaigns.to_pylist()) == {
        row["campaign"]
        for identity in before.keys() | after.keys()
        if before.get(identity) != after.get(identity)
        for row in (before.get(identity), after.get(identity))
        if row is not None
    }


def test_nothing_changes_when_the_same_comes_again() -> None:
    table = facts(message(1, url_domains=["a.com"]), message(2, url_domains=["a.com"]), message(3))
    index = CampaignIndex()
    index.update(table)
    changes = index.update(table)
    assert (changes.members.num_rows, len(changes.left), len(changes.campaigns), len(index)) == (0, 0, 0, 3)


@pytest.mark.parametrize(
    "shared", [{"url_domains": ["a.com"]}, {"attachment_sha256s": ["00"]}, {"signature": [2**63 + 5, 7]}]
)
def test_one_shared_key_joins(shared: dict[str, Any]) -> None:
    assert clusters(facts(message(1, **shared), message(2, **shared), message(3))) == [{0, 1}]


def test_equal_numbers_of_different_kinds_do_not_join() -> None:
    assert clusters(facts(message(1, url_domains=["00"]), message(2, attachment_sha256s=["00"]))) == []


def test_the_most_specific_kind_is_the_basis() -> None:
    one, other = (
        message(1, url_domains=["a.com"], signature=[9, 10]),
        message(2, url_domains=["a.com"], signature=[9, 10]),
    )
    assert cluster_all(facts(one, other))["basis"].to_pylist() == ["text", "text"]


def test_a_key_of_ham_joins_nothing_until_spam_is_a_hundred_to_one() -> None:
    spam = [message(number, url_domains=["a.com"]) for number in range(99)]
    ham = message(200, url_domains=["a.com"], label="ham")
    assert clusters(facts(*spam[:98], ham)) == []
    assert clusters(facts(*spam, ham)) == [set(range(100))]


def test_one_band_alone_joins_nothing() -> None:
    assert clusters(facts(message(1, signature=[8, 16, 24]), message(2, signature=[8, 17, 25]))) == []
    assert clusters(facts(message(1, signature=[8]), message(2, signature=[8]))) == []


def test_listed_hubs_join_nothing() -> None:
    assert clusters(facts(message(1, url_domains=["w3.org"]), message(2, url_domains=["w3.org"]))) == []


def test_a_key_of_mutually_unlike_messages_joins_nothing() -> None:
    def holder(number: int, *, shapes: int, texts: int) -> dict[str, Any]:
        skeleton, band = f"h{number % shapes}", 1000 * (number % texts + 1)
        return message(number, url_domains=["a.com"], header_skeleton=skeleton, signature=[band])

    unlike = facts(*(holder(number, shapes=40, texts=40) for number in range(40)))
    one_shape = facts(*(holder(number, shapes=1, texts=40) for number in range(40)))
    one_text = facts(*(holder(number, shapes=40, texts=1) for number in range(40)))
    assert [len(clusters(table)) for table in (unlike, one_shape, one_text)] == [0, 1, 1]


def test_a_key_that_turns_into_a_hub_splits_what_it_joined() -> None:
    left = [message(number, url_domains=["a.com"], signature=[8, 9]) for number in (1, 2)]
    right = [message(number, url_domains=["a.com"], signature=[16, 17]) for number in (3, 4)]
    index = CampaignIndex()
    index.update(facts(*left, *right))
    assert set(index.membership()["campaign"].to_pylist()) == {campaign_name(left[0]["message_id"])}
    changes = index.update(facts(message(9, url_domains=["a.com"], label="ham")))
    assert (
        index.membership()["campaign"].to_pylist()
        == [campaign_name(left[0]["message_id"])] * 2 + [campaign_name(right[0]["message_id"])] * 2
    )
    assert changes.left.to_pylist() == []
    assert set(changes.campaigns.to_pylist()) == set(index.membership()["campaign"].to_pylist())


def test_every_member_names_its_campaign_through_merges() -> None:
    early, late = message(1, signature=[8, 9]), message(5, signature=[16, 17])
    index = CampaignIndex()
    index.update(facts(late, message(6, signature=[16, 17])))
    name = campaign_name(late["message_id"])
    assert resolve(name, index.membership()) == name
    index.update(facts(early, message(2, signature=[8, 9, 16, 17])))
    assert resolve(name, index.membership()) == campaign_name(early["message_id"])
    assert resolve(campaign_name(message(7)["message_id"]), index.membership()) is None
    assert [resolve(text, index.membership()) for text in ("", "C12", "Cxyzxyzxyzxyzxyzx", name.upper())] == [None] * 4


def test_undated_messages_come_last_and_can_be_earliest_of_their_own() -> None:
    dated, undated = message(9, signature=[8, 9]), message(1, signature=[8, 9], seen_at=None)
    rows = cluster_all(facts(undated, dated)).to_pylist()
    assert [row["seen_at"] for row in rows] == [dated["seen_at"], None]
    assert {row["campaign"] for row in rows} == {campaign_name(dated["message_id"])}


def test_nothing_gives_nothing() -> None:
    index = CampaignIndex()
    assert index.update(facts()).members.schema == MEMBERSHIP
    assert index.membership().equals(cluster_all(facts()))
    assert summarise(index.membership(), facts(), OBSERVATIONS.empty_table()).num_rows == 0
    assert len(CampaignIndex.from_tables(index.to_tables())) == 0


def test_a_chain_of_thousands_is_one_campaign() -> None:
    rows = [
        message(number, signature=[number * 8, number * 8 + 1, number * 8 + 8, number * 8 + 9])
        for number in range(3000)
    ]
    index = CampaignIndex()
    index.update(facts(*rows))
    assert index.membership()["campaign"].unique().to_pylist() == [campaign_name(rows[0]["message_id"])]


def test_summary_counts_and_names_the_most_common() -> None:
    rows = [
        message(
            number, url_domains=["a.com", f"x{number}.com", "b.com"][: 3 if number % 2 else 1], attachment_types=["zip"]
        )
        for number in range(6)
    ]
    table = facts(*rows, message(9, signature=[8, 9]), message(10, signature=[8, 9], label="unknown", seen_at=None))
    index = CampaignIndex()
    index.update(table)
    seen = {"seen_at": START, "learned_at": START, "sensor": "s", "kind": "message", "label": "spam", "count": 1}
    hosts = [
        seen | {"id": bytes([number]) * 16, "host": f"192.0.2.{number % 4}", "message_id": row["message_id"]}
        for number, row in enumerate(rows)
    ]
    summary = summarise(index.membership(), table, pa.Table.from_pylist(hosts, schema=OBSERVATIONS)).to_pylist()
    assert [row["messages"] for row in summary] == [6, 2]
    assert (summary[0]["hosts"], summary[1]["hosts"]) == (4, 0)
    assert (summary[0]["spam"], summary[1]["spam"], summary[1]["ham"]) == (6, 1, 0)
    assert summary[0]["url_domains"] == ["a.com", "b.com", "x1.com", "x3.com", "x5.com"]
    assert summary[0]["attachment_types"] == ["zip"]
    assert (summary[0]["by_url"], summary[1]["by_text"]) == (6, 2)
    assert (summary[0]["first_seen"], summary[0]["last_seen"]) == (rows[0]["seen_at"], rows[5]["seen_at"])
    assert summarise(index.membership(), table)["hosts"].null_count == 2

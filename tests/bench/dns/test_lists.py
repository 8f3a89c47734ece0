"""One list in every form: each says the same of every query."""

from pathlib import Path

import dns.name
import dns.zone
import pytest
from bench.dns.lists import QUERIES, ZONE, MadeList, make
from bench.dns.measure import Reference, meaning, query

ENTRIES = 3_000


@pytest.fixture(scope="module", params=[4, 6])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MadeList:
    return make(request.param, ENTRIES, tmp_path_factory.mktemp("list"), zone_file=True)


def test_half_of_the_queries_are_hits(made: MadeList) -> None:
    reference = Reference(made)
    names = made.queries.read_text(encoding="ascii").splitlines()
    assert len(names) == QUERIES
    replies = [reference.right(query(1, name)) for name in names[:4_000]]
    assert sum(reply[6:8] != b"\0\0" for reply in replies) == pytest.approx(2_000, abs=200)  # the records answered


def test_the_zone_file_says_what_the_snapshot_says(made: MadeList) -> None:
    zone = dns.zone.from_file(str(made.zone_file), ZONE)
    reference = Reference(made)
    for name in made.queries.read_text(encoding="ascii").splitlines()[:1_000]:
        relative = dns.name.from_text(name, None)
        # An IPv6 entry is a wildcard above the sixteen digits of the host.
        node = zone.get_node(relative if made.family == 4 else dns.name.Name((b"*", *relative.labels[16:])))
        addresses = tuple(record.address for each in node for record in each) if node else ()
        assert meaning(reference.right(query(1, name)))[1] == addresses


def test_rbldnsds_text_has_every_entry_once_in_both_orders(made: MadeList) -> None:
    texts = [path.read_text(encoding="ascii").splitlines() for path in (made.sorted_text, made.shuffled_text)]
    for lines in texts:
        entries = [line for line in lines if line[0] not in "$:"]
        assert len(set(entries)) == len(entries) == ENTRIES
    assert sorted(texts[0]) == sorted(texts[1])
    assert texts[0] != texts[1]


def test_a_list_is_the_same_each_time(made: MadeList, tmp_path: Path) -> None:
    again = make(made.family, ENTRIES, tmp_path, zone_file=False)
    assert again.sorted_text.read_bytes() == made.sorted_text.read_bytes()
    assert again.queries.read_bytes() == made.queries.read_bytes()

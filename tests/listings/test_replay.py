from pathlib import Path

import msgspec
import pytest
from bench.causal import oracle, replay, upper_bound
from bench.replay import rows_from_mail
from bench.stream import simulated
from tests.listings.rows import seen

from whimbrel.listings.settings import OWN


def test_the_oracle_knows_who_will_send_ham_but_not_who_will_spam() -> None:
    rows = [
        seen("192.0.2.1", day=0),  # first of its address and network: nobody can know
        seen("192.0.2.1", day=1),  # its address has spammed
        seen("192.0.2.2", day=2),  # its ham-free network has
        seen("198.51.100.1", day=3),
        seen("198.51.100.2", day=4),  # its network has, but will send ham
        seen("198.51.100.2", day=5),  # its address has
        seen("198.51.100.9", "ham", day=6),
        seen("203.0.113.1", day=7),
        seen("203.0.113.1", "ham", day=8),
        seen("203.0.113.1", day=9),  # spammed, but sends ham
    ]
    assert oracle(rows) == (2, 3, 1)


def test_clopper_pearson_bounds_as_the_design_quotes_them() -> None:
    assert upper_bound(0, 30_000) == pytest.approx(0.0001, rel=0.01)
    assert upper_bound(0, 890) == pytest.approx(0.0034, rel=0.02)


def test_a_list_that_lists_nothing_catches_nothing_and_one_that_learns_does() -> None:
    rows = simulated(3)[:6000]
    nothing = replay(rows, msgspec.structs.replace(OWN, q=0.0, network_q=-1.0, range_hosts=None))
    ours = replay(rows, OWN)
    assert (nothing.caught, nothing.wrong_messages, nothing.listings) == (0, 0, 0)
    assert ours.caught >= 0.6 * oracle(rows).by_address_or_network


def test_the_shipped_mail_at_our_defaults(shipped_mail: Path, shipped_archive: Path) -> None:
    lines = (shipped_archive.parent / "relays").read_text().splitlines()
    relays = [line for line in lines if not line.startswith("#")]
    rows = rows_from_mail([str(shipped_mail)], None, relays)
    best, point = oracle(rows), replay(rows, OWN)
    ham = sum(row.label == "ham" for row in rows)
    assert best.by_address_or_network > 400
    assert point.caught >= 0.6 * best.by_address_or_network
    assert point.wrong_messages <= 0.0015 * ham
    assert point.wrong_ham_only_hosts == 0

"""Who asks in many different hours becomes known; floods, the patient and the silent do not change that."""

import random
from ipaddress import ip_network
from pathlib import Path

import pytest

from whimbrel.nameserver.guards import learned
from whimbrel.nameserver.guards.client import client_at
from whimbrel.nameserver.guards.learned import HOURS, SILENT_HOURS, Learned

BEGAN = 1_700_000_000 - 1_700_000_000 % 3600
RESOLVER, SECOND = client_at("192.0.2.7").prefix, client_at("2001:db8:0:7700::1").prefix
NETWORK, SECOND_NETWORK = ip_network("192.0.2.0/24"), ip_network("2001:db8:0:7700::/56")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "learned"


def hours(found: Learned, prefixes: list[int], first: int, behind: int, *, is_flooded: bool = False) -> None:
    """Let some ask in each of so many hours, again and again."""
    for hour in range(first, behind):
        for second in (0, 10, 1800):
            found.look(prefixes, BEGAN + hour * 3600 + second, is_flooded=is_flooded)


def test_after_a_day_s_worth_of_hours_who_asks_is_known(path: Path) -> None:
    found = Learned(path)
    hours(found, [RESOLVER], 0, HOURS)
    assert not found.networks  # its last hour has not ended
    hours(found, [SECOND], HOURS, HOURS + 1)
    assert found.networks == (NETWORK,)
    hours(found, [RESOLVER, SECOND], HOURS + 1, 2 * HOURS + 1)
    assert list(found.networks) == [NETWORK, SECOND_NETWORK]


def test_many_looks_of_few_hours_are_few_hours(path: Path) -> None:
    found = Learned(path)
    for second in range(0, 3 * 3600, 10):
        found.look([RESOLVER], BEGAN + second, is_flooded=False)
    hours(found, [], 3, 40)
    assert not found.networks


def test_a_flood_teaches_nothing_and_takes_nothing(path: Path) -> None:
    found = Learned(path)
    hours(found, [RESOLVER], 0, HOURS + 1)
    hours(found, [RESOLVER, SECOND], HOURS + 1, 3 * HOURS, is_flooded=True)
    assert found.networks == (NETWORK,)


def test_random_addresses_neither_become_known_nor_push_anybody_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learned, "MOST_SEEN", 64)
    chance, found = random.Random(5), Learned(path)
    for hour in range(2 * HOURS):
        for second in range(0, 3600, 300):
            forged = [0xFFFF << 32 | chance.getrandbits(24) << 8 for _ in range(50)]
            found.look([RESOLVER, *forged], BEGAN + hour * 3600 + second, is_flooded=False)
        assert len(found._seen) <= 128
    assert found.networks == (NETWORK,)


def test_who_is_known_keeps_his_place_before_those_who_come_later(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned, "MOST_KNOWN", 1)
    found = Learned(path)
    hours(found, [RESOLVER], 0, HOURS + 1)
    hours(found, [RESOLVER, *range(256, 256 * 400, 256)], HOURS + 1, 3 * HOURS)
    assert found.networks == (NETWORK,)


def test_who_is_silent_for_a_month_is_let_go(path: Path) -> None:
    found = Learned(path)
    hours(found, [RESOLVER], 0, HOURS)
    hours(found, [], HOURS, HOURS + SILENT_HOURS)
    assert found.networks == (NETWORK,)
    hours(found, [], HOURS + SILENT_HOURS, HOURS + SILENT_HOURS + 2)
    assert not found.networks


def test_what_was_learned_lasts_over_a_restart_and_is_its_owner_s(path: Path) -> None:
    found = Learned(path)
    hours(found, [RESOLVER], 0, HOURS - 1)
    found.save()
    assert path.stat().st_mode & 0o777 == 0o600
    again = Learned(path)
    again.look([RESOLVER], BEGAN + (HOURS - 2) * 3600 + 3000, is_flooded=False)  # of an hour that is counted already
    hours(again, [], HOURS - 1, HOURS + 1)
    assert not again.networks
    hours(again, [RESOLVER], HOURS + 1, HOURS + 3)
    assert again.networks == Learned(path).networks == (NETWORK,)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": [1, 2]}', '{"256": [1]}', "\0"])
def test_a_bad_file_is_one_line_and_begun_anew(path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text(text)
    assert Learned(path).networks == ()
    assert caplog.text.count("learned anew") == 1


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = Learned(tmp_path / "none" / "learned")
    found.save()
    assert "cannot be written" in caplog.text
    assert Learned(tmp_path).networks == ()  # a folder
    assert "cannot be read" in caplog.text

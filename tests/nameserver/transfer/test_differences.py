"""The history of differences: what it keeps, when it has none to give; `test_zone.py` holds them to whole zones."""

import pytest
from tests.nameserver.transfer.some_lists import Targets, snapshot_of

from whimbrel.model.listing import Code
from whimbrel.nameserver.transfer import differences
from whimbrel.nameserver.transfer.differences import History

SAID = (Code.INFECTED, 3600)
MANY: Targets = {f"192.0.2.{number}": SAID for number in range(1, 200)}


def followed(*lists: Targets) -> History:
    history = History(snapshot_of(lists[0], serial=1))
    for serial, targets in enumerate(lists[1:], 2):
        history.take(history.step_to(snapshot_of(targets, serial=serial)))
    return history


def names(history: History, serial: int) -> list[int] | None:
    steps = history.since(serial)
    return None if steps is None else [step.names for step in steps]


def test_each_step_has_the_names_that_changed() -> None:
    more: Targets = MANY | {"198.51.100.7": SAID, "2001:db8::/64": SAID, "203.0.113.0/24": SAID}
    less: Targets = {target: said for target, said in more.items() if target != "192.0.2.1"}
    history = followed(MANY, more, more, less)
    assert names(history, 1) == [3, 0, 1]
    assert names(history, 3) == [1]
    assert names(history, 4) is None  # the list in force: the caller knows that
    assert names(history, 99) is None


def test_a_change_longer_than_the_list_is_no_difference() -> None:
    assert names(followed(MANY, {}), 1) is None


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = [MANY | {f"198.51.100.{number}": SAID} for number in range(6)]
    monkeypatch.setattr(differences, "MAX_STEPS", 3)
    assert [names(followed(*lists), serial) for serial in (2, 3)] == [None, [2, 2, 2]]
    monkeypatch.setattr(differences, "MAX_NAMES", 4)
    assert [names(followed(*lists), serial) for serial in (3, 4)] == [None, [2, 2]]


def test_a_zone_of_another_name_begins_anew() -> None:
    history = followed(MANY, MANY | {"198.51.100.7": SAID})
    history.take(history.step_to(snapshot_of(MANY, serial=3, zone="other.example")))
    assert names(history, 1) is names(history, 2) is None

"""The store against a dictionary: any sequence of staging, appending, merging, failing and reopening."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from whimbrel.evidence import Evidence, layout
from whimbrel.model.observation import message_observation_id

NUMBERS = st.lists(st.integers(0, 40), max_size=12)


class StoreMachine(RuleBasedStateMachine):
    made: Any  # set by the test

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Evidence.open(Path(self.folder.name), write=True)
        self.facts: dict[bytes, int] = {}  # message id: the number of the row that came first
        self.observations: set[bytes] = set()
        self.staged: dict[str, list[int]] = {}
        self.ingested: set[str] = set()

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(numbers=NUMBERS, more=NUMBERS)
    def append(self, numbers: list[int], more: list[int]) -> None:
        with self.store.batch("append") as batch:
            for each in (numbers, more):
                batch.observations(self.made.observations(each))
        new = {self.made.id(n) for n in numbers + more} - self.observations
        assert batch.added["observations"] == len(new)
        self.observations |= new

    @rule(numbers=NUMBERS)
    def fail(self, numbers: list[int]) -> None:
        with pytest.raises(ZeroDivisionError), self.store.batch("fail", chunks=list(self.staged)) as batch:  # noqa: PT012
            batch.observations(self.made.observations(numbers))
            batch.facts(self.made.facts(numbers))
            _ = 1 // 0

    @rule(key=st.sampled_from("abcd"), numbers=NUMBERS)
    def stage(self, key: str, numbers: list[int]) -> None:
        self.store.stage(key, "made", [self.made.reading(n) for n in numbers])
        self.staged[key] = numbers

    @rule()
    def ingest(self) -> None:
        with self.store.batch("ingest", chunks=self.store.staged_keys()) as batch:
            for table in self.store.staged():
                batch.facts(table)
        for key in sorted(self.staged):
            for number in self.staged[key]:
                self.facts.setdefault(self.message_id(number), number)
            self.ingested.add(key)
        self.staged.clear()

    @rule(min_files=st.integers(1, 3))
    def compact(self, min_files: int) -> None:
        self.store.compact(min_files=min_files)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Evidence.open(Path(self.folder.name), write=True)
        self.staged = {key: numbers for key, numbers in self.staged.items() if key not in self.ingested}

    @invariant()
    def holds_what_the_dictionary_holds(self) -> None:
        facts = self.store.facts(columns=["message_id", "size_bytes"]).to_pylist()
        assert {row["message_id"]: row["size_bytes"] for row in facts} == self.facts
        assert len(facts) == len(self.facts)
        observed = self.store.observations(columns=["id"])["id"].to_pylist()
        assert sorted(observed) == sorted(self.observations)
        assert self.store.staged_keys() == sorted(self.staged)
        assert {key for key in "abcd" if self.store.is_ingested(key)} == self.ingested

    def message_id(self, number: int) -> bytes:

        content: bytes = self.made.reading(number).content_sha256
        return message_observation_id("made", "", b"t" * 32, content)


def test_the_store_keeps_what_a_dictionary_would(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "DAY_ROWS", 2)
    StoreMachine.made = made
    run_state_machine_as_test(StoreMachine, settings=settings(max_examples=12, stateful_step_count=12, deadline=None))

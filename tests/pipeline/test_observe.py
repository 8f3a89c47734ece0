"""Observations that others made go the way that mail goes."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.mail import day
from tests.pipeline.stores import LATER, contents, decisions, rows_of

from whimbrel.errors import ConfigError
from whimbrel.evidence import Evidence
from whimbrel.pipeline.observe import Observed, observe
from whimbrel.pipeline.views import campaign_rows, host_rows


def line(number: float = 0, **given: Any) -> dict[str, Any]:
    at = day(number).isoformat()
    return {"seen_at": at, "sensor": "mx1", "host": "24.1.2.3", "kind": "message", "label": "spam"} | given


def write(path: Path, *lines: dict[str, Any] | str) -> str:
    path.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in lines))
    return str(path)


def observed(data_dir: Path, path: str, **given: Any) -> Observed:
    return observe(data_dir, path, given.pop("now", LATER), profile=given.pop("profile", "own"), **given)


def test_lines_become_observations_and_are_analysed_and_decided(tmp_path: Path) -> None:
    path = write(tmp_path / "in", *(line(n / 10) for n in range(20)), line(1, host="2001:db8::1", campaign="c1"))
    done = observed(tmp_path / "s", path)
    assert (done.new, done.known, done.errors) == (21, 0, 0)
    assert (done.decided.decided, done.decided.waiting) == (21, 0)
    assert "24.1.2.3" in {event.target for event in decisions(tmp_path / "s")["events"] if event.change == "listed"}
    spam = {row["host"]: row["spam_messages"] for row in host_rows(tmp_path / "s", LATER)}
    assert spam == {"24.1.2.3": 20, "2001:db8::/64": 1}
    assert [(row["campaign"], row["basis"]) for row in campaign_rows(tmp_path / "s", LATER)] == [("c1", "given")]


def test_a_line_fed_back_is_known_and_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "in", line(1), line(2), line(1))
    assert observed(tmp_path / "s", path)[:3] == (2, 1, 0)  # equal lines are one
    before = contents(tmp_path / "s")
    # Learned at another time, it is still the same observation.
    again = write(tmp_path / "again", line(1, learned_at=day(9).isoformat()), line(2))
    assert observed(tmp_path / "s", again)[:3] == (0, 2, 0)
    assert contents(tmp_path / "s") == before


def test_too_many_errors_and_nothing_of_the_file_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "in", line(1), "no json", line(2), line(3, hots=1))
    with pytest.raises(ConfigError, match=r"line 4: .*hots"):
        observed(tmp_path / "s", path, max_errors=1)
    with Evidence.open(tmp_path / "s") as store:
        assert store.counts().observations.rows == 0
        assert store.counts().batches == 0
    told: list[int] = []
    done = observed(tmp_path / "s", path, max_errors=2, on_error=lambda error: told.append(error.line))
    assert done[:3] == (2, 0, 2)
    assert told == [2, 4]


def test_what_is_learned_later_waits(tmp_path: Path) -> None:
    path = write(tmp_path / "in", line(1), line(1, host="62.1.2.3", learned_at=day(5).isoformat()))
    first = observed(tmp_path / "s", path, now=day(2)).decided
    assert (first.decided, first.waiting) == (1, 1)
    second = observed(tmp_path / "s", write(tmp_path / "none"), now=day(5)).decided
    assert (second.decided, second.waiting) == (1, 0)


def test_a_feed_may_be_compressed_and_two_files_are_the_sum(tmp_path: Path) -> None:
    plain = Path(write(tmp_path / "in", *(line(n, host=f"24.1.{n}.3") for n in range(6))))
    lines = plain.read_bytes().splitlines(keepends=True)
    observed(tmp_path / "whole", str(plain))
    for number, part in enumerate((lines[:3], lines[3:])):
        packed = tmp_path / f"{number}.gz"
        packed.write_bytes(gzip.compress(b"".join(part)))
        observed(tmp_path / "parts", str(packed))
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_another_profile_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "in", line(1))
    observed(tmp_path / "s", path, profile="own")
    with pytest.raises(ConfigError, match="profile own, not shared"):
        observed(tmp_path / "s", path, profile="shared")


def test_the_columns_hold_what_the_line_says(tmp_path: Path) -> None:
    given = {
        "label_basis": "report", "family": "bagle", "dialect": "d1", "received_below": 2, "helo": "a.example",
        "rdns": "b.example", "asn": 64500, "prefix": "24.1.0.0/16", "recipient_domains": ["x.example"], "bytes": 9,
        "count": 7, "ref": "r1",
    }  # fmt: skip
    observed(tmp_path / "s", write(tmp_path / "in", line(1, **given)))
    with Evidence.open(tmp_path / "s") as store:
        (row,) = rows_of(store.observations())
    assert {name: row[name] for name in given} == given
    assert row["message_id"] is None

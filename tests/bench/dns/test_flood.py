"""A small flood of our own server: known clients are counted rightly, and the table says what was measured."""

import os
import shutil
from pathlib import Path

import pytest
from bench.dns.bench import build
from bench.dns.flood import FLOODED, Case, Cores, Results, Round, Row, measure, report
from bench.dns.lists import make
from bench.dns.slices import SliceError

CASE = Case(seconds=2, flood=400, asked=200, answered=50, late=1, p50_ms=1, p99_ms=20.4, p999_ms=30)


def test_the_table_is_of_medians() -> None:
    rounds = [Round(100, CASE, CASE, CASE), Round(50, CASE, CASE, CASE), Round(40, CASE, CASE, CASE)]
    text = report(Results("2026-12-01", "Linux 6.18", 2, [Row("ours", rounds), Row("theirs", note="is not here")]))
    assert "| ours | 50 | 4.0 x | 25.0%, 20 ms | 25.0%, 20 ms | 25.0%, 20 ms |" in text
    assert "| theirs | is not here | | | | |" in text


def test_known_clients_are_asked_for_and_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not how many are answered (this machine may be busy), but that all sums are those of a flood as it is meant."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    build()
    monkeypatch.setattr("bench.dns.flood._CAPACITY_SECONDS", 0.2)
    core = min(os.sched_getaffinity(0))
    made = make(4, 1000, tmp_path, zone_file=False)
    try:
        (row,) = measure(FLOODED[:1], made, 1, 0.5, Cores(core, core))
    except SliceError as error:
        pytest.skip(str(error))
    (found,) = row.rounds
    assert found.capacity > 0
    for case, strangers in ((found.alone, 0), (found.flooded, 5), (found.forged, 5)):
        assert case.asked == pytest.approx(0.1 * found.capacity * case.seconds, rel=0.2)
        assert case.flood == pytest.approx(strangers * found.capacity * case.seconds, rel=0.2)
        assert 0 < case.answered <= case.asked

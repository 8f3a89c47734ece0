"""The derived tables follow the evidence, however it came in."""

from pathlib import Path

import pytest
from tests.pipeline.conftest import Undisturbed
from tests.pipeline.stores import contents, ingested, rows_of

from whimbrel.analysis.hosts import host_days
from whimbrel.evidence import Evidence
from whimbrel.pipeline import analyse as module
from whimbrel.pipeline.analyse import analyse


def test_host_days_kept_are_those_computed_from_all_evidence(tmp_path: Path, undisturbed: Undisturbed) -> None:
    """After five batches and a correction of the trust."""
    for path in undisturbed.paths[2:]:
        ingested(tmp_path, [path])
    ingested(tmp_path, [], trust=["193.120.211.219", "194.125.145.45"])
    ingested(tmp_path, [], trust=["193.120.211.219"])
    with Evidence.open(tmp_path) as store:
        kept, anew = store.derived("host_days"), host_days(store.observations())
        assert store.counts().superseded > 0
    assert anew.num_rows > 100
    assert rows_of(kept) == rows_of(anew)


def test_campaigns_are_those_of_all_messages_at_once(tmp_path: Path, undisturbed: Undisturbed) -> None:
    trust = ["193.120.211.219", "194.125.145.45"]
    paths = undisturbed.paths[:-1]  # the last contradicts a label, and which of two labels came first may show
    for path in reversed(paths):
        ingested(tmp_path / "parts", [path], labels=undisturbed.labels, trust=trust)
    ingested(tmp_path / "whole", paths, labels=undisturbed.labels, trust=trust)
    found, expected = contents(tmp_path / "parts"), contents(tmp_path / "whole")
    assert len(expected["membership"]) > 50
    for table in ("membership", "campaign_messages", "campaign_keys"):
        assert found[table] == expected[table], table


def test_nothing_new_is_nothing_to_do(undisturbed: Undisturbed) -> None:
    with Evidence.open(undisturbed.data_dir) as store:  # which could not write
        assert analyse(store) == (0, 0)


def test_an_analysis_that_fails_is_undone_as_a_whole_and_done_by_the_next(
    tmp_path: Path, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = undisturbed.paths[-2:]
    with monkeypatch.context() as patched:
        patched.setattr(module, "_host_days", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ingested(tmp_path, paths)
    with Evidence.open(tmp_path) as store:
        assert store.counts().facts.rows == 46
        assert store.derived("membership") is None  # campaigns had been computed before it failed
    assert ingested(tmp_path, []).analysed.days > 0
    ingested(tmp_path / "whole", paths)
    assert contents(tmp_path) == contents(tmp_path / "whole")

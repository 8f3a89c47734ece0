"""docs/running.md names every setting, metric and field of `whimbrel run`, and no other; the unit is in order."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.docs.test_docs import ROOT, TEXTS, rows, section

from whimbrel.cli.logs import FIELDS
from whimbrel.pipeline.config import TABLES, meaning_of, variable_of
from whimbrel.pipeline.running.cycle import STEPS
from whimbrel.pipeline.running.health import Condition
from whimbrel.pipeline.running.metrics import Metrics

RUNNING = TEXTS["docs/running.md"]


def test_every_setting_is_documented_with_its_default_and_meaning() -> None:
    table = {cells[0].strip("`"): cells[1:] for cells in rows(section(RUNNING, "Settings"))[1:]}
    fields = {
        f"{name}.{field.name}": (table_type, field)
        for name, table_type in TABLES.items()
        for field in msgspec.structs.fields(table_type)
    }
    assert list(table) == list(fields)
    for key, (table_type, field) in fields.items():
        default, meaning = table[key]
        assert meaning.lower() == meaning_of(table_type, field.name).rstrip(".").lower()
        if field.required:
            assert default == "none"
        else:
            assert json.loads(default.strip("`")) == json.loads(msgspec.json.encode(field.default))


def test_every_metric_is_documented() -> None:
    found = {
        metric.name: (metric.type, metric.documentation.rstrip(".").lower())
        for metric in Metrics().registry.collect()
        if not metric.name.startswith("process_")
    }
    table = {cells[0].strip("`"): (cells[1], cells[2].lower()) for cells in rows(section(RUNNING, "Metrics"))[1:]}
    assert table == found


def test_every_field_of_readiness_and_every_step_is_documented() -> None:
    table = [cells[0].strip("`") for cells in rows(section(RUNNING, "Health"))]
    fields = [field.name for field in msgspec.structs.fields(Condition)]
    assert table == ["field", *fields, "step", *STEPS]
    meanings = dict(cells for cells in rows(section(RUNNING, "Health")) if cells[0].strip("`") in STEPS)
    assert {name.strip("`"): meaning for name, meaning in meanings.items()} == dict(STEPS)


def test_every_field_of_a_log_line_is_documented() -> None:
    source = "".join(path.read_text() for path in (ROOT / "src/whimbrel/pipeline/running").glob("*.py"))
    given = set(re.findall(r'"(\w+)":', "".join(re.findall(r"extra=(\{.*?\})", source, re.DOTALL))))
    table = [cells[0].strip("`") for cells in rows(section(RUNNING, "Logs"))[1:]]
    assert tuple(table[: len(FIELDS)]) == FIELDS
    assert set(table[len(FIELDS) :]) == given | {"trace"}


@pytest.mark.debian
def test_the_unit_is_in_order_and_shut_in(tmp_path: Path, debian_program: Callable[[str, str], str]) -> None:
    """By systemd's own judgement: no word that it does not know, and little that the service could do to others."""
    analyse = debian_program("systemd-analyze", "systemd")
    unit = (ROOT / "docs/systemd/whimbrel.service").read_text()
    assert "whimbrel run --config /etc/whimbrel/whimbrel.toml --data /var/lib/whimbrel" in unit
    copy = tmp_path / "whimbrel.service"
    copy.write_text(unit.replace("/opt/whimbrel/.venv/bin/whimbrel", "/bin/true"))
    verified = subprocess.run([analyse, "verify", str(copy)], capture_output=True, text=True, check=False)
    assert [line for line in verified.stderr.splitlines() if "whimbrel.service" in line] == []
    judged = subprocess.run(
        [analyse, "security", "--offline=true", str(copy)], capture_output=True, text=True, check=False
    )
    exposure = re.search(r"exposure level for whimbrel.service: ([\d.]+)", judged.stdout)
    assert exposure is not None, judged.stderr
    assert float(exposure[1]) < 2.5  # systemd calls that "OK"; an ordinary service has 9.2


def test_the_container_is_made_of_what_is_here_and_runs_as_nobody_special() -> None:
    text = (ROOT / "docs/container/Containerfile").read_text()
    for copied in re.findall(r"^COPY ([^-].*) \S+$", text, re.MULTILINE):
        assert all((ROOT / each).exists() for each in copied.split())
    assert re.search(r"^USER (\w+)$", text.rpartition("FROM")[2], re.MULTILINE)
    known = {variable_of(name, field.name) for name, table in TABLES.items() for field in msgspec.structs.fields(table)}
    assert set(re.findall(r"WHIMBREL_\w+", text)) <= known


def test_lines_fit() -> None:
    assert all(len(line) <= 120 for line in RUNNING.splitlines())

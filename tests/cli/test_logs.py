import json
import logging
import re
from collections.abc import Iterator

import pytest

from whimbrel.cli.logs import FIELDS, set_up

_log = logging.getLogger("whimbrel.somewhere")


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """Leave logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def test_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("text", "info")
    _log.info("read %d messages", 3)
    _log.debug("not this")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z INFO read 3 messages\n", capsys.readouterr().err)


def test_lines_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("json", "warning")
    _log.info("not this")
    _log.warning("left out: %s", "a\nb", extra={"place": "box"})
    try:
        int("a defect")
    except ValueError:
        _log.exception("failed")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert tuple(first) == (*FIELDS, "place")
    assert (first["level"], first["logger"], first["message"], first["place"]) == (
        "warning", "whimbrel.somewhere", "left out: a\nb", "box",
    )  # fmt: skip
    assert "ValueError: invalid literal" in second["trace"]


def test_it_can_be_set_up_again(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("json", "info")
    set_up("text", "error")
    _log.warning("not this")
    _log.error("once")
    assert capsys.readouterr().err.count("once") == 1


def test_what_libraries_tell_is_left_out_but_for_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("text", "info")
    for name in ("watchfiles.main", "alembic.runtime.migration"):
        logging.getLogger(name).info("not this")
        logging.getLogger(name).warning("but this")
    told = capsys.readouterr().err
    assert told.count("but this") == 2
    assert "not this" not in told

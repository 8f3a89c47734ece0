"""The long way to a verdict: observations as text, `whimbrel observe`, `whimbrel links --json`; all in this process."""

import io
import json
import tempfile
from contextlib import redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from whimbrel.cli import main
from whimbrel.worlds import to_lines

_ALL = "1000000"  # more rows than any world has pairs and claims


def by_command_line(observations: pa.Table, now: datetime) -> list[dict[str, Any]]:
    """Return what `whimbrel links` says of a world's observations, in order of family, campaign and claim."""
    at = now.isoformat()
    with tempfile.TemporaryDirectory(prefix="bench-link-") as name:
        text = Path(name) / "world.jsonl"
        with text.open("wb") as file:
            for batch in observations.to_batches():
                file.write(to_lines(batch))
        data = ["--data", str(Path(name) / "data"), "--now", at]
        _invoke(["observe", str(text), "--json", *data])
        told = _invoke(["links", "--claim", "all", "--json", "--limit", _ALL, *data])
    rows = [json.loads(line) for line in told.splitlines()]
    return sorted(rows, key=lambda row: (row["family"], row["campaign"], row["claim"]))


def _invoke(words: list[str]) -> str:
    octets = io.BytesIO()  # the command line writes octets and text
    try:
        with redirect_stdout(io.TextIOWrapper(octets, encoding="utf-8", write_through=True)):
            main(words)
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"whimbrel {words[0]} ended with {end.code}") from None
    return octets.getvalue().decode()

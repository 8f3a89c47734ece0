"""A file put in place is told of at once; without notices, waiting is only waiting."""

import asyncio
import time
from pathlib import Path

import pytest

from whimbrel.nameserver.notices import Notices

LONG = 30.0


def put(folder: Path, name: str) -> None:
    (folder / "beside").write_text("x")
    (folder / "beside").rename(folder / name)


def test_each_file_put_in_place_is_told_of(tmp_path: Path) -> None:
    async def look() -> None:
        notices = Notices(tmp_path)
        put(tmp_path, "a")  # before anybody waits
        await notices.wait(LONG)
        for name in ("a", "b"):
            asyncio.get_running_loop().call_later(0.01, put, tmp_path, name)
            await notices.wait(LONG)
        for _ in range(1000):  # more than one read takes
            put(tmp_path, "a")
        await notices.wait(LONG)
        began = time.monotonic()
        (tmp_path / "written in place").write_text("x")
        await notices.wait(0.05)
        assert time.monotonic() - began >= 0.05  # nothing was put in place
        notices.close()
        notices.close()

    began = time.monotonic()
    asyncio.run(look())
    assert time.monotonic() - began < LONG


def test_without_notices_it_waits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def look() -> None:
        notices = Notices(tmp_path / "not there")
        await notices.wait(0.01)
        notices.close()

    with caplog.at_level("INFO"):
        asyncio.run(look())
    assert "changes are looked for" in caplog.text

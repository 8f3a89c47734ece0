"""Readers for tests: one misbehaves as mail can make a parser do, another tells with what it began."""

import os
import time

import msgspec

from whimbrel.messages.suffixes import suffixes
from whimbrel.model.reading import Reading
from whimbrel.pipeline.reading import read_work
from whimbrel.pipeline.work import Work


def misbehaving(work: Work) -> Reading:
    """Misbehave at a message that says how; read all others."""
    if b"hang" in work.content:
        time.sleep(3600)
    if b"die" in work.content:
        os._exit(1)
    if b"eat" in work.content:
        held = [bytearray(1 << 28) for _ in range(64)]  # 16 GiB, of which a reader has two
        assert held
    if b"raise" in work.content:
        raise RuntimeError("a defect of a parser")
    return read_work(work)


def beginning(work: Work) -> Reading:
    """Tell in the reading's place whether this process began with the public suffix list loaded."""
    is_loaded = suffixes.cache_info().currsize == 1
    return msgspec.structs.replace(read_work(work), location=f"loaded: {is_loaded}")

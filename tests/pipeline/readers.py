"""Readers that misbehave as mail can make a parser do, each at the message that says so; all others are read."""

import os
import time

from whimbrel.model.reading import Reading
from whimbrel.pipeline.reading import Work, read_work


def misbehaving(work: Work) -> Reading:
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

"""A place that is looked at, and what the store behind it would know."""

from collections.abc import Collection
from pathlib import Path

from whimbrel.sensors.arrivals import Found, Place


class Kept:
    """What was kept as read: keys, as a store has them."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def looked(
        self, place: Place, now: float = 0.0, changed: Collection[str] | None = None, *, keep: bool = True
    ) -> list[bytes]:
        """Look, and keep what is found; return the messages' contents."""
        found: list[Found] = list(place.look(now, changed))
        for each in found if keep else []:
            self.keys.update(each.keys)
            place.keep(each)
        return [item.content for each in found for item in each.items]


def mail(number: int) -> bytes:
    return b"From: a@example.net\nSubject: %d\n\nBuy\n" % number


def delivered(maildir: Path, name: str, content: bytes, folder: str = "new") -> Path:
    for each in ("new", "cur", "tmp"):
        (maildir / each).mkdir(parents=True, exist_ok=True)
    (maildir / "tmp" / name).write_bytes(content)
    return (maildir / "tmp" / name).rename(maildir / folder / name)

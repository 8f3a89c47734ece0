"""Mail for the tests: a few hundred shipped messages in every kind of path, and messages made to order."""

import io
import lzma
import tarfile
import zipfile
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

DAY_0 = datetime(2002, 7, 1, 12, tzinfo=UTC)
SITE = "mx.site.example"


def day(number: float) -> datetime:
    return DAY_0 + timedelta(days=number)


def received(peer: str, at: datetime, *, name: str = "client.example", by: str = SITE, id_: str = "1") -> str:
    """Return a line as Postfix writes it."""
    return (
        f"Received: from {name} ({name} [{peer}]) by {by} (Postfix) with ESMTP id {id_} "
        f"for <joe@site.example>; {format_datetime(at)}"
    )


def message(*lines: str, subject: str = "Hello", body: str = "Buy now at http://shop.example/\n") -> bytes:
    """Return a message with these lines on top, the newest first."""
    head = [*lines, "From: a@client.example", "To: joe@site.example", f"Subject: {subject}"]
    return ("\n".join(head) + "\n\n" + body).encode()


def mbox_of(contents: list[bytes]) -> bytes:
    """Return messages as one mbox."""
    separated = []
    for content in contents:
        bare = content.partition(b"\n")[2] if content.startswith(b"From ") else content
        separated.append(b"From a@b.example Sat Jul 27 12:00:00 2002\n" + bare.replace(b"\nFrom ", b"\n>From ") + b"\n")
    return b"".join(separated)


def sample(shipped: Path, folder: Path) -> list[str]:
    """Write 330 shipped messages below `folder`, in one path of each kind; return the paths."""
    spam, spam_2, ham, ham_2 = (
        [path.read_bytes() for path in sorted((shipped / name).iterdir())[:90]]
        for name in ("spam", "spam_2", "easy_ham", "easy_ham_2")
    )
    for number, content in enumerate(spam[:60]):
        _write(folder / "folder" / f"{number}.eml", content)
    for number, content in enumerate(ham[:60]):
        _write(folder / "Maildir" / "cur" / f"{number}:2,S", content)
    (folder / "Maildir" / "new").mkdir()
    _write(folder / "more.mbox", mbox_of(ham_2[:60]))
    _write(folder / "more.mbox.xz", lzma.compress(mbox_of(spam_2[:60]), preset=0))
    with tarfile.open(folder / "pack.tar.gz", "w:gz", compresslevel=1) as tar:
        for number, content in enumerate([*spam[60:], *ham[60:75]]):
            entry = tarfile.TarInfo(f"pack/{number}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    with zipfile.ZipFile(folder / "pack.zip", "w") as pack:
        for number, content in enumerate([*spam_2[60:], *ham[60:75]]):  # 15 messages lie in both packs
            pack.writestr(f"pack/{number}.eml", content)
    _write(folder / "one.eml", spam[0])  # and one is there twice
    names = ("folder", "Maildir", "more.mbox", "more.mbox.xz", "pack.tar.gz", "pack.zip", "one.eml")
    return [str(folder / name) for name in names]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)

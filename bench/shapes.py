"""Time against size for nasty messages: each shape at n, 2n, 4n and 8n bytes, and the exponent of its growth.

    python bench/shapes.py [--size BYTES] [--limit EXPONENT]

The exponent is the slope of log time over log size, by least squares over the four sizes; each time is the least of
five.  Linear is 1; up to 1.15 is taken for linear (short times wobble, and caches fill).  Bounded work shows exponents
below 1.  Exits 1 where a shape grows faster.
"""

import argparse
import base64
import io
import math
import sys
import time
import zipfile
from collections.abc import Callable

from whimbrel.messages import read_message
from whimbrel.messages.addresses import recipients

FACTORS = (1, 2, 4, 8)
REPEATS = 5
MULTIPART = b"Content-Type: multipart/mixed; boundary=a\n\n"


def _fill(piece: bytes, size: int) -> bytes:
    return piece * (size // len(piece) + 1)


def _numbered(template: bytes, size: int) -> bytes:
    return b"".join(template.replace(b"%", b"%d" % number) for number in range(size // len(template) + 1))


def _html(piece: bytes, size: int, tail: bytes = b"") -> bytes:
    return b"Content-Type: text/html\n\n" + _fill(piece, size) + tail


def _zipped(size: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.exe", b"\0" * size * 100)
    return b"Content-Type: application/zip\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(
        packed.getvalue()
    )


def _members(size: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(size // 100):
            archive.writestr(f"{number}.exe", b"")
    return b"Content-Type: application/zip\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(
        packed.getvalue()
    )


SHAPES: dict[str, Callable[[int], bytes]] = {
    "plain words": lambda n: b"\n" + _numbered(b"word% and more\n", n),
    "deep multiparts": lambda n: _numbered(b"Content-Type: multipart/mixed; boundary=b%\n\n--b%\n", n),
    "deep messages": lambda n: _fill(b"Content-Type: message/rfc822\n\n", n),
    "messages without blank line": lambda n: _fill(b"Content-Type: message/rfc822\nno field\n", n),
    "many headers": lambda n: _numbered(b"X-%: value\n", n) + b"\n",
    "one long header": lambda n: b"Subject: " + b"x" * n + b"\n\n",
    "one folded header": lambda n: b"Subject: x" + _fill(b"\n y", n) + b"\n\n",
    "no line end": lambda n: b"x" * n,
    "carriage returns": lambda n: b"a: b\n\n" + b"\r" * n,
    "empty lines": lambda n: b"\n" * n,
    "many parts": lambda n: MULTIPART + _fill(b"--a\n\nx\n", n),
    "parts without blank line": lambda n: MULTIPART + _fill(b"--a\n", n),
    "parts of headers only": lambda n: MULTIPART + _fill(b"--a\nX: y\n", n),
    "lines that are no boundary": lambda n: MULTIPART + b"--a\n\n" + _fill(b"--ab\n", n),
    "long lines of dashes": lambda n: MULTIPART + b"--a\n\n" + _fill(b"-" * 900 + b"\n", n),
    "parameters ;a=;a=": lambda n: b"Content-Type: text/plain" + _fill(b";a=", n) + b"\n\n",
    'parameters ;a=";a="': lambda n: b"Content-Type: text/plain" + _fill(b';a="\\', n) + b"\n\n",
    "encoded words": lambda n: b"Subject: " + _fill(b"=?utf-8?Q?a?= ", n) + b"\n\n",
    "open encoded words": lambda n: b"Subject: " + _fill(b"=?a?b?", n) + b"\n\n",
    "addresses": lambda n: b"To: " + _numbered(b"user%@example.org,\n ", n) + b"\n\n",
    "open addresses": lambda n: b"To: " + _fill(b'"<(a@', n) + b"\n\n",
    "letters and no at": lambda n: b"To: " + b"a" * n + b"\n\n",
    "base64 of nothing": lambda n: b"Content-Transfer-Encoding: base64\n\n" + _fill(b"!=", n),
    "quoted-printable breaks": lambda n: b"Content-Transfer-Encoding: quoted-printable\n\n" + _fill(b"=", n),
    "uuencode lines": lambda n: b"Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n" + _fill(b"\xff\n", n),
    "open tags": lambda n: _html(b"<a ", n),
    "open formatting": lambda n: b"Content-Type: text/html\n\n" + _numbered(b"<b %>", n // 2) + _fill(b"x</b>", n // 2),
    "deep styled tables": lambda n: _html(b'<table style="color:red"><tr><td>', n),
    "closing tags": lambda n: _html(b"</", n),
    "open comments": lambda n: _html(b"<!--", n),
    "open attributes": lambda n: _html(b'<a href="x', n),
    "many attributes": lambda n: b"Content-Type: text/html\n\n<a " + _numbered(b"a%=b ", n) + b">",
    "entities": lambda n: _html(b"&#x1F600;&amp", n),
    "open styles": lambda n: _html(b"<style>", n),
    "URLs": lambda n: b"\n" + _numbered(b"http://h%.example.com/\n", n),
    "dots and slashes": lambda n: b"\n" + _fill(b"a.b/", n),
    "URL starts": lambda n: b"\n" + _fill(b"http://", n),
    "zip bomb (100 n)": _zipped,
    "zip members": _members,
}


def seconds(raw: bytes) -> float:
    """Return the least processor time of reading `raw`, and its recipients, in seconds."""
    least = math.inf
    for _ in range(REPEATS):
        start = time.process_time()
        recipients(read_message(raw))
        least = min(least, time.process_time() - start)
    return least


def exponent(sizes: list[int], times: list[float]) -> float:
    """Return the least-squares slope of log time over log size."""
    xs, ys = [math.log(size) for size in sizes], [math.log(max(spent, 1e-7)) for spent in times]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    rise = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return rise / sum((x - mean_x) ** 2 for x in xs)


def main() -> int:
    """Measure every shape and print the table; 1 where one is not linear."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=65_536, help="the smallest size in bytes (n)")
    parser.add_argument("--limit", type=float, default=1.15, help="the largest exponent taken for linear")
    parser.add_argument("--only", default="", help="shapes whose name holds this")
    options = parser.parse_args()
    print(f"{'shape':<28} {'bytes at n':>10} {'ms at n':>9} {'2n':>9} {'4n':>9} {'8n':>9} {'exponent':>9}")
    slow = []
    for name, make in SHAPES.items():
        if options.only not in name:
            continue
        messages = [make(options.size * factor) for factor in FACTORS]
        times = [seconds(raw) for raw in messages]
        growth = exponent([options.size * factor for factor in FACTORS], times)
        print(f"{name:<28} {len(messages[0]):>10}" + "".join(f" {spent * 1e3:>9.2f}" for spent in times), end="")
        print(f" {growth:>9.2f}{'  NOT LINEAR' if growth > options.limit else ''}", flush=True)
        if growth > options.limit:
            slow.append(name)
    print(f"{len(slow)} shapes grow faster than n^{options.limit}: {', '.join(slow) or 'none'}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())

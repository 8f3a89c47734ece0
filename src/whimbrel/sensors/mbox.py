"""Messages out of an mbox: one rule for all its dialects (RFC 4155, appendix A; mboxo, mboxrd, mboxcl, mboxcl2).

A message starts at a line `From ` that follows an empty line, carries a time of day and a year, and has a header field
below it.  The last two conditions keep unquoted body lines ("From here on ...") where they belong, which mboxcl2 and
careless writers leave in.  Where a Content-Length leads exactly to such a line, or to the end, it is believed over
separators inside.  One `>` is taken off `>From ` and `>>From ` (mboxrd), unless the body has bare `From ` lines, for
then nobody quoted.  Line ends are LF, CRLF or CR, as the first line's; they stay as they are.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from whimbrel.sensors.streams import Stream

MESSAGE_BYTES = 64 << 20  # no server is known to take more: Exchange Online at most 150 MB, by default 36; Postfix 10

_LINE_BYTES = 1000  # a `From ` line longer than SMTP's longest line (RFC 5321, 4.5.3.1.6) is none
_FIELD_BYTES = 128  # as far as the colon of the field below may be
_TIME = re.compile(rb"\d:\d\d")  # two searches, since one expression with two `.*` takes quadratic time
_YEAR = re.compile(rb"\b(?:19|20)\d\d\b")
_FIELD = re.compile(rb"[!-9;-~]{1,127}[ \t]*:|>From ")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_QUOTED = re.compile(rb"(^|[\r\n])>(>*From )")
_LENGTH = re.compile(rb"[\r\n]content-length:[ \t]*(\d{1,9})[ \t]*[\r\n]", re.IGNORECASE)


class Message(NamedTuple):
    """One message: its `From ` line without the line end, what is below it, and whether its rest was cut off.

    `end` is how many bytes of the stream it and all before it take.
    """

    envelope: bytes | None
    content: bytes
    is_cut: bool
    end: int


def starts_mbox(head: bytes) -> bool:
    """Tell whether a file's first bytes are an mbox's, or a single message's that kept its `From ` line.

    The first `From ` line need be dated or have a field below it, not both: nothing stands before it to mistake it for.
    """
    start = head.lstrip(b"\r\n")
    if not start.startswith(b"From "):
        return False
    line, *below = _LINE_END.split(start[: _LINE_BYTES + _FIELD_BYTES], maxsplit=1)
    is_dated = _TIME.search(line) is not None and _YEAR.search(line) is not None
    return bool(below) and (is_dated or _FIELD.match(below[0]) is not None)


def split_mbox(stream: Stream, message_bytes: int = MESSAGE_BYTES) -> Iterator[Message]:
    """Yield the messages of an mbox in order; one longer than `message_bytes` is cut there.

    Holds about one message and one piece of the stream.  Raises only what reading the stream raises.
    """
    return _Splitter(stream, message_bytes).messages()


class _Splitter:
    """The part of the stream that is held, and how far it was searched."""

    def __init__(self, stream: Stream, message_bytes: int) -> None:
        self._stream = stream
        self._limit = message_bytes
        self._held = bytearray()
        self._taken = 0
        self._ended = False
        self._eol = b"\n"

    def messages(self) -> Iterator[Message]:
        self._skip_blank()
        self._eol = _line_end_of(self._held)
        while self._held:
            yield self._take()

    def _more(self) -> bool:
        piece = b"" if self._ended else self._stream.read_piece()
        self._held += piece
        self._ended = not piece
        return not self._ended

    def _skip_blank(self) -> None:
        while self._more():
            blank = len(self._held) - len(self._held.lstrip(b"\r\n"))
            self._drop(blank)
            if len(self._held) > _LINE_BYTES:
                break

    def _take(self) -> Message:
        """Take one message, whose `From ` line is the first that is held, and the empty line after it."""
        kept: bytes | None = None
        end = self._separator(1)
        while end is None and not self._ended:
            searched = max(1, len(self._held) - _LINE_BYTES - _FIELD_BYTES - 8)
            if len(self._held) > self._limit + _LINE_BYTES:
                if kept is None:
                    kept = bytes(self._held[: self._limit + _LINE_BYTES])
                self._drop(searched - 8)
                searched = 8
            self._more()
            end = self._separator(searched)
        if kept is None and end is not None:
            end = self._end_by_length(end)
        if end is None:
            end = len(self._held) - 1
        whole = bytes(self._held[: end + 1])
        self._drop(end + 1)
        is_cut = kept is not None
        return _message(kept if kept is not None else whole, self._eol, self._limit, is_cut=is_cut, end=self._taken)

    def _drop(self, size: int) -> None:
        del self._held[:size]
        self._taken += size

    def _separator(self, start: int) -> int | None:
        """Return where the line end stands that is followed by the next message's `From ` line, or None."""
        wanted = self._eol + b"From "
        at = self._held.find(wanted, start)
        while at >= 0:
            if self._is_separator(at):
                return at
            at = self._held.find(wanted, at + 1)
        return None

    def _is_separator(self, at: int) -> bool:
        """Tell so for the line end at `at`; where too little is held to tell, hold more."""
        if not _ends_blank(self._held, at, self._eol):
            return False
        while len(self._held) < at + _LINE_BYTES + _FIELD_BYTES and self._more():
            pass
        line_end = self._held.find(self._eol, at + 1, at + _LINE_BYTES)
        if line_end < 0:
            return False
        is_dated = _TIME.search(self._held, at, line_end) and _YEAR.search(self._held, at, line_end)
        return is_dated is not None and _FIELD.match(self._held, line_end + 1, line_end + 1 + _FIELD_BYTES) is not None

    def _end_by_length(self, end: int) -> int | None:
        """Return the end that Content-Length tells, where it is beyond `end` and there stands what it promises."""
        head_end = _header_end(self._held, self._eol, end)
        told = _LENGTH.search(self._held, 0, head_end)
        if told is None:
            return end
        stop = head_end + int(told[1])
        if stop <= end or stop > self._limit:
            return end
        while len(self._held) < stop + 4 and self._more():
            pass
        if len(self._held) <= stop + 2 and self._ended and not self._held[stop:].strip(b"\r\n"):
            return None if len(self._held) >= stop else end
        for at in (stop, stop + 1, stop - 1):
            if self._held[at : at + 6] == self._eol + b"From " and self._is_separator(at):
                return at
        return end


def _line_end_of(held: bytearray) -> bytes:
    line_feed = held.find(b"\n")
    carriage_return = held.find(b"\r")
    is_cr_only = carriage_return >= 0 and (line_feed < 0 or line_feed > carriage_return + 1)
    return b"\r" if is_cr_only else b"\n"


def _ends_blank(held: bytearray, at: int, eol: bytes) -> bool:
    """Tell whether the line end at `at` ends an empty line."""
    before = bytes(held[max(0, at - 2) : at])
    return before.endswith(eol) or (eol == b"\n" and before == b"\n\r")


def _header_end(held: bytearray, eol: bytes, stop: int) -> int:
    """Return where the body begins: after the first empty line, or `stop`."""
    plain = held.find(eol + eol, 0, stop)
    doubled = held.find(b"\n\r\n", 0, stop) if eol == b"\n" else -1
    ends = [at + size for at, size in ((plain, 2), (doubled, 3)) if at >= 0]
    return min(ends, default=stop)


def _message(whole: bytes, eol: bytes, limit: int, *, is_cut: bool, end: int) -> Message:
    line_end = whole.find(eol)
    if line_end < 0:
        return Message(whole.rstrip(b"\r"), b"", is_cut, end)
    start = line_end + 1
    if is_cut:
        stop = start + limit
    else:
        # The format ends each message by an empty line of its own.
        stop = len(whole)
        if whole.endswith(b"\n\r\n"):
            stop -= 2
        elif whole.endswith(eol + eol):
            stop -= 1
    envelope = whole[:line_end].rstrip(b"\r")
    return Message(envelope, _unquoted(whole[start : max(start, stop)], eol), is_cut, end)


def _unquoted(content: bytes, eol: bytes) -> bytes:
    if b">From " not in content or eol + b"From " in content:
        return content
    return _QUOTED.sub(rb"\1\2", content)

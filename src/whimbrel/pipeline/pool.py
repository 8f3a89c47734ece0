"""A pool of reader processes that survives whatever mail does to a parser.

Parsing is pure, so it runs in processes that share nothing.  A reader that takes too long, dies, or runs out of
memory is ended and replaced, and its chunk is read again one message at a time; the message at fault becomes a reading
with the defect `abandoned`, all others are read as usual.  The parent never blocks on one reader: it waits for
whichever answers first, with the time limit of the one that is due next.

Readers are started by the fork server, which imports the parsers once; plain fork is unsafe beside the threads of the
evidence engine (and deprecated there since Python 3.12), and spawn would import everything once a reader.
"""

import gc
import hashlib
import multiprocessing
import resource
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from whimbrel.errors import UpstreamError
from whimbrel.model.reading import Reading
from whimbrel.pipeline.work import Work, abandoned

# The slowest of the shipped 6,294 and the 1,640 hard messages takes well under a second; one that takes this long on an
# idle core would hold up a mail stream, and is set aside.
MESSAGE_SECONDS = 20.0
# A chunk has at most 256 messages of about 0.3 ms; sixty seconds means that one of them hangs.
CHUNK_SECONDS = 60.0
# The largest message (64 MiB, see `sensors.mailfiles`) needs about eight times its size while it is decoded.
READER_MEMORY_BYTES = 2 << 30


# Readings are small values without cycles; looking for some after every 700 of them is 2 % of reading (measured).
_GC_THRESHOLD = 100_000


Read = Callable[[Work], Reading]


class Chunk(NamedTuple):
    """What is handed to one reader at once, under the key that staging knows it by."""

    key: str
    works: tuple[Work, ...]


_SERVES = b"serves"  # a reader's first word: from here on, what ends it is the message it is on
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Reading])
_WORKS = msgspec.msgpack.Decoder(list[Work])


def read_chunks(
    chunks: Iterable[Chunk],
    jobs: int,
    *,
    message_seconds: float = MESSAGE_SECONDS,
    chunk_seconds: float = CHUNK_SECONDS,
    read: Read | None = None,
) -> Iterator[tuple[Chunk, list[Reading]]]:
    """Run `Pool.read` once, over a pool of its own."""
    with Pool(jobs, message_seconds=message_seconds, chunk_seconds=chunk_seconds, read=read) as pool:
        yield from pool.read(chunks)


class Pool:
    """The readers, for one run or for a long one; a context manager, at whose end they end.

    `read` is what tests replace `read_work` by; it must be importable in a reader.
    """

    def __init__(
        self,
        jobs: int,
        *,
        message_seconds: float = MESSAGE_SECONDS,
        chunk_seconds: float = CHUNK_SECONDS,
        read: Read | None = None,
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["whimbrel.pipeline.preload"])
        self._readers = [_Reader(context, read, message_seconds, chunk_seconds) for _ in range(max(1, jobs))]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for reader in self._readers:
            reader.end()

    def read(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, list[Reading]]]:
        """Yield each chunk with its readings (in the chunk's own order) as they finish, keeping the readers busy.

        `chunks` is drawn from only as fast as readers take them, so memory is bounded by a chunk a reader.  Must be
        read to its end before it is called again, unless it raised.
        """
        source = iter(chunks)
        for reader in self._readers:
            if reader.chunk is not None:
                reader.begin_anew()  # what was asked of it was given up half way
        idle = deque(self._readers)
        while True:
            while idle and (chunk := next(source, None)) is not None:
                idle.popleft().give(chunk)
            busy = [reader for reader in self._readers if reader.chunk is not None]
            if not busy:
                return
            for reader in _ready(busy):
                chunk = reader.chunk
                readings = reader.take()
                if readings is not None and chunk is not None:
                    idle.append(reader)
                    yield chunk, readings


def _ready(busy: Sequence["_Reader"]) -> list["_Reader"]:
    """Wait until some readers have answered, died, or overrun their time, and return those."""
    now = time.monotonic()
    patience_seconds = max(0.0, min(reader.due for reader in busy) - now)
    answered = set(wait([reader.pipe for reader in busy], timeout=patience_seconds))
    now = time.monotonic()
    return [reader for reader in busy if reader.pipe in answered or reader.due <= now]


class _Reader:
    """One reader process and the chunk that it is on; messages already read one at a time are kept in `singles`."""

    def __init__(
        self, context: ForkServerContext, read: Read | None, message_seconds: float, chunk_seconds: float
    ) -> None:
        self._context = context
        self._read = read
        self._message_seconds = message_seconds
        self._chunk_seconds = chunk_seconds
        self.chunk: Chunk | None = None
        self.due = 0.0
        self._singles: list[Reading] | None = None
        self._serves = False
        self._start()

    def _start(self) -> None:
        self.pipe: Connection
        self.pipe, theirs = self._context.Pipe()
        self._process: ForkServerProcess = self._context.Process(target=_serve, args=(theirs, self._read), daemon=True)
        self._process.start()
        theirs.close()
        self._serves = False

    def give(self, chunk: Chunk) -> None:
        """Hand over a chunk whole."""
        self.chunk, self._singles = chunk, None
        self._send(chunk.works, self._chunk_seconds)

    def take(self) -> list[Reading] | None:
        """Return the chunk's readings, or None where the chunk is still being read, or goes on message by message.

        Raises UpstreamError where the process ended before it could read anything: then no message is at fault.
        """
        assert self.chunk is not None
        if not self._serves:
            if self._receive_bytes() is None:
                raise UpstreamError(
                    "a reader process cannot start (no memory, or no process to be had); try fewer --jobs"
                )
            self._serves = True
            return None
        answer = self._receive()
        if answer is None:
            self.end()
            self._start()
            if self._singles is None:
                self._singles = []
            else:
                work = self.chunk.works[len(self._singles)]
                self._singles.append(abandoned(work, hashlib.sha256(work.content).digest()))
        elif self._singles is None:
            self.chunk = None
            return answer
        else:
            self._singles += answer
        if len(self._singles) < len(self.chunk.works):
            self._send(self.chunk.works[len(self._singles) :][:1], self._message_seconds)
            return None
        self.chunk = None
        return self._singles

    def begin_anew(self) -> None:
        """Give up the chunk, with the process that is on it."""
        self.end()
        self._start()
        self.chunk = None

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _send(self, works: Sequence[Work], limit_seconds: float) -> None:
        self.due = time.monotonic() + limit_seconds
        try:
            self.pipe.send_bytes(_ENCODER.encode(works))
        except OSError:
            self.due = 0.0  # it died before it could take the work: handled as one that overran its time

    def _receive(self) -> list[Reading] | None:
        answer = self._receive_bytes()
        return None if answer is None else _DECODER.decode(answer)

    def _receive_bytes(self) -> bytes | None:
        try:
            return self.pipe.recv_bytes() if self.pipe.poll() else None
        except (EOFError, OSError):
            return None


def _serve(pipe: Connection, read: Read | None) -> None:
    """Read works until the parent goes away."""
    from whimbrel.pipeline.reading import read_work  # noqa: PLC0415  the parent has no use for the parsers

    read = read or read_work
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent's to handle, where a terminal or a service tells all
        signal.signal(number, signal.SIG_IGN)
    gc.set_threshold(_GC_THRESHOLD)
    resource.setrlimit(resource.RLIMIT_AS, (READER_MEMORY_BYTES, READER_MEMORY_BYTES))
    pipe.send_bytes(_SERVES)
    while True:
        try:
            works = _WORKS.decode(pipe.recv_bytes())
        except EOFError:
            return
        pipe.send_bytes(_ENCODER.encode([read(work) for work in works]))

"""Where a mirror has its list from: a folder that others fill (rsync, a mount), or HTTP (object storage).

Neither is trusted; a signature is.  So what is guarded against here is only that a source, by mistake or malice, takes
more time, memory or authority than a list deserves: every wait, the whole transfer and its size are bounded, and a
server cannot send us anywhere but to http and https, nor from https to http.
"""

import http.client
import os
import socket
import ssl
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Timer
from typing import Protocol
from urllib.parse import SplitResult, urljoin, urlsplit

from whimbrel.errors import ConfigError, UpstreamError
from whimbrel.wire.snapshot import overlay_path

# Eighty million entries; ten million take 31 MB.
MAX_BYTES = 256 * 1024 * 1024
# A server that is silent for so long will not go on; TCP's own retries take that long over a bad line.
SILENCE_SECONDS = 15.0
# MAX_BYTES at 7 Mbit/s, ten million entries at 0.8 Mbit/s; far below any list's hours to live.
LONGEST_SECONDS = 300.0
# From a name without www, to https, to the nearest copy; browsers follow 20.
MAX_REDIRECTS = 3

_SNAPSHOT_FILE = "list.snapshot"
_OVERLAY_SUFFIX = overlay_path(Path("_")).name[1:]
_PIECE_BYTES = 256 * 1024
_MAX_VALIDATOR_CHARACTERS = 1_024
_VALIDATORS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}  # RFC 9110, sections 13.1.2 and 13.1.3
_MOVED = (301, 302, 303, 307, 308)


class Source(Protocol):
    """Where a list comes from."""

    def fetch(self) -> bytes | None:
        """Return the file there, or None where it is the one fetched last; raises UpstreamError."""

    def forget(self) -> None:
        """Fetch the file again the next time, whether it has changed or not."""


def source_of(text: str) -> Source:
    """Return the source that a folder, a file or an `http(s)://` URL names; raises ConfigError for another scheme."""
    if "://" not in text:
        return _Folder(Path(text))
    return _Http(_checked(text))


def overlay_source_of(text: str) -> Source:
    """Return the source of the overlay beside the list that `source_of` gives."""
    if "://" not in text:
        return _Folder(Path(text), _OVERLAY_SUFFIX)
    url = _checked(text)
    return _Http(url._replace(path=url.path + _OVERLAY_SUFFIX))


class _Folder:
    """A file, or a folder with `list.snapshot` in it."""

    def __init__(self, path: Path, suffix: str = "") -> None:
        self._path, self._suffix = path, suffix
        self._seen: tuple[int, int, int] | None = None

    def fetch(self) -> bytes | None:
        path = self._path / _SNAPSHOT_FILE if self._path.is_dir() else self._path
        path = path.with_name(path.name + self._suffix)
        try:
            # Not blocking: a pipe of that name would let us wait for ever.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                status = os.fstat(file.fileno())
                seen = status.st_ino, status.st_mtime_ns, status.st_size
                if seen == self._seen:
                    return None
                if not stat.S_ISREG(status.st_mode):
                    raise UpstreamError(f"{path}: no file, so no list; name the folder that holds {_SNAPSHOT_FILE}")
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise UpstreamError(f"{path}: no list can be read there: {error.strerror}") from None
        if len(data) > MAX_BYTES:
            raise _too_large(path)
        self._seen = seen
        return data

    def forget(self) -> None:
        self._seen = None


class _Http:
    """A URL, asked for with the validators of the file that came last, so that an unchanged one costs a few bytes."""

    def __init__(self, url: SplitResult) -> None:
        self._url = url
        self._validators: dict[str, str] = {}

    def fetch(self) -> bytes | None:
        due = time.monotonic() + LONGEST_SECONDS
        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            data, validators = None, self._validators
            with self._response(url, due) as response:
                status = response.status
                if status == http.client.OK:
                    data, validators = _body(response, url), _validators(response)
                elif status in _MOVED:
                    url = _moved(url, response.getheader("Location", ""))
                elif status != http.client.NOT_MODIFIED:
                    raise UpstreamError(f"{url.geturl()}: no list there: HTTP status {status}")
            if status not in _MOVED:
                self._validators = validators
                return data
        raise UpstreamError(f"{self._url.geturl()}: sends us on more than {MAX_REDIRECTS} times; name the last place")

    def forget(self) -> None:
        self._validators = {}

    @contextmanager
    def _response(self, url: SplitResult, due: float) -> Iterator[http.client.HTTPResponse]:
        """Ask, and give what is answered; past `due` the connection is cut, whatever it is doing."""
        late = Event()
        try:
            with _connected(url) as connected:

                def cut() -> None:
                    late.set()
                    with suppress(OSError):
                        socket.socket.shutdown(connected, socket.SHUT_RDWR)

                watchdog = Timer(max(due - time.monotonic(), 0.0), cut)
                watchdog.daemon = True
                watchdog.start()
                try:
                    yield self._answered(connected, url)
                finally:
                    watchdog.cancel()
        except (OSError, http.client.HTTPException, ValueError, UpstreamError) as error:
            if not late.is_set():
                raise _told(url, error) from None
        if late.is_set():  # also where a cut looks like the end of what was sent
            raise UpstreamError(f"{url.geturl()}: not done after {LONGEST_SECONDS:.0f} s; the transfer was cut")

    def _answered(self, connected: socket.socket, url: SplitResult) -> http.client.HTTPResponse:
        if isinstance(connected, ssl.SSLSocket):
            connected.do_handshake()
        connection = http.client.HTTPConnection(url.hostname or "")
        connection.sock = connected
        host = url.netloc.rpartition("@")[2]
        headers = {"Host": host, "User-Agent": "whimbrel", "Accept-Encoding": "identity", "Connection": "close"}
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request("GET", path, headers=headers | self._validators)
        return connection.getresponse()


def _checked(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        is_one = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise ConfigError(f"{text!r} is no source; give a folder, a file, or a URL with http:// or https://")
    if url.username or url.password:
        raise ConfigError("a source's URL takes no name and password: a list needs no secret, its signature is enough")
    return url._replace(path=url.path + _SNAPSHOT_FILE, fragment="") if url.path.endswith("/") else url


def _moved(url: SplitResult, location: str) -> SplitResult:
    """Return where a server sends us; raises UpstreamError where we do not follow."""
    goal = urlsplit(urljoin(url.geturl(), location))
    allowed = {"https"} if url.scheme == "https" else {"http", "https"}
    if goal.scheme not in allowed or not goal.hostname:
        raise UpstreamError(f"{url.geturl()}: sends us on to {location[:200]!r}, which is not followed; name a place")
    return goal


def _connected(url: SplitResult) -> socket.socket:
    port = url.port or (443 if url.scheme == "https" else 80)
    connected = socket.create_connection((url.hostname or "", port), timeout=SILENCE_SECONDS)
    if url.scheme == "http":
        return connected
    return ssl.create_default_context().wrap_socket(
        connected, server_hostname=url.hostname, do_handshake_on_connect=False
    )


def _body(response: http.client.HTTPResponse, url: SplitResult) -> bytes:
    told = response.length
    if told is not None and told > MAX_BYTES:
        raise _too_large(url.geturl())
    data = bytearray()
    while piece := response.read1(_PIECE_BYTES):  # what is there, however little: no wait for a full piece
        data += piece
        if len(data) > MAX_BYTES:
            raise _too_large(url.geturl())
    if told is not None and len(data) != told:
        raise UpstreamError(f"{url.geturl()}: the transfer ended after {len(data)} bytes of {told}")
    return bytes(data)


def _validators(response: http.client.HTTPResponse) -> dict[str, str]:
    found = {asked: response.getheader(told, "") for told, asked in _VALIDATORS.items()}
    return {
        asked: value
        for asked, value in found.items()
        if value.isascii() and value.isprintable() and 0 < len(value) <= _MAX_VALIDATOR_CHARACTERS
    }


def _told(url: SplitResult, error: Exception) -> UpstreamError:
    """Return what went wrong as one short line: parts of it may be the server's own words."""
    if isinstance(error, UpstreamError):
        return error
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return UpstreamError(f"{url.geturl()}: cannot be fetched: {' '.join(reason.split())[:200]}")


def _too_large(where: object) -> UpstreamError:
    return UpstreamError(f"{where}: more than {MAX_BYTES // 1024 // 1024} MB, so no list of ours; it is not fetched")

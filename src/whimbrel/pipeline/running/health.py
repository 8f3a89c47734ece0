"""What an orchestrator asks: is the service alive, is it ready, and if not, why.  And where it asks: HTTP."""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec

from whimbrel.errors import ConfigError
from whimbrel.model.endpoint import Endpoint
from whimbrel.pipeline.running.metrics import Metrics

# A turn of the loop that takes longer hangs: the longest known is the analysis of a large store, which takes minutes.
HANGS_SECONDS = 900.0

_Page = Callable[[], tuple[int, str, bytes]]  # gives status, type and content

_log = logging.getLogger(__name__)


class Condition(msgspec.Struct, kw_only=True):
    """What `/readyz` shows; `reasons` are empty where all is well, and each says what is not."""

    ready: bool
    reasons: list[str]
    since: datetime  # when the service started
    serial: int | None  # of the snapshot last published
    serving: int | None  # of the snapshot that the name server answers from
    turns: int  # of the loop, so far
    idle_seconds: float  # since the last one ended


class Health:
    """Kept up to date by the loop; asked by other threads."""

    def __init__(self, now: datetime) -> None:
        self._lock = threading.Lock()
        self._beat = time.monotonic()
        self._condition = Condition(
            ready=False, reasons=["starting"], since=now, serial=None, serving=None, turns=0, idle_seconds=0.0
        )

    def beat(self, reasons: list[str], serial: int | None, serving: int | None) -> None:
        """Take note that a turn ended, and what is wrong."""
        with self._lock:
            self._beat = time.monotonic()
            self._condition = msgspec.structs.replace(
                self._condition,
                ready=not reasons,
                reasons=reasons,
                serial=serial,
                serving=serving,
                turns=self._condition.turns + 1,
            )

    def condition(self) -> Condition:
        """Return what is so now."""
        with self._lock:
            idle_seconds = round(time.monotonic() - self._beat, 3)
            return msgspec.structs.replace(self._condition, idle_seconds=idle_seconds)

    def is_alive(self) -> bool:
        """Tell whether the loop still turns."""
        return self.condition().idle_seconds < HANGS_SECONDS


class Pages:
    """The HTTP server of `/metrics`, `/healthz` and `/readyz`; a thread of its own until `close`."""

    def __init__(self, listen: Endpoint, health: Health, metrics: Metrics) -> None:
        """Begin to answer; raises ConfigError where the endpoint cannot be had."""
        pages: dict[str, _Page] = {
            "/metrics": lambda: (200, "text/plain; version=0.0.4; charset=utf-8", metrics.text()),
            "/healthz": lambda: _answer(is_well=health.is_alive(), body={"alive": health.is_alive()}),
            "/readyz": lambda: _ready(health.condition()),
        }

        class Handler(BaseHTTPRequestHandler):
            timeout = 10  # seconds that a client may take to ask

            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0])
                code, kind, body = page() if page else (404, "text/plain", b"/metrics, /healthz, /readyz\n")
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                _log.debug(format, *args)

        server_class = _Server6 if ":" in listen.address else _Server
        try:
            self._server = server_class((listen.address, listen.port), Handler)
        except OSError as error:
            raise ConfigError(
                f"metrics cannot be had on {listen}: {error.strerror}; give another metrics.listen"
            ) from None
        address, port = self._server.server_address[:2]
        self.endpoint = Endpoint(str(address), int(port))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="pages")
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Let a client go that went away in the middle: that is nobody's fault."""
        del request
        _log.debug("metrics: %s went away", client_address)


class _Server6(_Server):
    address_family = socket.AF_INET6


def _ready(condition: Condition) -> tuple[int, str, bytes]:
    return _answer(is_well=condition.ready, body=msgspec.to_builtins(condition))


def _answer(*, is_well: bool, body: object) -> tuple[int, str, bytes]:
    return 200 if is_well else 503, "application/json", json.dumps(body).encode() + b"\n"

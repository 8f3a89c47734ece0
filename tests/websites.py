"""A web server of a test's own, on loopback: it answers as the test says, and tells what it was asked."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Respond = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def site(respond: Respond) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Answer every GET by `respond`; gives the URL of its `list.snapshot`, and the headers of each request so far."""
    asked: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append({name.lower(): value for name, value in self.headers.items()} | {":path": self.path})
            respond(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is what is tested
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/list.snapshot", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sending(data: bytes, **headers: str) -> Respond:
    """Answer with these bytes and headers (`_` for `-`)."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        for name, value in ({"Content_Length": str(len(data))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return respond


def publishing(path: Path) -> Respond:
    """Answer as a web server does with a file: validators, and 304 where the client has it already."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        tag = f'"{path.stat().st_ino}-{path.stat().st_mtime_ns}"'
        if handler.headers.get("If-None-Match") == tag:
            handler.send_response(304)
            handler.end_headers()
            return
        sending(path.read_bytes(), ETag=tag)(handler)

    return respond

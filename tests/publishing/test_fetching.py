"""Fetching from servers that are as they should be, and from those that are not: bounded in time, size and reach."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.websites import publishing, sending, site

from whimbrel.errors import ConfigError, UpstreamError
from whimbrel.publishing import fetching
from whimbrel.publishing.fetching import source_of


def test_a_folder_and_a_file_are_read_when_they_change(tmp_path: Path) -> None:
    path = tmp_path / "list.snapshot"
    path.write_bytes(b"one")
    for source in (source_of(str(tmp_path)), source_of(str(path))):
        assert [source.fetch(), source.fetch()] == [b"one", None]
    path.write_bytes(b"two, longer")
    assert [source.fetch(), source.fetch()] == [b"two, longer", None]


def test_what_is_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UpstreamError, match="No such file"):
        source_of(str(tmp_path)).fetch()
    os.mkfifo(tmp_path / "list.snapshot")
    with pytest.raises(UpstreamError, match="no file"):
        source_of(str(tmp_path)).fetch()
    monkeypatch.setattr(fetching, "MAX_BYTES", 5)
    (tmp_path / "large").write_bytes(b"123456")
    with pytest.raises(UpstreamError, match="no list of ours"):
        source_of(str(tmp_path / "large")).fetch()


@pytest.mark.parametrize(
    "text",
    [
        "ftp://example.org/list",
        "http://",
        "http://example.org:0/x",
        "http://example.org:port/",
        "http://[::1/",
        "x://y",
    ],
)
def test_other_sources_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no source"):
        source_of(text)


def test_secrets_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="no name and password") as caught:
        source_of("https://me:hunter2@example.org/")
    assert "hunter2" not in str(caught.value)


def test_an_unchanged_file_is_not_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(b"one")
    with site(publishing(path)) as (url, asked):
        source = source_of(url)
        assert [source.fetch(), source.fetch()] == [b"one", None]
        path.write_bytes(b"two")
        assert [source.fetch(), source.fetch()] == [b"two", None]
    assert "if-none-match" not in asked[0]
    assert all("if-none-match" in each for each in asked[1:])


def test_a_time_does_for_a_validator_and_nonsense_does_not() -> None:
    with site(sending(b"one", Last_Modified="Sat, 27 Jul 2002 12:00:00 GMT", ETag='"\xff"')) as (url, asked):
        source = source_of(url)
        source.fetch()
        source.fetch()
    assert asked[1]["if-modified-since"] == "Sat, 27 Jul 2002 12:00:00 GMT"
    assert "if-none-match" not in asked[1]


def test_a_folders_url_means_the_list_in_it() -> None:
    with site(sending(b"one")) as (url, asked):
        source_of(url.removesuffix("list.snapshot") + "#part").fetch()
        source_of(url + "?part=2").fetch()
    assert [each[":path"] for each in asked] == ["/list.snapshot", "/list.snapshot?part=2"]


def test_a_few_redirects_are_followed_and_no_more() -> None:
    def on(handler: BaseHTTPRequestHandler) -> None:
        number = int(handler.path.partition("?")[2] or 0)
        if number == 3:
            sending(b"here")(handler)
            return
        handler.send_response(302)
        handler.send_header("Location", f"/list.snapshot?{number + 1 if number < 3 else 9}")
        handler.end_headers()

    with site(on) as (url, asked):
        assert source_of(url).fetch() == b"here"
        assert len(asked) == 4
        with pytest.raises(UpstreamError, match="more than 3 times"):
            source_of(url + "?9").fetch()
        assert len(asked) == 8


@pytest.mark.parametrize("goal", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://", "http://[", "gopher:x", ""])
def test_no_server_sends_us_to_another_scheme(goal: str) -> None:
    def away(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(301)
        handler.send_header("Location", goal)
        handler.end_headers()

    with site(away) as (url, asked), pytest.raises(UpstreamError):
        source_of(url).fetch()
    assert len(asked) <= 4


def test_nobody_leaves_https() -> None:
    url = urlsplit("https://example.org/list.snapshot")
    assert fetching._moved(url, "/other").geturl() == "https://example.org/other"
    for goal in ("http://example.org/list.snapshot", "//[", "file:///etc/passwd"):
        with pytest.raises((UpstreamError, ValueError)):
            fetching._moved(url, goal)


@pytest.mark.parametrize("status", [206, 204, 403, 404, 500])
def test_any_other_status_is_told(status: int) -> None:
    def refuse(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status, "a reason of\x1b[31m theirs")
        handler.end_headers()

    with site(refuse) as (url, _), pytest.raises(UpstreamError, match=f"HTTP status {status}$"):
        source_of(url).fetch()


def test_a_truncated_download_is_told_and_fetched_again() -> None:
    with site(sending(b"half", Content_Length="8", ETag='"one"')) as (url, asked):
        source = source_of(url)
        for _ in range(2):
            with pytest.raises(UpstreamError, match="after 4 bytes of 8"):
                source.fetch()
    assert "if-none-match" not in asked[1]


def test_a_size_beyond_reason_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_BYTES", 1_000_000)
    with (
        site(sending(b"", Content_Length="1000001")) as (url, _),
        pytest.raises(UpstreamError, match="no list of ours"),
    ):
        source_of(url).fetch()

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(100_000))

    with site(endless) as (url, _), pytest.raises(UpstreamError, match="no list of ours"):
        source_of(url).fetch()


@contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Talk to each client in turn, over a bare socket; gives the URL."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as ours:
        ours.settimeout(0.02)

        def loop() -> None:
            while not done.is_set():
                try:
                    theirs, _ = ours.accept()
                except TimeoutError:
                    continue
                with theirs:
                    try:
                        talk(theirs)
                    except OSError:
                        continue

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield f"http://127.0.0.1:{ours.getsockname()[1]}/list.snapshot"
        finally:
            done.set()
            thread.join()


def test_a_server_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SILENCE_SECONDS", 0.2)
    for begin in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"):

        def hang(theirs: socket.socket, begin: bytes = begin) -> None:
            theirs.sendall(begin)
            theirs.settimeout(5)
            while theirs.recv(4_096):
                pass

        with talking(hang) as url, pytest.raises(UpstreamError, match="timed out"):
            source_of(url).fetch()


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch, begin: bytes) -> None:
    """Never silent for long, never done: a header or a list without end, byte by byte."""
    monkeypatch.setattr(fetching, "LONGEST_SECONDS", 0.5)

    def drip(theirs: socket.socket) -> None:
        theirs.recv(4_096)
        theirs.sendall(begin)
        due = time.monotonic() + 20
        while time.monotonic() < due:
            theirs.sendall(b"x")
            time.sleep(0.02)

    began = time.monotonic()
    with talking(drip) as url, pytest.raises(UpstreamError, match="the transfer was cut"):
        source_of(url).fetch()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\0" * 100,
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200,
        b"x" * 100_000,
    ],
)
def test_what_is_no_http_is_one_short_line(nonsense: bytes) -> None:
    def talk(theirs: socket.socket) -> None:
        theirs.recv(4_096)
        theirs.sendall(nonsense)

    with talking(talk) as url, pytest.raises(UpstreamError) as caught:
        source_of(url).fetch()
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
    with pytest.raises(UpstreamError, match="Connection refused"):
        source_of(f"http://127.0.0.1:{port}/").fetch()


def test_an_https_server_without_a_good_certificate_is_refused() -> None:
    def talk(theirs: socket.socket) -> None:
        theirs.recv(4_096)
        theirs.sendall(b"HTTP/1.1 400 no\r\n\r\n")

    with talking(talk) as url, pytest.raises(UpstreamError, match="cannot be fetched"):
        source_of(url.replace("http:", "https:")).fetch()


def test_over_https_with_a_certificate_that_the_machine_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same list, over TLS; the certificate is the machine's business (here: SSL_CERT_FILE), as for any client."""
    certificate, key = certified(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def talk(theirs: socket.socket) -> None:
        with context.wrap_socket(theirs, server_side=True) as secure:
            secure.recv(4_096)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlist")

    with talking(talk) as url:
        source = source_of(url.replace("http:", "https:"))
        with pytest.raises(UpstreamError, match="certificate verify failed"):
            source.fetch()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert source.fetch() == b"list"


def certified(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of 127.0.0.1 that signs itself; return its file and its key's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "certificate.pem", folder / "key.pem"

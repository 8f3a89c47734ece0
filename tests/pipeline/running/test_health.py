import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from whimbrel.errors import ConfigError
from whimbrel.model.endpoint import Endpoint
from whimbrel.pipeline.running import health as module
from whimbrel.pipeline.running.health import Health, Pages
from whimbrel.pipeline.running.metrics import Metrics

SINCE = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def health() -> Health:
    return Health(SINCE)


@pytest.fixture(params=["127.0.0.1", "::1"])
def pages(health: Health, request: pytest.FixtureRequest) -> Iterator[Pages]:
    pages = Pages(Endpoint(request.param, 0), health, Metrics())
    yield pages
    pages.close()


def asked(pages: Pages, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://{pages.endpoint}{path}", timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_it_is_ready_when_nothing_is_wrong(pages: Pages, health: Health) -> None:
    code, content = asked(pages, "/readyz")
    assert (code, json.loads(content)["reasons"]) == (503, ["starting"])
    health.beat([], 7, 6)
    code, content = asked(pages, "/readyz?verbose")
    told = json.loads(content)
    assert (code, told["ready"], told["serial"], told["serving"], told["turns"]) == (200, True, 7, 6, 1)
    assert told["since"] == "2026-03-01T00:00:00Z"
    health.beat(["publish: the disk is full"], 7, 6)
    assert asked(pages, "/readyz")[0] == 503


def test_it_is_alive_while_it_turns(pages: Pages, health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(pages, "/healthz") == (200, b'{"alive": true}\n')
    monkeypatch.setattr(module, "HANGS_SECONDS", 0.0)
    assert asked(pages, "/healthz") == (503, b'{"alive": false}\n')
    assert health.condition().idle_seconds >= 0


def test_metrics_and_nothing_else(pages: Pages) -> None:
    code, content = asked(pages, "/metrics")
    assert code == 200
    assert b"whimbrel_faults" in content
    assert asked(pages, "/")[0] == 404


def test_a_client_that_says_nothing_holds_up_nobody(pages: Pages) -> None:
    with socket.create_connection((pages.endpoint.address, pages.endpoint.port)):
        assert asked(pages, "/healthz")[0] == 200


def test_an_endpoint_that_cannot_be_had_is_told(pages: Pages, health: Health) -> None:
    with pytest.raises(ConfigError, match=r"metrics cannot be had on .*; give another metrics\.listen"):
        Pages(Endpoint("192.0.2.1", 1), health, Metrics())
    del pages

"""Chains of Received lines, made up: of strangers, of a server that forwards, of our own."""
# ruff: noqa: E501 - a line of mail is one line here

from datetime import UTC, datetime, timedelta

from whimbrel.model.reading import Hop
from whimbrel.sensors.boundary import Trust
from whimbrel.sensors.inference import TrustLearner
from whimbrel.wire.received import parse_received

START = datetime(2002, 7, 1, 12, tzinfo=UTC)
RELAY = "8.8.4.4"  # documentation addresses are not public to `ipaddress`, so relays and strangers need real ones
OURS = "mx.example.org"
LAN = b"from inner (inner.example.org [10.0.0.5]) by store.example.org (Postfix) with LMTP id 1; Thu, 22 Aug 2002 12:40:00 +0000"


def line(
    peer: str, *, by: str = OURS, name: str = "unknown", helo: str = "x", recipient: str = "u@example.org", day: int = 0
) -> Hop:
    at = START + timedelta(days=day)
    text = f"from {helo} ({name} [{peer}]) by {by} (Postfix) with SMTP id 1 for <{recipient}>; {at:%d %b %Y %H:%M:%S} +0000"
    return parse_received(text.encode())


def stranger(number: int) -> str:
    return f"{20 + number % 100}.{number // 100 % 200}.{number % 7}.9"


def direct(number: int) -> list[Hop]:
    return [line(stranger(number), day=number % 40)]


def forwarded(
    number: int,
    *,
    recipient: str = "list@example.net",
    by: str = "relay.example.net",
    fan_in: int = 1_000,
    days: int = 40,
) -> list[Hop]:
    above = line(RELAY, name="relay.example.net", helo="relay.example.net", day=number % days)
    return [above, line(stranger(7_000 + number % fan_in * 3), by=by, recipient=recipient, day=number % days)]


def learned(chains: list[list[Hop]]) -> Trust:
    learner = TrustLearner()
    for chain in chains:
        learner.add(chain)
    return learner.result()


DIRECT = [direct(number) for number in range(300)]

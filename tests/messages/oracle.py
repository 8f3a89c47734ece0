"""The standard library's `email` (policy compat32) as the second opinion on our splitter, and how the two are compared.

It is the oracle only where it copes.  Where the two differ by design, the difference has a name here.
"""

import email
from collections.abc import Iterator
from email.message import Message
from typing import NamedTuple

from whimbrel.messages.canonical import canonical
from whimbrel.messages.decode import decode_transfer
from whimbrel.messages.mime import parse_tree

MESSAGES = {"message/rfc822", "message/global", "message/news"}  # the messages in messages that we walk into

REPORT = b"parsed by the oracle, a leaf to us"


class Leaf(NamedTuple):
    type: str
    payload: bytes


class Opinion(NamedTuple):
    """A message as one of the two parsers sees it: headers of the whole, types in pre-order, leaves decoded."""

    headers: list[tuple[str, str]]
    types: list[str]
    leaves: list[Leaf]


def ours(raw: bytes) -> Opinion:
    message = canonical(raw).raw
    entities = parse_tree(message, [])
    leaves = []
    for entity in entities:
        if not entity.has_children:
            encoding = entity.fields.get("content-transfer-encoding", b"").strip().lower().decode("latin-1")
            payload = decode_transfer(message[entity.start : entity.end], encoding, "", [])
            leaves.append(Leaf(entity.content.type, payload))
    headers = [(header.name, header.value.decode("ascii", "surrogateescape")) for header in entities[0].headers]
    return Opinion(headers, [entity.content.type for entity in entities], leaves)


def theirs(raw: bytes) -> Opinion:
    message = email.message_from_bytes(canonical(raw).raw)
    parts = list(_walk(message))
    leaves = [Leaf(part.get_content_type(), _payload(part)) for part in parts if not _has_children(part)]
    headers = [(name, value.replace("\n", "")) for name, value in message.raw_items()]
    return Opinion(headers, [part.get_content_type() for part in parts], leaves)


def _has_children(part: Message) -> bool:
    # The oracle also parses reports (message/delivery-status) and stubs (message/partial): leaves to us.
    return part.is_multipart() and (part.get_content_maintype() != "message" or part.get_content_type() in MESSAGES)


def _walk(message: Message) -> Iterator[Message]:
    yield message
    if _has_children(message):
        for part in message.get_payload():
            assert isinstance(part, Message)
            yield from _walk(part)


def _payload(part: Message) -> bytes:
    if part.is_multipart():
        return REPORT
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload


def differences(raw: bytes) -> list[str]:
    """Name the ways in which the two differ on one message; none where they agree."""
    expected, found = theirs(raw), ours(raw)
    kinds = []
    # The oracle loses the blanks after the colon; they are evidence to us.
    if [(name, value.strip(" \t")) for name, value in found.headers] != [
        (name, value.strip(" \t")) for name, value in expected.headers
    ]:
        kinds.append("headers")
    if found.types != expected.types:
        kinds.append("types")
    elif any(_differ(one, other) for one, other in zip(found.leaves, expected.leaves, strict=True)):
        kinds.append("payloads")
    return kinds


def _differ(one: Leaf, other: Leaf) -> bool:
    # Where the last boundary is missing, the oracle drops a line end as if it had been there.
    return other.payload is not REPORT and one.payload.rstrip() != other.payload.rstrip()

"""Threat intelligence: a STIX 2.1 bundle, and a MISP feed, of addresses alone.

Networks come without what is excluded from them.  Identifiers are name-based UUIDs (RFC 9562,
version 5), so that the same snapshot gives the same file.
"""

import hashlib
from collections.abc import Iterator
from uuid import UUID, uuid5

import msgspec

from whimbrel.model.listing import Code, FurtherCode
from whimbrel.publishing.exports.content import Content, answer, chosen, meaning, one_by_one, target, written_time
from whimbrel.publishing.exports.rows import carved
from whimbrel.wire.snapshot.encoder import HOST_BITS
from whimbrel.wire.snapshot.rows import Rows

# RFC 9562's name space for DNS names: a zone is one.  (STIX keeps its own name space for observables alone.)
_NAMESPACE = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")

_MISP_CATEGORY = "Network activity"
_MISP_THREAT_LEVEL = 3  # low: one host of many
_MISP_COMPLETE = 2

_json = msgspec.json.Encoder(order="deterministic")


def stix(content: Content) -> Iterator[str]:
    """Yield the lines of a STIX 2.1 bundle: an identity, and one indicator an entry, one object a line.

    All objects belong to their snapshot, for what has one identifier must have one time of creation.  An indicator is
    valid no longer than the snapshot: one that is not renewed is over by itself.
    """
    scope = uuid5(_NAMESPACE, f"{content.zone.name} {content.serial}")
    born = f"{written_time(content.born).removesuffix('Z')}.000Z"
    identity = f"identity--{uuid5(scope, content.zone.name)}"
    owner = {"type": "identity", "spec_version": "2.1", "id": identity, "created": born, "modified": born}
    yield f'{{"type":"bundle","id":"bundle--{scope}","objects":['
    yield _written(owner | {"name": f"Whimbrel list {content.zone.name}", "identity_class": "system"})
    for family, rows in content.families:
        for key, prefix, reason, until in one_by_one(carved(content, rows, HOST_BITS[family])):
            entry, written = content.entry(reason, until), target(family, key, prefix)
            indicator = {
                "type": "indicator",
                "spec_version": "2.1",
                "id": f"indicator--{uuid5(scope, written)}",
                "created": born,
                "modified": born,
                "created_by_ref": identity,
                "name": f"{written}: {meaning(entry.code)}",
                "description": entry.reason(written),
                "indicator_types": ["malicious-activity"],
                "labels": [f"code-{entry.code}", *(["demo"] if content.zone.demo else [])],
                "pattern": _pattern(family, written),
                "pattern_type": "stix",
                "valid_from": written_time(content.born),
                "valid_until": written_time(min(until, content.expires)),
            }
            yield f",{_written(indicator)}"
    yield "]}"


def _pattern(family: int, written: str) -> str:
    compared = "ISSUBSET" if "/" in written else "="
    return f"[ipv{family}-addr:value {compared} '{written}']"


def misp(content: Content) -> Iterator[tuple[str, Iterator[str]]]:
    """Yield the files of a MISP feed with their lines: one event a code, the hashes, and last the manifest.

    An event keeps its UUID from export to export, as an attribute does as long as its target is listed.
    """
    codes = [code for code in content.codes if any(len(rows.key) for _, rows in _coded(content, code))]
    for code in codes:
        yield f"{_event_id(content, code)}.json", _event_lines(content, code)
    yield (
        "hashes.csv",
        (
            f"{hashlib.md5(written.encode(), usedforsecurity=False).hexdigest()},{_event_id(content, code)}"
            for code in codes
            for written, _ in _rows_of(content, code)
        ),
    )
    yield "manifest.json", iter([_written({str(_event_id(content, code)): _event(content, code) for code in codes})])


def _event_id(content: Content, code: Code | FurtherCode) -> UUID:
    return uuid5(_NAMESPACE, f"{content.zone.name} code {code.value}")


def _event(content: Content, code: Code | FurtherCode) -> dict[str, object]:
    """Return what the manifest says of an event."""
    organisation = {"name": content.zone.name, "uuid": str(uuid5(_NAMESPACE, content.zone.name))}
    demo = "demo (made from old mail, not for use): " if content.zone.demo else ""
    return {
        "info": f"{demo}Whimbrel list {content.zone.name}: {meaning(code)} ({answer(code)})",
        "date": written_time(content.born)[:10],
        "timestamp": content.at,
        "threat_level_id": _MISP_THREAT_LEVEL,
        "analysis": _MISP_COMPLETE,
        "Orgc": organisation,
        "Tag": [{"name": "tlp:clear", "colour": "#ffffff"}],
    }


def _event_lines(content: Content, code: Code | FurtherCode) -> Iterator[str]:
    event = _event_id(content, code)
    shown = _event(content, code) | {"uuid": str(event), "published": True, "publish_timestamp": content.at}
    yield f'{{"Event":{_written(shown)[:-1]},"Attribute":['
    comma = ""
    for written, comment in _rows_of(content, code):
        attribute = {
            "uuid": str(uuid5(event, written)),
            "type": "ip-src",
            "category": _MISP_CATEGORY,
            "value": written,
            "to_ids": True,
            "comment": comment,
            "timestamp": content.at,
        }
        yield f"{comma}{_written(attribute)}"
        comma = ","
    yield "]}}"


def _rows_of(content: Content, code: Code | FurtherCode) -> Iterator[tuple[str, str]]:
    """Yield target and reason of the entries of one code."""
    for family, rows in _coded(content, code):
        for key, prefix, reason, until in one_by_one(rows):
            written = target(family, key, prefix)
            yield written, content.entry(reason, until).reason(written)


def _coded(content: Content, code: Code | FurtherCode) -> list[tuple[int, Rows]]:
    listed = ((family, carved(content, rows, HOST_BITS[family])) for family, rows in content.families)
    return [(family, chosen(rows, content.with_code(rows.reason, code))) for family, rows in listed]


def _written(value: object) -> str:
    return _json.encode(value).decode()

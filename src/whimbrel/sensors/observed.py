"""Observations that others made: JSON lines in, normalised observations out, each problem named by line and field."""

import difflib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, get_args

import msgspec
import pyarrow as pa
from msgspec.structs import force_setattr

from whimbrel.errors import ConfigError
from whimbrel.model.columns import OBSERVATIONS
from whimbrel.model.observation import (
    CampaignBasis,
    Kind,
    Label,
    LabelBasis,
    Method,
    Observation,
    given_observation_id,
    normalised,
)
from whimbrel.sensors.streams import PIECE_BYTES, DamageError, Stream, compression_of, decompressed

LINE_BYTES = 1 << 20  # an observation is a few hundred octets; what is a thousand times larger is something else
FIRST_YEAR, LAST_YEAR = 1970, 2200  # from the epoch on; stored microseconds would reach much further

# The least and the greatest, as far as the columns and protocols hold: int32, RFC 6793 (four octets), int64, int64.
_BOUNDS = {
    "received_below": (0, (1 << 31) - 1),
    "asn": (0, (1 << 32) - 1),
    "bytes": (0, (1 << 63) - 1),
    "count": (1, (1 << 63) - 1),
}
_NOT_EMPTY = ("campaign", "family", "dialect", "ref")
_CACHED_PREFIXES = 65_536  # a full routing table has a million, but few of them send mail

_FIELDS = Observation.__struct_fields__
_DECODER = msgspec.json.Decoder(Observation)
_WORDS = {
    "kind": get_args(Kind),
    "label": get_args(Label),
    "label_basis": get_args(LabelBasis),
    "campaign_basis": get_args(CampaignBasis),
    "method": get_args(Method),
}
_HOST_LETTERS = 100  # the longest address with tag, brackets and zone id is half as long
_SHOWN = 300  # letters of an error's text that are shown
_QUOTED = re.compile(r"`([^`]*)`")
_AT_FIELD = re.compile(r" - at `\$\.(\w+)")
_BLANKS = b" \t\r\n\v\f"


class LineError(NamedTuple):
    """What is wrong with one line (counted from 1), and in which field where it is one's."""

    line: int
    field: str | None
    problem: str

    def __str__(self) -> str:
        return f"line {self.line}: {_printable(self.problem)}"


def open_lines(path: str, stdin: BinaryIO) -> Iterator[bytes]:
    """Yield a file's lines without their ends (`-` is `stdin`), decompressed (gzip, bzip2, xz, zstd) by its content.

    A line longer than 1 MiB comes cut, yet still too long for `read_observations`.
    Raises ConfigError where the file cannot be read to its end.
    """
    try:
        if path == "-":
            yield from _lines(Stream(lambda: stdin.read(PIECE_BYTES)))
        else:
            with Path(path).open("rb", buffering=0) as raw:
                yield from _lines(Stream(lambda: raw.read(PIECE_BYTES)))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except DamageError as damage:
        raise ConfigError(f"{path}: {damage}; fetch the file again") from damage


def read_observations(
    lines: Iterable[bytes], max_errors: int = 0, *, where: str = ""
) -> Iterator[Observation | LineError]:
    """Yield an observation or what is wrong for every line that is not blank, in order.

    Raises ConfigError at the first line with an error after `max_errors` of them were given; `where` names the file.
    """
    errors = 0
    for number, line in enumerate(lines, start=1):
        found = _read_line(number, line)
        if found is None:
            continue
        if isinstance(found, LineError):
            errors += 1
            if errors > max_errors:
                more = "" if max_errors == 0 else f" (and {max_errors} lines with errors before it)"
                place = f"{where}: " if where else ""
                raise ConfigError(f"{place}{found}{more}; mend the line, or allow more errors with --max-errors")
        yield found


def to_columns(observations: Sequence[Observation]) -> pa.Table:
    """Return normalised observations as a table of schema `model.columns.OBSERVATIONS`, a row each, with their ids."""
    columns: dict[str, list[Any]] = {
        name: [getattr(observation, name) for observation in observations]
        for name in OBSERVATIONS.names
        if name in _FIELDS
    }
    columns["id"] = [given_observation_id(observation) for observation in observations]
    nothing = [None] * len(observations)
    return pa.Table.from_arrays(
        [pa.array(columns.get(field.name, nothing), type=field.type) for field in OBSERVATIONS], schema=OBSERVATIONS
    )


def schema() -> dict[str, Any]:
    """Return the JSON schema of one line, generated from the type; `docs/observation.schema.json` is this."""
    generated: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(Observation)))
    properties = generated["$defs"]["Observation"]["properties"]
    for name, (least, greatest) in _BOUNDS.items():
        _typed(properties[name], "integer").update({"minimum": least, "maximum": greatest})
    for name in ("sensor", *_NOT_EMPTY):
        _typed(properties[name], "string").update({"minLength": 1})
    for name in ("seen_at", "learned_at"):
        _typed(properties[name], "string").update({"format": "date-time"})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Observation v1", **generated}


def _typed(described: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the part of a field's schema that describes one type, for a field that may be null too."""
    either: list[dict[str, Any]] = described.get("anyOf", [described])
    return next(way for way in either if way.get("type") == kind)


def _lines(stream: Stream) -> Iterator[bytes]:
    compression = compression_of(stream.peek(16))
    if compression is not None:
        stream = decompressed(stream, compression)
    rest = b""
    while piece := stream.read_piece():
        whole = (rest + piece).split(b"\n")
        rest = whole.pop()[: LINE_BYTES + 1]
        yield from whole
    if rest:
        yield rest


def _read_line(number: int, line: bytes) -> Observation | LineError | None:
    if len(line) > LINE_BYTES:
        return LineError(number, None, f"longer than {LINE_BYTES >> 20} MiB; an observation is one JSON object a line")
    try:
        given = _DECODER.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return LineError(number, *_explained(error)) if line.strip(_BLANKS) else None
    problem = _problem(given)
    if problem is not None:
        return LineError(number, *problem)
    try:
        read = normalised(given)
    except (ValueError, OverflowError) as error:
        text = str(error)
        field = text.partition(" ")[0]
        return LineError(number, field if field in _FIELDS else None, text)
    return _completed(read)


def _completed(read: Observation) -> Observation:
    """Fill in what may be left out: who says so is the giver, unless told; a prefix is written one way.

    Sets fields of the frozen value in place, which is ours alone until it is given away; a copy costs a microsecond.
    """
    if read.label_basis is None and read.label != "unknown":
        force_setattr(read, "label_basis", "given")
    if read.campaign is not None and read.campaign_basis is None:
        force_setattr(read, "campaign_basis", "given")
    if read.prefix is not None:
        force_setattr(read, "prefix", _prefix(read.prefix))
    return read


def _problem(given: Observation) -> tuple[str, str] | None:  # noqa: PLR0911 - one return a field
    """Return the field at fault and what to do, where a value of the right type makes no sense."""
    if not FIRST_YEAR <= given.seen_at.year <= LAST_YEAR:
        return _bad_year("seen_at", given.seen_at)
    if given.learned_at is not None and not FIRST_YEAR <= given.learned_at.year <= LAST_YEAR:
        return _bad_year("learned_at", given.learned_at)
    if len(given.host) > _HOST_LETTERS:
        return "host", f"host is not an address: {given.host[:60]!r}..."
    if given.method is not None and given.kind != "infection":
        return "method", f"method tells how an infection was seen; leave it out where kind is {given.kind}"
    if given.campaign_basis is not None and given.campaign is None:
        return "campaign_basis", "campaign_basis without campaign; name the campaign, or leave it out"
    if given.prefix is not None and _prefix(given.prefix) is None:
        return "prefix", f"prefix is no network: {given.prefix[:60]!r}; write one as 192.0.2.0/24 or 2001:db8::/32"
    if "" in given.recipient_domains:
        return "recipient_domains", "recipient_domains holds an empty name; leave it out"
    if "" in (given.campaign, given.family, given.dialect, given.ref):
        name = next(name for name in _NOT_EMPTY if getattr(given, name) == "")
        return name, f"{name} is empty; leave it out where it is not known"
    for name, number in (
        ("received_below", given.received_below),
        ("asn", given.asn),
        ("bytes", given.bytes),
        ("count", given.count),
    ):
        if number is not None and not _BOUNDS[name][0] <= number <= _BOUNDS[name][1]:
            return name, f"{name} is {number}; give a number from {_BOUNDS[name][0]} to {_BOUNDS[name][1]}"
    return None


def _bad_year(name: str, at: datetime) -> tuple[str, str]:
    return name, f"{name} is in the year {at.year}; give one from {FIRST_YEAR} to {LAST_YEAR}"


@lru_cache(maxsize=_CACHED_PREFIXES)
def _prefix(text: str) -> str | None:
    """Return the canonical text of a network, or None."""
    if "/" not in text or len(text) > _HOST_LETTERS:
        return None
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        return None


def _choices(field: str) -> str:
    """Return what to write instead, for the fields that take a few words or a time."""
    if field in ("seen_at", "learned_at"):
        return "; write it as 2026-01-31T12:00:00Z"
    words = _WORDS.get(field)
    return f"; it is one of {', '.join(words)}" if words else ""


def _printable(text: str) -> str:
    """Return text that is safe and short enough to print: input may hold control sequences."""
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in cut)


def _explained(error: Exception) -> tuple[str | None, str]:
    """Return the field and a text with what to do, for what the decoder says."""
    text = str(error)
    at = _AT_FIELD.search(text)
    field = at[1] if at else None
    what = text[: at.start()] if at else text
    name = _QUOTED.search(what)
    if "unknown field" in what and name:
        near = difflib.get_close_matches(name[1], _FIELDS, n=1)
        advice = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(_FIELDS)}"
        return name[1], f"unknown key `{name[1]}` ({advice})"
    if "missing required field" in what and name:
        return name[1], f"the key `{name[1]}` is missing; every line needs seen_at, sensor, host and kind"
    if field is not None:
        return field, f"{field}: {what[0].lower()}{what[1:]}{_choices(field)}"
    if isinstance(error, UnicodeDecodeError) or "utf-8" in text.lower():
        return None, "not UTF-8; write the file in UTF-8"
    said = text if text[:4] == "JSON" else f"{text[0].lower()}{text[1:]}"
    return None, f"not one JSON object of an observation ({said})"

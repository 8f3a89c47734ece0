"""Observations from JSON lines: what is right comes normalised, what is wrong is named by line and field."""

import bz2
import gzip
import io
import json
import lzma
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.errors import ConfigError
from whimbrel.model.columns import OBSERVATIONS
from whimbrel.model.observation import Observation, given_observation_id
from whimbrel.sensors.observed import LINE_BYTES, LineError, open_lines, read_observations, schema, to_columns

DOCS = Path(__file__).resolve().parents[2] / "docs"
LEAST = {"seen_at": "2026-03-01T12:00:00Z", "sensor": "trap", "host": "192.0.2.7", "kind": "message"}
PACKERS = [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _line(**fields: Any) -> bytes:
    return json.dumps({**LEAST, **fields}).encode()


def _one(line: bytes) -> Observation | LineError:
    (found,) = read_observations([line], max_errors=1)
    return found


def _read(**fields: Any) -> Observation:
    found = _one(_line(**fields))
    assert isinstance(found, Observation), found
    return found


def test_the_least_that_is_needed() -> None:
    expected = Observation(seen_at=NOON, learned_at=NOON, sensor="trap", host="192.0.2.7", kind="message")
    assert _read() == expected


def test_values_come_normalised() -> None:
    read = _read(
        seen_at="2026-03-01T14:00:00+02:00",
        learned_at="2026-03-01T13:05:00+01:00",
        host="IPv6:2001:DB8::7",
        prefix="2001:DB8:0::1/32",
    )
    assert (read.seen_at, read.learned_at) == (NOON, NOON.replace(minute=5))
    assert (read.host, read.prefix) == ("2001:db8::/64", "2001:db8::/32")


def test_who_says_so_is_the_giver_unless_told() -> None:
    assert _read(label="spam").label_basis == "given"
    assert _read(label="spam", label_basis="filter").label_basis == "filter"
    assert _read().label_basis is None
    assert _read(campaign="c").campaign_basis == "given"
    assert _read(campaign="c", campaign_basis="url").campaign_basis == "url"
    assert _read().campaign_basis is None


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"hostt": 1}, "hostt", "unknown key `hostt` (did you mean `host`?)"),
        ({"zzz": 1}, "zzz", "unknown key `zzz` (known are seen_at, "),
        ({"count": "1"}, "count", "count: expected `int`, got `str`"),
        ({"count": 0}, "count", "count is 0; give a number from 1 to"),
        ({"count": 10**30}, "count", "count is 1000"),
        ({"bytes": -1}, "bytes", "bytes is -1; give a number from 0"),
        ({"received_below": -1}, "received_below", "received_below is -1"),
        ({"received_below": 2**31}, "received_below", "received_below is 2147483648"),
        ({"asn": 2**32}, "asn", "asn is 4294967296; give a number from 0 to 4294967295"),
        ({"kind": "mail"}, "kind", "it is one of message, connection, infection, report"),
        ({"label": "junk"}, "label", "it is one of spam, ham, unknown"),
        ({"seen_at": "yesterday"}, "seen_at", "write it as 2026-01-31T12:00:00Z"),
        ({"seen_at": "2026-03-01T12:00:00"}, "seen_at", "seen_at has no offset from UTC"),
        ({"seen_at": "1969-12-31T23:59:59Z"}, "seen_at", "seen_at is in the year 1969; give one from 1970 to 2200"),
        ({"learned_at": "2201-01-01T00:00:00Z"}, "learned_at", "learned_at is in the year 2201"),
        ({"sensor": ""}, "sensor", "sensor is empty"),
        ({"host": "example.com"}, "host", "host is not an address: 'example.com'"),
        ({"host": "1" * 500}, "host", "host is not an address"),
        ({"prefix": "192.0.2.0"}, "prefix", "write one as 192.0.2.0/24"),
        ({"prefix": "192.0.2.0/33"}, "prefix", "prefix is no network"),
        ({"method": "sinkhole"}, "method", "leave it out where kind is message"),
        ({"family": ""}, "family", "family is empty"),
        ({"campaign": ""}, "campaign", "campaign is empty"),
        ({"ref": ""}, "ref", "ref is empty"),
        ({"campaign_basis": "url"}, "campaign_basis", "campaign_basis without campaign"),
        ({"recipient_domains": [1]}, "recipient_domains", "recipient_domains: expected `str`"),
        ({"recipient_domains": [""]}, "recipient_domains", "holds an empty name"),
    ],
)
def test_each_problem_is_named(fields: dict[str, Any], field: str, said: str) -> None:
    found = _one(_line(**fields))
    assert isinstance(found, LineError)
    assert (found.line, found.field) == (1, field)
    assert said in str(found)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "not one JSON object"),
        (b"[]", "not one JSON object"),
        (b"[" * 100_000, "not one JSON object"),
        (_line() + b" x", "not one JSON object"),
        (_line()[:-1] + b', "helo": "\xff"}', "not UTF-8"),
        (_line(helo="x" * LINE_BYTES), "longer than 1 MiB"),
        (b'{"sensor": "x"}', "the key `seen_at` is missing"),
    ],
)
def test_lines_that_are_no_observation(line: bytes, said: str) -> None:
    found = _one(line)
    assert isinstance(found, LineError)
    assert said in found.problem


def test_what_is_printed_holds_no_control_sequence_and_is_short() -> None:
    for name in ("\x1b[31mred\u202e", "x" * 5000):
        text = str(_one(_line(**{name: 1})))
        assert text.isprintable()
        assert len(text) < 400


def test_lines_are_counted_blank_ones_too_and_errors_have_a_limit() -> None:
    lines = [_line(), b"", b"{", b" \r", _line(count=0), _line(count=2), b"}"]
    found: list[Observation | LineError] = []
    with pytest.raises(ConfigError, match=r"^line 7: .*and 2 lines with errors before"):
        found.extend(read_observations(lines, max_errors=2))
    assert [each.line if isinstance(each, LineError) else each.count for each in found] == [1, 3, 5, 2]
    with pytest.raises(ConfigError, match=r"^line 3: "):
        list(read_observations(lines))


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda text: _line(helo=text)[:-1])))
def test_any_line_is_an_observation_or_an_error(line: bytes) -> None:
    for each in read_observations([line, line + b"}"], max_errors=2):
        assert isinstance(each, Observation | LineError)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
JSON = PLAIN | st.lists(PLAIN, max_size=2)


@given(st.dictionaries(st.sampled_from(Observation.__struct_fields__), JSON))
def test_any_value_is_an_observation_that_can_be_stored_or_an_error(fields: dict[str, Any]) -> None:
    found = _one(_line(**fields))
    if isinstance(found, Observation):
        assert to_columns([found]).schema.equals(OBSERVATIONS)
        jsonschema.validate({**LEAST, **fields}, schema())


def test_columns_hold_the_fields_and_the_ids() -> None:
    text = {name: name for name in ("campaign", "family", "dialect", "helo", "rdns", "ref")}
    numbers = {"received_below": 1, "asn": 2, "bytes": 2**40, "count": 3}
    words = {"kind": "infection", "label": "spam", "method": "list", "prefix": "10.0.0.0/8"}
    full = _read(**text, **numbers, **words, recipient_domains=["a.example", "b.example"])
    assert not [name for name in Observation.__struct_fields__ if not getattr(full, name)]
    rows = to_columns([full, _read()])
    assert rows.schema.equals(OBSERVATIONS)
    rows.validate(full=True)
    for number, observation in enumerate((full, _read())):
        row = rows.slice(number, 1).to_pylist()[0]
        assert row.pop("id") == given_observation_id(observation)
        assert row.pop("message_id") is row.pop("supersedes") is row.pop("passed_on") is None
        row["recipient_domains"] = tuple(row["recipient_domains"])
        assert row == {name: getattr(observation, name) for name in Observation.__struct_fields__}


def test_no_observations_are_an_empty_table() -> None:
    empty = to_columns([])
    assert isinstance(empty, pa.Table)
    assert empty.num_rows == 0


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress]
)
def test_lines_of_files_however_packed(tmp_path: Path, pack: Any) -> None:
    lines = [_line(count=number) for number in range(1, 3000)]
    content = pack(b"\n".join(lines))
    (tmp_path / "lines").write_bytes(content)
    assert list(open_lines(str(tmp_path / "lines"), io.BytesIO())) == lines
    assert list(open_lines("-", io.BytesIO(content))) == lines


def test_a_line_far_too_long_is_cut_and_the_next_is_read() -> None:
    lines = list(open_lines("-", io.BytesIO(b"x" * (5 * LINE_BYTES) + b"\n" + _line())))
    assert len(lines) == 2
    assert LINE_BYTES < len(lines[0]) < 2 * LINE_BYTES
    assert lines[1] == _line()


def test_lines_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing: cannot be read"):
        list(open_lines(str(tmp_path / "missing"), io.BytesIO()))
    with pytest.raises(ConfigError, match="-: the gzip data ends too early"):
        list(open_lines("-", io.BytesIO(gzip.compress(_line())[:-3])))


def test_the_published_schema_is_the_types() -> None:
    assert json.loads((DOCS / "observation.schema.json").read_text()) == schema()
    jsonschema.validate(LEAST, schema())
    for wrong in ({"count": 0}, {"hostt": 1}, {"kind": "mail"}, {"bytes": -1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**LEAST, **wrong}, schema())


def test_the_documentation_names_every_field_with_an_example_that_is_read() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| `(.*)` \|$", (DOCS / "observation.md").read_text(), re.MULTILINE)
    assert [name for name, _ in rows] == list(Observation.__struct_fields__)
    examples = {name: json.loads(example) for name, example in rows}
    _read(**{**examples, "kind": "infection"})

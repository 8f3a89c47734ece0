"""Structured header values: `type/subtype; name=value`, with the two ways mail writes long or foreign file names.

RFC 2045 section 5.1 (parameters), RFC 2231 (continuations and charsets), RFC 2047 in quoted strings (forbidden, and
what most software writes).  The number of parameters is bounded, and each byte is looked at a constant number of times.
"""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from whimbrel.messages import bounds

# A parameter as mail writes it: after a `;`, a name, `=`, and a quoted string or whatever stands before the next `;`.
_PARAMETER = re.compile(r';[ \t]*([^=;\s"]{1,80})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*+)"|([^;]*))', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_TYPE = re.compile(
    r"[!#$&^_.+a-z0-9-]{1,127}/[!#$&^_.+a-z0-9-]{1,127}(?=[\s;(]|\Z)\s*"
)  # RFC 6838, section 4.2, and no case
_CACHED_VALUES = 1_024
_CACHED_VALUE_BYTES = 256


class ContentType(NamedTuple):
    """A media type in lower case, its parameters (Latin-1 text of the raw bytes), and whether it was well formed."""

    type: str
    parameters: dict[str, str]
    valid: bool


def parse_content_type(value: bytes) -> ContentType:
    """Return the type of a Content-Type value; `text/plain` where it is none (RFC 2045, section 5.2)."""
    return _cached(value) if len(value) <= _CACHED_VALUE_BYTES else _parse_content_type(value)


def parse_disposition(value: bytes) -> tuple[str, dict[str, str]]:
    """Return the disposition (`inline`, `attachment`, ...) in lower case and its parameters."""
    if not value:
        return "", {}
    text = value.decode("latin-1")
    return text.partition(";")[0].strip().lower()[:_CACHED_VALUE_BYTES], parse_parameters(text)


def parse_parameters(text: str) -> dict[str, str]:
    """Return the parameters of a structured value, names in lower case; the first of a name wins."""
    parameters: dict[str, str] = {}
    position = text.find(";")
    for _ in range(bounds.PARAMETERS):
        if position < 0:
            break
        match = _PARAMETER.match(text, position)
        if match is None:
            position = text.find(";", position + 1)
            continue
        name, quoted, bare = match.groups()
        content = bare.strip() if quoted is None else _ESCAPE.sub(r"\1", quoted) if "\\" in quoted else quoted
        parameters.setdefault(name.lower(), content)
        position = text.find(";", match.end())
    return parameters


def parameter_bytes(parameters: dict[str, str], name: str) -> tuple[bytes, str]:
    """Return a parameter's bytes and their declared charset (empty: none), joined and unescaped as RFC 2231 says."""
    plain = parameters.get(name)
    if plain is not None:
        return plain.encode("latin-1"), ""
    extended = parameters.get(f"{name}*")
    if extended is not None:
        return _unescaped(extended)
    pieces: list[bytes] = []
    charset = ""
    for index in range(bounds.PARAMETERS):
        escaped = parameters.get(f"{name}*{index}*")
        if escaped is None:
            literal = parameters.get(f"{name}*{index}")
            if literal is None:
                break
            pieces.append(literal.encode("latin-1"))
        elif index == 0:
            piece, charset = _unescaped(escaped)
            pieces.append(piece)
        else:
            pieces.append(unquote_to_bytes(escaped.encode("latin-1")))
    return b"".join(pieces), charset


def _unescaped(extended: str) -> tuple[bytes, str]:
    charset, quote, rest = extended.partition("'")
    _language, second, content = rest.partition("'")
    if not (quote and second):
        charset, content = "", extended
    return unquote_to_bytes(content.encode("latin-1")), charset


def _parse_content_type(value: bytes) -> ContentType:
    text = value.decode("latin-1")
    match = _TYPE.match(text.lstrip().lower())
    if match is None:
        return ContentType("text/plain", parse_parameters(text), valid=False)
    rest = text.lstrip()[match.end() :]
    is_valid = not rest or rest[0] in ";("
    # `text/html charset=x`: the semicolon that software forgets is understood.
    return ContentType(match[0].rstrip(), parse_parameters(rest if is_valid else f";{rest}"), valid=is_valid)


_cached = lru_cache(maxsize=_CACHED_VALUES)(_parse_content_type)

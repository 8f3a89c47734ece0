r"""The tags of HTML: where each begins and ends, and what one says to a reader.

The grammar is WHATWG HTML section 13.2.5 as regular expressions with possessive repeats.  Each token consumes what it
looked at, an unclosed one to the end of the text, so every character is read a bounded number of times.

Mail repeats its tags: of the 391,137 in the SpamAssassin mail, 24,932 differ.  So a tag is read once, whole, and known
again by its text.
"""

import html as _entities
import re
from functools import lru_cache
from typing import NamedTuple

from whimbrel.messages.colours import colour_of

# RFC 9110, section 4.1 wants 8,000 octets supported; 99.9 % of the 90,988 URLs in real mail are shorter than 1,332.
MAX_URL_CHARACTERS = 2_048

# What stands before and after a block, beside blanks: `html.visible_text` takes it out of the text first.
BLOCK = "\0"

# 32 of the 337,262 tags with attributes in that mail are longer (pictures inside them); the rest is not looked at.
_MAX_ATTRIBUTES_CHARACTERS = 8_192

# Names of elements are at most 14 characters; made-up ones are cut.
_MAX_NAME_CHARACTERS = 32

# 16 Ki tags of at most 256 characters, with what is read of them, stay under 16 MB; half as many miss 10 % of all tags
# in that mail, these 7 %.
_CACHED_TAGS = 16_384
_CACHED_CHARACTERS = 256
# One text adds at most so many, or one of made-up tags would put out all others'; real parts add 20 on average.
_NEW_OF_ONE_TEXT = 256

# 4 Ki of at most 256 characters stay under 4 MB.
_CACHED_STYLES = 4_096

# One attribute: a name that may begin with `=`, and a value in double quotes, single quotes or none.
_ATTRIBUTES = (
    r"""(?:[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\s>"'][^\s>]*+)?+)?+)*+[\s/]*+"""
)
_ATTRIBUTE = re.compile(
    r"""[\s/]*+([^\s/>][^\s/>=]*+)(?:\s*+=\s*+(?:"([^"]*+)(?:"|\Z)|'([^']*+)(?:'|\Z)|([^\s>"'][^\s>]*+))?+)?+"""
)
# Elements whose content is raw (13.2.5.2 to 13.2.5.4) and goes with them.
_RAW = "script|style|title|noembed|noframes"
_RAW_NAMES = frozenset(_RAW.split("|"))

# The alternatives: the quick and common way through a tag; any tag; a raw element with its content (its name is the
# second group); a comment; a declaration.  The quick way is a part of the second (a test compares them): no beginning
# of a raw element's name, attributes of letters in double quotes, then no quote up to the end.
_TAGS = re.compile(
    r"""(<(?:(?:/|(?![sS][cCtT]|[tT][iI]|[nN][oO]))[a-zA-Z][a-zA-Z0-9]*+(?: [a-zA-Z]++="[^"]*+")*+[^"'>]*+>"""
    rf"""|(?:/|(?!(?ai:{_RAW})[\s/>]))[a-zA-Z][^\s/>]*+{_ATTRIBUTES}(?:>|\Z)"""
    rf"""|((?ai:{_RAW}))(?=[\s/>]){_ATTRIBUTES}(?:>|\Z)[^<]*+(?:<(?!(?ai:/\2)[\s/>])[^<]*+)*+(?:<[^>]*+(?:>|\Z))?+"""
    r"""|!--(?:-?>|[^-]*+(?:-(?!-!?>)[^-]*+)*+(?:--!?>|\Z))"""
    r"""|[!?/][^>]*+(?:>|\Z)))"""
)
_NAME = re.compile(r"<(/?+)([a-zA-Z][^\s/>]*+)")
_UP_TO_CONTENT = re.compile(_ATTRIBUTES)

_VOID = frozenset(
    "area base br col embed hr img input link meta param source track wbr basefont bgsound frame keygen".split()  # noqa: SIM905
)
BLOCKS = frozenset(
    "address article aside blockquote body br center dd div dl dt fieldset footer form h1 h2 h3 h4 h5 h6 header hr html li"  # noqa: E501, SIM905
    " main nav ol option p pre section table tbody td tfoot th thead tr ul".split()
)

# ` src=x`: no shorter attribute tells anything.
_LEAST_TELLING = 6
# Which attribute carries a URL, and where the reader meets it.
_URL_ATTRIBUTES = {"href": "href", "src": "src", "background": "src", "action": "form", "formaction": "form"}
_STYLING = frozenset({"style", "hidden", "color", "text", "bgcolor"})
_TELLING = _STYLING | {*_URL_ATTRIBUTES, "content"}
_REFRESH = re.compile(r"url\s*=\s*['\"]?([^'\"\s]+)", re.IGNORECASE)

_HIDING = re.compile(
    r"(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|opacity\s*:\s*0?\.?0+\s*(?:[;!]|$)"
    r"|font-size\s*:\s*(?:0*(?:\.0+)?(?<=0)|(?:1(?:\.0+)?|0?\.\d+)(?=\s*p[xt]))\s*(?:px|pt|em|rem|%|[;!]|$))"
)
_FOREGROUND = re.compile(r"(?:^|[;\s])color\s*:\s*([^;!]{1,64})")
_GROUND = re.compile(r"(?:^|[;\s])background(?:-color)?\s*:\s*(rgba?\([^)]{1,64}\)|[^;!\s]{1,64})")


class Style(NamedTuple):
    """What an element's own style makes of its content: hidden, the colour of its letters, that of its ground."""

    hidden: bool
    foreground: str | None
    ground: str | None


class Tag:
    """What one tag says; compared by identity, so that the tags of a document are quickly told apart.

    `mark` goes into the text for it, `links` are its URLs as (raw, seen_in), `style` is None where it tells none.
    A tag that neither opens nor closes an element with content does nothing but that.
    """

    __slots__ = ("closes", "links", "mark", "name", "opens", "style")

    def __init__(self, name: str, attributes: dict[str, str], *, is_end: bool, is_raw: bool) -> None:
        self.name = name
        self.mark = f" {BLOCK} " if name in BLOCKS else ""
        self.opens = not (is_end or is_raw or name in _VOID)
        self.closes = is_end
        self.links = _links(name, attributes) if attributes else ()
        self.style = _style_of(attributes) if self.opens and not _STYLING.isdisjoint(attributes) else None


_TELLS_NOTHING = Style(hidden=False, foreground=None, ground=None)
_NO_ATTRIBUTES: dict[str, str] = {}
_NO_TAG = Tag("", _NO_ATTRIBUTES, is_end=False, is_raw=True)  # a comment or declaration


class _Known(dict[str, Tag]):
    """What each tag says, by its text; filled as tags are met (`room` more of this text), emptied when full."""

    room = 0

    def __missing__(self, written: str) -> Tag:
        tag = _read(written)
        if self.room and len(written) <= _CACHED_CHARACTERS:
            self.room -= 1
            if len(self) >= _CACHED_TAGS:
                self.clear()
            self[written] = tag
        return tag


_KNOWN = _Known()


def split_tags(html: str) -> tuple[list[str], list[Tag]]:
    """Return the pieces of text around the tags, and the tags: one fewer."""
    tokens = _TAGS.split(html)
    _KNOWN.room = _NEW_OF_ONE_TEXT
    return tokens[::3], list(map(_KNOWN.__getitem__, tokens[1::3]))


def _read(written: str) -> Tag:
    start = _NAME.match(written)
    if start is None:
        return _NO_TAG
    name, is_end = start[2][:_MAX_NAME_CHARACTERS].lower(), bool(start[1])
    is_raw = not is_end and name in _RAW_NAMES
    at = start.end()
    # Everything behind a raw element's attributes is its content.
    own = _UP_TO_CONTENT.match(written, at) if is_raw else None
    end = at if is_end else min(own.end() if own else len(written), at + _MAX_ATTRIBUTES_CHARACTERS)
    told = _NO_ATTRIBUTES if end - at < _LEAST_TELLING else _attributes_of(written, at, end)
    return Tag(name, told, is_end=is_end, is_raw=is_raw)


def _attributes_of(written: str, at: int, end: int) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for written_name, double, single, bare in _ATTRIBUTE.findall(written, at, end):
        name = written_name.lower()
        if name in _TELLING and name not in attributes:  # the first of a name counts (WHATWG 13.2.5.33)
            attributes[name] = unescaped(double or single or bare)
    return attributes


# html.unescape raises where int() meets over 4,300 digits; no code point has more than 7 of them behind the zeros.
_LONG_REFERENCE = re.compile(r"&#(?:x[0-9a-f]{32,}|[0-9]{32,})", re.IGNORECASE)


def unescaped(text: str) -> str:
    """Return the text with its character references resolved."""
    if "&" not in text:
        return text
    return _entities.unescape(_LONG_REFERENCE.sub("\ufffd", text))


def _links(name: str, attributes: dict[str, str]) -> tuple[tuple[str, str], ...]:
    links = [
        (value.strip()[:MAX_URL_CHARACTERS], _URL_ATTRIBUTES[attribute])
        for attribute, value in attributes.items()
        if value and attribute in _URL_ATTRIBUTES
    ]
    refresh = _REFRESH.search(attributes.get("content", "")) if name == "meta" else None
    if refresh:
        links.append((refresh[1][:MAX_URL_CHARACTERS], "href"))
    return tuple(links)


def _style_of(attributes: dict[str, str]) -> Style | None:
    style = attributes.get("style")
    hidden, foreground, ground = _TELLS_NOTHING
    if style:
        told_by = _told_by if len(style) <= _CACHED_CHARACTERS else _told_by.__wrapped__
        hidden, foreground, ground = told_by(style)
    found = Style(
        hidden or "hidden" in attributes,
        colour_of(foreground or attributes.get("color") or attributes.get("text")),
        colour_of(ground or attributes.get("bgcolor")),
    )
    return found if any(found) else None


@lru_cache(maxsize=_CACHED_STYLES)
def _told_by(style: str) -> Style:
    """Return what a `style` attribute tells, its colours as written."""
    lower = style.lower()
    foreground, ground = _FOREGROUND.search(lower), _GROUND.search(lower)
    return Style(
        _HIDING.search(lower) is not None,
        foreground[1] if foreground else None,
        ground[1] if ground else None,
    )

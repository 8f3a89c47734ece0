"""What a reader of an HTML part sees, and the web addresses it carries.

Why no tree
-----------
A tree builder follows the adoption agency and foster parenting of the HTML standard, which copy nodes: 40 kB of
`<b 0><b 1>...x</b>x</b>` cost lexbor 4.6 s and 1.3 GB, and a guard in front of it must read tags just as lexbor does,
or a quote in the wrong place hides the rest from the guard.  Such a guard is a whole tokenizer already.  So there is
only the tokenizer, and beside it the one thing that visibility needs of a tree: which styled elements are open
(`_Scope`).

The tokenizer is WHATWG HTML section 13.2.5 as regular expressions with possessive repeats.  Each token consumes what it
looked at, an unclosed one to the end of the text, so every character is read a bounded number of times.

What hides text: `style`, `script`, `title` and their like; comments; `hidden`; `display:none`, `visibility:hidden`,
`mso-hide:all`, `opacity:0`, a font of at most a pixel; text in the colour that inline style or `bgcolor` told for its
ground.  Style sheets are not applied: what only a class hides counts as visible.
"""

import html as _entities
import re
from typing import NamedTuple

from whimbrel.messages.colours import colour_of
from whimbrel.model.facts import Defect

# The most in one real part of the SpamAssassin and phishing mail is 498.
MAX_URLS = 2_000

# RFC 9110, section 4.1 wants 8,000 octets supported; 99.9 % of the 90,988 URLs in that mail are shorter than 1,332.
MAX_URL_CHARACTERS = 2_048

# 32 of the 337,262 tags with attributes in that mail are longer (pictures inside them); the rest is not looked at.
_MAX_ATTRIBUTES_CHARACTERS = 8_192

# Deepest nesting of styled elements in that mail: 28.  Beyond the bound they inherit, and are no longer told apart.
_MAX_STYLED_DEPTH = 1_000


# Names of elements are at most 14 characters; made-up ones are cut, and no more than these are kept.
_MAX_NAME_CHARACTERS = 32
_MAX_NAMES = 4_096


class HtmlReading(NamedTuple):
    """The visible text (blocks on lines of their own), the URLs as (raw, seen_in), and what was odd."""

    text: str
    urls: tuple[tuple[str, str], ...]
    defects: tuple[Defect, ...]


# One attribute: a name that may begin with `=`, and a value in double quotes, single quotes or none.
_ATTRIBUTES = (
    r"""(?:[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\s>"'][^\s>]*+)?+)?+)*+[\s/]*+"""
)
# Groups: name and attributes of an element whose content is raw (13.2.5.2 to 13.2.5.4) and goes
# with it.
# A tag without quotes ends at the next `>`, which is the quick way and the common one.
_TOKEN = re.compile(
    rf"""<(?:(?i:(script|style|title|noembed|noframes)(?=[\s/>])({_ATTRIBUTES})(?:>|\Z)"""
    r""".*?(?:</\1(?=[\s/>])[^>]*+(?:>|\Z)|\Z))"""
    rf"""|(/?)([a-zA-Z][^\s/>]*+)([^>"']*+(?=>)|{_ATTRIBUTES})(?:>|\Z)"""
    r"""|!--(?:-?>|.*?(?:--!?>|\Z))|[!?/][^>]*+(?:>|\Z))""",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"""[\s/]*+([^\s/>][^\s/>=]*+)(?:\s*+=\s*+(?:"([^"]*+)(?:"|\Z)|'([^']*+)(?:'|\Z)|([^\s>"'][^\s>]*+))?+)?+"""
)

_VOID = frozenset(
    "area base br col embed hr img input link meta param source track wbr basefont bgsound frame keygen".split()  # noqa: SIM905
)
_BLOCKS = frozenset(
    "address article aside blockquote body br center dd div dl dt fieldset footer form h1 h2 h3 h4 h5 h6 header hr html li"  # noqa: E501, SIM905
    " main nav ol option p pre section table tbody td tfoot th thead tr ul".split()
)
# Open elements that the next of their own kind in the same table closes, its end tag being optional (WHATWG 13.1.2.4).
_SELF_CLOSING = frozenset({"td", "th", "tr", "li", "dd", "dt", "option", "p"})

# What closes an open paragraph.
_CLOSING_P = _BLOCKS - {"body", "br", "html", "option", "tbody", "td", "tfoot", "th", "thead", "tr", "p"}

_NO_ATTRIBUTES: dict[str, str] = {}

# Which attribute of which element carries a URL, and where the reader meets it.
_URL_ATTRIBUTES = {"href": "href", "src": "src", "background": "src", "action": "form", "formaction": "form"}
_WITH_URL = re.compile(r"href|src|action|background|content", re.IGNORECASE)
_TELLING = re.compile(r"href|src|action|background|content|style|hidden|color|text", re.IGNORECASE)

_HIDING = re.compile(
    r"(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|opacity\s*:\s*0?\.?0+\s*(?:[;!]|$)"
    r"|font-size\s*:\s*(?:0*(?:\.0+)?(?<=0)|(?:1(?:\.0+)?|0?\.\d+)(?=\s*p[xt]))\s*(?:px|pt|em|rem|%|[;!]|$))"
)
_FOREGROUND = re.compile(r"(?:^|[;\s])color\s*:\s*([^;!]{1,64})")
_GROUND = re.compile(r"(?:^|[;\s])background(?:-color)?\s*:\s*(rgba?\([^)]{1,64}\)|[^;!\s]{1,64})")
_REFRESH = re.compile(r"url\s*=\s*['\"]?([^'\"\s]+)", re.IGNORECASE)


class _Open(NamedTuple):
    name: str
    tables: int
    hidden: bool
    foreground: str | None
    ground: str | None


_ROOT = _Open("", 0, hidden=False, foreground=None, ground=None)


class _Scope:
    """The styled elements that are open, and what they make of the text inside them."""

    def __init__(self) -> None:
        self.hidden = False
        self._open: list[_Open] = []
        self._same: list[int] = []  # for each: elements of its name opened inside it and not closed yet
        self._places: dict[str, list[int]] = {}
        self._tables = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Open an element; only one that has a style of its own is kept."""
        if name == "table":
            self._tables += 1
        if name in _CLOSING_P and self._open and self._open[-1].name == "p":
            self._close_from(len(self._open) - 1)
        places = self._places.get(name)
        if places and name in _SELF_CLOSING and self._open[places[-1]].tables == self._tables:
            self._close_from(places[-1])
            places = self._places.get(name)
        if attributes and len(self._open) < _MAX_STYLED_DEPTH and self._style(name, attributes):
            return
        if places:
            self._same[places[-1]] += 1

    def _style(self, name: str, attributes: dict[str, str]) -> bool:
        outer = self._open[-1] if self._open else _ROOT
        hidden, foreground, ground = _style_of(attributes)
        foreground, ground = foreground or outer.foreground, ground or outer.ground
        if not hidden and foreground == outer.foreground and ground == outer.ground:
            return False
        self._places.setdefault(name, []).append(len(self._open))
        self._open.append(_Open(name, self._tables, hidden or outer.hidden, foreground, ground))
        self._same.append(0)
        self._look()
        return True

    def end(self, name: str) -> None:
        """Close the innermost styled element of this name, with all that is open inside it."""
        if name == "table":
            self._end_table()
            return
        places = self._places.get(name)
        if not places:
            return
        place = places[-1]
        if self._same[place]:
            self._same[place] -= 1
        else:
            self._close_from(place)

    def _end_table(self) -> None:
        # A table closes all that is open inside it, whether that has an end tag or not.
        self._tables = max(0, self._tables - 1)
        place = len(self._open)
        while place and self._open[place - 1].tables > self._tables:
            place -= 1
        if place < len(self._open):
            self._close_from(place)

    def _close_from(self, place: int) -> None:
        while len(self._open) > place:
            self._same.pop()
            self._places[self._open.pop().name].pop()
        self._look()

    def _look(self) -> None:
        inner = self._open[-1] if self._open else _ROOT
        self.hidden = inner.hidden or (inner.foreground is not None and inner.foreground == inner.ground)


# What a text must hold (in lower case) for any of it to be hidden by other means than one colour for letter and ground.
# One expression a word, each beginning with a literal that `re` can search for, run only where the word is there at
# all.
_MAY_HIDE = (
    ("hidden", re.compile("hidden")),
    ("display", re.compile(r"display\s*:\s*none")),
    ("mso-hide", re.compile("mso-hide")),
    ("opacity", re.compile("opacity")),
    ("font-size", re.compile(r"font-size\s*:\s*(?:[01](?!\d)|0|\.)")),
    ("&#", re.compile(r"style\s*=\s*[^>]{0,256}&")),
)
# The look-behinds stand behind the literal, so that `re` can search for the literal.
_GROUNDS = tuple(
    re.compile(rf"{word}\s*[=:]\s*[\"']?\s*(#?\w+)") for word in ("bgcolor", "background", "background-color")
)
_LETTERS = tuple(
    re.compile(rf"{word}\s*[=:]\s*[\"']?\s*(#?\w+)")
    for word in ("color(?<!bgcolor)(?<!-color)", "text(?<=[\\s\"']text)")
)


def _may_hide(html: str) -> bool:
    """Tell whether the tags' styles must be followed at all: most mail hides nothing and can be read faster."""
    lower = html.lower()
    if any(word in lower and hiding.search(lower) for word, hiding in _MAY_HIDE):
        return True
    grounds = {colour for pattern in _GROUNDS for colour in pattern.findall(lower)}
    if not grounds:
        return False
    letters = {colour for pattern in _LETTERS for colour in pattern.findall(lower)}
    if any(colour.startswith(("rgb", "&")) for colour in grounds | letters):
        return True
    return not {colour_of(colour) for colour in grounds}.isdisjoint({colour_of(colour) for colour in letters} - {None})


class _Urls:
    """The URLs that tags carry, as (raw, seen_in)."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self._base = ""

    def take(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.found) >= MAX_URLS:
            return
        for attribute, value in attributes.items():
            seen_in = _URL_ATTRIBUTES.get(attribute)
            if seen_in and value:
                self.found.append((self._absolute(value.strip())[:MAX_URL_CHARACTERS], seen_in))
                if name == "base":
                    self._base = value.strip()[:MAX_URL_CHARACTERS]
        if name == "meta":
            refresh = _REFRESH.search(attributes.get("content", ""))
            if refresh:
                self.found.append((refresh[1][:MAX_URL_CHARACTERS], "href"))

    def _absolute(self, value: str) -> str:
        if not self._base or ":" in value[:12] or value.startswith(("//", "www.", "#", "?")):
            return value
        return f"{self._base.rstrip('/')}/{value.lstrip('/')}"


class _Names(dict[str, tuple[str, bool]]):
    """Element names as written, each with its lower-case form and whether it begins a block; bounded."""

    def __missing__(self, written: str) -> tuple[str, bool]:
        name = written[:_MAX_NAME_CHARACTERS].lower()
        known = (name, name in _BLOCKS)
        if len(self) < _MAX_NAMES:
            self[written] = known
        return known


_NAMES = _Names()


def _read_plainly(tokens: list[str | None], urls: _Urls) -> list[str]:
    """Return the pieces of text of a part that hides nothing; `tokens` as `_TOKEN.split` gives them."""
    pieces = [tokens[0] or ""]
    rest = iter(tokens[1:])
    for _, raw, slash, written, attributes, text in zip(rest, rest, rest, rest, rest, rest, strict=True):
        if written is not None:
            name, block = _NAMES[written]
            if block:
                pieces.append("\0")
            if attributes and not slash and _WITH_URL.search(attributes, 0, _MAX_ATTRIBUTES_CHARACTERS):
                urls.take(name, _attributes_of(attributes))
        elif raw:
            urls.take("script", _attributes_of(raw))
        pieces.append(text or "")
    return pieces


def _read_styled(tokens: list[str | None], urls: _Urls) -> tuple[list[str], bool]:
    """Return the pieces of text that are seen, and whether any was not; the clear twin of `_read_plainly`."""
    scope, pieces, hid = _Scope(), [tokens[0] or ""], False
    rest = iter(tokens[1:])
    for _, raw, slash, written, attributes, text in zip(rest, rest, rest, rest, rest, rest, strict=True):
        if written is not None:
            name, block = _NAMES[written]
            if block:
                pieces.append("\0")
            if slash:
                scope.end(name)
            else:
                told = _NO_ATTRIBUTES
                if attributes and _TELLING.search(attributes, 0, _MAX_ATTRIBUTES_CHARACTERS):
                    told = _attributes_of(attributes)
                    urls.take(name, told)
                if name not in _VOID:
                    scope.start(name, told)
        elif raw:
            urls.take("script", _attributes_of(raw))
        if not text:
            continue
        if not scope.hidden:
            pieces.append(text)
        elif not hid and not text.isspace():
            hid = True
    return pieces, hid


def visible_text(html: str) -> HtmlReading:
    """Return the visible text, the URLs and the defects of an HTML part; any text in, linear, never raises."""
    html = html.replace("\0", "")
    urls = _Urls()
    tokens: list[str | None] = _TOKEN.split(html)
    pieces, hid = _read_styled(tokens, urls) if _may_hide(html) else (_read_plainly(tokens, urls), False)
    defects = [Defect("hidden text", "html")] if hid else []
    if len(urls.found) >= MAX_URLS:
        defects.append(Defect("too many urls", "html"))
    return HtmlReading(_laid_out("".join(pieces)), tuple(urls.found[:MAX_URLS]), tuple(defects))


# Characters that show nothing (soft hyphen, zero-width space, word joiner, byte order mark) and split spam's words.
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]+")
# html.unescape raises where int() meets over 4,300 digits; no code point has more than 7 of them behind the zeros.
_LONG_REFERENCE = re.compile(r"&#(?:x[0-9a-f]{32,}|[0-9]{32,})", re.IGNORECASE)


def _laid_out(text: str) -> str:
    text = _unescaped(text)
    if not text.isascii():
        text = _INVISIBLE.sub("", text)
    lines = (" ".join(line.split()) for line in text.split("\0"))
    return "\n".join(line for line in lines if line)


def _unescaped(text: str) -> str:
    if "&" not in text:
        return text
    return _entities.unescape(_LONG_REFERENCE.sub("\ufffd", text))


def _attributes_of(written: str) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(written, 0, _MAX_ATTRIBUTES_CHARACTERS):
        name = match[1].lower()
        if name not in attributes:  # the first of a name counts (WHATWG 13.2.5.33)
            attributes[name] = _unescaped(match[2] or match[3] or match[4] or "")
    return attributes


def _style_of(attributes: dict[str, str]) -> tuple[bool, str | None, str | None]:
    """Return whether the element hides its content, and the foreground and ground it tells."""
    style = attributes.get("style", "").lower()
    foreground = attributes.get("color") or attributes.get("text")
    ground = attributes.get("bgcolor")
    if not style:
        return "hidden" in attributes, colour_of(foreground), colour_of(ground)
    told = _FOREGROUND.search(style)
    told_ground = _GROUND.search(style)
    return (
        "hidden" in attributes or _HIDING.search(style) is not None,
        colour_of(told[1] if told else foreground),
        colour_of(told_ground[1] if told_ground else ground),
    )

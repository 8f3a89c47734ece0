"""What a reader of an HTML part sees, and the web addresses it carries.

Why no tree
-----------
A tree builder follows the adoption agency and foster parenting of the HTML standard, which copy nodes: 40 kB of
`<b 0><b 1>...x</b>x</b>` cost lexbor 4.6 s and 1.3 GB, and a guard in front of it must read tags just as lexbor does,
or a quote in the wrong place hides the rest from the guard.  Such a guard is a whole tokenizer already.  So there is
only the tokenizer (`tags`), and beside it the one thing that visibility needs of a tree (`visibility`).

What hides text: `style`, `script`, `title` and their like; comments; `hidden`; `display:none`, `visibility:hidden`,
`mso-hide:all`, `opacity:0`, a font of at most a pixel; text in the colour that inline style or `bgcolor` told for its
ground.  Style sheets are not applied: what only a class hides counts as visible.
"""

from typing import NamedTuple

from whimbrel.messages.tags import BLOCK, MAX_URL_CHARACTERS, Tag, split_tags, unescaped
from whimbrel.messages.visibility import Scope, may_hide
from whimbrel.model.facts import Defect

# The most in one real part of the SpamAssassin and phishing mail is 498.
MAX_URLS = 2_000


class HtmlReading(NamedTuple):
    """The visible text (blocks on lines of their own), the URLs as (raw, seen_in), and what was odd."""

    text: str
    urls: tuple[tuple[str, str], ...]
    defects: tuple[Defect, ...]


def visible_text(html: str) -> HtmlReading:
    """Return the visible text, the URLs and the defects of an HTML part; any text in, linear, never raises."""
    texts, tags = split_tags(html.replace(BLOCK, ""))
    distinct = set(tags)
    text, hid = _read_styled(texts, tags) if may_hide(distinct) else (_read_plainly(texts, tags), False)
    urls = _urls(tags) if any(tag.links for tag in distinct) else []
    defects = [Defect("hidden text", "html")] if hid else []
    if len(urls) >= MAX_URLS:
        defects.append(Defect("too many urls", "html"))
    return HtmlReading(_laid_out(text), tuple(urls[:MAX_URLS]), tuple(defects))


def _read_plainly(texts: list[str], tags: list[Tag]) -> str:
    """Return the text of a part that hides nothing, with a mark where a block begins or ends."""
    pieces = [""] * (len(texts) + len(tags))
    pieces[::2] = texts
    pieces[1::2] = [tag.mark for tag in tags]
    return "".join(pieces)


def _read_styled(texts: list[str], tags: list[Tag]) -> tuple[str, bool]:
    """Return the text that is seen, and whether any was not; the clear twin of `_read_plainly`."""
    scope, pieces, hid = Scope(), [texts[0]], False
    for tag, text in zip(tags, texts[1:], strict=True):
        if tag.mark:
            pieces.append(tag.mark)
        if tag.opens or tag.closes:
            scope.take(tag)
        if not text:
            continue
        if not scope.hidden:
            pieces.append(text)
        elif not hid and not text.isspace():
            hid = True
    return "".join(pieces), hid


def _urls(tags: list[Tag]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    base = ""
    for tag in tags:
        if not tag.links:
            continue
        for raw, seen_in in tag.links:
            found.append((_absolute(raw, base) if base else raw, seen_in))
            if tag.name == "base":
                base = raw
        if len(found) >= MAX_URLS:
            break
    return found


def _absolute(raw: str, base: str) -> str:
    if ":" in raw[:12] or raw.startswith(("//", "www.", "#", "?")):
        return raw
    return f"{base.rstrip('/')}/{raw.lstrip('/')}"[:MAX_URL_CHARACTERS]


# Characters that show nothing (soft hyphen, zero-width space, word joiner, byte order mark) and split spam's words.
_INVISIBLE = "\u00ad\u200b\u2060\ufeff"


def _laid_out(text: str) -> str:
    text = unescaped(text)
    if not text.isascii():
        for character in _INVISIBLE:
            text = text.replace(character, "")
    # All blanks at once, and then the lines, of which most are empty.
    lines = map(str.strip, " ".join(text.split()).split(BLOCK))
    return "\n".join(filter(None, lines))

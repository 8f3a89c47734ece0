"""What a reader of an HTML part sees, and the web addresses it carries."""

import html as _entities
import re
from typing import NamedTuple

from whimbrel.model.facts import Defect


class HtmlReading(NamedTuple):
    """The visible text, the URLs as (raw, seen_in), and what was odd."""

    text: str
    urls: tuple[tuple[str, str], ...]
    defects: tuple[Defect, ...]


_DROPPED = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style|title)\b.*?(?:</\1|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[/!?a-z][^>]*(?:>|\Z)", re.IGNORECASE)
_URL = re.compile(r"""\b(href|src|action)\s*=\s*["']?([^"'>\s]{1,2048})""", re.IGNORECASE)
_SEEN_IN = {"href": "href", "src": "src", "action": "form"}


def visible_text(html: str) -> HtmlReading:
    """Return the visible text, URLs and defects of an HTML part; never raises."""
    shown = _DROPPED.sub(" ", html)
    urls = tuple((match[2], _SEEN_IN[match[1].lower()]) for match in _URL.finditer(shown))
    return HtmlReading(_entities.unescape(_TAG.sub(" ", shown)), urls, ())

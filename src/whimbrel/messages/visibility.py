"""The one thing that visibility needs of a tree: which styled elements are open, and what they hide."""

from typing import NamedTuple

from whimbrel.messages.tags import BLOCKS, Style, Tag

# Deepest nesting of styled elements in the SpamAssassin and phishing mail: 28.  Beyond the bound they inherit, and are
# no longer told apart.
_MAX_STYLED_DEPTH = 1_000

# Open elements that the next of their own kind in the same table closes, its end tag being optional (WHATWG 13.1.2.4).
_SELF_CLOSING = frozenset({"td", "th", "tr", "li", "dd", "dt", "option", "p"})

# What closes an open paragraph.
_CLOSING_P = BLOCKS - {"body", "br", "html", "option", "tbody", "td", "tfoot", "th", "thead", "tr", "p"}


class _Open(NamedTuple):
    name: str
    tables: int
    hidden: bool
    foreground: str | None
    ground: str | None


_ROOT = _Open("", 0, hidden=False, foreground=None, ground=None)


class Scope:
    """The styled elements that are open, and what they make of the text inside them."""

    def __init__(self) -> None:
        self.hidden = False
        self._open: list[_Open] = []
        self._same: list[int] = []  # for each: elements of its name opened inside it and not closed yet
        self._places: dict[str, list[int]] = {}
        self._tables = 0

    def take(self, tag: Tag) -> None:
        """Open or close what the tag opens or closes."""
        name = tag.name
        if name == "table":
            if tag.closes:
                self._end_table()
                return
            self._tables += tag.opens
        if tag.opens:
            # Most elements tell no style and stand in none of their name: nothing to do.
            if tag.style is not None or name in self._places or (name in _CLOSING_P and "p" in self._places):
                self._start(name, tag.style)
        elif tag.closes and name in self._places:
            self._end(name)

    def _start(self, name: str, style: Style | None) -> None:
        """Open an element; only one that has a style of its own is kept."""
        if name in _CLOSING_P and self._open and self._open[-1].name == "p":
            self._close_from(len(self._open) - 1)
        places = self._places.get(name)
        if places and name in _SELF_CLOSING and self._open[places[-1]].tables == self._tables:
            self._close_from(places[-1])
            places = self._places.get(name)
        if style is not None and len(self._open) < _MAX_STYLED_DEPTH and self._opened(name, style):
            return
        if places:
            self._same[places[-1]] += 1

    def _opened(self, name: str, style: Style) -> bool:
        outer = self._open[-1] if self._open else _ROOT
        foreground, ground = style.foreground or outer.foreground, style.ground or outer.ground
        if not style.hidden and foreground == outer.foreground and ground == outer.ground:
            return False
        self._places.setdefault(name, []).append(len(self._open))
        self._open.append(_Open(name, self._tables, style.hidden or outer.hidden, foreground, ground))
        self._same.append(0)
        self._look()
        return True

    def _end(self, name: str) -> None:
        """Close the innermost styled element of this name, with all that is open inside it."""
        place = self._places[name][-1]
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
            name = self._open.pop().name
            places = self._places[name]
            places.pop()
            if not places:
                del self._places[name]
        self._look()

    def _look(self) -> None:
        inner = self._open[-1] if self._open else _ROOT
        self.hidden = inner.hidden or (inner.foreground is not None and inner.foreground == inner.ground)


def may_hide(tags: set[Tag]) -> bool:
    """Tell whether anything can be hidden at all under these tags: by a style, or by one colour for letter and ground.

    Most mail hides nothing, and is read without a look at what is open.
    """
    styles = [tag.style for tag in tags if tag.style is not None]
    if any(style.hidden for style in styles):
        return True
    grounds = {style.ground for style in styles} - {None}
    return not grounds.isdisjoint({style.foreground for style in styles})

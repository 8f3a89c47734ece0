"""Colours as HTML and CSS write them, as far as it takes to tell whether two are the same."""

import re
from functools import lru_cache

# The names that mail uses for white and black on the one hand, and the sixteen of HTML 4.01, section 6.5.
_NAMED = {
    "black": "000000",
    "silver": "c0c0c0",
    "gray": "808080",
    "grey": "808080",
    "white": "ffffff",
    "maroon": "800000",
    "red": "ff0000",
    "purple": "800080",
    "fuchsia": "ff00ff",
    "green": "008000",
    "lime": "00ff00",
    "olive": "808000",
    "yellow": "ffff00",
    "navy": "000080",
    "blue": "0000ff",
    "teal": "008080",
    "aqua": "00ffff",
}
_LONG = re.compile(r"#?([0-9a-f]{6})\Z")
_SHORT = re.compile(r"#([0-9a-f])([0-9a-f])([0-9a-f])\Z")
_RGB = re.compile(r"rgba?\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})")

# Two bits of a channel are not seen: #fffffe on white is white.
_SEEN_BITS = 0xFC

# A mail uses a handful of colours, the same ones as every other mail.
_CACHED_COLOURS = 4_096


@lru_cache(maxsize=_CACHED_COLOURS)
def colour_of(written: str | None) -> str | None:
    """Return a colour as six hex digits, near ones made equal, or None where it is none that we know."""
    if not written or len(written) > 64:
        return None
    text = written.strip().lower()
    text = _NAMED.get(text, text)
    if match := _LONG.match(text):
        channels = [int(match[1][at : at + 2], 16) for at in (0, 2, 4)]
    elif match := _SHORT.match(text):
        channels = [int(digit * 2, 16) for digit in match.groups()]
    elif match := _RGB.match(text):
        channels = [min(255, int(channel)) for channel in match.groups()]
    else:
        return None
    return "".join(f"{channel & _SEEN_BITS:02x}" for channel in channels)

"""The dominant Unicode script of a text: a cheap hint at its language.

Letters are counted by the block their code point lies in, over a bounded sample; digits, marks and punctuation are
common to all scripts and do not count.
"""

import re
from collections import Counter

# A hundred letters settle the script; mail that switches does so by paragraphs, so the sample is spread by thirds.
_SAMPLE_CHARACTERS = 1_536

# Below this share no script dominates.  60 %: Japanese is about half Kana, half Han, and is told by its Kana below.
_DOMINANT_SHARE = 0.6

# Japanese text holds at least a fifth of Kana; Chinese none.
_KANA_SHARE = 0.1

# Unicode 15 block ranges, letters only as far as blocks tell.
_RANGES: tuple[tuple[str, str], ...] = (
    ("Greek", "\u0370-\u03ff\u1f00-\u1fff"),
    ("Cyrillic", "\u0400-\u052f\u1c80-\u1c8f\u2de0-\u2dff\ua640-\ua69f"),
    ("Armenian", "\u0530-\u058f"),
    ("Hebrew", "\u0590-\u05ff\ufb1d-\ufb4f"),
    ("Arabic", "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc"),
    ("Devanagari", "\u0900-\u097f\ua8e0-\ua8ff"),
    ("Bengali", "\u0980-\u09ff"),
    ("Tamil", "\u0b80-\u0bff"),
    ("Telugu", "\u0c00-\u0c7f"),
    ("Thai", "\u0e00-\u0e7f"),
    ("Georgian", "\u10a0-\u10ff\u1c90-\u1cbf\u2d00-\u2d2f"),
    ("Hangul", "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"),
    ("Kana", "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"),
    ("Han", "\u2e80-\u2fdf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"),
    ("Latin", "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a"),
)
_LETTERS = tuple((name, re.compile(f"[{ranges}]+")) for name, ranges in _RANGES)
_LATIN = re.compile(r"[A-Za-z]")
_ASCII = re.compile(r"[\x00-\x7f]+")
_ASCII_NOT_LETTERS = bytes(octet for octet in range(128) if not chr(octet).isalpha())


def script_of(text: str) -> str:
    """Return the script most letters of the text belong to, `mixed` where none dominates, `none` without letters."""
    sample = _sample(text)
    if sample.isascii():
        return "Latin" if _LATIN.search(sample) else "none"
    # Most mail that is not ASCII nearly is: the ASCII letters are counted at once, the expressions see the others.
    latin = len(sample.encode("ascii", "ignore").translate(None, _ASCII_NOT_LETTERS))
    counts: Counter[str] = Counter({"Latin": latin} if latin else {})
    others = _ASCII.sub("", sample)
    for name, letters in _LETTERS:
        found = sum(map(len, letters.findall(others)))
        if found:
            counts[name] += found
    return _dominant(counts)


def _dominant(counts: Counter[str]) -> str:
    total = counts.total()
    if not total:
        return "none"
    if counts["Kana"] >= _KANA_SHARE * total and counts["Kana"] + counts["Han"] >= _DOMINANT_SHARE * total:
        return "Kana"
    name, most = counts.most_common(1)[0]
    return name if most >= _DOMINANT_SHARE * total else "mixed"


def _sample(text: str) -> str:
    if len(text) <= _SAMPLE_CHARACTERS:
        return text
    third = _SAMPLE_CHARACTERS // 3
    middle = len(text) // 2
    return text[:third] + text[middle : middle + third] + text[-third:]

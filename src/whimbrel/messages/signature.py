"""A near-duplicate sketch whose parts are compared by equality alone.

The analysis puts two messages into one campaign where they share a key, and verifies nothing: so a key must be right by
itself.  Each key is one band of a MinHash (Broder 1997; banding: Leskovec, Rajaraman, Ullman, section 3.4): five
minima over the set of the text's content words.  Sets of Jaccard similarity s share a band with probability s^5, and
one of eight with 1 - (1 - s^5)^8: 0.96 at s = 0.8, 0.87 at 0.74 (15 % of words changed), 0.02 at 0.3, and 3e-6 at
0.05.

Why words, and not shingles of several: a changed word breaks every shingle it is in, so shingles need short bands for
the same recall, and then a few shared phrases make a key.  What makes single words unsafe is that all long texts
share the common ones; so those (and all of three letters) do not count.  Nor does what differs between copies:
numbers, URLs, e-mail addresses, letters in no order a mouth could say, case, punctuation.  What follows a signature
mark or a mailing list's ruler is the footer of the list, not the text.

Measured on the SpamAssassin and phishing mail (8,931 texts).  Recall: share of spam and phishing texts with a key in
common with a copy in which that part of all words was replaced by random other words.  Ham: pairs with a key in
common, and how many of them share less than 0.2 (0.3) of their raw words.  Mixed: clusters of all keys holding both
ham and spam.

| words   | bands | rows | stop words | 5 %  | 10 % | 15 % | 20 % | 30 % | ham pairs | < 0.2 | < 0.3 | mixed |
|---------|-------|------|------------|------|------|------|------|------|-----------|-------|-------|-------|
| 3       | 8     | 2    | no         | 0.98 | 0.91 | 0.76 | 0.57 | 0.25 | 3,453     | 45    | 243   | 4     |
| 2       | 8     | 3    | no         | 0.97 | 0.92 | 0.71 | 0.54 | 0.22 | 3,015     | 25    | 106   | 7     |
| 1       | 8     | 4    | no         | 0.99 | 0.97 | 0.92 | 0.78 | 0.50 | 2,794     | 255   | 376   | 37    |
| 1       | 8     | 5    | no         | 0.98 | 0.95 | 0.80 | 0.72 | 0.36 | 1,901     | 12    | 29    | 4     |
| 1       | 8     | 6    | no         | 0.97 | 0.88 | 0.71 | 0.58 | 0.23 | 1,474     | 0     | 5     | 2     |
| 1       | 8     | 4    | yes        | 0.96 | 0.94 | 0.87 | 0.80 | 0.53 | 1,573     | 18    | 37    | 3     |
| **1** | **8** | **5** | **yes**  | 0.96 | 0.88 | 0.86 | 0.67 | 0.36 | 974       | 1     | 6     | 1     |

The last row is this module, at 15 or more distinct words; the rows above it counted repeated ones.  The pairs left
below 0.3 are issues of one newsletter in one frame, and one mail quoting another.  A copy need not match every other
copy: in a campaign of many, keys of the template itself survive, and clusters join through them.

Texts without blanks between words (Han, Kana, Thai and their like) count pairs of neighbouring characters as words.
The values must never change: they are stored.  A golden test pins them.
"""

import re
from itertools import pairwise

import numpy as np
import xxhash

BANDS = 8
_ROWS = 5

# With fewer distinct content words a key says little: at 15, one word in common is worth 0.03 of similarity.
_MIN_WORDS = 15

# Words looked at: 96 % of the texts measured have no more.  Later ones do not change what campaign a text is of.
_MAX_WORDS = 1_024

# A slice that holds them in common text, so that the work is bounded whatever the length of a token.
_MAX_CHARACTERS = 32 * _MAX_WORDS

# English words of three letters or fewer are articles, pronouns, auxiliaries; longer tokens than 30 are no words.
_MIN_LETTERS = 4
_MAX_LETTERS = 30

# A corpus has some 10,000 words that matter; 64 Ki tokens of at most 30 characters stay under 10 MB.
_CACHED_TOKENS = 65_536

_FOOTER = re.compile(r"\n-- ?\r?\n|\n[_-]{10}")
_EDGE = ".,;:!?\"'()[]{}<>*_-=#~|$%&+\u2018\u2019\u201c\u201d\xa0"
_PERSONAL = re.compile(r"[@\d/\\]")
_LETTERS = re.compile(r"[a-z]+(?:-[a-z]+)*")
_SAYABLE = re.compile(r"(?!.*[bcdfghjklmnpqrstvwxz]{6}).*[aeiouy]")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")

# The most common English words of four letters or more, and three that every mail has; apostrophes left out.
_STOP_WORDS = frozenset(
    """about above after again against also although always among another anything around back because been before being
    below best better between both call came cannot come could days didnt does doesnt doing done dont down each either
    else even ever every find first free from full further gave gets getting give goes going gone good have having help
    here high home into isnt just keep know last least left less life like line list little long look made mail make
    makes many maybe mean might more most much must name need never next none nothing number often once only onto other
    others over people please point right said same says seem seen sent several should show since site some someone
    something soon still such sure take tell than that thats their them then there these they thing things think this
    those though three through time times today together told took tried true under until upon used user using very want
    wants week well went were werent what when where whether which while whom whose will with within without wont work
    working works would wouldnt write wrote year years your yours youre email message information""".split()  # noqa: SIM905
)

_HASH = np.dtype("<u8")


def _multipliers() -> "np.ndarray[tuple[int, int], np.dtype[np.uint64]]":
    drawn = [xxhash.xxh3_64_intdigest(b"whimbrel signature %d" % index) | 1 for index in range(BANDS * _ROWS)]
    return np.array(drawn, dtype=_HASH)[:, None]


_MULTIPLIERS = _multipliers()


class _Words(dict[str, int]):
    """The hash of each token's word, 0 where it does not count; filled as tokens are met, emptied when full."""

    def __missing__(self, token: str) -> int:
        if len(self) >= _CACHED_TOKENS:
            self.clear()
        word = _word_of(token)
        hashed = xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass")) | 1 if word else 0
        if len(token) <= _MAX_LETTERS:
            self[token] = hashed
        return hashed


_WORDS = _Words()


def signature(text: str) -> tuple[int, ...]:
    """Return the text's `BANDS` keys of 64 bits, or an empty tuple where it has too few content words; never raises.

    Two texts sharing any one key are copies of one template (essay above); a key is of its band, so bands never mix.
    """
    tokens = _tokens(text[:_MAX_CHARACTERS])
    hashes = set(map(_WORDS.__getitem__, tokens))
    hashes.discard(0)
    if len(hashes) < _MIN_WORDS:
        return ()
    words = np.fromiter(hashes, dtype=_HASH, count=len(hashes))
    least = (words * _MULTIPLIERS).min(axis=1).tobytes()
    band_octets = _ROWS * _HASH.itemsize
    return tuple(
        xxhash.xxh3_64_intdigest(least[band * band_octets : (band + 1) * band_octets], seed=band)
        for band in range(BANDS)
    )


def _tokens(text: str) -> list[str]:
    footer = _FOOTER.search(text)
    if footer:
        text = text[: footer.start()]
    is_ascii = text.isascii()
    # In lower case fewer tokens differ; letters outside ASCII have cases that go by their neighbours.
    tokens = (text.lower() if is_ascii else text).split(None, _MAX_WORDS)[:_MAX_WORDS]
    if not is_ascii:
        unspaced = _UNSPACED.findall(text)[:_MAX_WORDS]
        tokens += [f"{first}{second}" for first, second in pairwise(unspaced)]
    return tokens


def _word_of(token: str) -> str:
    """Return the token's word in normal form, or nothing where it has none that counts."""
    if len(token) > _MAX_LETTERS:
        return ""
    word = token.strip(_EDGE).lower()
    if not word.isalpha():  # seven of ten new tokens need no look at what else they hold
        word = word.replace("'", "").replace("\u2019", "")
        if not _LETTERS.fullmatch(word) if word.isascii() else _PERSONAL.search(word):
            return ""
    if not word.isascii():
        return word if len(word) == 2 or not _UNSPACED.search(word) else ""
    return word if len(word) >= _MIN_LETTERS and word not in _STOP_WORDS and _SAYABLE.match(word) else ""

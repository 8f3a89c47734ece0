"""What the TXT record of a listed address says: what it is, until when, and how to ask why.

`{address}` and `{until}` are filled in by the name server as it answers.
"""

from collections.abc import Mapping

from whimbrel.model.listing import MEANING, Code

TEST_TEXT = "{address} is a test entry that is always listed (RFC 5782); nobody is accused"

TEXTS: Mapping[Code, str] = {
    code: f"{{address}} is listed as {meaning} until {{until}}; for the reason run: whimbrel why {{address}}"
    for code, meaning in MEANING.items()
}

# A demo's list is cut from old mail: whoever meets it must not take it for today's.
DEMO_TEXTS: Mapping[Code, str] = {
    code: f"demo (made from old mail, not for use): {text}" for code, text in TEXTS.items()
}

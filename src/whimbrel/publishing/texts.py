"""What the TXT record of a listed address says: what it is, until when, and how to ask why.

`{address}` or `{name}`, and `{until}`, are filled in by the name server as it answers.
"""

from collections.abc import Mapping

from whimbrel.model.listing import FURTHER_MEANING, MEANING, Code, FurtherCode
from whimbrel.wire.snapshot.layout import NAME_CODES

TEST_TEXT = "{address} is a test entry that is always listed (RFC 5782); nobody is accused"
NAME_TEST_TEXT = "{name} is a test entry that is always listed (RFC 5782); nobody is accused"

TEXTS: Mapping[Code, str] = {
    code: f"{{address}} is listed as {meaning} until {{until}}; for the reason run: whimbrel why {{address}}"
    for code, meaning in MEANING.items()
}

# `whimbrel why` knows addresses only.
FURTHER_TEXTS: Mapping[FurtherCode, str] = {
    code: f"{'{address}' if code < NAME_CODES else '{name}'} is listed as {meaning} until {{until}}"
    for code, meaning in FURTHER_MEANING.items()
}

# A demo's list is cut from old mail: whoever meets it must not take it for today's.
_DEMO = "demo (made from old mail, not for use): "
DEMO_TEXTS: Mapping[Code, str] = {code: f"{_DEMO}{text}" for code, text in TEXTS.items()}
DEMO_FURTHER_TEXTS: Mapping[FurtherCode, str] = {code: f"{_DEMO}{text}" for code, text in FURTHER_TEXTS.items()}

"""Facts: what a message says, computed from its bytes alone, and what is wrong with it.

`Facts` is complete and short-lived: it holds text.  What is kept of it as evidence is a `Reading` (`model.reading`).
"""

from typing import Literal

import msgspec

# What each means: `messages.defects.KINDS`.  A type, so that nothing can report a kind that is not published.
DefectKind = Literal[
    "empty",
    "nul byte",
    "bare cr",
    "cr line ends",
    "byte order mark",
    "long line",
    "no headers",
    "no blank line",
    "first line continues",
    "empty header name",
    "blank before colon",
    "misplaced envelope",
    "header 8bit",
    "repeated header",
    "long header",
    "too many headers",
    "bad content type",
    "too many parameters",
    "no boundary",
    "boundary not found",
    "repeated boundary",
    "unclosed multipart",
    "too deep",
    "too many parts",
    "unknown encoding",
    "multipart encoded",
    "bad base64",
    "bad uuencode",
    "unknown charset",
    "wrong charset",
    "bad encoded word",
    "hidden text",
    "too many urls",
    "archive bomb",
    "archive path trick",
    "archive damaged",
    "archive without directory",
    "archive with too many members",
    "archive encrypted",
    "archive overlapping",
    "long file name",
    "double extension",
    "turned file name",
    "type mismatch",
    "runnable in archive",
    "long text",
    "abandoned",
]


class Header(msgspec.Struct, frozen=True, array_like=True):
    """One header field: the name as written (its case is evidence), the raw value, unfolded bytes not decoded."""

    name: str
    value: bytes


class Defect(msgspec.Struct, frozen=True, array_like=True):
    """Something wrong with the message: a kind from the published list and where, never an exception."""

    kind: DefectKind
    where: str = ""


class Part(msgspec.Struct, frozen=True, array_like=True):
    """One node of the MIME tree, in pre-order; `parent` is an index into the same tuple (-1: the root)."""

    parent: int
    content_type: str
    charset: str
    encoding: str
    disposition: str
    filename: str
    size_bytes: int


class Url(msgspec.Struct, frozen=True, array_like=True):
    """A web address in a message.

    `raw` is as written, cut to its bound; `host` lower case, in IDNA form; `domain` the registered domain by the
    public suffix list, or the address itself; `seen_in` one of `text`, `href`, `src`, `form`.
    """

    raw: str
    host: str
    domain: str
    seen_in: str


class Attachment(msgspec.Struct, frozen=True, array_like=True):
    """A file in a message: its type by content, not by what it claims; `members` of an archive, not unpacked."""

    filename: str
    declared_type: str
    detected_type: str
    size_bytes: int
    sha256: str
    members: tuple[str, ...] = ()


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything `messages.read_message` finds in one message."""

    size_bytes: int
    content_sha256: bytes
    headers: tuple[Header, ...]
    parts: tuple[Part, ...]
    subject: str
    text: str
    urls: tuple[Url, ...]
    attachments: tuple[Attachment, ...]
    header_skeleton: str
    mime_skeleton: str
    signature: tuple[int, ...]
    script: str
    defects: tuple[Defect, ...]

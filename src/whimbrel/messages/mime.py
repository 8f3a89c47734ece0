"""Bytes into header fields and the tree of MIME parts, in one pass.

Three things make this our own and not the standard library's parser.  Order, case, blanks and breakage of headers are
evidence here, and must survive.  Any bytes must be read without an exception.  And time must grow linearly:

- Line ends are LF before we begin (`canonical.py`), so that nothing below asks about them.
- The body is searched once for lines that begin with `--`, from one to the next, whatever the nesting.  All open
  boundaries lie in one dict, so that a line costs one look-up at 1 level as at 32.  An outer boundary closes the parts
  inside it.
- A part's header block ends at an empty line or at an open boundary.  The next empty line is remembered: a thousand
  parts that have none do not each search to the end.

Grammar: RFC 5322 section 2.2 (fields), RFC 2046 section 5.1 (multiparts), RFC 2046 section 5.2 (messages in messages).
"""

import re
from functools import lru_cache
from typing import NamedTuple

from whimbrel.messages import bounds
from whimbrel.messages.parameters import ContentType, parse_content_type
from whimbrel.model.facts import Defect, DefectKind, Header

# The header fields that RFC 5322 section 3.6 and RFC 2045 let stand once.
_SINGLE = frozenset(
    b"from sender reply-to to cc bcc message-id in-reply-to references subject date mime-version content-type "
    b"content-transfer-encoding content-disposition".decode().split()
)
_FIELD_START = re.compile(rb"\n(?![ \t])")
_NAME = re.compile(rb"([!-9;-~]+)([ \t]*)\Z")
_MESSAGE_TYPES = frozenset({"message/rfc822", "message/global", "message/news"})
_DEFAULT_TYPE = ContentType("text/plain", {}, valid=True)
_DIGEST_TYPE = ContentType("message/rfc822", {}, valid=True)

# Header names seen again and again are checked and lowered once; 4,096 names of at most 64 bytes stay under 1 MB.
_CACHED_NAMES = 4_096
_CACHED_NAME_BYTES = 64


class Entity:
    """One node of the tree: the message itself (index 0) or a part; `raw[start:end]` is its body, still encoded."""

    __slots__ = ("content", "depth", "end", "fields", "has_children", "headers", "parent", "start")

    def __init__(self, parent: int, depth: int, headers: tuple[Header, ...], fields: dict[str, bytes]) -> None:
        self.parent = parent
        self.depth = depth
        self.headers = headers
        self.fields = fields
        self.content = _DEFAULT_TYPE
        self.start = 0
        self.end = -1
        self.has_children = False


def parse_headers(block: bytes, where: str, defects: list[Defect]) -> tuple[tuple[Header, ...], dict[str, bytes], int]:
    """Split a header block (without the empty line after it) into fields.

    Returns the fields in order, the first value of each by lower-case name, and how many bytes of the block were
    header: fewer than all where a line is no header field, and the body begins with that line.
    """
    headers: list[Header] = []
    fields: dict[str, bytes] = {}
    is_large = len(block) > bounds.HEADER_BYTES
    # Unfolding (RFC 5322, section 2.2.3) takes out the line end and leaves the blank.
    unfolded = block.replace(b"\n\t", b"\t").replace(b"\n ", b" ")
    lines = unfolded.split(b"\n") if block else []
    for index, line in enumerate(lines[: bounds.HEADERS] if len(lines) > bounds.HEADERS else lines):
        written_name, colon, value = line.partition(b":")
        is_short = len(written_name) <= _CACHED_NAME_BYTES
        name = _name(written_name) if is_short else _name.__wrapped__(written_name)
        if name is None or not colon:
            if _is_skipped(line, index, where, defects):
                continue
            defects.append(Defect("no blank line", where))
            return tuple(headers), fields, _offset(block, index)
        written, lower, is_blank_before_colon = name
        if is_large and len(value) > bounds.HEADER_BYTES:
            value = value[: bounds.HEADER_BYTES]
            defects.append(Defect("long header", where))
        if is_blank_before_colon:
            defects.append(Defect("blank before colon", where))
        headers.append(Header(written, value))
        if lower not in fields:
            fields[lower] = value
        elif lower in _SINGLE:
            defects.append(Defect("repeated header", lower))
    if len(lines) > bounds.HEADERS:
        defects.append(Defect("too many headers", where))
    if not block.isascii():
        defects.append(Defect("header 8bit", where))
    return tuple(headers), fields, len(block)


def _offset(block: bytes, index: int) -> int:
    """Return where the field (or what stands for one) of this index begins in a block that is still folded."""
    return sum(len(line) + 1 for line in _FIELD_START.split(block, index)[:index])


@lru_cache(maxsize=_CACHED_NAMES)
def _name(raw: bytes) -> tuple[str, str, bool] | None:
    match = _NAME.match(raw)
    if match is None:
        return None
    written = match[1].decode("ascii")
    return written, written.lower(), bool(match[2])


def _is_skipped(line: bytes, index: int, where: str, defects: list[Defect]) -> bool:
    """Report a line among headers that is none but does not end them either; False where it does end them."""
    if line.startswith(b":"):
        kind: DefectKind = "empty header name"
    elif line.startswith((b"From ", b">From ")):
        kind = "misplaced envelope"
    elif index == 0 and line[:1] in b" \t":
        kind = "first line continues"
    else:
        return False
    defects.append(Defect(kind, where))
    return True


def parse_tree(raw: bytes, defects: list[Defect]) -> list[Entity]:
    """Return the tree of a message in pre-order; `raw` is canonical (LF).  Never raises."""
    return _Walk(raw, defects).entities


class _Open(NamedTuple):
    """A multipart whose closing boundary has not come yet."""

    entity: int
    boundary: bytes


class _Walk:
    """The state of the one pass: the entities so far, the open multiparts, and where the next empty line is."""

    def __init__(self, raw: bytes, defects: list[Defect]) -> None:
        self.raw = raw
        self.defects = defects
        self.entities: list[Entity] = []
        self.open: list[_Open] = []
        self.level: dict[bytes, int] = {}  # boundary -> index into `open`
        self.empty_line = -1
        self.run()

    def run(self) -> None:
        entity: Entity | None = self.enter(-1, 0)
        while entity is not None:
            position = self.descend(entity)
            entity = self.next_part(position)
        for each in self.entities:
            if each.end < 0:
                each.end = max(each.start, len(self.raw))

    def enter(self, parent: int, position: int) -> Entity:
        """Read the header block at `position` and add its entity."""
        index = len(self.entities)
        where = f"part {index}" if index else ""
        if self.empty_line < position:
            found = self.raw.find(b"\n\n", position)
            self.empty_line = len(self.raw) if found < 0 else found
        if self.raw.startswith(b"\n", position):
            block_end = position
            body = position + 1
        else:
            block_end = self.empty_line
            body = block_end + 2
        if self.level:
            delimiter = self.find_delimiter(position, block_end)
            if delimiter is not None:
                block_end = body = delimiter[0]
        block = self.raw[position:block_end].removesuffix(b"\n")
        headers, fields, used = parse_headers(block, where, self.defects)
        if used < len(block):
            body = position + used
        depth = self.entities[parent].depth + 1 if parent >= 0 else 0
        entity = Entity(parent, depth, headers, fields)
        entity.content = self.content_type(parent, fields, where)
        entity.start = min(body, len(self.raw))
        self.entities.append(entity)
        if parent >= 0:
            self.entities[parent].has_children = True
        return entity

    def content_type(self, parent: int, fields: dict[str, bytes], where: str) -> ContentType:
        value = fields.get("content-type")
        if value is None:
            is_digest = parent >= 0 and self.entities[parent].content.type == "multipart/digest"
            return _DIGEST_TYPE if is_digest else _DEFAULT_TYPE
        content = parse_content_type(value)
        if not content.valid:
            self.defects.append(Defect("bad content type", where))
        if value.count(b";") > bounds.PARAMETERS:
            self.defects.append(Defect("too many parameters", where))
        return content

    def descend(self, entity: Entity) -> int:
        """Open a multipart, or walk into messages in messages; return where the search for a boundary goes on."""
        while True:
            index = len(self.entities) - 1
            kind = entity.content.type
            is_multipart = kind.startswith("multipart/")
            if not is_multipart and kind not in _MESSAGE_TYPES:
                return entity.start
            encoding = entity.fields.get("content-transfer-encoding", b"").strip().lower()
            if encoding in {b"base64", b"quoted-printable"}:
                self.defects.append(Defect("multipart encoded", f"part {index}"))
                if not is_multipart:
                    return entity.start
            if entity.depth >= bounds.DEPTH:
                self.defects.append(Defect("too deep", f"part {index}"))
                return entity.start
            if is_multipart:
                self.open_multipart(index, entity)
                return entity.start
            if len(self.entities) >= bounds.PARTS:
                self.defects.append(Defect("too many parts"))
                return entity.start
            entity = self.enter(index, entity.start)

    def open_multipart(self, index: int, entity: Entity) -> None:
        boundary = entity.content.parameters.get("boundary", "").rstrip().encode("latin-1")[: bounds.BOUNDARY_BYTES]
        if not boundary:
            self.defects.append(Defect("no boundary", f"part {index}"))
        elif boundary in self.level:  # a line with it is the outer one's
            self.defects.append(Defect("repeated boundary", f"part {index}"))
        else:
            self.level[boundary] = len(self.open)
            self.open.append(_Open(index, boundary))

    def next_part(self, position: int) -> Entity | None:
        """Find the next boundary, close what it closes, and enter the part behind it; None at the end."""
        while self.level:
            delimiter = self.find_delimiter(position, len(self.raw))
            if delimiter is None:
                break
            line_start, line_end, level, is_close = delimiter
            self.close(level + 1, line_start - 1)
            position = line_end
            parent = self.open[level].entity
            self.end_last(parent, line_start - 1)
            if is_close:
                self.entities[parent].end = line_end
                if not self.entities[parent].has_children:
                    self.defects.append(Defect("boundary not found", f"part {parent}"))
                self.level.pop(self.open.pop().boundary)
                continue
            if self.is_repeated(line_start, line_end):
                continue
            if len(self.entities) >= bounds.PARTS:
                self.defects.append(Defect("too many parts"))
                return None
            return self.enter(parent, min(line_end + 1, len(self.raw)))
        self.close(0, len(self.raw))
        return None

    def is_repeated(self, line_start: int, line_end: int) -> bool:
        """Tell whether the same boundary follows at once: between the two there is no part."""
        after = line_end + 1
        return self.raw.startswith(b"--", after) and self.raw.startswith(self.raw[line_start:after], after)

    def close(self, level: int, end: int) -> None:
        """Close every multipart from `level` inwards: an outer boundary, or the end, came before theirs."""
        while len(self.open) > level:
            index, boundary = self.open.pop()
            del self.level[boundary]
            entity = self.entities[index]
            entity.end = max(end, entity.start)
            kind: DefectKind = "unclosed multipart" if entity.has_children else "boundary not found"
            self.defects.append(Defect(kind, f"part {index}"))

    def end_last(self, parent: int, end: int) -> None:
        """End the entities that lie between the last one and `parent`: a leaf, and the messages around it."""
        index = len(self.entities) - 1
        while index != parent:
            entity = self.entities[index]
            if entity.end < 0:
                entity.end = max(end, entity.start)
            index = entity.parent

    def find_delimiter(self, position: int, limit: int) -> tuple[int, int, int, bool] | None:
        """Return the next line that is an open boundary: its start and end, its level, and whether it closes."""
        raw, level = self.raw, self.level
        # Wherever a boundary can stand, a line end stands before it: the search begins one byte early.
        start = raw.find(b"\n--", position - 1, limit) + 1
        while start:
            line_end = raw.find(b"\n", start)
            if line_end < 0:
                line_end = len(raw)
            if line_end - start <= bounds.BOUNDARY_BYTES + 4:
                token = raw[start + 2 : line_end].rstrip(b" \t")
                if token in level:
                    return start, line_end, level[token], False
                if token.endswith(b"--") and token[:-2] in level:
                    return start, line_end, level[token[:-2]], True
            start = raw.find(b"\n--", line_end, limit) + 1
        return None

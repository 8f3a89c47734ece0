"""The leaves of a message: what a reader sees of them, the URLs in them, and the files among them.

Where a multipart/alternative holds both plain text and HTML, the text is that of the HTML: it is what nearly every
reader is shown, and the plain twin is where senders hide words for filters.  URLs are taken from both.
"""

from typing import NamedTuple

from whimbrel.messages import bounds
from whimbrel.messages.attachments import inspect
from whimbrel.messages.decode import decode_text, decode_transfer, filename_of
from whimbrel.messages.html import visible_text
from whimbrel.messages.mime import Entity
from whimbrel.messages.parameters import parse_disposition
from whimbrel.messages.urls import MAX_RAW_CHARACTERS, find_urls, resolve_url
from whimbrel.model.facts import Attachment, Defect, Part, Url

_NAME_CHARS = 64  # of an encoding or charset; longer ones are nonsense


class Body(NamedTuple):
    """What the leaves give: one part an entity, the visible text, URLs without repetition, files."""

    parts: list[Part]
    text: str
    urls: tuple[Url, ...]
    attachments: tuple[Attachment, ...]


class _Texts:
    """Gathers the texts of a message in order, with the alternative each stands in, and the URLs within."""

    def __init__(self, defects: list[Defect]) -> None:
        self.defects = defects
        self.texts: list[tuple[int, bool, str]] = []  # alternative (-1: none), is HTML, text
        self.raw_urls: dict[tuple[str, str], None] = {}
        self.bytes_left = bounds.TEXT_BYTES

    def add(self, payload: bytes, charset: str, alternative: int, where: str, *, is_html: bool) -> None:
        """Read one text part."""
        limit = min(bounds.TEXT_PART_BYTES, self.bytes_left)
        if len(payload) > limit:
            payload = payload[:limit]
            self.defects.append(Defect("long text", where))
        self.bytes_left -= len(payload)
        text = decode_text(payload, charset, where, self.defects)
        if is_html:
            reading = visible_text(text)
            text = reading.text
            self.raw_urls.update(dict.fromkeys(reading.urls))
            self.defects.extend(reading.defects)
        for raw in find_urls(text):
            self.raw_urls[raw[:MAX_RAW_CHARACTERS], "text"] = None
        self.texts.append((alternative, is_html, text))

    def text(self) -> str:
        """Return the visible text, without the plain twins of HTML, cut to its bound."""
        with_html = {alternative for alternative, is_html, text in self.texts if is_html and text.strip()} - {-1}
        shown = [text for alternative, is_html, text in self.texts if is_html or alternative not in with_html]
        whole = "\n".join(shown).strip()
        if len(whole) > bounds.TEXT_CHARS:
            self.defects.append(Defect("long text"))
        return whole[: bounds.TEXT_CHARS]

    def urls(self) -> tuple[Url, ...]:
        """Return what resolves of the web addresses, each once, in order."""
        found: list[Url] = []
        for raw, seen_in in self.raw_urls:
            if len(found) == bounds.URLS:
                self.defects.append(Defect("too many urls"))
                break
            url = resolve_url(raw, seen_in)
            if url is not None:
                found.append(url)
        return tuple(found)


def read_body(raw: bytes, entities: list[Entity], defects: list[Defect]) -> Body:
    """Decode every leaf of the tree over `raw`; texts are read, everything else is a file."""
    parts: list[Part] = []
    texts = _Texts(defects)
    attachments: list[Attachment] = []
    alternatives: list[int] = []  # for each entity: the multipart/alternative it stands in, or -1
    for index, entity in enumerate(entities):
        where = f"part {index}" if index else ""
        kind = entity.content.type
        above = alternatives[entity.parent] if entity.parent >= 0 else -1
        alternatives.append(index if kind == "multipart/alternative" else above)
        encoding = entity.fields.get("content-transfer-encoding", b"")
        encoding_name = encoding.strip().lower().decode("latin-1")[:_NAME_CHARS] if encoding else ""
        disposition, parameters = parse_disposition(entity.fields.get("content-disposition", b""))
        filename = filename_of(parameters, entity.content.parameters, where, defects)
        charset = entity.content.parameters.get("charset", "").strip(" \t'").lower()[:_NAME_CHARS]
        size_bytes = entity.end - entity.start
        parts.append(Part(entity.parent, kind, charset, encoding_name, disposition, filename, size_bytes))
        if entity.has_children or not (size_bytes or filename):
            continue
        payload = decode_transfer(raw[entity.start : entity.end], encoding_name, where, defects)
        is_html = kind == "text/html"
        # A multipart without parts is shown as text by every reader.
        if disposition != "attachment" and (is_html or kind == "text/plain" or kind.startswith("multipart/")):
            texts.add(payload, charset, above, where, is_html=is_html)
            if not filename:
                continue
        attachment, found = inspect(filename, kind, payload)
        attachments.append(attachment)
        defects.extend(found)
    return Body(parts, texts.text(), texts.urls(), tuple(attachments))

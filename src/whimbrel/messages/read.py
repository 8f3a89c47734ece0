"""One message from bytes to facts: `read_message` names every step."""

from whimbrel.messages import bounds
from whimbrel.messages.body import Body, read_body
from whimbrel.messages.canonical import canonical
from whimbrel.messages.decode import decode_words
from whimbrel.messages.mime import parse_tree
from whimbrel.messages.script import script_of
from whimbrel.messages.signature import signature
from whimbrel.messages.skeletons import header_skeleton, mime_skeleton
from whimbrel.model.facts import Defect, Facts


def read_message(raw: bytes) -> Facts:
    """Return what a message says and what is wrong with it.  Any bytes will do; time is linear in their number.

    A leading mailbox envelope line (`From ...`) is no part of the message.  Bounds are those of `bounds`, and
    what they cut is told among the defects.
    """
    message, content_sha256, found = canonical(raw)
    defects: list[Defect] = list(found)
    entities = parse_tree(message, defects)
    root = entities[0]
    body: Body = read_body(message, entities, defects)
    return Facts(
        size_bytes=len(raw),
        content_sha256=content_sha256,
        headers=root.headers,
        parts=tuple(body.parts),
        subject=decode_words(root.fields.get("subject", b""), "subject", defects).strip()[: bounds.SUBJECT_CHARS],
        text=body.text,
        urls=body.urls,
        attachments=body.attachments,
        header_skeleton=header_skeleton(root.headers, root.fields),
        mime_skeleton=mime_skeleton(entities, body.parts),
        signature=signature(body.text),
        script=script_of(body.text),
        defects=tuple(dict.fromkeys(defects))[: bounds.DEFECTS],
    )

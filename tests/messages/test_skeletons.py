from pathlib import Path

from whimbrel.messages import read_message
from whimbrel.messages.skeletons import client_headers, shape


def test_shape_keeps_words_and_punctuation() -> None:
    assert shape("----=_NextPart_000_0012_01C24E1B.7A5C8D20") == "----=_NextPart_3_4_8.8"
    assert shape("Apple-Mail-3--12345") == "Apple-Mail-1--5"
    assert shape("") == ""


def test_only_what_the_client_wrote_counts() -> None:
    added = b"Return-Path: <a@b.example>\nX-Spam-Flag: NO\nReceived: by x.example\nReceived: by y.example\n"
    written = b"From: a@b.example\nTO: c@d.example\nX-Mailer: Bird 1.0\n"
    by_list = b"List-Id: <l.example>\nSender: owner@l.example\nX-Loop: l\nDKIM-Signature: v=1\n"
    plain = read_message(written + b"\n\n")
    carried = read_message(added + written + by_list + b"\n\n")
    assert plain.header_skeleton == "From:TO:X-Mailer|Bird 1.0||"
    assert carried.header_skeleton == plain.header_skeleton
    assert [header.name for header in client_headers(carried.headers)] == ["From", "TO", "X-Mailer"]


def test_order_case_and_mailer_tell_engines_apart() -> None:
    messages = [b"From: a\nTo: b", b"To: b\nFrom: a", b"from: a\nTo: b", b"From: a\nTo: b\nX-Mailer: x"]
    assert len({read_message(message + b"\n\nbody").header_skeleton for message in messages}) == len(messages)


def test_what_the_message_says_does_not_count() -> None:
    one, other = (
        read_message(
            b"From: %b@a.example\nSubject: %b\nMessage-ID: <%b.1234@host.example>\n"
            b'Content-Type: multipart/mixed; boundary="--%b"\n\n----%b\n\ntext %b\n----%b--\n' % ((word,) * 7)
        )
        for word in (b"a1b2", b"9zq8")
    )
    assert one.header_skeleton == other.header_skeleton
    assert one.mime_skeleton == other.mime_skeleton == "0multipart/mixed;; 1text/plain;;"


def test_no_field_of_a_client_no_skeleton() -> None:
    assert read_message(b"Received: by x.example\n\nbody").header_skeleton == ""


def test_fields_of_lists_and_hops_are_in_no_skeleton(shipped_mail: Path) -> None:
    messages = [read_message(path.read_bytes()) for path in sorted((shipped_mail / "easy_ham").iterdir())[:300]]
    skeletons = [message.header_skeleton.lower() for message in messages]
    orders = {tuple(header.name for header in message.headers) for message in messages}
    assert not any("list-" in skeleton or "received" in skeleton or "x-beenthere" in skeleton for skeleton in skeletons)
    assert len({skeleton.partition("|")[0] for skeleton in skeletons}) < len(orders)

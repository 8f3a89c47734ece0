"""`read_message` as a whole: what is text, what is a file, and what the bounds cut."""

import base64
import email.message

import pytest

from whimbrel.messages import bounds, read_message


def _message(*parts: tuple[str, str, dict[str, str]], kind: str = "mixed") -> bytes:
    raw = f"From: a@example.org\nSubject: s\nContent-Type: multipart/{kind}; boundary=b\n\n"
    for content_type, body, headers in parts:
        extra = "".join(f"{name}: {value}\n" for name, value in headers.items())
        raw += f"--b\nContent-Type: {content_type}\n{extra}\n{body}\n"
    return (raw + "--b--\n").encode()


ATTACHED = {"Content-Disposition": "attachment"}
NAMED = {"Content-Disposition": "inline; filename=page.html"}


def test_the_empty_message() -> None:
    facts = read_message(b"")
    assert facts.headers == ()
    assert facts.text == ""
    assert [part.content_type for part in facts.parts] == ["text/plain"]


def test_attached_text_is_a_file_and_no_text() -> None:
    facts = read_message(_message(("text/plain", "shown", {}), ("text/plain", "filed", ATTACHED)))
    assert facts.text == "shown"
    assert [file.size_bytes for file in facts.attachments] == [len("filed")]


def test_named_inline_text_is_both() -> None:
    facts = read_message(_message(("text/html", "<p>shown</p>", NAMED)))
    assert facts.text == "shown"
    assert [file.filename for file in facts.attachments] == ["page.html"]


def test_calendars_and_pictures_are_files() -> None:
    facts = read_message(_message(("text/calendar", "BEGIN:VCALENDAR", {}), ("image/gif", "GIF89a", {})))
    assert facts.text == ""
    assert [file.declared_type for file in facts.attachments] == ["text/calendar", "image/gif"]


def test_html_without_visible_text_leaves_the_plain_twin() -> None:
    plain: tuple[str, str, dict[str, str]] = ("text/plain", "plain words http://one.example.org/", {})
    facts = read_message(
        _message(plain, ("text/html", '<img src="http://two.example.com/x.gif">', {}), kind="alternative")
    )
    assert facts.text.startswith("plain words")
    assert {url.host for url in facts.urls} == {"one.example.org", "two.example.com"}
    facts = read_message(_message(plain, ("text/html", "<b>shown</b>", {}), kind="alternative"))
    assert facts.text == "shown"
    assert {url.host for url in facts.urls} == {"one.example.org"}


def test_a_message_that_is_one_file() -> None:
    facts = read_message(
        b"Content-Type: application/zip; name=x.zip\nContent-Transfer-Encoding: base64\n\n"
        + base64.b64encode(b"x" * 99)
    )
    assert [(file.filename, file.size_bytes) for file in facts.attachments] == [("x.zip", 99)]


def test_text_is_bounded() -> None:
    facts = read_message(b"\n" + b"word " * bounds.TEXT_CHARS)
    assert len(facts.text) == bounds.TEXT_CHARS
    assert "long text" in [defect.kind for defect in facts.defects]


def test_text_parts_together_are_bounded() -> None:
    part: tuple[str, str, dict[str, str]] = ("text/plain", "word " * (bounds.TEXT_PART_BYTES // 5), {})
    facts = read_message(_message(*[part] * (bounds.TEXT_BYTES // bounds.TEXT_PART_BYTES + 2)))
    assert "long text" in [defect.kind for defect in facts.defects]
    assert len(facts.text) == bounds.TEXT_CHARS


def test_defects_are_bounded_and_told_once() -> None:
    part = ("text/plain", "\xe9", {"Content-Transfer-Encoding": "rot13"})
    facts = read_message(_message(*[part] * bounds.DEFECTS))
    assert len(facts.defects) == bounds.DEFECTS
    assert len(set(facts.defects)) == bounds.DEFECTS


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_what_the_standard_library_writes_is_read_back(encoding: str) -> None:
    message = email.message.EmailMessage()
    message["Subject"] = "Grüße an alle, die hier mitlesen, und noch viele Worte mehr für eine zweite Zeile"
    message["From"] = "a@example.org"
    message.set_content("Schöne Grüße\n", cte=encoding)
    message.add_attachment(b"\x00\x01" * 50, maintype="application", subtype="x-test", filename="grüße.bin")
    facts = read_message(message.as_bytes())
    assert facts.subject == message["Subject"]
    assert facts.text == "Schöne Grüße"
    assert [(file.filename, file.size_bytes) for file in facts.attachments] == [("grüße.bin", 100)]
    assert facts.defects == ()

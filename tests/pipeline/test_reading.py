"""What is kept of one message."""

import hashlib

from tests.pipeline.mail import DAY_0, message, received

from whimbrel.pipeline.reading import MAX_HOPS, read_work
from whimbrel.pipeline.work import Work


def work(content: bytes, envelope: bytes | None = None) -> Work:
    return Work("mail#1", "ham", "given", envelope, content)


def test_a_reading_is_what_the_message_says() -> None:
    content = message(
        received("24.1.2.3", DAY_0), received("10.0.0.1", DAY_0), body="http://www.shop.example.com/ and b.example.org"
    )
    reading = read_work(work(content, b"From a@b.example Sat Jul 27 12:00:00 2002"))
    assert (reading.location, reading.label, reading.label_basis) == ("mail#1", "ham", "given")
    assert reading.size_bytes == len(content)
    assert reading.content_sha256 == hashlib.sha256(content).digest()
    assert [hop.address for hop in reading.hops] == ["24.1.2.3", "10.0.0.1"]
    assert reading.hops[0].at == DAY_0
    assert reading.envelope_at is not None
    assert reading.envelope_at.isoformat() == "2002-07-27T12:00:00+00:00"
    assert "example.com" in reading.url_domains
    assert reading.recipients == ("joe@site.example",)
    assert reading.recipient_domains == ("site.example",)
    assert reading.script == "Latin"


def test_lists_are_sorted_and_each_value_stands_once() -> None:
    content = message(
        body="http://b.example.org/ http://a.example.com/ http://b.example.org/2 http://a.example.com/3\n"
    )
    assert read_work(work(content)).url_domains == ("example.com", "example.org")


def test_a_mail_loop_is_cut() -> None:
    lines = [received("24.1.2.3", DAY_0, id_=str(number)) for number in range(MAX_HOPS + 20)]
    assert len(read_work(work(message(*lines))).hops) == MAX_HOPS


def test_any_bytes_give_a_reading() -> None:
    for content in (b"", b"\0" * 100, b"\xff\xfe\n\n\xff", b"From: \xff\nTo:\n", bytes(range(256)) * 4):
        reading = read_work(work(content, content))
        assert reading.size_bytes == len(content)
        assert reading.hops == ()

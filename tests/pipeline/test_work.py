"""What is handed to readers, and what becomes of it where they fail."""

from whimbrel.pipeline.work import Work, abandoned


def test_an_abandoned_message_keeps_its_digest_alone() -> None:
    given = Work("mail#1", "ham", "given", None, b"From: a@b.example\n\nNot read.\n")
    reading = abandoned(given, b"d" * 32)
    assert (reading.content_sha256, reading.defects, reading.hops) == (b"d" * 32, ("abandoned",), ())
    assert (reading.location, reading.label, reading.size_bytes) == ("mail#1", "ham", len(given.content))

"""What a class says is what `answer` says when the list is cut, as records."""

from tests.nameserver.transfer.some_lists import snapshot_of

from whimbrel.model.listing import Code
from whimbrel.nameserver.transfer.said import Sayings


def test_records_have_the_code_the_target_and_the_end() -> None:
    snapshot = snapshot_of({"192.0.2.1": (Code.INFECTED, 3600)})
    sayings = Sayings(snapshot)
    (said,) = {sayings[number] for number in range(1, len(sayings)) if "{address} is listed" in sayings[number].text}
    assert said.code == Code.INFECTED
    assert "until 2002-07-27 13:00 UTC" in said.text
    head = b"\0\1\0\1\0\0\1\x2c\0\4"  # A, IN, 300 seconds, 4 bytes
    assert said.a_record() == head + b"\x7f\0\0\4"
    assert b"192.0.2.1 is listed as infected host" in said.txt_record("192.0.2.1")
    assert said.of("192.0.2.1").txt_record() == said.txt_record("192.0.2.1")

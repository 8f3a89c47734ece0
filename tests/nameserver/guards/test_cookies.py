"""Server cookies by the examples of RFC 9018, appendix A, their ages, and files of secrets."""

from pathlib import Path

import pytest

from whimbrel.errors import ConfigError
from whimbrel.nameserver.guards import cookies
from whimbrel.nameserver.guards.client import client_at
from whimbrel.nameserver.guards.cookies import judged, read_secrets, secrets_of, server_cookie

SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
OLD, NEW = (bytes.fromhex(each) for each in ("dd3bdf9344b678b185a6f5cb60fca715", "445536bcd2513298075a5d379663c962"))
CLIENT = bytes.fromhex("2464c4abcf10c957")
HOST = client_at("198.51.100.100")
NOW = 1559731985


def test_learning_a_new_server_cookie() -> None:
    found = judged(CLIENT, HOST, NOW, secrets_of([SECRET]))
    assert not found.is_proved
    assert found.data.hex() == CLIENT.hex() + "010000005cf79f111f8130c3eee29480"


def test_the_same_client_learning_a_renewed_cookie() -> None:
    shown = CLIENT + bytes.fromhex("010000005cf79f111f8130c3eee29480")
    found = judged(shown, HOST, 1559734385, secrets_of([SECRET]))
    assert found.is_proved
    assert found.data.hex() == CLIENT.hex() + "010000005cf7a871d4a564a1442aca77"


def test_another_client_whose_reserved_bits_are_set() -> None:
    shown = bytes.fromhex("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5")
    client = client_at("203.0.113.203")
    assert judged(shown, client, 0x5CF78F71, secrets_of([SECRET])).is_proved  # hashed as they came
    found = judged(shown, client, 1559734700, secrets_of([SECRET]))
    assert found.data.hex() == "fc93fc62807ddb86" + "010000005cf7a9acf73a7810aca2381e"


def test_ipv6_and_a_secret_that_is_rolled_over() -> None:
    shown = bytes.fromhex("22681ab97d52c298010000005cf7c57926556bd0934c72f8")
    client = client_at("2001:db8:220:1:59de:d0f4:8769:82b8")
    found = judged(shown, client, 1559741961, secrets_of([NEW, OLD]))
    assert found.is_proved
    assert found.data.hex() == "22681ab97d52c298" + "010000005cf7c609a6bb79d16625507a"


@pytest.mark.parametrize(
    ("age", "is_proved", "is_kept"),
    [(0, True, True), (1799, True, True), (1800, True, False), (3600, True, False), (3601, False, False)],
)
def test_a_cookie_is_renewed_after_half_an_hour_and_good_for_one(age: int, *, is_proved: bool, is_kept: bool) -> None:
    shown = CLIENT + server_cookie(CLIENT, HOST, NOW, SECRET)
    found = judged(shown, HOST, NOW + age, secrets_of([SECRET]))
    assert (found.is_proved, found.data == shown) == (is_proved, is_kept)


def test_a_cookie_from_the_future_is_good_for_five_minutes() -> None:
    shown = CLIENT + server_cookie(CLIENT, HOST, NOW, SECRET)
    assert judged(shown, HOST, NOW - 300, secrets_of([SECRET])).is_proved
    assert not judged(shown, HOST, NOW - 301, secrets_of([SECRET])).is_proved


def test_time_goes_on_in_2106() -> None:
    shown = CLIENT + server_cookie(CLIENT, HOST, (1 << 32) - 10, SECRET)
    assert judged(shown, HOST, (1 << 32) + 10, secrets_of([SECRET])).is_proved


def test_what_proves_nothing() -> None:
    good = CLIENT + server_cookie(CLIENT, HOST, NOW, SECRET)
    known = secrets_of([SECRET])
    assert judged(good, HOST, NOW, known).is_proved
    assert not judged(good, client_at("198.51.100.101"), NOW, known).is_proved
    assert not judged(good, HOST, NOW, secrets_of([NEW])).is_proved
    assert not judged(good[:-1], HOST, NOW, known).is_proved
    assert not judged(good + b"x", HOST, NOW, known).is_proved
    for place in range(len(good)):
        broken = bytearray(good)
        broken[place] ^= 1
        found = judged(bytes(broken), HOST, NOW, known)
        assert not found.is_proved
        assert found.data[:8] == bytes(broken)[:8]


def test_a_file_of_secrets(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    path.write_text(f"# cookies\n2026a {NEW.hex()}\n2025b {OLD.hex()}\n")
    path.chmod(0o600)
    assert (read_secrets(path) == secrets_of([NEW, OLD])).all()
    assert cookies.secret_bytes(read_secrets(path), 1) == OLD


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("a 00", 0o600, "line 1"),
        (f"a {'00' * 17}", 0o600, "secret a is not 16 bytes"),
        ("", 0o600, "no key"),
        (f"a {'00' * 16}", 0o640, "chmod 600"),
    ],
)
def test_a_file_that_is_no_good_is_one_line(tmp_path: Path, text: str, mode: int, words: str) -> None:
    path = tmp_path / "secrets"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=words) as caught:
        read_secrets(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_secrets(tmp_path / "none")

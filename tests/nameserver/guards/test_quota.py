"""Keys, what they grant, and that nothing shows them."""

from pathlib import Path

import pytest

from whimbrel.errors import ConfigError
from whimbrel.nameserver.guards.quota import NO_KEY, UNKNOWN, begin_day, quotas_of, read_quotas, spend, subscriber

KEY = b"abcdefghijklmnopqrstuvwx23"
OTHER = b"zyxwvutsrqponmlkjihgfedc45"


def test_a_key_is_known_in_any_case_and_no_other_is() -> None:
    quotas = quotas_of([("acme", KEY, 3), ("other", OTHER, 5)])
    numbers = {subscriber(quotas, KEY), subscriber(quotas, OTHER)}
    assert numbers == {0, 1}
    assert subscriber(quotas, KEY.upper()) == subscriber(quotas, KEY)
    assert quotas.names[subscriber(quotas, OTHER)] == "other"
    assert subscriber(quotas, KEY[:-1] + b"4") == UNKNOWN


@pytest.mark.parametrize("label", [b"", b"2", b"com", KEY[:-1], KEY + b"a", b"abcdefghijklmnopqrstuvwx-3", b"1" * 26])
def test_what_does_not_look_like_a_key(label: bytes) -> None:
    assert subscriber(quotas_of([("acme", KEY, 3)]), label) == NO_KEY


def test_a_quota_is_a_day_s() -> None:
    quotas = quotas_of([("acme", KEY, 3)])
    assert [spend(quotas, 0, 20_000) for _ in range(5)] == [True, True, True, False, False]
    assert spend(quotas, 0, 20_001)


def test_a_new_day_begins_for_all() -> None:
    quotas = quotas_of([("acme", KEY, 3), ("other", OTHER, 3)])
    assert [spend(quotas, 0, 20_000) for _ in range(4)][-1] is False
    begin_day(quotas, 20_000)
    assert not spend(quotas, 0, 20_000)
    begin_day(quotas, 20_001)
    assert quotas.used.tolist() == [0, 0]
    assert spend(quotas, 0, 20_001)


def test_what_was_used_stays_used_when_the_file_is_read_again() -> None:
    before = quotas_of([("acme", KEY, 3), ("other", OTHER, 3)])
    for _ in range(3):
        spend(before, subscriber(before, KEY), 20_000)
    after = quotas_of([("new", b"a" * 26, 1), ("acme", OTHER, 3)], before)  # with a key of another's
    assert not spend(after, subscriber(after, OTHER), 20_000)
    assert spend(after, subscriber(after, b"a" * 26), 20_000)


def test_nothing_holds_a_key_in_clear() -> None:
    quotas = quotas_of([("acme", KEY, 3)])
    assert KEY not in b"".join(each.tobytes() for each in quotas[:-1])
    assert "abcdefghij" not in repr(quotas)


def test_a_file_of_subscribers(tmp_path: Path) -> None:
    path = tmp_path / "subscribers"
    path.write_text(f"# name key queries\nacme {KEY.decode().upper()} 100000\n\nother {OTHER.decode()} 5\n")
    path.chmod(0o600)
    quotas = read_quotas(path)
    assert sorted(zip(quotas.names, map(int, quotas.limits), strict=True)) == [("acme", 100_000), ("other", 5)]


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (f"acme {KEY.decode()}", 0o600, "line 1 is no subscriber; write NAME KEY QUERIES-A-DAY"),
        (f"acme {KEY.decode()} 0", 0o600, "line 1 is no subscriber"),
        (f"acme {KEY.decode()} many", 0o600, "line 1 is no subscriber"),
        (f"\nacme {KEY.decode()}x 5", 0o600, "line 2: the key is not 26 letters"),
        (f"acme {KEY.decode()} 5\nacme {OTHER.decode()} 5", 0o600, "a name stands there twice"),
        (f"acme {KEY.decode()} 5\nother {KEY.decode()} 5", 0o600, "a key stands there twice"),
        (f"acme {KEY.decode()} 5", 0o644, "chmod 600"),
    ],
)
def test_a_file_that_is_no_good_is_one_line_that_shows_no_key(tmp_path: Path, text: str, mode: int, words: str) -> None:
    path = tmp_path / "subscribers"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=words) as caught:
        read_quotas(path)
    assert "\n" not in str(caught.value)
    assert "abcdefghij" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_quotas(tmp_path / "none")

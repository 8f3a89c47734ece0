"""Settings of transfers: both a key and an address, or none."""

import pytest

from whimbrel.errors import ConfigError
from whimbrel.model.endpoint import Endpoint
from whimbrel.model.transfer import Secondary, parse_secondary, transfer_settings


def test_who_is_allowed_goes_by_prefix() -> None:
    settings = transfer_settings(
        "keys", ("192.0.2.0/24", "2001:db8::5"), ("a.example@192.0.2.53", "[2001:db8::5]:5353")
    )
    assert settings is not None
    asked = ("192.0.2.1", "192.0.3.1", "2001:db8::5", "2001:db8::6")
    assert [settings.allows(each) for each in asked] == [True, False, True, False]
    assert [str(each) for each in settings.notify] == ["a.example@192.0.2.53:53", "[2001:db8::5]:5353"]
    assert transfer_settings("", (), ()) is None


@pytest.mark.parametrize(
    ("keys", "allowed", "missing"),
    [("", ("192.0.2.1",), "the file of keys"), ("keys", (), "the addresses"), ("", (), "the file of keys")],
)
def test_one_of_both_is_not_enough(keys: str, allowed: tuple[str, ...], missing: str) -> None:
    with pytest.raises(ConfigError, match=missing):
        transfer_settings(keys, allowed, ("192.0.2.53",))


@pytest.mark.parametrize(
    "text", ["", "@192.0.2.1", "a@", "host.example", "192.0.2.1:0", "192.0.2.1:99999", "a@b@192.0.2."]
)
def test_what_is_no_secondary_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="is no secondary; write"):
        parse_secondary(text)


def test_what_is_no_prefix_is_told() -> None:
    with pytest.raises(ConfigError, match=r"'192\.0\.2\.1/24' is no prefix"):
        transfer_settings("keys", ("192.0.2.1/24",), ())


def test_a_secondary_without_a_key_is_told_unsigned() -> None:
    assert parse_secondary("192.0.2.53") == Secondary(Endpoint("192.0.2.53", 53), None)

"""docs/dns.md documents every return code, and the snippets act on every one."""

import re
from pathlib import Path

import pytest

from whimbrel.model.listing import FURTHER_MEANING, MEANING, Code, FurtherCode
from whimbrel.nameserver.server import TCP_IDLE_SECONDS
from whimbrel.nameserver.sockets import MAX_TCP_CONNECTIONS
from whimbrel.publishing import testentries
from whimbrel.publishing.building import zone_of
from whimbrel.publishing.exports.content import answer
from whimbrel.wire.dns import EDNS_UDP_BYTES
from whimbrel.wire.lifetimes import NEGATIVE_SECONDS, POSITIVE_SECONDS
from whimbrel.wire.snapshot.layout import MAX_NAME_LABELS

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "dns.md").read_text()
SNIPPETS = {path.name: path.read_text() for path in (DOCS / "software").iterdir()}


@pytest.mark.parametrize("code", list(Code))
def test_every_code_is_documented_with_its_meaning_and_test_address(code: Code) -> None:
    row = f"| 127.0.0.{code.value} | {MEANING[code]} | 127.0.0.{code.value} |"
    assert row in TEXT


def test_no_other_code_is_documented() -> None:
    documented = re.findall(r"^\| 127\.0\.0\.(\d+) \|", TEXT, re.MULTILINE)
    assert sorted(map(int, documented)) == sorted(Code)


@pytest.mark.parametrize("code", list(FurtherCode))
def test_every_further_code_is_documented_with_its_answer_and_test_entry(code: FurtherCode) -> None:
    (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| {FURTHER_MEANING[code]} | {answer(code)} | ")]
    addresses = testentries.addresses([zone_of("x", ("y",), None, codes=[code])])
    names = testentries.names([zone_of("x", ("y",), None, codes=[code])], has_names=True)
    assert row.endswith("| 127.0.0.20 |") == ((0x7F000000 | 20, code) in addresses)
    assert not names or f"`{answer(code).replace('.', '-')}.test`" in row
    assert f"{MAX_NAME_LABELS} labels at most" in TEXT


@pytest.mark.parametrize("code", list(Code))
def test_snippets_act_on_every_code(code: Code) -> None:
    answer = f"127.0.0.{code.value}"
    assert 2 <= code <= 11
    assert "=127.0.0.[2..11]" in SNIPPETS["postfix-main.cf"]
    assert "=127.0.0.[2..11]" in SNIPPETS["postfix-postscreen.cf"]
    assert re.search(rf"[=,]{re.escape(answer)}\b", SNIPPETS["exim-acl.conf"])
    (pattern,) = re.findall(r"'(\^.*?\$)'", SNIPPETS["spamassassin.cf"])
    assert re.match(pattern, answer)
    assert not re.match(pattern, "127.255.255.254")
    assert f'"{answer}"' in SNIPPETS["rspamd-rbl.conf"]


def test_numbers_are_those_in_force() -> None:
    for said in (
        f"{POSITIVE_SECONDS} seconds",
        f'"not listed" for {NEGATIVE_SECONDS}',
        f"up to {EDNS_UDP_BYTES} bytes",
        f"after {TCP_IDLE_SECONDS:g} idle seconds",
        f"{MAX_TCP_CONNECTIONS} connections",
    ):
        assert said in re.sub(r"\s+", " ", TEXT)

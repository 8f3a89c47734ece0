"""SpamAssassin and Rspamd ask the list while they score a message."""

import json
import time

import pytest
from tests.software.conftest import MakeMachine, Serve
from tests.software.machine import Machine, snippet
from tests.software.talking import complaint, silence, talking

pytestmark = pytest.mark.debian

# Each gives up on a list after 3 to 8 s as configured; the rest is a margin for a busy machine.
BOUND_SECONDS = 20.0

MESSAGE = """\
Received: from client.example.net (client.example.net [{client}])
\tby mx.example.org (Postfix) with ESMTP id 4F2A; Mon, 2 Mar 2026 10:00:00 +0000
From: somebody@example.net
To: user@example.org
Subject: hello
Date: Mon, 2 Mar 2026 10:00:00 +0000
Message-ID: <1@example.net>

hello
"""

SPAMASSASSIN = """
dns_server 127.0.0.1
dns_available yes
use_bayes 0
use_auto_welcomelist 0
skip_rbl_checks 0
rbl_timeout 3
internal_networks 198.51.100.25
trusted_networks 198.51.100.25
clear_report_template
report scores: _TESTSSCORES_
"""


def start_spamassassin(machine: Machine) -> None:
    # Its own rules ask a dozen lists of other people, which nobody reaches from here: only ours is loaded.
    machine.write("/etc/spamassassin/local.cf", SPAMASSASSIN + snippet("spamassassin.cf"))
    machine.write("/run/rules/empty.cf", "")


def scores(machine: Machine, client: str) -> str:
    """Return the line of what SpamAssassin gave a message of a client, and nothing else it prints."""
    as_its_user = ("setpriv", "--reuid=debian-spamd", "--clear-groups", "env", "HOME=/run/spamd")
    options = ("-t", "-x", "-p", "/dev/null", "-C", "/run/rules", "--siteconfigpath=/etc/spamassassin")
    told = machine.run(*as_its_user, "spamassassin", *options, stdin=MESSAGE.format(client=client), check=False)
    line = [line for line in told.splitlines() if "scores: " in line]
    assert line, told
    return line[0]


def test_spamassassin_scores_listed_clients(machine: MakeMachine, serve: Serve) -> None:
    mail_server = machine("spamassassin")
    serve(mail_server)
    start_spamassassin(mail_server)
    assert "RCVD_IN_WHIMBREL=3" in scores(mail_server, "192.0.2.1")
    assert "RCVD_IN_WHIMBREL" in scores(mail_server, "IPv6:2001:db8:1:2::5")
    assert "RCVD_IN_WHIMBREL" not in scores(mail_server, "198.51.100.7")


def test_spamassassin_takes_no_complaint_for_a_listing(machine: MakeMachine) -> None:
    mail_server = machine("spamassassin")
    start_spamassassin(mail_server)
    with talking(mail_server, complaint) as asked:
        assert "RCVD_IN_WHIMBREL" not in scores(mail_server, "192.0.2.1")
        assert "1.2.0.192.bl.example." in asked


def test_spamassassin_goes_on_when_the_list_is_silent(machine: MakeMachine) -> None:
    mail_server = machine("spamassassin")
    start_spamassassin(mail_server)
    began = time.monotonic()
    with talking(mail_server, silence) as asked:
        assert "RCVD_IN_WHIMBREL" not in scores(mail_server, "192.0.2.1")
        assert any(name.endswith(".bl.example.") for name in asked)  # the resolver begins with a part of the name
    assert time.monotonic() - began < BOUND_SECONDS


RSPAMD = """
.include "$CONFDIR/common.conf"
options {
  .include "$CONFDIR/options.inc"
  .include(priority=10) "$LOCAL_CONFDIR/override.d/options.inc"
}
logging { type = "console"; level = "warning"; }
worker "normal" { bind_socket = "127.0.0.1:11333"; count = 1; }
"""
RSPAMD_OPTIONS = 'dns { nameserver = ["127.0.0.1:53"]; }\ncontrol_socket = "/run/rspamd.sock mode=0600";\n'
CLIENT = """\
import sys, urllib.request
request = urllib.request.Request("http://127.0.0.1:11333/checkv2", sys.stdin.buffer.read(), {"IP": sys.argv[1]})
print(urllib.request.urlopen(request, timeout=20).read().decode())
"""


def start_rspamd(machine: Machine) -> None:
    machine.write("/etc/rspamd/local.d/rbl.conf", snippet("rspamd-rbl.conf"))
    machine.write("/etc/rspamd/override.d/options.inc", RSPAMD_OPTIONS)
    machine.write("/etc/rspamd/test.conf", RSPAMD)
    # Its fuzzy servers are other people's, and nobody here answers for their names, which it looks up at the start.
    machine.write("/etc/rspamd/modules.d/fuzzy_check.conf", "")
    machine.run("install", "-d", "-o", "_rspamd", "/var/lib/rspamd", "/run/rspamd")
    machine.start("rspamd", "-f", "-i", "-c", "/etc/rspamd/test.conf", port=11333)


def symbols(machine: Machine, client: str) -> set[str]:
    told = machine.run("python3", "-c", CLIENT, client, stdin=MESSAGE.format(client=client))
    found = json.loads(told)["symbols"]
    assert not found.get("WHIMBREL_FAIL", {}).get("score")
    return {name for name in found if name.startswith("WHIMBREL")}


def test_rspamd_names_the_reason_of_listed_clients(machine: MakeMachine, serve: Serve) -> None:
    mail_server = machine("rspamd")
    serve(mail_server)
    start_rspamd(mail_server)
    assert symbols(mail_server, "192.0.2.1") == {"WHIMBREL_SPAM"}
    assert symbols(mail_server, "203.0.113.4") == {"WHIMBREL_INFECTED"}
    assert symbols(mail_server, "2001:db8:1:2::5") == {"WHIMBREL_SPAM"}
    assert symbols(mail_server, "198.51.100.7") == set()


def test_rspamd_takes_no_complaint_for_a_listing(machine: MakeMachine) -> None:
    mail_server = machine("rspamd")
    start_rspamd(mail_server)
    with talking(mail_server, complaint) as asked:
        assert symbols(mail_server, "192.0.2.1") == set()
        assert "1.2.0.192.bl.example." in asked


def test_rspamd_goes_on_when_the_list_is_silent(machine: MakeMachine) -> None:
    mail_server = machine("rspamd")
    start_rspamd(mail_server)
    began = time.monotonic()
    with talking(mail_server, silence) as asked:
        assert symbols(mail_server, "192.0.2.1") == {"WHIMBREL_FAIL"}  # as docs/software.md says; it scores nothing
        assert any(name.endswith(".bl.example.") for name in asked)
    assert time.monotonic() - began < BOUND_SECONDS

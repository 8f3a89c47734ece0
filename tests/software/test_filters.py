"""SpamAssassin and Rspamd ask the list while they score a message."""

import json

import pytest
from tests.software.conftest import MakeMachine, Serve
from tests.software.machine import Machine, snippet
from tests.software.talking import complaint, talking

pytestmark = pytest.mark.debian

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


def test_spamassassin_scores_listed_clients(machine: MakeMachine, serve: Serve) -> None:
    mail_server = machine("spamassassin")
    serve(mail_server)
    # Its own rules ask a dozen lists of other people, which nobody reaches from here: only ours is loaded.
    mail_server.write("/etc/spamassassin/local.cf", SPAMASSASSIN + snippet("spamassassin.cf"))
    mail_server.write("/run/rules/empty.cf", "")
    as_its_user = ("setpriv", "--reuid=debian-spamd", "--clear-groups", "env", "HOME=/run/spamd")
    command = (
        *as_its_user,
        "spamassassin",
        "-t",
        "-x",
        "-p",
        "/dev/null",
        "-C",
        "/run/rules",
        "--siteconfigpath=/etc/spamassassin",
    )
    listed = mail_server.run(*command, stdin=MESSAGE.format(client="192.0.2.1"), check=False)
    assert "scores: RCVD_IN_WHIMBREL=3" in listed, listed
    ipv6 = mail_server.run(*command, stdin=MESSAGE.format(client="IPv6:2001:db8:1:2::5"), check=False)
    assert "RCVD_IN_WHIMBREL" in ipv6, ipv6
    unlisted = mail_server.run(*command, stdin=MESSAGE.format(client="198.51.100.7"), check=False)
    assert "scores: " in unlisted, unlisted
    assert "RCVD_IN_WHIMBREL" not in unlisted


def test_spamassassin_takes_no_complaint_for_a_listing(machine: MakeMachine) -> None:
    mail_server = machine("spamassassin")
    mail_server.write("/etc/spamassassin/local.cf", SPAMASSASSIN + snippet("spamassassin.cf"))
    mail_server.write("/run/rules/empty.cf", "")
    as_its_user = ("setpriv", "--reuid=debian-spamd", "--clear-groups", "env", "HOME=/run/spamd")
    command = ("spamassassin", "-t", "-x", "-p", "/dev/null", "-C", "/run/rules", "--siteconfigpath=/etc/spamassassin")
    with talking(mail_server, complaint) as asked:
        told = mail_server.run(*as_its_user, *command, stdin=MESSAGE.format(client="192.0.2.1"), check=False)
        assert "scores: " in told, told
        assert "RCVD_IN_WHIMBREL" not in told
        assert "1.2.0.192.bl.example." in asked


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
    machine.run("install", "-d", "-o", "_rspamd", "/var/lib/rspamd", "/run/rspamd")
    machine.start("rspamd", "-f", "-i", "-c", "/etc/rspamd/test.conf", port=11333)


def symbols(machine: Machine, client: str) -> set[str]:
    told = machine.run("python3", "-c", CLIENT, client, stdin=MESSAGE.format(client=client))
    return {name for name in json.loads(told)["symbols"] if name.startswith("WHIMBREL")}


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

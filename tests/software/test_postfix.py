"""Postfix asks the list: from smtpd, and from postscreen before it."""

import time

import pytest
from tests.software.conftest import MakeMachine, Serve
from tests.software.machine import Machine, snippet
from tests.software.talking import complaint, silence, talking

pytestmark = pytest.mark.debian

BOUND_SECONDS = 15.0  # two tries of two seconds for a question, as configured, and a margin for a busy machine

MAIN = """
compatibility_level = 3.6
myhostname = mx.example.org
mydestination = example.org
mynetworks = 198.51.100.25/32
inet_interfaces = loopback-only
local_recipient_maps =
local_transport = discard:
alias_maps =
maillog_file = /var/log/mail.log
smtpd_peername_lookup = no
postscreen_greet_wait = 2s
"""
PLAIN = "smtp inet n - n - - smtpd\n"
SCREENED = """
smtp inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
"""
SERVICES = """
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
discard unix - - n - - discard
error unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def start(machine: Machine, door: str, *settings: str) -> None:
    machine.write("/etc/resolv.conf", snippet("resolv.conf"))
    machine.write("/etc/postfix/main.cf", MAIN + "".join(map(snippet, settings)))
    machine.write("/etc/postfix/master.cf", door + SERVICES)
    machine.run("mkdir", "-p", "/var/spool/postfix", "/var/lib/postfix")
    machine.run("chown", "postfix:", "/var/lib/postfix")
    machine.run("postfix", "start")
    machine.await_port(25)


def test_postfix_refuses_listed_clients_with_our_reason(machine: MakeMachine, serve: Serve) -> None:
    mail_server = machine("postfix")
    serve(mail_server)
    start(mail_server, PLAIN, "postfix-main.cf")
    refusal = mail_server.send_from("192.0.2.1")
    assert refusal.startswith("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.example; ")
    assert "192.0.2.1 is listed as spam source until 2026-" in refusal
    assert "listed as infected host" in mail_server.send_from("203.0.113.4")
    assert "listed as spam source" in mail_server.send_from("2001:db8:1:2::5")
    assert mail_server.send_from("198.51.100.7").startswith("250 ")
    assert mail_server.send_from("2001:db8:9::1").startswith("250 ")


def test_postfix_lets_its_own_network_in_before_it_asks(machine: MakeMachine, serve: Serve) -> None:
    mail_server = machine("postfix")
    serve(mail_server)
    start(mail_server, PLAIN, "postfix-main.cf")
    mail_server.run("postconf", "mynetworks = 192.0.2.1/32")
    mail_server.run("postfix", "reload")
    time.sleep(0.5)  # processes that serve already take the change with their next connection
    assert mail_server.send_from("192.0.2.1").startswith("250 ")
    # A stranger who wants to relay hears that first, and costs no question.
    assert "Relay access denied" in mail_server.send_from("203.0.113.4", recipient="user@elsewhere.example")
    assert "listed as infected host" in mail_server.send_from("203.0.113.4")


def test_postfix_takes_mail_when_the_list_is_dead(machine: MakeMachine) -> None:
    mail_server = machine("postfix")  # nothing answers at port 5300
    start(mail_server, PLAIN, "postfix-main.cf")
    began = time.monotonic()
    assert mail_server.send_from("192.0.2.1").startswith("250 ")
    assert time.monotonic() - began < BOUND_SECONDS
    mail_server.await_text("RBL lookup error", "/var/log/mail.log")


def test_postfix_takes_mail_when_the_list_is_silent(machine: MakeMachine) -> None:
    mail_server = machine("postfix")
    start(mail_server, PLAIN, "postfix-main.cf")
    began = time.monotonic()
    with talking(mail_server, silence):
        assert mail_server.send_from("192.0.2.1").startswith("250 ")
    assert time.monotonic() - began < BOUND_SECONDS


def test_postfix_takes_no_complaint_for_a_listing(machine: MakeMachine) -> None:
    mail_server = machine("postfix")
    start(mail_server, PLAIN, "postfix-main.cf")
    with talking(mail_server, complaint) as asked:
        assert mail_server.send_from("192.0.2.1").startswith("250 ")
        assert "1.2.0.192.bl.example." in asked


def test_postscreen_adds_up_points(machine: MakeMachine, serve: Serve) -> None:
    mail_server = machine("postfix")
    serve(mail_server)
    start(mail_server, SCREENED, "postfix-main.cf", "postfix-postscreen.cf")
    assert mail_server.send_from("192.0.2.1").startswith("550 5.7.1 Service unavailable; client [192.0.2.1] blocked")
    mail_server.await_text("DNSBL rank 3 for [192.0.2.1]", "/var/log/mail.log")
    assert mail_server.send_from("198.51.100.7").startswith("250 ")
    assert mail_server.send_from("198.51.100.25").startswith("250 ")


def test_postscreen_takes_no_complaint_for_a_listing(machine: MakeMachine) -> None:
    mail_server = machine("postfix")
    start(mail_server, SCREENED, "postfix-main.cf", "postfix-postscreen.cf")
    with talking(mail_server, complaint) as asked:
        assert mail_server.send_from("192.0.2.1").startswith("250 ")
        assert "1.2.0.192.bl.example." in asked


def test_postscreen_takes_mail_when_the_list_is_silent(machine: MakeMachine) -> None:
    mail_server = machine("postfix")
    start(mail_server, SCREENED, "postfix-main.cf", "postfix-postscreen.cf")
    began = time.monotonic()
    with talking(mail_server, silence) as asked:
        assert mail_server.send_from("192.0.2.1").startswith("250 ")
        assert "1.2.0.192.bl.example." in asked
    assert time.monotonic() - began < BOUND_SECONDS

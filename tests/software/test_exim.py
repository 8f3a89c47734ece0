"""Exim asks the list in its ACL for RCPT."""

import time

import pytest
from tests.software.conftest import MakeMachine, Serve
from tests.software.machine import Machine, snippet
from tests.software.talking import complaint, silence, talking

pytestmark = pytest.mark.debian

BOUND_SECONDS = 15.0  # two tries of two seconds for a question, as configured, and a margin for a busy machine

CONFIG = """
primary_hostname = mx.example.org
domainlist local_domains = example.org
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept_data
log_file_path = /var/log/exim4/%slog
local_interfaces = <; 127.0.0.1 ; ::1
dns_retrans = 2s
dns_retry = 2
host_lookup =
begin acl
check_rcpt:
  accept hosts = 198.51.100.25
  require domains = +local_domains
{deny}
  accept
accept_data:
  accept
begin routers
all:
  driver = redirect
  data = :blackhole:
"""


def start(machine: Machine) -> None:
    machine.write("/etc/resolv.conf", snippet("resolv.conf"))
    machine.write("/etc/exim4/exim4.conf", CONFIG.format(deny=snippet("exim-acl.conf")))
    machine.run("install", "-d", "-o", "Debian-exim", "/var/spool/exim4", "/var/log/exim4")
    machine.start("exim4", "-bdf", "-oX", "25", "-C", "/etc/exim4/exim4.conf", port=25)


def test_exim_refuses_listed_clients_with_our_reason(machine: MakeMachine, serve: Serve) -> None:
    mail_server = machine("exim")
    serve(mail_server)
    start(mail_server)
    refusal = mail_server.send_from("192.0.2.1")
    assert refusal.startswith("550 192.0.2.1 is blocked by bl.example: 192.0.2.1 is listed as spam source until 2026-")
    assert "listed as infected host" in mail_server.send_from("203.0.113.4")
    assert "listed as spam source" in mail_server.send_from("2001:db8:1:2::5")
    assert mail_server.send_from("198.51.100.7").startswith("250 ")
    assert mail_server.send_from("2001:db8:9::1").startswith("250 ")


def test_exim_takes_mail_when_the_list_is_dead(machine: MakeMachine) -> None:
    mail_server = machine("exim")  # nothing answers at port 5300
    start(mail_server)
    began = time.monotonic()
    assert mail_server.send_from("192.0.2.1").startswith("250 ")
    assert time.monotonic() - began < BOUND_SECONDS


def test_exim_takes_mail_when_the_list_is_silent(machine: MakeMachine) -> None:
    mail_server = machine("exim")
    start(mail_server)
    began = time.monotonic()
    with talking(mail_server, silence):
        assert mail_server.send_from("192.0.2.1").startswith("250 ")
    assert time.monotonic() - began < BOUND_SECONDS


def test_exim_takes_no_complaint_for_a_listing(machine: MakeMachine) -> None:
    mail_server = machine("exim")
    start(mail_server)
    with talking(mail_server, complaint) as asked:
        assert mail_server.send_from("192.0.2.1").startswith("250 ")
        assert "1.2.0.192.bl.example." in asked

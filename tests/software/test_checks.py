"""The list seen through tools that people type: rblcheck, host and adnshost."""

import pytest
from tests.software.conftest import MakeMachine, Serve

pytestmark = pytest.mark.debian


def test_check_tools_read_what_we_say(machine: MakeMachine, serve: Serve) -> None:
    desk = machine("checks")
    serve(desk)
    listed = desk.run("rblcheck", "-t", "-s", "bl.example", "192.0.2.1", check=False)
    assert "192.0.2.1 listed by bl.example" in listed
    assert "192.0.2.1 is listed as spam source" in listed
    assert "198.51.100.7 not listed by bl.example" in desk.run("rblcheck", "-s", "bl.example", "198.51.100.7")
    assert "has address 127.0.0.4" in desk.run("host", "-t", "A", "4.113.0.203.bl.example")
    assert "NXDOMAIN" in desk.run("host", "-t", "A", "7.100.51.198.bl.example", check=False)
    assert "127.0.0.2" in desk.run("adnshost", "-t", "a", "1.2.0.192.bl.example")

"""Transfers from the whole service, and what it does not begin with."""

import socket
from pathlib import Path

import dns.message
import dns.opcode
import dns.query
import dns.rdatatype
import dns.xfr
import dns.zone
import pytest
from tests.cli.running import refused, run
from tests.cli.service import PATIENCE_SECONDS, Service, deliver, spam, until
from tests.nameserver.transfer.asking import KEY, KEYS, SECRET


@pytest.fixture
def service(tmp_path: Path) -> Service:
    keys = tmp_path / "transfer.keys"
    keys.write_text(f"hmac-sha256:secondary.example:{SECRET}\n")
    keys.chmod(0o600)
    return Service(tmp_path)


def test_a_secondary_hears_of_a_listing_and_takes_what_changed(service: Service) -> None:
    """Its copy is dnspython's, which knows both kinds of transfer."""
    with socket.socket(type=socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(PATIENCE_SECONDS)
        given = ['transfer_keys = "transfer.keys"', 'transfer_to = ["127.0.0.1"]']
        given += [f'notify = ["secondary.example@127.0.0.1:{ear.getsockname()[1]}"]']
        # Secondaries follow snapshots, so these come soon.
        service.settings(serve="\n".join(['listen = ["127.0.0.1:0"]', *given]), publish="overlay_seconds = 0.5")
        copy = dns.zone.Zone("bl.example.")
        with service:
            deliver(service.maildir, "1.host", spam("91.1.1.7"))
            until(lambda: service.is_listed_itself("91.1.1.7"), "a delivered message lists its host")

            def is_copied() -> bool:
                told, client = ear.recvfrom(65_535)
                message = dns.message.from_wire(told, keyring=KEYS)
                assert message.opcode() == dns.opcode.NOTIFY
                assert message.had_tsig
                ear.sendto(dns.message.make_response(message).to_wire(), client)
                query, _ = dns.xfr.make_query(copy, keyring=KEY)
                dns.query.inbound_xfr("127.0.0.1", copy, query, port=service.port, timeout=PATIENCE_SECONDS)
                return copy.get_rdataset("7.1.1.91", "A") is not None

            until(is_copied, "what it is told of is what it gets")
            deliver(service.maildir, "2.host", spam("91.2.2.7", number=2))
            until(lambda: is_copied() and copy.get_rdataset("7.2.2.91", "A") is not None, "and what comes later")
            assert copy.get_rdataset("7.1.1.91", "TXT") is not None


def test_what_transfers_cannot_begin_with_is_one_line(service: Service) -> None:
    for option in ("--transfer-to=127.0.0.1", "--transfer-keys=transfer.keys", "--notify=127.0.0.1"):
        refused(run("serve", option, data=service.data), "transfers want both keys and addresses", "not given")
    both = ("--transfer-keys", service.folder / "none", "--transfer-to", "127.0.0.1")
    refused(run("serve", *both[:3], "127.0.0.1/8", data=service.data), "127.0.0.1/8", "no prefix")
    refused(run("serve", *both, "--notify", "nowhere", data=service.data), "nowhere", "192.0.2.53")
    for written, *words in (
        ('transfer_to = ["127.0.0.1"]', "serve.transfer_to", "line 1", "not given"),
        ('transfer_keys = "none"\ntransfer_to = ["127.0.0.1"]', "none", "cannot be read"),
    ):
        service.settings(serve=written)
        refused(run("run", "--config", service.config, data=service.data), *words)

"""The demo: the commands that a user would type, on the mail that ships, and a mail server's questions to the list.

It runs each command as a user would and shows it first; nothing here is made up for show.  The store is a temporary
folder that goes when the demo ends.
"""

import json
import os
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from ipaddress import ip_address
from pathlib import Path

HERE = Path(__file__).resolve().parent
MAIL = HERE / "mail" / "spamassassin.tar.xz"
WHIMBREL = Path(sys.executable).with_name("whimbrel")
WORLD = HERE.parent / "worlds" / "demo.toml"
ZONE = "bl.example"
NOW = "2002-07-27"

INTRO = f"""\
Whimbrel reads mail, works out who sends spam, and answers mail servers over DNS from a list that explains itself.

The mail is real, of 2001 and 2002, and was received by one site. So this demo takes it to be {NOW}, ignores all later
mail, and decides by the profile `own`: a list for that site's own servers, from what these servers received. The
addresses belong to others by now: the list is marked as a demo and served on this machine only.
"""


SECOND_ACT = """\
Are a worm and a spam campaign connected? In 2003 nobody could prove it. The mail above has no worm infections in it, so
what follows is SIMULATED: eight families, three campaigns, 64,000 observations by two sensors. One link was planted
(hosts of family-01 send campaign-001 five times as readily as others); family-08 is seen too seldom to say anything.
"""


def main() -> int:
    """Run the demo; return its exit code."""
    print(INTRO)
    with tempfile.TemporaryDirectory(prefix="whimbrel-demo-") as data:
        os.environ["WHIMBREL_DATA"] = data
        ingest_mail()
        show_what_was_found()
        run("publish", "--zone", ZONE, "--now", NOW)
        return serve_and_ask(stay="--once" not in sys.argv[1:])


def ingest_mail() -> None:
    """Read the shipped mail, as an operator who knows his own relays would."""
    told = "".join((HERE / "mail" / name).read_text(encoding="utf-8") for name in ("relays", "list-nodes"))
    trust = [word for line in told.splitlines() if not line.startswith("#") for word in ("--trust", line)]
    mail = os.path.relpath(MAIL)
    labels = os.path.relpath(MAIL.with_name("labels"))
    run("ingest", mail, "--labels", labels, *trust, "--profile", "own", "--now", NOW, "--demo")


def show_what_was_found() -> None:
    """Print who and what was seen."""
    run("hosts", "--limit", "6", "--now", NOW)
    run("hosts", "--by-network", "--limit", "6", "--now", NOW)
    run("campaigns", "--limit", "6", "--now", NOW)
    run("listings", "--limit", "6", "--now", NOW)


def serve_and_ask(*, stay: bool) -> int:
    """Start the name server on a free port, ask it as a mail server does, and leave it running if it is to stay."""
    shown = ["serve", "--listen", "127.0.0.1:0", "--now", NOW]
    say(shown)
    with subprocess.Popen([WHIMBREL, *shown, "--json"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line:
                return server.wait() or 1
            port = json.loads(line)["listening"][0]["port"]
            print(f"answering on 127.0.0.1 port {port}\n")
            listed, unlisted = pick_addresses()
            for address in (listed, unlisted):
                ask(address, port)
            run("why", listed, "--now", NOW)
            run("why", unlisted, "--now", NOW)
            show_links()
            if stay:
                stay_until_told(server, listed, port)
        except KeyboardInterrupt:
            print()
        finally:
            server.send_signal(signal.SIGTERM)
    return 0


def show_links() -> None:
    """Play the second act: worms and campaigns, in a simulated world."""
    print(SECOND_ACT)
    folder = Path(os.environ["WHIMBREL_DATA"]) / "world"
    lines, picture = f"{folder}.jsonl", f"{tempfile.gettempdir()}/whimbrel-demo-pair.svg"
    run("simulate", os.path.relpath(WORLD), "--out", lines)
    run("observe", lines, "--data", str(folder))
    run("links", "--matrix", "--data", str(folder))
    run("link", "family-01", "campaign-001", "--data", str(folder), "--picture", picture)


def stay_until_told(server: subprocess.Popen[str], listed: str, port: int) -> None:
    """Go on serving, and say what to try meanwhile."""
    name = reversed_name(listed)
    print(
        f"Still answering; Ctrl-C ends it. In another terminal, try:\n"
        f"  dig @127.0.0.1 -p {port} {name} A +short\n"
        f"  dig @127.0.0.1 -p {port} {name} TXT +short\n"
        f"  WHIMBREL_DATA={os.environ['WHIMBREL_DATA']} {os.path.relpath(WHIMBREL)} listings --now {NOW} --limit 0"
    )
    server.wait()


def pick_addresses() -> tuple[str, str]:
    """Return the listed host that sent most spam, and the unlisted one that sent most legitimate mail."""
    done = subprocess.run(
        [WHIMBREL, "hosts", "--json", "--limit", "0", "--now", NOW], stdout=subprocess.PIPE, text=True, check=True
    )
    hosts = [json.loads(line) for line in done.stdout.splitlines()]
    listed = max((host for host in hosts if host["listed"]), key=lambda host: host["spam_messages"])
    unlisted = max((host for host in hosts if not host["listed"]), key=lambda host: host["ham_messages"])
    return listed["host"], unlisted["host"]


def ask(address: str, port: int) -> None:
    """Ask for the address as a mail server would when it connects, and print the answer."""
    name = reversed_name(address)
    print(f"A client connects from {address}. The mail server asks for {name}:")
    code = query(name, 1, port)
    if code is None:
        print("  NXDOMAIN: not listed, mail is accepted\n")
        return
    print(f"  A    {ip_address(code)}")
    text = query(name, 16, port)
    if text is not None:
        print(f"  TXT  {text[1:].decode()}\n")


def reversed_name(address: str) -> str:
    """Return the name that a blocklist is asked for (RFC 5782, section 2.1)."""
    return ".".join(reversed(address.split("."))) + "." + ZONE


def query(name: str, type_: int, port: int) -> bytes | None:
    """Return the data of the first answer over UDP, or None where there is none."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = labels + b"\0" + struct.pack(">HH", type_, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        asking.connect(("127.0.0.1", port))
        asking.send(struct.pack(">HHHHHH", 0x5742, 0x0100, 1, 0, 0, 0) + question)
        answer = asking.recv(4096)
    if not int.from_bytes(answer[6:8], "big"):
        return None
    record = answer[12 + len(question) :]  # the name is a pointer of two octets to the question's
    length = int.from_bytes(record[10:12], "big")
    return record[12 : 12 + length]


def say(arguments: list[str]) -> None:
    """Show a command as it would be typed; relays told one by one are many, and shown as what they are."""
    written = shlex.join(["whimbrel", *arguments])
    first, found, rest = written.partition(" --trust ")
    if found:
        written = f"{first} --trust ... (those in samples/mail/relays and list-nodes) {rest[rest.index('--profile') :]}"
    print(f"$ {written}", flush=True)


def run(*arguments: str) -> None:
    """Show a command, run it, and end the demo where it fails."""
    say(list(arguments))
    done = subprocess.run([WHIMBREL, *arguments], check=False)
    if done.returncode:
        sys.exit(done.returncode)
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())

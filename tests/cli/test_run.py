"""The whole service, as an operator has it: mail in a folder, answers over DNS, signals, faults."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dns.message
import pytest
from tests.cli.running import refused, run
from tests.cli.service import ZONE, Asking, Service, deliver, spam, until
from tests.pipeline.mail import mbox_of

import whimbrel


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def children_of(pid: int) -> list[int]:
    """Return the processes below a process, all the way down."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *children_of(child)]
    return found


def is_alive(pid: int) -> bool:
    """Tell whether a process still does anything; one that nobody has collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_mail_that_arrives_is_listed_over_dns(service: Service) -> None:
    with service:
        assert not service.is_listed("91.1.1.7")
        deliver(service.maildir, "1.host", spam("91.1.1.7"))
        until(lambda: service.is_listed("91.1.1.7"), "a delivered message lists its host")
        (told,) = run("why", "91.1.1.7", "--json", data=service.data).rows()  # readers work beside it
        assert told["is_listed"]

        code, ready = service.page("/readyz")
        assert (code, json.loads(ready)["reasons"]) == (200, [])
        assert service.page("/healthz")[0] == 200
        assert service.page("/elsewhere")[0] == 404
        assert service.metric("whimbrel_messages_total") == 1
        assert service.metric("whimbrel_listings_in_force") > 0
        until(lambda: service.metric("whimbrel_dns_queries_total") > 1, "the name server's counts get there")
    assert {"at", "level", "logger", "pid", "message"} <= set(service.logged()[-1])
    told = [line["message"] for line in service.logged() if line["level"] == "info"]
    assert "messages read: 1 spam" in told
    assert any(text.startswith("published snapshot ") for text in told)


def test_what_people_decide_is_published_by_itself(service: Service) -> None:
    with service:
        for number, address in enumerate(("91.1.1.7", "91.2.2.7"), start=1):
            deliver(service.maildir, f"{number}.host", spam(address, number=number))
            until(partial(service.is_listed, address), "spam lists a host")
        assert run("remove", "91.1.1.7", "--why", "it was cleaned", data=service.data).code == 0
        until(lambda: not service.is_listed_itself("91.1.1.7"), "a removal reaches the answers")
        assert service.is_listed_itself("91.2.2.7")
        deliver(service.maildir, "3.host", spam("91.3.3.7", number=3))
        until(lambda: service.is_listed("91.3.3.7"), "and the service decides on from there")
        assert not service.is_listed_itself("91.1.1.7")
    assert not [line for line in service.logged() if line["level"] == "error"]


def test_its_name_server_is_guarded_by_the_settings(service: Service) -> None:
    key = "abcdefghijklmnopqrstuvwx23"
    (service.folder / "subscribers").write_text(f"acme {key} 1\n")
    (service.folder / "subscribers").chmod(0o600)
    guards = 'exempt = []\nrate_limit = 5\nslip = 0\nsubscribers = "subscribers"'
    service.settings(serve=f'listen = ["127.0.0.1:0"]\n{guards}')
    with service:
        assert [service.ask(f"{key}.127.0.0.2") for _ in range(2)] == [0, 0]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            for _ in range(20):
                flood.sendto(dns.message.make_query(f"2.0.0.127.{ZONE}.", "A").to_wire(), ("127.0.0.1", service.port))
        until(lambda: service.metric("whimbrel_dns_dropped_total") > 10, "a flood is limited")
        metrics = service.page("/metrics")[1]
        assert 'whimbrel_dns_hits_total{code="127.255.255.255"} 1.0' in metrics
        (told,) = run("top", "--once", "--every", "0.1", "--json", data=service.data).rows()
        assert told["subscribers"] == {"acme": {"used": 2, "limit": 1}}
    assert key not in metrics + service.log()


def test_an_mbox_and_a_folder_are_watched_beside_it(service: Service) -> None:
    box, folder = service.folder / "box", service.folder / "reports"
    folder.mkdir()
    places = {"box": "mbox", "reports": "folder"}
    watch = "".join(
        f'[[watch]]\npath = "{path}"\nkind = "{kind}"\nsensor = "{kind}"\nlabel = "spam"\n'
        for path, kind in places.items()
    )
    service.settings(watch=watch)
    with service:
        box.write_bytes(mbox_of([spam("91.2.1.7")]))
        (folder / "one.eml").write_bytes(spam("91.3.1.7"))
        for address in ("91.2.1.7", "91.3.1.7"):
            until(partial(service.is_listed, address), address)
        with box.open("ab") as file:
            file.write(mbox_of([spam("91.2.2.7")]))
        until(lambda: service.is_listed("91.2.2.7"), "what was appended is read")
        assert service.metric("whimbrel_messages_total") == 3
        assert service.metric("whimbrel_polling") == 0


def test_without_notices_it_looks_by_itself(service: Service) -> None:
    service.settings(cycle="polling = true\npoll_seconds = 0.2")
    with service:
        assert service.metric("whimbrel_polling") == 1
        deliver(service.maildir, "1.host", spam("91.1.1.7"))
        until(lambda: service.is_listed("91.1.1.7"), "polling finds it")


def test_a_place_that_comes_later_is_watched_then(service: Service) -> None:
    service.settings(watch='[[watch]]\npath = "later"\nsensor = "mx2"\nlabel = "spam"\n')
    with service:
        deliver(service.folder / "later", "1.host", spam("91.1.1.7"))
        until(lambda: service.is_listed("91.1.1.7"), "a maildir made later is read")
    assert any("later" in line["message"] for line in service.logged() if line["level"] == "error")


def test_a_reload_loses_no_query_and_takes_what_is_new(service: Service) -> None:
    with service, Asking(service, "127.0.0.2") as asking:
        service.settings(watch='[[watch]]\npath = "more"\nsensor = "mx2"\nlabel = "spam"\n', log='level = "warning"')
        deliver(service.folder / "more", "1.host", spam("91.1.1.7"))
        asked = len(asking.answers)
        first = service.told["name_server"]
        service.process.send_signal(signal.SIGHUP)
        until(lambda: service.is_listed("91.1.1.7"), "the new place is read")
        until(lambda: not is_alive(first), "a new name server takes the place of the old")
        assert service.metric("whimbrel_reloads_total") == 1
        until(lambda: len(asking.answers) > asked + 100, "it answers on")
        assert service.metric("whimbrel_name_server_restarts_total") == 0


def test_a_bad_file_at_a_reload_leaves_the_old_settings_in_force(service: Service) -> None:
    def reloaded(before: float) -> bool:
        return service.metric("whimbrel_reloads_total") > before

    with service, Asking(service, "127.0.0.2"):
        for wrong, said in (
            ({"cycle": 'jobs = "many"'}, "cycle.jobs"),
            ({"publish": 'zone = "a..b"'}, "publish.zone"),
            ({"store": 'data = "elsewhere"'}, "takes a restart"),
            ({"serve": 'listen = ["192.0.2.1:5353"]'}, "cannot listen"),
            ({"metrics": 'listen = "192.0.2.1:1"'}, "metrics"),
        ):
            before = service.metric("whimbrel_reloads_total")
            service.settings(**wrong)
            service.process.send_signal(signal.SIGHUP)
            until(partial(reloaded, before), said)
            last = [line for line in service.logged() if line["level"] == "error"][-1]["message"]
            assert "the old ones stay in force" in last
            assert said in last
        deliver(service.maildir, "1.host", spam("91.1.1.7"))
        until(lambda: service.is_listed("91.1.1.7"), "it works on by the old settings")


def test_an_endpoint_can_be_added_by_a_reload(service: Service) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    service.settings(serve=f'listen = ["127.0.0.1:{port}"]')
    with service, Asking(service, "127.0.0.2"):
        service.settings(serve=f'listen = ["127.0.0.1:{port}", "127.0.0.2:{port}"]')
        service.process.send_signal(signal.SIGHUP)

        def answers() -> bool:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
                return tcp.connect_ex(("127.0.0.2", port)) == 0

        until(answers, "it listens there too")


def test_a_name_server_that_is_killed_is_back_and_no_query_is_lost(service: Service) -> None:
    with service, Asking(service, "127.0.0.2") as asking:
        killed = service.told["name_server"]
        before = len(asking.answers)
        os.kill(killed, signal.SIGKILL)
        began = time.monotonic()
        # The one query that it had in hand may be lost with it; the client's own retry, here its patience, covers that.
        until(lambda: len(asking.answers) > before + 10 or asking.fault is not None, "it answers again")
        if asking.fault is None:
            assert time.monotonic() - began < 10
        asking.fault = None
        until(lambda: service.is_listed("127.0.0.2"), "it answers again")
        assert service.metric("whimbrel_name_server_restarts_total") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_and_leaves_no_process(service: Service, number: signal.Signals) -> None:
    with service:
        deliver(service.maildir, "1.host", spam("91.1.1.7"))
        until(lambda: service.is_listed("91.1.1.7"), "it works")
        below = children_of(service.process.pid)
        assert len(below) >= 2  # the name server, the readers and who starts them
        service.process.send_signal(number)
        assert service.process.wait(20) == 0
        until(lambda: not any(map(is_alive, below)), "no process is left")


def test_its_children_end_when_it_is_killed(service: Service) -> None:
    service.start()
    deliver(service.maildir, "1.host", spam("91.1.1.7"))
    until(lambda: service.is_listed("91.1.1.7"), "it works")
    below = children_of(service.process.pid)
    service.process.kill()
    service.process.wait()
    service.close()
    until(lambda: not any(map(is_alive, below)), "no process is left")
    with service:  # and it starts again, on the same store
        assert service.is_listed("91.1.1.7")


def test_one_pass_does_all_of_it_once(service: Service) -> None:
    deliver(service.maildir, "1.host", spam("91.1.1.7"))
    ran = run("run", "--once", "--config", service.config, "--json", data=service.data)
    assert ran.code == 0, ran.err
    (told,) = ran.rows()
    assert (told["messages"], told["observations"], told["decided"]) == (1, 1, 1)
    assert told["in_force"] > 0
    (again,) = run("run", "--once", "--config", service.config, "--json", data=service.data).rows()
    assert (again["messages"], again["in_force"]) == (0, told["in_force"])
    assert again["serial"] > told["serial"]
    assert "1 messages" not in run("run", "--once", "--config", service.config, data=service.data).out


def test_one_pass_says_what_it_could_not_read(service: Service) -> None:
    service.settings(watch='[[watch]]\npath = "later"\nsensor = "mx2"\nlabel = "spam"\n')
    deliver(service.maildir, "1.host", spam("91.1.1.7"))
    ran = run("run", "--once", "--config", service.config, data=service.data)
    assert (ran.code, ran.out) == (1, "")
    *logged, line = ran.err.splitlines()
    assert [each["level"] for each in map(json.loads, logged) if each["level"] != "info"] == ["error"]
    assert line.startswith(f"whimbrel: {service.folder / 'later'}: the maildir cannot be read (No such file")
    (service.folder / "later" / "new").mkdir(parents=True)
    (service.folder / "later" / "cur").mkdir()
    (told,) = run("run", "--once", "--config", service.config, "--json", data=service.data).rows()
    assert told["messages"] == 0  # the readable place was read the first time


def test_it_has_the_store_to_itself(service: Service) -> None:
    with service:
        refused(run("run", "--once", "--config", service.config, data=service.data), str(service.process.pid))
        refused(run("ingest", service.maildir, data=service.data), str(service.process.pid))
        ports = f'listen = ["127.0.0.1:{service.port}"]', f'listen = "127.0.0.1:{service.told["metrics"]["port"]}"'
        service.settings(serve=ports[0], metrics=ports[1])
        second = run("run", "--config", service.config, data=service.data)
        refused(second, str(service.process.pid), str(service.data))


def test_what_it_cannot_begin_with_is_one_line(service: Service) -> None:
    refused(run("run", "--config", service.folder / "none.toml", data=service.data), "none.toml")
    service.settings(cycle="jobs = 0")
    refused(run("run", "--config", service.config, data=service.data), "cycle.jobs", "line")
    service.settings(serve='listen = ["192.0.2.1:5353"]')
    refused(run("run", "--config", service.config, data=service.data), "cannot listen on 192.0.2.1")
    service.settings(metrics='listen = "192.0.2.1:5353"')
    refused(run("run", "--config", service.config, data=service.data), "metrics")


def test_a_demo_is_not_served_to_strangers(service: Service) -> None:
    deliver(service.maildir, "1.host", spam("91.1.1.7"))
    options = ("--label", "spam", "--profile", "own", "--demo")
    assert run("ingest", service.maildir, *options, data=service.data).code == 0
    service.settings(serve='listen = ["0.0.0.0:0"]', log='format = "json"\nlevel = "error"')
    refused(run("run", "--config", service.config, data=service.data), "demo", "0.0.0.0")
    service.settings()
    with service:
        assert service.is_listed("127.0.0.2")
        service.settings(serve='listen = ["0.0.0.0:0"]')
        service.process.send_signal(signal.SIGHUP)
        until(lambda: service.metric("whimbrel_reloads_total") == 1, "it is refused")
        assert "demo" in [line for line in service.logged() if line["level"] == "error"][-1]["message"]


def test_answers_go_on_from_the_list_that_is_there_while_the_store_is_opened(service: Service) -> None:
    with service:
        deliver(service.maildir, "1.host", spam("91.1.1.7"))
        until(lambda: service.is_listed("91.1.1.7"), "it works")
    serial = json.loads(run("status", "--json", data=service.data).out)["snapshot"]["serial"]
    with service:
        assert service.is_listed("91.1.1.7")
        assert json.loads(service.page("/readyz")[1])["serial"] > serial


def test_systemd_is_told(service: Service) -> None:
    where = service.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(where))
        manager.settimeout(20)
        asked = Service(service.folder, environment={"NOTIFY_SOCKET": str(where), "WATCHDOG_USEC": "400000"})
        said = []
        with asked:
            while b"WATCHDOG=1" not in said or b"READY=1" not in said:
                said.append(manager.recv(1000))
            asked.process.send_signal(signal.SIGHUP)
            while not said[-1].startswith(b"RELOADING=1\nMONOTONIC_USEC="):
                said.append(manager.recv(1000))
            asked.process.send_signal(signal.SIGTERM)
            while said[-1] != b"STOPPING=1":
                said.append(manager.recv(1000))


NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others can reach: those of pytest lie in ones that are closed to them."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can become nobody")
def test_an_ordinary_user_is_enough(open_folder: Path) -> None:
    python, environment = _python_for_nobody()
    program = [*NOBODY, python, "-c", "from whimbrel.cli import main; main()"]
    service = Service(open_folder, program=program, environment=environment)
    for place in (open_folder, service.maildir, *service.maildir.iterdir()):
        os.chown(place, 65534, 65534)
    with service:
        draft = service.maildir / "tmp" / "1"
        draft.write_bytes(spam("91.1.1.7"))
        draft.chmod(0o644)
        draft.rename(service.maildir / "new" / "1")
        until(lambda: service.is_listed("91.1.1.7"), "it works as nobody")
        assert (service.data / "evidence").stat().st_uid == 65534


def _python_for_nobody() -> tuple[str, dict[str, str]]:
    """Return an interpreter that nobody can start from another one, and what it needs to find the program; or skip."""
    modules = os.pathsep.join(path for path in sys.path if path.endswith(("site-packages", "src")))
    source = str(Path(whimbrel.__file__).parents[1])
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python, environment in (
        (sys.executable, {}),
        (f"/usr/bin/{version}", {"PYTHONPATH": f"{source}{os.pathsep}{modules}"}),
    ):
        asks = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', 'import whimbrel, numpy']))"
        asked = [*NOBODY, python, "-c", asks]
        if subprocess.run(asked, capture_output=True, check=False, env={**os.environ, **environment}).returncode == 0:
            return python, environment
    pytest.skip("nobody may not read where the program, or an interpreter for it, is installed")

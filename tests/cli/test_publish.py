import os
import subprocess
from pathlib import Path

from tests.cli.running import WHIMBREL, Ran, run
from tests.cli.service import Service, deliver, spam

from whimbrel.wire.snapshot import Snapshot


def asked(*arguments: str, **environment: str) -> Ran:
    """Run a command where nothing but some variables of the environment says which store it is about."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("WHIMBREL_")}
    done = subprocess.run(
        [WHIMBREL, *arguments], capture_output=True, text=True, env={**inherited, **environment}, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def with_settings(folder: Path) -> Service:
    """Return a service that has run once by settings of its own."""
    service = Service(folder)
    service.settings(publish='zone = "list.example"\nservers = ["ns.example"]\nsnapshot = "served"\nvalid_hours = 3.0')
    deliver(service.maildir, "1.host", spam("91.1.1.7"))
    assert run("run", "--once", "--config", service.config, data=service.data).code == 0
    return service


def test_it_goes_by_the_settings_of_run(tmp_path: Path) -> None:
    service = with_settings(tmp_path)
    by_run = Snapshot((tmp_path / "served").read_bytes())
    for named in (("--config", str(service.config)), ()):
        ran = asked("publish", *named, **({} if named else {"WHIMBREL_CONFIG": str(service.config)}))
        assert ran.code == 0, ran.err
        published = Snapshot((tmp_path / "served").read_bytes())
        assert published.zone == by_run.zone
        assert published.expires - published.born == 3 * 3600
    (status,) = run("status", "--json", data=service.data).rows()
    assert status["snapshot"]["path"] == str(tmp_path / "served")
    assert run("export", "plain", data=service.data).out.splitlines()[-1] == "91.1.1.7"


def test_an_option_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    service = with_settings(tmp_path)
    variables = {"WHIMBREL_CONFIG": str(service.config), "WHIMBREL_PUBLISH_ZONE": "variable.example"}
    (told,) = asked("publish", "--json", **variables).rows()
    assert (told["zone"], told["path"]) == ("variable.example", str(tmp_path / "served"))
    (told,) = asked("publish", "--json", "--zone", "option.example", "--out", str(tmp_path / "out"), **variables).rows()
    assert (told["zone"], told["path"]) == ("option.example", str(tmp_path / "out"))


def test_every_command_finds_the_store_by_the_settings_that_the_environment_names(tmp_path: Path) -> None:
    service = with_settings(tmp_path)
    named = {"WHIMBREL_CONFIG": str(service.config)}
    (told,) = asked("status", "--json", **named).rows()
    assert told["data"] == str(service.data)
    for before in ({"WHIMBREL_DATA": str(tmp_path / "none")}, {}):
        options = () if before else ("--data", str(tmp_path / "none"))
        assert str(tmp_path / "none") in asked("listings", *options, **named, **before).err
    service.config.write_text("[store]\ndata = 1\n")
    assert "store.data" in asked("status", **named).err

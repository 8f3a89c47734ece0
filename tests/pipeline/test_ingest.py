"""Neither the number of jobs nor the order of paths nor any interruption can show in the store."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests import forks
from tests.pipeline.conftest import Undisturbed
from tests.pipeline.mail import DAY_0, day, mbox_of, message, received, sample
from tests.pipeline.stores import LATER, assert_same, command, contents, ingested, with_key

from whimbrel.errors import ConfigError, StoreError
from whimbrel.evidence import Evidence
from whimbrel.pipeline.ingest import Asked, ingest, is_demo

SCRIPT = Path(__file__).parent / "interrupted_script.py"
PATIENCE_SECONDS = 60
KILLS = int(os.environ.get("WHIMBREL_FAULTS", "5"))  # `make crash`: 100
STAGES = ("settle", "analyse", "decide", "compact", "end")


def shuffled(paths: Sequence[str], seed: int) -> list[str]:
    return random.Random(seed).sample(paths, len(paths))


def test_the_sample_exercises_what_is_compared(undisturbed: Undisturbed) -> None:
    """Equal stores prove nothing where there is nothing in them."""
    counts = {part: len(rows) for part, rows in undisturbed.contents.items() if isinstance(rows, list)}
    assert counts["facts"] == counts["observations"] == len(undisturbed.contents["in force"]) == 315
    assert counts["membership"] > 50
    assert counts["events"] > 200
    assert max(map(len, undisturbed.contents["listings"])) > 50
    assert '"ground":"forwards"' in undisturbed.contents["trust"]
    assert any(row["recipients"] for row in undisturbed.contents["facts"])


@pytest.mark.parametrize("jobs", [2, 4])
def test_any_order_of_paths_and_number_of_jobs_makes_the_same_store(
    tmp_path: Path, undisturbed: Undisturbed, jobs: int
) -> None:
    done = ingested(tmp_path, shuffled(undisturbed.paths, jobs), labels=undisturbed.labels, jobs=jobs)
    assert (done.read, done.settled.messages, done.settled.known) == (331, 315, 16)
    assert_same(contents(tmp_path), undisturbed.contents)
    # Chunks are known again whatever the order: a rerun with shuffled paths would read nothing anew.
    assert chunks_of(tmp_path) == chunks_of(undisturbed.data_dir)


def chunks_of(data_dir: Path) -> set[str]:
    with Evidence.open(data_dir) as store:
        return {key for (key,) in store._manifest.db.execute("SELECT key FROM chunks")}


def killed(fatal: int, data_dir: Path, undisturbed: Undisturbed) -> dict[str, int]:
    """Run an ingest that dies at step `fatal`; with 0, return at which step each stage began."""
    ended = forks.run(SCRIPT, str(fatal), data_dir, undisturbed.labels, *undisturbed.paths)
    assert ended.returncode == (-signal.SIGKILL if fatal else 0), ended.stderr.decode()
    steps: dict[str, int] = json.loads(ended.stdout) if not fatal else {}
    return steps


@pytest.fixture(scope="session")
def steps(undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    return killed(0, tmp_path_factory.mktemp("counted"), undisturbed)


@pytest.mark.parametrize("stage", STAGES)
def test_killed_in_any_stage_the_rerun_ends_in_the_same_store(
    tmp_path: Path, undisturbed: Undisturbed, steps: dict[str, int], stage: str
) -> None:
    """At a random step of the reading, of settling, analysing, deciding and compacting."""
    first = 1 if stage == STAGES[0] else steps[STAGES[STAGES.index(stage) - 1]] + 1
    fatal = random.Random(f"{stage} 1").randint(first, steps[stage])
    killed(fatal, tmp_path, undisturbed)
    ingested(tmp_path, shuffled(undisturbed.paths, fatal), labels=undisturbed.labels, jobs=2)
    assert_same(contents(tmp_path), undisturbed.contents)


def shuffled_command(data_dir: Path, undisturbed: Undisturbed, seed: int, jobs: int) -> list[str]:
    return command(data_dir, shuffled(undisturbed.paths, seed), undisturbed.labels, jobs=jobs)


@pytest.fixture(scope="session")
def undisturbed_seconds(undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> float:
    began = time.monotonic()
    asked = shuffled_command(tmp_path_factory.mktemp("timed"), undisturbed, 0, 2)
    subprocess.run(asked, check=True, capture_output=True)
    return time.monotonic() - began


@pytest.mark.parametrize("number", range(KILLS))
def test_the_command_killed_at_a_random_moment_can_be_run_again(
    tmp_path: Path, undisturbed: Undisturbed, undisturbed_seconds: float, number: int
) -> None:
    """One random moment in each of as many parts of the time that an undisturbed run takes."""
    moment = (number + random.Random(number).random()) / KILLS * undisturbed_seconds
    with subprocess.Popen(
        shuffled_command(tmp_path, undisturbed, number, 1 + number % 4),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        time.sleep(moment)
        running.kill()
    ingested(tmp_path, undisturbed.paths, labels=undisturbed.labels)
    assert_same(contents(tmp_path), undisturbed.contents)


@pytest.mark.parametrize("whole_group", [True, False])
def test_ctrl_c_is_one_line_and_the_rerun_goes_on(
    tmp_path: Path, undisturbed: Undisturbed, *, whole_group: bool
) -> None:
    """A terminal sends it to all processes of the command, `kill -INT` to one."""
    with subprocess.Popen(
        [*shuffled_command(tmp_path, undisturbed, 1, 2), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        staging = tmp_path / "evidence" / "staging"
        end = time.monotonic() + PATIENCE_SECONDS
        while not (staging.exists() and any(not each.name.startswith(".") for each in staging.iterdir())):
            assert running.poll() is None
            assert time.monotonic() < end
            time.sleep(0.002)
        (os.killpg if whole_group else os.kill)(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=PATIENCE_SECONDS)
    assert (running.returncode, out) == (130, "")
    assert err.strip() == "whimbrel: interrupted; the same command goes on where this one stopped"  # after the ^C
    with Evidence.open(tmp_path) as store:
        staged = len(store.staged_keys())
        assert staged > 0
        assert store.counts().facts.rows == 0
    done = ingested(tmp_path, undisturbed.paths, labels=undisturbed.labels)
    assert 0 < done.read < 331  # what was staged is not read again
    assert_same(contents(tmp_path), undisturbed.contents)


def test_ingesting_twice_changes_nothing(tmp_path: Path, undisturbed: Undisturbed) -> None:
    paths = undisturbed.paths[-2:]
    ingested(tmp_path, paths)
    before = contents(tmp_path)
    done = ingested(tmp_path, paths)
    assert (done.read, done.settled.messages, done.analysed.campaigns_changed, done.decided.events) == (0, 0, 0, 0)
    assert_same(contents(tmp_path), before)
    # The same mail in another file is read again, and is the same mail.
    copy = tmp_path / "copy.zip"
    copy.write_bytes(Path(paths[0]).read_bytes())
    done = ingested(tmp_path, [str(copy)])
    assert (done.read, done.settled.messages, done.settled.known, done.decided.decided) == (45, 0, 45, 0)
    assert_same(contents(tmp_path), before)


def write(folder: Path, **mail: bytes) -> list[str]:
    folder.mkdir(exist_ok=True)
    for name, content in mail.items():
        (folder / name).write_bytes(content)
    return [str(folder / name) for name in mail]


def test_two_deliveries_of_one_text_stay_two(tmp_path: Path) -> None:
    first, second = (message(received("192.0.2.1", DAY_0, id_=id_)) for id_ in ("1", "2"))
    # 192.0.2.0/24 is no public address; a real sender's is.
    first, second = (content.replace(b"192.0.2.1", b"24.1.2.3") for content in (first, second))
    done = ingested(tmp_path / "store", write(tmp_path / "mail", a=first, b=second, c=first))
    assert (done.settled.messages, done.settled.known, done.settled.observed) == (2, 1, 2)


def test_mail_in_two_parts_makes_the_facts_of_one_where_trust_is_told(tmp_path: Path, undisturbed: Undisturbed) -> None:
    """Decisions may differ: late arrivals are decided when they arrive."""
    trust = ["193.120.211.219", "dogma.slashnull.org"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    paths = undisturbed.paths[:-1]  # without the one whose label contradicts, where the first to come wins
    ingested(whole, paths, labels=undisturbed.labels, trust=trust)
    ingested(parts, paths[:3], labels=undisturbed.labels, trust=trust)
    ingested(parts, paths[3:], labels=undisturbed.labels)  # what was told stays told
    found, expected = contents(parts), contents(whole)
    not_told = "194.125.145.45"  # inferred from all of this mail, where nothing is told
    assert not_told in {row["host"] for row in expected["observations"]}
    assert not_told not in {row["host"] for row in undisturbed.contents["observations"]}
    assert json.loads(expected["trust"])["names"] == trust[1:]
    for part in ("facts", "observations", "in force", "trust", "membership", "host_days"):
        assert found[part] == expected[part], part


def test_campaigns_of_two_parts_are_those_of_one(tmp_path: Path) -> None:
    """A campaign that the second part joins from two of the first keeps the earliest message's id."""
    contents_ = [
        message(received("24.1.2.3", day(2)), subject="A", body="http://one.example.com/\n"),
        message(received("24.1.2.4", day(1)), subject="B", body="http://two.example.com/\n"),
        message(received("24.1.2.5", day(3)), subject="C", body="http://one.example.com/ http://two.example.com/\n"),
    ]
    paths = write(tmp_path / "mail", a=contents_[0], b=contents_[1], c=contents_[2])
    ingested(tmp_path / "whole", paths)
    for path in paths:
        ingested(tmp_path / "parts", [path])
    found, expected = contents(tmp_path / "parts"), contents(tmp_path / "whole")
    assert found["membership"] == expected["membership"]
    assert found["host_days"] == expected["host_days"]


def test_one_bad_path_stops_a_run_before_anything_is_made(tmp_path: Path) -> None:
    paths = write(tmp_path / "mail", a=message(received("24.1.2.3", DAY_0)))
    with pytest.raises(ConfigError, match="cannot be found"):
        ingest_here(tmp_path / "store", [*paths, str(tmp_path / "missing")])
    assert not (tmp_path / "store").exists()


def ingest_here(data_dir: Path, paths: list[str], **options: Any) -> object:
    """Ingest without making the store's folder first."""
    asked = Asked(data_dir, paths, LATER, "mail", "spam", None, None, 1, "own", demo=False)
    return ingest(asked._replace(**options), lambda *_: None)


def test_what_precedes_damage_is_kept_and_the_mended_file_is_read_on(tmp_path: Path) -> None:
    good = message(received("24.1.2.3", DAY_0))
    packed = __import__("lzma").compress(mbox_of([good, good.replace(b"Hello", b"Other")]))
    place = tmp_path / "mail.xz"
    place.write_bytes(packed[:-8])
    with pytest.raises(ConfigError, match=r"mail\.xz"):
        ingested(tmp_path / "store", [str(place)])
    place.write_bytes(packed)
    assert ingested(tmp_path / "store", [str(place)]).settled.messages == 2


def test_another_profile_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    paths = write(tmp_path / "mail", a=message(received("24.1.2.3", DAY_0)))
    ingested(tmp_path / "store", paths, profile="own")
    before = contents(tmp_path / "store")
    more = write(tmp_path / "mail", b=message(received("24.1.2.4", DAY_0)))
    with pytest.raises(ConfigError, match="decides by the profile own, not shared"):
        ingested(tmp_path / "store", more, profile="shared")
    assert_same(contents(tmp_path / "store"), before)
    assert ingested(tmp_path / "store", more, profile=None).decided.profile == "own"


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    paths = write(tmp_path / "mail", a=message(received("24.1.2.3", DAY_0)))
    with (
        Evidence.open(with_key(tmp_path / "store"), write=True),
        pytest.raises(StoreError, match=f"written by another process .pid {os.getpid()}"),
    ):
        ingested(tmp_path / "store", paths)


def test_an_empty_sensor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sensor"):
        ingest_here(tmp_path, [], sensor="")


def test_other_labels_and_sensors_are_read_anew(tmp_path: Path) -> None:
    paths = write(tmp_path / "mail", a=message(received("24.1.2.3", DAY_0)))
    assert ingested(tmp_path / "store", paths).read == 1
    relabelled = ingested(tmp_path / "store", paths, label="ham")
    assert (relabelled.read, relabelled.settled.known) == (1, 1)  # labels of known messages stay
    assert ingested(tmp_path / "store", paths, sensor="other").settled.messages == 1
    with Evidence.open(tmp_path / "store") as store:
        assert sorted(store.observations()["sensor"].to_pylist()) == ["mail", "other"]
        assert store.observations()["label"].to_pylist() == ["spam", "spam"]


def test_a_demo_is_marked_for_good(tmp_path: Path) -> None:
    paths = write(tmp_path / "mail", a=message(received("24.1.2.3", DAY_0)))
    ingested(tmp_path / "store", paths, demo=True)
    ingested(tmp_path / "store", paths)
    with Evidence.open(tmp_path / "store") as store:
        assert is_demo(store)
    ingested(tmp_path / "other", paths)
    with Evidence.open(tmp_path / "other") as store:
        assert not is_demo(store)


def test_progress_rises_to_all_bytes(tmp_path: Path, shipped_mail: Path) -> None:
    paths = sample(shipped_mail, tmp_path / "mail")[:4]
    told: list[tuple[int, int, int | None]] = []
    asked = Asked(with_key(tmp_path / "store"), paths, LATER, "mail", "spam", None, None, 2, "own", demo=False)
    ingest(asked, lambda *how_far: told.append(how_far))
    assert told == sorted(told)
    assert told[-1][0] == 240
    assert told[-1][1] == told[-1][2] == sum(path.stat().st_size for path in files(paths))


def files(paths: Sequence[str]) -> list[Path]:
    below = [inner for path in paths for inner in (Path(path), *Path(path).rglob("*"))]
    return [path for path in below if path.is_file()]

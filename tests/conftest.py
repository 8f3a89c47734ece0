"""Where the mail to test on lies, how tests that need Debian packages skip, and a database server for a ledger."""

import fcntl
import gc
import os
import shutil
import signal
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests import postgresql

# The same examples every time, so that a run says something of the change and not of chance: fifty where a test says no
# number, not a hundred, for those that passed yesterday find little.  `make fuzz` draws others, and a hundred.
# No deadline: how long an example takes says more about the machine than about the code.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
settings.register_profile("fuzz", deadline=None)
settings.load_profile("fuzz" if "WHIMBREL_FUZZ" in os.environ else "repeatable")

# A shell gives no Ctrl-C to what it runs in the background (POSIX, section 2.11), and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Most tests start a name server for one question; compiling its answer would be most of what they do.  Those that are
# about the compiled answer say so.
os.environ.setdefault("WHIMBREL_SERVE_WORKERS", "0")


def pytest_collection_finish() -> None:
    """All that collecting has made stays until the end: whoever looks for garbage need not look at it again.

    Nor need it be looked for as often as Python does: commands have the same threshold, for the same reason.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000)


ROOT = Path(__file__).resolve().parent.parent


def _unpacked(archive: Path, factory: pytest.TempPathFactory) -> Path:
    """Unpack an archive once for all workers of a run, which only read it; return the folder."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / f"unpacked-{archive.name}"
    with (shared / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            fresh = factory.mktemp("unpacked")
            with tarfile.open(archive) as tar:
                tar.extractall(fresh, filter="data")
            fresh.rename(folder)
    return folder


@pytest.fixture(scope="session")
def shipped_archive() -> Path:
    """The mail that ships with the project, as it is packed."""
    return ROOT / "samples" / "mail" / "spamassassin.tar.xz"


@pytest.fixture(scope="session")
def shipped_mail(shipped_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `spamassassin/` of the shipped mail, unpacked: spam, spam_2, easy_ham, easy_ham_2, hard_ham, ..."""
    return _unpacked(shipped_archive, tmp_path_factory) / "spamassassin"


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Unpack one of the test-only archives by name (`phishing`, `mime`, `bounces`); skip where they are not at hand."""

    def find(name: str) -> Path:
        archive = ROOT.parent / "shared" / "data" / f"{name}.tar.xz"
        if not archive.exists():
            pytest.skip(f"the test-only archive {archive.name} does not ship with the project")
        return _unpacked(archive, tmp_path_factory) / name

    return find


@pytest.fixture(scope="session")
def debian_program() -> Callable[[str, str], str]:
    """Return a program's path, given its Debian package; skip (or fail, in CI) where it is not installed."""

    def find(program: str, package: str) -> str:
        path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
        if path is None:
            reason = f"{program} is not installed (Debian package {package})"
            if os.environ.get("WHIMBREL_REQUIRE_DEBIAN") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        return path

    return find


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    """A PostgreSQL server; skip (or fail, in CI) where it is not installed."""
    programs = postgresql.installed()
    if programs is None:
        reason = "initdb is not installed (Debian package postgresql)"
        if os.environ.get("WHIMBREL_REQUIRE_DEBIAN") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with postgresql.running(programs) as server:
        yield server

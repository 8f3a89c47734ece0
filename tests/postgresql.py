"""A PostgreSQL server of the tests' own: Debian's programs, an unprivileged user, a socket in a temporary folder."""

import glob
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

PASSWORD = "open&sesame"  # of a server that lives as long as a test and hears no network

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",  # what survives a power cut is not what is tested here
    "max_connections": "20",
    "shared_buffers": "32MB",
}


def installed() -> Path | None:
    """Return the folder of Debian's newest server programs, or None without the package."""
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda name: int(name.split("/")[4]))  # noqa: PTH207
    return Path(folders[-1]) if folders else None


class Server:
    """A running server; `new_url` makes an empty place for a ledger."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)

    def url(self, schema: str = "public", password: str = PASSWORD) -> str:
        place = f"host={quote(str(self._folder), safe='')}&options=-csearch_path%3D{schema}"
        return f"postgresql://whimbrel:{quote(password, safe='')}@/postgres?{place}"

    def new_url(self) -> str:
        schema = f"test_{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {schema}")
        return self.url(schema)

    def execute(self, statement: str, schema: str = "public") -> None:
        options = f"-csearch_path={schema}"
        with psycopg.connect(
            host=str(self._folder), user="whimbrel", password=PASSWORD, dbname="postgres", options=options
        ) as connection:
            connection.execute(statement.encode())


@contextmanager
def running(programs: Path) -> Iterator[Server]:
    """Make a server's files, start it, give it, end it, and remove them; it refuses to run as root."""
    folder = Path(tempfile.mkdtemp(prefix="whimbrel-postgresql-"))  # short: a socket's path has at most 107 characters
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)  # within a folder that only its owner enters
    data, log = folder / "data", folder / "log"

    def run(*command: str | Path) -> None:
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=60, **user)

    try:
        run(
            programs / "initdb", "-D", data, "-U", "whimbrel", "-A", "scram-sha-256", "-E", "UTF8", "--no-sync",
            "--no-instructions", "--locale=C.UTF-8", f"--pwfile={folder / 'password'}",
        )  # fmt: skip
        options = " ".join(f"-c {name}='{value}'" for name, value in _SETTINGS.items()) + f" -k {folder}"
        run(programs / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")
        try:
            yield Server(folder)
        finally:
            run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)

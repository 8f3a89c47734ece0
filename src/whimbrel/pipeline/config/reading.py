"""From a settings file to settings: every mistake is found at once and told with its line and its key."""

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from whimbrel.errors import ConfigError
from whimbrel.model.endpoint import parse_endpoint
from whimbrel.model.transfer import transfer_settings
from whimbrel.pipeline.config.settings import PATHS, TABLES, Config, Publish, meaning_of, variable_of

Origin = Literal["default", "file", "environment", "command line"]


class Setting(NamedTuple):
    """A setting as it is shown: `key` is `table.key`, of watched places `watch.1.key`."""

    key: str
    value: object
    origin: Origin
    meaning: str


def in_toml(value: object) -> str:
    """Return a setting's value as a settings file would have it (TOML 1.0, basic strings)."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(in_toml, value))}]"
    if isinstance(value, str):  # JSON's escapes are TOML's, but for DEL
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower()  # true and false; numbers are as Python has them


class Mistake(NamedTuple):
    """What is wrong with a setting; `line` is None where it is not the file's, or not found in it."""

    line: int | None
    key: str
    text: str

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}: "
        return f"{where}{self.key}: {self.text}"


class Loaded(NamedTuple):
    """The settings in force, the file they came from (None: there is none), and each with its origin and meaning."""

    config: Config
    path: Path | None
    settings: tuple[Setting, ...]


def load(path: Path | None, environ: Mapping[str, str], data_dir: Path | None = None) -> Loaded:
    """Return the settings in force; `data_dir`, where it is given, is the command line's word on the data folder.

    Raises ConfigError that names the first mistake, and how many more there are.
    """
    reading = _Reading(path, environ, data_dir)
    if reading.mistakes:
        first, *more = reading.mistakes
        others = f"; and {len(more)} more, see: whimbrel config check" if more else ""
        raise ConfigError(f"{path or 'settings'}: {first}{others}")
    return reading.loaded()


def mistakes(path: Path, environ: Mapping[str, str]) -> list[Mistake]:
    """Return all that is wrong with a settings file and the environment's settings, in the order of lines."""
    found = _Reading(path, environ, None).mistakes
    return sorted(found, key=lambda mistake: (mistake.line is None, mistake.line or 0))


class _Reading:
    """Reads all tables, noting every mistake and each value's origin."""

    def __init__(self, path: Path | None, environ: Mapping[str, str], data_dir: Path | None) -> None:
        self.mistakes: list[Mistake] = []
        self._path = path
        self._environ = environ
        self._settings: list[Setting] = []
        given, self._lines = ({}, {}) if path is None else self._read(path)
        self._tables = {name: self._table(name, given.get(name)) for name in TABLES}
        for name in given.keys() - TABLES.keys():
            self._note(name, "", _unknown("table", name, TABLES))
        if data_dir is not None:
            self._tables["store"]["data"] = str(data_dir)
            self._settings[0] = self._settings[0]._replace(value=str(data_dir), origin="command line")
        if not self.mistakes:
            self._check_together()

    def loaded(self) -> Loaded:
        return Loaded(self._config(), self._path, tuple(self._settings))

    def _config(self) -> Config:
        return msgspec.convert(self._tables, Config)

    def _read(self, path: Path) -> tuple[dict[str, Any], dict[str, int]]:
        try:
            text = path.read_text(encoding="utf-8")
            return tomllib.loads(text), dict(_lines(text))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not TOML ({error}); docs/whimbrel.toml is an example") from error

    def _table(self, name: str, given: object) -> Any:  # noqa: ANN401 - what msgspec takes
        if name != "watch":
            if not isinstance(given, dict | None):
                self._note(name, "", f"is a table; write [{name}]")
            return self._keys(name, name, given if isinstance(given, dict) else {})
        rows = [] if given is None else given
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            self._note(name, "", "is a list of tables; write [[watch]] above each place's settings")
            return []
        return [self._keys(name, f"watch.{number}", row) for number, row in enumerate(rows, start=1)]

    def _keys(self, table: str, place: str, given: Mapping[str, object]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        kinds = get_type_hints(TABLES[table], include_extras=True)
        for field in msgspec.structs.fields(TABLES[table]):
            key, kind = field.name, kinds[field.name]
            value, origin = self._given(table, key, given, kind)
            if origin == "default" and field.required:
                self._note(place, key, f"is missing; {meaning_of(TABLES[table], key)}")
                continue
            if origin == "default":
                value = field.default
            try:
                values[key] = msgspec.convert(value, kind, strict=origin != "environment")
            except msgspec.ValidationError as error:
                self._note(place, key, _explained(error, kind))
                continue
            if origin == "file" and key in PATHS.get(table, ()):
                values[key] = self._beside(values[key])
            self._settings.append(Setting(f"{place}.{key}", values[key], origin, meaning_of(TABLES[table], key)))
        for key in given.keys() - kinds.keys():
            self._note(place, key, _unknown("key", key, kinds))
        return values

    def _given(self, table: str, key: str, given: Mapping[str, object], kind: object) -> tuple[object, Origin]:
        if table != "watch":
            text = self._environ.get(variable_of(table, key))
            if text is not None:
                listed = get_origin(get_args(kind)[0]) is tuple
                return ([each.strip() for each in text.split(",") if each.strip()] if listed else text), "environment"
        return (given[key], "file") if key in given else (None, "default")

    def _beside(self, written: str) -> str:
        """Return a path of the file's, taken from the file's folder; an empty one says that there is none."""
        assert self._path is not None
        return str(self._path.absolute().parent / written) if written else written

    def _check_together(self) -> None:
        config = self._config()
        seen: set[str] = set()
        trusted: dict[str, tuple[str, ...]] = {}  # by sensor
        for number, watch in enumerate(config.watch, start=1):
            if watch.path in seen:
                self._note(f"watch.{number}", "path", f"{watch.path} is watched already; leave one of the two out")
            seen.add(watch.path)
            if watch.trust and trusted.setdefault(watch.sensor, watch.trust) != watch.trust:
                told = "another place tells other relays of this sensor; tell the same, or name another sensor"
                self._note(f"watch.{number}", "trust", told)
            self._try(f"watch.{number}", "trust", lambda watch=watch: _check_trust(watch.trust))
        self._try("publish", "zone", lambda: _check_zone(config.publish))
        for text in config.serve.listen:
            self._try("serve", "listen", lambda text=text: parse_endpoint(text))
        for key in ("exempt", "allow", "deny", "public"):
            self._try("serve", key, lambda key=key: _check_networks(getattr(config.serve, key)))
        given = (config.serve.transfer_keys, config.serve.transfer_to, config.serve.notify)
        self._try("serve", "transfer_to", lambda: transfer_settings(*given))
        if config.metrics.listen:
            self._try("metrics", "listen", lambda: parse_endpoint(config.metrics.listen))

    def _try(self, place: str, key: str, check: Any) -> None:  # noqa: ANN401 - a lambda with a default
        try:
            check()
        except ConfigError as error:
            self._note(place, key, str(error))
        except ValueError as error:
            self._note(place, key, f"{error}; write 127.0.0.1:5300 or [::1]:5300")

    def _note(self, place: str, key: str, text: str) -> None:
        name = f"{place}.{key}" if key else place
        line = self._lines.get(name, self._lines.get(place))
        self.mistakes.append(Mistake(line, name, text))


def _check_trust(texts: tuple[str, ...]) -> None:
    from whimbrel.sensors.boundary import parse_trust  # noqa: PLC0415 - for those who trust

    parse_trust(texts)


def _check_zone(publish: Publish) -> None:
    from whimbrel.publishing.building import zone_of  # noqa: PLC0415 - NumPy takes a tenth of a second

    zone_of(publish.zone, publish.servers, publish.mailbox or None)


def _check_networks(texts: tuple[str, ...]) -> None:
    for text in texts:
        try:
            ip_network(text)
        except ValueError as error:
            raise ConfigError(f"{error}; write 192.0.2.0/24 or 2001:db8::/32") from None


_HEADER = re.compile(r"\s*(\[\[?)\s*([\w-]+)\s*\]")
_ASSIGNED = re.compile(r"\s*[\"']?([\w-]+)[\"']?\s*=")


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """Yield where each table and key of a TOML text stands, as far as they are written in the usual way."""
    place, watched = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        header, assigned = _HEADER.match(line), _ASSIGNED.match(line)
        if header is not None:
            watched += header[1] == "[["
            place = f"{header[2]}.{watched}" if header[1] == "[[" else header[2]
            yield place, number
        elif assigned is not None:
            yield f"{place}.{assigned[1]}" if place else assigned[1], number


def _unknown(what: str, name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"is no {what} ({f'did you mean {near[0]}?' if near else 'known are ' + ', '.join(known)})"


def _explained(error: msgspec.ValidationError, kind: object) -> str:
    """Return what is wrong with a value, with what would have been right."""
    text = str(error).partition(" - at ")[0]
    choices = get_args(get_args(kind)[0]) if get_origin(get_args(kind)[0]) is Literal else ()
    advice = f"; it is one of {', '.join(choices)}" if choices else ""
    return text[:1].lower() + text[1:] + advice

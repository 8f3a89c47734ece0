"""World files: TOML in, a checked `World` out, each problem one line that names the file, the key and what to do."""

import datetime as dt
import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from whimbrel.errors import ConfigError
from whimbrel.worlds.settings import (
    BOUNDS,
    NETWORK_HOSTS,
    TABLE_BOUNDS,
    Bundle,
    Link,
    World,
    machines,
)

_TABLES: dict[str, type[Link | Bundle]] = {"links": Link, "bundles": Bundle}


def read_world(path: Path, changes: Sequence[str] = ()) -> World:
    """Return the world of a file, with changes written `key=value` made to it, in order.

    Raises ConfigError where the file cannot be read, or a key or value makes no sense.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML ({error}); see docs/worlds.md") from error
    world = _world(given, str(path))
    for change in changes:
        world = changed(world, change)
    return checked(world, f"{path} with --set" if changes else str(path))


def changed(world: World, change: str) -> World:
    """Return the world with one change `key=value` made, the value in TOML; raises ConfigError."""
    key, equals, value = change.partition("=")
    if not equals:
        raise ConfigError(f"--set {change}: write key=value, such as churn=0.5")
    try:
        given = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"--set {change}: the value is not TOML ({error}); text needs quotes") from error
    whole = msgspec.to_builtins(world, builtin_types=(dt.date,))
    return _world({**whole, key.strip(): given}, f"--set {change}")


def checked(world: World, where: str = "world") -> World:
    """Return the world, where its settings make sense together; else raise ConfigError, beginning with `where`."""
    for key, bounds in BOUNDS.items():
        _within(where, key, getattr(world, key), bounds)
    for name in _TABLES:
        for number, table in enumerate(getattr(world, name), start=1):
            for key in set(table.__struct_fields__) & set(TABLE_BOUNDS):
                _within(where, f"{name} {number}: {key}", getattr(table, key), TABLE_BOUNDS[key])
            for key in set(table.__struct_fields__) & {"family", "also", "campaign"}:
                highest = world.campaigns if key == "campaign" else world.families
                _within(where, f"{name} {number}: {key}", getattr(table, key), (1, highest))
    for key, problem in _problems(world):
        raise ConfigError(f"{where}: {key}: {problem}")
    return world


def _problems(world: World) -> list[tuple[str, str]]:
    """Return what is wrong with settings that are right each on its own."""
    found = []
    if world.start.weekday() != 0:
        found.append(("start", f"{world.start} is no Monday; windows are weeks from Monday on"))
    if not dt.date(1970, 1, 1) <= world.start <= dt.date(2150, 1, 1):
        found.append(("start", f"{world.start} is too far away; give a Monday from 1970 to 2150"))
    if world.family_sizes and len(world.family_sizes) != world.families:
        found.append(("family_sizes", f"has {len(world.family_sizes)} numbers; give one a family ({world.families})"))
    if any(size < 0 for size in world.family_sizes):
        found.append(("family_sizes", "has a number below 0"))
    if world.linked_pairs > min(world.families, world.campaigns):
        found.append(("linked_pairs", "is more than there are families or campaigns; lower it, or raise those"))
    if world.list_family > world.families:
        found.append(("list_family", f"is {world.list_family}, and there are {world.families} families"))
    if world.networks < world.ases:
        found.append(("networks", f"is {world.networks}; give at least one an AS ({world.ases})"))
    if world.sensor_mismatch > 0 and world.sensors < 2:
        found.append(("sensors", "is 1; sensor_mismatch needs 2 or more"))
    if machines(world) > world.networks * NETWORK_HOSTS:
        found.append(("networks", f"of 254 addresses cannot hold {machines(world)} machines; raise networks"))
    return found


def _world(given: dict[str, Any], where: str) -> World:
    _known(given, World, where)
    for name, table in _TABLES.items():
        rows = given.get(name, ())
        if isinstance(rows, list):
            for number, row in enumerate(rows, start=1):
                if isinstance(row, dict):
                    _known(row, table, f"{where}: {name} {number}")
    try:
        return msgspec.convert(given, World)
    except msgspec.ValidationError as error:
        text = str(error)
        what, _, at = text.partition(" - at `$.")
        key = at.rstrip("`") or "world"
        raise ConfigError(f"{where}: {key}: {what[:1].lower()}{what[1:]}; see docs/worlds.md") from error


def _known(given: dict[str, Any], table: type[World | Link | Bundle], where: str) -> None:
    for key in given:
        if key not in table.__struct_fields__:
            near = difflib.get_close_matches(key, table.__struct_fields__, n=1)
            advice = f"did you mean {near[0]}?" if near else "docs/worlds.md names all"
            raise ConfigError(f"{where}: unknown key {key[:60]!r} ({advice})")


def _within(where: str, key: str, value: float, bounds: tuple[float, float]) -> None:
    least, greatest = bounds
    if not least <= value <= greatest:
        raise ConfigError(f"{where}: {key} is {value}; give a number from {least:g} to {greatest:g}")

"""The documents say what the program does: commands, options, codes, settings, bounds, places, and no others."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from whimbrel.analysis.links.columns import VERDICTS
from whimbrel.analysis.links.explain import Explanation as LinkExplanation
from whimbrel.cli.commands import COMMANDS, INTERRUPTED_EXIT_CODE, USAGE_EXIT_CODE, _whimbrel
from whimbrel.errors import WhimbrelError
from whimbrel.listings.explain import Explanation
from whimbrel.listings.settings import PROFILES, Settings
from whimbrel.messages import bounds
from whimbrel.model.listing import MEANING, Code
from whimbrel.nameserver import Counters, statistics
from whimbrel.publishing.exports import FORMATS

ROOT = Path(__file__).resolve().parents[2]
DOCS = {str(path.relative_to(ROOT)): path for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]}
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in DOCS.items()}
COMMANDS_DOC = TEXTS["docs/commands.md"]
ARCHITECTURE = TEXTS["docs/architecture.md"]
SHARED = ("--data", "--json", "--now", "--help", "--version")  # explained once, for all commands
TABLE_COMMANDS = ("hosts", "campaigns", "listings", "links")
STORELESS_COMMANDS = {"config", "simulate"}
TIMELESS_COMMANDS = {"backup", "restore", "rebuild", "top"}  # a copy, what was recorded, or what is now

_FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")


def section(text: str, heading: str) -> str:
    """Return what stands beneath a heading, up to the next of the same level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no heading {heading!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all table rows."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|--")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def command_of(name: str) -> click.Command:
    found = _whimbrel.get_command(click.Context(_whimbrel), name)
    assert found is not None
    return found


def options_of(name: str) -> list[click.Option]:
    """Return the options of a command, or of all its actions, each spelling once."""
    command = command_of(name)
    actions = list(command.commands.values()) if isinstance(command, click.Group) else []
    parameters = [parameter for each in (command, *actions) for parameter in each.params]
    return list({each.opts[0]: each for each in parameters if isinstance(each, click.Option)}.values())


OPTIONS = [pytest.param(name, option, id=f"{name}{option.opts[0]}") for name in COMMANDS for option in options_of(name)]


def option_rows(name: str) -> dict[str, list[str]]:
    """Return the rows of a command's option table by option; rows that explain two have both."""
    found: dict[str, list[str]] = {}
    for cells in rows(section(COMMANDS_DOC, f"whimbrel {name}")):
        found |= dict.fromkeys(re.findall(r"--[a-z-]+", cells[0]), cells)
    return found


def test_every_command_has_a_section_and_a_line_and_no_other_has() -> None:
    assert re.findall(r"^## whimbrel (\S+)$", COMMANDS_DOC, re.MULTILINE) == list(COMMANDS)
    assert re.findall(r"^\| \[`whimbrel (\S+)`\]", COMMANDS_DOC, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_every_option_is_documented_with_its_default(name: str, option: click.Option) -> None:
    if option.opts[0] in SHARED:
        table = {
            cells[0].strip("`").split()[0]: cells for cells in rows(section(COMMANDS_DOC, "Options of every command"))
        }
    else:
        table = option_rows(name)
    for spelling in option.opts:
        assert spelling in table
    cells = table[option.opts[0]]
    assert cells[2], "no meaning"
    if option.is_flag:
        assert "off" in cells[1]
    elif isinstance(option.show_default, str):
        assert option.show_default in cells[1]
    elif option.show_default:
        defaults = option.default if isinstance(option.default, tuple) else (option.default,)
        assert all(f"`{default}`" in cells[1] for default in defaults)
    else:
        assert cells[1]


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_every_choice_is_named(name: str, option: click.Option) -> None:
    if isinstance(option.type, click.Choice):
        paragraphs = section(COMMANDS_DOC, f"whimbrel {name}").split("\n\n")
        told = [text for text in paragraphs if text.startswith(f"`{option.opts[0]}` takes")]
        told += option_rows(name)[option.opts[0]]
        for choice in option.type.choices:
            assert any(f"`{choice}`" in text for text in told), choice


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_is_documented_that_does_not_exist(name: str) -> None:
    existing = {spelling for option in options_of(name) for spelling in option.opts}
    assert set(option_rows(name)) <= existing
    explained_elsewhere = {"--help", "--version"}
    assert set(re.findall(r"`(--[a-z-]+)", section(COMMANDS_DOC, f"whimbrel {name}"))) <= existing | explained_elsewhere


def test_what_commands_share_is_shared() -> None:
    shared = set(re.findall(r"^\| `(--[a-z-]+)", section(COMMANDS_DOC, "Options of every command"), re.MULTILINE))
    tables = set(re.findall(r"^\| `(--[a-z-]+)", section(COMMANDS_DOC, "Tables"), re.MULTILINE))
    for name in COMMANDS:
        existing = {spelling for option in options_of(name) for spelling in option.opts}
        expected = shared - {"--now"} if name in TIMELESS_COMMANDS else shared
        assert (expected <= existing) == (name not in STORELESS_COMMANDS)
        assert (tables <= existing) == (name in TABLE_COMMANDS)


def test_the_environment_variable_is_documented() -> None:
    variables = {str(option.envvar) for name in COMMANDS for option in options_of(name) if option.envvar}
    assert variables
    assert all(f"`{variable}`" in COMMANDS_DOC for variable in variables)


def test_every_exit_code_and_every_error_is_documented() -> None:
    table = {cells[0]: cells for cells in rows(section(COMMANDS_DOC, "Exit codes"))[1:]}
    classes = [WhimbrelError]
    for error in classes:
        classes += error.__subclasses__()
        assert f"`{error.__name__}`" in table[str(error.exit_code)][2]
    used = {0, USAGE_EXIT_CODE, INTERRUPTED_EXIT_CODE, *(error.exit_code for error in classes)}
    assert {int(code) for code in table} == used


@pytest.mark.parametrize("code", list(Code))
def test_every_return_code_is_documented(code: Code) -> None:
    documented = {cells[0]: cells[1] for cells in rows(section(TEXTS["docs/dns.md"], "Return codes"))}
    assert documented[f"127.0.0.{code.value}"] == MEANING[code]
    assert re.search(rf"\b{code.value}\b", section(TEXTS["docs/listing.md"], "The rule")) or code in NEVER_DECIDED


# Codes that the contract names and no rule gives yet: they come with the sensors that see relays and proxies.
NEVER_DECIDED = (Code.OPEN_RELAY, Code.OPEN_PROXY)


def test_every_export_format_is_documented() -> None:
    table = rows(TEXTS["docs/exports.md"].partition("\n## ")[0])[1:]
    assert [cells[0].strip("`") for cells in table] == list(FORMATS)
    assert all(len(cells) == 5 and all(cells) for cells in table)


@pytest.mark.parametrize("field", Settings.__struct_fields__)
def test_every_setting_is_documented_with_its_values(field: str) -> None:
    if field == "profile":
        return
    table = {cells[0].strip("`"): cells[1:] for cells in rows(section(TEXTS["docs/listing.md"], "Every setting"))}
    documented = dict(zip(("shared", "own"), table[field], strict=False))
    assert set(documented) == set(PROFILES)
    for profile, settings in PROFILES.items():
        assert value_of(documented[profile]) == getattr(settings, field)


def test_no_setting_is_documented_that_does_not_exist() -> None:
    table = rows(section(TEXTS["docs/listing.md"], "Every setting"))
    assert {cells[0].strip("`") for cells in table[1:]} <= set(Settings.__struct_fields__)


def value_of(written: str) -> float | None:
    """Read a value as people write it: 7 d, 12 h, 1e-4, yes, never."""
    words = {"yes": 1.0, "no": 0.0, "never": None}
    if written in words:
        return words[written]
    number, _, unit = written.partition(" ")
    return float(number) * {"": 1.0, "h": 3_600.0, "d": 86_400.0}[unit]


def test_every_bound_is_documented_with_its_value() -> None:
    text = re.sub(r"\s+", " ", section(TEXTS["docs/defects.md"], "Bounds"))
    known = {name: value for name, value in vars(bounds).items() if name.isupper()}
    assert known
    assert dict(re.findall(r"`([A-Z_]+)` (\d[\d,]*\b)", text)) == {name: f"{value:,}" for name, value in known.items()}


# Command lines: each that a document quotes is parsed as the program would, and not run.


def quoted_commands(text: str) -> Iterator[str]:
    """Yield the command lines of a document's blocks, and those that stand in a sentence."""
    for block in _FENCE.findall(text):
        for line in block.splitlines():
            for part in re.split(r"&&|\|\||[|;&>]", line.removeprefix("$ ").partition(" #")[0]):
                if re.match(r"\s*(\.venv/bin/)?whimbrel\s+[\w-]", part):
                    yield part
    for span in _INLINE.findall(_FENCE.sub("", text)):
        if re.match(r"whimbrel\s+[\w-]", span):
            yield span


QUOTED = [pytest.param(line, id=f"{name}: {line.strip()}") for name in TEXTS for line in quoted_commands(TEXTS[name])]


def test_command_lines_are_found() -> None:
    assert len(list(quoted_commands(TEXTS["README.md"]))) > len(COMMANDS) // 2


@pytest.mark.parametrize("line", QUOTED)
def test_every_quoted_command_line_parses(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    if name in {"COMMAND", "--version", "--help"}:
        return
    assert name in COMMANDS
    if not arguments or "[OPTIONS]" in arguments:
        return  # named, or told how it is used
    command = command_of(name)
    if isinstance(command, click.Group):
        action = arguments.pop(0)
        command = command.commands[action]
        if not arguments:
            return
    try:
        command.make_context(f"whimbrel {name}", arguments).close()
    except click.exceptions.Exit:
        assert "--help" in arguments


# Places: what is named exists.


@pytest.mark.parametrize("name", TEXTS)
def test_every_relative_reference_resolves(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", TEXTS[name])):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = (DOCS[name].parent / path).resolve() if path else DOCS[name]
        assert goal.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", goal.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", [name for name in TEXTS if "decisions" not in name])
def test_every_file_named_exists(name: str) -> None:
    text = _FENCE.sub("", TEXTS[name])
    for written in re.findall(r"`([\w./-]+\.(?:py|md|json))`|`([\w-]+(?:/[\w-]+)*)/`", text):
        place = written[0] or written[1]
        if written[0] or place.split("/")[0] not in STORED:
            assert any(f"/{known}".endswith(f"/{place}") for known in PLACES), place


PLACES = {
    str(path.relative_to(ROOT))
    for top in ("bench", "docs", "samples", "src", "tests", "tools")
    for path in [ROOT / top, *(ROOT / top).rglob("*")]
}
STORED = ("evidence", "observations", "facts", "derived", "staging", "spill")  # folders of a store, not of the source


def test_every_function_named_in_the_journey_exists() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    named = set(re.findall(r"`(\w+)\(\)`", ARCHITECTURE))
    assert named
    for function in named:
        assert re.search(rf"^\s*(async )?def {function}\(", source, re.MULTILINE), function
    for file, function in re.findall(r"`([\w/]+\.py)`:\s`(\w+)\(\)`", ARCHITECTURE):
        text = (ROOT / "src/whimbrel" / file).read_text(encoding="utf-8")
        assert re.search(rf"^\s*(async )?def {function}\(", text, re.MULTILINE), f"{file}: {function}"


def test_every_package_is_named_and_the_layers_are_those_checked() -> None:
    for package in (ROOT / "src/whimbrel").glob("*/__init__.py"):
        assert re.search(rf"\b{package.parent.name}\b", section(ARCHITECTURE, "Who may import whom"))
    contract = (ROOT / ".importlinter").read_text(encoding="utf-8")
    layers = re.search(r"^layers =\n((?: +[^\n]+\n)+)", contract, re.MULTILINE)
    assert layers is not None
    checked = [line.strip() for line in layers[1].splitlines()]
    assert [
        line.strip() for line in _FENCE.findall(section(ARCHITECTURE, "Who may import whom"))[0].splitlines()
    ] == checked


# JSON keys: what is documented is what is printed.

MESSAGE = b"""\
Received: from client.example.net (host7.example.net [8.8.8.8])
 by mx1.example.org (Postfix) with ESMTP id 4F2A; Sun, 1 Mar 2026 12:00:00 +0000
From: a@example.net
To: b@example.org
Subject: pills

Buy
"""
OBSERVATION = {
    "seen_at": "2026-03-01T12:00:00Z",
    "sensor": "mx2",
    "host": "192.0.2.1",
    "kind": "message",
    "label": "spam",
    "campaign": "c",
}
NOW = ("--now", "2026-03-02")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the first JSON object that each command prints, on a store of one message and one observation."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "message.eml").write_bytes(MESSAGE)
    (folder / "lines.jsonl").write_text(json.dumps(OBSERVATION))
    data = ("--data", str(folder / "data"), "--json")
    # Its readers are processes, which want a main program of their own.
    program = "from whimbrel.cli import main; main()"
    ingest = ("ingest", str(folder / "message.eml"), "--label", "spam", "--profile", "own", "--jobs", "1", *NOW, *data)
    done = subprocess.run([sys.executable, "-c", program, *ingest], capture_output=True, text=True, check=True)
    found = {"ingest": json.loads(done.stdout)}
    statistics.write(folder / "data" / "serving.statistics", statistics.gathered(Counters(), 0.0))
    for line, *arguments in (
        ("observe", str(folder / "lines.jsonl")),
        ("why", "192.0.2.1"),
        ("hosts",),
        ("hosts", "--by-network"),
        ("campaigns", "--least", "1"),
        ("listings",),
        ("publish",),
        ("export", "plain", "--out", str(folder / "plain")),
        ("status",),
        ("check",),
        ("backup", str(folder / "backups")),
        ("restore", str(folder / "backups"), "--force"),
        ("key new", "signing"),
        ("remove", "192.0.2.1", "--why", "x"),
        ("allow", "192.0.2.0/24", "--owner", "x", "--why", "x"),
        ("rebuild",),
        ("forget", "192.0.2.1"),
        ("top", "--once", "--every", "0.1"),
    ):
        name, *action = line.split()
        now = () if name in TIMELESS_COMMANDS else NOW
        result = CliRunner().invoke(command_of(name), [*action, *arguments, *now, *data], catch_exceptions=False)
        found[" ".join([name, *arguments[:1]]) if "--by-network" in arguments else name] = json.loads(
            result.stdout.splitlines()[0]
        )
    settings = CliRunner().invoke(command_of("config"), ["show", *data])
    truth = CliRunner().invoke(command_of("simulate"), [str(ROOT / "worlds/demo.toml"), "--truth"])
    return found | {
        "config": json.loads(settings.stdout.splitlines()[0]),
        "simulate": json.loads(truth.stdout.splitlines()[0]),
        "links": dict.fromkeys(VERDICTS.names),  # what it prints is held to these by tests/cli/test_links.py
        "link": dict.fromkeys(field.name for field in msgspec.structs.fields(LinkExplanation)),
    }


def documented_keys(name: str, introduction: str) -> list[str]:
    found = re.search(
        rf"^{introduction}: (.*?)\.$", section(COMMANDS_DOC, f"whimbrel {name}"), re.MULTILINE | re.DOTALL
    )
    assert found is not None, name
    return re.findall(r"`(\w+)`", found[1])


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in {"serve", "run", "mirror", "campaigns"}])
def test_json_keys_are_those_printed(name: str, printed: dict[str, dict[str, Any]]) -> None:
    assert sorted(documented_keys(name, "JSON keys")) == sorted(printed[name])


def test_json_keys_of_networks_and_campaigns(printed: dict[str, dict[str, Any]]) -> None:
    assert sorted(documented_keys("hosts", "JSON keys with `--by-network`")) == sorted(printed["hosts --by-network"])
    by_key = {"by_attachment", "by_text", "by_url"}  # a campaign that was given has none of these
    assert set(documented_keys("campaigns", "JSON keys")) == set(printed["campaigns"]) | by_key
    assert not by_key & set(printed["campaigns"])


def test_json_keys_of_why_are_the_schema() -> None:
    schema = json.loads((ROOT / "docs/why.schema.json").read_text(encoding="utf-8"))
    assert documented_keys("why", "JSON keys") == list(schema["$defs"]["Explanation"]["properties"])
    assert documented_keys("why", "JSON keys") == [field.name for field in msgspec.structs.fields(Explanation)]


def test_each_key_of_ingest_is_explained() -> None:
    explained = {
        key for cells in rows(section(COMMANDS_DOC, "whimbrel ingest")) for key in re.findall(r"`(\w+)`", cells[0])
    }
    assert set(documented_keys("ingest", "JSON keys")) <= explained | {"profile"}


# Form.


@pytest.mark.parametrize("name", ["README.md", "docs/architecture.md", "docs/commands.md"])
def test_lines_fit_and_a_url_is_no_link(name: str) -> None:
    for number, line in enumerate(TEXTS[name].splitlines(), start=1):
        assert len(line) <= 120, f"{name}:{number}"
    # A link is the tested relation of a family and a campaign, and a page is not linked but referred to.
    assert not re.search(r"\b(hyperlinks?|web links?|links? to|links? in messages)\b", TEXTS[name], re.IGNORECASE)


def test_readme_is_short() -> None:
    assert TEXTS["README.md"].count("\n") <= 140

import shutil
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whimbrel.errors import ConfigError
from whimbrel.pipeline.config import in_toml, load, mistakes

ROOT = Path(__file__).resolve().parents[3]


def written(folder: Path, text: str) -> Path:
    path = folder / "whimbrel.toml"
    path.write_text(text)
    return path


def found(folder: Path, text: str) -> list[str]:
    return list(map(str, mistakes(written(folder, text), {})))


@given(st.one_of(st.booleans(), st.integers(-9, 9), st.floats(0, 1e9), st.text(), st.lists(st.text()).map(tuple)))
def test_a_value_is_shown_as_a_file_would_have_it(value: object) -> None:
    (read,) = tomllib.loads(f"key = {in_toml(value)}").values()
    assert (tuple(read) if isinstance(read, list) else read) == value


def test_without_a_file_all_is_as_the_defaults_say() -> None:
    loaded = load(None, {})
    assert loaded.config.publish.zone == "bl.example"
    assert not loaded.config.watch
    assert {each.origin for each in loaded.settings} == {"default"}


def test_the_example_in_the_documents_is_in_order_and_names_every_setting(tmp_path: Path) -> None:
    example = Path(shutil.copy(ROOT / "docs" / "whimbrel.toml", tmp_path))
    loaded = load(example, {})
    assert {each.origin for each in loaded.settings} == {"file"}
    assert [watch.path for watch in loaded.config.watch] == ["/var/mail/trap"]
    defaults = {each.key: each.value for each in load(None, {}).settings}
    changed = {each.key for each in loaded.settings if defaults.get(each.key) != each.value}
    told = {"store.data", *(f"watch.1.{key}" for key in ("path", "kind", "sensor", "label", "trust"))}
    assert changed == told  # what it sets, it sets to the default


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    path = written(tmp_path, '[store]\ndata = "a"\n[publish]\nzone = "file.example"\n[cycle]\njobs = 2\n')
    environ = {
        "WHIMBREL_PUBLISH_ZONE": "environment.example",
        "WHIMBREL_SERVE_LISTEN": "127.0.0.1:53, [::1]:53",
        "WHIMBREL_CYCLE_POLLING": "true",
        "WHIMBREL_FUZZ": "1",
    }
    loaded = load(path, environ)
    origins = {each.key: each.origin for each in loaded.settings}
    assert loaded.config.publish.zone == "environment.example"
    assert loaded.config.serve.listen == ("127.0.0.1:53", "[::1]:53")
    assert loaded.config.cycle.polling
    assert loaded.config.cycle.jobs == 2
    assert (origins["publish.zone"], origins["cycle.jobs"], origins["cycle.polling"]) == (
        "environment", "file", "environment",
    )  # fmt: skip
    assert loaded.config.store.data == str(tmp_path / "a")
    assert load(path, {"WHIMBREL_DATA": "b"}).config.store.data == "b"
    told = load(path, {"WHIMBREL_DATA": "b"}, Path("c"))
    assert told.config.store.data == "c"
    assert told.settings[0].origin == "command line"


def test_relative_paths_are_taken_from_the_folder_of_the_file(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, '[[watch]]\npath = "trap"\n[publish]\nsnapshot = "out/list"\n'), {})
    assert loaded.config.watch[0].path == str(tmp_path / "trap")
    assert loaded.config.publish.snapshot == str(tmp_path / "out/list")
    assert load(written(tmp_path, '[publish]\nsnapshot = ""\n'), {}).config.publish.snapshot == ""


def test_every_mistake_is_named_by_its_line_and_key(tmp_path: Path) -> None:
    text = """\
[store]
dta = "x"
[[watch]]
kind = "maildri"
[publsh]
zone = 1
[publish]
zone = 3
valid_hours = -1
[cycle]
jobs = "many"
"""
    assert found(tmp_path, text) == [
        "line 2: store.dta: is no key (did you mean data?)",
        "line 3: watch.1.path: is missing; The maildir, mbox file or folder to watch.",
        "line 4: watch.1.kind: invalid enum value 'maildri'; it is one of maildir, mbox, folder",
        "line 5: publsh: is no table (did you mean publish?)",
        "line 8: publish.zone: expected `str`, got `int`",
        "line 9: publish.valid_hours: expected `float` >= 0.01",
        "line 11: cycle.jobs: expected `int`, got `str`",
    ]
    with pytest.raises(ConfigError, match=r"line 2: store\.dta.*and 6 more, see: whimbrel config check"):
        load(tmp_path / "whimbrel.toml", {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[watch]]\npath = "a"\ntrust = ["?"]', "line 3: watch.1.trust: "),
        ('[[watch]]\npath = "a"\n[[watch]]\npath = "a"', "line 4: watch.2.path: "),
        (
            '[[watch]]\npath = "a"\ntrust = ["192.0.2.1"]\n[[watch]]\npath = "b"\ntrust = ["192.0.2.2"]',
            "line 6: watch.2.trust: another place tells other relays",
        ),
        ('[publish]\nzone = "ö.example"', "line 2: publish.zone: "),
        ('[publish]\nzone = "a..b"', "line 2: publish.zone: "),
        ('[serve]\nlisten = ["53"]', "line 2: serve.listen: '53' names no port; write 127.0.0.1:5300"),
        ('[metrics]\nlisten = "localhost:1"', "line 2: metrics.listen: "),
        ("[cycle]\npoll_seconds = nan", "line 2: cycle.poll_seconds: "),
        ('[watch]\npath = "a"', "line 1: watch: is a list of tables; write [[watch]]"),
        ("watch = 3", "line 1: watch: is a list of tables"),
        ("publish = 3", "line 1: publish: is a table; write [publish]"),
        ("[publish]\nservers = []", "line 2: publish.servers: "),
    ],
)
def test_what_makes_no_sense_is_told(tmp_path: Path, text: str, words: str) -> None:
    (mistake,) = found(tmp_path, text)
    assert mistake.startswith(words)


def test_a_variable_that_makes_no_sense_is_told_without_a_line() -> None:
    with pytest.raises(ConfigError, match=r"^settings: cycle\.jobs: expected `int`"):
        load(None, {"WHIMBREL_CYCLE_JOBS": "many"})


@pytest.mark.parametrize("text", [b"[store\n", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_what_is_no_toml_is_told(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "whimbrel.toml"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match="not TOML"):
        mistakes(path, {})


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        mistakes(tmp_path / "none.toml", {})


VALUES = st.sampled_from(
    ['"x"', "1", "-1", "1.5", "nan", "true", "[]", '["a"]', "{}", "1979-05-27", "[[1]]", '"[::1]:1"']
)
KEYS = st.sampled_from(["data", "path", "kind", "trust", "zone", "listen", "jobs", "servers", "level", "odd"])
HEADERS = st.sampled_from(
    ["[store]", "[[watch]]", "[publish]", "[serve]", "[cycle]", "[log]", "[metrics]", "[odd]", "[a.b]"]
)


@given(st.lists(st.tuples(HEADERS, st.dictionaries(KEYS, VALUES)), unique_by=lambda table: table[0]))
def test_any_file_is_read_or_its_mistakes_are_named(tmp_path_factory: pytest.TempPathFactory, tables: list) -> None:  # type: ignore[type-arg]
    text = "\n".join(
        f"{header}\n" + "\n".join(f"{key} = {value}" for key, value in keys.items()) for header, keys in tables
    )
    path = written(tmp_path_factory.mktemp("any"), text)
    told = mistakes(path, {})
    if told:
        assert all(each.key and "\n" not in str(each) for each in told)
        with pytest.raises(ConfigError):
            load(path, {})
    else:
        assert load(path, {}).path == path

"""World files: what is wrong is said in one line that names the file, the key and what to do."""

from pathlib import Path

import pytest

from whimbrel.errors import ConfigError
from whimbrel.worlds import World, generate, read_world
from whimbrel.worlds.settings import BOUNDS

WORLDS = sorted((Path(__file__).resolve().parents[2] / "worlds").glob("*.toml"))


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "made.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("chrun = 0.5", "unknown key 'chrun' (did you mean churn?)"),
        ("colour = 1", "unknown key 'colour' (docs/worlds.md names all)"),
        ("[[links]]\nfamly = 1", "links 1: unknown key 'famly' (did you mean family?)"),
        ("weeks = 'many'", "weeks: expected `int`, got `str`"),
        ("weeks = 0", "weeks is 0; give a number from 1 to 520"),
        ("churn = nan", "churn is nan; give a number from 0 to 1"),
        ("odds_ratio = 0.5", "odds_ratio is 0.5; give a number from 1 to 1000"),
        ("start = 2003-08-19", "start: 2003-08-19 is no Monday"),
        ("start = 1950-01-02", "start: 1950-01-02 is too far away"),
        ("families = 3\nfamily_sizes = [1, 2]", "family_sizes: has 2 numbers; give one a family (3)"),
        ("families = 2\nfamily_sizes = [1, -2]", "family_sizes: has a number below 0"),
        ("linked_pairs = 5", "linked_pairs: is more than there are"),
        ("list_family = 20", "list_family: is 20, and there are 11 families"),
        ("ases = 500", "networks: is 400; give at least one an AS (500)"),
        ("sensor_mismatch = 0.5", "sensors: is 1; sensor_mismatch needs 2 or more"),
        ("units = 100_000", "networks: of 254 addresses cannot hold 2200000 machines; raise networks"),
        ("[[links]]\nfamily = 12\ncampaign = 1\nodds_ratio = 2", "links 1: family is 12; give a number from 1 to 11"),
        ("[[links]]\nfamily = 1\ncampaign = 9\nodds_ratio = 2", "links 1: campaign is 9; give a number from 1 to 1"),
        ("[[links]]\nfamily = 1\ncampaign = 1", "links[0]: object missing required field `odds_ratio`"),
        ("[[bundles]]\nfamily = 1\nalso = 2\nshare = 2.0", "bundles 1: share is 2.0; give a number from 0 to 1"),
        ("weeks = ", "not TOML"),
    ],
)
def test_a_bad_world_is_one_clear_line(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_world(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(
        ConfigError, match=r"nowhere.toml: cannot be read \(No such file or directory\); check the path"
    ):
        read_world(Path("nowhere.toml"))


def test_changes_are_made_in_order(tmp_path: Path) -> None:
    path = written(tmp_path, "churn = 0.5\n[[links]]\nfamily = 2\ncampaign = 1\nodds_ratio = 5\n")
    world = read_world(path, ["churn=0.1", "odds_ratio = 3", "churn=0.2", "start=2003-08-25"])
    assert (world.churn, world.odds_ratio, str(world.start)) == (0.2, 3.0, "2003-08-25")
    assert world.links[0].odds_ratio == 5.0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("churn", "--set churn: write key=value"),
        ("chrun=1", "--set chrun=1: unknown key 'chrun' (did you mean churn?)"),
        ("start=Monday", "--set start=Monday: the value is not TOML"),
        ("churn=2", "with --set: churn is 2.0; give a number from 0 to 1"),
    ],
)
def test_a_bad_change_is_one_clear_line(tmp_path: Path, change: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_world(written(tmp_path, ""), [change])
    assert told in str(caught.value)


@pytest.mark.parametrize("path", WORLDS, ids=lambda path: path.name)
def test_every_world_file_can_be_read_and_used_at_any_odds_ratio(path: Path) -> None:
    assert read_world(path, ["odds_ratio=1.25"]).odds_ratio == 1.25
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_the_demo_is_small() -> None:
    demo = next(path for path in WORLDS if path.name == "demo.toml")
    assert 60_000 <= generate(read_world(demo), 1).num_rows <= 100_000


def test_every_number_has_bounds_that_hold_its_default() -> None:
    world = World()
    for name in World.__struct_fields__:
        value = getattr(world, name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert BOUNDS[name][0] <= value <= BOUNDS[name][1]

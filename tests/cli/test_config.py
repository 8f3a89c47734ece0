from pathlib import Path

from tests.cli.running import in_terminal, run

LONG = "/".join(["", *(f"folder-{number:03}" for number in range(30))])


def settings(folder: Path) -> Path:
    path = folder / "whimbrel.toml"
    path.write_text(f'[store]\ndata = "{LONG}"\n')
    return path


def test_values_are_toml_and_whole_where_there_is_no_terminal(tmp_path: Path) -> None:
    lines = run("config", "show", settings(tmp_path), data=tmp_path).out.splitlines()
    shown = {line.split()[0]: line for line in lines if "." in line.split(" ")[0]}
    assert " false " in shown["cycle.polling"]
    assert '"127.0.0.1:9530"' in shown["metrics.listen"]
    assert '["127.0.0.0/8", "::1"]' in shown["serve.exempt"]
    assert all(line.count("  ") >= 3 for line in shown.values())
    ran = run("config", "show", settings(tmp_path), "--data", LONG, data=tmp_path)
    assert f'"{LONG}"  command line  The folder of the store.' in ran.out


def test_in_a_terminal_nothing_is_cut_either(tmp_path: Path) -> None:
    lines = in_terminal("config", "show", settings(tmp_path), "--data", LONG, data=tmp_path, columns=80)
    assert max(len(line.rstrip()) for line in lines) <= 80
    heading = next(line for line in lines if line.startswith("setting"))
    values = [line[heading.index("value") : heading.index("from")].strip() for line in lines]
    assert f'"{LONG}"' in "".join(values)
    assert "\u2026" not in "".join(lines)

"""The command line before any command does its work: start-up, help, the list of plugins, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner, Result

import leatherens.cli as command_line
from leatherens.cli import COMMANDS, Session, cli
from leatherens.core.errors import ConfigError

HEAVY = ("torch", "timm", "numpy", "pydantic", "rich")
PLUGIN = """
from leatherens.core.hookspecs import hookimpl

@hookimpl
def register_heads(register):
    register("edge", "grain:Edge", summary="edges of the grain")
"""


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEATHERENS_BLOCK_PLUGINS", raising=False)
    monkeypatch.delenv("LEATHERENS_TRACE_PLUGINS", raising=False)


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "grain.py"
    path.write_text(PLUGIN, encoding="utf-8")
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.py"
    path.write_text("import gone", encoding="utf-8")
    return path


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments], prog_name="leatherens")


def use_command(monkeypatch: pytest.MonkeyPatch, command: click.Command) -> None:
    """Make `leatherens work` run this command."""
    module = ModuleType("a_command_module")
    module.work = command  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_command_module", module)
    monkeypatch.setitem(COMMANDS, "work", ("a_command_module:work", "Work."))


# what a fresh interpreter does


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["plugins", "list"], ["plugins", "--json"]], ids=" ".join
)
def test_start__imports_nothing_heavy(arguments: list[str]) -> None:
    code = f"""if True:
        import sys
        from leatherens.cli import main
        try:
            main({arguments!r})
        except SystemExit as end:
            print(end.code, *sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout
    assert done.stderr == "0\n"


def test_help__reads_the_table_and_imports_no_command() -> None:
    code = """if True:
        import sys
        from leatherens.cli import main
        try:
            main(["--help"])
        except SystemExit:
            print([name for name in sys.modules if name.startswith("leatherens.cli.")], file=sys.stderr)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr == "[]\n"
    wide = max(map(len, COMMANDS))
    for name, (_, summary) in COMMANDS.items():
        assert f"  {name:<{wide}}  {summary}\n" in done.stdout


def test_module__is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "leatherens", "--version"], capture_output=True, text=True, check=True
    )

    assert done.stdout == f"leatherens {metadata.version('leatherens')}\n"


def test_closed_output__ends_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "leatherens", "plugins"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)

    assert (done.returncode, done.stderr) == (1, b"")


def test_ctrl_c__of_a_real_process_is_one_sentence(tmp_path: Path) -> None:
    started = tmp_path / "started"
    slow = tmp_path / "slow.py"
    slow.write_text(
        f"import pathlib, time\npathlib.Path({str(started)!r}).touch()\ntime.sleep(60)\n", encoding="utf-8"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "leatherens", "--plugin", str(slow), "plugins"],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)

    told = "Interrupted while waiting for plugin slow to be imported; leave out --plugin slow.py"
    assert (process.returncode, stderr) == (130, f"\n{told} to do without it\n")


# how mistakes are told


def test_user_mistake__is_a_sentence_with_exit_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def work() -> None:
        raise ConfigError("stfpm: unknown option 'a'")

    use_command(monkeypatch, work)
    result = call("work")

    assert (result.exit_code, result.stdout, result.stderr) == (2, "", "Error: stfpm: unknown option 'a'\n")


def test_our_own_bug__keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def work() -> None:
        raise ZeroDivisionError

    use_command(monkeypatch, work)

    assert isinstance(call("work").exception, ZeroDivisionError)


def test_exit_code__of_a_command_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @click.pass_context
    def work(ctx: click.Context) -> None:
        ctx.exit(7)

    use_command(monkeypatch, work)

    assert call("work").exit_code == 7


def test_main__leaves_with_the_command_s_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def work() -> None:
        raise KeyboardInterrupt

    use_command(monkeypatch, work)
    with pytest.raises(SystemExit) as caught:
        command_line.main(["work"])

    assert caught.value.code == 130


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["plugin"], "Error: no command 'plugin'; did you mean 'plugins'?\n"),
        (["plugins", "lst"], "Error: no command 'lst'; did you mean 'list'?\n"),
        (["zebra"], f"Error: no command 'zebra' (commands: {', '.join(COMMANDS)})\n"),
        (["--plugin", "gone.py", "plugins"], "'--plugin': File 'gone.py' does not exist.\n"),
        (["--strict-plugin", "plugins"], "--strict-plugins"),
    ],
    ids=["near", "near in group", "far", "file", "option"],
)
def test_mistyped_command_line__is_told_the_nearest(arguments: list[str], sentence: str) -> None:
    result = call(*arguments)

    assert result.exit_code == 2
    assert sentence in result.stderr


# leatherens plugins


def test_plugins__alone_is_list(plugin: Path) -> None:
    alone, listed = call("--plugin", plugin, "plugins"), call("--plugin", plugin, "plugins", "list")

    assert alone.exit_code == 0
    assert alone.stdout == listed.stdout
    assert call("plugins", "--kind", "heads").stdout == call("plugins", "list", "--kind", "heads").stdout


def test_plugins__shows_a_table_sorted_by_kind_and_id(plugin: Path) -> None:
    result = call("--no-plugins", "--plugin", plugin, "plugins", "--kind", "heads")

    offers, _, plugins = result.stdout.partition("\n\n")
    header, *rows = offers.splitlines()
    assert header.split() == ["kind", "id", "summary", "plugin", "state"]
    assert [row.split()[:2] for row in rows] == [
        ["heads", "discriminator"],
        ["heads", "edge"],
        ["heads", "gaussian"],
        ["heads", "memory-bank"],
    ]
    edge = rows[1]
    assert edge[header.index("summary") :].startswith("edges of the grain ")
    assert edge[header.index("plugin") :].split() == ["grain", "ok"]
    version = metadata.version("leatherens")
    assert [line.split() for line in plugins.splitlines()] == [
        ["plugin", "origin", "version", "API", "offers", "observes", "state", "reason"],
        ["grain", str(plugin), "1", "(not", "stated)", "1", "ok"],
        ["leatherens", "built-in", version, "1", "3", "ok"],
    ]


def test_plugins__tells_the_reason_of_a_broken_one(broken: Path) -> None:
    result = call("--plugin", broken, "plugins", "--kind", "heads")

    assert result.exit_code == 0
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("broken ")]
    assert line.split()[1:5] == [str(broken), "?", "0", "broken"]
    assert line.endswith("  ModuleNotFoundError: No module named 'gone'")


def test_plugins__of_a_hook_leaves_the_others_out(plugin: Path, broken: Path) -> None:
    result = call("--plugin", plugin, "--plugin", broken, "plugins", "--hook", "register_detectors", "--json")

    assert [p["name"] for p in json.loads(result.stdout)] == ["leatherens"]


def test_plugins__as_json(plugin: Path) -> None:
    result = call("--plugin", plugin, "plugins", "--json", "--kind", "heads")

    (grain,) = [p for p in json.loads(result.stdout) if p["name"] == "grain"]
    target = grain["offers"][0].pop("target")
    assert target.endswith(":Edge")
    assert grain == {
        "name": "grain",
        "origin": "file",
        "distribution": "",
        "file": str(plugin),
        "version": "",
        "api": 1,
        "api_stated": False,
        "state": "ok",
        "reason": "",
        "remarks": [],
        "hooks": ["register_heads"],
        "offers": [{"kind": "heads", "id": "edge", "summary": "edges of the grain", "conflicts": []}],
    }


def test_plugins__names_the_rival_of_a_conflict(tmp_path: Path) -> None:
    rival = tmp_path / "rival.py"
    rival.write_text(PLUGIN.replace('"edge"', '"discriminator"'), encoding="utf-8")

    lines = call("--plugin", rival, "plugins", "--kind", "heads").stdout.splitlines()

    assert lines[1].endswith("conflict with rival; use leatherens:discriminator")
    assert lines[2].endswith("conflict with leatherens; use rival:discriminator")
    assert lines[3].endswith("ok")


def test_plugins__shows_blocked_ones_only_when_asked(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEATHERENS_BLOCK_PLUGINS", "grain")

    assert "grain" not in call("--plugin", plugin, "plugins", "--kind", "readers").stdout
    (line,) = [
        line
        for line in call("--plugin", plugin, "plugins", "--all").stdout.splitlines()
        if line.startswith("grain ")
    ]
    assert line.split() == ["grain", str(plugin), "?", "0", "blocked"]


def test_strict_plugins__refuses_to_work(broken: Path) -> None:
    result = call("--strict-plugins", "--plugin", broken, "plugins")

    assert result.exit_code == 2
    assert result.stderr.startswith(
        "Error: plugin broken is broken: ModuleNotFoundError: No module named 'gone' ("
    )


def test_no_plugins__leaves_installed_ones_out_and_keeps_files(
    plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "stranger-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[leatherens]\nstranger = gone_module\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    everything = {p.name for p in Session(plugin_files=(plugin,)).host.plugins()}
    without = {p.name for p in Session(plugin_files=(plugin,), installed_plugins=False).host.plugins()}

    assert everything - without == {"stranger"}
    assert without == {"leatherens", "grain"}


def test_host__of_a_session_is_made_once() -> None:
    session = Session()

    assert session.host is session.host


@pytest.mark.parametrize("columns", [70, 200])
def test_table__fits_the_terminal_by_cutting_summaries(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from leatherens.cli import columns as laid_out
    from leatherens.cli import plugins_table
    from leatherens.core.registry import Entry, PluginInfo

    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(laid_out.sys.stdout, "isatty", lambda: True, raising=False)
    edge = Entry("heads", "edge", "grain", "grain:Edge", "s" * 60)

    header, line = plugins_table.offers_table([PluginInfo("grain", claims=(edge,))], {})

    assert len(line) <= columns
    assert ("…" in line) == (columns == 70)
    assert header.index("state") == line.index("ok")

"""The documentation's code and lists are true."""

from __future__ import annotations

import re
import sys
from importlib import util
from pathlib import Path

import pytest

from leatherens.configs.options import Options
from leatherens.core import hookspecs
from leatherens.core.host import PluginHost
from leatherens.core.synthesis.catalogue import KINDS
from leatherens.testing import check_member

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the tests run without the docs folder")


def code_blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture
def oddcolour(tmp_path: Path) -> Path:
    file = tmp_path / "oddcolour.py"
    file.write_text(code_blocks("write-a-detector.md", "python")[0], encoding="utf-8")
    return file


def test_the_detector_of_the_page_is_a_plugin(oddcolour: Path) -> None:
    host = PluginHost(installed=False, files=[oddcolour], strict=True)

    assert host.detectors().load("oddcolour").id == "oddcolour"


def test_the_detector_of_the_page_conforms(oddcolour: Path) -> None:
    spec = util.spec_from_file_location("oddcolour", oddcolour)
    assert spec is not None
    module = util.module_from_spec(spec)
    sys.modules["oddcolour"] = module
    try:
        spec.loader.exec_module(module)
        failed = [result for result in check_member(module.Oddcolour) if not result.passed]
    finally:
        del sys.modules["oddcolour"]

    assert failed == []


def test_every_hook_stands_on_the_plugins_page_with_its_signature() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    hooks = [name for name in vars(hookspecs) if name.startswith("register_")]

    assert [hook for hook in hooks if f"### `{hook}(register)`" not in page] == []


def test_the_plugins_page_lists_every_built_in() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    (builtin,) = PluginHost(installed=False).plugins()

    assert [entry.id for entry in builtin.entries if f"| `{entry.id}` | {entry.summary} |" not in page] == []


def test_the_page_of_anomalies_lists_every_kind_with_what_was_measured() -> None:
    page = (ROOT / "docs" / "anomalies.md").read_text(encoding="utf-8")

    assert [id for id in KINDS if page.count(f"\n| `{id}` |") != 2] == []


def test_the_code_of_the_page_of_anomalies_runs() -> None:
    (code,) = code_blocks("anomalies.md", "python")
    exec(compile(code, "docs/anomalies.md", "exec"), {})


def test_ci_runs_the_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- test-command -->\n```sh\n(python3 -m venv [^\n]* -m pytest[^\n]*)\n```", readme)

    assert block is not None


def test_the_code_of_the_page_on_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(code_blocks("python.md", "python"))
    exec(compile(code, "docs/python.md", "exec"), {})


def test_the_page_on_python_names_every_option() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    listed = re.search(r"`Ensemble\(members, \*\*options\)`: ([^.]*)\.", page)

    assert listed is not None
    assert re.split(r",\s+", listed[1]) == list(Options.__annotations__)


def test_the_options_of_python_are_each_explained() -> None:
    rows = re.findall(r"^    \| (\w+) \|", Options.__doc__ or "", flags=re.MULTILINE)

    assert rows == ["option", *Options.__annotations__]

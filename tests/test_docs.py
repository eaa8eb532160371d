"""The documentation's code and lists are true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from leatherens.cli import Session
from leatherens.cli.pages.hook import signature
from leatherens.cli.pages.options import option_rows
from leatherens.cli.plugins_docs import pages
from leatherens.configs.options import Options
from leatherens.core.host import ALL_HOOKS, HOOKS, PluginHost
from leatherens.core.host import KINDS as PLUGIN_KINDS
from leatherens.core.synthesis.catalogue import KINDS

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the tests run without the docs folder")


def code_blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_plugins_page_leads_to_every_hook_with_its_signature() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")

    assert [hook for hook in ALL_HOOKS if f"- [`{signature(hook)}`](hooks/{hook}.md)" not in page] == []


def test_pages_of_plugins_and_hooks_are_what_the_code_says() -> None:
    """After a change: leatherens --no-plugins plugins docs docs."""
    made = pages(Session(installed_plugins=False))
    folders = [path for folder in ("plugins", "hooks") for path in (ROOT / "docs" / folder).rglob("*.md")]
    there = {
        path.relative_to(ROOT / "docs").as_posix(): path.read_text(encoding="utf-8")
        for path in (*folders, ROOT / "docs" / "scenarios.md")
    }

    assert sorted(there) == sorted(made)
    assert [path for path, text in made.items() if there[path] != text] == []


def test_every_option_of_a_built_in_says_what_it_means() -> None:
    host = PluginHost(installed=False)
    made = [host.registry(kind).load(id) for kind in PLUGIN_KINDS for id in host.registry(kind).ids()]
    silent = [
        f"{one.id}.{name}"
        for one in made
        if hasattr(one, "Params")
        for name, kind, _, _, meaning in option_rows(one.Params)
        if not meaning or kind == "any value"
    ]

    assert silent == []


@pytest.mark.parametrize(
    "page", [p.relative_to(ROOT / "docs").as_posix() for p in sorted((ROOT / "docs").rglob("*.md"))]
)
def test_the_code_of_every_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in one namespace and an empty folder; a hook's implementation also registers what it says."""
    monkeypatch.chdir(tmp_path)
    if page == "write-a-detector.md":
        pytest.skip("is executed by test_write_a_detector.py, where its package is installed")
    names: dict[str, object] = {}
    registered: list[str] = []
    for code in code_blocks(page, "python"):
        exec(compile(code, page, "exec"), names)
    for hook in HOOKS:
        if callable(offer := names.get(hook)):
            offer(lambda id, target, *, summary: registered.append(f"{id}, {target}, {summary}"))
            assert len(registered) == 1


def test_links_of_every_page_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in (ROOT / "docs").rglob("*.md")
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in link and not (page.parent / link).exists()
    ]

    assert broken == []


def test_the_page_of_anomalies_lists_every_kind_with_what_was_measured() -> None:
    page = (ROOT / "docs" / "anomalies.md").read_text(encoding="utf-8")

    assert [id for id in KINDS if page.count(f"\n| `{id}` |") != 2] == []


def test_ci_runs_the_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- test-command -->\n```sh\n(python3 -m venv [^\n]* -m pytest[^\n]*)\n```", readme)

    assert block is not None


def test_the_page_on_python_names_every_option() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    listed = re.search(r"`Ensemble\(members, \*\*options\)`: ([^.]*)\.", page)

    assert listed is not None
    assert re.split(r",\s+", listed[1]) == list(Options.__annotations__)


def test_the_options_of_python_are_each_explained() -> None:
    rows = re.findall(r"^    \| (\w+) \|", Options.__doc__ or "", flags=re.MULTILINE)

    assert rows == ["option", *Options.__annotations__]

"""Scenarios: what ships, what a plugin adds, and how mistakes in one are told."""

from __future__ import annotations

import textwrap
from pathlib import Path

import broken_scenarios
import pytest

from leatherens.cli.pages.scenario import overview_page
from leatherens.configs.recipe_file import read_recipe_file
from leatherens.core.errors import PluginError
from leatherens.core.host import PluginHost
from leatherens.core.scenario import Range
from leatherens.testing import check_member
from leatherens.testing.checks import CHECKS

HOST = PluginHost(installed=False)
DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("id", broken_scenarios.SINS)
def test_kit__catches_each_sin_and_passes_what_keeps_the_contract(id: str, tmp_path: Path) -> None:
    results = check_member(broken_scenarios.scenario(tmp_path, id), kind="scenarios")

    failed = [f"{result.name}: {result.message}" for result in results if not result.passed]
    check, _, said = broken_scenarios.SINS[id][0].partition(": ")
    assert (
        any(told.startswith(f"scenario_{check}: ") and said in told for told in failed)
        if check
        else not failed
    )


def test_every_check_of_scenarios_has_a_sinner() -> None:
    caught = {f"scenario_{said.partition(': ')[0]}" for said, _ in broken_scenarios.SINS.values() if said}

    assert caught == set(CHECKS["scenarios"])


@pytest.mark.parametrize("id", HOST.scenarios().ids())
def test_scenario__that_ships_was_measured_against_others(id: str) -> None:
    about = read_recipe_file(id, HOST).about

    assert about is not None
    assert about.measured, "a recommendation that nothing backs"
    for measured in about.measured:
        assert "leatherens run --config " in measured.command
        assert measured.against, "the single detectors it was compared with"


def test_overview__in_the_docs_is_what_the_files_say() -> None:
    assert (DOCS / "scenarios.md").read_text(encoding="utf-8") == overview_page(HOST)


def test_plugin_file__adds_a_scenario_from_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/wet-blue.yaml").write_text("extends: multi-colour\nseed: 7\n", encoding="utf-8")
    (tmp_path / "tannery.py").write_text(
        textwrap.dedent("""
        from leatherens import hookimpl
        leatherens_api = 1
        @hookimpl
        def register_scenarios(register):
            register("wet-blue", "tannery:mine/wet-blue.yaml", summary="hides before dyeing")
        """),
        encoding="utf-8",
    )
    host = PluginHost(installed=False, files=[tmp_path / "tannery.py"])

    found = read_recipe_file("wet-blue", host)

    assert "wet-blue" in host.scenarios().ids()
    assert found.recipe.seed == 7
    assert set(found.recipe.members) == set(read_recipe_file("multi-colour", host).recipe.members)


@pytest.mark.parametrize("target", ["tannery", "tannery:wet blue.yaml", "tannery:../wet", 7])
def test_target__that_no_file_could_be_is_refused(target: object, tmp_path: Path) -> None:
    (tmp_path / "tannery.py").write_text(
        "from leatherens import hookimpl\n@hookimpl\ndef register_scenarios(register):\n"
        f"    register('wet-blue', {target!r})\n",
        encoding="utf-8",
    )

    with pytest.raises(PluginError, match=r"the target is a string 'package:folder/name.yaml'"):
        PluginHost(builtins=False, installed=False, files=[tmp_path / "tannery.py"], strict=True)


def test_range__holds_its_ends() -> None:
    few = Range(least=1, most=16)

    assert [few.holds(number) for number in (0, 1, 16, 17)] == [False, True, True, False]

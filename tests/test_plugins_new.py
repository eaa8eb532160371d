"""`leatherens plugins new`: packages that work as written, and names that are refused in words."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from PIL import Image
from tiny_runs import TINY, call

from leatherens.cli.kinds import typed
from leatherens.cli.template import KINDS, named, written
from leatherens.configs.recipe import read_recipe
from leatherens.core.errors import ConfigError
from leatherens.core.leather import good_hide
from leatherens.core.randomness import numpy_generator
from leatherens.testing import On, check_member


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of every kind, side by side; their sources can be imported."""
    root = tmp_path_factory.mktemp("packages")
    with pytest.MonkeyPatch.context() as patch:
        for kind in KINDS:
            names = named(f"own-{typed(kind)}", kind)
            written(names, root / names.distribution)
            patch.syspath_prepend(root / names.distribution / "src")
        yield root


def named_by_what_they_are(root: Path, *, good: int) -> Path:
    """Hides of 64 x 64 pixels in the layout of the reader's template, two of them with a hole."""
    for number in range(good + 2):
        pixels = good_hide(numpy_generator(number, "hide"), scenario="one-colour", size=(64, 64)).copy()
        if number >= good:
            pixels[20:36, 30:44] = 0
        word = "ok" if number < good else "nok"
        Image.fromarray(pixels).save(root / f"{number:02}_{word}.png")
    return root


def part_of(kind: str) -> type:
    names = named(f"own-{typed(kind)}", kind)
    made: type = getattr(importlib.import_module(f"{names.module}.{names.file}"), names.cls)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_template__keeps_the_contract(kind: str, packages: Path) -> None:
    results = check_member(part_of(kind))

    assert [result.message for result in results if not result.passed] == []


def test_template__of_a_reader_keeps_the_contract_on_its_layout(packages: Path, tmp_path: Path) -> None:
    results = check_member(On(part_of("readers"), named_by_what_they_are(tmp_path, good=5)))

    assert [result.message for result in results if not result.passed] == []


def test_templates__of_all_kinds_work_in_one_run(packages: Path, tmp_path: Path) -> None:
    plugin, data, out = tmp_path / "own.py", tmp_path / "data", tmp_path / "run"
    modules = {named(f"own-{typed(kind)}", kind).module: kind for kind in KINDS}
    plugin.write_text(
        "\n".join(f"from {module} import register_{kind}" for module, kind in modules.items()),
        encoding="utf-8",
    )
    data.mkdir()
    parts = ("block", "head", "score-fusion", "calibrator", "threshold")
    asked = {part: f"own-{'fusion-block' if part == 'block' else part}" for part in parts}
    settings = [f"--set=stfpm.{key}={value}" for key, value in TINY["stfpm"].items()]

    result = call(
        *("--plugin", plugin, "--strict-plugins", "run", "--members", "own-detector,stfpm", *settings),
        *(word for part, id in asked.items() for word in (f"--{part}", id)),
        *("--prepare", "own-preparation", "--size", "64", "--device", "cpu", "--calibration", "split"),
        *("--data", named_by_what_they_are(data, good=30), "--out", out),
    )

    assert result.exit_code == 0, result.stderr
    recipe = read_recipe(out / "recipe.yaml")
    assert [step.id for step in recipe.preparation] == ["own-preparation"]
    chosen = (recipe.block, recipe.head, recipe.score_fusion, recipe.calibrator, recipe.threshold)
    assert [choice.id for choice in chosen] == list(asked.values())
    assert re.search(r"\d of 8 images are defective", (out / "own-reporter.md").read_text(encoding="utf-8"))


def test_new__writes_a_package_and_says_what_comes_next(tmp_path: Path) -> None:
    result = call("plugins", "new", "grain-flow", "--kind", "head", "--out", tmp_path)

    folder = tmp_path / "leatherens-grain-flow"
    assert result.exit_code == 0, result.stderr
    assert (folder / "src/leatherens_grain_flow/head.py").is_file()
    assert f"cd {folder.as_posix()}\n" in result.output
    assert "leatherens plugins check grain-flow --kind head" in result.output


def test_new__overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "leatherens-grain-flow").mkdir()
    (tmp_path / "leatherens-grain-flow/notes.txt").write_text("mine", encoding="utf-8")

    result = call("plugins", "new", "grain-flow", "--out", tmp_path)

    assert result.exit_code == 2
    assert "leatherens-grain-flow: there is something already" in result.stderr
    assert [p.name for p in (tmp_path / "leatherens-grain-flow").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("id", "kind", "sentence"),
    [
        ("GrainFlow", "detectors", "'GrainFlow' is no id: lower-case letters .* did you mean 'grain-flow'"),
        ("grain_flow", "detectors", "did you mean 'grain-flow'"),
        ("7th", "detectors", "'7th' is no id"),
        ("leatherens-grain", "detectors", "give the id alone, 'grain'"),
        ("head", "heads", "the class would be called Head, a name that is taken"),
        ("params", "calibrators", "the class would be called Params, a name that is taken"),
    ],
)
def test_new__refuses_names_in_words(id: str, kind: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=sentence):
        written(named(id, kind), tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_new__refuses_a_taken_id_and_a_kind_without_a_template() -> None:
    taken, unknown = call("plugins", "new", "padim"), call("plugins", "new", "grain", "--kind", "backbone")

    assert "there is a detector 'padim', of plugin leatherens; choose another name" in taken.stderr
    assert "no kind 'backbone'" in unknown.stderr
    assert (taken.exit_code, unknown.exit_code) == (2, 2)

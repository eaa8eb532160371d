"""Recipe files: short forms, `extends`, options over them, and mistakes told with file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from leatherens.cli import cli
from leatherens.configs.checked import require_parts
from leatherens.configs.from_options import recipe_of
from leatherens.configs.recipe import Mode
from leatherens.configs.recipe_file import read_recipe_file
from leatherens.configs.schema import recipe_schema
from leatherens.core.errors import ConfigError
from leatherens.core.host import PluginHost
from leatherens.core.yaml_file import read_yaml
from leatherens.ensembles.parts import resolve

HOST = PluginHost(installed=False)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def content(name: str) -> Any:
    return read_recipe_file(name, HOST).content


# what may be said


def test_short_forms__are_written_out() -> None:
    name = write("a.yaml", "members: [padim]\nhead: {neighbours: 3}\nblock: global\nsize: 128\ntile: 96\n")

    assert content(name) == {
        "members": {"padim": {}},
        "head": {"id": "memory-bank", "options": {"neighbours": 3}},
        "block": {"id": "global"},
        "size": [128, 128],
        "tile": [96, 96],
    }


def test_member__may_have_its_options_beside_its_cut_or_under_their_own_key() -> None:
    short = write("a.yaml", "members: {stfpm: {steps: 3, features: [difference*]}}\n")
    long = write("b.yaml", "members: {stfpm: {options: {steps: 3}, features: [difference*]}}\n")

    assert content(short) == content(long)


def test_tile__alone_is_brought_to_its_own_size() -> None:
    assert content(write("a.yaml", "members: [padim]\ntile: 96\n"))["size"] == [96, 96]


def test_ignore__adds_a_mask_and_means_the_files_folder(here: Path) -> None:
    (here / "sub").mkdir()
    (here / "sub/mask.png").write_bytes(b"")
    write("sub/a.yaml", "members: [padim]\nignore: mask.png\nmasking: after\n")

    options = {"ignore": str(here / "sub/mask.png"), "when": "after"}
    assert content("sub/a.yaml")["preparation"] == [{"id": "mask", "options": options}]


# extends


def test_extends__joins_members_options_and_parts_under_one_id() -> None:
    write(
        "base.yaml",
        "members: {stfpm: {steps: 3, crop: 64}, padim: }\nhead: {id: memory-bank, neighbours: 3}\nseed: 1\n",
    )
    own = write(
        "own.yaml",
        "extends: base.yaml\nmembers: {stfpm: {steps: 9}, cfa: }\nhead: {sampling: uniform}\nsize: 64\n",
    )

    assert content(own) == {
        "members": {"stfpm": {"options": {"steps": 9, "crop": 64}}, "padim": {}, "cfa": {}},
        "head": {"id": "memory-bank", "options": {"neighbours": 3, "sampling": "uniform"}},
        "seed": 1,
        "size": [64, 64],
    }


def test_extends__under_another_id_a_part_begins_anew() -> None:
    write("base.yaml", "members: [padim, cfa]\nhead: {id: memory-bank, neighbours: 3}\n")

    assert content(write("own.yaml", "extends: base.yaml\nhead: gaussian\n"))["head"] == {"id": "gaussian"}


def test_extends__a_list_says_which_members_there_are_and_null_takes_a_key_back() -> None:
    write("base.yaml", "members: {stfpm: {steps: 3}, padim: }\nseed: 1\n")
    own = write("own.yaml", "extends: base.yaml\nmembers: [stfpm]\nseed: null\n")

    assert content(own) == {"members": {"stfpm": {"options": {"steps": 3}}}}


def test_extends__goes_by_scenario_by_file_beside_and_through_several(here: Path) -> None:
    (here / "sub").mkdir()
    write("sub/one.yaml", "extends: fast\nseed: 1\n")
    write("sub/two.yaml", "extends: one.yaml\neffort: full\n")

    found = read_recipe_file("sub/two.yaml", HOST)

    assert set(found.recipe.members) == set(read_recipe_file("fast", HOST).recipe.members)
    assert (found.recipe.seed, found.recipe.effort) == (1, "full")
    assert [path.name for path in found.files] == ["two.yaml", "one.yaml", "fast.yaml"]


# mistakes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("members: [padim]\n\nsede: 3\n", "a.yaml, line 3: unknown key 'sede'; did you mean 'seed'?"),
        (
            "members:\n  padim: {}\nsize: [64, 0]\n",
            "a.yaml, line 3: option 'size.1': input should be",
        ),
        (
            "members: [padim]\nfolds: many\n",
            "a.yaml, line 2: option 'folds': input should be a",
        ),
        (
            "members:\n  padim: {}\n  padin: {}\n",
            "a.yaml, line 3: no detector 'padin'; did you mean 'padim'?",
        ),
        (
            "members:\n  padim:\n    dimension: 3\n",
            "a.yaml, line 3: padim: unknown option 'dimension'; did you mean 'dimensions'?",
        ),
        (
            "members:\n  padim:\n    options:\n      regularisation: many\n",
            "a.yaml, line 4: padim: option 'regularisation': input should be",
        ),
        (
            "members: [padim]\nhead:\n  id: gausian\n",
            "a.yaml, line 2: no head 'gausian'; did you mean",
        ),
        ("members: [padim, padim]\n", "a.yaml, line 1: option 'members': 'padim' is named twice"),
        ("members: [padim]\nseed: 1\nseed: 2\n", "a.yaml, line 3: key 'seed' stands in line 2 already"),
        ("members: [padim\n", "a.yaml: not YAML ("),
        ("", "a.yaml: expected keys and values, got nothing"),
        ("- padim\n", "a.yaml: expected keys and values, got list"),
        (
            "seed: 1\nextends: one-color\n",
            "a.yaml, line 2: extends: no scenario is called 'one-color'",
        ),
        ("extends: b.yaml\n", "a.yaml, line 1: extends: "),
        ("extends: a.yaml\n", "which extends"),
        ("members: [padim]\nmasking: after\n", "a.yaml, line 2: masking: there is no mask to apply"),
        ("members: [padim]\nabout:\n  title: x\n", "a.yaml, line 2: option 'about.use' is required"),
        ("members: [padim]\nhead: 7\n", "a.yaml, line 2: option 'head': "),
        ("members: 7\n", "a.yaml, line 1: option 'members': "),
    ],
)
def test_mistake__is_told_with_its_file_and_line(text: str, sentence: str) -> None:
    write("a.yaml", text)

    with pytest.raises(ConfigError) as caught:
        require_parts(read_recipe_file("a.yaml", HOST), HOST)

    assert sentence in str(caught.value)


def test_mistake__in_what_is_extended_names_that_file() -> None:
    write("base.yaml", "members:\n  padim: {dimension: 3}\n")
    write("own.yaml", "extends: base.yaml\nmembers: {padim: {regularisation: 0.1}}\n")

    with pytest.raises(ConfigError, match=r"base\.yaml, line 2: padim: unknown option 'dimension'"):
        require_parts(read_recipe_file("own.yaml", HOST), HOST)


def test_circle__is_told_with_every_file_in_it() -> None:
    write("a.yaml", "extends: b.yaml\n")
    write("b.yaml", "extends: c.yaml\n")
    write("c.yaml", "extends: b.yaml\n")

    with pytest.raises(ConfigError, match=r"b\.yaml which extends .*c\.yaml which extends .*b\.yaml: a"):
        read_recipe_file("a.yaml", HOST)


def test_line__of_a_key_behind_an_anchor_is_where_it_stands() -> None:
    write("a.yaml", "x: &x\n  a: 1\ny:\n  <<: *x\n  b: 2\n")

    assert read_yaml(Path("a.yaml")).lines[("y", "b")] == 5
    assert read_yaml(Path("a.yaml")).content["y"] == {"a": 1, "b": 2}


# options over a recipe


def options_over(text: str, members: list[str], **options: Any) -> Any:
    return recipe_of(members, options, HOST, base=content(write("base.yaml", text)))  # type: ignore[arg-type]


def test_options__override_single_keys() -> None:
    recipe = options_over(
        "members: {stfpm: {steps: 3, crop: 64}, padim: }\nhead: {id: memory-bank, neighbours: 3}\nseed: 1\n",
        [],
        settings={"members.stfpm.steps": 9, "head.sampling": "uniform", "batch_size": 4},
        seed=2,
    )

    assert recipe.members["stfpm"].options == {"steps": 9, "crop": 64}
    assert recipe.head.options == {"neighbours": 3, "sampling": "uniform"}
    assert (recipe.seed, recipe.batch_size, set(recipe.members)) == (2, 4, {"stfpm", "padim"})


def test_members__given_say_which_there_are_and_keep_what_the_recipe_says_of_them() -> None:
    recipe = options_over("members: {stfpm: {steps: 3}, padim: }\n", ["stfpm", "cfa"])

    assert {id: member.options for id, member in recipe.members.items()} == {"stfpm": {"steps": 3}, "cfa": {}}


def test_mode_score__over_a_recipe_with_a_head_leaves_it_idle() -> None:
    recipe = options_over("members: [padim, cfa]\nhead: gaussian\n", [], mode="score")

    assert recipe.fusion_mode is Mode.score


def test_false_alarms__go_to_the_recipes_own_rule() -> None:
    recipe = options_over("members: [padim]\nthreshold: {id: conformal}\n", [], false_alarms=0.05)

    assert recipe.threshold.options == {"false_alarms": 0.05}


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("stfpn.steps", "no member or part is called 'stfpn'; did you mean 'stfpm'?"),
        ("sede", "no key of a recipe; did you mean 'seed'?; an option of a member"),
        ("stfpm", "which option of it? expected stfpm.KEY=VALUE"),
    ],
)
def test_setting__of_nothing_is_refused_with_the_nearest(path: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence.replace("?", r"\?")):
        options_over("members: [stfpm]\n", [], settings={path: 1})


# the commands


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["--no-plugins", "config", *arguments])


def test_show__prints_a_recipe_that_is_the_same_again() -> None:
    shown = run("show", "best-accuracy").output
    resolved = run("show", "best-accuracy", "--resolved").output

    first = read_recipe_file("best-accuracy", HOST).recipe
    assert read_recipe_file(write("shown.yaml", shown), HOST).recipe == first
    assert read_recipe_file(write("resolved.yaml", resolved), HOST).recipe == resolve(first, HOST)


def test_validate__says_what_is_wrong_without_a_traceback() -> None:
    done = run("validate", write("a.yaml", "members: {padim: {dimension: 3}}\n"))

    assert done.exit_code == 2
    assert done.output.startswith("Error: ")
    assert "a.yaml, line 1: padim: unknown option 'dimension'" in done.output
    assert run("validate", "fast").output.startswith("fast: a recipe of padim; nothing")


def test_list__names_every_scenario() -> None:
    assert [line.split()[0] for line in run("list").output.splitlines()[1:]] == list(HOST.scenarios().ids())
    assert set(json.loads(run("list", "--json").output)) == set(HOST.scenarios().ids())


@pytest.fixture(scope="module")
def schema() -> Any:
    return recipe_schema(HOST)


def test_schema__takes_what_is_right_and_refuses_what_is_wrong(schema: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="the validator of schemas is not installed")
    validator = jsonschema.Draft202012Validator(schema)
    right = [dict(read_yaml(HOST.scenarios().load(id).file).content) for id in HOST.scenarios().ids()]
    right += [
        json.loads(json.dumps(resolve(read_recipe_file("fast", HOST).recipe, HOST).model_dump(mode="json"))),
        {"extends": "fast", "members": {"padim": None}, "head": {"neighbours": 3}, "size": 64, "seed": None},
    ]
    wrong = [
        {"members": ["padin"]},
        {"members": {"padim": {"dimension": 3}}},
        {"members": ["padim"], "hed": "gaussian"},
        {"members": ["padim"], "head": "gausian"},
        {"members": ["padim"], "head": {"id": "gaussian", "neighbours": 3}},
        {"members": ["padim"], "size": [64]},
    ]

    for recipe in right:
        assert list(validator.iter_errors(recipe)) == []
    for recipe in wrong:
        assert list(validator.iter_errors(recipe)), recipe


def test_schema__describes_every_key_of_a_recipe_file(schema: Any) -> None:
    from leatherens.configs.recipe import Recipe

    assert set(schema["properties"]) == {*Recipe.model_fields, "extends", "about", "ignore", "masking"}


# from Python


def test_ensemble__takes_a_recipe_by_name_and_says_what_differs(tmp_path: Path) -> None:
    from leatherens import AnomalyDetector, Ensemble

    recipe = Ensemble(config="multi-colour", seed=4, settings={"stfpm.steps": 20})._recipe()

    assert set(recipe.members) == {"patchcore", "stfpm"}
    assert (recipe.seed, recipe.members["stfpm"].options["steps"]) == (4, 20)
    assert repr(Ensemble(config="fast", seed=4)) == "Ensemble(config='fast', seed=4)"
    assert AnomalyDetector(config="fast").get_params()["config"] == "fast"
    with pytest.raises(ConfigError, match=r"no scenario is called 'fats'; did you mean 'fast'\?"):
        Ensemble(config="fats")._recipe()

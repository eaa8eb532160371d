"""A recipe as a value and as a file: what it leaves out, what it refuses, and when it is another recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from leatherens.configs.recipe import Choice, MemberChoice, Mode, Recipe, read_recipe, write_recipe
from leatherens.core.errors import ArtifactError, ConfigError
from leatherens.core.params import parse_params
from leatherens.ensembles.facts import recipe_fingerprint

RECIPE = Recipe(
    members={"stfpm": MemberChoice(options={"steps": 3, "layers": [1, 2]}), "draem": MemberChoice()},
    mode=Mode.hybrid,
    threshold=Choice(id="p-quantile", options={"p": 0.95}),
    size=(64, 96),
    weights=("/weights/ä.pth",),
)


def test_recipe__comes_back_from_its_file(tmp_path: Path) -> None:
    write_recipe(tmp_path / "recipe.yaml", RECIPE)

    assert read_recipe(tmp_path / "recipe.yaml") == RECIPE


def test_recipe__names_only_what_differs_from_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("members: {stfpm: {}}\nseed: 7\n", encoding="utf-8")

    assert read_recipe(tmp_path / "recipe.yaml") == Recipe(members={"stfpm": MemberChoice()}, seed=7)


@pytest.mark.parametrize(
    ("members", "mode", "fused"),
    [
        (["stfpm"], None, Mode.score),
        (["stfpm", "draem"], None, Mode.hybrid),
        (["stfpm"], Mode.feature, Mode.feature),
        (["stfpm", "draem"], Mode.score, Mode.score),
    ],
)
def test_mode__follows_the_number_of_members_unless_asked(
    members: list[str], mode: Mode | None, fused: Mode
) -> None:
    recipe = Recipe(members={id: MemberChoice() for id in members}, mode=mode)

    assert recipe.fusion_mode is fused


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "recipe: option 'members' is required"),
        (
            {"members": {}},
            "recipe: option 'members': dictionary should have at least 1 item after validation, not 0, "
            "got {}",
        ),
        (
            {"members": {"stfpm": {}}, "thresold": {"id": "maximum"}},
            "recipe: unknown option 'thresold'; did you mean 'threshold'? (options: allow_download, "
            "batch_size, block, calibration, calibrator, device, effort, folds, head, keep_every, labelled, "
            "members, mode, overlap, pixel_threshold, preparation, score_fusion, seed, shares, size, "
            "threshold, tile, weights)",
        ),
        (
            {"members": {"stfpm": {}}, "mode": "both"},
            "recipe: option 'mode': input should be 'score', 'feature' or 'hybrid', got 'both'",
        ),
        (
            {"members": {"stfpm": {}}, "size": [64, 0]},
            "recipe: option 'size.1': input should be greater than or equal to 1, got 0",
        ),
    ],
    ids=["nothing", "no members", "misspelt", "mode", "size"],
)
def test_recipe__refuses_in_words(content: dict, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_params(Recipe, content, owner="recipe")
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("content", "error", "sentence"),
    [
        (None, ArtifactError, "missing; is this a run folder of leatherens?"),
        (b"members: [1", ConfigError, "not YAML ("),
        (b"\xff\xfe\x00", ConfigError, "not YAML ("),
        (b"just words", ConfigError, "expected keys and values, got str"),
        (b"", ConfigError, "expected keys and values, got NoneType"),
        (
            b"members: !!python/object/apply:os.getcwd []",
            ConfigError,
            "not YAML (could not determine a constructor",
        ),
    ],
    ids=["missing", "broken", "binary", "text", "empty", "code"],
)
def test_file__that_is_no_recipe_is_named(
    content: bytes | None, error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.yaml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(error) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"{path}: {sentence}")


def test_fingerprint__changes_with_what_is_learned_and_not_with_where(tmp_path: Path) -> None:
    def mark(**changes: object) -> str:
        write_recipe(tmp_path / "recipe.yaml", RECIPE.model_copy(update=changes))
        return recipe_fingerprint(tmp_path / "recipe.yaml")

    first = mark()
    assert mark(device="cuda", weights=("/elsewhere",), allow_download=True) == first
    assert len({first, mark(seed=1), mark(size=(96, 64)), mark(mode=Mode.score), mark(batch_size=4)}) == 5


def test_fingerprint__reads_what_is_written_and_adds_no_defaults(tmp_path: Path) -> None:
    """A later version with more options must still know the recipes of this one."""
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("members: {stfpm: {}}\nseed: 0\n", encoding="utf-8")
    two.write_text("# a remark\nseed:   0\nmembers:\n  stfpm: {}\n", encoding="utf-8")

    assert recipe_fingerprint(one) == recipe_fingerprint(two)
    two.write_text("members: {stfpm: {}}\nseed: 0\nunknown_yet: 1\n", encoding="utf-8")
    assert recipe_fingerprint(one) != recipe_fingerprint(two)

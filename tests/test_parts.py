"""From a recipe to its parts: every default written out, efforts, weights that are really used."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from leatherens.configs.recipe import Choice, MemberChoice, Mode, Recipe
from leatherens.core.errors import ConfigError
from leatherens.core.host import PluginHost
from leatherens.core.weights import WeightFinder
from leatherens.ensembles.parts import WEIGHTS_VARIABLE, build, load_backbones, reductions, resolve
from leatherens.plugins.stfpm import STFPM


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost(installed=False)


def recipe(*members: str, **more: object) -> Recipe:
    options = {"stfpm": {"backbone": "test_resnet", "weights": "pretrained"}}
    chosen = {id: MemberChoice(options=options.get(id, {})) for id in members}
    return Recipe(members=chosen, device="cpu", **more)


def weights_file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(dict(timm.create_model("test_resnet", pretrained=False).state_dict()), path)
    return path


# resolving


def test_resolve__writes_every_default_out_and_once_is_enough(host: PluginHost) -> None:
    found = resolve(recipe("stfpm", "draem", effort="full"), host)

    full = STFPM.Params(backbone="test_resnet").model_dump(mode="json")
    assert found.members["stfpm"].options == full
    assert found.members["stfpm"].features == STFPM.default_cut
    assert found.threshold == Choice(id="conformal", options={"false_alarms": 0.01})
    assert (found.effort, found.mode, list(found.members)) == ("full", Mode.hybrid, ["draem", "stfpm"])
    assert resolve(found, host) == found


@pytest.mark.parametrize(("gpus", "device", "effort"), [(0, "cpu", "quick"), (1, "cuda", "full")])
def test_resolve__auto_means_full_effort_where_there_is_a_gpu(
    gpus: int, device: str, effort: str, host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(gpus))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    found = resolve(Recipe(members={"stfpm": MemberChoice()}), host)

    assert (found.device, found.effort) == (device, effort)


def test_resolve__takes_what_was_asked_before_what_the_effort_says(host: PluginHost) -> None:
    asked = Recipe(members={"draem": MemberChoice(options={"width": 32})}, effort="quick", device="cpu")
    options = resolve(asked, host).members["draem"].options

    assert options["width"] == 32
    assert options["steps"] is not None


def test_reductions__name_what_is_not_as_published(host: PluginHost) -> None:
    assert reductions(resolve(recipe("draem", effort="full"), host), host) == ()

    small = recipe("draem", effort="full").model_copy(
        update={"members": {"draem": MemberChoice(options={"width": 4})}}
    )
    assert reductions(resolve(small, host), host) == (
        "draem differs from its published settings (in brackets): width 4 (128)",
    )


def test_resolve__refuses_one_detector_under_two_names(host: PluginHost) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(recipe("stfpm", "leatherens:stfpm"), host)
    assert str(caught.value) == ("members: 'stfpm' and 'leatherens:stfpm' are one detector; name it once")


# building


@pytest.mark.parametrize(
    ("mode", "features", "votes"),
    [(Mode.score, False, True), (Mode.feature, True, False), (Mode.hybrid, True, True)],
)
def test_build__makes_what_the_mode_needs(mode: Mode, features: bool, votes: bool, host: PluginHost) -> None:
    parts = build(resolve(recipe("stfpm", "draem", mode=mode), host), host)

    assert (parts.block is not None, parts.head is not None, parts.votes) == (features, features, votes)
    assert parts.cuts == {"draem": ("residual", "decoder3"), "stfpm": ("difference*",)}
    assert not any(member.fitted for member in parts.members.values())


# weights


def load(host: PluginHost, **more: object) -> dict[str, dict[str, str]]:
    chosen = resolve(recipe("stfpm", **more), host)
    return load_backbones(chosen, host, build(chosen, host)).loaded()


def test_backbones__are_looked_for_in_the_recipe_s_places_then_in_the_environment_s(
    host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = weights_file(tmp_path / "named" / "test_resnet.safetensors")
    around = weights_file(tmp_path / "around" / "test_resnet.safetensors")
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(around.parent))

    assert load(host)["test_resnet"]["origin"] == str(around)
    assert load(host, weights=(str(named.parent),))["test_resnet"]["origin"] == str(named)
    assert load(host, weights=(str(tmp_path),))["test_resnet"]["origin"] == str(around)


def test_backbones__refuse_a_given_file_that_no_member_uses(
    host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(weights_file(tmp_path / "test_resnet.pth.safetensors").parent))
    mine = weights_file(tmp_path / "my_leather.safetensors")

    with pytest.raises(ConfigError) as caught:
        load(host, weights=(str(mine),))
    assert str(caught.value) == (
        f"{mine}: no member uses this weights file (backbones: test_resnet); "
        "name it after the backbone, such as resnet18.pth, or leave it out"
    )


@pytest.mark.parametrize(
    ("model", "names", "taken"),
    [
        ("resnet50", ["wide_resnet50_2.pth"], None),
        ("resnet50", ["wide_resnet50_2.pth", "resnet50-0676ba61.pth"], "resnet50-0676ba61.pth"),
        ("resnet50", ["resnet50-0676ba61.pth", "resnet50.safetensors"], "resnet50.safetensors"),
        ("resnet50.a1_in1k", ["resnet50.tv_in1k.pth"], None),
        ("resnet50.a1_in1k", ["resnet50.pth", "resnet50.a1_in1k.pth"], "resnet50.a1_in1k.pth"),
        ("resnet50.a1_in1k", ["resnet50.pth"], "resnet50.pth"),
        ("resnet5", ["resnet50.pth"], None),
        ("resnet50", ["resnet50.txt", "resnet50"], None),
    ],
)
def test_weights__are_taken_by_the_model_s_name_from_a_folder_and_as_files(
    model: str, names: list[str], taken: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leatherens.core.weights.read_weights", lambda file: file)
    monkeypatch.setattr("leatherens.core.weights._cached", lambda hub: Path("the cache"))
    for name in names:
        (tmp_path / name).touch()
    expected = tmp_path / taken if taken else Path("the cache")

    assert WeightFinder(paths=[tmp_path]).find(model) == expected
    files = sorted((tmp_path / name for name in names), key=lambda file: file.name != taken)
    assert WeightFinder(paths=files).find(model) == expected

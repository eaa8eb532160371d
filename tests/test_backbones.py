"""Where weights are looked for, what is refused, and that a pool runs each model once for all members."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from counted_passes import Counted
from safetensors.torch import save_file
from torch import Tensor

from leatherens.core.backbones import (
    BackbonePool,
    BackboneRequest,
)
from leatherens.core.errors import ConfigError, InputError, WeightsError
from leatherens.core.feature_cache import FeatureCache
from leatherens.core.pyramid_models import normalise, untrained_pyramid
from leatherens.core.randomness import seeded_construction
from leatherens.core.types import ImageBatch
from leatherens.core.weights import (
    Backbone,
    WeightFinder,
    Weights,
    fingerprint,
    load_tensors,
    read_weights,
)

MODEL = "test_resnet"
"""timm's tiny ResNet: four levels, 0.4 million parameters, no weights offline."""


def whole_model(name: str = MODEL, seed: int = 1) -> dict[str, Tensor]:
    """The tensors of a whole model, as a weights file has them."""
    with seeded_construction(seed, "test"):
        return dict(timm.create_model(name).state_dict())


def images(count: int = 2, *, seed: int = 0) -> ImageBatch:
    pixels = torch.rand((count, 3, 64, 96), generator=torch.Generator().manual_seed(seed))
    return ImageBatch(pixels, tuple(f"image{i}" for i in range(count)))


class Packaged(Backbone):
    """An installed package with a model's weights, or one that is not installed."""

    def __init__(self, model: str, weights: Weights | None) -> None:
        self.id = model  # type: ignore[misc]
        self._weights = weights

    def weights(self) -> Weights | None:
        return self._weights


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / f"{MODEL}.safetensors"
    save_file(whole_model(), path)
    return path


@pytest.fixture(autouse=True)
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no network."""
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return cache


def put_into_hub(cache: Path, repository: str, tensors: Mapping[str, Tensor]) -> Path:
    """What a download leaves behind."""
    root = cache / f"models--{repository.replace('/', '--')}"
    snapshot = root / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("0" * 40)
    save_file(dict(tensors), snapshot / "model.safetensors")
    return snapshot / "model.safetensors"


# where weights are looked for


def test_find__takes_the_given_file_first_then_the_package_then_the_cache(
    file: Path, empty_hub: Path
) -> None:
    package = {MODEL: Packaged(MODEL, Weights(whole_model(), "the package"))}
    absent = {MODEL: Packaged(MODEL, None)}
    cached = put_into_hub(empty_hub, "timm/test_resnet.r160_in1k", whole_model())

    assert WeightFinder(paths=[file], packages=package).find(MODEL).origin == str(file)
    assert WeightFinder(packages=package).find(MODEL).origin == "the package"
    assert WeightFinder(packages=absent).find(MODEL).origin == str(cached)


def test_find__goes_past_files_of_other_models(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "resnet18.safetensors"
    save_file({"a": torch.zeros(1)}, other)

    assert WeightFinder(paths=[other, file]).find(MODEL).origin == str(file)


@pytest.mark.parametrize(
    "name", ["test_resnet.safetensors", "test_resnet-0123abcd.safetensors", "test_resnet.pth"]
)
def test_find__searches_a_folder_by_the_model_s_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    save_file({"other": torch.zeros(1)}, folder / "other.safetensors")
    if name.endswith(".pth"):
        torch.save(whole_model(), folder / name)
    else:
        save_file(whole_model(), folder / name)

    assert WeightFinder(paths=[folder]).find(MODEL).origin == str(folder / name)


def test_find__lists_where_it_looked_and_three_ways_out(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    packages = {"other_model": Packaged("other_model", None)}

    with pytest.raises(WeightsError) as caught:
        WeightFinder(paths=[folder], packages=packages).find(MODEL)

    assert str(caught.value) == (
        f"no pretrained weights for 'test_resnet'. Looked at:\n"
        f"  - {folder}: nothing for this model\n"
        f"  - installed weight packages: other_model\n"
        f"  - local hub cache: timm/test_resnet.r160_in1k is not there\n"
        f"Three ways out: give a file or folder with --weights (or LEATHERENS_WEIGHTS); allow the hub with "
        f"--allow-download; or take the backbone that is always there, tf_efficientnet_lite0."
    )


def test_find__asks_the_hub_only_when_allowed_and_tells_that_it_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, str]] = []

    def refuse(repository: str, name: str) -> str:
        asked.append((repository, name))
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)

    with pytest.raises(WeightsError):
        WeightFinder().find(MODEL)
    assert asked == []
    with pytest.raises(WeightsError) as caught:
        WeightFinder(allow_download=True).find(MODEL)

    assert asked == [("timm/test_resnet.r160_in1k", "model.safetensors")]
    first, *_, last, _ = str(caught.value).splitlines()
    repository = "timm/test_resnet.r160_in1k"
    assert first == "no pretrained weights for 'test_resnet'. Looked at:"
    assert last == f"  - the hub: {repository} could not be fetched (ConnectionError); is there a network?"


def test_find__refuses_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone: no such weights file or folder$"):
        WeightFinder(paths=[tmp_path / "gone"]).find(MODEL)


def test_request__may_name_a_file_of_its_own_whatever_it_is_called(tmp_path: Path) -> None:
    mine = tmp_path / "mine.safetensors"
    save_file(whole_model(), mine)

    assert WeightFinder().find(MODEL, str(mine)).origin == str(mine)


def test_request__of_a_folder_without_the_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        WeightFinder().find(MODEL, str(tmp_path))

    assert str(caught.value) == f"no weights for test_resnet in {tmp_path}"


# what is refused


def test_load__refuses_nan_naming_the_tensor() -> None:
    tensors = whole_model()
    tensors["layer1.0.conv1.weight"][0, 0, 0, 0] = float("nan")

    with pytest.raises(WeightsError) as caught:
        load_tensors(untrained_pyramid(MODEL, (1, 2)), Weights(tensors, "f.pth"), MODEL)

    assert (
        str(caught.value)
        == "f.pth: 'layer1.0.conv1.weight' holds NaN or infinite values; the file is damaged"
    )


def test_load__refuses_the_weights_of_another_model() -> None:
    pyramid = untrained_pyramid("resnet18", (1,))

    with pytest.raises(WeightsError) as caught:
        load_tensors(pyramid, Weights(whole_model("resnet34d"), "f.pth"), "resnet18")
    assert str(caught.value) == "f.pth: no weights for resnet18: 'conv1.weight' and 0 more are missing"

    with pytest.raises(WeightsError) as caught:
        load_tensors(pyramid, Weights(whole_model("resnet50"), "f.pth"), "resnet18")
    shapes = "(64, 64, 3, 3), got (64, 64, 1, 1)"
    assert (
        str(caught.value) == f"f.pth: not the weights of resnet18: 'layer1.0.conv1.weight' should be {shapes}"
    )


def test_load__leaves_the_module_alone_when_it_refuses() -> None:
    pyramid = untrained_pyramid(MODEL, (1,))
    before = fingerprint(pyramid.state_dict())
    tensors = whole_model()
    tensors["layer2.0.conv1.weight"] = torch.zeros(1)  # not wanted, so not looked at
    tensors["layer1.0.bn2.weight"] = tensors["layer1.0.bn2.weight"] * float("inf")

    with pytest.raises(WeightsError):
        load_tensors(pyramid, Weights(tensors, "f"), MODEL)

    assert fingerprint(pyramid.state_dict()) == before


class Malicious:
    """Unpickled as an object, it would create a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (open, (self.path, "w"))


def test_read__never_runs_what_a_file_says(tmp_path: Path) -> None:
    proof, file = tmp_path / "proof", tmp_path / "evil.pth"
    torch.save({"a": Malicious(str(proof))}, file)

    with pytest.raises(WeightsError, match=r"evil\.pth: cannot be read as weights \(UnpicklingError: "):
        read_weights(file)

    assert not proof.exists()


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_read__refuses_what_is_no_weights_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(b"these are not weights")

    with pytest.raises(WeightsError) as caught:
        read_weights(file)

    assert str(caught.value).startswith(f"{file}: cannot be read as weights (")


@pytest.mark.parametrize(
    ("content", "found"),
    [([1, 2], "a list"), ({"state_dict": {}, "epoch": 3}, "a dict of state_dict, epoch"), ({}, "a dict")],
)
def test_read__refuses_a_file_without_named_tensors(content: Any, found: str, tmp_path: Path) -> None:
    file = tmp_path / "a.pth"
    torch.save(content, file)

    with pytest.raises(WeightsError) as caught:
        read_weights(file)

    assert str(caught.value) == f"{file}: expected named tensors (a state_dict), got {found}"


# pyramids


@pytest.mark.parametrize("model", ["test_resnet", "test_convnext", "test_vit", "test_nfnet", "test_mambaout"])
def test_load__puts_each_tensor_where_timm_s_own_model_has_it(model: str) -> None:
    with seeded_construction(1, "test"):
        expected = untrained_pyramid(model, (0, 1)).state_dict()
    with seeded_construction(2, "test"):
        pyramid = untrained_pyramid(model, (0, 1))
    assert fingerprint(pyramid.state_dict()) != fingerprint(expected)

    load_tensors(pyramid, Weights(whole_model(model, seed=1), "whole"), model)

    assert fingerprint(pyramid.state_dict()) == fingerprint(expected)


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet", "test_vit", "test_mambaout"])
def test_pyramid__delivers_the_channels_and_strides_it_declares(model: str) -> None:
    request = BackboneRequest(model, (0, 1), "random")
    pool = BackbonePool(WeightFinder())
    batch = ImageBatch(images().pixels.expand(2, 3, 64, 96), ("a", "b"))
    if model == "test_vit":
        batch = ImageBatch(
            torch.rand((2, 3, 160, 160), generator=torch.Generator().manual_seed(0)), ("a", "b")
        )

    maps = pool.pyramids(batch, [request])[request].maps

    spec = pool.spec(request)
    height, width = batch.size
    expected = [(2, c, height // s, width // s) for c, s in zip(spec.channels, spec.strides, strict=True)]
    assert [tuple(m.shape) for m in maps] == expected


def test_student__of_resnet18_up_to_layer3_has_the_published_size() -> None:
    student = untrained_pyramid("resnet18", (1, 2, 3))

    assert sum(p.numel() for p in student.parameters()) == 2_782_784


def test_student__of_an_efficientnet_carries_nothing_above_its_last_level() -> None:
    student = untrained_pyramid("tf_efficientnet_lite0", (1, 2, 3))
    whole = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(1, 2, 3))
    whole.load_state_dict(student.state_dict(), strict=False)
    pixels = images().pixels

    assert len(student.blocks) == 5
    assert len(whole.blocks) == 7
    with torch.inference_mode():
        for one, other in zip(student.eval()(pixels), whole.eval()(pixels), strict=True):
            assert torch.equal(one, other)


def test_unknown_model__suggests_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        untrained_pyramid("reznet18", (1,))

    assert str(caught.value) == "timm has no model 'reznet18'; did you mean 'resnet18'?"


def test_model__may_carry_the_tag_of_its_weights() -> None:
    assert untrained_pyramid("test_resnet.r160_in1k", (1,)).feature_info.channels() == [32]


@pytest.mark.parametrize(
    ("model", "levels", "sentence"),
    [
        ("resnet18", (1, 9), "resnet18: cannot give levels (1, 9) of 0..4"),
        ("test_vit", (9,), "test_vit: cannot give levels (9,) of 0..5"),
        ("tf_efficientnet_lite0", (5,), "tf_efficientnet_lite0: cannot give levels (5,) of 0..4"),
    ],
)
def test_missing_level__tells_the_levels_there_are(
    model: str, levels: tuple[int, ...], sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        untrained_pyramid(model, levels)

    assert str(caught.value) == sentence


@pytest.mark.parametrize("layers", [(), (2, 1), (1, 1), (-1, 2)])
def test_request__of_levels_that_do_not_rise_is_refused(layers: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        BackboneRequest("resnet18", layers)

    assert str(caught.value) == f"resnet18: expected rising level numbers such as (1, 2, 3), got {layers}"


# the pool


def pool_with(file: Path, **options: Any) -> BackbonePool:
    return BackbonePool(WeightFinder(paths=[file]), **options)


def test_pool__runs_each_model_and_weights_once_whatever_the_number_of_members(
    counted: Counted, file: Path
) -> None:
    fine, coarse = BackboneRequest(MODEL, (0, 1)), BackboneRequest(MODEL, (1, 3))
    untrained = BackboneRequest(MODEL, (1,), "random")
    other = BackboneRequest("test_efficientnet", (2,), "random")
    pool = pool_with(file)

    maps = pool.pyramids(images(3), [fine, coarse, fine, untrained, other])

    assert sorted(counted.images) == ["test_efficientnet"] * 3 + [MODEL] * 6
    assert maps[fine].names == (f"{MODEL}/level0", f"{MODEL}/level1")
    assert maps[coarse].names == (f"{MODEL}/level1", f"{MODEL}/level3")
    assert torch.equal(maps[fine].maps[1], maps[coarse].maps[0])
    assert not torch.allclose(maps[fine].maps[1], maps[untrained].maps[0])


def test_pool__gives_a_request_the_same_alone_and_in_company(file: Path) -> None:
    request, other = BackboneRequest(MODEL, (1,)), BackboneRequest(MODEL, (0, 3))
    alone, company = pool_with(file), pool_with(file)

    one = alone.pyramids(images(), [request])[request].maps[0]
    two = company.pyramids(images(), [other, request])[request].maps[0]
    alone.prepare([other])  # loads the union anew
    three = alone.pyramids(images(), [request])[request].maps[0]

    assert torch.equal(one, two)
    assert torch.equal(one, three)


def test_pool__spec_has_the_levels_of_the_request_only(file: Path) -> None:
    pool = pool_with(file)
    pool.prepare([BackboneRequest(MODEL, (0, 1, 2, 3))])

    spec = pool.spec(BackboneRequest(MODEL, (1, 3)))

    assert (spec.channels, spec.strides, spec.origin) == ((32, 192), (4, 16), str(file))


def test_pool__takes_mean_and_std_from_the_weights(file: Path) -> None:
    pool = pool_with(file)
    halves = pool.spec(BackboneRequest(MODEL, (1,)))
    imagenet = pool.spec(BackboneRequest("test_efficientnet", (1,), "random"))

    assert (halves.mean, halves.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert imagenet.mean == pytest.approx((0.485, 0.456, 0.406))
    assert imagenet.std == pytest.approx((0.229, 0.224, 0.225))


def test_pool__feeds_normalised_pixels(file: Path) -> None:
    request = BackboneRequest(MODEL, (1,))
    pyramid = untrained_pyramid(MODEL, (1,))
    load_tensors(pyramid, read_weights(file), MODEL)
    batch = images()

    with torch.inference_mode():
        expected = pyramid.eval()(batch.pixels * 2 - 1)[0]  # (x - 0.5) / 0.5

    assert torch.allclose(pool_with(file).pyramids(batch, [request])[request].maps[0], expected, atol=1e-5)


def test_pool__refuses_a_size_the_model_cannot_read_naming_the_one_it_was_made_for() -> None:
    pool = BackbonePool(WeightFinder())
    request = BackboneRequest("test_vit", (0, 1), "random")
    with pytest.raises(InputError) as caught:
        pool.pyramids(ImageBatch(torch.rand(1, 3, 57, 96), ("a",)), [request])
    assert str(caught.value) == (
        "test_vit: cannot read images of 57 x 96 (Input height (57) should be divisible by patch size (16)); "
        "it was made for 160 x 160: choose that size or another backbone"
    )


# stages, and images shown smaller


@pytest.mark.parametrize("model", ["test_efficientnet", "tf_efficientnet_lite0", "tf_mobilenetv3_small_075"])
def test_stages__are_what_comes_out_of_the_blocks_of_the_whole_model(model: str, tmp_path: Path) -> None:
    save_file(whole_model(model), tmp_path / f"{model}.safetensors")
    whole: Any = timm.create_model(model).eval()
    whole.load_state_dict(whole_model(model))
    seen: dict[int, Tensor] = {}
    for i, block in enumerate(whole.blocks):
        block.register_forward_hook(lambda _, inputs, maps, i=i: seen.update({i: maps}))
    last = len(whole.blocks) - 1
    request = BackboneRequest(model, (1, last - 1, last), stages=True)
    pool, batch = pool_with(tmp_path), images()
    spec = pool.spec(request)
    with torch.inference_mode():
        whole(spec.normalise(batch.pixels))

    found = pool.pyramids(batch, [request])[request]

    assert found.names == tuple(f"{model}/stage{i}" for i in (1, last - 1, last))
    for maps, i, channels, stride in zip(
        found.maps, (1, last - 1, last), spec.channels, spec.strides, strict=True
    ):
        torch.testing.assert_close(maps, seen[i], rtol=1e-4, atol=1e-4)
        assert maps.shape[1:] == (channels, 64 // stride, 96 // stride)


def test_stages__of_efficientnet_b5_have_the_published_channels_and_nothing_lies_above() -> None:
    with seeded_construction(0, "test"):
        stages: Any = untrained_pyramid("tf_efficientnet_b5", (4, 5), stages=True)
    assert stages.feature_info.channels() == [176, 304]
    assert stages.feature_info.reduction() == [16, 32]
    assert sum(len(stage) for stage in stages.blocks) == 36  # block 35 of the authors' package is the last


def test_stages__and_levels_of_one_model_are_loaded_apart(counted: Counted) -> None:
    """Level 4 is stage 6 here; both are the same maps."""
    levels = BackboneRequest("tf_efficientnet_lite0", (4,), "random")
    stages = BackboneRequest("tf_efficientnet_lite0", (5, 6), "random", stages=True)
    pool = BackbonePool(WeightFinder())
    maps = pool.pyramids(images(), [levels, stages])
    assert [m.shape[1] for m in maps[stages].maps] == [192, 320]
    assert torch.equal(maps[stages].maps[1], maps[levels].maps[0])
    assert len(counted.images) == 2 * len(images())


@pytest.mark.parametrize(
    ("model", "stages", "sentence"),
    [
        ("resnet18", (2,), "resnet18: has no stages that its levels do not show; ask for levels"),
        ("test_efficientnet", (3, 9), "test_efficientnet: cannot give stages (3, 9) of 0..4"),
    ],
)
def test_missing_stage__is_refused_in_words(model: str, stages: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        untrained_pyramid(model, stages, stages=True)
    assert str(caught.value) == sentence


def test_shrunken__image_is_the_nearest_neighbour_s_one_and_runs_once_for_each_size(
    counted: Counted, file: Path
) -> None:
    whole, half, again = (BackboneRequest(MODEL, (1,), shrink=by) for by in (1, 2, 2))
    quarter = BackboneRequest(MODEL, (2,), shrink=4)
    pool, batch = pool_with(file), images(3)
    maps = pool.pyramids(batch, [whole, half, again, quarter])
    assert len(counted.images) == 9

    smaller = torch.nn.functional.interpolate(batch.pixels, scale_factor=0.5)
    alone = pool.pyramids(ImageBatch(smaller, batch.ids), [whole])[whole].maps[0]
    assert torch.equal(maps[half].maps[0], alone)
    assert [tuple(maps[r].maps[0].shape[-2:]) for r in (whole, half, quarter)] == [(16, 24), (8, 12), (2, 3)]
    assert [pool.spec(r).strides for r in (whole, half, quarter)] == [(4,), (8,), (32,)]


def test_shrunken__images_are_remembered_while_learning(counted: Counted, file: Path) -> None:
    requests = [BackboneRequest(MODEL, (1,), shrink=by) for by in (1, 2)]
    pool = pool_with(file, cache=FeatureCache())
    first, again = (pool.pyramids(images(3), requests, keep=True) for _ in range(2))
    assert len(counted.images) == 6
    assert all(torch.equal(first[r].maps[0], again[r].maps[0]) for r in requests)


def test_normalise__is_per_channel() -> None:
    pixels = torch.tensor([0.5, 0.6, 0.7]).view(1, 3, 1, 1)

    found = normalise(pixels, (0.5, 0.5, 0.5), (1.0, 0.1, 0.2))

    assert found.flatten().tolist() == pytest.approx([0.0, 1.0, 1.0], abs=1e-6)


def test_pool__takes_random_weights_only_when_asked() -> None:
    pool = BackbonePool(WeightFinder())

    assert pool.spec(BackboneRequest(MODEL, (1,), "random")).origin == "random weights"
    with pytest.raises(WeightsError, match=r"^no pretrained weights for 'test_resnet'"):
        pool.spec(BackboneRequest(MODEL, (1,)))


def test_random_weights__are_the_same_everywhere_and_leave_the_global_generator() -> None:
    request = BackboneRequest(MODEL, (1,), "random")
    before = torch.random.get_rng_state()
    one = BackbonePool(WeightFinder()).spec(request).fingerprint
    torch.rand(3)
    state = torch.random.get_rng_state()
    two = BackbonePool(WeightFinder()).spec(request).fingerprint

    assert one == two
    assert torch.equal(state, torch.random.get_rng_state())
    torch.random.set_rng_state(before)


def test_pool__keeps_its_models_frozen_and_in_eval_mode(file: Path) -> None:
    request = BackboneRequest(MODEL, (1,))
    pool = pool_with(file)
    before = pool.spec(request).fingerprint
    maps = pool.pyramids(images(), [request])[request].maps
    module = pool._of(request).module

    assert fingerprint(module.state_dict()) == before  # batch-norm statistics unmoved
    assert not module.training
    assert not any(p.requires_grad for p in module.parameters())
    assert not maps[0].requires_grad


@pytest.mark.parametrize("cached", [True, False])
def test_features__can_stand_in_a_student_s_loss(cached: bool, file: Path) -> None:
    request = BackboneRequest(MODEL, (1,))
    pool = pool_with(file, cache=FeatureCache() if cached else None)
    teacher = pool.pyramids(images(), [request], keep=True)[request].maps[0]
    student = torch.ones_like(teacher, requires_grad=True)

    torch.nn.functional.mse_loss(student, teacher).backward()

    assert student.grad is not None
    assert bool(student.grad.abs().sum() > 0)


def test_fingerprint__changes_with_name_shape_and_value() -> None:
    base = {"a": torch.zeros(4), "b": torch.ones(1)}
    variants = [
        {"a": torch.zeros(4), "c": torch.ones(1)},
        {"a": torch.zeros(2, 2), "b": torch.ones(1)},
        {"a": torch.tensor([0.0, 0, 0, 1e-7]), "b": torch.ones(1)},
    ]

    assert fingerprint(dict(reversed(base.items()))) == fingerprint(base)
    assert len({fingerprint(v) for v in [base, *variants]}) == 4

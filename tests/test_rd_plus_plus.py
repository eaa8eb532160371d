"""RD++: the published sizes, each loss worked out by hand or apart, and the detector itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from small_leather import Interrupted, context, learned, leather, seen
from torch import Tensor, nn

from leatherens.core.artifact import read_state, write_state
from leatherens.core.detector import Effort, FeatureSpec, FitContext
from leatherens.core.errors import ConfigError
from leatherens.core.randomness import seeded_construction, torch_generator
from leatherens.core.reverse import flattened_loss
from leatherens.core.synthesis.kinds import spoilt
from leatherens.core.synthesis.noise_patch import NoisePatch
from leatherens.core.types import ImageBatch
from leatherens.plugins import rd_plus_plus
from leatherens.plugins.rd_plus_plus import (
    RDPlusPlus,
    contrast_loss,
    in_parts,
    projection,
    projection_loss,
    reconstruction_loss,
    transport_loss,
)
from leatherens.plugins.reverse_distillation import ReverseDistillation

TINY: dict[str, Any] = {
    "backbone": "test_resnet",
    "layers": (1, 2),
    "weights": "random",
    "batch_size": 4,
    "parts": 1,
    "transport": False,
    "steps": 60,
}


def fitted(images: ImageBatch, found: FitContext | None = None, **options: Any) -> RDPlusPlus:
    return learned(RDPlusPlus(RDPlusPlus.Params(**{**TINY, **options})), images, found)


def random_levels(batch: int = 2, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, c, s, s, generator=generator) for c, s in ((8, 8), (16, 4), (32, 2))]


def teacher(detector: RDPlusPlus, batch: ImageBatch) -> list[Tensor]:
    (request,) = detector.backbones()
    return list(context().pool.pyramids(batch, [request])[request].maps)


@pytest.fixture(scope="module")
def taught() -> RDPlusPlus:
    """A small one after 60 steps on eight hides."""
    return fitted(leather(8))


# the projections


@pytest.mark.parametrize(("channels", "expected"), [(256, 737_856), (512, 2_950_272), (1024, 11_798_784)])
def test_projections_have_the_published_sizes(channels: int, expected: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in projection(channels).parameters()) == expected


def test_projection__is_four_convolutions_each_normalised_by_image_and_channel() -> None:
    with seeded_construction(1, "projection"):
        module = projection(8)
    maps = torch.randn(2, 8, 6, 7, generator=torch.Generator().manual_seed(0))
    weights = [p.detach().double() for p in module.parameters()]
    expected = maps.double()
    for weight, bias in zip(weights[::2], weights[1::2], strict=True):
        expected = F.conv2d(expected, weight, bias, padding=1)
        middle, spread = (getattr(expected, f)(dim=(2, 3), keepdim=True) for f in ("mean", "std"))
        positions = expected.shape[2] * expected.shape[3]
        variance = spread**2 * (positions - 1) / positions
        expected = (expected - middle) / (variance + 1e-5).sqrt()
        expected = torch.where(expected > 0, expected, 0.01 * expected)
    assert [tuple(w.shape[:2]) for w in weights[::2]] == [(4, 8), (2, 4), (4, 2), (8, 4)]
    torch.testing.assert_close(module(maps), expected.float(), atol=1e-5, rtol=1e-4)


def test_projection__is_of_mean_zero_and_spread_one_before_its_last_leak() -> None:
    with seeded_construction(1, "projection"):
        module = projection(16)
    leaked = module(torch.randn(3, 16, 9, 9, generator=torch.Generator().manual_seed(0))).detach()
    before = torch.where(leaked < 0, leaked / 0.01, leaked)
    torch.testing.assert_close(before.mean(dim=(2, 3)), torch.zeros(3, 16), atol=1e-4, rtol=0)
    torch.testing.assert_close(before.std(dim=(2, 3), correction=0), torch.ones(3, 16), atol=1e-3, rtol=0)


def test_projection__scores_alone_as_in_a_batch() -> None:
    module, maps = projection(8).train(), torch.randn(3, 8, 5, 5)
    torch.testing.assert_close(module(maps)[1:2], module(maps[1:2]), atol=1e-5, rtol=1e-4)
    assert not module.state_dict().keys() - {f"{i}.{n}" for i in (0, 3, 6, 9) for n in ("weight", "bias")}


# the losses


def at_cosine(cosine: float) -> tuple[list[Tensor], list[Tensor]]:
    """Two images' levels, each pair of them at this cosine as whole vectors."""
    first = torch.tensor([1.0, 0, 0, 0]).view(1, 1, 2, 2)
    other = torch.tensor([cosine, (1 - cosine**2) ** 0.5, 0, 0]).view(1, 1, 2, 2)
    return [first] * 3, [5 * other] * 3


@pytest.mark.parametrize(("cosine", "expected"), [(-0.7, 0), (0.4, 0), (0.5, 0), (0.8, 0.3), (1.0, 0.5)])
def test_contrast__is_what_a_cosine_exceeds_a_half_by(cosine: float, expected: float) -> None:
    assert float(contrast_loss(*at_cosine(cosine))) == pytest.approx(3 * expected, abs=1e-6)


def test_contrast__is_averaged_over_images_after_the_margin() -> None:
    near, far = at_cosine(1.0), at_cosine(-1.0)
    noisy, projected = ([torch.cat(pair) for pair in zip(near[i], far[i], strict=True)] for i in (0, 1))
    assert float(contrast_loss(noisy, projected)) == pytest.approx(3 * 0.25)


def test_reconstruction__of_equal_images_is_zero_and_of_orthogonal_ones_one_a_level() -> None:
    levels = random_levels()
    assert float(reconstruction_loss(levels, levels)) == pytest.approx(0, abs=1e-5)
    across = torch.tensor([1.0, 0]).view(1, 2, 1, 1).expand(2, 2, 3, 3)
    assert float(reconstruction_loss([across] * 3, [across.flip(1)] * 3)) == pytest.approx(3)


def test_reconstruction__weighs_positions_alike() -> None:
    first = torch.tensor([[1.0, 0.0], [0.0, 10.0]]).view(1, 2, 1, 2)
    second = torch.tensor([[0.0, 0.0], [1.0, 10.0]]).view(1, 2, 1, 2)
    assert float(reconstruction_loss([first], [second])) == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(3))
def test_transport__of_a_batch_in_another_order_is_nothing_and_teaches_nothing(seed: int) -> None:
    levels = [level.requires_grad_() for level in random_levels(8, seed)]
    loss = transport_loss(levels, torch.Generator().manual_seed(seed))
    loss.backward()
    assert abs(float(loss.detach())) < 1e-6
    assert max(float(level.grad.abs().max()) for level in levels) < 1e-6


def test_transport__is_taken_over_whole_images_as_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    clouds: list[tuple[Tensor, Tensor]] = []
    monkeypatch.setattr(
        rd_plus_plus, "sinkhorn_divergence", lambda a, b: (clouds.append((a, b)), torch.tensor(2.0))[1]
    )
    levels = random_levels(6)
    assert float(transport_loss(levels, torch.Generator().manual_seed(1))) == 6
    for level, (cloud, shuffled) in zip(levels, clouds, strict=True):
        flat = level.reshape(6, -1).double()
        expected = flat.exp() / flat.exp().sum(dim=1, keepdim=True)
        torch.testing.assert_close(cloud.double(), expected, atol=1e-7, rtol=1e-4)
        assert not torch.equal(shuffled, cloud)
        assert {tuple(row) for row in shuffled.tolist()} == {tuple(row) for row in cloud.tolist()}


def test_projection_loss__is_the_weighted_mean_of_the_three() -> None:
    one, none = torch.ones(()), torch.zeros(())
    assert float(projection_loss(one, one, one)) == pytest.approx(1)
    each = [projection_loss(*(one if j == i else none for j in range(3))) for i in range(3)]
    assert [float(e) for e in each] == pytest.approx([1 / 1.11, 0.01 / 1.11, 0.1 / 1.11])


def test_losses__do_not_count_what_is_hidden() -> None:
    levels, others = random_levels(seed=1), random_levels(seed=2)
    valid = torch.ones(2, 16, 16, dtype=torch.bool)
    valid[:, :, 8:] = False
    visible = [[m[..., : m.shape[-1] // 2] for m in pyramid] for pyramid in (levels, others)]
    for lost in (reconstruction_loss, contrast_loss):
        torch.testing.assert_close(lost(levels, others, valid), lost(*visible))
    torch.testing.assert_close(contrast_loss(levels, levels, valid), torch.tensor(1.5))


# learning


def loss_of(detector: RDPlusPlus, batch: ImageBatch, seed: int = 0) -> Tensor:
    found = context()
    (request,) = detector.backbones()

    def teach(shown: ImageBatch, *, keep: bool) -> Any:
        return found.pool.pyramids(shown, [request], keep=keep)[request].maps

    return detector._task(teach, found).loss(batch, torch_generator(seed))


def test_loss__is_the_sum_over_parts_of_distillation_and_projection() -> None:
    """Each part by itself: noise from one stream, statistics of its own images."""
    detector = fitted(leather(4), steps=2, parts=2, transport=True)
    detector.networks_.train()
    batch = leather(4, seed=6)
    found = float(loss_of(detector, batch).detach())

    generator, expected = torch_generator(0), 0.0
    for start in (0, 2):
        part = ImageBatch(batch.pixels[start : start + 2], batch.ids[start : start + 2])
        noisy_images, _ = spoilt(part, NoisePatch(), generator)
        torch.randperm(2, generator=generator)
        clean, noisy = teacher(detector, part), teacher(detector, noisy_images)
        p, pn = detector.networks_.project(clean), detector.networks_.project(noisy)
        regenerated = detector.networks_.reverse(p)[1]
        for level in range(2):
            flat = [m[level].detach().double().flatten(1).numpy() for m in (clean, regenerated, noisy, p)]
            f, d, n, q = flat
            by_position = cosine(
                *(m[level].detach().double().permute(0, 2, 3, 1).flatten(0, 2).numpy() for m in (pn, p))
            )
            expected += (1 - cosine(f, d)).mean()
            apart = 0.01 * (1 - by_position).mean() + 0.1 * np.maximum(0, cosine(n, q) - 0.5).mean()
            expected += 0.2 * apart / 1.11
    assert found == pytest.approx(expected, rel=1e-4)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_loss__reaches_every_weight_but_the_teacher_s() -> None:
    detector = fitted(leather(4), steps=1)
    networks = detector.networks_.train()
    networks.zero_grad(set_to_none=True)
    loss_of(detector, leather(4, seed=6)).backward()
    assert all(p.grad is not None for p in networks.parameters())
    weights = {name: p.grad for name, p in networks.named_parameters() if name.endswith("weight")}
    assert all(bool(grad.any()) for grad in weights.values())


def test_loss__of_distillation_teaches_the_projections_too() -> None:
    detector = fitted(leather(4), steps=1)
    detector.networks_.zero_grad(set_to_none=True)
    clean = teacher(detector, leather(2))
    flattened_loss(clean, detector._regenerated(clean).levels).sum().backward()
    assert all(bool(level[0].weight.grad.any()) for level in detector.networks_.projections)


def test_optimizers__are_the_authors() -> None:
    detector = fitted(leather(2), steps=1)
    task = detector._task(lambda *_, **__: [], context())
    adams = [(type(o), o.defaults["lr"], o.defaults["betas"]) for o in task.optimizers]
    assert adams == [(torch.optim.Adam, 1e-3, (0.5, 0.999)), (torch.optim.Adam, 5e-3, (0.5, 0.999))]
    owned = [[id(p) for g in o.param_groups for p in g["params"]] for o in task.optimizers]
    parts: tuple[nn.Module, ...] = (detector.networks_.projections, detector.networks_.reverse)
    assert owned == [[id(p) for p in part.parameters()] for part in parts]


@pytest.mark.parametrize(
    ("images", "parts", "sizes"),
    [(32, 2, [16, 16]), (7, 2, [4, 3]), (3, 2, [3]), (7, 5, [3, 2, 2]), (2, 1, [2])],
)
def test_parts__hold_every_image_once_and_none_alone(images: int, parts: int, sizes: list[int]) -> None:
    batch = ImageBatch(torch.rand(images, 3, 8, 8), tuple(str(i) for i in range(images)))
    found = in_parts(batch, parts)
    assert [len(part) for part in found] == sizes
    assert torch.equal(torch.cat([part.pixels for part in found]), batch.pixels)


def test_fit__lowers_the_loss(taught: RDPlusPlus) -> None:
    losses = taught.log_["losses"]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])


def test_fit__interrupted_goes_on_to_the_same_state(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    whole = fitted(leather(4), steps=6)
    with pytest.raises(KeyboardInterrupt):
        fitted(leather(4), context(progress=Interrupted(), checkpoint=file), steps=6)
    resumed = fitted(leather(4), context(checkpoint=file), steps=6)
    assert resumed.log_ == whole.log_
    for name, tensor in whole.networks_.state_dict().items():
        assert torch.equal(resumed.networks_.state_dict()[name], tensor), name


def test_fit__keeps_the_best_state_on_good_images_when_asked_to() -> None:
    detector = fitted(leather(4), steps=6, keep="best")
    validations = dict(detector.log_["validations"])
    assert detector.log_["best_step"] == min(validations, key=lambda step: validations[step])
    clean = teacher(detector, leather(2, seed=9))
    value = float(flattened_loss(clean, detector._regenerated(clean).levels).mean().detach())
    assert min(validations.values()) == pytest.approx(value, rel=1e-4)


# scoring


def test_score__compares_the_teacher_s_own_levels_with_those_regenerated_from_projected_ones(
    taught: RDPlusPlus,
) -> None:
    batch = leather(2, seed=4)
    found = seen(taught, batch)
    clean = teacher(taught, batch)
    projected = [p(level) for p, level in zip(taught.networks_.projections, clean, strict=True)]
    code, regenerated = taught.networks_.reverse(projected)
    levels = [
        1 - F.cosine_similarity(a.double(), b.double()) for a, b in zip(clean, regenerated, strict=True)
    ]
    whole = sum(F.interpolate(m[:, None], batch.size, mode="bilinear", align_corners=True) for m in levels)
    expected = np.stack([gaussian_filter(m, 4) for m in whole.detach().numpy()[:, 0]])
    np.testing.assert_allclose(found.scores.pixels, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.scores.image, expected.max(axis=(1, 2)), rtol=1e-4)
    torch.testing.assert_close(found.features["rd-plus-plus/code"], code.detach(), rtol=1e-4, atol=1e-5)
    for i, p in enumerate(projected, start=1):
        torch.testing.assert_close(found.features[f"rd-plus-plus/projected{i}"], p.detach())


def test_score__of_levels_regenerated_exactly_is_zero(
    taught: RDPlusPlus, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = leather(2, seed=4)
    clean = teacher(taught, batch)
    code = torch.zeros(2, 2 * clean[-1].shape[1], 4, 6)
    monkeypatch.setattr(taught.networks_.reverse, "forward", lambda _: (code, clean))
    assert float(seen(taught, batch).scores.pixels.abs().max()) < 1e-5


def test_score__is_higher_for_a_defect_than_for_the_same_hide_without_it(taught: RDPlusPlus) -> None:
    good = leather(4, seed=5)
    pixels = good.pixels.clone()
    pixels[:, :, 36:48, 20:36] = torch.tensor([0.05, 0.9, 0.95]).view(1, 3, 1, 1)
    found = seen(taught, ImageBatch(pixels, good.ids)).scores
    assert bool((found.image > seen(taught, good).scores.image).all())
    inside = found.pixels[:, 36:48, 20:36].mean(dim=(1, 2))
    assert bool((inside > 2 * found.pixels.mean(dim=(1, 2))).all())


def test_score__counts_valid_pixels_only(taught: RDPlusPlus) -> None:
    batch = leather(2, seed=5)
    valid = torch.zeros(2, 64, 96, dtype=torch.bool)
    valid[:, 16:48, 32:80] = True
    scores = seen(taught, ImageBatch(batch.pixels, batch.ids, valid)).scores
    assert torch.equal(scores.image, scores.pixels.masked_fill(~valid, 0).amax(dim=(1, 2)))
    lowest = scores.pixels.amin(dim=(1, 2), keepdim=True).expand_as(valid)
    assert torch.equal(scores.pixels[~valid], lowest[~valid])


@pytest.mark.parametrize("size", [(64, 64), (96, 160)], ids=str)
def test_other_sizes_than_the_learned_one_are_scored(taught: RDPlusPlus, size: tuple[int, int]) -> None:
    assert seen(taught, leather(1, size=size)).scores.pixels.shape == (1, *size)


def test_features__are_delivered_as_declared(taught: RDPlusPlus) -> None:
    fine, coarse = taught.channels_
    assert taught.features() == (
        FeatureSpec("rd-plus-plus/difference1", fine, 4),
        FeatureSpec("rd-plus-plus/difference2", coarse, 8),
        FeatureSpec("rd-plus-plus/distance1", 1, 4),
        FeatureSpec("rd-plus-plus/distance2", 1, 8),
        FeatureSpec("rd-plus-plus/code", 2 * coarse, 16),
        FeatureSpec("rd-plus-plus/projected1", fine, 4),
        FeatureSpec("rd-plus-plus/projected2", coarse, 8),
    )
    found = seen(taught, leather(2)).features
    assert found.names == tuple(spec.name for spec in taught.features())
    for spec, maps in zip(taught.features(), found.maps, strict=True):
        assert maps.shape == (2, spec.channels, 64 // spec.stride, 96 // spec.stride)


def test_state__gives_the_same_scores_after_a_round_trip(taught: RDPlusPlus, tmp_path: Path) -> None:
    write_state(tmp_path / "state", taught.state())
    again = RDPlusPlus.from_state(taught.params, read_state(tmp_path / "state"))
    batch = leather(2, seed=4)
    assert torch.equal(seen(again, batch).scores.pixels, seen(taught, batch).scores.pixels)


# settings


def test_params_for__full_effort_are_the_published_settings() -> None:
    full = RDPlusPlus.params_for(Effort.full)
    assert full == RDPlusPlus.Params(
        backbone="wide_resnet50_2",
        layers=(1, 2, 3),
        weights="pretrained",
        epochs=200,
        steps=None,
        batch_size=32,
        parts=2,
        learning_rate=5e-3,
        projection_rate=1e-3,
        betas=(0.5, 0.999),
        projection_weight=0.2,
        noise_strength=0.2,
        transport=True,
        keep="last",
        patience=None,
        smoothing=4.0,
        crop=None,
    )


def test_params_for__quick_effort_leaves_out_what_it_declares() -> None:
    quick, full = RDPlusPlus.params_for(Effort.quick), RDPlusPlus.params_for(Effort.full)
    changed = {name for name, value in quick if value != getattr(full, name)}
    assert changed == {"backbone", "batch_size", "parts", "steps", "crop", "transport"}
    reverse = ReverseDistillation.params_for(Effort.quick)
    shared = ("backbone", "layers", "batch_size", "steps", "crop", "learning_rate")
    assert all(getattr(quick, name) == getattr(reverse, name) for name in shared)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"parts": 0}, "rd-plus-plus: option 'parts': input should be greater than 0, got 0"),
        (
            {"projection_weight": -1},
            "rd-plus-plus: option 'projection_weight': input should be greater than or equal to 0, got -1",
        ),
        (
            {"batch_size": 1},
            "rd-plus-plus: option 'batch_size': input should be greater than or equal to 2, got 1",
        ),
    ],
)
def test_options_are_refused_in_words(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RDPlusPlus.from_options(options)
    assert str(caught.value) == sentence

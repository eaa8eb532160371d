"""Reverse distillation: the published sizes, the numbers worked out by hand, and the detector itself."""

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
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from leatherens.core.artifact import read_state, write_state
from leatherens.core.detector import Effort, FeatureSpec, FitContext
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.randomness import seeded_construction
from leatherens.core.reverse import (
    ReverseNetworks,
    distances,
    flattened_loss,
    plan_for,
    positionwise_loss,
    summed_map,
)
from leatherens.core.types import ImageBatch
from leatherens.core.weights import fingerprint
from leatherens.plugins.reverse_distillation import ReverseDistillation

TINY: dict[str, Any] = {
    "backbone": "test_resnet",
    "layers": (1, 2),
    "weights": "random",
    "batch_size": 4,
    "steps": 60,
}


def fitted(images: ImageBatch, found: FitContext | None = None, **options: Any) -> ReverseDistillation:
    return learned(ReverseDistillation(ReverseDistillation.Params(**{**TINY, **options})), images, found)


@pytest.fixture(scope="module")
def taught() -> ReverseDistillation:
    """A small one after 60 steps on eight hides."""
    return fitted(leather(8))


# the networks


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("model", "channels", "bottleneck", "decoder"),
    [
        ("wide_resnet50_2", (256, 512, 1024), 58_885_120, 24_917_504),
        ("resnet18", (64, 128, 256), 11_680_000, 3_703_168),
    ],
)
def test_sizes_are_the_published_ones(
    model: str, channels: tuple[int, ...], bottleneck: int, decoder: int
) -> None:
    with torch.device("meta"):
        networks = ReverseNetworks(channels, plan_for(model, 3))
    assert parameters(networks.bottleneck) == bottleneck
    assert parameters(networks.decoder) == decoder


def test_shapes_at_256_are_the_published_ones() -> None:
    with torch.device("meta"):
        networks = ReverseNetworks((256, 512, 1024), plan_for("wide_resnet50_2.tv_in1k", 3))
        levels = [torch.empty(2, c, s, s) for c, s in ((256, 64), (512, 32), (1024, 16))]
        code, regenerated = networks(levels)
        brought = [down(m) for down, m in zip(networks.bottleneck.down, levels[:2], strict=True)]
        fused = torch.cat([*brought, levels[2]], dim=1)
    assert fused.shape == (2, 3072, 16, 16)
    assert code.shape == (2, 2048, 8, 8)
    assert [r.shape for r in regenerated] == [level.shape for level in levels]


def test_any_pyramid_whose_levels_halve_gets_plain_blocks() -> None:
    networks = ReverseNetworks((24, 40, 112, 320), plan_for("tf_efficientnet_lite0", 4))
    levels = [torch.rand(1, c, s, s) for c, s in ((24, 32), (40, 16), (112, 8), (320, 4))]
    code, regenerated = networks.eval()(levels)
    assert code.shape == (1, 640, 2, 2)
    assert [r.shape for r in regenerated] == [level.shape for level in levels]


@pytest.mark.parametrize(
    ("model", "negative"),
    [
        ("resnet18", False),
        ("resnet18.a1_in1k", False),
        ("tf_efficientnet_lite0", True),
        ("resnetv2_50", True),
    ],
)
@pytest.mark.parametrize("levels", [2, 3])
def test_regenerated_features_are_negative_only_where_a_teacher_s_are(
    model: str, negative: bool, levels: int
) -> None:
    networks = ReverseNetworks((4, 8, 12)[:levels], plan_for(model, levels)).eval()
    maps = [torch.randn(2, c, s, s) for c, s in ((4, 16), (8, 8), (12, 4))][:levels]
    code, regenerated = networks(maps)
    assert float(code.detach().min()) >= 0
    assert all((float(r.detach().min()) < 0) == negative for r in regenerated)


def torchvision_stage(channels: int, planes: int, blocks: int, *, wide: bool) -> nn.Module:
    """A stage of a residual network by torchvision, for another number of channels that come in."""
    kind: Any = Bottleneck if wide else BasicBlock
    network = ResNet(kind, [1, 1, 1, 1], width_per_group=128 if wide else 64)
    network.inplanes = channels
    return network._make_layer(kind, planes, blocks, stride=2)


@pytest.mark.parametrize(
    ("model", "deepest", "planes"), [("wide_resnet50_2", 16, 8), ("resnet18", 16, 32)], ids=["wide", "plain"]
)
def test_code_is_made_as_a_residual_network_s_last_stage(model: str, deepest: int, planes: int) -> None:
    """A fourth stage with three times the channels: torchvision's, given the same weights."""
    with seeded_construction(1, "stages"):
        ours = ReverseNetworks(
            (deepest // 4, deepest // 2, deepest), plan_for(model, 3)
        ).bottleneck.code.eval()
        wide = model.startswith("wide")
        theirs = torchvision_stage(3 * deepest, planes, 3 if wide else 2, wide=wide).eval()
    weights = zip(theirs.state_dict(), ours.state_dict().values(), strict=True)
    theirs.load_state_dict(dict(weights))
    maps = torch.randn(2, 3 * deepest, 8, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(maps), theirs(maps), atol=1e-5, rtol=1e-4)


def test_weights_start_as_the_authors() -> None:
    """Kaiming over what leaves for convolutions, torch's own for transposed ones, norms of one and zero."""
    with seeded_construction(1, "networks"):
        networks = ReverseNetworks((64, 128), plan_for("other", 2))
    for module in networks.modules():
        if isinstance(module, nn.ConvTranspose2d):
            out, side = module.weight.shape[1], 2
            assert float(module.weight.detach().abs().max()) <= (out * side * side) ** -0.5
        elif isinstance(module, nn.Conv2d):
            leaving = module.weight.shape[0] * module.weight.shape[2] ** 2
            assert float(module.weight.detach().std()) == pytest.approx((2 / leaving) ** 0.5, rel=0.05)
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight.unique().tolist(), module.bias.unique().tolist()) == ([1], [0])


# by hand


def level(*positions: tuple[float, ...]) -> Tensor:
    """(1, C, 1, n) of one vector a position."""
    return torch.tensor(positions, dtype=torch.float32).T[None, :, None]


def test_loss_and_map_of_equal_features_are_zero_whatever_their_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    teacher = [torch.rand(2, c, s, s, generator=generator) for c, s in ((4, 8), (6, 4), (8, 2))]
    for scale in (1.0, 3.5):
        student = [scale * t for t in teacher]
        for lost in (flattened_loss, positionwise_loss):
            torch.testing.assert_close(lost(teacher, student), torch.zeros(2), atol=1e-6, rtol=0)
        assert float(summed_map(distances(teacher, student), (16, 16)).abs().max()) < 1e-6


def test_orthogonal_features_at_three_levels_lose_three_and_score_three() -> None:
    teacher, student = [level((1, 0), (1, 0))] * 3, [level((0, 1), (0, 1))] * 3
    assert flattened_loss(teacher, student).tolist() == [3]
    assert positionwise_loss(teacher, student).tolist() == [3]
    assert torch.equal(summed_map(distances(teacher, student), (5, 7)), torch.full((1, 5, 7), 3.0))


def test_flattened_cosine_weighs_strong_positions_more_than_the_paper_s() -> None:
    teacher, student = [level((1.0, 0.0), (0.0, 10.0))], [level((0.0, 1.0), (0.0, 10.0))]
    assert float(flattened_loss(teacher, student)) == pytest.approx(1 - 100 / 101, abs=1e-6)
    assert float(positionwise_loss(teacher, student)) == pytest.approx(0.5)


def test_zero_vectors_have_no_direction_and_score_one() -> None:
    assert distances([torch.zeros(1, 3, 2, 2)], [torch.rand(1, 3, 2, 2)])[0].unique().tolist() == [1]


def test_map_keeps_the_corners_of_a_level() -> None:
    coarse = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    enlarged = summed_map([coarse], (9, 13))[0]
    corners = enlarged[0, 0], enlarged[0, -1], enlarged[-1, 0], enlarged[-1, -1]
    assert [float(c) for c in corners] == [1, 2, 3, 4]


def test_losses_do_not_count_what_is_hidden() -> None:
    generator = torch.Generator().manual_seed(0)
    teacher, student = ([torch.rand(2, 3, s, s, generator=generator) for s in (8, 4)] for _ in range(2))
    valid = torch.ones(2, 16, 16, dtype=torch.bool)
    valid[:, :, 8:] = False
    visible = [[m[..., : m.shape[-1] // 2] for m in levels] for levels in (teacher, student)]
    for lost in (flattened_loss, positionwise_loss):
        torch.testing.assert_close(lost(teacher, student, valid), lost(*visible))
        assert not torch.allclose(lost(teacher, student), lost(*visible))


# the detector


def test_only_bottleneck_and_decoder_learn() -> None:
    networks = ReverseNetworks((4, 8), plan_for("other", 2))
    teacher = [torch.rand(2, 4, 8, 8), torch.rand(2, 8, 4, 4)]
    flattened_loss(teacher, networks(teacher)[1]).mean().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in networks.parameters())
    assert all(not t.requires_grad for t in teacher)


def test_the_teacher_stays_as_it_is() -> None:
    found, images = context(), leather(4)
    detector = fitted(images, found, steps=1)
    (request,) = detector.backbones()
    before = found.pool.spec(request).fingerprint
    fitted(images, found, steps=3)
    module = found.pool._of(request).module
    assert fingerprint(module.state_dict()) == before
    assert all(p.grad is None and not p.requires_grad for p in module.parameters())


def test_optimizer_is_the_authors_and_holds_all_that_learns() -> None:
    detector = fitted(leather(2), steps=1)
    (adam,) = detector._task(lambda *_, **__: [], context()).optimizers
    assert type(adam) is torch.optim.Adam
    assert (adam.defaults["lr"], adam.defaults["betas"], adam.defaults["weight_decay"]) == (
        5e-3,
        (0.5, 0.999),
        0,
    )
    owned = [id(p) for group in adam.param_groups for p in group["params"]]
    assert owned == [id(p) for p in detector.networks_.parameters()]


def test_interrupted_training_goes_on_to_the_same_state(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    whole = fitted(leather(4), steps=6)
    with pytest.raises(KeyboardInterrupt):
        fitted(leather(4), context(progress=Interrupted(), checkpoint=file), steps=6)
    resumed = fitted(leather(4), context(checkpoint=file), steps=6)
    assert resumed.log_ == whole.log_
    for name, tensor in whole.networks_.state_dict().items():
        assert torch.equal(resumed.networks_.state_dict()[name], tensor), name


def test_training_lowers_the_loss(taught: ReverseDistillation) -> None:
    losses = taught.log_["losses"]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])


def test_a_defect_scores_higher_than_the_same_hide_without_it(taught: ReverseDistillation) -> None:
    good = leather(4, seed=5)
    spoilt = good.pixels.clone()
    spoilt[:, :, 36:48, 20:36] = torch.tensor([0.05, 0.9, 0.95]).view(1, 3, 1, 1)
    found = seen(taught, ImageBatch(spoilt, good.ids)).scores
    assert bool((found.image > seen(taught, good).scores.image).all())
    inside = found.pixels[:, 36:48, 20:36].mean(dim=(1, 2))
    assert bool((inside > 2 * found.pixels.mean(dim=(1, 2))).all())


def regenerated(state: dict[str, Tensor], teacher: list[Tensor]) -> list[Tensor]:
    """The plain networks in evaluation, written out from their weights alone, for two levels."""

    def normed(maps: Tensor, at: str) -> Tensor:
        mean, var, scale, shift = (
            state[f"{at}.{n}"].view(1, -1, 1, 1) for n in ("running_mean", "running_var", "weight", "bias")
        )
        return (maps - mean) / (var + 1e-5).sqrt() * scale + shift

    def block(maps: Tensor, at: str, step: str, *, last: bool = False) -> Tensor:
        weights = [state[f"{at}.body.{i}.weight"] for i in (0, 3)]
        if step == "up":
            inner = F.conv_transpose2d(maps, weights[0], stride=2)
            along = normed(
                F.conv_transpose2d(maps, state[f"{at}.shortcut.0.weight"], stride=2), f"{at}.shortcut.1"
            )
        elif step == "down":
            inner = F.conv2d(maps, weights[0], stride=2, padding=1)
            along = normed(F.conv2d(maps, state[f"{at}.shortcut.0.weight"], stride=2), f"{at}.shortcut.1")
        else:
            inner, along = F.conv2d(maps, weights[0], padding=1), maps
        inner = F.conv2d(normed(inner, f"{at}.body.1").relu(), weights[1], padding=1)
        total = normed(inner, f"{at}.body.4") + along
        return total if last else total.relu()

    fine, coarse = teacher
    brought = F.conv2d(fine, state["bottleneck.down.0.0.0.weight"], stride=2, padding=1)
    maps = torch.cat([normed(brought, "bottleneck.down.0.0.1").relu(), coarse], dim=1)
    maps = block(block(maps, "bottleneck.code.0", "down"), "bottleneck.code.1", "same")
    levels = []
    for i in range(2):
        maps = block(maps, f"decoder.stages.{i}.0", "up")
        maps = block(maps, f"decoder.stages.{i}.1", "same", last=True)
        levels.insert(0, maps)
    return levels


def test_whole_path_equals_a_computation_of_its_own(taught: ReverseDistillation) -> None:
    """Networks written out, cosines by numpy, smoothing by scipy: nothing of ours but the backbone."""
    batch = leather(2, seed=4)
    found = seen(taught, batch)
    (request,) = taught.backbones()
    teacher = [m.double() for m in context().pool.pyramids(batch, [request])[request].maps]
    state = {name: t.double() for name, t in taught.networks_.state_dict().items() if t.is_floating_point()}
    levels = []
    for i, (t, s) in enumerate(zip(teacher, regenerated(state, teacher), strict=True), start=1):
        lengths = np.linalg.norm(t.numpy(), axis=1) * np.linalg.norm(s.numpy(), axis=1)
        level = 1 - (t.numpy() * s.numpy()).sum(axis=1) / lengths
        delivered = found.features[f"reverse-distillation/distance{i}"][:, 0]
        np.testing.assert_allclose(delivered, level, atol=1e-5)
        enlarged = F.interpolate(
            torch.from_numpy(level)[:, None], batch.size, mode="bilinear", align_corners=True
        )
        levels.append(enlarged[:, 0].numpy())
    expected = np.stack([gaussian_filter(m, 4) for m in levels[0] + levels[1]])
    np.testing.assert_allclose(found.scores.pixels.numpy(), expected, rtol=1e-4)
    np.testing.assert_allclose(found.scores.image.numpy(), expected.max(axis=(1, 2)), rtol=1e-4)


def test_difference_has_the_length_its_cosine_says(taught: ReverseDistillation) -> None:
    maps = seen(taught, leather(2, seed=4)).features
    squared = maps["reverse-distillation/difference1"].square().sum(dim=1, keepdim=True)
    torch.testing.assert_close(squared, 2 * maps["reverse-distillation/distance1"], atol=1e-5, rtol=1e-4)


def test_score_counts_valid_pixels_only(taught: ReverseDistillation) -> None:
    batch = leather(2, seed=5)
    valid = torch.zeros(2, 64, 96, dtype=torch.bool)
    valid[:, 16:48, 32:80] = True
    scores = seen(taught, ImageBatch(batch.pixels, batch.ids, valid)).scores
    assert torch.equal(scores.image, scores.pixels.masked_fill(~valid, 0).amax(dim=(1, 2)))
    lowest = scores.pixels.amin(dim=(1, 2), keepdim=True).expand_as(valid)
    assert torch.equal(scores.pixels[~valid], lowest[~valid])


@pytest.mark.parametrize("size", [(64, 64), (96, 160)], ids=str)
def test_other_sizes_than_the_learned_one_are_scored(
    taught: ReverseDistillation, size: tuple[int, int]
) -> None:
    assert seen(taught, leather(1, size=size)).scores.pixels.shape == (1, *size)


def test_features_are_delivered_as_declared(taught: ReverseDistillation) -> None:
    fine, coarse = taught.channels_
    declared = [
        ("difference1", fine, 4),
        ("difference2", coarse, 8),
        ("distance1", 1, 4),
        ("distance2", 1, 8),
        ("code", 2 * coarse, 16),
    ]
    assert taught.features() == tuple(FeatureSpec(f"reverse-distillation/{n}", c, s) for n, c, s in declared)
    found = seen(taught, leather(2)).features
    assert found.names == tuple(spec.name for spec in taught.features())
    for spec, maps in zip(taught.features(), found.maps, strict=True):
        assert maps.shape == (2, spec.channels, 64 // spec.stride, 96 // spec.stride)


def test_a_stored_state_scores_the_same(taught: ReverseDistillation, tmp_path: Path) -> None:
    write_state(tmp_path / "state", taught.state())
    again = ReverseDistillation.from_state(taught.params, read_state(tmp_path / "state"))
    batch = leather(2, seed=4)
    assert torch.equal(seen(again, batch).scores.pixels, seen(taught, batch).scores.pixels)


def test_best_state_is_chosen_by_good_validation_images() -> None:
    detector = fitted(leather(4), steps=6, keep="best", loss="positions")
    validations = dict(detector.log_["validations"])
    assert detector.log_["best_step"] == min(validations, key=lambda step: validations[step])


# refusals, word for word


def test_levels_that_do_not_halve_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        fitted(leather(2), layers=(1, 3))
    assert str(caught.value) == (
        "reverse-distillation: expected levels of which each has half the height and width of the one "
        "before, test_resnet gives strides (4, 16) at layers (1, 3)"
    )


def test_sizes_the_code_cannot_halve_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        fitted(leather(2), layers=(2, 3, 4))
    assert str(caught.value) == (
        "reverse-distillation: expected images of height and width divisible by 64, twice the stride of the "
        "deepest level of test_resnet, got 64 x 96"
    )


def test_squares_the_code_cannot_halve_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        fitted(leather(2, size=(64, 128)), layers=(2, 3, 4), crop=96)
    assert str(caught.value) == (
        "reverse-distillation: expected a crop divisible by 64, twice the stride of the deepest level of "
        "test_resnet, got 96"
    )


def test_full_effort_is_the_published_schedule() -> None:
    assert ReverseDistillation.params_for(Effort.full) == ReverseDistillation.Params(
        backbone="wide_resnet50_2",
        layers=(1, 2, 3),
        weights="pretrained",
        epochs=200,
        steps=None,
        batch_size=16,
        learning_rate=5e-3,
        betas=(0.5, 0.999),
        smoothing=4.0,
        loss="flattened",
        keep="last",
        patience=None,
        crop=None,
    )


def test_quick_effort_declares_what_it_leaves_out() -> None:
    quick, full = ReverseDistillation.params_for(Effort.quick), ReverseDistillation.params_for(Effort.full)
    changed = {name for name, value in quick if value != getattr(full, name)}
    assert changed == {"backbone", "batch_size", "steps", "crop"}

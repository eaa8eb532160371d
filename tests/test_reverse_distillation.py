"""Reverse distillation: the published sizes, the numbers worked out by hand, and the detector itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from small_leather import learned, leather, seen
from torch import Tensor, nn

from leatherens.core.artifact import read_state, write_state
from leatherens.core.detector import Effort
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.reverse import (
    ReverseNetworks,
    distances,
    flattened_loss,
    plan_for,
    positionwise_loss,
    summed_map,
)
from leatherens.core.types import ImageBatch
from leatherens.plugins.reverse_distillation import ReverseDistillation

TINY: dict[str, Any] = {
    "backbone": "test_resnet",
    "layers": (1, 2),
    "weights": "random",
    "batch_size": 4,
    "steps": 60,
}


def fitted(images: ImageBatch, **options: Any) -> ReverseDistillation:
    detector = ReverseDistillation(ReverseDistillation.Params(**{**TINY, **options}))
    return learned(detector, images)


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


def test_regenerated_features_are_never_negative_as_a_teacher_s() -> None:
    networks = ReverseNetworks((4, 8), plan_for("other", 2)).eval()
    _, regenerated = networks([torch.randn(2, 4, 8, 8), torch.randn(2, 8, 4, 4)])
    assert all(float(r.detach().min()) >= 0 for r in regenerated)


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


# the detector


def test_only_bottleneck_and_decoder_learn() -> None:
    networks = ReverseNetworks((4, 8), plan_for("other", 2))
    teacher = [torch.rand(2, 4, 8, 8), torch.rand(2, 8, 4, 4)]
    flattened_loss(teacher, networks(teacher)[1]).mean().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in networks.parameters())
    assert all(not t.requires_grad for t in teacher)


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


def test_score_is_the_smoothed_sum_of_the_levels_and_its_maximum(taught: ReverseDistillation) -> None:
    batch = leather(2, seed=4)
    found = seen(taught, batch)
    levels = [found.features[f"reverse-distillation/distance{i}"] for i in (1, 2)]
    whole = sum(
        nn.functional.interpolate(m, batch.size, mode="bilinear", align_corners=True)[:, 0] for m in levels
    )
    expected = np.stack([gaussian_filter(m, 4) for m in whole.double().numpy()])
    np.testing.assert_allclose(found.scores.pixels.numpy(), expected, rtol=1e-4)
    np.testing.assert_allclose(found.scores.image.numpy(), expected.max(axis=(1, 2)), rtol=1e-4)


def test_difference_has_the_length_its_cosine_says(taught: ReverseDistillation) -> None:
    maps = seen(taught, leather(2, seed=4)).features
    squared = maps["reverse-distillation/difference1"].square().sum(dim=1, keepdim=True)
    torch.testing.assert_close(squared, 2 * maps["reverse-distillation/distance1"], atol=1e-5, rtol=1e-4)


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


def test_quick_effort_declares_what_it_leaves_out() -> None:
    quick, full = ReverseDistillation.params_for(Effort.quick), ReverseDistillation.params_for(Effort.full)
    changed = {name for name, value in quick if value != getattr(full, name)}
    assert changed == {"backbone", "batch_size", "steps", "crop"}
    assert (full.learning_rate, full.betas, full.batch_size, full.epochs) == (5e-3, (0.5, 0.999), 16, 200)

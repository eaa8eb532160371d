"""PatchCore: the numbers worked out by hand, and the detector from fit to a stored state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist
from small_leather import context, learned, leather, seen
from torch import Tensor

from leatherens.core.artifact import read_state, write_state
from leatherens.core.backbones import BackboneRequest
from leatherens.core.core_set import greedy_core_set
from leatherens.core.detector import Effort, FitContext, observe_all
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.memory_bank import MemoryBank
from leatherens.core.neighbours import reweighted
from leatherens.core.types import ImageBatch, ImagesInMemory
from leatherens.plugins.patchcore import PatchCore

MODEL = "test_resnet"
"""timm's tiny ResNet; levels 1 and 2 have strides 4 and 8."""

TINY: dict[str, Any] = {
    "backbone": MODEL,
    "layers": (1, 2),
    "weights": "random",
    "pretrain_embed_dimension": None,
    "target_embed_dimension": None,
}


def fitted(images: ImageBatch, found: FitContext | None = None, **options: Any) -> PatchCore:
    detector = PatchCore(PatchCore.Params(**{**TINY, **options}))
    return learned(detector, images, found)


def levels(batch: ImageBatch) -> list[np.ndarray]:
    request = BackboneRequest(MODEL, (1, 2), "random")
    return [m.double().numpy() for m in context().pool.pyramids(batch, [request])[request].maps]


# by hand


def bank_scores(bank: list[float], queries: list[float], **options: Any) -> Tensor:
    """Position scores of one-channel queries against a one-channel bank."""
    detector = PatchCore(PatchCore.Params(**{**TINY, **options}))
    maps = torch.tensor(queries, dtype=torch.float32).view(1, 1, 1, -1)
    return detector._look_up(
        MemoryBank(torch.tensor(bank, dtype=torch.float32)[:, None]), maps, None
    ).patches.flatten()


def test_score__is_euclidean_as_in_the_paper_or_squared_as_in_the_authors_code() -> None:
    assert bank_scores([0, 10], [4]).tolist() == [4]
    assert bank_scores([0, 10], [4], squared=True).tolist() == [16]


def test_score__of_several_neighbours_is_the_mean_of_their_distances() -> None:
    assert bank_scores([0, 4], [1], neighbours=2, squared=True).tolist() == [5]  # of 1 and 9
    assert bank_scores([0, 4], [1], neighbours=2).tolist() == [2]


@pytest.mark.parametrize(("count", "weight"), [(9, 1 - 1 / 9), (3, 2 / 3)])
def test_reweighting__with_all_neighbours_equally_far_takes_off_one_share(count: int, weight: float) -> None:
    score = reweighted(torch.tensor([2.0]), torch.tensor([5.0]), torch.full((1, count), 5.0))
    assert float(score) == pytest.approx(2 * weight)


def test_reweighting__with_one_neighbour_leaves_the_largest_score() -> None:
    maps = torch.tensor([1.0, 7.0, 3.0]).view(1, 1, 1, 3)
    for reweight in (0, 1):
        look = PatchCore(PatchCore.Params(**TINY, reweight=reweight))._look_up(
            MemoryBank(torch.zeros(1, 1)), maps, None
        )
        assert float(look.image) == 7


def test_reweighting__is_that_of_equation_7_worked_out_in_float64() -> None:
    generator = torch.Generator().manual_seed(0)
    bank, query = torch.randn(40, 5, generator=generator), torch.randn(1, 5, 1, 1, generator=generator)
    look = PatchCore(PatchCore.Params(**TINY, reweight=9))._look_up(MemoryBank(bank), query, None)

    rows, point = bank.double().numpy(), query.double().numpy().reshape(1, 5)
    nearest = cdist(point, rows).argmin()
    around = np.argsort(cdist(rows[nearest : nearest + 1], rows)[0])[:9]
    distances = cdist(point, rows)[0]
    weight = 1 - np.exp(distances[nearest]) / np.exp(distances[around]).sum()
    assert float(look.image) == pytest.approx(weight * distances[nearest], rel=1e-5)


def test_core_set__takes_the_farthest_point_first() -> None:
    assert greedy_core_set(torch.tensor([[0.0], [1.0], [2.0], [10.0]]), 3).tolist() == [0, 3, 2]


def test_order_of_the_bank_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(1)
    bank, maps = torch.randn(60, 4, generator=generator), torch.randn(2, 4, 3, 5, generator=generator)
    detector = PatchCore(PatchCore.Params(**TINY))
    one, other = (detector._look_up(MemoryBank(rows), maps, None) for rows in (bank, bank.flip(0)))
    torch.testing.assert_close(one.patches, other.patches)
    torch.testing.assert_close(one.image, other.image)


# the detector


def test_training_image_scores_zero_when_the_bank_keeps_everything() -> None:
    images = leather(3)
    scores = seen(fitted(images, core_set=1.0), images).scores
    assert float(scores.pixels.abs().max()) == 0
    assert float(scores.image.abs().max()) == 0


def test_whole_path_equals_a_computation_of_its_own() -> None:
    """Windows by numpy slices, distances by scipy, smoothing by scipy: nothing of ours but the backbone."""
    teach, batch = leather(2), leather(2, seed=5)
    scores = seen(fitted(teach, core_set=1.0, reweight=0), batch).scores

    def described(images: ImageBatch) -> np.ndarray:
        fine, deep = (_window_means(level) for level in levels(images))
        deep = torch.nn.functional.interpolate(torch.from_numpy(deep), fine.shape[-2:], mode="bilinear")
        return np.concatenate([fine, deep.numpy()], axis=1)

    bank = described(teach).transpose(0, 2, 3, 1).reshape(-1, described(teach).shape[1])
    for i, maps in enumerate(described(batch)):
        nearest = cdist(maps.reshape(len(maps), -1).T, bank).min(axis=1).reshape(maps.shape[1:])
        assert float(scores.image[i]) == pytest.approx(nearest.max(), rel=1e-5)
        enlarged = torch.nn.functional.interpolate(
            torch.from_numpy(nearest)[None, None], batch.size, mode="bilinear"
        )
        expected = gaussian_filter(enlarged[0, 0].numpy(), sigma=4)
        np.testing.assert_allclose(scores.pixels[i].numpy(), expected, rtol=1e-4)


def _window_means(maps: np.ndarray) -> np.ndarray:
    height, width = maps.shape[-2:]
    padded = np.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)))
    shifted = [
        padded[..., down : down + height, across : across + width] for down in range(3) for across in range(3)
    ]
    return np.mean(shifted, axis=0)


@pytest.mark.parametrize(("side", "patches"), [(224, 784), (256, 1024), (320, 1600)])
def test_number_of_patches_is_the_published_one(side: int, patches: int) -> None:
    detector = fitted(leather(1, size=(side, side)), layers=(2, 3), core_set=1.0)
    assert len(detector.bank0_) == patches


def test_bank_keeps_the_share_asked_for_of_original_rows() -> None:
    images = leather(4)
    whole, thin = fitted(images, core_set=1.0).bank0_, fitted(images, core_set=0.1, projection=4).bank0_
    assert len(thin) == int(len(whole) * 0.1)
    assert all(bool((row == whole).all(dim=1).any()) for row in thin)


def test_identical_images_need_one_row_a_distinct_patch() -> None:
    batch = ImageBatch(torch.full((3, 3, 64, 64), 0.5), ("a", "b", "c"))
    bank = fitted(batch, core_set=1.0).bank0_
    assert len(bank) == 3 * 16 * 16
    thin = fitted(batch, core_set=0.9).bank0_
    assert len(thin) < 256, "duplicates cover nothing new"


def test_published_dimensions_are_kept() -> None:
    detector = fitted(leather(1), pretrain_embed_dimension=48, target_embed_dimension=40)
    maps = seen(detector, leather(1)).features
    assert maps["patchcore/descriptors"].shape == (1, 40, 16, 24)


def test_residual_is_what_separates_a_patch_from_its_nearest_row() -> None:
    maps = seen(fitted(leather(3)), leather(2, seed=7)).features
    lengths = maps["patchcore/residual"].norm(dim=1, keepdim=True)
    torch.testing.assert_close(lengths, maps["patchcore/distance"])


@pytest.mark.parametrize("size", [(64, 96), (57, 83)])
def test_any_size_is_taken(size: tuple[int, int]) -> None:
    scores = seen(fitted(leather(2, size=size)), leather(1, size=size)).scores
    assert scores.pixels.shape == (1, *size)


def test_other_size_than_learned_is_scored() -> None:
    scores = seen(fitted(leather(2, size=(64, 96))), leather(1, size=(80, 64))).scores
    assert scores.pixels.shape == (1, 80, 64)


def test_hidden_positions_do_not_enter_the_bank() -> None:
    images = leather(2)
    valid = torch.zeros(2, *images.size, dtype=torch.bool)
    valid[:, :32] = True
    bank = fitted(ImageBatch(images.pixels, images.ids, valid), core_set=1.0).bank0_
    assert len(bank) == 2 * 8 * 24


def test_a_stored_state_scores_the_same(tmp_path: Path) -> None:
    batch = leather(2, seed=4)
    for options in ({}, {"backbone": (MODEL, "resnet10t")}):
        detector = fitted(leather(3), **options)
        write_state(tmp_path / "state", detector.state())
        again = PatchCore.from_state(detector.params, read_state(tmp_path / "state"))
        assert torch.equal(seen(again, batch).scores.pixels, seen(detector, batch).scores.pixels)


# several backbones


def test_banks_are_brought_to_one_scale_by_held_out_good_images_alone() -> None:
    held_out = leather(2, seed=9)
    detector = fitted(leather(4), backbone=(MODEL, "resnet10t"))
    maps = seen(detector, held_out).features
    for bank in (1, 2):
        distance = maps[f"patchcore/distance{bank}"].double()
        assert float(distance.mean()) == pytest.approx(detector.centres_[bank - 1], rel=1e-5)
        assert float(distance.std(correction=0)) == pytest.approx(detector.spreads_[bank - 1], rel=1e-5)


def test_ensemble_is_the_mean_of_its_banks_on_that_scale() -> None:
    batch = leather(2, seed=6)
    both = fitted(leather(4), backbone=(MODEL, "resnet10t"), reweight=0)
    scores = seen(both, batch)
    scaled = [
        (scores.features[f"patchcore/distance{i + 1}"].flatten(1).amax(dim=1) - centre) / spread
        for i, (centre, spread) in enumerate(zip(both.centres_, both.spreads_, strict=True))
    ]
    torch.testing.assert_close(scores.scores.image, (scaled[0] + scaled[1]) / 2)


def test_one_backbone_stays_in_its_own_unit() -> None:
    detector = fitted(leather(2))
    assert (detector.centres_, detector.spreads_) == ([0.0], [1.0])


# refusals, word for word


def test_levels_the_backbone_lacks() -> None:
    with pytest.raises(ConfigError) as caught:
        fitted(leather(2), layers=(3, 9))
    assert str(caught.value).startswith("test_resnet: cannot give levels (3, 9) of 0..4")


def test_core_set_that_keeps_nothing() -> None:
    with pytest.raises(InputError) as caught:
        fitted(leather(1, size=(64, 64)), core_set=0.003)
    assert str(caught.value) == (
        "patchcore: core_set 0.003 of 256 patches keeps none; "
        "give more images or a core_set of at least 0.0039"
    )


def test_even_window() -> None:
    with pytest.raises(ConfigError) as caught:
        PatchCore.from_options({"patch_size": 2})
    assert str(caught.value) == (
        "patchcore: option 'patch_size': expected an odd number, so that the window has a middle, got 2"
    )


def test_quick_effort_declares_what_it_leaves_out() -> None:
    quick, full = PatchCore.params_for(Effort.quick), PatchCore.params_for(Effort.full)
    changed = {name for name, value in quick if value != getattr(full, name)}
    assert changed == {
        "backbone",
        "pretrain_embed_dimension",
        "target_embed_dimension",
        "max_rows",
        "memory_mb",
    }
    assert quick.max_rows == 2048
    assert (full.backbone, full.layers, full.core_set) == ("wide_resnet50_2", (2, 3), 0.1)


def test_observe_all_gives_the_same_in_any_batch() -> None:
    detector, batch = fitted(leather(3)), leather(5, seed=8)
    one, five = (observe_all(detector, ImagesInMemory(batch), context().pool, batch_size=n) for n in (1, 5))
    torch.testing.assert_close(one.pixels, five.pixels, rtol=1e-5, atol=1e-5)

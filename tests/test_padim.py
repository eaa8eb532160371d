"""PaDiM: the whole path computed apart, and the detector from fit to a stored state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import mahalanobis
from small_leather import context, learned, leather, seen

from leatherens.core.artifact import read_state, write_state
from leatherens.core.backbones import BackboneRequest
from leatherens.core.detector import Effort, FitContext, cut
from leatherens.core.errors import ArtifactError, ConfigError, InputError
from leatherens.core.progress import Silent
from leatherens.core.types import ImageBatch, ImagesInMemory
from leatherens.plugins.padim import PaDiM

MODEL = "test_resnet"
"""timm's tiny ResNet; levels 1 to 3 have 32, 48, 64 channels at strides 4, 8, 16."""

TINY: dict[str, Any] = {"backbone": MODEL, "layers": (1, 2), "weights": "random", "dimensions": 6}


def fitted(images: ImageBatch, found: FitContext | None = None, **options: Any) -> PaDiM:
    return learned(PaDiM(PaDiM.Params(**{**TINY, **options})), images, found)


def levels(batch: ImageBatch) -> list[np.ndarray]:
    request = BackboneRequest(MODEL, (1, 2), "random")
    return [m.double().numpy() for m in context().pool.pyramids(batch, [request])[request].maps]


def masked(batch: ImageBatch, valid: torch.Tensor) -> ImageBatch:
    return ImageBatch(batch.pixels, batch.ids, valid)


@pytest.fixture(scope="module")
def taught() -> PaDiM:
    """A small one of twelve hides."""
    return fitted(leather(12))


# the whole path


def test_whole_path_equals_a_computation_of_its_own(taught: PaDiM) -> None:
    """numpy.cov, scipy's distance and smoothing, position by position: nothing of ours but the backbone."""
    teach, batch = leather(12), leather(2, seed=5)

    def embedded(images: ImageBatch) -> np.ndarray:
        fine, deep = levels(images)
        deep = deep.repeat(2, axis=2).repeat(2, axis=3)
        return np.concatenate([fine, deep], axis=1)[:, taught.channels_.numpy()]

    good, tested = embedded(teach), embedded(batch)
    height, width = good.shape[-2:]
    distance = np.empty((2, height, width))
    for row in range(height):
        for column in range(width):
            vectors = good[:, :, row, column]
            inverse = np.linalg.inv(np.cov(vectors.T) + 0.01 * np.eye(vectors.shape[1]))
            for image in range(2):
                distance[image, row, column] = mahalanobis(
                    tested[image, :, row, column], vectors.mean(axis=0), inverse
                )
    found = seen(taught, batch)
    np.testing.assert_allclose(found.features["padim/distance"][:, 0].numpy(), distance, rtol=1e-3)
    enlarged = torch.nn.functional.interpolate(
        torch.from_numpy(distance)[:, None], batch.size, mode="bilinear"
    )
    for image, map_ in enumerate(enlarged[:, 0].numpy()):
        expected = gaussian_filter(map_, sigma=4)
        np.testing.assert_allclose(found.scores.pixels[image].numpy(), expected, rtol=1e-3)
        assert float(found.scores.image[image]) == pytest.approx(expected.max(), rel=1e-3)


def test_identical_images_score_ten_times_the_euclidean_distance() -> None:
    one = leather(1)
    same = ImageBatch(one.pixels.expand(5, -1, -1, -1), tuple("abcde"))
    detector, batch = fitted(same), leather(1, seed=5)
    maps = seen(detector, batch).features
    away = maps["padim/embedding"] - seen(detector, one).features["padim/embedding"]
    torch.testing.assert_close(maps["padim/distance"][:, 0], 10 * away.norm(dim=1), rtol=1e-4, atol=1e-4)


def test_distance_is_the_length_of_the_whitened_features(taught: PaDiM) -> None:
    maps = seen(taught, leather(2, seed=7)).features
    torch.testing.assert_close(maps["padim/whitened"].norm(dim=1, keepdim=True), maps["padim/distance"])


def test_a_defect_scores_higher_than_the_same_hide_without_it() -> None:
    detector, good = fitted(leather(12), dimensions=60), leather(3, seed=4)
    pixels = good.pixels.clone()
    pixels[:, :, 8:24, 60:80] = torch.tensor([0.1, 0.9, 0.2]).view(1, 3, 1, 1)
    clean, spoilt = seen(detector, good).scores, seen(detector, ImageBatch(pixels, good.ids)).scores
    assert bool((spoilt.image > 1.5 * clean.image).all())
    peak = spoilt.pixels.flatten(1).argmax(dim=1)
    assert all(8 <= int(p) // 96 < 24 and 60 <= int(p) % 96 < 80 for p in peak)


# channels and grid


def test_channels_are_drawn_once_without_repetition_from_the_seed() -> None:
    detector, again, other = (fitted(leather(3), context(seed=seed)) for seed in (3, 3, 4))
    drawn = detector.channels_.tolist()
    assert drawn == sorted(set(drawn)) == again.channels_.tolist() != other.channels_.tolist()
    assert len(drawn) == 6
    assert max(drawn) < 80


def test_all_channels_are_kept_where_no_number_is_given() -> None:
    assert fitted(leather(2), dimensions=None).channels_.tolist() == list(range(80))


@pytest.mark.parametrize(("side", "grid"), [(224, 56), (256, 64)])
def test_grid_is_the_published_one(side: int, grid: int) -> None:
    detector = fitted(leather(2, size=(side, side)), layers=(1, 2, 3), dimensions=3)
    assert detector.grid_ == [grid, grid]
    assert detector.mean_.shape == (grid**2, 3)
    assert detector.whitening_.shape == (grid**2, 3, 3)


def test_deeper_levels_repeat_their_values_over_the_finest_grid() -> None:
    detector = fitted(leather(2), layers=(1, 2, 3), dimensions=None)
    maps = seen(detector, leather(1)).features["padim/embedding"]
    deepest = maps[0, -64:, :4, :4].flatten(1)  # (64, 16): one cell of level 3
    assert bool((deepest == deepest[:, :1]).all())
    assert not bool((maps[0, :32, :4, :4].flatten(1) == maps[0, :32, :1, :1].flatten(1)).all())


@pytest.mark.parametrize("size", [(64, 96), (57, 83), (33, 40)])
def test_any_size_is_learned(size: tuple[int, int]) -> None:
    images = leather(3, size=size)
    assert seen(fitted(images), images).scores.pixels.shape == (3, *size)


def test_features_are_delivered_as_declared(taught: PaDiM) -> None:
    maps = seen(taught, leather(2)).features
    declared = [(f.name, f.channels, f.stride) for f in taught.features()]
    assert declared == [("padim/embedding", 6, 4), ("padim/whitened", 6, 4), ("padim/distance", 1, 4)]
    assert [(n, m.shape[1], 64 // m.shape[2]) for n, m in zip(maps.names, maps.maps, strict=True)] == declared
    assert cut(maps, PaDiM.default_cut).names == ("padim/whitened",)


# masks


def test_hidden_places_teach_nothing() -> None:
    images = leather(6)
    valid = torch.ones(6, 64, 96, dtype=torch.bool)
    valid[0, :32] = False
    spoilt = images.pixels.clone()
    spoilt[0, :, :32] = 0.0
    first, second = (fitted(masked(ImageBatch(p, images.ids), valid)) for p in (images.pixels, spoilt))
    assert torch.equal(first.whitening_, second.whitening_)


def test_places_hidden_in_all_images_but_one_are_judged_by_the_others() -> None:
    said: list[str] = []

    class Heard(Silent):
        def say(self, sentence: str) -> None:
            said.append(sentence)

    valid = torch.ones(4, 64, 96, dtype=torch.bool)
    valid[1:, :8] = False
    detector = fitted(masked(leather(4), valid), context(progress=Heard()))
    # Features of the row below reach into the hidden one, so that two rows of the grid are affected by none.
    assert said == [
        "padim: 48 of 384 positions are valid in fewer than two images and are judged by the mean and "
        "covariance of the others"
    ]
    torch.testing.assert_close(detector.whitening_[0], detector.whitening_[47])
    assert bool(seen(detector, leather(1, seed=5)).scores.pixels.isfinite().all())


# storing


def test_a_stored_state_scores_the_same(taught: PaDiM, tmp_path: Path) -> None:
    batch = leather(2, seed=4)
    write_state(tmp_path / "state", taught.state())
    again = PaDiM.from_state(taught.params, read_state(tmp_path / "state"))
    assert torch.equal(again.channels_, taught.channels_)
    assert torch.equal(seen(again, batch).scores.pixels, seen(taught, batch).scores.pixels)


# options and refusals, word for word


def test_params_for__full_effort_are_the_published_settings() -> None:
    full, quick = PaDiM.params_for(Effort.full), PaDiM.params_for(Effort.quick)
    assert full == PaDiM.Params(
        backbone="wide_resnet50_2",
        layers=(1, 2, 3),
        weights="pretrained",
        dimensions=550,
        regularisation=0.01,
        smoothing=4.0,
        memory_mb=8192,
    )
    assert {name for name, value in quick if value != getattr(full, name)} == {"backbone", "dimensions"}


def test_more_channels_than_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        fitted(leather(2), dimensions=81)
    assert str(caught.value) == (
        "padim: dimensions: 81 asked of 80 channels (test_resnet has 32 + 48 at layers (1, 2)); "
        "take at most 80"
    )


def test_levels_the_backbone_lacks() -> None:
    with pytest.raises(ConfigError, match=r"^test_resnet: cannot give levels \(3, 9\) of 0\.\.4"):
        fitted(leather(2), layers=(3, 9))


class Unread:
    """Images that must not be read."""

    ids, size = tuple(f"hide{i}" for i in range(5)), (256, 256)

    def batch(self, indices: Any) -> ImageBatch:
        raise AssertionError(f"read {indices}")


def refused(**options: Any) -> str:
    detector = PaDiM(PaDiM.Params(**{**TINY, **options}))
    with pytest.raises(ConfigError) as caught:
        detector.fit(Unread(), validation=ImagesInMemory(leather(1)), context=context())
    return str(caught.value)


def test_covariances_without_an_inverse_are_refused_before_any_work() -> None:
    assert refused(regularisation=0.0) == (
        "padim: 5 images cannot give covariances of 6 channels an inverse; give at least 7, fewer "
        "dimensions, or a regularisation such as 0.01"
    )


def test_covariances_that_would_not_fit_in_memory_are_refused_before_any_work() -> None:
    assert refused(dimensions=80, memory_mb=90) == (
        "padim: the table of covariances (4096 of 80 x 80 numbers) needs 100 MB, memory_mb is 90; try fewer "
        "dimensions, smaller images, coarser layers or more memory_mb"
    )


def test_images_that_vary_in_too_few_ways() -> None:
    same = ImageBatch(leather(1).pixels.expand(9, -1, -1, -1), tuple("abcdefghi"))
    with pytest.raises(InputError) as caught:
        fitted(same, regularisation=0.0)
    assert str(caught.value) == (
        "padim: a covariance has no inverse at regularisation 0: the images vary in too few ways; give more "
        "images, fewer dimensions, or a regularisation such as 0.01"
    )


def test_masks_that_leave_no_place_to_two_images() -> None:
    valid = torch.zeros(2, 64, 96, dtype=torch.bool)
    valid[0, :32], valid[1, 32:] = True, True
    with pytest.raises(InputError) as caught:
        fitted(masked(leather(2), valid))
    assert str(caught.value) == (
        "padim: no position is valid in two images; give more images, or masks that hide less"
    )


def test_another_size_than_learned(taught: PaDiM) -> None:
    with pytest.raises(InputError) as caught:
        seen(taught, leather(1, size=(96, 64)))
    assert str(caught.value) == (
        "padim: learned every position of images of 64 x 96, got 96 x 64; bring the images to that size "
        "or fit anew"
    )


def test_a_single_image_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^padim: needs at least 2 good images and one to validate, got 1 to"
    ):
        fitted(leather(1))


def test_a_state_without_its_channels_is_refused(taught: PaDiM) -> None:
    state = {name: value for name, value in taught.state().items() if name != "channels_"}
    with pytest.raises(ArtifactError) as caught:
        PaDiM.from_state(taught.params, state)
    assert str(caught.value) == (
        "padim: the stored state lacks channels_; it is damaged, or of another version"
    )

"""CFA: the numbers worked out by hand, and the detector from fit to a stored state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist
from scipy.special import softmax
from small_leather import Interrupted, context, learned, leather, seen
from torch import Tensor

from leatherens.core.artifact import read_state, write_state
from leatherens.core.backbones import BackboneRequest
from leatherens.core.detector import Effort, FeatureSpec, FitContext, cut, observe_all
from leatherens.core.errors import ArtifactError, ConfigError, InputError
from leatherens.core.patches import described_channels
from leatherens.core.randomness import seeded_construction
from leatherens.core.types import ImageBatch, ImagesInMemory
from leatherens.plugins.cfa import CFA
from leatherens.plugins.cfa.descriptor import Descriptor, with_coordinates
from leatherens.plugins.cfa.hyperspheres import (
    SquaredDistances,
    coupled_loss,
    mean_of_images,
    nearest_centres,
    softmin_score,
)

MODEL = "test_resnet"
"""timm's tiny ResNet; levels 1 and 2 have strides 4 and 8."""

TINY: dict[str, Any] = {"backbone": MODEL, "layers": (1, 2), "weights": "random", "steps": 2}


def fitted(images: ImageBatch, found: FitContext | None = None, **options: Any) -> CFA:
    detector = CFA(CFA.Params(**{**TINY, **options}))
    return learned(detector, images, found)


def spoilt(good: ImageBatch) -> ImageBatch:
    pixels = good.pixels.clone()
    pixels[:, :, 8:24, 60:80] = torch.tensor([0.1, 0.9, 0.2]).view(1, 3, 1, 1)
    return ImageBatch(pixels, good.ids)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def taught() -> CFA:
    """A small one after 250 steps on eight hides."""
    return fitted(leather(8), steps=250)


# the descriptor


def test_descriptor__of_wide_resnet50_has_the_published_size_and_one_radius() -> None:
    with torch.device("meta"):
        descriptor = Descriptor(described_channels((256, 512, 1024), None, None), 1792, 1e-5)
    sizes = {name: p.numel() for name, p in descriptor.named_parameters()}
    assert sizes.pop("radius") == 1
    assert sum(sizes.values()) == 3_216_640


def test_coordinates__follow_the_features_row_before_column() -> None:
    maps = random(2, 5, 3, 4)
    found = with_coordinates(maps)
    assert torch.equal(found[:, :5], maps)
    rows, columns = found[:, 5], found[:, 6]
    assert rows[0].tolist() == [[-1] * 4, [0] * 4, [1] * 4]
    for row in columns[1]:
        torch.testing.assert_close(row, torch.tensor([-1, -1 / 3, 1 / 3, 1]))
    assert torch.equal(found[0, 5:], found[1, 5:])


def test_gamma_d__divides_the_channels() -> None:
    whole, half = (fitted(leather(2), gamma_d=gamma) for gamma in (1, 2))
    assert half.centres_.shape == (len(whole.centres_), whole.centres_.shape[1] // 2)


# distances, loss and score


def test_distances__have_the_gradient_of_their_differences() -> None:
    rows, centres = random(6, 4).double().requires_grad_(), random(9, 4, seed=1).double()
    chosen = torch.randint(9, (6, 3), generator=torch.Generator().manual_seed(2))

    def distances(points: Tensor) -> Tensor:
        found: Tensor = SquaredDistances.apply(points, centres, chosen)
        return found

    assert torch.autograd.gradcheck(distances, rows)
    torch.testing.assert_close(distances(rows), (rows[:, None] - centres[chosen]).square().sum(dim=2))


def test_nearest_centres__are_those_of_brute_force_nearest_first() -> None:
    rows, centres = random(50, 7), random(30, 7, seed=1)
    squared, chosen = nearest_centres(rows, centres, 6)
    every = cdist(rows.double(), centres.double(), "sqeuclidean")
    np.testing.assert_allclose(squared, np.sort(every, axis=1)[:, :6], rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(every, chosen.numpy(), axis=1), squared, rtol=1e-5)


def test_nearest_centres__far_from_the_origin_are_at_distance_zero_of_themselves() -> None:
    """The expanded form a² + b² - 2ab would be off by whole units, to either side of zero."""
    centres = 1000 + random(20, 64)
    squared, chosen = nearest_centres(centres, centres, 3)
    assert not squared[:, 0].any()
    assert chosen[:, 0].tolist() == list(range(20))


LOSSES = {
    "attraction alone": ([1.0, 1, 1, 2, 2, 2], 0.0, 1000),
    "repulsion alone": ([1.0, 1, 1, 2, 2, 2], 2.0, 1900),
    "both": ([0.0, 0, 4, 2, 2, 4], 3**0.5, 1000 / 3 + 2 * 900 / 3),
    "neither, within alpha of the radius": ([1.0, 1, 1, 1, 1.95, 2], 1.04, 0),
}


@pytest.mark.parametrize(("squared", "radius", "loss"), LOSSES.values(), ids=LOSSES)
def test_loss__by_hand(squared: list[float], radius: float, loss: float) -> None:
    found = coupled_loss(torch.tensor([squared]), torch.tensor(radius), attracting=3, nu=1e-3, alpha=0.1)
    assert float(found) == pytest.approx(loss, rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("radius", [1e-5, 1.0, 3.0])
def test_loss__is_that_of_brute_force(radius: float) -> None:
    rows, centres = random(40, 5), random(25, 5, seed=1)
    squared, _ = nearest_centres(rows, centres, 5)
    found = coupled_loss(squared, torch.tensor(radius), attracting=2, nu=0.01, alpha=0.3)

    every = np.sort(cdist(rows.double(), centres.double()) ** 2, axis=1)
    attraction = np.mean(np.maximum(0, every[:, :2] - radius**2))
    repulsion = np.mean(np.maximum(0, radius**2 - every[:, 2:5] - 0.3))
    assert float(found) == pytest.approx((attraction + repulsion) / 0.01, rel=1e-5)


def test_loss__pulls_what_is_outside_the_sphere_and_leaves_what_is_inside() -> None:
    rows = torch.tensor([[3.0], [0.5]], requires_grad=True)
    squared, _ = nearest_centres(rows, torch.tensor([[0.0], [100.0]]), 2)
    coupled_loss(squared, torch.tensor(1.0), attracting=1, nu=1.0, alpha=0.1).backward()
    assert rows.grad is not None
    assert rows.grad.tolist() == [[3.0], [0.0]]


@pytest.mark.parametrize(("distances", "score"), [((1, 2, 3), 0.665241), ((1, 1, 1), 1 / 3), ((0, 5, 9), 0)])
def test_score__by_hand(distances: tuple[float, ...], score: float) -> None:
    found = softmin_score(torch.tensor([distances], dtype=torch.float32))
    assert found.tolist() == pytest.approx([score], abs=1e-6)


# the centres


def test_mean__of_batches_of_one_size_is_the_mean_of_their_means() -> None:
    parts = [random(4, 3, 2, 5, seed=seed) for seed in range(3)]
    mean, counts = mean_of_images((part, None) for part in parts)
    torch.testing.assert_close(mean, torch.stack([part.mean(dim=0) for part in parts]).mean(dim=0))
    assert counts.unique().tolist() == [12]


def test_mean__counts_each_image_once_also_in_a_short_last_batch() -> None:
    maps = random(5, 3, 2, 5)
    mean, _ = mean_of_images([(maps[:4], None), (maps[4:], None)])
    torch.testing.assert_close(mean, maps.mean(dim=0))


def test_mean__leaves_out_what_is_not_to_be_inspected() -> None:
    maps, valid = random(3, 2, 2, 2), torch.zeros(3, 4, 4, dtype=torch.bool)
    valid[0], valid[1, :2, :2] = True, True
    valid[2, :2, 2:] = True
    mean, counts = mean_of_images([(maps, valid)])
    assert counts.tolist() == [[2, 2], [1, 1]]
    torch.testing.assert_close(mean[:, 0, 0], maps[:2, :, 0, 0].mean(dim=0))
    torch.testing.assert_close(mean[:, 0, 1], maps[::2, :, 0, 1].mean(dim=0))
    torch.testing.assert_close(mean[:, 1], maps[0, :, 1])


def test_centres__are_mean_descriptors_adapted_by_the_first_weights() -> None:
    images = leather(11)  # more than are read at a time
    detector = fitted(images)
    with seeded_construction(3, "cfa"):
        first = Descriptor(detector.channels_, detector.channels_, 1e-5)
    described = torch.from_numpy(np.stack(described_by_hand(images))).float()
    adapted = first(described).detach().double().mean(dim=0)  # (C, h, w)
    torch.testing.assert_close(detector.centres_, adapted.flatten(1).T.float(), rtol=1e-4, atol=1e-5)


def test_centres__never_move() -> None:
    one, many = (fitted(leather(4), steps=steps) for steps in (1, 20))
    assert torch.equal(one.centres_, many.centres_)
    assert not torch.equal(one.descriptor_.convolution.weight, many.descriptor_.convolution.weight)


@pytest.mark.parametrize(("gamma", "count"), [(1, 384), (5, 76), (64, 6)])
def test_gamma_c__clusters_the_centres(gamma: int, count: int) -> None:
    detector = fitted(leather(2), gamma_c=gamma)
    assert len(detector.centres_) == count
    assert np.isfinite(detector.log_["losses"]).all()


def test_clusters__lie_in_the_middle_of_the_positions_they_stand_for() -> None:
    rows = fitted(leather(2)).centres_
    few = fitted(leather(2), gamma_c=32).centres_
    nearest = torch.cdist(rows, few).argmin(dim=1)
    means = torch.stack([rows[nearest == i].mean(dim=0) for i in range(len(few))])
    torch.testing.assert_close(means, few, rtol=1e-3, atol=1e-3)


def test_hidden_positions__do_not_become_centres() -> None:
    images = leather(2)
    valid = torch.zeros(2, *images.size, dtype=torch.bool)
    valid[:, :32], valid[0, 32:40] = True, True
    detector = fitted(ImageBatch(images.pixels, images.ids, valid))
    assert len(detector.centres_) == 10 * 24


def test_hidden_positions__do_not_count_in_the_loss(taught: CFA) -> None:
    maps, valid = random(2, taught.channels_, 8, 12), torch.zeros(2, 32, 48, dtype=torch.bool)
    valid[:, :16] = True
    other = maps.clone()
    other[:, :, 4:] += 100
    first, second = (float(taught._lost(m, valid).detach()) for m in (maps, other))
    assert first == second
    assert first < 0.1 * float(taught._lost(other, None).detach())


# fitting


def test_fit__gathers_good_features_and_does_not_collapse(taught: CFA) -> None:
    """Attraction alone would be content with one point for everything, defects included."""
    losses = taught.log_["losses"]
    assert np.mean(losses[-8:]) < 0.1 * np.mean(losses[:8])

    untaught = contrast(fitted(leather(8), steps=1))
    assert bool((contrast(taught) > 1.3 * untaught).all())
    assert bool((contrast(taught) > 2).all())
    bad = seen(taught, spoilt(leather(3, seed=5)))
    for row, column in (divmod(int(p.argmax()), 96) for p in bad.scores.pixels):
        assert 0 <= row < 32
        assert 52 <= column < 88


def contrast(detector: CFA) -> Tensor:
    """(3,): how many times as high images score with a defect as without."""
    good = leather(3, seed=5)
    return seen(detector, spoilt(good)).scores.image / seen(detector, good).scores.image


def test_fit__learns_the_radius_as_well() -> None:
    """AdamW takes steps of its learning rate, however small the gradient of so small a radius."""
    radii = [float(fitted(leather(4), steps=steps).descriptor_.radius.detach()) for steps in (1, 10)]
    assert radii == pytest.approx([1e-3, 1e-2], rel=0.1)


def test_fit__uses_the_published_optimiser() -> None:
    detector = fitted(leather(2))
    (optimizer,) = detector._task(context()).optimizers
    assert isinstance(optimizer, torch.optim.AdamW)
    wanted = {"lr": 1e-3, "weight_decay": 5e-4, "amsgrad": True}
    assert {name: optimizer.defaults[name] for name in wanted} == wanted


def test_fit__starts_from_the_seed() -> None:
    one, same, other = (fitted(leather(2), context(seed=seed)) for seed in (3, 3, 4))
    maps = [seen(detector, leather(2)).scores.pixels for detector in (one, same, other)]
    assert torch.equal(maps[0], maps[1])
    assert not torch.equal(maps[0], maps[2])


def test_schedule__counts_epochs_in_steps_and_takes_no_batch_larger_than_the_images() -> None:
    images = leather(5)
    assert len(fitted(images, epochs=2, batch_size=2, steps=None).log_["losses"]) == 6
    assert len(fitted(images, epochs=2, batch_size=32, steps=None).log_["losses"]) == 2
    assert len(fitted(leather(1), steps=3).log_["losses"]) == 3


def test_last_state_is_kept_unless_the_best_on_held_out_good_images_is_asked_for() -> None:
    last = fitted(leather(4), steps=6)
    assert (last.log_["validations"], last.log_["best_step"]) == ([], 6)

    # learning rate 3: the loss soars after the first steps
    best = fitted(leather(4), steps=6, keep="best", learning_rate=3.0)
    steps, values = zip(*best.log_["validations"], strict=True)
    assert best.log_["best_step"] == steps[int(np.argmin(values))] != 6
    held_out = leather(2, seed=9)
    maps = [best._described(context().pool.pyramids(part, best.backbones())) for part in singles(held_out)]
    lost = [float(best._lost(m, None).detach()) for m in maps]
    assert np.mean(lost) == pytest.approx(min(values), rel=1e-4)


def singles(batch: ImageBatch) -> list[ImageBatch]:
    return [ImageBatch(batch.pixels[i : i + 1], batch.ids[i : i + 1]) for i in range(len(batch))]


def test_fit__interrupted_leaves_nothing_half_learned_and_goes_on_to_the_same_state(tmp_path: Path) -> None:
    images, file = leather(4), tmp_path / "checkpoint.safetensors"
    options: dict[str, Any] = {"steps": 6, "batch_size": 2, "gamma_c": 4}
    whole = fitted(images, **options)

    detector = CFA(CFA.Params(**{**TINY, **options}))
    with pytest.raises(KeyboardInterrupt):
        detector.fit(
            ImagesInMemory(images),
            validation=ImagesInMemory(leather(2, seed=9)),
            context=context(progress=Interrupted(), checkpoint=file),
        )
    assert not detector.fitted
    resumed = fitted(images, context(checkpoint=file), **options)
    assert resumed.log_ == whole.log_
    assert torch.equal(seen(resumed, images).scores.pixels, seen(whole, images).scores.pixels)


def test_params_for__full_effort_are_the_published_settings() -> None:
    assert CFA.params_for(Effort.full) == CFA.Params(
        backbone="wide_resnet50_2",
        layers=(1, 2, 3),
        weights="pretrained",
        gamma_d=1,
        gamma_c=1,
        K=3,
        J=3,
        radius=1e-5,
        nu=1e-3,
        alpha=0.1,
        epochs=30,
        steps=None,
        batch_size=4,
        learning_rate=1e-3,
        weight_decay=5e-4,
        keep="last",
        patience=None,
        smoothing=4.0,
        memory_mb=4096,
    )


def test_params_for__quick_effort_declares_what_it_leaves_out() -> None:
    quick, full = CFA.params_for(Effort.quick), CFA.params_for(Effort.full)
    assert {name for name, value in quick if value != getattr(full, name)} == {"backbone", "gamma_c", "steps"}


# scoring


def described_by_hand(batch: ImageBatch) -> list[np.ndarray]:
    """Means of 3 x 3 windows by numpy slices, the deeper level enlarged: (C, h, w) for each image."""
    request = BackboneRequest(MODEL, (1, 2), "random")
    levels = [m.double().numpy() for m in context().pool.pyramids(batch, [request])[request].maps]
    fine, deep = (window_means(level) for level in levels)
    deep = torch.nn.functional.interpolate(torch.from_numpy(deep), fine.shape[-2:], mode="bilinear").numpy()
    return list(np.concatenate([fine, deep], axis=1))


def window_means(maps: np.ndarray) -> np.ndarray:
    height, width = maps.shape[-2:]
    padded = np.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)))
    shifted = [
        padded[..., down : down + height, across : across + width] for down in range(3) for across in range(3)
    ]
    return np.mean(shifted, axis=0)


def adapted_by_hand(detector: CFA, described: np.ndarray) -> np.ndarray:
    """(C, h, w) to (C', h, w) in float64, by a matrix product."""
    _, height, width = described.shape
    rows, columns = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    layer = detector.descriptor_.convolution
    weight, bias = (p.detach().double().numpy() for p in (layer.weight[:, :, 0, 0], layer.bias))
    whole = np.concatenate([described, rows[None], columns[None]])
    return np.einsum("dc,chw->dhw", weight, whole) + bias[:, None, None]


def test_whole_path_equals_a_computation_of_its_own(taught: CFA) -> None:
    """Windows by numpy slices, distances by scipy, smoothing by scipy: nothing of ours but the backbone."""
    batch = leather(2, seed=5)
    found = seen(taught, batch)
    centres = taught.centres_.double().numpy()
    for i, described in enumerate(described_by_hand(batch)):
        adapted = adapted_by_hand(taught, described)
        distances = np.sort(cdist(adapted.reshape(len(adapted), -1).T, centres), axis=1)[:, :3]
        scores = softmax(-distances, axis=1)[:, 0] * distances[:, 0]
        enlarged = torch.nn.functional.interpolate(
            torch.from_numpy(scores).view(1, 1, 16, 24), batch.size, mode="bilinear"
        )
        expected = gaussian_filter(enlarged[0, 0].numpy(), sigma=4)
        np.testing.assert_allclose(found.scores.pixels[i].numpy(), expected, rtol=1e-3)
        assert float(found.scores.image[i]) == pytest.approx(expected.max(), rel=1e-3)
        nearest = found.features["cfa/distance"][i, 0].numpy()
        np.testing.assert_allclose(nearest, distances[:, 0].reshape(16, 24), rtol=1e-3)


def test_score__is_zero_exactly_at_a_centre(taught: CFA) -> None:
    batch = leather(1, seed=5)
    on_centres = CFA.from_state(taught.params, taught.state())
    adapted = seen(taught, batch).features["cfa/adapted"]
    on_centres.centres_ = adapted.permute(0, 2, 3, 1).flatten(0, 2)
    found = seen(on_centres, batch)
    assert not found.features["cfa/distance"].any()
    assert not found.scores.pixels.any()


def test_image_score__is_the_highest_valid_pixel_of_the_smoothed_map(taught: CFA) -> None:
    batch = spoilt(leather(2, seed=5))
    scores = seen(taught, batch).scores
    assert torch.equal(scores.image, scores.pixels.amax(dim=(1, 2)))

    valid = torch.ones(2, *batch.size, dtype=torch.bool)
    valid[:, 4:28, 56:84] = False  # the defect
    hidden = seen(taught, ImageBatch(batch.pixels, batch.ids, valid)).scores
    assert bool((hidden.image < 0.6 * scores.image).all())
    assert torch.equal(hidden.image, hidden.pixels.masked_fill(~valid, 0).amax(dim=(1, 2)))
    lowest = hidden.pixels.amin(dim=(1, 2), keepdim=True).expand_as(valid)
    assert torch.equal(hidden.pixels[~valid], lowest[~valid])


@pytest.mark.parametrize("size", [(64, 96), (57, 83), (33, 40)])
def test_any_size_is_taken(size: tuple[int, int]) -> None:
    scores = seen(fitted(leather(2, size=size)), leather(1, size=size)).scores
    assert scores.pixels.shape == (1, *size)


def test_other_size_than_learned_is_scored_because_centres_belong_to_no_position(taught: CFA) -> None:
    scores = seen(taught, leather(1, size=(80, 61), seed=5)).scores
    assert scores.pixels.shape == (1, 80, 61)
    assert float(scores.image) < 3 * float(seen(taught, leather(1, seed=5)).scores.image)


def test_observe__scores_each_image_on_its_own(taught: CFA) -> None:
    images = ImagesInMemory(leather(5, seed=8))
    one, five = (observe_all(taught, images, context().pool, batch_size=size) for size in (1, 5))
    torch.testing.assert_close(one.pixels, five.pixels, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("layers", "gamma", "stride"), [((1, 2), 1, 4), ((0, 3), 3, 2), ((2,), 2, 8)])
def test_features_are_delivered_as_declared(layers: tuple[int, ...], gamma: int, stride: int) -> None:
    found = context()
    detector = fitted(leather(2), found, layers=layers, gamma_d=gamma, gamma_c=2)
    wide = sum(found.pool.spec(detector.backbones()[0]).channels) // gamma
    assert detector.features() == (
        FeatureSpec("cfa/adapted", wide, stride),
        FeatureSpec("cfa/residual", wide, stride),
        FeatureSpec("cfa/distance", 1, stride),
    )
    maps = seen(detector, leather(2, seed=5)).features
    assert maps.names == tuple(spec.name for spec in detector.features())
    for spec in detector.features():
        assert maps[spec.name].shape == (2, spec.channels, 64 // stride, 96 // stride)


def test_residual_is_what_separates_a_position_from_its_nearest_centre(taught: CFA) -> None:
    maps = seen(taught, leather(2, seed=5)).features
    adapted, residual = maps["cfa/adapted"], maps["cfa/residual"]
    torch.testing.assert_close(residual.norm(dim=1, keepdim=True), maps["cfa/distance"])
    places = [(0, 0, 0), (0, 3, 17), (1, 15, 23)]
    for image, row, column in places:
        centre = adapted[image, :, row, column] - residual[image, :, row, column]
        assert float((taught.centres_ - centre).norm(dim=1).min()) < 1e-4
    assert cut(maps, taught.default_cut).names == ("cfa/residual",)


def test_a_stored_state_scores_the_same(tmp_path: Path) -> None:
    detector, batch = fitted(leather(3), gamma_c=4, gamma_d=2), leather(2, seed=4)
    write_state(tmp_path, detector.state())
    again = CFA.from_state(detector.params, read_state(tmp_path))
    assert torch.equal(seen(again, batch).scores.pixels, seen(detector, batch).scores.pixels)
    assert (again.features(), again.log_, again.backbone_) == (
        detector.features(),
        detector.log_,
        detector.backbone_,
    )


# refusals, word for word


def test_state__of_other_options_is_refused(taught: CFA) -> None:
    with pytest.raises(
        ArtifactError, match=r"^cfa: the stored state does not fit descriptor_: '.*; it is damaged, or of"
    ):
        CFA.from_state(CFA.Params(**{**TINY, "gamma_d": 2}), taught.state())


class Watched:
    """Images that remember which of them were asked for."""

    def __init__(self, images: ImageBatch) -> None:
        self._source = ImagesInMemory(images)
        self.ids, self.size = self._source.ids, self._source.size
        self.served: list[int] = []

    def batch(self, indices: Sequence[int]) -> ImageBatch:
        self.served.extend(indices)
        return self._source.batch(indices)


def refused(error: type[Exception], images: ImageBatch, **options: Any) -> str:
    """The words with which a fit is refused before any work."""
    watched, detector = Watched(images), CFA(CFA.Params(**{**TINY, **options}))
    with pytest.raises(error) as caught:
        detector.fit(watched, validation=ImagesInMemory(leather(1, seed=9)), context=context())
    assert not watched.served
    return str(caught.value)


def test_fewer_centres_than_are_compared_are_refused_before_any_work() -> None:
    assert refused(InputError, leather(2), gamma_c=65) == (
        "cfa: K 3 and J 3 need 6 centres, 384 positions of an image make 5 at gamma_c 65; "
        "take a gamma_c of at most 64"
    )
    assert refused(InputError, leather(2), layers=(4,), K=8) == (
        "cfa: K 8 and J 3 need 11 centres, 6 positions of an image make 6 at gamma_c 1; "
        "take larger images or finer layers"
    )


def test_masks_that_leave_too_few_centres_are_refused() -> None:
    images = leather(2)
    valid = torch.zeros(2, *images.size, dtype=torch.bool)
    valid[:, :8, :8] = True
    with pytest.raises(InputError) as caught:
        fitted(ImageBatch(images.pixels, images.ids, valid))
    assert str(caught.value) == (
        "cfa: K 3 and J 3 need 6 centres, 4 positions of an image make 4 at gamma_c 1; "
        "take larger images or finer layers"
    )


def test_a_division_that_leaves_no_channels_is_refused_before_any_work() -> None:
    wide = sum(context().pool.spec(BackboneRequest(MODEL, (1, 2), "random")).channels)
    assert refused(ConfigError, leather(2), gamma_d=wide + 1) == (
        f"cfa: gamma_d {wide + 1} leaves none of {wide} channels; take at most {wide}"
    )


def test_what_would_not_fit_in_memory_is_refused_before_any_work() -> None:
    wide = sum(context().pool.spec(BackboneRequest(MODEL, (1, 2), "random")).channels)
    megabytes = -(-(6 * 4 + 1) * 64 * 64 * wide * 4 // 2**20)
    assert refused(ConfigError, leather(5, size=(256, 256)), memory_mb=1) == (
        f"cfa: a step of 4 images (16384 descriptors of {wide} numbers) needs {megabytes} MB, "
        "memory_mb is 1; try smaller images, a smaller batch_size, coarser layers or more memory_mb"
    )


def test_levels_the_backbone_lacks() -> None:
    assert refused(ConfigError, leather(2), layers=(3, 9)).startswith(
        "test_resnet: cannot give levels (3, 9) of 0..4"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"gamma_c": 0}, "option 'gamma_c': input should be greater than 0, got 0"),
        ({"gamma_d": 0}, "option 'gamma_d': input should be greater than 0, got 0"),
        ({"J": 0}, "option 'J': input should be greater than 0, got 0"),
        ({"nu": 0}, "option 'nu': input should be greater than 0, got 0"),
        ({"radius": 0}, "option 'radius': input should be greater than 0, got 0"),
        ({"alpha": -1}, "option 'alpha': input should be greater than or equal to 0, got -1"),
        ({"keep": "first"}, "option 'keep': input should be 'last' or 'best', got 'first'"),
    ],
)
def test_options_are_refused_in_words(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CFA.from_options(options)
    assert str(caught.value) == f"cfa: {sentence}"

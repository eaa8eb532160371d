"""STFPM: the numbers worked out by hand, and the detector from fit to a stored state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_leather import Interrupted, context, learned, leather
from torch import Tensor

from leatherens.core.artifact import read_state, write_state
from leatherens.core.detector import Effort, FeatureSpec, FitContext, observe_all
from leatherens.core.errors import ArtifactError, ConfigError, InputError
from leatherens.core.matching import distances, unit_features
from leatherens.core.pyramid_models import untrained_pyramid
from leatherens.core.randomness import seeded_construction
from leatherens.core.types import ImageBatch, ImagesInMemory
from leatherens.plugins.stfpm import STFPM, let_residuals_pass, matching_loss, product_map

MODEL = "test_resnet"
"""timm's tiny ResNet; levels 1 to 3 have strides 4, 8, 16."""

TINY: dict[str, Any] = {"backbone": MODEL, "weights": "random", "batch_size": 4}


def fitted(images: ImageBatch, found: FitContext | None = None, **options: Any) -> STFPM:
    detector = STFPM(STFPM.Params(**{**TINY, **options}))
    return learned(detector, images, found)


def scores(detector: STFPM, batch: ImageBatch) -> tuple[Tensor, Tensor]:
    seen = observe_all(detector, ImagesInMemory(batch), context().pool)
    return seen.pixels, seen.image


@pytest.fixture(scope="module")
def taught() -> STFPM:
    """A small STFPM after 60 steps on eight hides."""
    return fitted(leather(8), steps=60, learning_rate=0.1)


# what is learned

SIZES = {(1, 2, 3): 2_782_784, (1, 2, 3, 4): 11_176_512}


@pytest.mark.parametrize(("layers", "parameters"), SIZES.items())
def test_student__of_resnet18_has_the_parameters_of_the_layers_it_needs(
    layers: tuple[int, ...], parameters: int
) -> None:
    with seeded_construction(0, "student"):
        student = untrained_pyramid("resnet18", layers)
    assert sum(p.numel() for p in student.parameters() if p.requires_grad) == parameters


def test_student__says_the_same_to_the_last_digit_whatever_shares_the_batch(taught: STFPM) -> None:
    together, _ = scores(taught, leather(3, seed=4))
    alone, _ = scores(taught, ImageBatch(leather(3, seed=4).pixels[1:2], ("alone",)))
    assert torch.equal(together[1:2], alone)


def test_student__every_parameter_gets_a_gradient() -> None:
    """Nothing above the last level is carried along, where nothing could be learned."""
    with seeded_construction(0, "student"):
        student = untrained_pyramid("resnet18", (1, 2, 3))
    batch = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    maps = student(batch)
    assert [tuple(m.shape[1:]) for m in maps] == [(64, 16, 24), (128, 8, 12), (256, 4, 6)]
    matching_loss(distances([torch.randn_like(m) for m in maps], maps)).backward()
    assert all(p.grad is not None for p in student.parameters())


# distances, loss and map


def levels_of(*vectors: tuple[list[float], list[float]]) -> list[Tensor]:
    """Distances of levels that hold one teacher and one student vector everywhere; finest grid 8 x 12."""
    grids = [(8, 12), (4, 6), (2, 3)]
    teacher, student = (
        [
            torch.tensor(pair[side]).view(1, -1, 1, 1).expand(2, -1, *grid)
            for pair, grid in zip(vectors, grids, strict=True)
        ]
        for side in (0, 1)
    )
    return distances(teacher, student)


CASES = {
    "equal": (([1.0, 2.0], [1.0, 2.0]), 0.0, 0.0, 0.0),
    "equal up to length": (([1.0, 2.0], [7.0, 14.0]), 0.0, 0.0, 0.0),
    "orthogonal": (([3.0, 0.0], [0.0, 5.0]), 2.0, 8.0, 6.0),
    "opposite": (([1.0, 2.0], [-2.0, -4.0]), 4.0, 64.0, 12.0),
    "a zero vector": (([0.0, 0.0], [0.0, 5.0]), 1.0, 1.0, 3.0),
    "two zero vectors": (([0.0, 0.0], [0.0, 0.0]), 0.0, 0.0, 0.0),
}


@pytest.mark.parametrize(("pair", "distance", "score", "loss"), CASES.values(), ids=CASES.keys())
def test_distances__loss_and_map_of_constant_features(
    pair: tuple[list[float], list[float]], distance: float, score: float, loss: float
) -> None:
    levels = levels_of(pair, pair, pair)
    assert [tuple(level.shape) for level in levels] == [(2, 8, 12), (2, 4, 6), (2, 2, 3)]
    for level in levels:
        torch.testing.assert_close(level, torch.full_like(level, distance))
    assert float(matching_loss(levels)) == pytest.approx(loss, abs=1e-6)
    torch.testing.assert_close(product_map(levels, (64, 96)), torch.full((2, 64, 96), score))


def features(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, c, h, w, generator=generator) for c, h, w in [(4, 8, 12), (6, 4, 6), (8, 2, 3)]]


def test_distances__do_not_depend_on_the_length_of_features() -> None:
    student = features(1)
    plain, scaled = distances(features(0), student), distances(features(0), [7 * m for m in student])
    torch.testing.assert_close(scaled, plain)
    torch.testing.assert_close(product_map(scaled, (64, 96)), product_map(plain, (64, 96)))


def test_distances__are_those_of_unit_vectors() -> None:
    (teacher, *_), (student, *_) = features(0), features(1)
    t, s = teacher.double().numpy(), student.double().numpy()
    cosine = (t * s).sum(axis=1) / np.linalg.norm(t, axis=1) / np.linalg.norm(s, axis=1)
    np.testing.assert_allclose(distances([teacher], [student])[0], 2 - 2 * cosine, atol=1e-6)
    torch.testing.assert_close(unit_features([teacher])[0].norm(dim=1), torch.ones(2, 8, 12))


def test_matching_loss__is_the_mean_over_batch_and_positions_summed_over_levels() -> None:
    levels = distances(features(0), features(1))
    expected = sum(float(level.double().numpy().mean()) for level in levels)
    assert float(matching_loss(levels)) == pytest.approx(expected, rel=1e-6)


def test_product_map__of_one_half_at_every_level_is_one_eighth_to_the_border() -> None:
    levels = [torch.full((1, *grid), 0.5) for grid in [(8, 12), (4, 6), (2, 3)]]
    assert torch.equal(product_map(levels, (64, 96)), torch.full((1, 64, 96), 0.125))


def test_product_map__multiplies_at_the_finest_level_s_grid_and_then_grows() -> None:
    levels = distances(features(0), features(1))

    def up(level: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(level[:, None], size, mode="bilinear", align_corners=False)[:, 0]

    product = levels[0] * up(levels[1], (8, 12)) * up(levels[2], (8, 12))
    found = product_map(levels, (64, 96))
    torch.testing.assert_close(found, up(product, (64, 96)))
    torch.testing.assert_close(found, product_map(levels[::-1], (64, 96)))

    at_full_size = up(levels[0], (64, 96)) * up(levels[1], (64, 96)) * up(levels[2], (64, 96))
    assert float((found - at_full_size).abs().max()) > 0.05


# fitting


def test_fit__lowers_the_loss_well_below_its_start(taught: STFPM) -> None:
    losses = taught.log_["losses"]
    assert 1.5 < losses[0] < 6
    assert max(losses[-8:]) < 0.25 * losses[0]


def test_fit__keeps_the_epoch_with_the_smallest_mean_map_of_held_out_images(taught: STFPM) -> None:
    steps, values = zip(*taught.log_["validations"], strict=True)
    assert list(steps) == list(range(6, 61, 6))  # sixty steps in ten parts
    assert taught.log_["best_step"] == steps[int(np.argmin(values))]
    pixels, _ = scores(taught, leather(2, seed=9))
    assert float(pixels.mean()) == pytest.approx(min(values), rel=1e-4)


def test_fit__leaves_the_teacher_alone() -> None:
    found = context()
    detector = STFPM(STFPM.Params(**TINY))
    (request,) = detector.backbones()
    batch = leather(2)
    before = [m.clone() for m in found.pool.pyramids(batch, [request])[request].maps]
    fitted(batch, found, steps=3)
    after = found.pool.pyramids(batch, [request])[request].maps
    assert not any(m.requires_grad for m in after)
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


def test_fit__starts_the_student_from_the_seed_not_from_the_teacher() -> None:
    one, same, other = (fitted(leather(2), context(seed=seed), steps=1) for seed in (3, 3, 4))
    assert scores(one, leather(2))[1].min() > 1e-3
    assert torch.equal(scores(one, leather(2))[0], scores(same, leather(2))[0])
    assert not torch.equal(scores(one, leather(2))[0], scores(other, leather(2))[0])


def test_schedule__counts_epochs_in_steps_and_takes_no_batch_larger_than_the_images() -> None:
    images = leather(5)
    assert len(fitted(images, epochs=2, batch_size=2).log_["losses"]) == 6
    assert len(fitted(images, epochs=2, batch_size=32).log_["losses"]) == 2
    assert len(fitted(images, epochs=2, batch_size=2, steps=1).log_["losses"]) == 1


def test_params_for__full_effort_are_the_published_settings() -> None:
    assert STFPM.params_for(Effort.full) == STFPM.Params(
        backbone="resnet18",
        layers=(1, 2, 3),
        weights="pretrained",
        epochs=100,
        batch_size=32,
        learning_rate=0.4,
        momentum=0.9,
        weight_decay=1e-4,
        steps=None,
        patience=None,
    )


def test_fit__interrupted_leaves_nothing_half_learned_and_goes_on_to_the_same_student(tmp_path: Path) -> None:
    images, file = leather(4), tmp_path / "checkpoint.safetensors"
    whole = fitted(images, steps=6, batch_size=2)

    detector = STFPM(STFPM.Params(**{**TINY, "steps": 6, "batch_size": 2}))
    with pytest.raises(KeyboardInterrupt):
        detector.fit(
            ImagesInMemory(images),
            validation=ImagesInMemory(leather(2, seed=9)),
            context=context(progress=Interrupted(), checkpoint=file),
        )
    assert not detector.fitted
    resumed = fitted(images, context(checkpoint=file), steps=6, batch_size=2)
    assert resumed.log_ == whole.log_
    assert torch.equal(scores(resumed, images)[0], scores(whole, images)[0])


# scoring


def test_observe__is_nothing_anywhere_when_the_student_is_a_copy_of_the_teacher() -> None:
    """But for last digits: the student keeps its weights in another memory order."""
    detector = fitted(leather(2), steps=1)
    with seeded_construction(0, "backbone", MODEL):  # how the pool makes random weights
        copy = untrained_pyramid(MODEL, (1, 2, 3))
    assert copy.state_dict().keys() == detector.student_.state_dict().keys()
    detector.student_.load_state_dict(copy.state_dict())
    pixels, image = scores(detector, leather(3, seed=5))
    assert float(pixels.max()) < 1e-30
    assert float(image.max()) < 1e-30


def test_observe__image_score_is_the_highest_pixel(taught: STFPM) -> None:
    pixels, image = scores(taught, leather(3, seed=5))
    assert torch.equal(image, pixels.amax(dim=(1, 2)))
    assert bool(((pixels >= 0) & (pixels <= 64)).all())


def test_observe__points_at_what_is_no_leather(taught: STFPM) -> None:
    good = leather(3, seed=5)
    spoilt = good.pixels.clone()
    spoilt[:, :, 8:24, 60:80] = torch.tensor([0.1, 0.9, 0.2]).view(1, 3, 1, 1)
    pixels, image = scores(taught, ImageBatch(spoilt, good.ids))
    assert bool((image > 1.5 * scores(taught, good)[1]).all())
    for row, column in (divmod(int(p.argmax()), 96) for p in pixels):
        assert 0 <= row < 32
        assert 52 <= column < 88


def test_observe__scores_each_image_on_its_own(taught: STFPM) -> None:
    batch = leather(3, seed=5)
    pixels, _ = scores(taught, batch)
    for i in range(3):
        alone = scores(taught, ImageBatch(batch.pixels[i : i + 1], batch.ids[i : i + 1]))
        torch.testing.assert_close(alone[0][0], pixels[i], rtol=1e-4, atol=1e-6)


def test_observe__counts_valid_pixels_only(taught: STFPM) -> None:
    batch = leather(1, seed=5)
    valid = torch.zeros(1, 64, 96, dtype=torch.bool)
    valid[:, 24:32, 40:48] = True  # the rest is one flat colour, stranger than leather
    pixels, image = scores(taught, ImageBatch(batch.pixels, batch.ids, valid))
    assert float(image) == float(pixels[valid].max())
    assert bool((pixels[~valid] == pixels[valid].min()).all())


@pytest.mark.parametrize(
    ("model", "layers", "strides"), [(MODEL, (1, 2, 3), [4, 8, 16]), ("test_convnext", (0, 2), [4, 16])]
)
def test_features__are_delivered_as_declared(model: str, layers: tuple[int, ...], strides: list[int]) -> None:
    found = context()
    detector = fitted(leather(2), found, backbone=model, layers=layers, steps=2, learning_rate=0.01)
    batch = leather(2, seed=5)
    seen = detector.observe(batch, found.pool.pyramids(batch, detector.backbones()))

    spec = detector.features()
    channels = found.pool.spec(detector.backbones()[0]).channels
    numbers = range(1, len(layers) + 1)
    assert spec == (
        *(FeatureSpec(f"stfpm/difference{i}", channels[i - 1], strides[i - 1]) for i in numbers),
        *(FeatureSpec(f"stfpm/distance{i}", 1, strides[i - 1]) for i in numbers),
    )
    assert seen.features.names == tuple(s.name for s in spec)
    for declared, maps in zip(spec, seen.features.maps, strict=True):
        assert maps.shape == (2, declared.channels, 64 // declared.stride, 96 // declared.stride)
    for i in numbers:
        difference, distance = seen.features[f"stfpm/difference{i}"], seen.features[f"stfpm/distance{i}"]
        torch.testing.assert_close(difference.square().sum(dim=1, keepdim=True), distance)
    rebuilt = product_map([seen.features[f"stfpm/distance{i}"][:, 0] for i in numbers], (64, 96))
    torch.testing.assert_close(seen.scores.pixels, rebuilt)


def test_state__gives_the_same_scores_after_a_round_trip(taught: STFPM, tmp_path: Path) -> None:
    write_state(tmp_path, taught.state())
    back = STFPM.from_state(taught.params, read_state(tmp_path))
    batch = leather(3, seed=5)
    assert torch.equal(scores(back, batch)[0], scores(taught, batch)[0])
    assert (back.features(), back.log_, back.teacher_) == (taught.features(), taught.log_, taught.teacher_)


# refusals


def test_state__of_another_backbone_is_refused(taught: STFPM) -> None:
    with pytest.raises(
        ArtifactError, match=r"^stfpm: the stored state does not fit student_: '.*; it is damaged, or of"
    ):
        STFPM.from_state(
            STFPM.Params(**{**TINY, "backbone": "test_convnext", "layers": (0, 1)}), taught.state()
        )


def test_fit__refuses_sizes_and_single_images_in_words() -> None:
    with pytest.raises(InputError) as caught:
        fitted(leather(2, size=(64, 80)))
    assert str(caught.value) == (
        "stfpm: expected images of height and width divisible by 32 and at least 64, got 64 x 80; "
        "the nearest size is 64 x 64"
    )
    with pytest.raises(InputError) as caught:
        fitted(leather(1))
    assert str(caught.value) == (
        "stfpm: needs at least 2 good images and one to validate, got 1 to learn from and 2 to validate on"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"epochs": 0}, "option 'epochs': input should be greater than 0, got 0"),
        ({"learning_rate": -0.4}, "option 'learning_rate': input should be greater than 0, got -0.4"),
        ({"momentum": 1}, "option 'momentum': input should be less than 1, got 1"),
        ({"patience": 0}, "option 'patience': input should be greater than 0, got 0"),
    ],
)
def test_options__are_refused_in_words(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        STFPM.from_options(options)
    assert str(caught.value) == f"stfpm: {sentence}"


def test_the_student_starts_with_open_residual_branches() -> None:
    with seeded_construction(0, "student"):
        student = untrained_pyramid("resnet18", (1, 2, 3))
    closed = [m for m in student.modules() if isinstance(m, torch.nn.BatchNorm2d) and not m.weight.any()]

    let_residuals_pass(student)

    assert len(closed) == 6
    assert all(bool((norm.weight == 1).all()) for norm in closed)

"""What the base class checks for every detector: sizes, counts, what is delivered, and half-learned ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import pytest
import torch

from leatherens.core.backbones import BackbonePool, Pyramids
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext, cut, observe_all
from leatherens.core.errors import ConfigError, InputError, NotFittedError
from leatherens.core.types import FeatureMaps, ImageBatch, ImagesInMemory, ImageSource, Observation, ScoreMap
from leatherens.core.weights import WeightFinder

Deliver = Callable[[Observation], Observation]


class Brightness(Detector):
    """Scores a pixel by its distance from the mean brightness; `deliver` spoils what it says."""

    id: ClassVar[str] = "brightness"
    capabilities: ClassVar[Capabilities] = Capabilities(multiple_of=8, min_size=16, min_images=2)
    deliver: ClassVar[Deliver] = staticmethod(lambda seen: seen)

    def features(self) -> tuple[FeatureSpec, ...]:
        return (FeatureSpec("brightness/grey", 1, 1),)

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        self.mean_ = float(images.batch(range(len(images.ids))).pixels.mean())

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        grey = batch.pixels.mean(dim=1)
        pixels = (grey - self.mean_).abs()
        maps = FeatureMaps((grey[:, None],), ("brightness/grey",))
        return type(self).deliver(Observation(maps, ScoreMap(pixels, pixels.amax(dim=(1, 2)))))


class AnySize(Brightness):
    """Takes every size from 16 on."""

    id: ClassVar[str] = "any-size"
    capabilities: ClassVar[Capabilities] = Capabilities(min_size=16)


class Interrupted(Brightness):
    """Ctrl-C comes when half is learned."""

    id: ClassVar[str] = "interrupted"

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        super()._fit(images, validation, context)
        raise KeyboardInterrupt


def batch(count: int = 3, size: tuple[int, int] = (16, 24), valid: torch.Tensor | None = None) -> ImageBatch:
    pixels = torch.rand((count, 3, *size), generator=torch.Generator().manual_seed(0))
    return ImageBatch(pixels, tuple(f"hide{i}" for i in range(count)), valid)


def context() -> FitContext:
    return FitContext(BackbonePool(WeightFinder()))


def fitted(kind: type[Detector] = Brightness) -> Detector:
    images = ImagesInMemory(batch())
    return kind().fit(images, validation=images, context=context())


NOTHING = Pyramids({})


def test_fit__returns_the_detector_and_forgets_an_earlier_fit() -> None:
    detector = Brightness()
    images = ImagesInMemory(batch())
    assert detector.fit(images, validation=images, context=context()) is detector
    detector.leftover_ = 1  # type: ignore[attr-defined]
    detector.fit(images, validation=images, context=context())
    assert not hasattr(detector, "leftover_")


def test_fit__interrupted_leaves_the_detector_unfitted() -> None:
    detector = Interrupted()
    images = ImagesInMemory(batch())
    with pytest.raises(KeyboardInterrupt):
        detector.fit(images, validation=images, context=context())
    assert not detector.fitted


@pytest.mark.parametrize(
    ("learn", "validate", "found"),
    [(1, 1, "1 to learn from and 1 to validate on"), (3, 0, "3 to learn from and 0 to validate on")],
)
def test_fit__refuses_too_few_images(learn: int, validate: int, found: str) -> None:
    with pytest.raises(InputError) as caught:
        Brightness().fit(
            ImagesInMemory(batch(learn)), validation=ImagesInMemory(batch(validate)), context=context()
        )
    assert str(caught.value) == (f"brightness: needs at least 2 good images and one to validate, got {found}")


@pytest.mark.parametrize(
    ("kind", "size", "sentence"),
    [
        (
            Brightness,
            (20, 24),
            "brightness: expected images of height and width divisible by 8 and at least 16, got 20 x 24; "
            "the nearest size is 16 x 24",
        ),
        (
            Brightness,
            (8, 100),
            "brightness: expected images of height and width divisible by 8 and at least 16, got 8 x 100; "
            "the nearest size is 16 x 96",
        ),
        (
            AnySize,
            (17, 9),
            "any-size: expected images of height and width at least 16, got 17 x 9; "
            "the nearest size is 17 x 16",
        ),
    ],
)
def test_check_size__names_the_nearest_size(
    kind: type[Detector], size: tuple[int, int], sentence: str
) -> None:
    for refuse in (
        lambda: kind().check_size(size),
        lambda: fitted(kind).observe(batch(size=size), NOTHING),
        lambda: kind().fit(
            ImagesInMemory(batch(size=size)), validation=ImagesInMemory(batch()), context=context()
        ),
    ):
        with pytest.raises(InputError) as caught:
            refuse()
        assert str(caught.value) == sentence


def test_check_size__takes_what_fits() -> None:
    Brightness().check_size((16, 104))
    AnySize().check_size((17, 101))


def test_observe__before_fit_is_refused() -> None:
    with pytest.raises(
        NotFittedError,
        match=r"^brightness: observe was called before fit; call fit first or load a fitted run$",
    ):
        Brightness().observe(batch(), NOTHING)


def with_scores(seen: Observation, **changes: torch.Tensor) -> Observation:
    scores = {"pixels": seen.scores.pixels, "image": seen.scores.image} | changes
    return Observation(seen.features, ScoreMap(**scores))


def with_value(given: torch.Tensor, index: tuple[int, ...], value: float) -> torch.Tensor:
    changed = given.clone()
    changed[index] = value
    return changed


SPOILT: dict[str, tuple[Deliver, str]] = {
    "shape": (
        lambda seen: with_scores(seen, pixels=seen.scores.pixels[:, ::2]),
        "delivered scores of shapes ((3, 8, 24), (3,)), expected ((3, 16, 24), (3,))",
    ),
    "dtype": (
        lambda seen: with_scores(seen, image=seen.scores.image.double()),
        "image score is torch.float64, expected float32",
    ),
    "map": (
        lambda seen: with_scores(seen, pixels=with_value(seen.scores.pixels, (1, 2, 3), math.nan)),
        "score map of hide1 holds NaN or infinite values",
    ),
    "image": (
        lambda seen: with_scores(seen, image=with_value(seen.scores.image, (2,), math.inf)),
        "image score of hide2 holds NaN or infinite values",
    ),
    "feature": (
        lambda seen: Observation(
            FeatureMaps((with_value(seen.features.maps[0], (0, 0, 5, 5), -math.inf),), seen.features.names),
            seen.scores,
        ),
        "brightness/grey of hide0 holds NaN or infinite values",
    ),
    "secret": (
        lambda seen: replace(seen, reconstruction=torch.zeros(3, 3, 16, 24)),
        "delivered a reconstruction, but reconstructs=False is declared",
    ),
}


@pytest.mark.parametrize(("deliver", "sentence"), SPOILT.values(), ids=SPOILT.keys())
def test_observe__refuses_what_a_detector_must_not_deliver(
    deliver: Deliver, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = fitted()
    monkeypatch.setattr(Brightness, "deliver", staticmethod(deliver))
    with pytest.raises(InputError) as caught:
        detector.observe(batch(), NOTHING)
    assert str(caught.value) == f"brightness: {sentence}"


class Repainted(Brightness):
    """Shows every image in the mean brightness, a little too bright."""

    id: ClassVar[str] = "repainted"
    capabilities: ClassVar[Capabilities] = Capabilities(
        multiple_of=8, min_size=16, min_images=2, reconstructs=True
    )


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        (None, "delivered no reconstruction, but reconstructs=True is declared"),
        (
            torch.zeros(3, 3, 8, 24),
            "delivered a reconstruction of shape (3, 3, 8, 24), expected (3, 3, 16, 24)",
        ),
        (torch.zeros(3, 3, 16, 24).double(), "reconstruction is torch.float64, expected float32"),
        (torch.full((3, 3, 16, 24), math.nan), "reconstruction of hide0 holds NaN or infinite values"),
    ],
    ids=["none", "shape", "dtype", "nan"],
)
def test_observe__refuses_a_reconstruction_that_is_none(
    shown: torch.Tensor | None, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = fitted_repainted(monkeypatch, shown)
    with pytest.raises(InputError) as caught:
        detector.observe(batch(), NOTHING)
    assert str(caught.value) == f"repainted: {sentence}"


def test_observe__brings_a_reconstruction_into_what_can_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = torch.linspace(-1, 2, 3 * 3 * 16 * 24).view(3, 3, 16, 24)
    seen = fitted_repainted(monkeypatch, shown).observe(batch(), NOTHING)
    assert torch.equal(seen.reconstruction, shown.clamp(0, 1))


def fitted_repainted(monkeypatch: pytest.MonkeyPatch, shown: torch.Tensor | None) -> Detector:
    monkeypatch.setattr(
        Repainted, "deliver", staticmethod(lambda seen: replace(seen, reconstruction=shown)), raising=False
    )
    return fitted(Repainted)


def test_observe__silences_invalid_pixels_and_keeps_no_graph() -> None:
    valid = torch.ones(3, 16, 24, dtype=torch.bool)
    valid[0, :4] = False
    seen = fitted().observe(batch(valid=valid), NOTHING).scores
    assert bool((seen.pixels[0, :4] == seen.pixels[0, 4:].min()).all())
    assert not seen.pixels.requires_grad


def test_observe_all__joins_batches_in_order() -> None:
    detector, pool = fitted(), context().pool
    images = ImagesInMemory(batch(5))
    whole = detector.observe(images.images, NOTHING).scores
    joined = observe_all(detector, images, pool, batch_size=2)
    assert torch.equal(joined.pixels, whole.pixels)
    assert torch.equal(joined.image, whole.image)


def test_params_for__is_the_same_for_every_effort_unless_said() -> None:
    assert Brightness.params_for(Effort.quick) == Brightness.params_for(Effort.full) == Brightness.Params()


NAMES = ("stfpm/difference1", "stfpm/difference2", "stfpm/distance1")


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        (["*"], NAMES),
        (["difference*"], NAMES[:2]),
        (["stfpm/*1"], (NAMES[0], NAMES[2])),
        (["distance1", "difference2"], (NAMES[1], NAMES[2])),
    ],
)
def test_cut__keeps_what_matches_in_the_order_it_is_delivered(
    patterns: list[str], kept: tuple[str, ...]
) -> None:
    maps = FeatureMaps(tuple(torch.zeros(1) for _ in NAMES), NAMES)
    assert cut(maps, patterns).names == kept


def test_cut__names_the_nearest_map_when_nothing_matches() -> None:
    maps = FeatureMaps(tuple(torch.zeros(1) for _ in NAMES), NAMES)
    with pytest.raises(ConfigError) as caught:
        cut(maps, ["stfpm/diference1"])
    assert str(caught.value) == (
        "no feature map matches 'stfpm/diference1'; did you mean 'stfpm/difference1'? "
        "(there are: stfpm/difference1, stfpm/difference2, stfpm/distance1)"
    )
    with pytest.raises(ConfigError, match="matches 'diference2'; did you mean 'difference2'"):
        cut(maps, ["difference1", "diference2"])
    with pytest.raises(ConfigError, match=r"^no feature map was asked for \(there are: "):
        cut(maps, [])

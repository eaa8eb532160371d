"""CS-Flow: published sizes and settings, its flow and scores worked out apart, and the detector itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_numpy import atan_clamped, bilinear, convolved
from small_leather import Interrupted, context, learned, leather, seen
from torch import Tensor, nn

from leatherens.core.artifact import read_state, write_state
from leatherens.core.backbones import Pyramids, PyramidSpec
from leatherens.core.detector import Effort, FeatureSpec, FitContext
from leatherens.core.errors import ArtifactError, ConfigError, InputError
from leatherens.core.level_flows import LevelsFlow, counted_mean, surprise
from leatherens.core.randomness import seeded_construction
from leatherens.core.types import FeatureMaps, ImageBatch
from leatherens.core.weights import DEFAULT_MODEL
from leatherens.plugins.csflow import CSFlow
from leatherens.plugins.csflow.cross import CrossConvolutions, cross_flow
from leatherens.plugins.csflow.detector import shortened

TINY: dict[str, Any] = {
    "backbone": "test_resnet",
    "layer": 2,  # 48 channels at stride 8
    "stages": False,
    "weights": "random",
    "hidden": 8,
    "kernels": (3, 5),
    "batch_size": 4,
    "learning_rate": 5e-3,
    "steps": 40,
}
SIZE = (128, 256)


def fitted(images: ImageBatch, found: FitContext | None = None, **options: Any) -> CSFlow:
    return learned(CSFlow(CSFlow.Params(**{**TINY, **options})), images, found)


@pytest.fixture(scope="module")
def taught() -> CSFlow:
    """A small one after 40 steps on six hides."""
    return fitted(leather(6, size=SIZE))


def maps_of(detector: CSFlow, batch: ImageBatch) -> list[Tensor]:
    """What the backbone makes of the image at three sizes, brought there by torch's own interpolation."""
    whole = detector.backbones()[0]
    smaller = [F.interpolate(batch.pixels, scale_factor=1 / shrink) for shrink in (1, 2, 4)]
    pool = context().pool
    return [pool.pyramids(ImageBatch(p, batch.ids), [whole])[whole].maps[0] for p in smaller]


def pyramids_of(detector: CSFlow, levels: Sequence[Tensor]) -> Pyramids:
    """These maps, as if the backbone had made them."""
    return Pyramids(
        {r: FeatureMaps((m,), ("map",)) for r, m in zip(detector.backbones(), levels, strict=True)}
    )


def loosened(flow: LevelsFlow, *, by: float = 0.5) -> LevelsFlow:
    """With gains that no longer silence what the sub-networks say."""
    for name, parameter in flow.named_parameters():
        if name.endswith("gains"):
            nn.init.constant_(parameter, by)
    return flow


def small_flow(channels: int = 6, **options: Any) -> LevelsFlow:
    with seeded_construction(0, "flow"):
        return cross_flow(
            channels, 3, **{"hidden": 5, "sides": (3, 3), "clamp": 3.0, **options}
        ).requires_grad_(False)


def random_levels(count: int = 2, channels: int = 6, side: int = 8) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(count, channels, side // s, side // s, generator=generator) for s in (1, 2, 4)]


# the flow


def test_size_is_the_published_one() -> None:
    published = CSFlow.Params()
    with torch.device("meta"):
        flow = cross_flow(304, 3, hidden=published.hidden, sides=published.kernels, clamp=published.clamp)
    assert sum(p.numel() for p in flow.parameters()) == 275_227_288


@pytest.mark.parametrize(("side", "numbers"), [(768, 229_824), (256, 25_536)])
def test_numbers_the_published_flow_reads(side: int, numbers: int) -> None:
    detector = CSFlow()
    detector._remember(PyramidSpec((304,), (32,), (0, 0, 0), (1, 1, 1), "nowhere", "0"))
    latents = [spec for spec in detector.features() if "latent" in spec.name]
    assert sum(spec.channels * (side // spec.stride) ** 2 for spec in latents) == numbers


def test_fresh_flow__only_shuffles_channels() -> None:
    levels = random_levels()
    moved, stretches = small_flow()(levels)
    for level, latent, stretch in zip(levels, moved, stretches, strict=True):
        assert torch.equal(latent.sort(dim=1).values, level.sort(dim=1).values)
        assert not torch.equal(latent, level)
        assert not bool(stretch.any())


def test_fresh_detector__loses_half_the_mean_square_of_all_numbers() -> None:
    images = leather(4, size=SIZE)
    detector = fitted(images, batch_size=4, steps=1)
    numbers = torch.cat([m.flatten() for m in maps_of(detector, images)]).double()
    assert detector.log_["losses"][0] == pytest.approx(float(numbers.square().mean()) / 2, rel=1e-5)


def test_fresh_flow__scores_ones_as_one_half() -> None:
    detector = fitted(leather(2, size=SIZE), steps=1)
    with seeded_construction(0, "fresh"):
        detector._build()
    ones = [torch.ones(2, 48, 16 // s, 32 // s) for s in (1, 2, 4)]
    found = detector.observe(leather(2, size=SIZE), pyramids_of(detector, ones)).scores
    assert found.image.tolist() == [0.5, 0.5]
    assert found.pixels.unique().tolist() == [1.0]


def test_cross_convolutions__reach_the_next_scales_and_no_further() -> None:
    with seeded_construction(0, "cross"):
        network = CrossConvolutions(6, 5, 3, scales=3).requires_grad_(False)
    nn.init.ones_(network.gains)
    halves = random_levels(channels=3)
    before = network(halves)
    for touched, reached in [(0, [0, 1]), (1, [0, 1, 2]), (2, [1, 2])]:
        changed = [h + (i == touched) for i, h in enumerate(halves)]
        moved = [not torch.equal(a, b) for a, b in zip(network(changed), before, strict=True)]
        assert [i for i, m in enumerate(moved) if m] == reached


def test_flow__carries_the_coarsest_scale_to_the_middle_in_half_a_block_and_on_to_the_finest() -> None:
    """The lower half hears the upper one at once; what it heard reaches the next scale's upper half."""
    flow = loosened(small_flow(sides=(3,)))
    levels = random_levels()
    nudged = [*levels[:2], levels[2] + 1]
    before, after = flow(levels)[0], flow(nudged)[0]
    halves = [
        [not torch.equal(a, b) for a, b in zip(x.chunk(2, dim=1), y.chunk(2, dim=1), strict=True)]
        for x, y in zip(before, after, strict=True)
    ]
    assert halves == [[False, True], [True, True], [True, True]]


def test_flow__stretches_as_the_jacobian_over_all_scales_says() -> None:
    flow = loosened(small_flow(channels=4)).double()
    levels = [level.double() for level in random_levels(1, channels=4, side=4)]
    counts = [level.numel() for level in levels]

    def forward(flat: Tensor) -> Tensor:
        parts = [p.view_as(level) for p, level in zip(flat.split(counts), levels, strict=True)]
        return torch.cat([m.flatten() for m in flow(parts)[0]])

    jacobian = torch.autograd.functional.jacobian(forward, torch.cat([level.flatten() for level in levels]))
    expected = float(torch.linalg.slogdet(jacobian).logabsdet)
    assert abs(expected) > 0.1
    assert sum(float(s.sum()) for s in flow(levels)[1]) == pytest.approx(expected, abs=1e-8)


def test_flow__comes_back_after_training(taught: CSFlow) -> None:
    levels = maps_of(taught, leather(2, size=SIZE, seed=5))
    with torch.no_grad():
        latents, stretches = taught.flow_(levels)
        back = taught.flow_.inverse(latents)
    assert max(float(s.abs().max()) for s in stretches) > 1, "or nothing was learned to undo"
    for level, found in zip(levels, back, strict=True):
        torch.testing.assert_close(found, level, rtol=0, atol=1e-5 * float(level.abs().max().clamp_min(1)))


# the whole path, apart


class Numbers:
    """A flow's weights, and what it makes of maps by the formulas of the paper."""

    def __init__(self, flow: LevelsFlow, clamp: float) -> None:
        self.state = {name: t.double().numpy() for name, t in flow.state_dict().items()}
        self.blocks = len(flow.couplings)
        self.clamp = clamp

    def forward(self, maps: list[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
        """Latents, and the logarithm of the determinant for each image."""
        volume = np.zeros(len(maps[0]))
        for block in range(self.blocks):
            maps = [m[:, self.state[f"shuffles.{block}.{i}.order"].astype(int)] for i, m in enumerate(maps)]
            half = maps[0].shape[1] // 2
            lower, upper = [m[:, :half] for m in maps], [m[:, half:] for m in maps]
            lower, first = self.moved(lower, self.said(f"couplings.{block}.first", upper))
            upper, second = self.moved(upper, self.said(f"couplings.{block}.second", lower))
            volume = volume + first + second
            maps = [np.concatenate(pair, axis=1) for pair in zip(lower, upper, strict=True)]
        return maps, volume

    def moved(self, halves: list[np.ndarray], said: list[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
        wide = halves[0].shape[1]
        scales = [atan_clamped(s[:, :wide], self.clamp) for s in said]
        shifts = [s[:, wide:] for s in said]
        moved = [h * np.exp(s) + t for h, s, t in zip(halves, scales, shifts, strict=True)]
        return moved, np.sum([s.sum(axis=(1, 2, 3)) for s in scales], axis=0)

    def said(self, name: str, halves: list[np.ndarray]) -> list[np.ndarray]:
        hidden = [self.layer(f"{name}.enter.{i}", half) for i, half in enumerate(halves)]
        hidden = [np.where(h > 0, h, 0.1 * h) for h in hidden]
        said = []
        for i, h in enumerate(hidden):
            heard = self.layer(f"{name}.leave.{i}", h)
            if i > 0:
                heard = heard + self.layer(f"{name}.to_coarser.{i - 1}", hidden[i - 1], stride=2)
            if i < len(hidden) - 1:
                heard = heard + self.layer(f"{name}.to_finer.{i}", bilinear(hidden[i + 1], h.shape[2:]))
            said.append(self.state[f"{name}.gains"][i] * heard)
        return said

    def layer(self, name: str, maps: np.ndarray, stride: int = 1) -> np.ndarray:
        return convolved(maps, self.state[f"{name}.weight"], self.state[f"{name}.bias"], stride=stride)


def test_whole_path_equals_a_computation_of_its_own(taught: CSFlow) -> None:
    """Convolutions, couplings and interpolation by numpy: nothing of ours but the backbone."""
    batch = leather(2, size=SIZE, seed=5)
    levels = [m.double().numpy() for m in maps_of(taught, batch)]
    latents, volume = Numbers(taught.flow_, clamp=3.0).forward(levels)
    assert float(np.abs(volume).min()) > 1

    found = seen(taught, batch)
    for i, latent in enumerate(latents, start=1):
        np.testing.assert_allclose(found.features[f"cs-flow/latent{i}"], latent, rtol=1e-3, atol=1e-4)
    energies = [(latent**2).mean(axis=1) for latent in latents]
    np.testing.assert_allclose(found.scores.pixels, bilinear(energies[0], SIZE), rtol=1e-3, atol=1e-4)
    numbers = np.concatenate([latent.reshape(2, -1) for latent in latents], axis=1)
    np.testing.assert_allclose(found.scores.image, (numbers**2).mean(axis=1) / 2, rtol=1e-4)

    with torch.no_grad():
        pyramids = context().pool.pyramids(batch, taught.backbones())
        lost = taught._unlikeliness(pyramids, None)
    expected = ((numbers**2).sum(axis=1) / 2 - volume) / numbers.shape[1]
    np.testing.assert_allclose(lost, expected, rtol=1e-3, atol=1e-4)


# learning


def test_fit__makes_good_leather_likely_and_noise_not(taught: CSFlow) -> None:
    good = seen(taught, leather(4, size=SIZE, seed=5)).scores.image
    noise = torch.rand(4, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    strange = seen(taught, ImageBatch(noise, tuple("abcd"))).scores.image
    assert float(strange.min()) > 1.5 * float(good.max())


def test_fit__lowers_the_loss(taught: CSFlow) -> None:
    losses = taught.log_["losses"]
    assert np.mean(losses[-5:]) < losses[0] - 0.3


def test_fit__moves_every_weight() -> None:
    images = leather(2, size=SIZE)
    one, many = (dict(fitted(images, steps=steps).flow_.named_parameters()) for steps in (1, 3))
    assert [name for name, weight in one.items() if torch.equal(weight, many[name])] == []


def test_fit__same_seed_same_losses_and_scores() -> None:
    images = leather(3, size=SIZE)
    one, same, other = (fitted(images, context(seed=seed), steps=4) for seed in (3, 3, 4))
    assert one.log_ == same.log_
    assert torch.equal(seen(one, images).scores.pixels, seen(same, images).scores.pixels)
    assert not torch.equal(seen(one, images).scores.pixels, seen(other, images).scores.pixels)


def test_fit__interrupted_and_resumed_gives_the_same(tmp_path: Path) -> None:
    images = leather(3, size=SIZE)
    whole = fitted(images, steps=6)
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fitted(images, context(checkpoint=file, progress=Interrupted(after=3)), steps=6)
    resumed = fitted(images, context(checkpoint=file), steps=6)
    assert resumed.log_ == whole.log_
    assert torch.equal(seen(resumed, images).scores.pixels, seen(whole, images).scores.pixels)


def test_fit__keeps_the_last_state_or_the_likeliest_for_held_out_good_images() -> None:
    images = leather(4, size=SIZE)
    last, best = (fitted(images, keep=keep, learning_rate=0.1, steps=6) for keep in ("last", "best"))
    assert last.log_["losses"] == best.log_["losses"], "only what is kept differs"
    assert (last.log_["validations"], last.log_["best_step"]) == ([], 6)

    validations = dict(best.log_["validations"])
    kept = best.log_["best_step"]
    assert kept == min(validations, key=lambda step: validations[step]) < 6
    held_out = leather(2, size=SIZE, seed=9)
    with torch.no_grad():
        again = best._unlikeliness(context().pool.pyramids(held_out, best.backbones()), None)
    assert validations[kept] == pytest.approx(float(again.mean()), rel=1e-5)


def test_fit__ignores_what_is_hidden() -> None:
    images = leather(2, size=SIZE)
    valid = torch.zeros(2, *SIZE, dtype=torch.bool)
    valid[:, :, :128] = True
    detector = fitted(ImageBatch(images.pixels, images.ids, valid), batch_size=2, steps=1)
    kept = ImageBatch(images.pixels, images.ids, valid).pixels
    left = [m[..., : m.shape[-1] // 2] for m in maps_of(detector, ImageBatch(kept, images.ids))]
    numbers = torch.cat([m.flatten() for m in left]).double()
    assert detector.log_["losses"][0] == pytest.approx(float(numbers.square().mean()) / 2, rel=1e-5)


def test_task__is_learned_by_the_authors_optimiser() -> None:
    detector = fitted(leather(2, size=SIZE), learning_rate=2e-4, steps=1)
    (adam,) = detector._task(context()).optimizers
    options = {key: adam.defaults[key] for key in ("lr", "betas", "eps", "weight_decay")}
    assert isinstance(adam, torch.optim.Adam)
    assert options == {"lr": 2e-4, "betas": (0.9, 0.999), "eps": 1e-4, "weight_decay": 1e-5}


@pytest.mark.parametrize(("gradient", "step"), [((30.0, 40.0), (0.6, 0.8)), ((0.3, 0.4), (0.3, 0.4))])
def test_shortened__keeps_the_direction_and_small_gradients(
    gradient: tuple[float, float], step: tuple[float, float]
) -> None:
    weights = [nn.Parameter(torch.zeros(())) for _ in gradient]
    optimizer = shortened(torch.optim.SGD(weights, lr=1.0), longest=1.0)
    for weight, slope in zip(weights, gradient, strict=True):
        weight.grad = torch.tensor(slope)
    optimizer.step()
    assert [-float(w.detach()) for w in weights] == pytest.approx(step, rel=1e-4)


def test_task__is_shown_shortened_gradients() -> None:
    detector = fitted(leather(2, size=SIZE), steps=1)
    task = detector._task(context())
    for weight in detector.flow_.parameters():
        weight.grad = torch.full_like(weight, 100.0)
    task.optimizers[0].step()
    slopes = torch.cat([w.grad.flatten() for w in detector.flow_.parameters() if w.grad is not None])
    assert float(slopes.double().norm()) == pytest.approx(1, rel=1e-3)


# scoring


def test_observe__does_not_depend_on_the_rest_of_the_batch(taught: CSFlow) -> None:
    batch = leather(3, size=SIZE, seed=5)
    together = seen(taught, batch).scores.image
    alone = [seen(taught, ImageBatch(batch.pixels[i : i + 1], (str(i),))).scores.image for i in range(3)]
    torch.testing.assert_close(torch.cat(alone), together, rtol=1e-5, atol=1e-6)


def test_observe__image_score_counts_visible_positions_of_every_scale(taught: CSFlow) -> None:
    batch = leather(1, size=SIZE, seed=5)
    valid = torch.zeros(1, *SIZE, dtype=torch.bool)
    valid[:, 64:, 128:] = True
    found = seen(taught, ImageBatch(batch.pixels, batch.ids, valid))
    latents = [found.features[f"cs-flow/latent{i}"] for i in (1, 2, 3)]
    quarter = [z[..., z.shape[-2] // 2 :, z.shape[-1] // 2 :] for z in latents]
    numbers = torch.cat([z.flatten() for z in quarter])
    assert float(found.scores.image) == pytest.approx(float(numbers.square().mean()) / 2, rel=1e-5)
    assert bool((found.scores.pixels[~valid] == found.scores.pixels[valid].min()).all())


def test_observe__of_absurd_features_stays_finite(taught: CSFlow) -> None:
    batch = leather(1, size=SIZE)
    levels = [1e9 * m for m in maps_of(taught, batch)]
    scores = taught.observe(batch, pyramids_of(taught, levels)).scores
    assert float(scores.image) > 1e6
    with torch.no_grad():
        lost = counted_mean(surprise(*taught.flow_(levels)))
    assert bool(lost.isfinite().all())


def test_features__are_delivered_as_declared(taught: CSFlow) -> None:
    assert taught.features() == (
        FeatureSpec("cs-flow/latent1", 48, 8),
        FeatureSpec("cs-flow/latent2", 48, 16),
        FeatureSpec("cs-flow/latent3", 48, 32),
        FeatureSpec("cs-flow/energy1", 1, 8),
        FeatureSpec("cs-flow/energy2", 1, 16),
        FeatureSpec("cs-flow/energy3", 1, 32),
    )
    maps = seen(taught, leather(2, size=SIZE)).features
    assert maps.names == tuple(spec.name for spec in taught.features())
    for spec, delivered in zip(taught.features(), maps.maps, strict=True):
        assert delivered.shape == (2, spec.channels, 128 // spec.stride, 256 // spec.stride)
    torch.testing.assert_close(maps["cs-flow/energy2"][:, 0], maps["cs-flow/latent2"].square().mean(dim=1))


def test_other_sizes_than_the_learned_one_are_scored(taught: CSFlow) -> None:
    assert seen(taught, leather(1, size=(256, 128), seed=5)).scores.pixels.shape == (1, 256, 128)


def test_a_stage_of_an_efficientnet_is_read() -> None:
    detector = fitted(
        leather(2, size=(128, 128)), backbone="tf_efficientnet_lite0", layer=5, stages=True, steps=1
    )
    assert detector.features()[0] == FeatureSpec("cs-flow/latent1", 192, 32)
    assert seen(detector, leather(1, size=(128, 128))).features["cs-flow/latent3"].shape == (1, 192, 1, 1)


def test_state__gives_the_same_scores_after_a_round_trip(taught: CSFlow, tmp_path: Path) -> None:
    write_state(tmp_path, taught.state())
    back = CSFlow.from_state(taught.params, read_state(tmp_path))
    batch = leather(2, size=SIZE, seed=5)
    assert torch.equal(seen(back, batch).scores.pixels, seen(taught, batch).scores.pixels)
    assert (back.features(), back.log_) == (taught.features(), taught.log_)


# settings


def test_params_for__full_effort_are_the_published_settings() -> None:
    assert CSFlow.params_for(Effort.full) == CSFlow.Params(
        backbone="tf_efficientnet_b5",
        layer=5,
        stages=True,
        weights="pretrained",
        hidden=1024,
        kernels=(3, 3, 3, 5),
        clamp=3.0,
        epochs=240,
        steps=None,
        batch_size=16,
        learning_rate=2e-4,
        keep="last",
        patience=None,
    )


def test_quick_effort_declares_what_it_leaves_out() -> None:
    quick, full = CSFlow.params_for(Effort.quick), CSFlow.params_for(Effort.full)
    changed = {name for name, value in quick if value != getattr(full, name)}
    assert changed == {
        "backbone", "layer", "stages", "hidden", "kernels", "batch_size", "learning_rate", "steps"
    }  # fmt: skip
    assert quick.backbone == DEFAULT_MODEL


def test_params__survive_json() -> None:
    quick = CSFlow.params_for(Effort.quick)
    assert CSFlow.Params.model_validate(json.loads(quick.model_dump_json())) == quick


# refusals, word for word


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kernels": [3, 4]}, "'kernels.1': expected an odd number, so that the window has a middle, got 4"),
        ({"kernels": []}, "'kernels': tuple should have at least 1 item after validation, not 0, got []"),
        ({"hidden": 0}, "'hidden': input should be greater than 0, got 0"),
        ({"clamp": 0}, "'clamp': input should be greater than 0, got 0"),
        ({"layer": -1}, "'layer': input should be greater than or equal to 0, got -1"),
        ({"keep": "test"}, "'keep': input should be 'last' or 'best', got 'test'"),
    ],
)
def test_options__are_refused_in_words(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CSFlow.from_options(options)
    assert str(caught.value) == f"cs-flow: option {sentence}"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"layer": 9}, "test_resnet: cannot give levels (9,) of 0..4"),
        ({"stages": True}, "test_resnet: has no stages that its levels do not show; ask for levels"),
    ],
)
def test_maps_the_backbone_lacks(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fitted(leather(2, size=(128, 128)), **options)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("channels", "stride", "sentence"),
    [
        (
            48,
            14,
            "expected a map whose stride divides 32, so that every scale has half the height and width of "
            "the one before, test_resnet gives stride 14 at layer 2; choose another layer or backbone",
        ),
        (
            25,
            8,
            "expected a map of two equal halves of channels, test_resnet gives 25 at layer 2; choose another "
            "layer or backbone",
        ),
    ],
)
def test_maps_the_flow_cannot_read(channels: int, stride: int, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CSFlow(CSFlow.Params(**TINY)).check_pyramids(
            [PyramidSpec((channels,), (stride,), (0, 0, 0), (1, 1, 1), "nowhere", "0")], (64, 64)
        )
    assert str(caught.value) == f"cs-flow: {sentence}"


@pytest.mark.parametrize(
    ("size", "nearest"), [((250, 250), "256 x 256"), ((128, 192), "128 x 256"), ((64, 128), "128 x 128")]
)
def test_sizes_that_do_not_halve_twice_are_refused(
    size: tuple[int, int], nearest: str, taught: CSFlow
) -> None:
    sentence = (
        "cs-flow: expected images of height and width divisible by 128 and at least 128, got "
        f"{size[0]} x {size[1]}; the nearest size is {nearest}"
    )
    batch = ImageBatch(torch.rand(2, 3, *size), ("a", "b"))
    with pytest.raises(InputError) as caught:
        fitted(batch)
    assert str(caught.value) == sentence
    with pytest.raises(InputError) as caught:
        taught.observe(batch, Pyramids({}))
    assert str(caught.value) == sentence


def test_too_few_images_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        fitted(leather(1, size=(128, 128)))
    assert str(caught.value) == (
        "cs-flow: needs at least 2 good images and one to validate, got 1 to learn from and 2 to validate on"
    )


def test_state__of_another_width_is_refused(taught: CSFlow) -> None:
    with pytest.raises(ArtifactError) as caught:
        CSFlow.from_state(CSFlow.Params(**{**TINY, "hidden": 4}), taught.state())
    assert str(caught.value) == (
        "cs-flow: the stored state does not fit flow_: 'couplings.0.first.enter.0.weight' should be "
        "(4, 24, 3, 3), got (8, 24, 3, 3); it is damaged, or of other options"
    )

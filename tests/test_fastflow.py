"""FastFlow: the published sizes, the numbers worked out by hand, and the detector itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import correlate, gaussian_filter
from small_leather import Interrupted, context, leather, seen
from torch import Tensor, nn

from leatherens.core.artifact import read_state, write_state
from leatherens.core.detector import Effort, FeatureSpec, FitContext, cut, observe_all
from leatherens.core.errors import ArtifactError, ConfigError, InputError, TrainingError
from leatherens.core.flows import Flow
from leatherens.core.randomness import seeded_construction
from leatherens.core.types import ImageBatch, ImagesInMemory
from leatherens.plugins.fastflow import FastFlow
from leatherens.plugins.fastflow.networks import (
    LayerNorm,
    LevelFlow,
    convolutional_flow,
    standardised,
    subnetwork,
)
from leatherens.plugins.fastflow.scores import energy, mean_map, rarity, surprise

TINY: dict[str, Any] = {
    "backbone": "test_resnet",
    "layers": (1, 2),
    "weights": "random",
    "flow_steps": 4,
    "batch_size": 4,
    "steps": 80,
    "score": "energy",
}


def fitted(
    images: ImageBatch, *, held_out: ImageBatch | None = None, found: FitContext | None = None, **options: Any
) -> FastFlow:
    detector = FastFlow(FastFlow.Params(**{**TINY, **options}))
    validation = ImagesInMemory(leather(2, size=images.size, seed=9) if held_out is None else held_out)
    return detector.fit(ImagesInMemory(images), validation=validation, context=found or context())


def scoring(detector: FastFlow, **options: Any) -> FastFlow:
    """What was learned, scored in another way."""
    return FastFlow.from_state(detector.params.model_copy(update=options), detector.state())


@pytest.fixture(scope="module")
def taught() -> FastFlow:
    """A small one after 80 steps on eight hides."""
    return fitted(leather(8))


@pytest.fixture(scope="module")
def plain() -> FastFlow:
    """One that learns nothing for a position."""
    return fitted(leather(8), layer_norm="plain")


# the networks


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


PUBLISHED = {
    "resnet18": ((64, 128, 256), (3,), 4_657_408, 917_504),
    "wide_resnet50_2": ((256, 512, 1024), (3, 1), 41_337_856, 3_670_016),
}


@pytest.mark.parametrize(("channels", "kernels", "flows", "norms"), PUBLISHED.values(), ids=PUBLISHED)
def test_sizes_at_256_are_the_published_ones(
    channels: tuple[int, ...], kernels: tuple[int, ...], flows: int, norms: int
) -> None:
    with torch.device("meta"):
        detector = FastFlow(FastFlow.Params(kernels=kernels))
        detector.channels_, detector.grids_ = list(channels), [[64, 64], [32, 32], [16, 16]]
        detector._build()
    levels = [level for level in detector.flows_.children() if isinstance(level, LevelFlow)]
    assert sum(parameters(level.flow) for level in levels) == flows
    assert sum(parameters(level.norm) for level in levels) == norms


def test_one_step_of_64_channels_has_the_published_size() -> None:
    with torch.device("meta"):
        assert parameters(convolutional_flow(64, [3])) == 27_872


def test_kernels_alternate_from_step_to_step(taught: FastFlow) -> None:
    sides = [m.kernel_size for m in taught.flows_.modules() if isinstance(m, nn.Conv2d)]
    assert sides == 2 * [(3, 3), (3, 3), (1, 1), (1, 1), (3, 3), (3, 3), (1, 1), (1, 1)]


@pytest.mark.parametrize(
    ("channels", "ratio", "hidden"), [(768, 0.16, 61), (64, 1.0, 32), (5, 1.0, 2), (4, 0.1, 1)]
)
def test_subnetwork_is_as_wide_as_its_ratio_says(channels: int, ratio: float, hidden: int) -> None:
    with torch.device("meta"):
        network = subnetwork(channels, 3, ratio)
        said = network(torch.empty(1, channels - channels // 2, 4, 7))
    first = next(network.children())
    assert isinstance(first, nn.Conv2d)
    assert first.out_channels == hidden
    assert said.shape == (1, 2 * (channels // 2), 4, 7)


def test_a_fresh_flow_is_close_to_a_permutation_but_not_one() -> None:
    with seeded_construction(0, "flow"):
        flow = convolutional_flow(16, [3, 1])
    maps = torch.randn(2, 16, 6, 5, generator=torch.Generator().manual_seed(0))
    latent, _ = flow(maps)
    apart = (latent.detach().sort(dim=1).values - maps.sort(dim=1).values).abs()
    assert 0 < float(apart.mean()) < 0.1


def silenced(kernels: list[int]) -> Flow:
    """A flow whose sub-networks say nothing."""
    with seeded_construction(0, "flow"):
        flow = convolutional_flow(8, kernels)
    for network in (m for m in flow.modules() if isinstance(m, nn.Sequential)):
        for parameter in list(network.children())[-1].parameters():
            nn.init.zeros_(parameter)
    return flow


def test_a_flow_whose_subnetworks_are_silent_permutes_channels() -> None:
    """Then a value loses half of its square, and layer norm makes that 1/2 on average."""
    maps = 3 + 7 * torch.randn(2, 8, 6, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        latent, stretch = LevelFlow(LayerNorm(8, (6, 5)), silenced([3, 1, 3]))(maps)
    torch.testing.assert_close(
        latent.sort(dim=1).values, F.layer_norm(maps, (8, 6, 5)).sort(dim=1).values, atol=1e-5, rtol=0
    )
    torch.testing.assert_close(stretch, torch.zeros(2, 6, 5), atol=1e-5, rtol=0)
    lost = surprise(latent, stretch).sum(dim=(1, 2)) / (8 * 6 * 5)
    torch.testing.assert_close(lost, torch.full((2,), 0.5), atol=1e-4, rtol=0)


@pytest.mark.parametrize("clamp", [2.0, 1.5])
def test_a_coupling_stretches_by_its_clamp_at_most(clamp: float) -> None:
    with seeded_construction(0, "flow"):
        flow = convolutional_flow(8, [1], clamp=clamp)
    *_, last = (m for m in flow.modules() if isinstance(m, nn.Conv2d))
    nn.init.constant_(torch.as_tensor(last.bias), 1e4)
    stretch = flow(torch.randn(1, 8, 3, 2))[1].detach()
    torch.testing.assert_close(stretch, torch.full((1, 3, 2), 4 * clamp))


def moved_flow(channels: int) -> Flow:
    """A flow that has learned something: nothing in it is where it starts."""
    with seeded_construction(0, "moved"):
        flow = convolutional_flow(channels, [3, 1, 3, 1])
        for parameter in flow.parameters():
            nn.init.normal_(parameter, mean=float(parameter.detach().mean()), std=0.5)
    return flow.double()


def test_stretch_is_that_of_autograd_s_jacobian() -> None:
    flow = moved_flow(4)
    maps = torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(
        lambda flat: flow(flat.view_as(maps))[0].flatten(), maps.flatten()
    )
    expected = float(torch.linalg.slogdet(jacobian).logabsdet)
    assert abs(expected) > 0.1
    assert float(flow(maps)[1].detach().sum()) == pytest.approx(expected, abs=1e-6)


def test_what_a_flow_makes_can_be_made_back(taught: FastFlow) -> None:
    level = next(taught.flows_.children())
    assert isinstance(level, LevelFlow)
    maps = torch.randn(2, taught.channels_[0], 6, 5, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(level.flow.inverse(level.flow(maps)[0]), maps, atol=1e-4, rtol=0)


# normalisation


def test_standardised_is_layer_normalisation_where_everything_counts() -> None:
    maps = 3 + 7 * torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(0))
    everywhere = torch.ones(2, 6, 5, dtype=torch.bool)
    torch.testing.assert_close(standardised(maps, everywhere), F.layer_norm(maps, (4, 6, 5)))
    torch.testing.assert_close(standardised(maps), F.layer_norm(maps, (4, 6, 5)))


def test_standardised_heeds_inspected_positions_only() -> None:
    maps = torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(0))
    inspected = torch.rand(2, 6, 5, generator=torch.Generator().manual_seed(1)) < 0.4
    found = standardised(torch.where(inspected[:, None], maps, 1e3), inspected)
    for image, mask, own in zip(
        found.double().numpy(), inspected.numpy(), maps.double().numpy(), strict=True
    ):
        inside = own[:, mask]
        np.testing.assert_allclose(image[:, mask], (inside - inside.mean()) / inside.std(), atol=1e-4)


def test_layer_norm_learns_for_each_channel_at_each_position() -> None:
    norm = LayerNorm(4, (6, 5))
    maps = torch.randn(2, 4, 6, 5)
    theirs = nn.LayerNorm((4, 6, 5))
    with torch.no_grad():
        theirs.weight.copy_(norm.scale.normal_())
        theirs.bias.copy_(norm.offset.normal_())
    torch.testing.assert_close(norm(maps), theirs(maps))


# by hand


def test_map_of_latents_at_zero_and_at_one() -> None:
    zeros = [torch.zeros(1, 6, s, s) for s in (8, 4, 2)]
    for value, expected in ((0.0, -1.0), (1.0, -0.606531)):
        found = mean_map([rarity(z + value) for z in zeros], (32, 48))
        torch.testing.assert_close(found, torch.full((1, 32, 48), expected))


def test_one_quiet_level_of_three_gives_minus_a_third() -> None:
    latents = [torch.zeros(1, 6, 8, 8), torch.full((1, 6, 4, 4), 1e4), torch.full((1, 6, 2, 2), 1e4)]
    found = mean_map([rarity(z) for z in latents], (16, 16))
    torch.testing.assert_close(found, torch.full((1, 16, 16), -1 / 3))


def test_rarity_ties_where_the_energy_still_ranks() -> None:
    """The density underflows in float32; energies do not."""
    strange, stranger = torch.full((1, 4, 2, 2), 15.0), torch.full((1, 4, 2, 2), 1e4)
    assert torch.equal(rarity(strange), rarity(stranger))
    assert bool((energy(strange) < energy(stranger)).all())
    assert bool(energy(torch.full((1, 2048, 1, 1), 1e12)).isfinite())


def test_surprise_is_that_of_the_normal_up_to_its_constant() -> None:
    latent, stretch = torch.randn(2, 5, 3, 4), torch.randn(2, 3, 4)
    normal = torch.distributions.Normal(0, 1)
    expected = (normal.log_prob(torch.zeros(())) - normal.log_prob(latent)).sum(dim=1) - stretch
    torch.testing.assert_close(surprise(latent, stretch), expected)


# fitting


def test_fit_lowers_the_loss_by_more_than_half_of_all_it_begins_with(taught: FastFlow) -> None:
    losses = taught.log_["losses"]
    assert losses[-1] < 0.5 * losses[0]


def test_loss_is_the_sum_over_levels_and_positions_not_divided_by_them(taught: FastFlow) -> None:
    """A fresh flow leaves layer-normed values: half a nat a value."""
    values = sum(c * (64 // s) * (96 // s) for c, s in zip(taught.channels_, taught.strides_, strict=True))
    assert taught.log_["losses"][0] == pytest.approx(0.5 * values, rel=0.05)


def test_validation_value_is_the_surprise_of_whole_images() -> None:
    held_out = leather(2, seed=9)
    detector = fitted(leather(4), held_out=held_out, steps=6, keep="best")
    validations = dict(detector.log_["validations"])
    assert detector.log_["best_step"] == min(validations, key=lambda step: validations[step])
    by_hand = scoring(detector, score="likelihood")
    maps = context().pool.pyramids(held_out, detector.backbones())[detector.backbones()[0]].maps
    levels = [level(m) for level, m in zip(by_hand.flows_.children(), maps, strict=True)]
    total = sum(float((0.5 * z.detach().square()).sum() - s.detach().sum()) for z, s in levels) / 2
    assert min(validations.values()) == pytest.approx(total, rel=1e-4)


def test_last_state_is_kept_unless_the_best_is_asked_for() -> None:
    last = fitted(leather(4), steps=6)
    assert (last.log_["validations"], last.log_["best_step"]) == ([], 6)


def test_interrupted_and_resumed_gives_the_same(tmp_path: Path) -> None:
    images, file = leather(4), tmp_path / "checkpoint.safetensors"
    whole = fitted(images, steps=6)
    detector = FastFlow(FastFlow.Params(**{**TINY, "steps": 6}))
    stopped = context(progress=Interrupted(), checkpoint=file)
    with pytest.raises(KeyboardInterrupt):
        detector.fit(ImagesInMemory(images), validation=ImagesInMemory(leather(2, seed=9)), context=stopped)
    assert not detector.fitted
    resumed = fitted(images, steps=6, found=context(checkpoint=file))
    assert resumed.log_ == whole.log_
    assert torch.equal(seen(resumed, images).scores.pixels, seen(whole, images).scores.pixels)


def test_reduced_precision_does_not_reach_the_flow() -> None:
    """Training may run under autocast; features and likelihoods are those of full precision all the same."""
    detector, batch = fitted(leather(2), steps=1), leather(2, seed=5)
    task = detector._task(detector.backbones()[0], context())
    generator = torch.Generator()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = task.loss(batch, generator)
    assert torch.equal(torch.as_tensor(reduced), torch.as_tensor(task.loss(batch, generator)))


def test_fewer_images_than_a_batch_still_teach() -> None:
    detector = fitted(leather(1), batch_size=32, steps=3)
    assert len(detector.log_["losses"]) == 3
    assert detector.log_["losses"][-1] < detector.log_["losses"][0]


def test_what_lies_outside_the_hide_teaches_nothing() -> None:
    images = leather(4)
    valid = torch.ones(4, 64, 96, dtype=torch.bool)
    valid[:, :, 64:] = False
    loud = torch.where(valid[:, None], images.pixels, torch.rand(images.pixels.shape))
    quiet, spoilt = (
        fitted(ImageBatch(pixels, images.ids, valid), steps=5).log_["losses"]
        for pixels in (images.pixels, loud)
    )
    assert quiet == spoilt
    whole = fitted(images, steps=1).log_["losses"][0]
    assert quiet[0] == pytest.approx(whole * 64 / 96, rel=0.05)


def test_everything_but_the_backbone_learns(taught: FastFlow) -> None:
    fresh = fitted(leather(8), steps=1, learning_rate=1e-12)
    before, after = fresh.flows_.state_dict(), taught.flows_.state_dict()
    still = [name for name in before if torch.equal(before[name], after[name])]
    assert all(name.endswith("order") for name in still)
    assert len(still) == 2 * 4


def test_a_learning_rate_far_too_large_stops_in_words() -> None:
    with pytest.raises(TrainingError) as caught:
        fitted(leather(4), learning_rate=1e6)
    step = caught.value.step
    assert 0 < step < 80
    assert str(caught.value) == (
        f"fastflow: the loss became NaN or infinite at step {step} (learning rate 1e+06); no good state was "
        "reached. Try a smaller learning rate."
    )


def test_published_training_shrinks_the_scale_its_likelihood_does_not_count() -> None:
    """Why quick effort learns nothing before the flow."""
    hurried = fitted(leather(8), steps=60, learning_rate=1e-2)
    scales = [level.norm.scale for level in hurried.flows_.children() if isinstance(level, LevelFlow)]
    assert len(scales) == 2
    assert all(float(scale.detach().mean()) < 0.9 for scale in scales)


# scoring


def spoilt(batch: ImageBatch) -> ImageBatch:
    pixels = batch.pixels.clone()
    pixels[:, :, 36:48, 20:36] = torch.tensor([0.05, 0.9, 0.95]).view(1, 3, 1, 1)
    return ImageBatch(pixels, batch.ids)


@pytest.mark.parametrize("score", ["density", "energy", "likelihood"])
def test_a_defect_scores_higher_than_the_same_hide_without_it(taught: FastFlow, score: str) -> None:
    detector, good = scoring(taught, score=score), leather(4, seed=5)
    found = seen(detector, spoilt(good)).scores
    assert bool((found.image > seen(detector, good).scores.image).all())
    inside = found.pixels[:, 36:48, 20:36].mean(dim=(1, 2))
    deviation = found.pixels.flatten(1).std(dim=1)
    assert bool((inside > found.pixels.mean(dim=(1, 2)) + deviation).all())


def convolved(maps: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(C, h, w) by (D, C, k, k) to (D, h, w), zeros beyond the border: scipy's correlation, summed."""
    planes = [
        sum(correlate(plane, kernel, mode="constant") for plane, kernel in zip(maps, kernels, strict=True))
        for kernels in weight
    ]
    return np.stack(planes) + bias[:, None, None]


def latent_by_hand(features: np.ndarray, state: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What a level's flow makes of (C, h, w), and log |det J| at each position, step by step."""
    maps = (features - features.mean()) / np.sqrt(features.var() + 1e-5)
    maps, stretch = maps * state["norm.scale"] + state["norm.offset"], np.zeros(features.shape[1:])
    half = len(maps) - len(maps) // 2
    for step in range(0, 12, 3):
        coupling, affine, order = (f"flow.steps.{step + i}." for i in range(3))
        first, last = (
            (state[f"{coupling}network.{i}.weight"], state[f"{coupling}network.{i}.bias"]) for i in (0, 2)
        )
        said = 0.1 * convolved(np.maximum(convolved(maps[:half], *first), 0), *last)
        log_scale, shift = np.split(said, 2)
        log_scale = 2 * np.tanh(log_scale)
        maps = np.concatenate([maps[:half], maps[half:] * np.exp(log_scale) + shift])
        scale = 0.1 * np.log1p(np.exp(0.5 * state[f"{affine}raw_scale"])) / 0.5
        maps = maps * scale[:, None, None] + state[f"{affine}offset"][:, None, None]
        maps, stretch = maps[state[f"{order}order"]], stretch + log_scale.sum(axis=0) + np.log(scale).sum()
    return maps, stretch


def test_whole_path_equals_a_computation_of_its_own(taught: FastFlow) -> None:
    """Normalisation, convolutions, couplings and scores by numpy and scipy: only the backbone is ours."""
    batch = leather(1, seed=5)
    (request,) = taught.backbones()
    maps = context().pool.pyramids(batch, [request])[request].maps
    expected: dict[str, list[np.ndarray]] = {"density": [], "energy": [], "likelihood": []}
    for i, (level, features) in enumerate(zip(taught.flows_.children(), maps, strict=True), start=1):
        state = {
            name: t.double().numpy() if t.is_floating_point() else t.numpy()
            for name, t in level.state_dict().items()
        }
        latent, stretch = latent_by_hand(features[0].double().numpy(), state)
        found = seen(taught, batch).features[f"fastflow/latent{i}"][0]
        np.testing.assert_allclose(found, latent, atol=1e-4 * np.abs(latent).max())
        half = 0.5 * (latent**2).mean(axis=0)
        expected["density"].append(-np.exp(-half))
        expected["energy"].append(half)
        expected["likelihood"].append((0.5 * (latent**2).sum(axis=0) - stretch) / len(latent))
    for score, levels in expected.items():
        pixels = upsampled([torch.from_numpy(level)[None, None] for level in levels], (64, 96))
        scores = seen(scoring(taught, score=score), batch).scores
        np.testing.assert_allclose(scores.pixels, pixels, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(scores.image, pixels.amax(dim=(1, 2)), rtol=1e-3, atol=1e-4)


def upsampled(levels: list[Tensor], size: tuple[int, int]) -> Tensor:
    grown = [F.interpolate(m, size, mode="bilinear", align_corners=False)[:, 0] for m in levels]
    return torch.stack(grown).mean(dim=0)


def test_score_is_the_mean_of_the_levels_energies_and_its_maximum(taught: FastFlow) -> None:
    found = seen(taught, leather(2, seed=4))
    expected = upsampled([found.features[f"fastflow/energy{i}"] for i in (1, 2)], (64, 96))
    torch.testing.assert_close(found.scores.pixels, expected)
    assert torch.equal(found.scores.image, found.scores.pixels.amax(dim=(1, 2)))


def test_density_score_averages_densities_between_minus_one_and_zero(taught: FastFlow) -> None:
    found = seen(scoring(taught, score="density"), spoilt(leather(2, seed=4)))
    latents = [found.features[f"fastflow/latent{i}"] for i in (1, 2)]
    densities = [-torch.exp(-0.5 * z.square().mean(dim=1, keepdim=True)) for z in latents]
    torch.testing.assert_close(found.scores.pixels, upsampled(densities, (64, 96)))
    assert -1 <= float(found.scores.pixels.min()) <= float(found.scores.pixels.max()) <= 0


def test_likelihood_counts_how_much_volume_was_stretched(taught: FastFlow) -> None:
    batch = leather(1, seed=4)
    (request,) = taught.backbones()
    maps = context().pool.pyramids(batch, [request])[request].maps
    levels = [level(m) for level, m in zip(taught.flows_.children(), maps, strict=True)]
    each = [(0.5 * z.square().sum(dim=1, keepdim=True) - s[:, None]).detach() / z.shape[1] for z, s in levels]
    found = seen(scoring(taught, score="likelihood"), batch).scores
    torch.testing.assert_close(found.pixels, upsampled(each, (64, 96)))


def test_smoothing_is_a_gaussian_over_the_map(taught: FastFlow) -> None:
    batch = leather(1, seed=4)
    raw, smoothed = (seen(scoring(taught, smoothing=s), batch).scores.pixels for s in (0.0, 2.0))
    np.testing.assert_allclose(smoothed[0].numpy(), gaussian_filter(raw[0].double().numpy(), 2), rtol=1e-4)


def test_only_what_is_inspected_counts(taught: FastFlow) -> None:
    batch = spoilt(leather(1, seed=5))
    valid = torch.ones(1, 64, 96, dtype=torch.bool)
    valid[:, 32:52, 16:40] = False  # the defect lies there
    found, whole = seen(taught, ImageBatch(batch.pixels, batch.ids, valid)).scores, seen(taught, batch).scores
    assert float(found.image) == float(found.pixels[valid].max()) < float(whole.image)
    assert bool((found.pixels[~valid] == found.pixels[valid].min()).all())


def test_what_is_not_inspected_does_not_spread_into_what_is(taught: FastFlow) -> None:
    """Hidden positions are quiet before levels are enlarged, not after."""
    batch = leather(1, seed=5)
    valid = torch.ones(1, 64, 96, dtype=torch.bool)
    valid[:, :, 48:] = False
    found = seen(taught, ImageBatch(batch.pixels, batch.ids, valid))
    levels = [found.features[f"fastflow/energy{i}"].clone() for i in (1, 2)]
    for level in levels:
        half = level.shape[-1] // 2
        level[..., half:] = level[..., :half].min()
    expected = upsampled(levels, (64, 96))
    torch.testing.assert_close(found.scores.pixels[valid], expected[valid])


@pytest.mark.parametrize(
    ("model", "layers", "size", "grids"),
    [
        ("test_resnet", (1, 2, 3), (64, 96), [(16, 24), (8, 12), (4, 6)]),
        ("test_resnet", (0, 3), (57, 83), [(29, 42), (4, 6)]),
        ("test_resnet", (2, 4), (32, 40), [(4, 5), (1, 2)]),
        ("test_convnext", (0, 2), (64, 96), [(16, 24), (4, 6)]),
    ],
)
def test_features_are_delivered_as_declared(
    model: str, layers: tuple[int, ...], size: tuple[int, int], grids: list[tuple[int, int]]
) -> None:
    detector = fitted(leather(2, size=size), backbone=model, layers=layers, steps=2)
    found = seen(detector, leather(2, size=size, seed=5)).features
    spec = detector.features()
    numbers = range(1, len(layers) + 1)
    assert found.names == tuple(s.name for s in spec)
    assert spec[len(layers) :] == tuple(
        FeatureSpec(f"fastflow/energy{i}", 1, detector.strides_[i - 1]) for i in numbers
    )
    for i, grid in zip(numbers, grids, strict=True):
        latent = found[f"fastflow/latent{i}"]
        assert latent.shape == (2, detector.channels_[i - 1], *grid)
        half = 0.5 * latent.square().mean(dim=1, keepdim=True)
        torch.testing.assert_close(found[f"fastflow/energy{i}"], half)
    assert cut(found, detector.default_cut).names == tuple(f"fastflow/latent{i}" for i in numbers)


def test_good_latents_become_more_nearly_normal(taught: FastFlow) -> None:
    latent = seen(taught, leather(4, seed=5)).features["fastflow/latent1"]
    fresh = seen(fitted(leather(8), steps=1, learning_rate=1e-12), leather(4, seed=5))
    assert float(latent.std(dim=(0, 2, 3)).log().abs().mean()) < float(
        fresh.features["fastflow/latent1"].std(dim=(0, 2, 3)).log().abs().mean()
    )


def test_each_image_is_scored_on_its_own(taught: FastFlow) -> None:
    batch = leather(3, seed=5)
    together = seen(taught, batch).scores.pixels
    for i in range(3):
        alone = seen(taught, ImageBatch(batch.pixels[i : i + 1], batch.ids[i : i + 1])).scores.pixels
        torch.testing.assert_close(alone[0], together[i], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer_norm", ["positions", "plain"])
def test_a_stored_state_scores_the_same(
    taught: FastFlow, plain: FastFlow, layer_norm: str, tmp_path: Path
) -> None:
    detector = {"positions": taught, "plain": plain}[layer_norm]
    write_state(tmp_path / "state", detector.state())
    again = FastFlow.from_state(detector.params, read_state(tmp_path / "state"))
    batch = leather(2, seed=4)
    assert torch.equal(seen(again, batch).scores.pixels, seen(detector, batch).scores.pixels)
    assert (again.features(), again.log_) == (detector.features(), detector.log_)


def test_without_learned_positions_any_size_is_scored(plain: FastFlow) -> None:
    for size in ((64, 96), (96, 64), (57, 83)):
        batch = leather(2, size=size, seed=5)
        scores = observe_all(plain, ImagesInMemory(batch), context().pool)
        assert scores.pixels.shape == (2, *size)


# refusals, word for word


def test_another_size_than_learned_is_refused(taught: FastFlow) -> None:
    with pytest.raises(InputError) as caught:
        seen(taught, leather(1, size=(64, 64)))
    sentence = (
        "fastflow: learned every position of images of 64 x 96, got 64 x 64; bring the images to that size "
        "or fit anew"
    )
    assert str(caught.value) == sentence
    with pytest.raises(InputError) as caught:
        fitted(leather(2), held_out=leather(1, size=(64, 64)))
    assert str(caught.value) == sentence


def test_a_state_of_another_normalisation_is_refused(plain: FastFlow) -> None:
    with pytest.raises(
        ArtifactError,
        match=r"^fastflow: the stored state does not fit flows_: '0.flow.*; it is damaged, or of",
    ):
        FastFlow.from_state(plain.params.model_copy(update={"flow_steps": 5}), plain.state())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"epochs": 0}, "option 'epochs': input should be greater than 0, got 0"),
        ({"flow_steps": 0}, "option 'flow_steps': input should be greater than 0, got 0"),
        ({"clamp": 0}, "option 'clamp': input should be greater than 0, got 0"),
        ({"smoothing": -1}, "option 'smoothing': input should be greater than or equal to 0, got -1"),
        (
            {"kernels": (3, 2)},
            "option 'kernels.1': expected an odd number, so that the window has a middle, got 2",
        ),
        (
            {"layer_norm": "none"},
            "option 'layer_norm': input should be 'positions' or 'plain', got 'none'",
        ),
        (
            {"score": "z"},
            "option 'score': input should be 'density', 'energy' or 'likelihood', got 'z'",
        ),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        FastFlow.from_options(options)
    assert str(caught.value) == f"fastflow: {sentence}"


def test_levels_the_backbone_lacks_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        fitted(leather(2), layers=(3, 9))
    assert str(caught.value).startswith("test_resnet: cannot give levels (3, 9) of 0..4")


def test_images_too_small_are_refused(plain: FastFlow) -> None:
    with pytest.raises(InputError) as caught:
        seen(plain, ImageBatch(torch.rand(1, 3, 96, 20), ("a",)))
    assert str(caught.value) == (
        "fastflow: expected images of height and width at least 32, got 96 x 20; the nearest size is 96 x 32"
    )


# efforts


def test_full_effort_is_the_published_one() -> None:
    assert FastFlow.params_for(Effort.full) == FastFlow.Params(
        backbone="wide_resnet50_2",
        layers=(1, 2, 3),
        weights="pretrained",
        flow_steps=8,
        kernels=(3, 1),
        hidden_ratio=1.0,
        clamp=2.0,
        layer_norm="positions",
        epochs=500,
        steps=None,
        batch_size=32,
        learning_rate=1e-3,
        weight_decay=1e-5,
        keep="last",
        patience=None,
        score="density",
        smoothing=0.0,
    )


def test_quick_effort_declares_what_it_leaves_out() -> None:
    quick, full = FastFlow.params_for(Effort.quick), FastFlow.params_for(Effort.full)
    changed = {name for name, value in quick if value != getattr(full, name)}
    assert changed == {
        "backbone",
        "flow_steps",
        "layer_norm",
        "batch_size",
        "steps",
        "learning_rate",
        "score",
    }

"""CFLOW: the published sizes, the numbers worked out by hand, and the detector from fit to a stored state."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_leather import Interrupted, context, learned, leather, remembered, seen
from torch import Tensor, nn

from leatherens.core.artifact import read_state, write_state
from leatherens.core.detector import Effort, FeatureSpec, FitContext, cut, observe_all
from leatherens.core.errors import ArtifactError, ConfigError, InputError, TrainingError
from leatherens.core.flows import ChannelAffine
from leatherens.core.randomness import seeded_construction
from leatherens.core.types import ImageBatch, ImagesInMemory
from leatherens.plugins.cflow import CFLOW
from leatherens.plugins.cflow.decoders import Decoder, damped, fibres, rate
from leatherens.plugins.cflow.scores import calmest, density_sum, mean_surprise

MODEL = "test_resnet"
"""timm's tiny ResNet; levels 1 and 2 have strides 4 and 8: grids of 16 x 24 and 8 x 12 here."""

TINY: dict[str, Any] = {
    "backbone": MODEL,
    "layers": (1, 2),
    "weights": "random",
    "coupling_blocks": 3,
    "condition_vec": 16,
    "rotation": 0,
    "batch_size": 4,
    "steps": 2,
    "learning_rate": 1e-2,
}
VECTORS = (16 * 24, 8 * 12)
"""Of an image."""


def fitted(images: ImageBatch, found: FitContext | None = None, **options: Any) -> CFLOW:
    return learned(CFLOW(CFLOW.Params(**{**TINY, **options})), images, found)


def scoring(detector: CFLOW, **options: Any) -> CFLOW:
    """What was learned, scored in another way."""
    return CFLOW.from_state(detector.params.model_copy(update=options), detector.state())


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def spoilt(good: ImageBatch) -> ImageBatch:
    pixels = good.pixels.clone()
    pixels[:, :, 36:48, 20:36] = torch.tensor([0.05, 0.9, 0.95]).view(1, 3, 1, 1)
    return ImageBatch(pixels, good.ids)


def pyramid(detector: CFLOW, batch: ImageBatch) -> list[Tensor]:
    (request,) = detector.backbones()
    return list(context().pool.pyramids(batch, [request])[request].maps)


@pytest.fixture(scope="module")
def taught() -> CFLOW:
    """A small one after 25 batches of eight hides."""
    return fitted(leather(8), steps=25)


# the decoder


def decoder(channels: int = 6, condition: int = 8, blocks: int = 2, *, moved: bool = False) -> Decoder:
    """A fresh one, or one in which nothing is where it starts."""
    with seeded_construction(0, "decoder"):
        made = Decoder(channels, condition=condition, blocks=blocks, clamp=1.9)
        for parameter in made.parameters() if moved else ():
            nn.init.normal_(parameter, mean=float(parameter.detach().mean()), std=0.7)
    return made


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


PUBLISHED = {512: 5_523_456, 1024: 17_074_176, 2048: 59_049_984}


def test_sizes_are_the_published_ones() -> None:
    with torch.device("meta"):
        detector = CFLOW(CFLOW.Params())
        detector.channels_ = list(PUBLISHED)
        detector._build()
    assert [parameters(d) for d in detector.decoders_.children()] == list(PUBLISHED.values())
    assert parameters(detector.decoders_) == 81_647_616


def test_sizes_for_resnet18_are_the_published_ones() -> None:
    with torch.device("meta"):
        decoders = [decoder(channels, 128, 8) for channels in (128, 256, 512)]
    assert sum(parameters(d) for d in decoders) == 8_620_032


def test_rotations_do_not_learn() -> None:
    learns = {name for name, _ in decoder().named_parameters()}
    kept = set(decoder().state_dict()) - learns
    assert kept == {"flow.steps.2.matrix", "flow.steps.5.matrix"}


def silent() -> Decoder:
    """A decoder whose sub-networks say nothing."""
    made = decoder()
    for network in (m for m in made.modules() if isinstance(m, nn.Sequential)):
        for parameter in list(network.children())[-1].parameters():
            nn.init.zeros_(parameter)
    return made


def test_a_fresh_block_scales_by_one_and_a_silent_one_keeps_volume() -> None:
    scales = [m.scale().detach() for m in decoder().modules() if isinstance(m, ChannelAffine)]
    torch.testing.assert_close(scales, [torch.ones(6)] * 2, atol=1e-6, rtol=0)
    rows = random(9, 6)
    latent, stretch = silent().flow(rows, random(9, 8, seed=1))
    torch.testing.assert_close(stretch.detach(), torch.zeros(9), atol=1e-5, rtol=0)
    torch.testing.assert_close(latent.detach().norm(dim=1), rows.norm(dim=1))


def test_a_silent_decoder_finds_zero_as_likely_as_the_normal_s_peak() -> None:
    likelihood = silent()(torch.zeros(1, 6), random(1, 8))[1].detach()
    assert float(likelihood) == pytest.approx(-0.9189385, abs=1e-6)
    assert float(damped(likelihood)) == pytest.approx(1.2547, abs=1e-4)


def test_likelihood_is_that_of_the_normal_and_autograd_s_jacobian() -> None:
    made = decoder(moved=True).double()
    rows, codes = random(5, 6).double(), random(5, 8, seed=1).double()
    latent, likelihood = made(rows, codes)
    for i in range(5):
        jacobian = torch.autograd.functional.jacobian(
            lambda row, i=i: made(row[None], codes[i : i + 1])[0][0], rows[i]
        )
        normal = torch.distributions.Normal(0, 1).log_prob(latent[i]).sum()
        expected = float((normal + torch.linalg.slogdet(jacobian).logabsdet).detach()) / 6
        assert float(likelihood[i].detach()) == pytest.approx(expected, abs=1e-5)
    assert float((likelihood - made(rows, codes.flip(0))[1]).detach().abs().max()) > 0.01


@pytest.mark.parametrize("channels", [6, 7, 64])
def test_what_a_decoder_makes_can_be_made_back(channels: int) -> None:
    made, rows, codes = decoder(channels, moved=channels < 10), random(50, channels), random(50, 8, seed=1)
    with torch.no_grad():
        back = made.flow.inverse(made.flow(rows, codes)[0], codes)
    torch.testing.assert_close(back, rows, atol=1e-4, rtol=0)


def test_a_coupling_stretches_by_its_clamp_at_most() -> None:
    made = decoder(blocks=1)
    *_, last = (m for m in made.modules() if isinstance(m, nn.Linear))
    nn.init.constant_(last.bias, 1e4)
    stretch = made.flow(random(4, 6), random(4, 8))[1].detach()
    torch.testing.assert_close(stretch, torch.full((4,), 3 * 1.9))


def test_features_far_from_all_seen_stay_finite_and_in_order() -> None:
    """Float32 throughout: sums of squares of thousands of channels, exponentials of log-scales."""
    made, row = decoder(64, blocks=8), random(1, 64)
    rows = row * torch.tensor([1.0, 1e2, 1e4, 1e6, 1e8])[:, None]
    with torch.no_grad():
        surprises = -made(rows, random(1, 8).expand(5, -1))[1]
    assert bool(surprises.isfinite().all())
    assert bool((surprises.diff() > 0).all())
    levels = [surprises.view(1, 1, 5)]
    assert density_sum(levels, [float(surprises[0])], (1, 5))[0, 0].tolist() == [1, 0, 0, 0, 0]
    assert bool((mean_surprise(levels, [float(surprises[0])], (1, 5))[0, 0].diff() > 0).all())


def code_by_hand(row: int, column: int, channels: int) -> np.ndarray:
    half = channels // 2
    waves = [math.exp(-2 * i * math.log(1e4) / half) for i in range(half // 2)]
    phases = [(place * wave) for place in (column, row) for wave in waves]
    return np.array([turn(phase) for phase in phases for turn in (math.sin, math.cos)])


def test_every_vector_comes_with_the_code_of_its_position() -> None:
    maps = random(2, 6, 3, 4)
    rows, codes = decoder().vectors(maps)
    assert (rows.shape, codes.shape) == ((24, 6), (24, 8))
    for index, (image, row, column) in enumerate(np.ndindex(2, 3, 4)):
        assert torch.equal(rows[index], maps[image, :, row, column])
        np.testing.assert_allclose(codes[index], code_by_hand(row, column, 8), atol=1e-6)


def test_vectors_that_are_hidden_are_left_out_with_their_codes() -> None:
    maps, valid = random(1, 6, 2, 3), torch.zeros(1, 4, 6, dtype=torch.bool)
    valid[:, 2:, 2:] = True
    rows, codes = decoder().vectors(maps, valid)
    assert torch.equal(rows, maps[0, :, 1, 1:].T)
    np.testing.assert_allclose(codes, [code_by_hand(1, 1, 8), code_by_hand(1, 2, 8)], atol=1e-6)


# fibres, loss and learning rate


@pytest.mark.parametrize(
    ("count", "size", "sizes"), [(10, 4, [4, 4]), (8, 4, [4, 4]), (3, 4, [3]), (4, 4, [4]), (1, 256, [1])]
)
def test_fibres_deal_out_shuffled_vectors_once(count: int, size: int, sizes: list[int]) -> None:
    dealt = list(fibres(count, size, torch.Generator().manual_seed(0)))
    assert [len(fibre) for fibre in dealt] == sizes
    rows = torch.cat(dealt).tolist()
    assert len(set(rows)) == len(rows) == sum(sizes)
    assert set(rows) <= set(range(count))
    other = list(fibres(count, size, torch.Generator().manual_seed(1)))
    assert count < 4 or any(not torch.equal(a, b) for a, b in zip(dealt, other, strict=True))


def test_loss_is_minus_the_log_of_a_sigmoid_and_damps_what_is_likely() -> None:
    likelihood = torch.linspace(-40, 40, 9, dtype=torch.float64, requires_grad=True)
    loss = damped(likelihood)
    values = likelihood.detach().numpy()
    np.testing.assert_allclose(loss.detach(), np.log1p(np.exp(-values)))
    loss.sum().backward()
    assert likelihood.grad is not None
    np.testing.assert_allclose(likelihood.grad, -1 / (1 + np.exp(values)))


def published_rate(epoch: int, batch: int, batches: int) -> float:
    """Of a batch of a meta-epoch, as the authors compute it."""
    least = 2e-4 * 0.1**3
    cosine = [least + (2e-4 - least) * (1 + math.cos(math.pi * e / 25)) / 2 for e in range(25)]
    if epoch < 2:
        return 2e-5 + (batch + epoch * batches) / (2 * batches) * (cosine[2] - 2e-5)
    return cosine[epoch]


def test_learning_rate_is_the_authors_in_every_batch() -> None:
    found = [2e-4 * rate(step, 25 * 56) for step in range(25 * 56)]
    expected = [published_rate(epoch, batch, 56) for epoch in range(25) for batch in range(56)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert found[2 * 56] == pytest.approx(1.9686e-4, rel=1e-4)
    assert 2e-7 < found[-1] < 1e-6


def test_optimiser_is_the_authors_and_follows_the_learning_rate(taught: CFLOW) -> None:
    detector = scoring(taught, steps=50, learning_rate=2e-4)
    task = detector._task(detector.params.schedule(2), context())
    (adam,), (falling,) = task.optimizers, task.schedulers
    assert isinstance(adam, torch.optim.Adam)
    assert adam.defaults["weight_decay"] == 0
    rates = []
    for _ in range(50):
        rates.append(adam.param_groups[0]["lr"])
        adam.step()
        falling.step()
    assert rates == pytest.approx([2e-4 * rate(step, 50) for step in range(50)])


# fitting


def lessons(detector: CFLOW, batch: ImageBatch, **options: Any) -> list[Tensor]:
    """The losses of one step, without moving any weight."""
    task = scoring(detector, **options)._task(detector.params.schedule(4), context())
    losses = task.loss(batch, torch.Generator().manual_seed(0))
    assert not isinstance(losses, Tensor)
    return [loss.detach() for loss in losses]


@pytest.mark.parametrize("size", [256, 100, 10_000])
def test_each_fibre_of_each_level_is_a_gradient_step(taught: CFLOW, size: int) -> None:
    batch = leather(3, seed=5)
    assert len(lessons(taught, batch, N=size)) == sum(max(1, 3 * vectors // size) for vectors in VECTORS)


def test_a_step_s_losses_are_those_of_all_vectors_by_hand(taught: CFLOW) -> None:
    batch = leather(2, seed=5)
    found = lessons(taught, batch, N=96)
    maps = seen(taught, batch).features
    for level, part in zip((1, 2), (found[:8], found[8:]), strict=True):
        likelihood = maps[f"cflow/likelihood{level}"].double().numpy()
        assert float(torch.stack(part).mean()) == pytest.approx(
            np.log1p(np.exp(-likelihood)).mean(), rel=1e-4
        )


def test_one_level_s_fibres_leave_the_others_alone(taught: CFLOW) -> None:
    task = scoring(taught)._task(taught.params.schedule(4), context())
    losses = task.loss(leather(1, seed=5), torch.Generator().manual_seed(0))
    assert not isinstance(losses, Tensor)
    next(losses).backward()
    own, other = ([p.grad for p in d.parameters()] for d in task.module.children())
    assert all(gradient is not None and bool(gradient.any()) for gradient in own)
    assert all(gradient is None for gradient in other)


def test_fit_makes_good_vectors_likely(taught: CFLOW) -> None:
    losses = taught.log_["losses"]
    assert np.mean(losses[-3:]) < 0.8 * losses[0]
    fresh = fitted(leather(8), steps=1, learning_rate=1e-12)
    good = leather(4, seed=5)
    before, after = (seen(d, good).features["cflow/likelihood1"].mean() for d in (fresh, taught))
    assert float(after) > float(before) + 0.3


def test_position_matters(taught: CFLOW) -> None:
    """The same vector elsewhere is as likely as its surroundings say: the codes reach the result."""
    level = random(1, taught.channels_[0], 1, 1).expand(-1, -1, 16, 24)
    likelihood = taught._decoders()[0].seen(level)[1].detach()
    assert float(likelihood.std()) > 1e-3


def test_what_is_hidden_teaches_nothing() -> None:
    images = leather(4)
    valid = torch.ones(4, 64, 96, dtype=torch.bool)
    valid[:, :, 64:] = False
    loud = torch.where(valid[:, None], images.pixels, torch.rand(images.pixels.shape))
    quiet, other = (fitted(ImageBatch(pixels, images.ids, valid)) for pixels in (images.pixels, loud))
    assert quiet.log_ == other.log_
    assert (quiet.calm_, quiet.likeliest_) == (other.calm_, other.likeliest_)
    masked = ImageBatch(images.pixels, images.ids, valid)
    assert len(lessons(quiet, masked, N=64)) == sum(4 * vectors * 2 // 3 // 64 for vectors in VECTORS)


def test_turned_images_are_seen_anew_in_every_step() -> None:
    upright, turned = context(), context()
    fitted(leather(4), upright, steps=3)
    fitted(leather(4), turned, steps=3, rotation=5.0)
    kept = [remembered(upright), remembered(turned)]
    assert kept == [4, 4], "the images as they are, by which the scale is learned"
    upright_losses, turned_losses = (
        fitted(leather(4), steps=3, rotation=degrees).log_["losses"] for degrees in (0, 5.0)
    )
    assert upright_losses != turned_losses
    assert np.allclose(upright_losses, turned_losses, rtol=0.2)


def test_same_seed_same_state() -> None:
    one, same, other = (fitted(leather(2), context(seed=seed)) for seed in (3, 3, 4))
    assert one.log_ == same.log_
    assert torch.equal(seen(one, leather(2)).scores.pixels, seen(same, leather(2)).scores.pixels)
    assert one.log_["losses"] != other.log_["losses"]


def test_interrupted_and_resumed_gives_the_same(tmp_path: Path) -> None:
    images, file = leather(4), tmp_path / "checkpoint.safetensors"
    options: dict[str, Any] = {"steps": 6, "batch_size": 3, "rotation": 5.0}
    whole = fitted(images, **options)
    detector = CFLOW(CFLOW.Params(**{**TINY, **options}))
    with pytest.raises(KeyboardInterrupt):
        learned(detector, images, context(progress=Interrupted(), checkpoint=file))
    assert not detector.fitted
    resumed = fitted(images, context(checkpoint=file), **options)
    assert resumed.log_ == whole.log_
    assert (resumed.calm_, resumed.likeliest_) == (whole.calm_, whole.likeliest_)
    assert torch.equal(seen(resumed, images).scores.pixels, seen(whole, images).scores.pixels)


def test_last_state_is_kept_unless_the_best_on_held_out_good_images_is_asked_for() -> None:
    last = fitted(leather(4), steps=4)
    assert (last.log_["validations"], last.log_["best_step"]) == ([], 4)

    # learning rate 1: the loss soars once the ramp is over
    best = fitted(leather(4), steps=12, keep="best", learning_rate=1.0, N=4096)
    steps, values = zip(*best.log_["validations"], strict=True)
    assert best.log_["best_step"] == steps[int(np.argmin(values))] != 12
    maps = seen(best, leather(2, seed=9)).features
    every = torch.cat([maps[f"cflow/likelihood{i}"].flatten(1) for i in (1, 2)], dim=1).double().numpy()
    assert np.log1p(np.exp(-every)).mean() == pytest.approx(min(values), rel=1e-4)


def test_reduced_precision_does_not_reach_the_flow(taught: CFLOW) -> None:
    batch = leather(2, seed=5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = lessons(taught, batch)
    assert reduced == lessons(taught, batch)


def test_a_learning_rate_far_too_large_stops_in_words() -> None:
    with pytest.raises(TrainingError) as caught:
        fitted(leather(2), learning_rate=1e30)
    assert "cflow: the loss became NaN or infinite at step " in str(caught.value)
    assert str(caught.value).endswith("no good state was reached. Try a smaller learning rate.")


# scoring


def test_densities_by_hand() -> None:
    levels = [torch.tensor([[[1.0, 1.0 + math.log(2)]]]), torch.tensor([[[3.0, 1e9]]])]
    found = density_sum(levels, [1.0, 3.0], (1, 3))
    torch.testing.assert_close(found, torch.tensor([[[2.0, 0.75 + 0.5, 0.5]]]))
    above = mean_surprise(levels, [1.0, 3.0], (1, 2))
    torch.testing.assert_close(above[0, 0], torch.tensor([0.0, (math.log(2) + 1e9) / 2]))


def test_likelier_than_every_good_position_counts_as_the_likeliest() -> None:
    levels = [torch.tensor([[[-500.0, 1.0]]])]
    assert density_sum(levels, [1.0], (1, 2)).tolist() == [[[1, 1]]]
    assert calmest([[torch.tensor([2.0, 1.0])], [torch.tensor([1.5, 3.0])]]) == [1.0]


def latent_by_hand(
    row: np.ndarray, code: np.ndarray, state: dict[str, np.ndarray]
) -> tuple[np.ndarray, float]:
    """What a decoder makes of one vector, and log p, step by step."""
    stretch, half = 0.0, len(row) - len(row) // 2
    for step in range(0, 9, 3):
        coupling, affine, turn = (f"flow.steps.{step + i}." for i in range(3))
        (w1, b1), (w2, b2) = (
            (state[f"{coupling}network.{i}.weight"], state[f"{coupling}network.{i}.bias"]) for i in (0, 2)
        )
        said = 0.1 * (w2 @ np.maximum(w1 @ np.concatenate([row[:half], code]) + b1, 0) + b2)
        log_scale, shift = 1.9 * np.tanh(said[: len(row) // 2]), said[len(row) // 2 :]
        row = np.concatenate([row[:half], row[half:] * np.exp(log_scale) + shift])
        scale = 0.1 * np.log1p(np.exp(0.5 * state[f"{affine}raw_scale"])) / 0.5
        row = state[f"{turn}matrix"] @ (row * scale + state[f"{affine}offset"])
        stretch += log_scale.sum() + np.log(scale).sum()
    return row, stretch - 0.5 * (row**2).sum() - 0.5 * len(row) * math.log(2 * math.pi)


def likelihoods_by_hand(detector: CFLOW, batch: ImageBatch) -> list[np.ndarray]:
    """(B, h, w) of each level: log p per channel, vector by vector."""
    found = []
    for decoders, level in zip(detector._decoders(), pyramid(detector, batch), strict=True):
        state = {name: t.double().numpy() for name, t in decoders.state_dict().items()}
        maps = level.double().numpy()
        batches, channels, height, width = maps.shape
        likelihood = np.empty((batches, height, width))
        for i, row, column in np.ndindex(*likelihood.shape):
            code = code_by_hand(row, column, decoders.condition)
            likelihood[i, row, column] = latent_by_hand(maps[i, :, row, column], code, state)[1] / channels
        found.append(likelihood)
    return found


def enlarged(level: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) to `size`, corners on corners: linear along rows, then along columns."""
    rows, columns = (np.linspace(0, old - 1, new) for old, new in zip(level.shape, size, strict=True))
    wide = np.stack([np.interp(columns, np.arange(level.shape[1]), line) for line in level])
    return np.stack([np.interp(rows, np.arange(level.shape[0]), line) for line in wide.T]).T


def test_whole_path_equals_a_computation_of_its_own() -> None:
    """Codes, networks, couplings, rotations, scales and maps by numpy: nothing of ours but the backbone."""
    images, batch = leather(2), spoilt(leather(1, seed=5))
    detector = fitted(images, steps=3)
    good, shown = likelihoods_by_hand(detector, images), likelihoods_by_hand(detector, batch)
    peaks = [level.max() for level in good]
    np.testing.assert_allclose(detector.calm_, -np.array(peaks), rtol=1e-4)

    def sums(levels: list[np.ndarray]) -> np.ndarray:
        densities = [np.minimum(np.exp(level - peak), 1) for level, peak in zip(levels, peaks, strict=True)]
        images = [[enlarged(image, (64, 96)) for image in level] for level in densities]
        return np.sum(images, axis=0)

    assert detector.likeliest_ == pytest.approx(sums(good).max(), rel=1e-4)
    found = seen(detector, batch)
    for i, level in enumerate(shown, start=1):
        np.testing.assert_allclose(found.features[f"cflow/likelihood{i}"][:, 0], level, atol=1e-4)
    expected = sums(good).max() - sums(shown)
    np.testing.assert_allclose(found.scores.pixels, expected, atol=1e-4)
    np.testing.assert_allclose(found.scores.image, expected.max(axis=(1, 2)), atol=1e-4)

    short = [enlarged(peak - level[0], (64, 96)) for level, peak in zip(shown, peaks, strict=True)]
    pixels = seen(scoring(detector, score="likelihood"), batch).scores.pixels
    np.testing.assert_allclose(pixels[0], np.mean(short, axis=0), atol=1e-3)


def test_map_of_the_images_learned_from_begins_at_zero_and_ends_below_the_likeliest(taught: CFLOW) -> None:
    pixels = observe_all(taught, ImagesInMemory(leather(8)), context().pool).pixels
    assert float(pixels.min()) == pytest.approx(0, abs=1e-5)
    assert 0.5 < float(pixels.max()) <= taught.likeliest_ <= 2


def test_scale_is_learned_and_does_not_follow_the_images_under_test(taught: CFLOW) -> None:
    batch = spoilt(leather(2, seed=5))
    together, (alone, _) = (
        [seen(taught, part).scores.pixels for part in parts]
        for parts in ([batch], [ImagesInMemory(batch).batch([i]) for i in (0, 1)])
    )
    torch.testing.assert_close(together[0][:1], alone, rtol=1e-4, atol=1e-5)
    assert float(seen(taught, batch).scores.pixels.min()) > 0.01, "no defect brings a map back to zero"


@pytest.mark.parametrize("score", ["density", "likelihood"])
def test_a_defect_scores_higher_than_the_same_hide_without_it(taught: CFLOW, score: str) -> None:
    detector, good = scoring(taught, score=score), leather(4, seed=5)
    found = seen(detector, spoilt(good)).scores
    assert bool((found.image > seen(detector, good).scores.image).all())
    inside = found.pixels[:, 36:48, 20:36].mean(dim=(1, 2))
    deviation = found.pixels.flatten(1).std(dim=1)
    assert bool((inside > found.pixels.mean(dim=(1, 2)) + deviation).all())


@pytest.mark.parametrize("score", ["density", "likelihood"])
def test_only_what_is_inspected_counts(taught: CFLOW, score: str) -> None:
    detector, batch = scoring(taught, score=score), spoilt(leather(1, seed=5))
    valid = torch.ones(1, 64, 96, dtype=torch.bool)
    valid[:, 32:52, 16:40] = False  # the defect lies there
    found = seen(detector, ImageBatch(batch.pixels, batch.ids, valid)).scores
    assert float(found.image) == float(found.pixels[valid].max())
    assert float(found.image) < float(seen(detector, batch).scores.image)
    assert bool((found.pixels[~valid] == found.pixels[valid].min()).all())


@pytest.mark.parametrize(
    ("model", "layers", "size", "grids"),
    [
        (MODEL, (1, 2, 3), (64, 96), [(16, 24), (8, 12), (4, 6)]),
        (MODEL, (0, 3), (57, 83), [(29, 42), (4, 6)]),
        (MODEL, (2, 4), (32, 40), [(4, 5), (1, 2)]),
        ("test_convnext", (0, 2), (64, 96), [(16, 24), (4, 6)]),
    ],
)
def test_features_are_delivered_as_declared(
    model: str, layers: tuple[int, ...], size: tuple[int, int], grids: list[tuple[int, int]]
) -> None:
    found = context()
    detector = fitted(leather(2, size=size), found, backbone=model, layers=layers, steps=1)
    spec = found.pool.spec(detector.backbones()[0])
    levels = list(enumerate(zip(spec.channels, spec.strides, strict=True), start=1))
    assert detector.features() == (
        *(FeatureSpec(f"cflow/latent{i}", c, s) for i, (c, s) in levels),
        *(FeatureSpec(f"cflow/likelihood{i}", 1, s) for i, (_, s) in levels),
    )
    maps = seen(detector, leather(2, size=size, seed=5)).features
    assert maps.names == tuple(s.name for s in detector.features())
    for i, grid in enumerate(grids, start=1):
        assert maps[f"cflow/latent{i}"].shape == (2, spec.channels[i - 1], *grid)
        assert maps[f"cflow/likelihood{i}"].shape == (2, 1, *grid)
    assert cut(maps, detector.default_cut).names == tuple(f"cflow/latent{i}" for i, _ in levels)


def test_latents_of_good_images_become_more_nearly_normal(taught: CFLOW) -> None:
    fresh = fitted(leather(8), steps=1, learning_rate=1e-12)
    before, after = (seen(d, leather(4, seed=5)).features["cflow/latent1"] for d in (fresh, taught))
    assert abs(float(after.square().mean().log())) < abs(float(before.square().mean().log()))


def test_a_stored_state_scores_the_same(taught: CFLOW, tmp_path: Path) -> None:
    write_state(tmp_path, taught.state())
    again = CFLOW.from_state(taught.params, read_state(tmp_path))
    batch = leather(2, seed=4)
    assert torch.equal(seen(again, batch).scores.pixels, seen(taught, batch).scores.pixels)
    assert (again.features(), again.log_, again.calm_) == (taught.features(), taught.log_, taught.calm_)


# refusals, word for word


def test_another_size_than_learned_is_refused(taught: CFLOW) -> None:
    sentence = (
        "cflow: learned every position of images of 64 x 96, got 64 x 64; bring the images to that size or "
        "fit anew"
    )
    with pytest.raises(InputError) as caught:
        seen(taught, leather(1, size=(64, 64)))
    assert str(caught.value) == sentence
    images, others = ImagesInMemory(leather(2)), ImagesInMemory(leather(1, size=(64, 64)))
    with pytest.raises(InputError) as caught:
        CFLOW(CFLOW.Params(**TINY)).fit(images, validation=others, context=context())
    assert str(caught.value) == sentence


def test_levels_the_backbone_lacks_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        fitted(leather(2), layers=(3, 9))
    assert str(caught.value).startswith("test_resnet: cannot give levels (3, 9) of 0..4")


def test_images_too_small_are_refused(taught: CFLOW) -> None:
    with pytest.raises(InputError) as caught:
        seen(taught, ImageBatch(torch.rand(1, 3, 20, 96), ("a",)))
    assert str(caught.value) == (
        "cflow: expected images of height and width at least 32, got 20 x 96; the nearest size is 32 x 96"
    )


def test_a_state_of_other_options_is_refused(taught: CFLOW) -> None:
    with pytest.raises(
        ArtifactError, match=r"^cflow: the stored state does not fit decoders_: '.*; it is damaged, or of"
    ):
        CFLOW.from_state(taught.params.model_copy(update={"condition_vec": 8}), taught.state())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"condition_vec": 6}, "'condition_vec': input should be a multiple of 4, got 6"),
        ({"coupling_blocks": 0}, "'coupling_blocks': input should be greater than 0, got 0"),
        ({"N": 0}, "'N': input should be greater than 0, got 0"),
        ({"clamp_alpha": 0}, "'clamp_alpha': input should be greater than 0, got 0"),
        ({"rotation": 181}, "'rotation': input should be less than or equal to 180, got 181"),
        ({"score": "z"}, "'score': input should be 'density' or 'likelihood', got 'z'"),
        ({"keep": "test"}, "'keep': input should be 'last' or 'best', got 'test'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CFLOW.from_options(options)
    assert str(caught.value) == f"cflow: option {sentence}"


# efforts


def test_full_effort_is_the_published_one() -> None:
    assert CFLOW.params_for(Effort.full) == CFLOW.Params(
        backbone="wide_resnet50_2",
        layers=(2, 3, 4),
        weights="pretrained",
        coupling_blocks=8,
        condition_vec=128,
        clamp_alpha=1.9,
        N=256,
        rotation=5.0,
        epochs=200,
        steps=None,
        batch_size=32,
        learning_rate=2e-4,
        keep="last",
        patience=None,
        score="density",
    )


def test_quick_effort_declares_what_it_leaves_out() -> None:
    quick, full = CFLOW.params_for(Effort.quick), CFLOW.params_for(Effort.full)
    assert {name for name, value in quick if value != getattr(full, name)} == {
        "backbone",
        "layers",
        "coupling_blocks",
        "rotation",
        "batch_size",
        "steps",
        "learning_rate",
        "score",
    }

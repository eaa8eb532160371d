"""SimpleNet: published sizes and settings, loss and scores worked out apart, and the detector itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from small_leather import context, learned, leather, seen
from torch import Tensor, nn

from leatherens.core.artifact import read_state, write_state
from leatherens.core.detector import Effort, FeatureSpec, FitContext
from leatherens.core.discriminator import with_noise
from leatherens.core.errors import ArtifactError, ConfigError, InputError
from leatherens.core.randomness import seeded_construction
from leatherens.core.types import ImageBatch
from leatherens.core.weights import DEFAULT_MODEL
from leatherens.plugins.simplenet import Networks, SimpleNet, noisy_hinge

MODEL = "test_resnet"
"""timm's tiny ResNet; levels 1 and 2 have strides 4 and 8, levels 2 and 3 strides 8 and 16."""

TINY: dict[str, Any] = {
    "backbone": MODEL,
    "layers": (1, 2),
    "weights": "random",
    "pretrain_embed_dimension": None,
    "target_embed_dimension": None,
    "hidden": 16,
    "noise": "relative",
    "noise_std": 0.5,
    "dsc_lr": 5e-3,
    "proj_lr": 1e-3,
    "batch_size": 4,
    "steps": 60,
}


def fitted(images: ImageBatch, found: FitContext | None = None, **options: Any) -> SimpleNet:
    detector = SimpleNet(SimpleNet.Params(**{**TINY, **options}))
    return learned(detector, images, found, held_out=3)


def levels(detector: SimpleNet, batch: ImageBatch) -> list[np.ndarray]:
    (request,) = detector.backbones()
    return [m.double().numpy() for m in context().pool.pyramids(batch, [request])[request].maps]


@pytest.fixture(scope="module")
def taught() -> SimpleNet:
    """A small one after 60 steps on eight hides."""
    return fitted(leather(8))


# the networks


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def networks(channels: int = 6, hidden: int = 5, *, adapts: bool = True) -> Networks:
    with seeded_construction(1, "networks"):
        return Networks(channels, hidden, adapts=adapts)


def test_sizes_are_the_published_ones() -> None:
    published = SimpleNet.Params()
    with torch.device("meta"):
        whole = Networks(published.target_embed_dimension, published.hidden, adapts=published.pre_proj)
    assert parameters(whole.adapter) == 2_360_832
    assert parameters(whole.discriminator) == 1_576_960


def test_without_an_adapter_only_the_discriminator_learns() -> None:
    plain = networks(adapts=False)
    rows = torch.randn(7, 6, generator=torch.Generator().manual_seed(0))
    assert parameters(plain) == parameters(plain.discriminator)
    assert torch.equal(plain.eval()(rows)[0], rows)


def test_every_linear_layer_starts_xavier_normal() -> None:
    wide = networks(300, 200)
    for weight in (m.weight.detach() for m in wide.modules() if isinstance(m, nn.Linear)):
        out, into = weight.shape
        expected = (2 / (into + out)) ** 0.5
        assert float(weight.std()) == pytest.approx(expected, rel=0.02 if out > 1 else 0.2)
        assert float(weight.abs().max()) > 2.2 * expected, "normal, not uniform"
    tail = wide.discriminator.tail
    assert tail.bias is None
    assert wide.adapter.bias is not None


def test_adapter_starts_by_keeping_the_spread_of_what_it_adapts() -> None:
    rows = torch.randn(500, 300, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.5, 4, 300)
    adapted = networks(300).adapter(rows).detach()
    assert float(adapted.var(dim=0).mean()) == pytest.approx(float(rows.var(dim=0).mean()), rel=0.05)


# the loss


def hinge(module: Networks, rows: Tensor, *, deviation: float = 0.7, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return noisy_hinge(module, rows, deviation=deviation, margin=0.5, generator=generator)


def test_loss__is_that_of_one_pass_over_true_and_fake_rows_together() -> None:
    module, rows = networks().double(), torch.randn(40, 6, dtype=torch.float64) * 3
    loss = float(hinge(module.train(), rows).detach())

    weights = {name: t.detach().numpy() for name, t in module.state_dict().items()}
    adapted = rows.numpy() @ weights["adapter.weight"].T + weights["adapter.bias"]
    generator = torch.Generator().manual_seed(0)
    ones, scales = torch.ones(1, dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64)
    fake = with_noise(torch.from_numpy(adapted), ones, scales, generator).numpy()

    def judged(both: np.ndarray) -> np.ndarray:
        hidden = both @ weights["discriminator.body.0.weight"].T + weights["discriminator.body.0.bias"]
        normed = (hidden - hidden.mean(axis=0)) / np.sqrt(hidden.var(axis=0) + 1e-5)
        leaky = np.where(normed > 0, normed, 0.2 * normed)
        return (leaky @ weights["discriminator.tail.weight"].T)[:, 0]

    together = judged(np.concatenate([adapted, fake]))
    expected = np.maximum(0, 0.5 - together[:40]).mean() + np.maximum(0, 0.5 + together[40:]).mean()
    assert loss == pytest.approx(expected, rel=1e-9)
    apart = np.maximum(0, 0.5 - judged(adapted)).mean() + np.maximum(0, 0.5 + judged(fake)).mean()
    assert abs(loss - apart) > 1e-3


def test_loss__teaches_the_adapter_through_true_and_through_fake_rows() -> None:
    """Its gradient is the slope of the whole loss, found by nudging one weight after the other."""
    module, rows = networks(3, 4).double().train(), torch.randn(60, 3, dtype=torch.float64)
    hinge(module, rows).backward()
    weight = module.adapter.weight
    slopes = torch.empty_like(weight)
    with torch.no_grad():
        for at in np.ndindex(*weight.shape):
            ends = []
            for nudge in (1e-6, -2e-6):
                weight[at] += nudge
                ends.append(float(hinge(module, rows)))
            weight[at] += 1e-6
            slopes[at] = (ends[0] - ends[1]) / 2e-6
    torch.testing.assert_close(weight.grad, slopes, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_loss__without_noise_is_at_least_one(seed: int) -> None:
    rows = torch.randn(50, 6, generator=torch.Generator().manual_seed(seed)) * 5
    assert float(hinge(networks(), rows, deviation=0.0).detach()) >= 1 - 1e-6


def test_loss__of_a_discriminator_that_says_nothing_is_one() -> None:
    module = networks()
    nn.init.zeros_(module.discriminator.tail.weight)
    assert float(hinge(module, torch.randn(9, 6)).detach()) == 1


def test_optimizers__are_the_authors() -> None:
    detector = fitted(leather(1), dsc_lr=2e-4, proj_lr=1e-4, steps=1)
    discriminator, adapter = detector._optimizers()
    kinds = [(type(o), o.defaults["lr"], o.defaults["weight_decay"]) for o in (discriminator, adapter)]
    assert kinds == [(torch.optim.Adam, 2e-4, 1e-5), (torch.optim.AdamW, 1e-4, 1e-2)]
    owned = [[id(p) for group in o.param_groups for p in group["params"]] for o in (discriminator, adapter)]
    parts = (detector.networks_.discriminator, detector.networks_.adapter)
    assert owned == [[id(p) for p in part.parameters()] for part in parts]


# the noise


def spread(rows: np.ndarray) -> float:
    return float(np.sqrt(rows.var(axis=0).mean()))


def test_noise__published_counts_in_the_unit_of_the_features() -> None:
    assert fitted(leather(2), noise="absolute", noise_std=0.015, steps=1).deviation_ == 0.015


def test_noise__relative_counts_in_the_spread_of_descriptors_of_good_images() -> None:
    images = leather(3)
    detector = fitted(images, noise_std=0.5, steps=1)
    maps = seen(detector, images).features["simplenet/descriptors"].double().numpy()
    rows = maps.transpose(0, 2, 3, 1).reshape(-1, maps.shape[1])
    assert detector.deviation_ == pytest.approx(0.5 * spread(rows), rel=1e-5)
    assert detector.state()["deviation_"] == detector.deviation_


def test_noise__relative_ignores_what_is_hidden() -> None:
    images = leather(3)
    valid = torch.zeros(3, *images.size, dtype=torch.bool)
    valid[:, 16:40, 32:] = True
    hidden = ImageBatch(images.pixels, images.ids, valid)
    detector = fitted(hidden, noise_std=1.0, steps=1)
    maps = seen(detector, hidden).features["simplenet/descriptors"].double().numpy()
    rows = maps[:, :, 4:10, 8:].transpose(0, 2, 3, 1).reshape(-1, maps.shape[1])
    assert detector.deviation_ == pytest.approx(spread(rows), rel=1e-5)


# fitting


def test_fit__makes_good_patches_normal_and_noise_less_so(taught: SimpleNet) -> None:
    good = float(seen(taught, leather(8)).features["simplenet/score"].mean())
    noise = torch.rand(4, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    strange = seen(taught, ImageBatch(noise, tuple("abcd"))).features["simplenet/score"]
    assert good < -0.3
    assert float(strange.mean()) > good + 0.3


def test_fit__settles_batch_normalisation_on_all_good_images_though_no_two_batches_are_alike() -> None:
    """Every other hide is much darker: batches of two are of one kind, of the other, or of both."""
    hides = leather(8)
    pixels = hides.pixels * torch.tensor([1.0, 0.1]).repeat(4).view(-1, 1, 1, 1)
    images = ImageBatch(pixels, hides.ids)
    detector = fitted(images, batch_size=2)
    maps = seen(detector, images).features["simplenet/descriptors"].clone()
    linear, norm, _ = detector.networks_.discriminator.body
    with torch.no_grad():
        hidden = linear(detector.networks_.adapter(maps.permute(0, 2, 3, 1).flatten(0, 2)))

    # Noise has mean zero, so that true and noisy rows have one mean.
    apart = (norm.running_mean - hidden.mean(dim=0)).abs() / norm.running_var.sqrt()
    assert float(apart.max()) < 0.05
    assert norm.momentum == 0.1
    assert not detector.networks_.training


def test_fit__lowers_the_loss(taught: SimpleNet) -> None:
    losses = taught.log_["losses"]
    assert 0.8 < losses[0] < 2
    assert np.mean(losses[-5:]) < 0.4 * losses[0]


def test_fit__moves_adapter_and_discriminator() -> None:
    one, many = (fitted(leather(2), steps=steps).networks_.state_dict() for steps in (1, 3))
    assert all(
        not torch.equal(tensor, many[name]) for name, tensor in one.items() if not name.endswith("tracked")
    )


def test_fit__same_seed_same_losses_and_scores() -> None:
    images = leather(4)
    one, same, other = (fitted(images, context(seed=seed), steps=5) for seed in (3, 3, 4))
    assert one.log_ == same.log_
    assert torch.equal(seen(one, images).scores.pixels, seen(same, images).scores.pixels)
    assert one.log_["losses"] != other.log_["losses"]


def test_fit__keeps_the_last_state_or_the_best_on_held_out_good_images() -> None:
    images = leather(4)
    last, best = (fitted(images, keep=keep, dsc_lr=0.3, steps=30) for keep in ("last", "best"))
    assert last.log_["losses"] == best.log_["losses"], "only what is kept differs"
    assert (last.log_["validations"], last.log_["best_step"]) == ([], 30)

    validations = dict(best.log_["validations"])
    assert best.log_["best_step"] == min(validations, key=lambda step: validations[step])
    assert best.log_["best_step"] < 30, "or this test compares nothing"
    assert not torch.equal(best.networks_.adapter.weight, last.networks_.adapter.weight)


def test_fit__judges_each_held_out_image_by_its_hinge_in_eval_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimpleNet, "_settle", lambda *_: None)  # comes after the last validation
    detector = fitted(leather(4), keep="best", steps=20)
    maps = seen(detector, leather(3, seed=9)).features["simplenet/descriptors"]
    rows = maps.clone().permute(0, 2, 3, 1).flatten(1, 2)  # (B, positions, C)
    values = [
        float(hinge(detector.networks_, r, deviation=detector.deviation_, seed=i).detach())
        for i, r in enumerate(rows)
    ]
    assert min(v for _, v in detector.log_["validations"]) == pytest.approx(np.mean(values), rel=0.05)


def test_fit__stops_when_out_of_patience() -> None:
    detector = fitted(leather(4), keep="best", patience=2, dsc_lr=0.3, steps=200)
    steps = [step for step, _ in detector.log_["validations"]]
    assert len(detector.log_["losses"]) == steps[-1] < 200
    assert steps.index(detector.log_["best_step"]) == len(steps) - 3


def test_fit__on_identical_flat_images_stays_finite() -> None:
    flat = ImageBatch(torch.full((2, 3, 64, 64), 0.5), ("a", "b"))
    detector = fitted(flat, noise="absolute", noise_std=0.1, patch_size=1, steps=3)
    assert bool(seen(detector, flat).scores.pixels.isfinite().all())


def test_schedule__counts_epochs_in_steps() -> None:
    assert len(fitted(leather(5), epochs=2, steps=None, batch_size=2).log_["losses"]) == 6


# scoring


@pytest.mark.parametrize("dimensions", [None, 20], ids=["own channels", "averaged channels"])
def test_whole_path_equals_a_computation_of_its_own(dimensions: int | None) -> None:
    """Windows, averages and networks by numpy, smoothing by scipy: nothing of ours but the backbone."""
    detector = fitted(
        leather(3), pretrain_embed_dimension=dimensions, target_embed_dimension=dimensions, steps=8
    )
    batch = leather(2, seed=5)
    found = seen(detector, batch)

    descriptors = described(levels(detector, batch), dimensions)  # (B, h, w, C)
    state = {name: t.double().numpy() for name, t in detector.networks_.state_dict().items()}
    adapted = descriptors @ state["adapter.weight"].T + state["adapter.bias"]
    hidden = adapted @ state["discriminator.body.0.weight"].T + state["discriminator.body.0.bias"]
    centred = hidden - state["discriminator.body.1.running_mean"]
    normed = centred / np.sqrt(state["discriminator.body.1.running_var"] + 1e-5)
    normed = normed * state["discriminator.body.1.weight"] + state["discriminator.body.1.bias"]
    leaky = np.where(normed > 0, normed, 0.2 * normed)
    scores = -(leaky @ state["discriminator.tail.weight"].T)

    for name, expected in zip(
        ("descriptors", "adapted", "hidden", "score"), (descriptors, adapted, leaky, scores), strict=True
    ):
        maps = found.features[f"simplenet/{name}"].permute(0, 2, 3, 1)
        np.testing.assert_allclose(maps, expected, atol=1e-4 * np.abs(expected).max(), err_msg=name)
    enlarged = F.interpolate(torch.from_numpy(scores).permute(0, 3, 1, 2), batch.size, mode="bilinear")[:, 0]
    pixels = np.stack([gaussian_filter(m, sigma=4) for m in enlarged.numpy()])
    np.testing.assert_allclose(found.scores.pixels, pixels, atol=1e-4)
    np.testing.assert_allclose(found.scores.image, scores.max(axis=(1, 2, 3)), atol=1e-4)


def described(maps: Sequence[np.ndarray], dimensions: int | None) -> np.ndarray:
    """(B, h, w, C): 3 x 3 windows, averaged to their channel or evenly to so many, side by side."""
    fine, deep = (averaged(windows(level), dimensions or level.shape[1]) for level in maps)
    grown = F.interpolate(torch.from_numpy(deep), fine.shape[-2:], mode="bilinear").numpy()
    both = np.concatenate([fine, grown], axis=1)
    return averaged(both, dimensions or both.shape[1]).transpose(0, 2, 3, 1)


def windows(maps: np.ndarray) -> np.ndarray:
    """(B, C, h, w) to (B, 9 * C, h, w), the nine values of a channel together, zeros beyond the border."""
    height, width = maps.shape[-2:]
    padded = np.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)))
    shifted = [padded[..., i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return np.stack(shifted, axis=2).reshape(len(maps), -1, height, width)


def averaged(maps: np.ndarray, bins: int) -> np.ndarray:
    """(B, C, h, w) to (B, bins, h, w)."""
    count = maps.shape[1]
    shares = [(i * count // bins, -(-(i + 1) * count // bins)) for i in range(bins)]
    return np.stack([maps[:, start:stop].mean(axis=1) for start, stop in shares], axis=1)


def test_observe__image_score_is_the_largest_patch_before_smoothing(taught: SimpleNet) -> None:
    found = seen(taught, leather(3, seed=5))
    assert torch.equal(found.scores.image, found.features["simplenet/score"].flatten(1).amax(dim=1))
    assert bool((found.scores.image > found.scores.pixels.amax(dim=(1, 2))).all())


def test_observe__points_at_what_is_no_leather(taught: SimpleNet) -> None:
    good = leather(3, seed=5)
    spoilt = good.pixels.clone()
    spoilt[:, :, 8:24, 60:80] = torch.tensor([0.1, 0.9, 0.2]).view(1, 3, 1, 1)
    scores = seen(taught, ImageBatch(spoilt, good.ids)).scores
    assert bool((scores.image > seen(taught, good).scores.image).all())
    for row, column in (divmod(int(p.argmax()), 96) for p in scores.pixels):
        assert 0 <= row < 32
        assert 52 <= column < 88


def test_observe__scores_each_image_on_its_own(taught: SimpleNet) -> None:
    batch = leather(3, seed=5)
    together = seen(taught, batch).scores.pixels
    for i in range(3):
        alone = seen(taught, ImageBatch(batch.pixels[i : i + 1], batch.ids[i : i + 1])).scores.pixels
        torch.testing.assert_close(alone[0], together[i], rtol=1e-4, atol=1e-5)


def test_observe__counts_valid_positions_only(taught: SimpleNet) -> None:
    batch = leather(1, seed=5)
    valid = torch.zeros(1, 64, 96, dtype=torch.bool)
    valid[:, 24:40, 40:72] = True  # the rest is one flat colour, stranger than leather
    found = seen(taught, ImageBatch(batch.pixels, batch.ids, valid))
    patches = found.features["simplenet/score"][0, 0]
    assert float(found.scores.image) == float(patches[6:10, 10:18].max())
    assert bool((found.scores.pixels[~valid] == found.scores.pixels[valid].min()).all())


@pytest.mark.parametrize(("side", "patches"), [(256, 1024), (288, 1296)])
def test_number_of_patches_is_the_published_one(side: int, patches: int) -> None:
    detector = fitted(leather(1, size=(side, side)), layers=(2, 3), steps=1)
    assert seen(detector, leather(1, size=(side, side))).features["simplenet/score"].numel() == patches


def test_features__are_delivered_as_declared(taught: SimpleNet) -> None:
    found = context()
    wide = sum(found.pool.spec(taught.backbones()[0]).channels)
    assert taught.features() == (
        FeatureSpec("simplenet/descriptors", wide, 4),
        FeatureSpec("simplenet/adapted", wide, 4),
        FeatureSpec("simplenet/hidden", 16, 4),
        FeatureSpec("simplenet/score", 1, 4),
    )
    maps = seen(taught, leather(2)).features
    assert maps.names == tuple(spec.name for spec in taught.features())
    for spec, delivered in zip(taught.features(), maps.maps, strict=True):
        assert delivered.shape == (2, spec.channels, 16, 24)


def test_features__without_an_adapter_are_the_descriptors() -> None:
    maps = seen(fitted(leather(2), pre_proj=False, steps=2), leather(2)).features
    assert torch.equal(maps["simplenet/adapted"], maps["simplenet/descriptors"])


@pytest.mark.parametrize("size", [(64, 96), (57, 83), (33, 32)])
def test_any_size_is_learned_from(size: tuple[int, int]) -> None:
    assert seen(fitted(leather(2, size=size), steps=2), leather(1, size=size)).scores.pixels.shape == (
        1,
        *size,
    )


def test_other_sizes_than_the_learned_one_are_scored(taught: SimpleNet) -> None:
    scores = seen(taught, leather(2, size=(81, 50), seed=5)).scores
    assert scores.pixels.shape == (2, 81, 50)
    assert float(scores.pixels.mean()) < 0, "still good leather"


def test_state__gives_the_same_scores_after_a_round_trip(taught: SimpleNet, tmp_path: Path) -> None:
    write_state(tmp_path, taught.state())
    back = SimpleNet.from_state(taught.params, read_state(tmp_path))
    batch = leather(3, seed=5)
    assert torch.equal(seen(back, batch).scores.pixels, seen(taught, batch).scores.pixels)
    assert (back.features(), back.log_, back.deviation_) == (
        taught.features(),
        taught.log_,
        taught.deviation_,
    )


# settings


def test_params_for__full_effort_are_the_published_settings() -> None:
    assert SimpleNet.params_for(Effort.full) == SimpleNet.Params(
        backbone="wide_resnet50_2",
        layers=(2, 3),
        weights="pretrained",
        patch_size=3,
        pretrain_embed_dimension=1536,
        target_embed_dimension=1536,
        pre_proj=True,
        hidden=1024,
        noise="absolute",
        noise_std=0.015,
        dsc_margin=0.5,
        dsc_lr=2e-4,
        proj_lr=1e-4,
        epochs=160,
        steps=None,
        batch_size=8,
        keep="last",
        patience=None,
        smoothing=4.0,
    )


def test_quick_effort_declares_what_it_leaves_out() -> None:
    quick, full = SimpleNet.params_for(Effort.quick), SimpleNet.params_for(Effort.full)
    changed = {name for name, value in quick if value != getattr(full, name)}
    assert changed == {
        "backbone",
        "pretrain_embed_dimension",
        "target_embed_dimension",
        "hidden",
        "noise",
        "noise_std",
        "dsc_lr",
        "proj_lr",
        "steps",
    }
    assert (quick.backbone, quick.noise) == (DEFAULT_MODEL, "relative")


# refusals, word for word


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"patch_size": 2}, "'patch_size': expected an odd number, so that the window has a middle, got 2"),
        ({"noise": "percent"}, "'noise': input should be 'absolute' or 'relative', got 'percent'"),
        ({"noise_std": 0}, "'noise_std': input should be greater than 0, got 0"),
        ({"keep": "test"}, "'keep': input should be 'last' or 'best', got 'test'"),
        ({"hidden": 0}, "'hidden': input should be greater than 0, got 0"),
        ({"smoothing": -1}, "'smoothing': input should be greater than or equal to 0, got -1"),
    ],
)
def test_options__are_refused_in_words(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SimpleNet.from_options(options)
    assert str(caught.value) == f"simplenet: option {sentence}"


def test_levels_the_backbone_lacks() -> None:
    with pytest.raises(ConfigError) as caught:
        fitted(leather(2), layers=(3, 9))
    assert str(caught.value).startswith("test_resnet: cannot give levels (3, 9) of 0..4")


def test_images_too_small_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        seen(fitted(leather(1), steps=1), ImageBatch(torch.rand(1, 3, 20, 96), ("a",)))
    assert str(caught.value) == (
        "simplenet: expected images of height and width at least 32, got 20 x 96; the nearest size is 32 x 96"
    )


def test_state__of_another_width_is_refused(taught: SimpleNet) -> None:
    with pytest.raises(ArtifactError) as caught:
        SimpleNet.from_state(SimpleNet.Params(**{**TINY, "hidden": 8}), taught.state())
    wide = taught.channels_
    assert str(caught.value) == (
        "simplenet: the stored state does not fit networks_: 'discriminator.body.0.weight' should be "
        f"(8, {wide}), got (16, {wide}); it is damaged, or of other options"
    )

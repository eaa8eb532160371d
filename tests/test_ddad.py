"""DDAD: the published sizes and constants, sampling against hand cases, and the detector as a whole."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from small_leather import Interrupted, context, learned, leather, seen
from torch import nn

from leatherens.core.detector import Effort, cut
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.randomness import torch_generator
from leatherens.core.types import ImagesInMemory
from leatherens.plugins.ddad import DDAD
from leatherens.plugins.ddad.diffusion import Reverse, by_image, kept_shares, noised, reconstructed
from leatherens.plugins.ddad.lessons import adaptation_loss, denoising_task, halves
from leatherens.plugins.ddad.scores import balance, feature_distances, pixel_distance, summed
from leatherens.plugins.ddad.unet import Attention, Block, UNet, _norm, published_plan, time_code

TINY = {
    "backbone": "tf_efficientnet_lite0",
    "weights": "random",
    "layers": (1, 2),
    "width": 8,
    "multipliers": (1, 2),
    "attention": (2,),
    "heads": 2,
    "patch": 2,
    "batch_size": 2,
    "steps": 4,
    "skip": 125,
    "adaptation_steps": 2,
    "adaptation_batch": 4,
}


def tiny(**options):
    return DDAD(DDAD.Params(**{**TINY, **options}))


@pytest.fixture(scope="module")
def fitted():
    return learned(tiny(), leather(4))


def awake(network):
    """A network whose silent layers speak, so that everything in it counts."""
    generator = torch.Generator().manual_seed(1)
    for weights in network.parameters():
        if not bool(weights.any()):
            nn.init.normal_(weights, std=0.05, generator=generator)
    return network.eval()


# The network


@pytest.mark.parametrize(("width", "heads", "parameters"), [(64, 4, 32_952_707), (32, 2, 8_257_731)])
def test_unet__has_the_published_number_of_parameters(width, heads, parameters):
    with torch.device("meta"):
        network = UNet(width, *published_plan(256), heads=heads)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert network.unit == 32


@pytest.mark.parametrize(
    ("side", "levels", "attention"),
    [
        (512, 7, (16, 32, 64)),
        (320, 6, (8, 16, 32)),
        (256, 6, (8, 16, 32)),
        (128, 5, (4, 8, 16)),
        (96, 4, (2, 4, 8)),
        (64, 4, (2, 4, 8)),
        (48, 4, (1, 2, 4)),
        (32, 4, (1, 2, 4)),
    ],
)
def test_plan__is_the_published_one_for_the_next_smaller_side(side, levels, attention):
    multipliers, reductions = published_plan(side)
    assert len(multipliers) == levels
    assert reductions == attention


@pytest.mark.parametrize(
    ("channels", "groups"), [(64, 32), (32, 16), (96, 32), (24, 8), (6, 2), (3, 1), (1, 1)]
)
def test_norm__leaves_two_channels_together(channels, groups):
    assert _norm(channels).num_groups == groups


def test_unet__begins_with_no_noise_at_all():
    network = UNet(8, (1, 2), (2,), heads=2)
    assert not bool(network(torch.randn(2, 3, 16, 24), torch.tensor([3, 999])).any())


@pytest.mark.parametrize("patch", [1, 4])
def test_unet__uses_its_time_and_every_weight(patch):
    network = awake(UNet(8, (0.5, 1, 2), (2, 4), heads=2, patch=patch))
    images = torch.randn(2, 3, 16 * patch, 24 * patch, generator=torch.Generator().manual_seed(0))
    found = network(images, torch.tensor([5, 800]))
    assert found.shape == images.shape
    later = network(images, torch.tensor([5, 700]))
    torch.testing.assert_close(found[0], later[0])
    assert not torch.allclose(found[1], later[1])
    found.square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in network.parameters())


def test_unet__in_patches_sees_every_pixel_of_a_square():
    network = awake(UNet(8, (1,), (), heads=2, patch=4))
    image = torch.zeros(1, 3, 8, 8, requires_grad=True)
    network(image, torch.zeros(1)).square().sum().backward()
    assert image.grad is not None
    assert bool((image.grad != 0).all())


def test_time_code__is_sines_then_cosines_from_fast_to_slow():
    code = time_code(torch.tensor([0.0, 3.0]), 8)
    assert code[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    frequencies = [1e4 ** (-i / 4) for i in range(4)]
    expected = [math.sin(3 * f) for f in frequencies] + [math.cos(3 * f) for f in frequencies]
    assert code[1].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("way", "size"), [("down", (4, 6)), ("up", (16, 24)), ("no", (8, 12))])
def test_block__resamples_both_branches_and_adds_the_time(way, size):
    block = Block(8, 8, 16, 0.0, way)
    maps, code = torch.randn(2, 8, 8, 12), torch.randn(2, 16)
    expected = {"down": F.avg_pool2d(maps, 2), "up": F.interpolate(maps, scale_factor=2.0), "no": maps}[way]
    torch.testing.assert_close(block(maps, code), expected)  # silent yet: the skip alone
    assert block(maps, code).shape[-2:] == size
    awake(block)
    moved = (block(maps, code) - block(maps, 2 * code)).std() / (block(maps, code) - expected).std()
    assert float(moved.detach()) > 0.1


def test_attention__agrees_with_the_textbook():
    layer, maps = awake(Attention(8, 2)), torch.randn(1, 8, 2, 3)
    asked = layer.ask(layer.norm(maps)).flatten(2)[0]  # (24, 6)
    answers = []
    for head in range(2):
        query, key, value = (asked[8 * part + 4 * head : 8 * part + 4 * head + 4] for part in range(3))
        weights = (query.T @ key / 2).softmax(dim=1)  # root of 4 channels
        answers.append(value @ weights.T)
    expected = maps + layer.answer(torch.cat(answers).view(1, 8, 2, 3))
    torch.testing.assert_close(layer(maps), expected)


# The diffusion


@pytest.mark.parametrize(
    ("index", "share"), [(0, 1.0), (1, 0.9999), (226, 0.588678), (251, 0.521423), (1000, 4.0358e-5)]
)
def test_kept_shares__are_the_products_of_the_published_variances(index, share):
    assert float(kept_shares(1000)[index]) == pytest.approx(share, rel=1e-5)
    betas = np.linspace(1e-4, 0.02, 1000)
    assert float(kept_shares(1000)[index]) == pytest.approx(np.prod(1 - betas[:index]))


def test_noised__keeps_the_share_of_its_time():
    images, noise = torch.full((2, 3, 4, 4), 2.0), torch.full((2, 3, 4, 4), 3.0)
    mixed = noised(images, noise, torch.tensor([0, 999]), 1000)
    for found, share in zip(mixed, (0.9999, 4.0358e-5), strict=True):
        expected = 2 * math.sqrt(share) + 3 * math.sqrt(1 - share)
        assert found.flatten().tolist() == pytest.approx([expected] * 48, rel=1e-5)


@pytest.mark.parametrize(
    ("time", "before", "expected"),
    [(225, 200, (0.293493, 0.507459)), (25, 0, (0.009945, 0.0010474)), (0, -1, (0.0, 0.0))],
)
def test_shares__have_the_values_worked_out_by_hand(time, before, expected):
    assert Reverse().shares(time, before) == pytest.approx(expected, rel=1e-4)


def test_shares__without_new_noise_keep_what_was_found():
    anew, again = Reverse(eta=0.0).shares(225, 200)
    assert anew == 0
    assert again == pytest.approx(math.sqrt(1 - float(kept_shares(1000)[201])))


class Told:
    """A network that says the same and remembers what it was told."""

    def __init__(self, says):
        self.says, self.times = says, []

    def __call__(self, images, times):
        self.times.append(int(times[0]))
        return self.says(images) if callable(self.says) else self.says


def draws(*noises):
    supply = iter(noises)
    return lambda: next(supply)


def test_reconstruction__of_a_perfect_network_is_the_image():
    image = torch.rand(1, 3, 4, 4) * 2 - 1
    noise = torch.randn(1, 3, 4, 4)
    told = Told(noise)
    reverse = Reverse(start=1, skip=1, eta=0.0)  # noise of time 1, told 0
    found = reconstructed(told, image, image, reverse, draws(noise))
    kept, less = (float(kept_shares(1000)[i]) for i in (2, 1))
    noisy = math.sqrt(kept) * image + math.sqrt(1 - kept) * noise
    torch.testing.assert_close(found, (noisy - math.sqrt(1 - less) * noise) / math.sqrt(less))

    def oracle(x):  # what is noise in x at the level the network is told of
        share = float(kept_shares(1000)[told.times[-1] + 1])
        return (x - math.sqrt(share) * image) / math.sqrt(1 - share)

    told = Told(oracle)
    found = reconstructed(told, image, image, Reverse(eta=0.0), draws(noise))
    torch.testing.assert_close(found, image, atol=1e-5, rtol=1e-4)
    assert told.times == list(range(225, -1, -25))


def test_reconstruction__of_a_perfect_network_that_is_told_the_truth_is_the_image_in_any_steps():
    image, noise = torch.rand(1, 3, 4, 4) * 2 - 1, torch.randn(1, 3, 4, 4)
    for reverse in (
        Reverse(start=200, skip=200, eta=0.0, exact=True),
        Reverse(start=200, skip=70, eta=0.0, exact=True),
    ):
        found = reconstructed(Told(noise), image, image, reverse, draws(noise))
        torch.testing.assert_close(found, image, atol=1e-5, rtol=1e-4)


def test_reconstruction__asks_ten_times_and_draws_noise_until_the_last():
    drawn = []

    def draw():
        drawn.append(torch.randn(1, 3, 2, 2))
        return drawn[-1]

    image, told = torch.zeros(1, 3, 2, 2), Told(torch.zeros(1, 3, 2, 2))
    reconstructed(told, image, image, Reverse(), draw)
    assert len(told.times) == 10
    assert len(drawn) == 10  # one to begin with, and one a call but the last


def test_reconstruction__is_pulled_towards_its_target():
    """One call, worked by hand: the network finds no noise, so that all of the pull is the conditioning's."""
    image, target = torch.full((1, 3, 2, 2), 0.5), torch.full((1, 3, 2, 2), -0.3)
    noise = torch.ones(1, 3, 2, 2)
    reverse = Reverse(start=250, skip=250, weight=2.0)
    found = reconstructed(Told(torch.zeros_like(image)), image, target, reverse, draws(noise))
    start, kept = (float(kept_shares(1000)[i]) for i in (251, 1))
    x = math.sqrt(start) * 0.5 + math.sqrt(1 - start)
    pulled = -2.0 * math.sqrt(1 - kept) * (math.sqrt(kept) * -0.3 - x)
    expected = (x - math.sqrt(1 - kept) * pulled) / math.sqrt(kept)
    assert float(found.mean()) == pytest.approx(expected, rel=1e-5)


def test_reconstruction__comes_nearer_to_the_target_the_stronger_it_pulls():
    image, target = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    nothing = torch.zeros_like(image)
    apart = [
        float(
            (reconstructed(Told(nothing), image, target, Reverse(eta=0.0, weight=w), draws(nothing)) - target)
            .abs()
            .mean()
        )
        for w in (0.0, 1.0, 3.0)
    ]
    assert apart[0] > apart[1] > apart[2]


# Scores


def test_distances__of_constants():
    image, other = torch.full((1, 3, 8, 8), 0.25), torch.full((1, 3, 8, 8), -0.5)
    assert float(pixel_distance(image, other).max()) == pytest.approx(0.75)
    level = torch.ones(1, 2, 4, 4)
    across = torch.stack([torch.ones(4, 4), -torch.ones(4, 4)])[None]
    torch.testing.assert_close(feature_distances([level], [level])[0], torch.zeros(1, 4, 4))
    torch.testing.assert_close(feature_distances([level], [across])[0], torch.ones(1, 4, 4))
    torch.testing.assert_close(
        summed([torch.ones(1, 2, 2), 2 * torch.ones(1, 4, 4)], (8, 8)), torch.full((1, 8, 8), 3.0)
    )


def test_feature_distance__is_of_windows_with_zeros_beyond_the_border():
    one, other = (torch.randn(1, 3, 4, 5, generator=torch.Generator().manual_seed(i)) for i in (1, 2))
    means = [np.stack([windowed_mean(channel) for channel in maps[0].numpy()]) for maps in (one, other)]
    dot = (means[0] * means[1]).sum(axis=0)
    expected = 1 - dot / (np.linalg.norm(means[0], axis=0) * np.linalg.norm(means[1], axis=0))
    np.testing.assert_allclose(feature_distances([one], [other])[0][0], expected, atol=1e-6)


def windowed_mean(channel):
    padded = np.pad(channel, 1)
    rows, columns = channel.shape
    return np.array([[padded[r : r + 3, c : c + 3].sum() / 9 for c in range(columns)] for r in range(rows)])


def test_balance__brings_good_images_to_one_scale():
    assert balance(torch.tensor([0.2, 0.4]), torch.tensor([0.1, 0.2])) == pytest.approx(2.0)
    assert balance(torch.tensor([0.2]), torch.tensor([0.0])) == 0.0


# Adaptation


def test_halves__are_pairs_of_different_images_with_their_masks():
    valid = torch.ones(5, 64, 96, dtype=torch.bool)
    valid[3, :10] = False
    first, second = halves(replace(leather(5), valid=valid))
    assert first.ids == ("hide0", "hide1")
    assert second.ids == ("hide2", "hide3")
    assert second.valid is not None
    assert not bool(second.valid[1, 0, 0])


def test_adaptation_loss__is_one_part_likeness_and_a_little_memory():
    generator = torch.Generator().manual_seed(0)
    levels = [[torch.randn(2, 3, 4, 4, generator=generator)] for _ in range(4)]
    now, rebuilt, was, was_rebuilt = (level[0].flatten(1) for level in levels)
    expected = 1 - F.cosine_similarity(now, rebuilt)
    expected = expected + 0.1 * (1 - F.cosine_similarity(now, was))
    expected = expected + 0.1 * (1 - F.cosine_similarity(rebuilt, was_rebuilt))
    torch.testing.assert_close(adaptation_loss(*levels, 0.1), expected)
    torch.testing.assert_close(adaptation_loss(*[levels[0]] * 4, 0.1), torch.zeros(2), atol=1e-6, rtol=0)


# The detector


def test_score__is_features_and_balanced_pixels_smoothed(fitted):
    batch = leather(2, seed=4)
    found = seen(fitted, batch)
    rebuilt = fitted._reconstructed(batch.pixels)
    distances = fitted._distances(batch.pixels, rebuilt)
    torch.testing.assert_close(distances.pixels, 2 * (batch.pixels - rebuilt).abs().mean(dim=1))
    raw = distances.features + fitted.balance_ * distances.pixels
    expected = gaussian_filter(raw.detach().numpy(), (0, 4, 4))
    np.testing.assert_allclose(found.scores.pixels, expected, atol=1e-5)
    torch.testing.assert_close(found.scores.image, found.scores.pixels.amax(dim=(1, 2)))
    assert found.reconstruction is not None
    torch.testing.assert_close(found.reconstruction, rebuilt.detach().clamp(0, 1))


def test_score__without_pixels_is_that_of_features(fitted):
    batch = leather(1, seed=4)
    plain = DDAD.from_state(fitted.params.model_copy(update={"pixel_weight": 0.0}), fitted.state())
    distances = fitted._distances(batch.pixels, fitted._reconstructed(batch.pixels))
    expected = gaussian_filter(distances.features.detach().numpy(), (0, 4, 4))
    np.testing.assert_allclose(seen(plain, batch).scores.pixels, expected, atol=1e-6)


def test_balance__is_learned_from_held_out_good_images_and_stays(fitted):
    held_out = leather(2, seed=9)
    distances = fitted._distances(held_out.pixels, fitted._reconstructed(held_out.pixels))
    features, pixels = (d.flatten(1).amax(dim=1) for d in (distances.features, distances.pixels))
    assert fitted.balance_ == pytest.approx(
        float(features.detach().mean() / pixels.detach().mean()), rel=1e-4
    )
    spoilt = leather(3, seed=5)
    spoilt.pixels[0, :, 8:24, 8:24] = 1.0
    together = seen(fitted, spoilt).scores
    alone = seen(fitted, ImagesInMemory(spoilt).batch([1])).scores
    torch.testing.assert_close(together.pixels[1:2], alone.pixels, atol=1e-6, rtol=1e-5)


def test_score__is_the_same_each_time_although_noise_is_drawn_anew(fitted):
    assert fitted.params.eta == 1
    batch = leather(2, seed=4)
    first, again = seen(fitted, batch), seen(fitted, batch)
    assert torch.equal(first.scores.pixels, again.scores.pixels)
    first, second = fitted._reconstructed(batch.pixels[:1].expand(2, -1, -1, -1))
    assert torch.equal(first, second)


def test_features__are_declared_and_cut(fitted):
    found = seen(fitted, leather(1)).features
    assert found.names == ("ddad/residual", "ddad/difference2", "ddad/distance2")
    for spec, maps in zip(fitted.features(), found.maps, strict=True):
        assert maps.shape == (1, spec.channels, 64 // spec.stride, 96 // spec.stride)
    assert cut(found, DDAD.default_cut).names == ("ddad/residual", "ddad/difference2")


def test_adaptation__moves_the_extractor_and_zero_leaves_it_as_it_was(fitted):
    (request,) = fitted.backbones()
    pool = context().pool
    plain = learned(tiny(adaptation_steps=0), leather(4))
    assert "adaptation" not in plain.log_
    batch = leather(2)
    frozen = pool.pyramids(batch, [request])[request].maps
    for level, expected in zip(plain.extractor_(batch.pixels), frozen, strict=True):
        torch.testing.assert_close(level, expected, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(fitted.extractor_(batch.pixels)[0], frozen[0], atol=1e-4, rtol=1e-3)
    assert len(fitted.log_["adaptation"]["losses"]) == 2


def test_denoising__loses_the_sum_over_what_may_be_inspected():
    detector, batch = tiny(), leather(2)
    (request,) = detector.backbones()
    detector._remember(context().pool.spec(request), batch.size)
    detector._build()
    loss = denoising_task("any", detector.unet_, detector.params, detector.params.schedule(2)).loss
    whole = float(loss(batch, torch_generator(1)).detach())
    assert whole == pytest.approx(3 * 64 * 96, rel=0.05)  # nothing predicted of noise of variance 1
    valid = torch.zeros(2, 64, 96, dtype=torch.bool)
    valid[:, :16] = True
    part = float(loss(replace(batch, valid=valid), torch_generator(1)).detach())
    assert part == pytest.approx(whole / 4, rel=0.05)


@pytest.mark.parametrize("time", [0, 40, 249])
def test_by_image__says_the_noise_that_leaves_the_image(time):
    generator = torch_generator(0)
    images, noise = (torch.randn(2, 3, 8, 8, generator=generator) for _ in range(2))
    times = torch.full((2,), time)
    seen = noised(images, noise, times, 1000)
    found = by_image(lambda x, told: images, 1000)(seen, times)
    torch.testing.assert_close(found, noise, atol=2e-4, rtol=1e-4)


def test_predicts_image__loses_against_the_image():
    detector, batch = tiny(predicts="image"), leather(2)
    (request,) = detector.backbones()
    detector._remember(context().pool.spec(request), batch.size)
    detector._build()
    loss = denoising_task("any", detector.unet_, detector.params, detector.params.schedule(2)).loss
    expected = (2 * batch.pixels - 1).square().flatten(1).sum(dim=1).mean()  # it says 0 at first
    torch.testing.assert_close(loss(batch, torch_generator(1)).detach(), expected)


def test_published__settings():
    options = DDAD.params_for(Effort.full)
    assert options.reverse(options.conditioning) == Reverse(1000, 250, 25, 1.0, 11.0)
    assert (options.epochs, options.batch_size, options.learning_rate) == (2000, 32, 3e-4)
    adaptation = options.adaptation(245)
    assert adaptation is not None
    assert (adaptation.steps, adaptation.batch_size) == (8 * 16, 16)
    assert DDAD.Params(adaptation_epochs=0).adaptation(245) is None


def test_quick__is_bounded_whatever_the_number_of_images():
    quick = DDAD.params_for(Effort.quick)
    assert quick.schedule(20).steps == quick.schedule(100_000).steps
    assert quick.adaptation(20) is not None
    assert quick.adaptation(20).steps == quick.adaptation(100_000).steps


def test_anneal__lets_the_rate_fall_to_nothing():
    detector = tiny(anneal=True)
    (request,) = detector.backbones()
    detector._remember(context().pool.spec(request), (64, 96))
    detector._build()
    task = denoising_task("any", detector.unet_, detector.params, detector.params.schedule(4))
    rates = []
    for _ in range(4):
        rates.append(task.optimizers[0].param_groups[0]["lr"])
        task.optimizers[0].step()
        task.schedulers[0].step()
    assert rates == pytest.approx([3e-4 * (1 + math.cos(math.pi * i / 4)) / 2 for i in range(4)])


def test_learned_times__are_those_that_are_asked(monkeypatch):
    detector = tiny(learned_times="asked", start=2, skip=1)
    told = []
    forward = UNet.forward

    def listening(self, images, times):
        told.extend(times.tolist())
        return forward(self, images, times)

    monkeypatch.setattr(UNet, "forward", listening)
    learned(detector, leather(4))
    assert set(told) == {0, 1, 2}


@pytest.mark.parametrize("after", [2, 5])
def test_fit__goes_on_after_an_interruption_of_either_training(tmp_path, fitted, after):
    checkpoint = tmp_path / "last.safetensors"
    with pytest.raises(KeyboardInterrupt):
        learned(tiny(), leather(4), context(checkpoint=checkpoint, progress=Interrupted(after)))
    resumed = learned(tiny(), leather(4), context(checkpoint=checkpoint))
    assert resumed.log_ == fitted.log_
    batch = leather(2, seed=4)
    assert torch.equal(seen(resumed, batch).scores.pixels, seen(fitted, batch).scores.pixels)


def test_keep_best__holds_the_state_of_least_error_on_held_out_images():
    log = learned(tiny(keep="best", epochs=3, steps=None, adaptation_steps=0), leather(4)).log_["denoising"]
    values = dict(log["validations"])
    assert len(values) == 3
    assert values[log["best_step"]] == min(values.values())


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"start": 1000},
            "ddad: expected a start within the diffusion's 1000 timesteps, 1 to 999, got 1000",
        ),
        (
            {"start": 100, "skip": 101},
            "ddad: expected a skip of at most the start, 100, for the U-Net to be called at all, got 101",
        ),
        ({"start": 0}, "ddad: option 'start': input should be greater than 0, got 0"),
        ({"skip": 0}, "ddad: option 'skip': input should be greater than 0, got 0"),
        ({"eta": 1.5}, "ddad: option 'eta': input should be less than or equal to 1, got 1.5"),
        (
            {"layers": [2]},
            "ddad: option 'layers': tuple should have at least 2 items after validation, not 1, got [2]",
        ),
    ],
)
def test_params__say_what_is_wrong(options, message):
    with pytest.raises(ConfigError) as caught:
        DDAD.from_options(options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"heads": 3},
            "ddad: expected heads that share the U-Net's 16 channels evenly, got 3; take 2",
        ),
        (
            {"crop": 50, "patch": 4},
            "ddad: expected a crop divisible by 8 and at least 16, as the U-Net halves its grid, got 50; "
            "the nearest is 48",
        ),
    ],
)
def test_fit__refuses_options_that_do_not_fit_together(options, message):
    with pytest.raises(ConfigError) as caught:
        learned(tiny(**options), leather(4))
    assert str(caught.value) == message


def test_size__is_refused_with_the_nearest_one_that_fits():
    deep = tiny(multipliers=(1, 1, 1, 1, 1, 1), heads=1, adaptation_steps=0, steps=1)
    for refused in (
        lambda: learned(deep, leather(2, size=(96, 160))),
        lambda: seen(learned(deep, leather(2, size=(128, 128))), leather(1, size=(96, 160))),
    ):
        with pytest.raises(InputError) as caught:
            refused()
        assert str(caught.value) == (
            "ddad: expected images of height and width divisible by 64 and at least 128, as the U-Net halves "
            "its grid, got 96 x 160; the nearest size is 128 x 128"
        )

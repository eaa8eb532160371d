"""DRAEM: losses, networks, samples, and the detector from fit to a stored state."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from leatherens.core.artifact import read_state, write_state
from leatherens.core.backbones import BackbonePool
from leatherens.core.detector import Effort, FitContext, cut, observe_all
from leatherens.core.errors import ConfigError, InputError, TrainingError
from leatherens.core.losses import focal, ssim
from leatherens.core.progress import Silent
from leatherens.core.randomness import torch_generator
from leatherens.core.synthesis.cutout import CutOut
from leatherens.core.synthesis.overlay import TextureOverlay
from leatherens.core.synthesis.patterns import ProceduralTextures
from leatherens.core.types import ImageBatch, ImagesInMemory
from leatherens.core.weights import WeightFinder
from leatherens.plugins.draem import DRAEM
from leatherens.plugins.draem.detector import draem_loss, image_scores
from leatherens.plugins.draem.networks import DiscriminativeNetwork, DraemNetworks, ReconstructiveNetwork
from leatherens.plugins.draem.samples import Paths, Sampler, Samples

POOL = BackbonePool(WeightFinder())  # never asked for a backbone
TINY = {"width": 4, "discriminative_width": 4, "steps": 6, "batch_size": 2}


def rng(seed=0):
    return np.random.default_rng(seed)


def grain(count=4, height=64, width=96, seed=0):
    """Good images: one colour with a little noise, another brightness each."""
    generator = torch.Generator().manual_seed(seed)
    level = 0.4 + 0.1 * torch.rand(count, 1, 1, 1, generator=generator)
    noise = 0.05 * torch.rand(count, 3, height, width, generator=generator)
    return ImageBatch(level + noise, tuple(f"hide{i}" for i in range(count)))


def context(**changes):
    return replace(FitContext(POOL, seed=3), **changes)


def fitted(images, **options):
    detector = DRAEM(DRAEM.Params(**{**TINY, **options}))
    return detector.fit(
        ImagesInMemory(images), validation=ImagesInMemory(grain(2, seed=9)), context=context()
    )


@pytest.fixture(scope="module")
def taught():
    """A small DRAEM that has learned enough to find a white patch."""
    return fitted(
        grain(), width=8, discriminative_width=8, steps=60, batch_size=4, learning_rate=5e-3, crop=32
    )


# Losses


def test_ssim__of_an_image_with_itself_is_one():
    image = torch.rand(2, 3, 24, 40)
    torch.testing.assert_close(ssim(image, image), torch.ones_like(image))


def scipy_ssim(x, y):
    """The textbook formula with a two-dimensional window and zeros beyond the border."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(values):
        return correlate(values, window, mode="constant")

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = 1e-4, 9e-4
    return (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))


def test_ssim__agrees_with_the_textbook_even_where_a_value_overshoots():
    x, y = rng(1).random((2, 3, 20, 31)), rng(2).random((2, 3, 20, 31))
    x[0, 0, 5, 5] = -0.9  # would double a guessed dynamic range
    expected = [[scipy_ssim(a, b) for a, b in zip(p, q, strict=True)] for p, q in zip(x, y, strict=True)]
    found = ssim(torch.from_numpy(x).float(), torch.from_numpy(y).float())
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_ssim__is_computed_in_full_precision_under_autocast():
    x, y = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = ssim(x, y)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, ssim(x, y))


@pytest.mark.parametrize(("p", "expected"), [(0.5, 0.1733), (0.9, 0.00105)])
def test_focal__has_the_values_worked_out_by_hand(p, expected):
    probabilities = torch.tensor([1 - p, p]).view(1, 2, 1, 1)
    loss = focal(probabilities, torch.ones(1, 1, 1, dtype=torch.bool), smoothing=0.0)
    assert float(loss) == pytest.approx(expected, abs=5e-5 * (p == 0.5) + 5e-6)
    other = focal(probabilities.flip(1), torch.zeros(1, 1, 1, dtype=torch.long), smoothing=0.0)
    torch.testing.assert_close(loss, other)


def test_focal__smooths_the_target_and_the_probability():
    p, eps = 0.3, 1e-2
    true = (1 - eps) * p + eps * (1 - p) + eps
    probabilities = torch.tensor([1 - p, p]).view(1, 2, 1, 1)
    found = focal(probabilities, torch.ones(1, 1, 1), smoothing=eps)
    assert float(found) == pytest.approx(-((1 - true) ** 2) * np.log(true), rel=1e-5)


def test_focal__stays_finite_with_a_gradient_when_certain_and_wrong():
    probabilities = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).requires_grad_()
    loss = focal(probabilities, torch.ones(1, 1, 1)).sum()
    loss.backward()
    assert float(loss.detach()) == pytest.approx(-np.log(2e-5), rel=1e-3)
    assert probabilities.grad is not None
    assert bool(probabilities.grad.isfinite().all())


# Networks


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_networks__have_the_published_number_of_parameters():
    with torch.device("meta"):
        assert count(ReconstructiveNetwork(128)) == 69_048_579
        assert count(DiscriminativeNetwork(64)) == 28_374_146


def test_networks__begin_as_the_authors_do():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = DraemNetworks(8, 8)
    convolutions = [m for m in networks.modules() if isinstance(m, torch.nn.Conv2d)]
    norms = [m for m in networks.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    weights = torch.cat([m.weight.detach().flatten() for m in convolutions])
    assert float(weights.std()) == pytest.approx(0.02, rel=0.02)
    assert float(weights.mean()) == pytest.approx(0, abs=1e-3)
    assert any(bool(m.bias.detach().abs().max() > 0.02) for m in convolutions)
    scales = torch.cat([m.weight.detach() for m in norms])
    assert float(scales.mean()) == pytest.approx(1, abs=0.005)
    assert float(scales.std()) == pytest.approx(0.02, rel=0.15)
    assert all(not m.bias.any() for m in norms)


def test_reconstructive_network__has_no_way_round_its_bottleneck_and_no_final_activation():
    network = ReconstructiveNetwork(4).eval()
    image = torch.rand(1, 3, 48, 80)
    reconstruction, bottleneck = network(image)
    assert reconstruction.shape == image.shape
    assert bottleneck.shape == (1, 32, 3, 5)
    with torch.no_grad():
        network.out.bias.fill_(-3.0)
        assert float(network(image)[0].max()) < 0
        network.encoder[-1][-2].weight.zero_()  # the bottleneck says nothing any more
        assert torch.equal(network(image)[0], network(torch.rand_like(image))[0])


def test_discriminative_network__has_stages_at_the_declared_strides():
    logits, encoded, decoded = DiscriminativeNetwork(4).eval()(torch.rand(1, 6, 64, 96))
    assert logits.shape == (1, 2, 64, 96)
    assert [64 // m.shape[2] for m in encoded] == [1, 2, 4, 8, 16, 32]
    assert [m.shape[1] for m in encoded] == [4, 8, 16, 32, 32, 32]
    assert [64 // m.shape[2] for m in decoded] == [16, 8, 4, 2, 1]
    assert [m.shape[1] for m in decoded] == [32, 16, 8, 4, 4]


def test_networks__learn_four_fixed_samples_by_heart():
    images, masks = grain(4, 64, 64).pixels, torch.zeros(4, 64, 64, dtype=torch.bool)
    for i in range(4):
        masks[i, 8 * i : 8 * i + 20, 10:34] = True
    noise = torch.rand(4, 3, 64, 64, generator=torch_generator(1))
    samples = Samples(torch.where(masks[:, None], noise, images), images, masks)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = DraemNetworks(8, 8).to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(networks.parameters(), lr=5e-3)
    for step in range(300):
        adam.zero_grad()
        draem_loss(networks, samples).backward()
        adam.step()
        if step % 20 == 19 and missed(networks, samples) < 0.01:
            break
    assert missed(networks, samples) < 0.01
    with torch.no_grad():
        reconstruction, logits = networks(samples.images)
    assert float(((logits.argmax(dim=1) == 1) == masks).float().mean()) > 0.97
    inside = masks[:, None].expand_as(images)
    restored, damaged_by = ((x - images)[inside].square().mean() for x in (reconstruction, samples.images))
    assert float(restored) < float(damaged_by) / 4


def missed(networks, samples):
    """The focal part of the loss."""
    with torch.no_grad():
        _, logits = networks(samples.images)
    return float(focal(logits.softmax(dim=1), samples.masks).mean())


# Samples


def sampler(**changes):
    return replace(Sampler(paths(), rotated_share=0.0), **changes)


def paths(**changes):
    return replace(Paths(TextureOverlay(ProceduralTextures()), CutOut(), clean_share=0.0), **changes)


def test_sampler__restores_the_good_image_outside_and_inside_the_mask():
    batch = grain(6)
    samples = sampler().draw(batch, torch_generator(1))
    assert torch.equal(samples.targets, batch.pixels)
    outside = ~samples.masks[:, None].expand_as(samples.images)
    assert torch.equal(samples.images[outside], samples.targets[outside])
    assert bool(samples.masks.any())
    assert not torch.equal(samples.images, samples.targets)


def test_sampler__follows_its_generator():
    first, again, other = (sampler().draw(grain(), torch_generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)


def test_sampler__turns_some_images_on_a_black_canvas():
    batch = grain(40, 32, 32)
    samples = sampler(rotated_share=0.3).draw(batch, torch_generator(4))
    turned = (samples.targets != batch.pixels).flatten(1).any(dim=1)
    assert 4 <= int(turned.sum()) <= 20
    assert float(samples.targets[turned][:, :, 0, 0].amin()) == 0.0


def test_sampler__keeps_anomalies_within_what_is_valid_also_when_turned():
    pixels = grain(30, 64, 64).pixels
    valid = torch.zeros(30, 64, 64, dtype=torch.bool)
    valid[:, :, 32:] = True
    batch = ImageBatch(pixels, tuple(map(str, range(30))), valid)
    samples = sampler().draw(batch, torch_generator(1))
    assert bool(samples.masks.any())
    assert not bool((samples.masks & ~valid).any())
    marked = torch.where(valid[:, None], 1.0, 0.0).expand(-1, 3, -1, -1).contiguous()
    marked_batch = replace(batch, pixels=marked)
    object.__setattr__(
        marked_batch, "pixels", marked
    )  # past the fill, so that the turned image shows its valid half
    turned = sampler(rotated_share=1.0).draw(marked_batch, torch_generator(1))
    assert bool(turned.masks.any())
    assert float(turned.targets.amin(dim=1)[turned.masks].amin()) > 0.99


def test_sampler__cuts_squares_from_anywhere():
    batch = grain(30, 64, 96)
    samples = sampler(crop=32).draw(batch, torch_generator(1))
    assert samples.images.shape == (30, 3, 32, 32)
    places = set()
    for image, target in zip(batch.pixels, samples.targets, strict=True):
        corners = (image[:, :33, :65] == target[:, :1, :1]).all(dim=0).nonzero()
        same = [(r, c) for r, c in corners.tolist() if torch.equal(image[:, r : r + 32, c : c + 32], target)]
        assert len(same) == 1
        places.add(same[0])
    assert len(places) > 20
    assert sampler(crop=128).draw(batch, torch_generator(1)).images.shape == (30, 3, 64, 96)


def test_paths__without_cut_outs_are_the_published_overlay_to_the_bit():
    image = grain(1).pixels[0].permute(1, 2, 0).contiguous().numpy()
    plain = TextureOverlay(ProceduralTextures(), clean_share=0.4)
    for seed in range(20):
        found, mask = paths(clean_share=0.4).draw(image, None, rng(seed))
        expected, marked = plain.draw(image, None, rng(seed))
        assert np.array_equal(found, expected)
        assert np.array_equal(mask, marked)


def test_paths__are_three_and_taken_as_often_as_asked_for():
    image = np.full((32, 32, 3), 0.5, np.float32)
    three = paths(clean_share=0.5, cut_out_share=0.4)
    drawn = [three.draw(image, None, rng(seed)) for seed in range(400)]
    untouched = sum(np.array_equal(seen, image) and not mask.any() for seen, mask in drawn)
    white = sum(bool(mask.any()) and bool((seen[mask] == 1).all()) for seen, mask in drawn)
    assert 0.5 * 400 - 50 < untouched < 0.5 * 400 + 80  # a few Perlin masks are empty
    assert 0.2 * 400 - 30 < white < 0.2 * 400 + 30
    assert all(np.array_equal(seen[~mask], image[~mask]) for seen, mask in drawn)


def test_paths__cut_out_in_the_colour_asked_for_and_reconstruct_what_was_there():
    red = CutOut((1.0, 0.0, 0.0))
    batch = grain(8)
    samples = sampler(paths=paths(cut_out=red, cut_out_share=1.0)).draw(batch, torch_generator(1))
    assert torch.equal(samples.targets, batch.pixels)
    assert bool(samples.masks.flatten(1).any(dim=1).all())
    inside = samples.images.permute(0, 2, 3, 1)[samples.masks]  # (n, 3)
    assert torch.equal(inside, torch.tensor([1.0, 0.0, 0.0]).expand_as(inside))


# Scores


def test_image_score__averages_before_it_takes_the_largest():
    hot = torch.zeros(1, 64, 96)
    hot[0, 32, 48] = 1
    assert float(image_scores(hot, None)) == pytest.approx(1 / 441)
    assert float(image_scores(torch.ones(1, 64, 96), None)) == pytest.approx(1.0)


def test_image_score__sees_valid_pixels_only():
    pixels, valid = torch.zeros(1, 64, 64), torch.zeros(1, 64, 64, dtype=torch.bool)
    valid[:, :, :30] = True
    pixels[:, :, 30:] = 1
    assert float(image_scores(pixels, valid)) == 0.0
    pixels[0, 32, 0] = 1
    assert float(image_scores(pixels, valid)) == pytest.approx(1 / 441)


def damaged(batch, rows, columns):
    pixels = batch.pixels.clone()
    pixels[:, :, rows, columns] = 1.0
    return replace(batch, pixels=pixels)


def test_detector__points_at_a_defect_it_never_saw(taught):
    good = grain(6, seed=5)
    bad = damaged(good, slice(8, 24), slice(60, 84))
    normal, found = (observe_all(taught, ImagesInMemory(batch), POOL) for batch in (good, bad))
    assert float(found.image.min()) > float(normal.image.max())
    inside = found.pixels[:, 8:24, 60:84].mean()
    assert float(inside) > 2 * float(found.pixels[:, 32:].mean())


def test_detector__scores_with_the_probability_of_an_anomaly(taught):
    batch = damaged(grain(2), slice(8, 24), slice(60, 84))
    seen = taught.observe(batch, {})
    _, logits = taught.networks_(batch.pixels)
    shares = logits.detach().softmax(dim=1)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2, 64, 96))
    torch.testing.assert_close(seen.scores.pixels, shares[:, 1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(seen.scores.image, image_scores(seen.scores.pixels, None))


@contextmanager
def overheard(module):
    """What a module is called with."""
    calls = []
    handle = module.register_forward_pre_hook(lambda _, inputs: calls.append(inputs[0].detach().clone()))
    try:
        yield calls
    finally:
        handle.remove()


def test_detector__shows_reconstruction_then_image_when_scoring_and_when_learning(taught):
    networks, image = taught.networks_, grain(2).pixels
    reconstruction = networks.reconstructive(image)[0].detach()
    with overheard(networks.discriminative) as calls:
        taught.observe(ImageBatch(image, ("a", "b")), {})
        networks(image)
    for pair in calls:
        torch.testing.assert_close(pair[:, :3], reconstruction, atol=1e-5, rtol=1e-4)
        assert torch.equal(pair[:, 3:], image)
    with torch.no_grad():
        straight, swapped = (networks.discriminative(p)[0] for p in (calls[0], calls[0].roll(3, dims=1)))
    assert float((straight - swapped).abs().max()) > 0.1


def half_hidden():
    valid = torch.zeros(2, 64, 96, dtype=torch.bool)
    valid[:, :, 40:] = True
    return replace(damaged(grain(2), slice(8, 24), slice(60, 84)), valid=valid)


def test_masking__before_the_second_network_hides_the_reconstruction_there(taught):
    batch = half_hidden()
    state = taught.state()
    post, pre = (
        DRAEM.from_state(taught.params.model_copy(update={"masking": when}), state)
        for when in ("post", "pre")
    )
    with overheard(pre.networks_.discriminative) as calls:
        hidden = pre.observe(batch, {})
    (seen,) = calls
    outside = ~batch.valid[:, None].expand(-1, 3, -1, -1)
    assert torch.equal(
        seen[:, :3][outside], batch.pixels[outside]
    )  # the image's own filling, as in the image
    after = post.observe(batch, {})
    assert not torch.equal(hidden.scores.pixels[:, :, 40:], after.scores.pixels[:, :, 40:])
    for scores in (hidden.scores.pixels, after.scores.pixels):  # and both are silent there
        assert bool((scores[:, :, :40].amax(dim=(1, 2)) <= scores[:, :, 40:].amin(dim=(1, 2))).all())


def test_masking__of_nothing_is_the_same_before_and_after(taught):
    batch = damaged(grain(2), slice(8, 24), slice(60, 84))
    pre = DRAEM.from_state(taught.params.model_copy(update={"masking": "pre"}), taught.state())
    assert torch.equal(pre.observe(batch, {}).scores.pixels, taught.observe(batch, {}).scores.pixels)


def test_detector__scores_images_of_512(taught):
    large = damaged(grain(1, 512, 512), slice(200, 216), slice(300, 324))
    seen = taught.observe(large, {})
    assert seen.scores.pixels.shape == (1, 512, 512)
    assert seen.reconstruction.shape == (1, 3, 512, 512)
    assert float(seen.scores.pixels[0, 200:216, 300:324].mean()) > float(seen.scores.pixels.mean())


def test_detector__delivers_the_features_it_declares(taught):
    batch = damaged(grain(2), slice(8, 24), slice(60, 84))
    seen = taught.observe(batch, {}).features
    assert seen.names == tuple(spec.name for spec in taught.features())
    for spec, maps in zip(taught.features(), seen.maps, strict=True):
        assert maps.shape == (2, spec.channels, 64 // spec.stride, 96 // spec.stride), spec.name
    assert cut(seen, DRAEM.default_cut).names == ("draem/residual", "draem/decoder3")
    reconstruction, _ = taught.networks_.reconstructive(batch.pixels)
    blocks = (batch.pixels - reconstruction.detach()).abs().unflatten(2, (16, 4)).unflatten(4, (24, 4))
    torch.testing.assert_close(seen["draem/residual"], blocks.mean(dim=(3, 5)), atol=1e-5, rtol=1e-4)


def test_detector__scores_each_image_on_its_own_and_changes_nothing(taught):
    batch = damaged(grain(3), slice(8, 24), slice(60, 84))
    before = {name: t.clone() for name, t in taught.networks_.state_dict().items()}
    together = taught.observe(batch, {}).scores
    for i in range(3):
        alone = taught.observe(ImageBatch(batch.pixels[i : i + 1], batch.ids[i : i + 1]), {}).scores
        torch.testing.assert_close(alone.pixels[0], together.pixels[i], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(alone.image[0], together.image[i], atol=1e-5, rtol=1e-4)
    assert all(torch.equal(before[name], t) for name, t in taught.networks_.state_dict().items())


def test_detector__comes_back_from_disk_with_the_same_scores(taught, tmp_path):
    write_state(tmp_path, taught.state())
    loaded = DRAEM.from_state(taught.params, read_state(tmp_path))
    batch = damaged(grain(2), slice(8, 24), slice(60, 84))
    first, second = taught.observe(batch, {}), loaded.observe(batch, {})
    assert torch.equal(first.scores.pixels, second.scores.pixels)
    assert torch.equal(first.scores.image, second.scores.image)
    assert loaded.log_ == taught.log_
    assert len(loaded.log_["losses"]) == 60


# Learning


def test_fit__depends_on_its_seed_and_nothing_else():
    state = torch.random.get_rng_state()
    first, again = fitted(grain()).log_["losses"], fitted(grain()).log_["losses"]
    assert first == again
    assert torch.equal(state, torch.random.get_rng_state())
    other = DRAEM(DRAEM.Params(**TINY))
    other.fit(ImagesInMemory(grain()), validation=ImagesInMemory(grain(1)), context=context(seed=4))
    assert other.log_["losses"] != first


class PowerCut(Silent):
    """Stops the training after some steps."""

    def __init__(self, after):
        self.left = after

    @contextmanager
    def step(self, title, total):
        def advance(units):
            self.left -= units
            if self.left < 0:
                raise KeyboardInterrupt

        yield advance


@pytest.mark.parametrize("after", [3, 8])
def test_fit__goes_on_after_an_interruption_as_if_there_had_been_none(tmp_path, after):
    options = DRAEM.Params(**{**TINY, "steps": 10})  # the rate falls after 8 and after 9 steps
    images, checkpoint = ImagesInMemory(grain(4, 32, 32)), tmp_path / "last.safetensors"
    whole = DRAEM(options).fit(images, validation=images, context=context())
    with pytest.raises(KeyboardInterrupt):
        DRAEM(options).fit(
            images, validation=images, context=context(checkpoint=checkpoint, progress=PowerCut(after))
        )
    assert checkpoint.exists()
    resumed = DRAEM(options).fit(images, validation=images, context=context(checkpoint=checkpoint))
    assert resumed.log_["losses"] == whole.log_["losses"]
    for name, tensor in whole.networks_.state_dict().items():
        assert torch.equal(tensor, resumed.networks_.state_dict()[name]), name


def task_of(detector, images=1):
    detector._build()
    schedule = detector._schedule(images)
    return schedule, detector._task(schedule, detector._sampler(ProceduralTextures()))


def test_schedule__lowers_the_rate_to_a_fifth_twice():
    schedule, task = task_of(
        DRAEM(DRAEM.Params(**{**TINY, "steps": None, "epochs": 10, "batch_size": 4})), 10
    )
    assert schedule.steps == 30  # three batches of four show ten images
    rates = []
    for _ in range(schedule.steps):
        rates.append(task.optimizers[0].param_groups[0]["lr"])
        task.optimizers[0].step()
        task.schedulers[0].step()
    assert rates == pytest.approx([1e-4] * 24 + [2e-5] * 3 + [4e-6] * 3)


def test_schedule__of_the_paper():
    detector = DRAEM(DRAEM.params_for(Effort.full))
    assert (detector.params.width, detector.params.discriminative_width) == (128, 64)
    assert detector.params.crop is None
    schedule = detector._schedule(245)
    assert (schedule.steps, schedule.batch_size, schedule.patience) == (700 * 31, 8, None)


def test_quick__is_narrow_and_bounded_whatever_the_number_of_images():
    quick = DRAEM.params_for(Effort.quick)
    assert quick.width <= 32
    assert DRAEM(quick)._schedule(10) == DRAEM(quick)._schedule(100_000)


def test_judge__gives_one_comparable_value_for_each_good_image():
    _, task = task_of(DRAEM(DRAEM.Params(**TINY, keep="best")))
    batch = grain(3)
    task.module.eval()
    with torch.inference_mode():
        first, again, other = (task.judge(batch, torch_generator(seed)) for seed in (1, 1, 2))
    assert first.shape == (3,)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert task_of(DRAEM(DRAEM.Params(**TINY)))[1].judge is None


def test_keep_best__holds_the_state_with_the_smallest_validation_value():
    log = fitted(grain(4, 32, 32), keep="best", steps=8).log_
    assert [step for step, _ in log["validations"]] == list(range(1, 9))
    values = dict(log["validations"])
    assert values[log["best_step"]] == min(values.values())


def test_fit__takes_textures_from_a_folder_and_says_what_it_skipped(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"")
    np_image = (rng().random((20, 20, 3)) * 255).astype(np.uint8)
    _write(tmp_path / "sub" / "noise.png", np_image)
    said = []

    class Listening(Silent):
        def say(self, sentence):
            said.append(sentence)

    images = ImagesInMemory(grain(2, 32, 32))
    detector = DRAEM(DRAEM.Params(**{**TINY, "textures": tmp_path, "clean_share": 0.0}))
    detector.fit(images, validation=images, context=context(progress=Listening()))
    assert said == [f"draem: 1 of 2 texture files in {tmp_path} could not be read and were skipped"]
    json.dumps(detector.params.model_dump(mode="json"))


def _write(path, image):
    from PIL import Image

    path.parent.mkdir()
    Image.fromarray(image).save(path)


def test_fit__refuses_a_folder_without_textures_and_a_size_it_cannot_halve(tmp_path):
    images = ImagesInMemory(grain(2, 32, 32))
    with pytest.raises(InputError, match="expected texture pictures in it"):
        DRAEM(DRAEM.Params(**TINY, textures=tmp_path)).fit(images, validation=images, context=context())
    odd = ImagesInMemory(grain(2, 40, 64))
    with pytest.raises(InputError) as caught:
        DRAEM(DRAEM.Params(**TINY)).fit(odd, validation=odd, context=context())
    assert str(caught.value) == (
        "draem: expected images of height and width divisible by 32 and at least 32, got 40 x 64; "
        "the nearest size is 32 x 64"
    )


def test_fit__stops_when_the_loss_is_no_number():
    with pytest.raises(TrainingError, match="draem: the loss became NaN or infinite at step"):
        fitted(grain(2, 32, 32), learning_rate=1e25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"crop": 100},
            "draem: option 'crop': expected a multiple of 32, because the networks halve the "
            "image five times, got 100",
        ),
        (
            {"beta": [0.8, 0.1]},
            "draem: option 'beta': expected two ends of a range, the smaller first and not "
            "negative, got [0.8, 0.1]",
        ),
        ({"batch_size": 1}, "draem: option 'batch_size': input should be greater than or equal to 2, got 1"),
    ],
)
def test_params__say_what_is_wrong(options, message):
    with pytest.raises(ConfigError) as caught:
        DRAEM.from_options(options)
    assert str(caught.value) == message

"""The autoencoders: layers, similarity, windows, the frame, and the detectors from fit to a stored state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate, label

from leatherens.core.artifact import read_state, write_state
from leatherens.core.autoencoder import Passed, PatchAutoencoder, whole
from leatherens.core.backbones import BackbonePool
from leatherens.core.detector import Effort, FitContext, observe_all
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.frame import edge_distance, learn_frame, levelled
from leatherens.core.losses import dissimilarity
from leatherens.core.randomness import torch_generator
from leatherens.core.types import ImageBatch, ImagesInMemory
from leatherens.core.weights import WeightFinder
from leatherens.plugins.mse_autoencoder import MSEAutoencoder
from leatherens.plugins.ssim_autoencoder import SSIMAutoencoder

POOL = BackbonePool(WeightFinder())  # never asked for a backbone
BOTH = [MSEAutoencoder, SSIMAutoencoder]
TINY = {"patch": 32, "latent": 8, "width": 4, "batch_size": 4, "steps": 3, "step": 16}


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


def fitted(kind, images=None, **options):
    source = ImagesInMemory(grain() if images is None else images)
    detector = kind.from_options(TINY | options)
    return detector.fit(source, validation=ImagesInMemory(grain(2, seed=9)), context=context())


# The network


@pytest.mark.parametrize(
    ("patch", "latent", "expected"), [(128, 100, 1_050_599), (256, 100, 1_083_431), (256, 500, 2_722_231)]
)
def test_network__has_as_many_parameters_as_the_papers(patch, latent, expected):
    assert sum(p.numel() for p in PatchAutoencoder(patch, latent).parameters()) == expected


@pytest.mark.parametrize("patch", [32, 64, 128, 256])
def test_network__halves_to_eight_and_back(patch):
    network = PatchAutoencoder(patch, 7, 2)
    codes = []
    network.code.register_forward_hook(lambda _, inputs, code: codes.append((inputs[0].shape, code.shape)))
    made = network(torch.rand(3, 3, patch, patch))
    fine = patch // (patch // 32)
    assert codes == [((3, 2, 8, 8), (3, 7, 1, 1))]
    assert made.reconstruction.shape == (3, 3, patch, patch)
    assert [m.shape[1:] for m in made.encoded] == [(2, fine, fine), (4, 16, 16), (2, 8, 8)]
    assert [m.shape[1:] for m in made.decoded] == [(8, 8, 8), (4, 16, 16), (2, fine, fine)]


def test_network__is_linear_only_at_the_code_and_at_the_end():
    network = PatchAutoencoder(128, 5, 2)
    kinds = [type(module).__name__ for module in network.modules() if not list(module.children())]
    assert kinds.count("LeakyReLU") == 16  # 18 layers
    assert kinds[-1] == "ConvTranspose2d"
    assert all(m.negative_slope == 0.2 for m in network.modules() if isinstance(m, torch.nn.LeakyReLU))


# Windows


class Echo(torch.nn.Module):
    """Gives back each patch plus what it is told, as if it were an autoencoder of patches of 32."""

    patch = 32

    def __init__(self, more=lambda patches: 0.0):
        super().__init__()
        self.more = more

    def forward(self, patches):
        made = patches + self.more(patches)
        levels = [torch.nn.functional.avg_pool2d(patches, side) for side in (1, 2, 4)]
        return Passed(made, levels, levels[::-1])


def test_whole__puts_every_window_and_every_map_where_it_belongs():
    image = torch.rand(2, 3, 48, 84)  # the last windows begin at 16 and at 52
    made = whole(Echo(), image, 16)
    torch.testing.assert_close(made.reconstruction, image)
    for side, encoded, decoded in zip((1, 2, 4), made.encoded, made.decoded[::-1], strict=True):
        expected = torch.nn.functional.avg_pool2d(image, side)
        torch.testing.assert_close(encoded, expected)
        torch.testing.assert_close(decoded, expected)


def test_whole__averages_what_overlaps():
    image = torch.rand(1, 3, 32, 64)
    means = [image[..., start : start + 32].mean() for start in (0, 16, 32)]
    expected = image.clone()
    for start in range(0, 64, 16):
        over = [mean for at, mean in zip((0, 16, 32), means, strict=True) if at <= start < at + 32]
        expected[..., start : start + 16] += sum(over) / len(over)
    made = whole(Echo(lambda p: p.mean(dim=(1, 2, 3), keepdim=True)), image, 16)
    torch.testing.assert_close(made.reconstruction, expected)


def test_whole__of_one_patch_is_the_network():
    network, image = PatchAutoencoder(32, 8, 4).eval(), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        made, direct = whole(network, image, 16), network(image)
    torch.testing.assert_close(made.reconstruction, direct.reconstruction)
    torch.testing.assert_close(made.encoded[2], direct.encoded[2])


# Similarity


def constant(value):
    return torch.full((1, 3, 16, 24), value)


@pytest.mark.parametrize(
    ("first", "second", "constants", "expected"),
    [
        (0.5, 0.6, (1e-4, 9e-4), 0.98361),
        (0.5, 0.6, (0.01, 0.03), 0.98387),
        (0.0, 1.0, (1e-4, 9e-4), 9.999e-5),
    ],
)
def test_dissimilarity__of_constant_images_by_hand(first, second, constants, expected):
    found = 1 - dissimilarity(constant(first), constant(second), constants)
    torch.testing.assert_close(found, torch.full_like(found, expected), atol=5e-5, rtol=0)


def test_dissimilarity__is_nothing_between_equals_symmetric_and_at_most_two():
    x, y = torch.rand(2, 3, 24, 40), torch.rand(2, 3, 24, 40)
    assert float(dissimilarity(x, x).max()) < 1e-4
    torch.testing.assert_close(dissimilarity(x, y), dissimilarity(y, x))
    assert 0 <= float(dissimilarity(x, y).min()) <= float(dissimilarity(x, y).max()) <= 2 + 1e-4


def test_dissimilarity__of_an_inverted_texture_is_near_two():
    texture = torch.rand(1, 3, 32, 32) - 0.5
    assert float(dissimilarity(0.5 + texture, 0.5 - texture).median()) > 1.9


def test_dissimilarity__agrees_with_the_textbook_on_mirrored_images():
    x, y = rng(1).random((20, 31)), rng(2).random((20, 31))
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))

    def mean(values):
        return correlate(values, window / window.sum(), mode="mirror")

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    expected = 1 - (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    found = dissimilarity(*(torch.from_numpy(v).float().expand(1, 3, 20, 31) for v in (x, y)))
    np.testing.assert_allclose(found[0, 1], expected, atol=2e-4)


def test_dissimilarity__is_computed_in_full_precision_under_autocast():
    x, y = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = dissimilarity(x, y)
    torch.testing.assert_close(found, dissimilarity(x, y), atol=0, rtol=0)


def test_squared_error__of_an_offset_of_a_tenth_is_a_hundredth():
    image = grain(1).pixels
    found = MSEAutoencoder().compared(image, image + 0.1)
    torch.testing.assert_close(found, torch.full_like(found, 0.01))


# The frame


def test_learn_frame__by_hand():
    good = torch.ones(2, 8, 10)
    distance = edge_distance((8, 10))
    good[:, distance == 0] = 4.0
    good[:, distance == 1] = 0.5  # less than inside: nothing to take off
    assert learn_frame([(good, None)], 2).tolist() == [4.0, 1.0]
    torch.testing.assert_close(levelled(good, torch.tensor([4.0, 1.0]))[:, distance == 0], torch.ones(2, 32))
    assert torch.equal(levelled(good, torch.ones(0)), good)


def test_learn_frame__counts_valid_pixels_only():
    good, valid = torch.ones(1, 8, 10), torch.ones(1, 8, 10, dtype=torch.bool)
    good[:, 0], valid[:, 0] = 100.0, False
    assert learn_frame([(good, valid)], 1).tolist() == [1.0]


def test_learn_frame__of_images_without_an_inside_takes_nothing_off():
    assert learn_frame([(torch.ones(1, 8, 8), None)], 4).tolist() == [1.0] * 4
    assert learn_frame([(torch.zeros(1, 8, 8), None)], 2).tolist() == [1.0] * 2


def clear_border(mask):
    """The usual remedy: every 8-connected blob that touches the edge is removed."""
    blobs, count = label(mask, np.ones((3, 3)))
    edge = edge_distance(mask.shape).numpy() == 0
    return mask & ~np.isin(blobs, [i for i in range(1, count + 1) if edge[blobs == i].any()])


def test_frame__keeps_the_defect_at_the_edge_that_clearing_the_border_deletes():
    small = np.zeros((5, 5), bool)
    small[:2, 1] = small[3, 3] = True
    assert np.argwhere(clear_border(small)).tolist() == [[3, 3]]

    generator = torch.Generator().manual_seed(0)
    good = 0.1 + 0.01 * torch.rand(20, 32, 48, generator=generator)
    good[:, edge_distance((32, 48)) < 2] *= 3
    frame = learn_frame([(good[:10], None)], 4)
    threshold = levelled(good[10:], frame).max()
    defective = good[10:11].clone()
    defective[0, :4, 20:26] += 0.6
    found = (levelled(defective, frame) > threshold)[0].numpy()

    expected = np.zeros_like(found)
    expected[:4, 20:26] = True
    assert np.array_equal(found, expected)
    assert not clear_border(found).any()
    plain = (defective > good[10:].max())[0].numpy()
    assert found.sum() >= plain.sum()  # the frame of good images no longer raises the threshold


# The detectors


def test_params__are_the_papers_at_full_effort():
    for kind in BOTH:
        full = kind.params_for(Effort.full)
        assert (full.patch, full.latent, full.width, full.learning_rate) == (128, 100, 32, 2e-4)
        schedule = full.schedule(200)
        assert (schedule.steps, schedule.batch_size) == (200 * 79, 128)
    assert SSIMAutoencoder.params_for(Effort.full).constants == pytest.approx((1e-4, 9e-4))


def test_quick__is_narrow_and_bounded_whatever_the_number_of_images():
    for kind in BOTH:
        quick = kind.params_for(Effort.quick)
        assert quick.width < 32
        assert quick.schedule(10) == quick.schedule(100_000)


@pytest.mark.parametrize("kind", BOTH)
def test_fit__learns_to_repeat_good_images_and_points_at_a_defect(kind):
    detector = fitted(kind, steps=60, batch_size=8, learning_rate=1e-2)
    losses = detector.log_["losses"]
    assert np.mean(losses[-5:]) < 0.8 * losses[0]
    good = grain(6, seed=5)
    pixels = good.pixels.clone()
    pixels[:, :, 8:24, 60:84] = torch.from_numpy(rng().random((6, 3, 16, 24))).float()
    bad = replace(good, pixels=pixels)
    normal, found = (observe_all(detector, ImagesInMemory(batch), POOL) for batch in (good, bad))
    assert float(found.image.min()) > float(normal.image.max())
    assert float(found.pixels[:, 8:24, 60:84].mean()) > 2 * float(found.pixels[:, 32:].mean())


@pytest.mark.parametrize("kind", BOTH)
def test_score__is_the_comparison_of_image_and_reconstruction(kind):
    detector, batch = fitted(kind), grain(2, seed=4)
    seen = detector.observe(batch, {})
    with torch.no_grad():
        made = whole(detector.network_, batch.pixels, 16).reconstruction
    error = detector.compared(batch.pixels, made).mean(dim=1)
    torch.testing.assert_close(seen.scores.pixels, error)
    torch.testing.assert_close(seen.scores.image, error.flatten(1).amax(dim=1))
    torch.testing.assert_close(seen.reconstruction, made.clamp(0, 1))


def test_frame__is_learned_from_validation_images_and_stored(tmp_path):
    detector = fitted(SSIMAutoencoder, frame=6)
    assert detector.frame_.shape == (6,)
    assert bool((detector.frame_ >= 1).all())
    write_state(tmp_path, detector.state())
    again = SSIMAutoencoder.from_state(detector.params, read_state(tmp_path))
    seen, same = detector.observe(grain(1), {}), again.observe(grain(1), {})
    assert torch.equal(seen.scores.pixels, same.scores.pixels)
    plain = SSIMAutoencoder.from_state(
        detector.params, {**detector.state(), "frame_": torch.ones(0)}
    ).observe(grain(1), {})
    assert torch.equal(plain.scores.pixels[:, 6:-6, 6:-6], seen.scores.pixels[:, 6:-6, 6:-6])
    assert not torch.equal(plain.scores.pixels, seen.scores.pixels)


def test_loss__looks_at_valid_pixels_only():
    batch = grain(4, 32, 32)
    valid = torch.ones(4, 32, 32, dtype=torch.bool)
    valid[:, :, 20:] = False
    loud = batch.pixels.clone()
    loud[:, :, :, 20:] = torch.rand(4, 3, 32, 12)
    detector = MSEAutoencoder.from_options(TINY | {"rotated_share": 0.0})
    detector._build()
    task = detector._task()
    losses = [
        float(task.loss(ImageBatch(pixels, batch.ids, valid), torch_generator(0)).detach())
        for pixels in (batch.pixels, loud)
    ]
    assert losses[0] == losses[1]


def test_keep_best__holds_the_state_with_the_smallest_validation_value():
    log = fitted(MSEAutoencoder, keep="best", steps=8).log_
    values = dict(log["validations"])
    assert values[log["best_step"]] == min(values.values())


@pytest.mark.parametrize(
    ("options", "size", "sentence"),
    [
        (
            {},
            (64, 96),
            "ssim-autoencoder: patches of 128 x 128 need images of height and width divisible by 16 and at "
            "least 128, got 64 x 96; the nearest size is 128 x 128, or set a smaller patch",
        ),
        (
            {"patch": 256},
            (272, 512),
            "ssim-autoencoder: patches of 256 x 256 need images of height and width divisible by 32 and at "
            "least 256, got 272 x 512; the nearest size is 256 x 512, or set a smaller patch",
        ),
        (
            {},
            (250, 100),
            "ssim-autoencoder: patches of 128 x 128 need images of height and width divisible by 16 and at "
            "least 128, got 250 x 100; the nearest size is 256 x 128, or set a smaller patch",
        ),
    ],
)
def test_size__that_does_not_fit_is_refused_with_the_nearest_that_does(options, size, sentence):
    with pytest.raises(InputError) as caught:
        SSIMAutoencoder.from_options(options).check_size(size)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"step": 30},
            "mse-autoencoder: step: expected a multiple of 16 (an eighth of the patch) up to 128, got 30",
        ),
        (
            {"patch": 64, "step": 72},
            "mse-autoencoder: step: expected a multiple of 8 (an eighth of the patch) up to 64, got 72",
        ),
        ({"patch": 100}, "mse-autoencoder: option 'patch': input should be 32, 64, 128 or 256, got 100"),
    ],
)
def test_params__say_what_is_wrong(options, sentence):
    with pytest.raises(ConfigError) as caught:
        MSEAutoencoder.from_options(options)
    assert str(caught.value) == sentence

"""MemSeg: losses by hand, the memory, what the network is made of, and the detector as a whole."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from small_leather import Interrupted, context, learned, leather, remembered, seen

from leatherens.core.detector import Effort, cut
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.progress import Silent
from leatherens.plugins.memseg import MemSeg
from leatherens.plugins.memseg.detector import joined, rate, segmentation_loss
from leatherens.plugins.memseg.memory import Memory
from leatherens.plugins.memseg.networks import CoordinateAttention, Fusion, MemSegNetwork, spatial_weights

TINY = {
    "backbone": "tf_efficientnet_lite0",
    "weights": "random",
    "memory": 2,
    "width": 4,
    "batch_size": 4,
    "steps": 3,
}


def tiny(**options):
    return MemSeg(MemSeg.Params(**{**TINY, **options}))


@pytest.fixture(scope="module")
def fitted():
    return learned(tiny(), leather(4))


# Losses


def logits_of(share):
    return torch.tensor([0.0, math.log(share / (1 - share))]).view(1, 2, 1, 1)


def test_loss__has_the_values_worked_out_by_hand():
    anomalous, good = torch.ones(1, 1, 1, dtype=torch.bool), torch.zeros(1, 1, 1, dtype=torch.bool)
    focal_only = float(segmentation_loss(logits_of(0.5), anomalous, 0.0))
    assert focal_only == pytest.approx(0.5**4 * math.log(2), rel=1e-3)  # 0.043322
    assert float(segmentation_loss(logits_of(0.3), good, 1.0)) == pytest.approx(0.3)
    both = 0.6 * 0.7 + 0.4 * -(0.7**4) * math.log(0.3)
    assert float(segmentation_loss(logits_of(0.3), anomalous, 0.6)) == pytest.approx(both, rel=1e-3)


def test_loss__is_of_valid_pixels_only():
    logits = torch.randn(2, 2, 4, 6, generator=torch.Generator().manual_seed(0))
    masks, valid = torch.zeros(2, 4, 6, dtype=torch.bool), torch.zeros(2, 4, 6, dtype=torch.bool)
    valid[:, :, :3] = True
    found = segmentation_loss(logits, masks, 0.6, valid)
    torch.testing.assert_close(found, segmentation_loss(logits[..., :3], masks[..., :3], 0.6))


def test_rate__rises_for_a_tenth_and_falls_to_the_least():
    rates = [3e-3 * rate(step, 5000, warm=0.1, least=1 / 30) for step in range(5001)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[500] == pytest.approx(3e-3)
    assert rates[2750] == pytest.approx((3e-3 + 1e-4) / 2)
    assert rates[5000] == pytest.approx(1e-4)
    assert rate(0, 1, warm=0.0, least=0.5) == 1.0


# The memory


def levels(count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(count, c, s, s, generator=generator) for c, s in ((2, 8), (3, 4), (4, 2))]


def filled(scaled=False):
    memory = Memory(3, (2, 3, 4), [(8, 8), (4, 4), (2, 2)])
    memory.fill(levels(), scaled=scaled)
    return memory


@pytest.mark.parametrize("scaled", [False, True])
def test_memory__finds_what_it_remembers_and_sees_no_difference(scaled):
    compared = filled(scaled).compared([level[[2, 0]] for level in levels()])
    for both, level in zip(compared, levels(), strict=True):
        channels = level.shape[1]
        assert both.shape[1] == 2 * channels
        torch.testing.assert_close(both[:, channels:], torch.zeros(2, *level.shape[1:]))
        if not scaled:
            assert torch.equal(both[:, :channels], level[[2, 0]])


def test_memory__takes_the_smallest_sum_of_mean_squares_over_all_levels():
    asked = levels(2, seed=5)
    apart = torch.zeros(2, 3)
    for known, level in zip(levels(), asked, strict=True):
        apart += (level[:, None] - known).square().mean(dim=(2, 3, 4))
    expected = apart.argmin(dim=1).tolist()
    memory = filled()
    assert memory.nearest(asked).tolist() == expected
    barred = torch.zeros(2, 3, dtype=torch.bool)
    barred[0, expected[0]] = True
    found = memory.nearest(asked, barred=barred).tolist()
    assert found[0] != expected[0]
    assert found[1] == expected[1]
    for both, level, known in zip(memory.compared(asked), asked, levels(), strict=True):
        torch.testing.assert_close(both[:, level.shape[1] :], (level - known[expected]).square())


def test_memory__compares_valid_positions_only():
    asked = [level[[1]].clone() for level in levels()]
    for level in asked:
        level[..., : level.shape[-1] // 2] = 50.0  # hidden, and unlike anything
    valid = torch.zeros(1, 16, 16, dtype=torch.bool)
    valid[..., 8:] = True
    assert filled().nearest(asked, valid).tolist() == [1]


def test_memory__scaled_holds_levels_of_mean_square_one():
    for level in filled(scaled=True).levels:
        assert float(level.square().mean()) == pytest.approx(1.0)


# The network


def test_attention__weighs_rows_and_columns():
    layer = CoordinateAttention(4).eval()
    maps = torch.randn(2, 4, 5, 7)
    weights = layer(maps) / maps  # of a row and of a column, multiplied
    ratio = weights[:, :, :, 0] / weights[:, :, :, 3]
    torch.testing.assert_close(ratio, ratio[:, :, :1].expand_as(ratio), atol=1e-4, rtol=1e-3)
    assert bool((weights > 0).all())
    assert bool((weights < 1).all())


def test_spatial_weights__cascade_from_coarse_to_fine():
    parts = [(0.2, 8), (0.3, 4), (0.5, 2)]
    given = [torch.cat([torch.randn(1, 3, s, s), torch.full((1, 3, s, s), mean)], dim=1) for mean, s in parts]
    found = [float(weight.mean()) for weight in spatial_weights(given)]
    assert found == pytest.approx([0.2 * 0.3 * 0.5, 0.3 * 0.5, 0.5])


def test_fusion__says_nothing_where_nothing_differs():
    channels, sides = (4, 6, 8), (16, 8, 4)
    pairs = list(zip(channels, sides, strict=True))
    given = [torch.cat([torch.randn(1, c, s, s), torch.zeros(1, c, s, s)], dim=1) for c, s in pairs]
    fused = Fusion(channels).eval()(given)
    assert all(not bool(level.any()) for level in fused)
    assert [tuple(level.shape[1:]) for level in fused] == [(c, s, s) for c, s in pairs]


def test_network__of_resnet18_has_the_sizes_of_the_open_implementation():
    with torch.device("meta"):
        network = MemSegNetwork(64, (64, 128, 256), 512)
        compared = [torch.zeros(1, 2 * c, s, s) for c, s in ((64, 64), (128, 32), (256, 16))]
        found = network(torch.zeros(1, 64, 128, 128), compared, torch.zeros(1, 512, 8, 8))
    assert found.logits.shape == (1, 2, 256, 256)
    stages = [(256, 16), (128, 32), (64, 64), (48, 128)]
    assert [tuple(d.shape[1:]) for d in found.decoded] == [(c, side, side) for c, side in stages]


# The detector


def test_score__is_the_probability_and_the_mean_of_the_hundred_highest(fitted):
    batch = leather(2, seed=4)
    found = seen(fitted, batch)
    request = fitted.backbones()[0]
    stem, *compared, deep = context().pool.pyramids(batch, [request])[request].maps
    logits = fitted.network_(stem, fitted.memory_.compared(compared), deep).logits.detach()
    torch.testing.assert_close(found.scores.pixels, logits.softmax(dim=1)[:, 1], atol=1e-5, rtol=1e-4)
    highest = np.sort(found.scores.pixels.flatten(1).numpy())[:, -100:].mean(axis=1)
    np.testing.assert_allclose(found.scores.image, highest, rtol=1e-5)


def test_features__are_declared_and_cut(fitted):
    found = seen(fitted, leather(1)).features
    for spec, maps in zip(fitted.features(), found.maps, strict=True):
        assert maps.shape == (1, spec.channels, 64 // spec.stride, 96 // spec.stride), spec.name
    assert cut(found, MemSeg.default_cut).names == ("memseg/decoder3", "memseg/logits")


def test_memory__of_the_detector_holds_what_it_learned_from(fitted):
    batch = leather(4)
    differences = seen(fitted, batch).features["memseg/difference1"]
    assert int((~differences.flatten(1).any(dim=1)).sum()) == 2


def test_itself__is_compared_while_learning_only_if_asked():
    batch = leather(4)
    detector = learned(tiny(), batch)
    assert detector._barred(batch, ("hide1",)) is None
    other = learned(tiny(itself=False), batch)
    barred = other._barred(batch, ("hide3", "hide1"))
    assert barred is not None
    assert barred.nonzero().tolist() == [[1, 1], [3, 0]]
    assert other.log_ != detector.log_


def test_learning__shows_every_second_image_spoilt_and_remembers_the_others(monkeypatch):
    shown = []

    def listening(logits, masks, l1_weight, valid=None):
        shown.append(masks.flatten(1).any(dim=1).tolist())
        return segmentation_loss(logits, masks, l1_weight, valid)

    monkeypatch.setattr("leatherens.plugins.memseg.detector.segmentation_loss", listening)
    found = context()
    learned(tiny(), leather(4), found)
    assert shown == [[True, True, False, False]] * 3
    assert remembered(found) <= 4  # the good ones alone


def test_joined__keeps_masks():
    valid = torch.ones(1, 64, 96, dtype=torch.bool)
    valid[:, :5] = False
    first = replace(leather(1), valid=valid)
    both = joined(first, first)
    assert both.valid is not None
    assert torch.equal(both.valid, valid.repeat(2, 1, 1))
    assert joined(leather(1), leather(2)).ids == ("hide0", "hide0", "hide1")


def test_small_sets__fill_the_memory_with_what_there_is():
    detector = learned(tiny(memory=30), leather(3))
    assert detector.remembered_ == 3
    assert len(detector.memory_.levels[0]) == 3


def test_keep_best__holds_the_state_of_least_loss_on_spoilt_held_out_images():
    log = learned(tiny(keep="best", steps=None, epochs=3), leather(4)).log_
    values = dict(log["validations"])
    assert len(values) == 3
    assert values[log["best_step"]] == min(values.values())


def test_fit__goes_on_after_an_interruption(tmp_path, fitted):
    checkpoint = tmp_path / "last.safetensors"
    with pytest.raises(KeyboardInterrupt):
        learned(tiny(), leather(4), context(checkpoint=checkpoint, progress=Interrupted(2)))
    resumed = learned(tiny(), leather(4), context(checkpoint=checkpoint))
    assert resumed.log_ == fitted.log_
    batch = leather(2, seed=4)
    assert torch.equal(seen(resumed, batch).scores.pixels, seen(fitted, batch).scores.pixels)


def test_published__settings():
    options = MemSeg.params_for(Effort.full)
    assert (options.memory, options.width, options.itself, options.scaled) == (30, 48, True, False)
    assert (options.schedule(245).steps, options.schedule(245).batch_size) == (5000, 8)


def test_quick__is_bounded_whatever_the_number_of_images():
    quick = MemSeg.params_for(Effort.quick)
    assert quick.schedule(20).steps == quick.schedule(100_000).steps


# Textures and what is refused


def test_textures__come_from_a_folder_and_what_was_skipped_is_said(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"")
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    said = []

    class Listening(Silent):
        def say(self, sentence):
            said.append(sentence)

    learned(tiny(textures=tmp_path), leather(4), context(progress=Listening()))
    assert said == [f"memseg: 1 of 2 texture files in {tmp_path} could not be read and were skipped"]


def test_textures__of_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected texture pictures in it"):
        learned(tiny(textures=tmp_path), leather(4))


def test_size__other_than_learned_is_refused(fitted):
    with pytest.raises(InputError) as caught:
        seen(fitted, leather(1, size=(96, 96)))
    assert str(caught.value) == (
        "memseg: learned every position of images of 64 x 96, got 96 x 96; bring the images to that size or "
        "fit anew"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"layers": [1, 2, 3]},
            "memseg: option 'layers': expected five levels, each half as fine as the one before, such as "
            "(0, 1, 2, 3, 4), got [1, 2, 3]",
        ),
        ({"batch_size": 1}, "memseg: option 'batch_size': input should be greater than or equal to 2, got 1"),
        ({"l1_weight": 1.5}, "memseg: option 'l1_weight': input should be less than or equal to 1, got 1.5"),
        (
            {"opacity": [0.8, 0.1]},
            "memseg: option 'opacity': expected two ends of a range, the smaller first, got [0.8, 0.1]",
        ),
    ],
)
def test_params__say_what_is_wrong(options, message):
    with pytest.raises(ConfigError) as caught:
        MemSeg.from_options(options)
    assert str(caught.value) == message


def test_backbone__whose_levels_do_not_halve_is_refused():
    with pytest.raises(ConfigError) as caught:
        learned(tiny(backbone="vgg11", layers=(0, 1, 2, 3, 4)), leather(2))
    assert str(caught.value) == (
        "memseg: expected levels of strides 2, 4, 8, 16 and 32, vgg11 gives (1, 2, 4, 8, 16) at layers "
        "(0, 1, 2, 3, 4)"
    )

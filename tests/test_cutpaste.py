"""CutPaste: what is shown, the head and its loss, the densities, and the detector as a whole."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from sklearn.covariance import LedoitWolf
from small_leather import Interrupted, context, learned, leather, seen
from torch import nn

from leatherens.core.detector import Effort, cut
from leatherens.core.errors import ConfigError
from leatherens.core.geometry import resize_scores
from leatherens.core.randomness import torch_generator
from leatherens.core.types import ImageBatch
from leatherens.plugins.cutpaste import CutPaste
from leatherens.plugins.cutpaste.detector import three_ways
from leatherens.plugins.cutpaste.networks import Head, pooled, told_apart

TINY = {
    "backbone": "tf_efficientnet_lite0",
    "weights": "random",
    "layers": (1, 2),
    "batch_size": 2,
    "steps": 4,
    "head_share": 0.5,
    "learning_rate": 1e-3,
}


def tiny(**options):
    return CutPaste(CutPaste.Params(**{**TINY, **options}))


@pytest.fixture(scope="module")
def fitted():
    return learned(tiny(), leather(6))


def test_three_ways__are_good_pasted_and_scarred():
    batch = leather(4)
    shown = three_ways(batch, torch_generator(1))
    good, pasted, scarred = shown.pixels.split(4)
    assert torch.equal(good, batch.pixels)
    changed = [(some != good).any(dim=1).flatten(1).float().mean(dim=1) for some in (pasted, scarred)]
    assert bool((changed[0] > 0.01).all())
    assert bool((changed[1] > 0).all())
    assert float(changed[1].mean()) < float(changed[0].mean())
    assert shown.ids == batch.ids * 3
    assert shown.valid is None


def test_three_ways__keep_to_valid_pixels():
    valid = torch.zeros(4, 64, 96, dtype=torch.bool)
    valid[:, 16:48, 16:64] = True
    batch = replace(leather(4), valid=valid)
    shown = three_ways(batch, torch_generator(1))
    assert shown.valid is not None
    assert torch.equal(shown.valid, valid.repeat(3, 1, 1))
    changed = (shown.pixels != batch.pixels.repeat(3, 1, 1, 1)).any(dim=1)
    assert bool((changed & shown.valid)[4:].flatten(1).any(dim=1).all())


def test_pooled__is_the_mean_of_positions_that_count():
    maps = torch.randn(2, 3, 4, 6)
    torch.testing.assert_close(pooled(maps), maps.mean(dim=(2, 3)))
    valid = torch.zeros(2, 8, 12, dtype=torch.bool)
    valid[:, :, :4] = True
    torch.testing.assert_close(pooled(maps, valid), maps[..., :2].mean(dim=(2, 3)))


@pytest.mark.parametrize(("layers", "linear"), [(0, 2), (2, 4)])
def test_head__has_so_many_hidden_layers(layers, linear):
    head = Head(16, layers)
    widths = [(m.in_features, m.out_features) for m in head.modules() if isinstance(m, nn.Linear)]
    hidden = [16, *[512] * layers, 128, 3]
    assert widths == list(pairwise(hidden))
    assert len(widths) == linear
    assert head(torch.randn(4, 16)).shape == (4, 3)


def test_loss__asks_for_good_pasted_and_scarred_in_this_order():
    sure = 20 * torch.eye(3).repeat_interleave(2, dim=0)
    torch.testing.assert_close(told_apart(sure), torch.zeros(2), atol=1e-6, rtol=0)
    assert told_apart(torch.zeros(6, 3)).tolist() == pytest.approx([math.log(3)] * 2)
    logits = torch.randn(6, 3)
    kinds = torch.tensor([0, 0, 1, 1, 2, 2])
    expected = F.cross_entropy(logits, kinds, reduction="none")
    torch.testing.assert_close(told_apart(logits), expected.view(3, 2).mean(dim=0))


def levels_of(detector, batch):
    with torch.no_grad():
        return detector.classifier_.backbone(batch.pixels)


def test_image_score__is_the_distance_from_a_gaussian_shrunk_by_ledoit_and_wolf(fitted):
    good, new = leather(6), leather(3, seed=4)
    embeddings, asked = (levels_of(fitted, batch)[-1].mean(dim=(2, 3)).double() for batch in (good, new))
    gaussian = LedoitWolf().fit(embeddings.numpy())
    expected = np.sqrt(gaussian.mahalanobis(asked.numpy()))
    np.testing.assert_allclose(seen(fitted, new).scores.image, expected, rtol=1e-2)


def test_map__is_the_distance_of_each_position_from_all_good_ones(fitted):
    good, new = leather(6), leather(2, seed=4)
    rows = levels_of(fitted, good)[0].permute(0, 2, 3, 1).flatten(0, 2).double()
    covariance = rows.T.cov()
    pulled = 0.99 * covariance + 0.01 * covariance.diagonal().mean() * torch.eye(len(covariance))
    asked = levels_of(fitted, new)[0].permute(0, 2, 3, 1).double() - rows.mean(dim=0)  # (B, h, w, C)
    squares = torch.einsum("bhwc,cd,bhwd->bhw", asked, torch.linalg.inv(pulled), asked)
    found = seen(fitted, new)
    torch.testing.assert_close(
        found.features["cutpaste/distance"][:, 0], squares.sqrt().float(), atol=1e-2, rtol=1e-2
    )
    enlarged = resize_scores(found.features["cutpaste/distance"][:, 0], (64, 96))
    np.testing.assert_allclose(found.scores.pixels, gaussian_filter(enlarged, (0, 4, 4)), rtol=1e-3)
    whitened = found.features["cutpaste/whitened"]
    torch.testing.assert_close(
        whitened.norm(dim=1), found.features["cutpaste/distance"][:, 0], atol=1e-4, rtol=1e-4
    )


def test_image_score__is_of_what_may_be_inspected(fitted):
    valid = torch.zeros(2, 64, 96, dtype=torch.bool)
    valid[:, :, :48] = True
    batch = leather(2, seed=4)
    masked = ImageBatch(batch.pixels, batch.ids, valid)
    deep = levels_of(fitted, masked)[-1]
    embeddings = deep[..., : deep.shape[-1] // 2].mean(dim=(2, 3))
    expected = ((embeddings - fitted.mean_) @ fitted.whitening_.T).norm(dim=1)
    torch.testing.assert_close(seen(fitted, masked).scores.image, expected, atol=1e-3, rtol=1e-3)


def test_features__are_declared_and_cut(fitted):
    found = seen(fitted, leather(1)).features
    for spec, maps in zip(fitted.features(), found.maps, strict=True):
        assert maps.shape == (1, spec.channels, 64 // spec.stride, 96 // spec.stride)
    assert cut(found, CutPaste.default_cut).names == ("cutpaste/whitened",)


def test_learning__moves_the_head_first_and_then_the_backbone():
    (request,) = tiny().backbones()
    batch = leather(4)
    frozen = context().pool.pyramids(batch, [request])[request].maps
    detector = tiny()
    found = context()
    detector._remember(found.pool.spec(request))
    detector._build()
    found.pool.copy_into(detector.classifier_.backbone.network, request)
    before = [w.detach().clone() for w in detector.classifier_.head.parameters()]
    task = detector._head_alone(found)
    loss = task.loss(batch, torch_generator(1))
    loss.backward()
    task.optimizers[0].step()
    detector.classifier_.eval()
    for level, expected in zip(levels_of(detector, batch), frozen, strict=True):
        torch.testing.assert_close(level, expected, atol=1e-4, rtol=1e-3)
    assert any(
        not torch.equal(w, b) for w, b in zip(detector.classifier_.head.parameters(), before, strict=True)
    )
    whole = learned(tiny(head_share=0.0), batch)
    assert list(whole.log_) == ["all"]
    assert not torch.allclose(levels_of(whole, batch)[0], frozen[0], atol=1e-4, rtol=1e-3)


def test_schedules__share_the_steps_out(fitted):
    published = CutPaste.params_for(Effort.full)
    alone, both = published.schedules(245)
    assert alone is not None
    assert (alone.steps, both.steps) == (5120, 65536 - 5120)
    assert both.batch_size == 32
    assert CutPaste.Params(steps=1).schedules(245) == (None, CutPaste.Params(steps=1).schedule(245))
    assert CutPaste.Params(steps=4, head_share=1.0).schedules(9)[1].steps == 1
    assert {part: len(log["losses"]) for part, log in fitted.log_.items()} == {"head": 2, "all": 2}


def test_rate__falls_along_a_cosine():
    detector = tiny()
    (request,) = detector.backbones()
    detector._remember(context().pool.spec(request))
    detector._build()
    task = detector._together(detector.params.schedule(4))
    rates = []
    for _ in range(4):
        rates.append(task.optimizers[0].param_groups[0]["lr"])
        task.optimizers[0].step()
        task.schedulers[0].step()
    assert rates == pytest.approx([1e-3 * (1 + math.cos(math.pi * i / 4)) / 2 for i in range(4)])


def test_quick__is_bounded_whatever_the_number_of_images():
    quick = CutPaste.params_for(Effort.quick)
    assert quick.schedules(20)[1].steps == quick.schedules(100_000)[1].steps


@pytest.mark.parametrize("after", [1, 3])
def test_fit__goes_on_after_an_interruption_of_either_training(tmp_path, fitted, after):
    checkpoint = tmp_path / "last.safetensors"
    with pytest.raises(KeyboardInterrupt):
        learned(tiny(), leather(6), context(checkpoint=checkpoint, progress=Interrupted(after)))
    resumed = learned(tiny(), leather(6), context(checkpoint=checkpoint))
    assert resumed.log_ == fitted.log_
    batch = leather(2, seed=4)
    assert torch.equal(seen(resumed, batch).scores.image, seen(fitted, batch).scores.image)


def test_keep_best__holds_the_state_that_tells_held_out_images_apart_best():
    log = learned(tiny(keep="best", steps=None, epochs=2, head_share=0.0, crop=64), leather(4)).log_["all"]
    values = dict(log["validations"])
    assert len(values) == 2
    assert values[log["best_step"]] == min(values.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"layers": [4]},
            "cutpaste: option 'layers': tuple should have at least 2 items after validation, not 1, got [4]",
        ),
        ({"crop": 100}, "cutpaste: option 'crop': input should be a multiple of 32, got 100"),
        ({"shrinkage": 0}, "cutpaste: option 'shrinkage': input should be greater than 0, got 0"),
    ],
)
def test_params__say_what_is_wrong(options, message):
    with pytest.raises(ConfigError) as caught:
        CutPaste.from_options(options)
    assert str(caught.value) == message

"""CSE: the numbers worked out by hand, and the detector from fit to a stored state."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from small_leather import Interrupted, context, learned, leather, remembered, seen
from torch import Tensor

from leatherens.core.artifact import read_state, write_state
from leatherens.core.backbones import BackbonePool, BackboneRequest
from leatherens.core.detector import Effort, FeatureSpec, FitContext, cut, observe_all
from leatherens.core.errors import ArtifactError, ConfigError, InputError
from leatherens.core.progress import Silent
from leatherens.core.randomness import seeded_construction, torch_generator
from leatherens.core.synthesis.blurred import BlurAnomaly
from leatherens.core.synthesis.kinds import OneOf, spoilt
from leatherens.core.synthesis.patterns import ProceduralTextures
from leatherens.core.synthesis.structural import StructuralAnomaly
from leatherens.core.synthesis.textural import TexturalAnomaly
from leatherens.core.types import ImageBatch, ImagesInMemory
from leatherens.core.weights import WeightFinder
from leatherens.plugins.cse import CSE
from leatherens.plugins.cse.lessons import Classification, Contrast
from leatherens.plugins.cse.losses import contrastive, reconstruction, similarity
from leatherens.plugins.cse.networks import Decoder, Embedder
from leatherens.plugins.cse.references import completed, matched, references_of, squared_distances
from leatherens.plugins.cse.samples import Sampler, Samples

MODEL = "test_resnet"
"""timm's tiny ResNet; levels 1 and 2 have 32 channels at stride 4 and 48 at stride 8."""

TINY: dict[str, Any] = {
    "backbone": MODEL,
    "layers": (1, 2),
    "weights": "random",
    "embedding": 8,
    "batch_size": 4,
    "steps": 8,
}
KINDS = OneOf((StructuralAnomaly(), TexturalAnomaly(ProceduralTextures()), BlurAnomaly()), clean_share=0.5)


def fitted(images: ImageBatch, found: FitContext | None = None, **options: Any) -> CSE:
    detector = CSE(CSE.Params(**{**TINY, **options}))
    return learned(detector, images, found)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def float64(tensor: Tensor) -> NDArray[np.float64]:
    return np.asarray(tensor.detach().double().numpy())


@pytest.fixture(scope="module")
def taught() -> CSE:
    """A small CSE after 60 steps on eight hides."""
    return fitted(leather(8), steps=60, learning_rate=2e-3)


# networks


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_networks__for_efficientnet_b3_have_the_published_sizes() -> None:
    pool, request = BackbonePool(WeightFinder()), BackboneRequest("efficientnet_b3", (3, 4), "random")
    fine, deep = pool.spec(request).channels
    with seeded_construction(0, "test"):
        embedder, decoder = Embedder(fine, deep, 64), Decoder(fine, deep, 64)
    assert (count(embedder), count(decoder)) == (178_228, 101_176)

    batch = leather(2, size=(224, 224))
    levels = pool.pyramids(batch, [request])[request].maps
    embedded, reduced = embedder(*levels)
    assert (embedded.shape, reduced.shape) == ((2, 64, 14, 14), (2, 64, 7, 7))
    assert [tuple(m.shape) for m in decoder(embedded)] == [(2, 136, 14, 14), (2, 384, 7, 7)]


def small_networks(embedding: int = 4) -> tuple[Embedder, Decoder]:
    """For levels of 6 and 10 channels, with running statistics that are not those they began with."""
    with seeded_construction(0, "test"):
        embedder, decoder = Embedder(6, 10, embedding), Decoder(6, 10, embedding)
    for seed in range(3):
        decoder(embedder(*levels(seed=10 + seed))[0])
    return embedder.eval(), decoder.eval()


def levels(batch: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    return randn(batch, 6, 8, 12, seed=seed), randn(batch, 10, 4, 6, seed=seed + 100)


def layer(block: torch.nn.Module, maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convolution, ReLU, batch normalisation of (B, C, h, w), worked out from the block's tensors."""
    state = {name: float64(t) for name, t in block.state_dict().items()}
    mixed = np.maximum(np.einsum("oc,bchw->bohw", state["0.weight"][:, :, 0, 0], maps), 0)
    mean, var, scale, shift = (
        state[f"2.{name}"][None, :, None, None] for name in ("running_mean", "running_var", "weight", "bias")
    )
    return (mixed - mean) / np.sqrt(var + 1e-5) * scale + shift


def doubled(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear, first and last rows and columns staying first and last."""
    for axis in (2, 3):
        maps = np.apply_along_axis(grown, axis, maps)
    return maps


def grown(line: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.interp(np.linspace(0, len(line) - 1, 2 * len(line)), np.arange(len(line)), line)


def test_embedder__is_three_pointwise_layers_on_both_levels_worked_out_in_float64() -> None:
    embedder, _ = small_networks()
    fine, deep = levels()
    expected = np.concatenate([float64(fine), doubled(float64(deep))], axis=1)
    for block in embedder.layers:
        expected = layer(block, expected)
    embedded, reduced = embedder(fine, deep)
    np.testing.assert_allclose(embedded.detach(), expected, atol=1e-5)
    blocks = expected.reshape(3, 4, 4, 2, 6, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(reduced.detach(), blocks, atol=1e-5)
    assert bool((embedded < 0).any())  # batch normalisation comes last


def test_decoder__pools_the_largest_of_four_on_its_way_to_the_deep_level() -> None:
    _, decoder = small_networks()
    embedded = randn(3, 4, 8, 12)
    wide = layer(decoder.wide, float64(embedded)).reshape(3, 5, 4, 2, 6, 2).max(axis=(3, 5))
    fine = float64(embedded)
    for block in decoder.fine:
        fine = layer(block, fine)
    for found, expected in zip(decoder(embedded), (fine, layer(decoder.deep, wide)), strict=True):
        np.testing.assert_allclose(found.detach(), expected, atol=1e-5)


# losses

FLAT = torch.ones(1, 4, 4, 6)
ONE_CHANNEL, OTHER_CHANNEL = FLAT.clone(), FLAT.clone()
ONE_CHANNEL[:, 1:], OTHER_CHANNEL[:, :1] = 0, 0
EVEN, ODD = FLAT.clone(), FLAT.clone()
EVEN[..., 1::2], ODD[..., ::2] = 0, 0

PAIRS = {
    "identical": (FLAT, FLAT, 0.0, 1.0),
    "identical up to length": (FLAT, 7 * FLAT, 0.0, 1.0),
    "opposite": (FLAT, -FLAT, 2.0, 0.0),
    "orthogonal": ("channels", "width", 1.0, 0.5),
}


@pytest.mark.parametrize("axis", ["channels", "width"])
@pytest.mark.parametrize(("first", "second", "good", "defective"), PAIRS.values(), ids=PAIRS.keys())
def test_contrastive__of_pairs_worked_out_by_hand(
    axis: Any, first: Any, second: Any, good: float, defective: float
) -> None:
    if isinstance(first, str):
        first, second = (ONE_CHANNEL, OTHER_CHANNEL) if axis == "channels" else (EVEN, ODD)
    similar = similarity(first, second, axis).expand(2)
    losses = contrastive(similar, torch.tensor([False, True]))
    assert losses.tolist() == pytest.approx([good, defective], abs=1e-6)


def cosine(first: NDArray[np.float64], second: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    dot = (first * second).sum(axis=axis)
    lengths = np.sqrt((first**2).sum(axis=axis) * (second**2).sum(axis=axis))
    return np.asarray(dot / lengths)


def test_similarity__over_channels_averages_positions_and_over_width_channels_and_rows() -> None:
    first, second = randn(3, 4, 5, 7), randn(3, 4, 5, 7, seed=1)
    for axis, number in (("channels", 1), ("width", 3)):
        expected = cosine(float64(first), float64(second), number).reshape(3, -1).mean(axis=1)
        np.testing.assert_allclose(similarity(first, second, axis), expected, atol=1e-6)


@pytest.mark.parametrize("axis", ["channels", "width"])
def test_similarity__takes_no_notice_of_positions_that_do_not_count(axis: Any) -> None:
    first, second = randn(2, 4, 5, 7), randn(2, 4, 5, 7, seed=1)
    counted = torch.zeros(2, 5, 7, dtype=torch.bool)
    counted[:, 1:4, 2:6] = True
    found = similarity(first, second, axis, counted)
    part = similarity(first[:, :, 1:4, 2:6], second[:, :, 1:4, 2:6], axis)
    torch.testing.assert_close(found, part)
    loud = torch.where(counted[:, None], first, 100 * randn(2, 4, 5, 7, seed=2))
    torch.testing.assert_close(similarity(loud, second, axis, counted), part)


def half_squares(decoded: Tensor, level: Tensor) -> NDArray[np.float64]:
    """0.5 * |d / |d| - m / |m||^2 of every position, (B, h, w)."""
    units = [m / np.sqrt((m**2).sum(axis=1, keepdims=True)) for m in (float64(decoded), float64(level))]
    return 0.5 * ((units[0] - units[1]) ** 2).sum(axis=1)


def test_reconstruction__sums_channels_averages_positions_and_then_levels() -> None:
    decoded, wanted = levels(seed=1), levels(seed=2)
    each = [half_squares(d, m) for d, m in zip(decoded, wanted, strict=True)]
    expected = sum(h.sum(axis=(1, 2)) / (h.shape[1] * h.shape[2]) for h in each) / 2
    np.testing.assert_allclose(reconstruction(decoded, wanted, None), expected, atol=1e-6)
    exact = reconstruction([3 * m for m in wanted], wanted, None)
    torch.testing.assert_close(exact, torch.zeros(3), atol=1e-6, rtol=0)


def test_reconstruction__takes_no_notice_of_what_is_not_valid() -> None:
    decoded, wanted = levels(seed=1), levels(seed=2)
    valid = torch.zeros(3, 64, 96, dtype=torch.bool)
    valid[:, :, 32:] = True
    halves = [half_squares(d, m) for d, m in zip(decoded, wanted, strict=True)]
    expected = (halves[0][:, :, 4:].mean(axis=(1, 2)) + halves[1][:, :, 2:].mean(axis=(1, 2))) / 2
    np.testing.assert_allclose(reconstruction(decoded, wanted, valid), expected, atol=1e-6)


# lessons


class Fixed:
    """A sampler whose draws are known."""

    def __init__(self, good: Samples, other: Samples) -> None:
        self.good, self.other, self.kinds = good, other, KINDS

    def untouched(self, batch: ImageBatch) -> Samples:
        return self.good

    def spoilt(self, batch: ImageBatch, generator: torch.Generator, *, again: bool = False) -> Samples:
        return self.other

    def partners(self, count: int, generator: torch.Generator) -> ImageBatch:
        return leather(1)


def samples(batch: int, seed: int, *, defects: bool = True) -> Samples:
    marked = torch.arange(batch) % 3 == 0 if defects else torch.zeros(batch, dtype=torch.bool)
    return Samples(levels(batch, seed), marked, None)


def contrast(good: Samples, other: Samples, *, decoder: str = "frozen", axis: Any = "channels") -> Contrast:
    embedder, made = small_networks()
    made.requires_grad_(decoder == "trained")
    sampler: Any = Fixed(good, other)
    return Contrast(sampler, embedder, None if decoder == "none" else made, weight=10.0, axis=axis)


@pytest.mark.parametrize("axis", ["channels", "width"])
def test_loss__is_the_published_sum_over_a_batch_of_eight(axis: Any) -> None:
    good, other = samples(8, 1, defects=False), samples(8, 2)
    lesson = contrast(good, other, axis=axis).train()
    found = float(lesson.loss(leather(1), torch.Generator()).detach())

    assert lesson.decoder is not None
    with torch.no_grad():
        embedded, reduced = lesson.embedder(*good.levels)
        _, compared = lesson.embedder(*other.levels)
        decoded = lesson.decoder(embedded)
    expected = 0.0
    for i in range(8):
        a, b = float64(reduced[i]), float64(compared[i])
        cosines = cosine(a, b, 0 if axis == "channels" else 2).mean()
        expected += 10 * ((1 + cosines) / 2 if other.defects[i] else 1 - cosines)
        for d, m in zip(decoded, good.levels, strict=True):
            expected += half_squares(d, m)[i].mean() / 2
    assert found == pytest.approx(expected, rel=1e-4)


def test_loss__has_the_same_size_for_any_batch() -> None:
    good, other = samples(1, 1, defects=False), samples(1, 2)
    twice = [
        Samples(tuple(m.repeat(2, 1, 1, 1) for m in s.levels), s.defects.repeat(2), None)
        for s in (good, other)
    ]
    one, two = (
        float(contrast(*pair).eval().loss(leather(1), torch.Generator()).detach())
        for pair in ((good, other), twice)
    )
    assert one == pytest.approx(two, rel=1e-5)


@pytest.mark.parametrize("decoder", ["frozen", "trained", "none"])
def test_loss__teaches_the_embedder_and_the_decoder_only_if_it_is_to_learn(decoder: str) -> None:
    lesson = contrast(samples(4, 1, defects=False), samples(4, 2), decoder=decoder).train()
    lesson.loss(leather(1), torch.Generator()).backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in lesson.embedder.parameters())
    if lesson.decoder is None:
        assert decoder == "none"
    else:
        assert {p.grad is not None for p in lesson.decoder.parameters()} == {decoder == "trained"}


def test_loss__without_a_decoder_is_the_contrastive_term_alone() -> None:
    good, other = samples(4, 1, defects=False), samples(4, 2)
    with_one, without = contrast(good, other), contrast(good, other, decoder="none")
    assert with_one.decoder is not None
    decoded = with_one.decoder(with_one.embedder(*good.levels)[0])
    torch.testing.assert_close(
        with_one.values(good, other) - without.values(good, other), reconstruction(decoded, good.levels, None)
    )


def test_frozen_decoder__works_with_the_batch_s_statistics_while_learning_only() -> None:
    lesson = contrast(samples(4, 1, defects=False), samples(4, 2))
    embedded = randn(4, 4, 8, 12) * 5 + 3
    assert lesson.decoder is not None
    learning, judging = lesson.train().decoder(embedded), lesson.eval().decoder(embedded)
    for maps in learning:
        torch.testing.assert_close(maps.mean(dim=(0, 2, 3)), torch.zeros(maps.shape[1]), atol=1e-5, rtol=0)
    assert float((learning[0] - judging[0]).abs().max()) > 0.1


def test_values__of_each_pair_are_its_own_when_judging() -> None:
    good, other = samples(4, 1, defects=False), samples(4, 2)
    lesson = contrast(good, other).eval()
    together = lesson.values(good, other)
    for i in range(4):
        pair = [
            Samples(tuple(m[i : i + 1] for m in s.levels), s.defects[i : i + 1], None) for s in (good, other)
        ]
        torch.testing.assert_close(lesson.values(*pair), together[i : i + 1])


@pytest.mark.parametrize("classifier", [False, True])
def test_judge__weighs_held_out_images_as_they_are_and_spoilt_by_their_shares(classifier: bool) -> None:
    detector = CSE(CSE.Params(**{**TINY, "defect_share": 0.25, "classifier": classifier}))
    lesson, held_out, generator = lesson_of(detector)[0].eval(), leather(3, seed=9), torch_generator(1)
    partners = [] if classifier else [lesson.sampler.partners(3, generator)]
    bad, masks = spoilt(held_out, replace(KINDS, clean_share=0.0), generator)
    assert bool(masks.flatten(1).any(dim=1).all())

    def seen_of(batch: ImageBatch, defective: bool) -> Samples:
        maps = context().pool.pyramids(batch, [REQUEST])[REQUEST].maps
        return Samples(maps, torch.full((3,), defective), None)

    with torch.no_grad():
        found = lesson.judge(held_out, torch_generator(1))
        if classifier:
            good, spoilt_ones = (lesson.values(seen_of(b, d)) for b, d in ((held_out, False), (bad, True)))
        else:
            first = seen_of(held_out, False)
            good = lesson.values(first, seen_of(partners[0], False))
            spoilt_ones = lesson.values(first, seen_of(bad, True))
    torch.testing.assert_close(found, 0.75 * good + 0.25 * spoilt_ones)


def masked(sample: Samples, columns: slice) -> Samples:
    valid = torch.zeros(len(sample.defects), 64, 96, dtype=torch.bool)
    valid[:, :, columns] = True
    return replace(sample, valid=valid)


def test_contrast__compares_only_what_is_valid_in_both_images() -> None:
    good, other = samples(2, 1, defects=False), samples(2, 2)
    lesson = contrast(good, other, decoder="none").eval()
    found = lesson.values(masked(good, slice(0, 64)), masked(other, slice(32, 96)))
    _, a = lesson.embedder(*good.levels)
    _, b = lesson.embedder(*other.levels)
    similar = similarity(a[..., 2:4], b[..., 2:4], "channels")
    torch.testing.assert_close(found, 10 * contrastive(similar, other.defects))
    one_sided = lesson.values(good, masked(other, slice(32, 96)))
    similar = similarity(a[..., 2:], b[..., 2:], "channels")
    torch.testing.assert_close(one_sided, 10 * contrastive(similar, other.defects))


def test_classification__is_the_cross_entropy_of_the_mean_activation() -> None:
    embedder, _ = small_networks()
    with seeded_construction(1, "test"):
        classifier = torch.nn.Conv2d(4, 1, 1)
    other = masked(samples(6, 2), slice(32, 96))
    sampler: Any = Fixed(other, other)
    lesson = Classification(sampler, embedder, classifier).eval()
    reduced = float64(embedder(*other.levels)[1])[..., 2:].mean(axis=(2, 3))
    logits = reduced @ float64(classifier.weight)[0, :, 0, 0] + float64(classifier.bias)
    likely = 1 / (1 + np.exp(-logits))
    expected = -np.log(np.where(other.defects.numpy(), likely, 1 - likely))
    np.testing.assert_allclose(lesson.values(other).detach(), expected, rtol=1e-4)
    found = lesson.loss(leather(1), torch.Generator()).detach()
    assert float(found) == pytest.approx(expected.mean(), rel=1e-4)


# samples

REQUEST = BackboneRequest(MODEL, (1, 2), "random")


def sampler(images: ImageBatch, *, clean_share: float = 0.5) -> Sampler:
    return Sampler(ImagesInMemory(images), replace(KINDS, clean_share=clean_share), REQUEST, context())


def kept(found: Sampler) -> int:
    return remembered(found.context)


def test_spoilt__changes_what_it_marks_and_nothing_else() -> None:
    batch = leather(12)
    images, masks = spoilt(batch, KINDS, torch_generator(1))
    changed = (images.pixels != batch.pixels).any(dim=1)
    assert not bool((changed & ~masks).any())
    assert 2 <= int(masks.flatten(1).any(dim=1).sum()) <= 10
    assert torch.equal(changed.flatten(1).any(dim=1), masks.flatten(1).any(dim=1))
    again, _ = spoilt(batch, KINDS, torch_generator(1))
    other, _ = spoilt(batch, KINDS, torch_generator(2))
    assert torch.equal(again.pixels, images.pixels)
    assert not torch.equal(other.pixels, images.pixels)


def test_spoilt__changes_what_is_valid_only() -> None:
    valid = torch.zeros(8, 64, 96, dtype=torch.bool)
    valid[:, 10:40, 50:] = True
    batch = ImageBatch(leather(8).pixels, leather(8).ids, valid)
    images, masks = spoilt(batch, replace(KINDS, clean_share=0.0), torch_generator(1))
    assert bool(masks.flatten(1).any(dim=1).all())
    assert not bool((masks & ~valid).any())
    changed = (images.pixels - batch.pixels).abs().amax(dim=1) > 0
    assert bool((changed & valid).flatten(1).any(dim=1).all())
    assert torch.equal(images.valid, valid)
    for hidden, before in zip(images.pixels, batch.pixels, strict=True):
        assert len(hidden[:, ~valid[0]].unique(dim=1).T) == 1  # one colour still: the visible part's mean
        assert float((hidden - before)[:, ~valid[0]].abs().max()) < 0.3


def test_sampler__gives_the_pyramids_of_the_spoilt_images_in_order() -> None:
    batch = leather(6)
    found = sampler(batch).spoilt(batch, torch_generator(1))
    images, masks = spoilt(batch, KINDS, torch_generator(1))
    defects = masks.flatten(1).any(dim=1)
    assert torch.equal(found.defects, defects)
    assert 0 < int(defects.sum()) < 6
    expected = context().pool.pyramids(images, [REQUEST])[REQUEST].maps
    for level, maps in zip(found.levels, expected, strict=True):
        torch.testing.assert_close(level, maps)


def test_sampler__remembers_pyramids_of_images_that_will_be_seen_again_and_no_others() -> None:
    batch = leather(6)
    found = sampler(batch)
    drawn = found.spoilt(batch, torch_generator(1))
    assert kept(found) == 6 - int(drawn.defects.sum())
    found.untouched(batch)
    assert kept(found) == 6
    sure = replace(found, kinds=replace(KINDS, clean_share=0.0))
    sure.spoilt(batch, torch_generator(2))
    assert kept(found) == 6
    sure.spoilt(batch, torch_generator(2), again=True)
    assert kept(found) == 12


def test_partners__are_different_training_images_drawn_from_all() -> None:
    found, drawn = sampler(leather(6)), set()
    for seed in range(20):
        partners = found.partners(4, torch_generator(seed))
        assert len(set(partners.ids)) == 4
        drawn |= set(partners.ids)
    assert drawn == set(leather(6).ids)
    assert found.partners(4, torch_generator(1)).ids == found.partners(4, torch_generator(1)).ids


# references


def test_references__of_one_cluster_are_the_mean_of_all_good_embeddings() -> None:
    maps, everywhere = randn(7, 4, 3, 5), torch.ones(7, 3, 5, dtype=torch.bool)
    found = references_of(maps, everywhere, 1, kind="centre", seed=0, owner="cse")
    np.testing.assert_allclose(found, float64(maps).mean(axis=0, keepdims=True), atol=1e-6)


def test_references__of_several_clusters_are_their_centres_or_the_good_images_nearest_to_them() -> None:
    near, far = randn(5, 4, 3, 5), randn(4, 4, 3, 5, seed=1) + 20
    maps, everywhere = torch.cat([near, far]), torch.ones(9, 3, 5, dtype=torch.bool)
    centres = references_of(maps, everywhere, 2, kind="centre", seed=0, owner="cse")
    chosen = references_of(maps, everywhere, 2, kind="sample", seed=0, owner="cse")
    order = centres.mean(dim=(1, 2, 3)).argsort()
    for place, group in zip(order, (near, far), strict=True):
        centre = float64(group).mean(axis=0)
        np.testing.assert_allclose(centres[place], centre, atol=1e-5)
        away = ((float64(group) - centre) ** 2).sum(axis=(1, 2, 3))
        assert torch.equal(chosen[place], group[int(away.argmin())])


def test_completed__fills_each_position_with_the_mean_of_the_images_that_have_it() -> None:
    maps = torch.tensor([1.0, 2.0, 6.0]).view(3, 1, 1, 1).repeat(1, 2, 1, 3)
    counted = torch.tensor([[[1, 1, 0]], [[1, 0, 0]], [[1, 1, 0]]]).bool()
    filled = completed(maps, counted)
    assert filled[:, 0, 0].tolist() == [[1, 1, 1], [2, 3.5, 2], [6, 6, 6]]
    mean = references_of(maps, counted, 1, kind="centre", seed=0, owner="cse")
    assert mean[0, 0, 0].tolist() == [3, 3.5, 3]


def test_matched__takes_the_least_mean_cosine_distance_worked_out_in_float64() -> None:
    maps, references = randn(6, 4, 3, 5), randn(3, 4, 3, 5, seed=1)
    counted = randn(6, 3, 5, seed=2) > -0.5
    distances = 1 - cosine(float64(maps)[:, None], float64(references)[None], 2)  # (B, K, h, w)
    weights = counted.numpy()[:, None]
    means = (distances * weights).sum(axis=(2, 3)) / weights.sum(axis=(2, 3))
    found = matched(maps, references, counted)
    nearest = means.argmin(axis=1)
    assert len(set(nearest.tolist())) > 1
    np.testing.assert_allclose(found.image, means.min(axis=1), atol=1e-6)
    np.testing.assert_allclose(found.distances, distances[np.arange(6), nearest], atol=1e-6)
    assert torch.equal(found.reference, references[torch.from_numpy(nearest)])


def test_squared_distances__are_half_the_squares_over_the_number_of_positions() -> None:
    maps, reference = randn(2, 4, 3, 5), randn(2, 4, 3, 5, seed=1)
    expected = 0.5 * ((float64(maps) - float64(reference)) ** 2).sum(axis=1) / 15
    np.testing.assert_allclose(squared_distances(maps, reference), expected, atol=1e-6)


def test_scores__of_a_scaled_embedding_change_in_the_squared_map_only() -> None:
    maps, reference = randn(2, 4, 3, 5), randn(1, 4, 3, 5, seed=1)
    plain, scaled = matched(maps, reference, None), matched(3 * maps, reference, None)
    torch.testing.assert_close(scaled.image, plain.image)
    torch.testing.assert_close(scaled.distances, plain.distances)
    squares, larger = (squared_distances(m, plain.reference) for m in (maps, 3 * maps))
    assert float((larger - squares).abs().min()) > 1e-4


# fitting


def test_fit__lowers_what_held_out_images_are_judged_by_and_keeps_the_best(taught: CSE) -> None:
    steps, values = zip(*taught.log_["validations"], strict=True)
    assert list(steps) == list(range(6, 61, 6))  # sixty steps in ten parts
    assert taught.log_["best_step"] == steps[int(np.argmin(values))]
    assert min(values) < 0.9 * values[0]


def test_fit__compares_with_the_mean_reduced_embedding_of_the_training_images(taught: CSE) -> None:
    reduced = seen(taught, leather(8)).features["cse/reduced"]
    assert taught.references_.shape == (1, 8, 8, 12)
    np.testing.assert_allclose(taught.references_[0], float64(reduced).mean(axis=0), atol=1e-5)


def test_fit__leaves_the_frozen_decoder_as_it_began_and_moves_one_that_learns() -> None:
    for choice in ("frozen", "trained"):
        detector = CSE(CSE.Params(**{**TINY, "decoder": choice}))
        lesson, schedule = lesson_of(detector)
        task = detector._task(lesson, schedule)
        held = {id(p) for group in task.optimizers[0].param_groups for p in group["params"]}
        assert {id(p) for p in lesson.embedder.parameters()} <= held
        assert isinstance(lesson, Contrast)
        assert lesson.decoder is not None
        assert {id(p) in held for p in lesson.decoder.parameters()} == {choice == "trained"}


def lesson_of(detector: CSE) -> tuple[Any, Any]:
    images = leather(4)
    detector.channels_, detector.backbone_ = [32, 48], "a fingerprint"
    detector._build()
    found = sampler(images, clean_share=1 - detector.params.defect_share)
    return detector._lesson(found), detector.params.schedule(4)


def cycle_of(**options: Any) -> tuple[list[float], list[tuple[float, float]]]:
    detector = CSE(CSE.Params(**{**TINY, "steps": 100, **options}))
    task = detector._task(*lesson_of(detector))
    rates, betas = [], []
    for _ in range(100):
        group = task.optimizers[0].param_groups[0]
        rates.append(group["lr"])
        betas.append(group["betas"])
        task.optimizers[0].step()
        task.schedulers[0].step()
    return rates, betas


def test_schedule__is_one_cycle_of_rate_and_momentum_over_all_steps() -> None:
    rates, betas = cycle_of()
    assert (rates[0], max(rates)) == pytest.approx((10 * 4e-4 / 25, 10 * 4e-4))
    assert rates.index(max(rates)) == 29
    assert rates[-1] < 1e-7
    first = [beta for beta, _ in betas]
    assert (first[0], min(first), first[-1]) == pytest.approx((0.95, 0.85, 0.95))
    assert {second for _, second in betas} == {0.999}


def test_schedule__keeps_the_betas_given_where_momentum_is_not_to_cycle() -> None:
    assert set(cycle_of(cycle_momentum=False)[1]) == {(0.5, 0.999)}


def test_schedule__counts_epochs_in_steps_and_takes_no_batch_larger_than_the_images() -> None:
    def schedule(count: int, **options: Any) -> tuple[int, int, int]:
        found = CSE(CSE.Params(**{**TINY, "steps": None, **options})).params.schedule(count)
        return found.steps, found.batch_size, found.validate_every

    assert schedule(5, epochs=2, batch_size=2) == (6, 2, 3)
    assert schedule(5, epochs=2, batch_size=32) == (2, 5, 1)
    assert schedule(5, steps=40, batch_size=2) == (40, 2, 4)


def test_params_for__full_effort_are_the_published_settings() -> None:
    assert CSE.params_for(Effort.full) == CSE.Params(
        backbone="efficientnet_b3",
        layers=(3, 4),
        weights="pretrained",
        embedding=64,
        epochs=50,
        steps=None,
        batch_size=8,
        learning_rate=4e-4,
        betas=(0.5, 0.999),
        cycle_momentum=True,
        weight_decay=1e-5,
        contrast_weight=10,
        defect_share=0.5,
        decoder="frozen",
        classifier=False,
        similarity="channels",
        clusters=1,
        reference="centre",
        textures=None,
        patience=None,
        map="squared",
        smoothing=4,
    )


def test_params_for__quick_effort_is_bounded_whatever_the_number_of_images() -> None:
    quick = CSE(CSE.params_for(Effort.quick))
    assert quick.params.backbone == "tf_efficientnet_lite0"
    assert quick.params.schedule(250).steps == quick.params.schedule(100_000).steps


@pytest.mark.parametrize("after", [2, 5])
def test_fit__interrupted_leaves_nothing_half_learned_and_goes_on_to_the_same_result(
    tmp_path: Path, after: int
) -> None:
    images, file = leather(4), tmp_path / "checkpoint.safetensors"
    whole = fitted(images, batch_size=2)

    detector = CSE(CSE.Params(**{**TINY, "batch_size": 2}))
    with pytest.raises(KeyboardInterrupt):
        detector.fit(
            ImagesInMemory(images),
            validation=ImagesInMemory(leather(2, seed=9)),
            context=context(progress=Interrupted(after), checkpoint=file),
        )
    assert not detector.fitted
    resumed = fitted(images, context(checkpoint=file), batch_size=2)
    assert resumed.log_ == whole.log_
    for name, value in whole.state().items():
        assert torch.equal(value, resumed.state()[name]) if isinstance(value, Tensor) else True, name


def test_fit__depends_on_its_seed() -> None:
    first, again, other = (fitted(leather(4), context(seed=seed)) for seed in (3, 3, 4))
    assert first.log_ == again.log_
    assert first.log_["losses"] != other.log_["losses"]


def test_fit__takes_textures_from_a_folder_and_says_what_it_skipped(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "broken.png").write_bytes(b"")
    noise = (np.random.default_rng(0).random((20, 20, 3)) * 255).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    said: list[str] = []

    class Listening(Silent):
        def say(self, sentence: str) -> None:
            said.append(sentence)

    detector = fitted(leather(4), context(progress=Listening()), textures=tmp_path, defect_share=1.0)
    assert said == [f"cse: 1 of 2 texture files in {tmp_path} could not be read and were skipped"]
    json.dumps(detector.params.model_dump(mode="json"))


# scoring


def test_observe__scores_are_the_published_ones_worked_out_from_the_embedding(taught: CSE) -> None:
    batch = leather(3, seed=5)
    found = seen(taught, batch)
    reduced, reference = float64(found.features["cse/reduced"]), float64(taught.references_)
    distances = 1 - cosine(reduced, reference, 1)  # (B, h, w)
    np.testing.assert_allclose(found.scores.image, distances.mean(axis=(1, 2)), atol=1e-6)

    squares = 0.5 * ((reduced - reference) ** 2).sum(axis=1) / (8 * 12)
    for option, patches in (("squared", squares), ("cosine", distances)):
        other = CSE.from_state(taught.params.model_copy(update={"map": option}), taught.state())
        grown = F.interpolate(torch.from_numpy(patches)[:, None], (64, 96), mode="bilinear")[:, 0]
        expected = np.stack([gaussian_filter(m, sigma=4) for m in grown.numpy()])
        scores = seen(other, batch).scores
        np.testing.assert_allclose(scores.pixels, expected, rtol=1e-4, atol=1e-6)
        assert torch.equal(scores.image, found.scores.image)


def test_observe__of_the_reference_image_itself_is_zero() -> None:
    images = leather(5)
    detector = fitted(images, reference="sample")
    scores = seen(detector, images).scores
    chosen = int(scores.image.argmin())
    assert float(scores.image[chosen].abs()) < 1e-6
    assert float(scores.pixels[chosen].abs().max()) < 1e-6
    others = [i for i in range(5) if i != chosen]
    assert float(scores.image[others].min()) > 1e-5
    assert float(scores.pixels[others].amax(dim=(1, 2)).min()) > 1e-5


def test_observe__takes_the_nearest_of_several_references() -> None:
    images = leather(6)
    detector = fitted(images, clusters=3)
    reduced = seen(detector, images).features["cse/reduced"]
    each = [1 - cosine(float64(reduced), float64(r[None]), 1).mean(axis=(1, 2)) for r in detector.references_]
    np.testing.assert_allclose(seen(detector, images).scores.image, np.min(each, axis=0), atol=1e-6)


def damaged(good: ImageBatch) -> ImageBatch:
    pixels = good.pixels.clone()
    pixels[:, :, 8:24, 60:80] = torch.tensor([0.1, 0.9, 0.2]).view(1, 3, 1, 1)
    return ImageBatch(pixels, good.ids)


@pytest.mark.parametrize("classifier", [False, True])
def test_observe__points_at_what_is_no_leather(taught: CSE, classifier: bool) -> None:
    longer = {"steps": 150, "learning_rate": 2e-3, "classifier": True}
    detector = fitted(leather(8), **longer) if classifier else taught
    good = leather(3, seed=5)
    normal, found = (seen(detector, batch).scores for batch in (good, damaged(good)))
    assert bool((found.image > normal.image + 0.2).all())
    for row, column in (divmod(int(p.argmax()), 96) for p in found.pixels - normal.pixels):
        assert 0 <= row < 32
        assert 52 <= column < 88


def test_classifier__scores_with_its_logit_which_is_the_mean_of_its_map() -> None:
    detector = fitted(leather(4), classifier=True, smoothing=0)
    batch = leather(3, seed=5)
    found = seen(detector, batch)
    reduced = float64(found.features["cse/reduced"])
    weights, bias = float64(detector.classifier_.weight)[0, :, 0, 0], float64(detector.classifier_.bias)
    np.testing.assert_allclose(found.scores.image, reduced.mean(axis=(2, 3)) @ weights + bias, atol=1e-5)
    np.testing.assert_allclose(found.scores.pixels.mean(dim=(1, 2)), found.scores.image, atol=0.05)
    patches = torch.from_numpy(np.einsum("c,bchw->bhw", weights, reduced) + bias)
    grown = F.interpolate(patches[:, None], (64, 96), mode="bilinear")[:, 0]
    np.testing.assert_allclose(found.scores.pixels, grown, atol=1e-5)


def test_observe__scores_each_image_on_its_own(taught: CSE) -> None:
    batch = damaged(leather(3, seed=5))
    together = seen(taught, batch).scores
    for i in range(3):
        alone = seen(taught, ImageBatch(batch.pixels[i : i + 1], batch.ids[i : i + 1])).scores
        torch.testing.assert_close(alone.pixels[0], together.pixels[i], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(alone.image[0], together.image[i], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("classifier", [False, True])
def test_observe__counts_valid_positions_only(taught: CSE, classifier: bool) -> None:
    detector = fitted(leather(4), classifier=True) if classifier else taught
    batch = leather(2, seed=5)
    valid = torch.zeros(2, 64, 96, dtype=torch.bool)
    valid[:, 16:48, 40:72] = True
    found = seen(detector, ImageBatch(batch.pixels, batch.ids, valid))
    inside = (slice(None), slice(None), slice(2, 6), slice(5, 9))  # of the reduced embedding, stride 8
    reduced = float64(found.features["cse/reduced"])[inside]
    if classifier:
        weights = float64(detector.classifier_.weight)[0, :, 0, 0]
        expected = reduced.mean(axis=(2, 3)) @ weights + float64(detector.classifier_.bias)
    else:
        expected = 1 - cosine(reduced, float64(detector.references_)[inside], 1).mean(axis=(1, 2))
    np.testing.assert_allclose(found.scores.image, expected, atol=1e-5)
    for pixels, mask in zip(found.scores.pixels, valid, strict=True):
        assert bool((pixels[~mask] == pixels[mask].min()).all())


def test_fit__of_masked_images_compares_with_what_was_valid_in_any_of_them() -> None:
    images = leather(4)
    valid = torch.ones(4, 64, 96, dtype=torch.bool)
    valid[:2, :, :48] = False
    batch = ImageBatch(images.pixels, images.ids, valid)
    detector = fitted(batch)
    reduced = float64(seen(detector, batch).features["cse/reduced"])
    expected = np.concatenate([reduced[2:, :, :, :6].mean(axis=0), reduced[:, :, :, 6:].mean(axis=0)], axis=2)
    np.testing.assert_allclose(detector.references_[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "layers", "strides"), [(MODEL, (1, 2), (4, 8)), ("test_convnext", (2, 3), (16, 32))]
)
def test_features__are_delivered_as_declared(
    model: str, layers: tuple[int, int], strides: tuple[int, int]
) -> None:
    detector = fitted(leather(2), backbone=model, layers=layers, steps=2)
    found, (fine, coarse) = seen(detector, damaged(leather(2))).features, strides
    assert detector.features() == (
        FeatureSpec("cse/embedding", 8, fine),
        FeatureSpec("cse/reduced", 8, coarse),
        FeatureSpec("cse/residual", 8, coarse),
        FeatureSpec("cse/distance", 1, coarse),
    )
    for spec, maps in zip(detector.features(), found.maps, strict=True):
        assert maps.shape == (2, spec.channels, 64 // spec.stride, 96 // spec.stride), spec.name
    torch.testing.assert_close(F.avg_pool2d(found["cse/embedding"], 2), found["cse/reduced"])
    torch.testing.assert_close(found["cse/residual"] + detector.references_, found["cse/reduced"])
    distances = 1 - cosine(float64(found["cse/reduced"]), float64(detector.references_), 1)
    np.testing.assert_allclose(found["cse/distance"][:, 0], distances, atol=1e-5)
    assert cut(found, CSE.default_cut).names == ("cse/residual",)


@pytest.mark.parametrize("classifier", [False, True])
def test_state__gives_the_same_scores_after_a_round_trip(tmp_path: Path, classifier: bool) -> None:
    detector = fitted(leather(4), classifier=classifier)
    write_state(tmp_path, detector.state())
    back = CSE.from_state(detector.params, read_state(tmp_path))
    batch = ImagesInMemory(leather(3, seed=5))
    pool = context().pool
    assert torch.equal(observe_all(back, batch, pool).pixels, observe_all(detector, batch, pool).pixels)
    assert torch.equal(observe_all(back, batch, pool).image, observe_all(detector, batch, pool).image)
    assert (back.features(), back.log_) == (detector.features(), detector.log_)
    assert not any("decoder" in name for name in detector.state())  # needed while learning only


# refusals


def test_state__of_another_embedding_is_refused(taught: CSE) -> None:
    with pytest.raises(
        ArtifactError, match=r"^cse: the stored state does not fit embedder_: '.*damaged, or of"
    ):
        CSE.from_state(CSE.Params(**{**TINY, "embedding": 4}), taught.state())


def test_fit__refuses_a_backbone_that_lacks_the_levels() -> None:
    with pytest.raises(ConfigError) as caught:
        fitted(leather(2), layers=(4, 5))
    assert str(caught.value).startswith("test_resnet: cannot give levels (4, 5) of 0..4")


def test_fit__refuses_levels_that_do_not_lie_on_one_another() -> None:
    with pytest.raises(ConfigError) as caught:
        fitted(leather(2), layers=(1, 3))
    assert str(caught.value) == (
        "cse: levels (1, 3) of test_resnet have strides 4 and 16, expected the second to be twice the first "
        "and a divisor of 32; take neighbouring levels, such as (3, 4) of an EfficientNet"
    )


def test_fit__refuses_more_clusters_than_images_before_it_learns() -> None:
    found, detector = context(), CSE(CSE.Params(**{**TINY, "clusters": 3}))
    images = ImagesInMemory(leather(2))
    with pytest.raises(InputError) as caught:
        detector.fit(images, validation=images, context=found)
    assert str(caught.value) == "cse: 3 clusters asked of 2 good images; ask for at most 2"
    cache: Any = found.pool._cache
    assert not cache._kept


def test_observe__refuses_a_size_it_did_not_learn(taught: CSE) -> None:
    sentence = (
        "cse: learned every position of images of 64 x 96, got 96 x 64; bring the images to that size or fit "
        "anew"
    )
    with pytest.raises(InputError) as caught:
        seen(taught, leather(1, size=(96, 64)))
    assert str(caught.value) == sentence
    with pytest.raises(InputError) as caught:
        CSE(CSE.Params(**TINY)).fit(
            ImagesInMemory(leather(2)),
            validation=ImagesInMemory(leather(1, size=(96, 64))),
            context=context(),
        )
    assert str(caught.value) == sentence


def test_fit__refuses_sizes_and_single_images_in_words() -> None:
    with pytest.raises(InputError) as caught:
        fitted(leather(2, size=(64, 80)))
    assert str(caught.value) == (
        "cse: expected images of height and width divisible by 32 and at least 64, got 64 x 80; "
        "the nearest size is 64 x 64"
    )
    with pytest.raises(InputError) as caught:
        fitted(leather(1))
    assert str(caught.value) == (
        "cse: needs at least 2 good images and one to validate, got 1 to learn from and 2 to validate on"
    )


TWO = "option 'layers': expected two neighbouring levels, the finer first, such as (3, 4)"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"layers": [1, 2, 3]}, f"{TWO}, got [1, 2, 3]"),
        ({"layers": [4]}, f"{TWO}, got [4]"),
        ({"clusters": 0}, "option 'clusters': input should be greater than 0, got 0"),
        ({"batch_size": 1}, "option 'batch_size': input should be greater than or equal to 2, got 1"),
        ({"defect_share": 1.5}, "option 'defect_share': input should be less than or equal to 1, got 1.5"),
        (
            {"decoder": "random"},
            "option 'decoder': input should be 'frozen', 'trained' or 'none', got 'random'",
        ),
        ({"map": "euclid"}, "option 'map': input should be 'squared' or 'cosine', got 'euclid'"),
    ],
)
def test_options__are_refused_in_words(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CSE.from_options(options)
    assert str(caught.value) == f"cse: {sentence}"

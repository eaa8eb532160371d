"""What scoring must and must not do. All of it is asked of one fitted member, which no check may change."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from leatherens.core.types import ImageBatch, Observation
from leatherens.testing.comparing import joined, pick, separation, snapshot
from leatherens.testing.scenes import patches
from leatherens.testing.trial import Trial

IMAGE_SEPARATION = 0.8
PIXEL_SEPARATION = 0.7
"""Probability that a defective image (pixel) scores above a good one; 0.5 is guessing. The planted defects
are loud, so this asks that a detector learned at all and points the right way, not that it is good."""

LOUDER = 0.01
"""By what share a hidden place must outdo the visible part before an image score can be judged by it."""


def check_shapes_and_dtype(trial: Trial) -> None:
    """Scores are finite float32 of shapes (B, H, W) and (B,), for one image and many; so are features."""
    for batch in (_rows(trial.scene.mixed, [0]), trial.scene.mixed):
        seen = trial.observe(trial.fitted.member, batch)
        count = len(batch)
        _expect_tensor(trial, "the score map", seen.scores.pixels, (count, *batch.size))
        _expect_tensor(trial, "the image score", seen.scores.image, (count,))
        for name, maps in zip(seen.features.names, seen.features.maps, strict=True):
            _expect_tensor(trial, f"feature map {name}", maps, (count, *maps.shape[1:]))
            trial.expect(
                maps.ndim == 4, f"feature map {name} has shape {tuple(maps.shape)}, expected (B, C, H, W)"
            )


def _expect_tensor(trial: Trial, name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    trial.expect(tuple(value.shape) == shape, f"{name} has shape {tuple(value.shape)}, expected {shape}")
    trial.expect(value.dtype == torch.float32, f"{name} is {value.dtype}, expected float32")
    trial.expect(bool(value.isfinite().all()), f"{name} holds NaN or infinite values")


def check_input_not_modified(trial: Trial) -> None:
    """Scoring writes neither into the images nor into the pyramids, which the next member will read."""
    batch, member = trial.scene.mixed, trial.fitted.member
    pixels = batch.pixels.clone()
    pyramids = trial.pool.pyramids(batch, member.backbones())
    kept = {request: [m.clone() for m in maps.maps] for request, maps in pyramids.items()}
    member.observe(batch, pyramids)
    intact = torch.equal(batch.pixels, pixels)
    batch.pixels.copy_(pixels)  # the other checks look at the same images
    trial.expect(intact, "observe changes the images in place; work on a copy")
    same = all(
        torch.equal(a, b) for r, maps in pyramids.items() for a, b in zip(maps.maps, kept[r], strict=True)
    )
    trial.expect(same, "observe changes the backbone's feature maps in place; work on a copy")


def check_scoring_leaves_state_alone(trial: Trial) -> None:
    """Scoring changes no attribute, tensor, buffer (batch-norm's too) or mode, and repeats itself."""
    member = trial.fitted.member
    before = snapshot(member)
    training = sorted(name for name, value in before.items() if value == "training")
    trial.expect(not training, f"after fit these modules are left in training mode: {', '.join(training)}")
    first = trial.observe(member, trial.scene.defective)
    after = snapshot(member)
    moved = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    trial.expect(not moved, f"scoring changes {', '.join(moved[:4])}")
    trial.expect_same(
        first, trial.observe(member, trial.scene.defective), "scoring the same images again disagrees"
    )


def check_batch_invariance(trial: Trial) -> None:
    """An image's scores and features do not depend on which other images share the batch."""
    alone = joined(
        [
            trial.observe(trial.fitted.member, _rows(trial.scene.mixed, [i]))
            for i in range(len(trial.scene.mixed))
        ]
    )
    trial.expect_same(trial.seen, alone, "scores one by one and together disagree")


def check_order_invariance(trial: Trial) -> None:
    """An image's scores and features do not depend on its place in the batch."""
    order = list(reversed(range(len(trial.scene.mixed))))
    turned = trial.observe(trial.fitted.member, _rows(trial.scene.mixed, order))
    trial.expect_same(trial.seen, pick(turned, order), "scores in another order disagree")


def check_names_do_not_matter(trial: Trial) -> None:
    """An image under another name scores the same: names can hold the label, and scores come from pixels."""
    batch = trial.scene.mixed
    renamed = ImageBatch(batch.pixels, tuple(f"img{len(batch) - i}" for i in range(len(batch))))
    trial.expect_same(
        trial.seen, trial.observe(trial.fitted.member, renamed), "scores change with the images' names"
    )


def check_memory_layout_does_not_matter(trial: Trial) -> None:
    """The same pixels, channels last or every second column of a wider tensor, score the same."""
    batch, member = trial.scene.mixed, trial.fitted.member
    layouts = {
        "channels-last": batch.pixels.contiguous(memory_format=torch.channels_last),
        "non-contiguous": batch.pixels.repeat_interleave(2, dim=-1)[..., ::2],
    }
    for name, pixels in layouts.items():
        seen = trial.observe(member, ImageBatch(pixels, batch.ids))
        trial.expect_same(trial.seen, seen, f"scores of {name} images disagree")


def check_no_autograd_graph(trial: Trial) -> None:
    """Scores and features carry no graph, which would keep every scored batch in memory."""
    seen = trial.seen
    named = {"score map": seen.scores.pixels, "image score": seen.scores.image}
    named |= dict(zip(seen.features.names, seen.features.maps, strict=True))
    graphs = [name for name, value in named.items() if value.requires_grad]
    trial.expect(not graphs, f"an autograd graph is kept with {', '.join(graphs)}; detach it")


def check_higher_is_more_anomalous(trial: Trial) -> None:
    """Images with a loud defect score above good ones."""
    scores = trial.seen.scores.image
    good = len(trial.scene.good)
    found = separation(scores[good:], scores[:good])
    trial.expect(
        found >= IMAGE_SEPARATION,
        f"a defective image scores above a good one with probability {found:.2f}, "
        f"expected at least {IMAGE_SEPARATION}",
    )


def check_map_points_at_the_defect(trial: Trial) -> None:
    """The map is high where the defect is and nowhere else, and turns with the image when it is mirrored."""
    batch, defects = trial.scene.defective, trial.scene.defects
    mirrors: dict[str, tuple[int, ...]] = {
        "as it is": (),
        "mirrored left to right": (-1,),
        "mirrored top to bottom": (-2,),
    }
    for name, dims in mirrors.items():
        pixels = batch.pixels.flip(dims).contiguous()
        maps = trial.observe(trial.fitted.member, ImageBatch(pixels, batch.ids)).scores.pixels
        found = _pointing(maps, defects.flip(dims))
        trial.expect(
            found >= PIXEL_SEPARATION,
            f"image {name}: a pixel of the defect scores above another with probability {found:.2f}, "
            f"expected at least {PIXEL_SEPARATION}; is the map transposed or mirrored?",
        )


def _pointing(maps: Tensor, defects: Tensor) -> float:
    """Mean over images of the probability that a defect's pixel outranks another."""
    per_image = [separation(m[d], m[~d]) for m, d in zip(maps, defects, strict=True)]
    return math.fsum(per_image) / len(per_image)


def check_reconstruction_as_declared(trial: Trial) -> None:
    """A declared reconstruction is the image less its defect, where it differs most; else there is none."""
    batch = trial.scene.defective
    shown = trial.observe(trial.fitted.member, batch).reconstruction
    if shown is None or not trial.flags.reconstructs:
        as_declared = (shown is not None) == trial.flags.reconstructs
        delivered = "no" if shown is None else "a"
        trial.expect(
            as_declared,
            f"delivers {delivered} reconstruction, but declares reconstructs={trial.flags.reconstructs}",
        )
        return
    _expect_tensor(trial, "the reconstruction", shown, tuple(batch.pixels.shape))
    found = _pointing((shown - batch.pixels).abs().mean(dim=1), trial.scene.defects)
    trial.expect(
        found >= PIXEL_SEPARATION,
        f"the reconstruction differs more from a pixel of the defect than from another with probability "
        f"{found:.2f}, expected at least {PIXEL_SEPARATION}; is it the image itself, or not in RGB, 0..1?",
    )


def check_hidden_pixels_change_nothing(trial: Trial) -> None:
    """What lies under `valid=False` changes no score, and is itself the quietest part of the map."""
    scene, member = trial.scene, trial.fitted.member
    keep = patches(len(scene.good), scene.good.size)
    plain = trial.observe(member, ImageBatch(scene.good.pixels, scene.good.ids, keep))
    loud = torch.where(keep[:, None], scene.good.pixels, 1 - scene.good.pixels)
    trial.expect_same(
        plain, trial.observe(member, ImageBatch(loud, scene.good.ids, keep)), "hidden pixels change scores"
    )
    for scores, seen in zip(plain.scores.pixels, keep, strict=True):
        quiet = bool(scores[~seen].max() <= scores[seen].min())
        trial.expect(quiet, "hidden pixels score above visible ones")


def check_image_score_ignores_hidden_pixels(trial: Trial) -> None:
    """Where the map is highest in a hidden place, hiding that place changes the image score."""
    batch, member = trial.scene.good, trial.fitted.member
    keep = patches(len(batch), batch.size, seed=1)
    masked = ImageBatch(batch.pixels, batch.ids, keep)
    hidden = trial.observe(member, masked)
    shown = trial.observe(
        member, ImageBatch(masked.pixels, batch.ids)
    )  # the same pixels, all of them counting
    louder = _highest(shown, ~keep) > _highest(shown, keep) + LOUDER * _highest(shown, ~keep).abs()
    if not bool(louder.any()):
        return  # nothing under these masks could have spoiled an image score
    same = hidden.scores.image[louder] == shown.scores.image[louder]
    trial.expect(
        not bool(same.all()),
        "the image score comes from hidden pixels; take it over valid ones: "
        "geometry.image_maximum(map, batch.valid)",
    )


def _highest(seen: Observation, where: Tensor) -> Tensor:
    return seen.scores.pixels.masked_fill(~where, -math.inf).flatten(1).amax(dim=1)


def check_wrong_size_refused(trial: Trial) -> None:
    """A size the flags exclude is refused in words that give the size, in fit and in observe."""
    for height, width in _wrong_sizes(trial):
        pixels = torch.nn.functional.interpolate(trial.scene.good.pixels, size=(height, width))
        batch = ImageBatch(pixels, trial.scene.good.ids)
        words, what = (str(height), str(width)), f"an image of {height} x {width} ({trial.flags})"
        trial.expect_refused(
            partial(trial.observe, trial.fitted.member, batch), f"scoring {what}", words=words
        )
        trial.expect_refused(
            partial(trial.fit, trial.make(), batch, batch), f"learning from {what}", words=words
        )


def _wrong_sizes(trial: Trial) -> list[tuple[int, int]]:
    height, width = trial.scene.good.size
    sizes = [(height + 1, width), (height, width + 1)] if trial.flags.multiple_of > 1 else []
    below = trial.smallest_size[0] - trial.flags.multiple_of
    return [*sizes, (below, width), (height, below)] if below > 0 else sizes


def check_other_size_scored_or_refused(trial: Trial) -> None:
    """An image of another size than was learned from is scored at its own size, or refused in words."""
    batch = trial.small.good

    def score() -> None:
        seen = trial.observe(trial.fitted.member, batch)
        _expect_tensor(trial, "the score map", seen.scores.pixels, (len(batch), *batch.size))

    trial.expect_done_or_refused(
        score, f"an image of {batch.size[0]} x {batch.size[1]}, unlike those learned from,"
    )


def check_nan_refused(trial: Trial) -> None:
    """NaN that got into a batch after it was checked is refused in words, not scored as if it were clean."""
    clean = trial.scene.good
    batch = ImageBatch(clean.pixels.clone(), clean.ids)
    batch.pixels[0, :, 8:12, 8:12] = math.nan
    trial.expect_refused(
        lambda: trial.observe(trial.fitted.member, batch), "an image with NaN", words=(batch.ids[0],)
    )


def _rows(batch: ImageBatch, rows: list[int]) -> ImageBatch:
    return ImageBatch(batch.pixels[rows], tuple(batch.ids[i] for i in rows))


CHECKS = (
    check_shapes_and_dtype,
    check_input_not_modified,
    check_scoring_leaves_state_alone,
    check_batch_invariance,
    check_order_invariance,
    check_names_do_not_matter,
    check_memory_layout_does_not_matter,
    check_no_autograd_graph,
    check_higher_is_more_anomalous,
    check_map_points_at_the_defect,
    check_reconstruction_as_declared,
    check_hidden_pixels_change_nothing,
    check_image_score_ignores_hidden_pixels,
    check_wrong_size_refused,
    check_other_size_scored_or_refused,
    check_nan_refused,
)

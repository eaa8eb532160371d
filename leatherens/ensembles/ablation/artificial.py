"""The best member, chosen without a test image: by how well artificial anomalies stand out on *validate*."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from leatherens.configs.recipe import Recipe
from leatherens.core.metrics import image_auroc, pixel_metrics
from leatherens.core.progress import Progress
from leatherens.core.synthesis.spoilt_images import SpoiltImages, example_images
from leatherens.core.types import ImageBatch, ImageSource, batches
from leatherens.ensembles.ablation.recording import Recordings

Masks = NDArray[np.bool_]

SEPARATION = (
    "Mean of image AUROC and AU-PRO with which a member's own scores tell good images of *validate* from "
    "spoilt copies of them (the artificial anomalies that fusions learn from), at the size members see; no "
    "test image is used."
)


def separations(
    recordings: Recordings,
    members: Sequence[str],
    validate: ImageSource,
    recipe: Recipe,
    progress: Progress,
) -> dict[str, float]:
    """How well each member tells spoilt images of *validate* from good ones, 0.5 or less for chance."""
    images: dict[str, list[float]] = {id: [] for id in members}
    maps: dict[str, list[NDArray[np.float32]]] = {id: [] for id in members}
    masks: list[Masks] = []
    spoilt = example_images(validate, seed=recipe.seed)
    with progress.step("looking at artificial anomalies", len(validate.ids) + len(spoilt.ids)) as advance:
        for batch, where in good_and_spoilt(validate, spoilt, recipe.batch_size):
            there = batch.to(recipe.device)
            for id in members:
                scores = recordings.observation(id, there, features=False).scores.to("cpu")
                images[id] += scores.image.tolist()
                maps[id] += list(scores.pixels.numpy())
            masks += list(where)
            advance(len(batch))
    labels = [bool(mask.any()) for mask in masks]
    return {
        id: (image_auroc(images[id], labels) + pixel_metrics(maps[id], masks).au_pro) / 2 for id in members
    }


def best(separated: Mapping[str, float]) -> str:
    """The member that separates best; of equals, the first by id."""
    return min(separated, key=lambda id: (-separated[id], id))


def good_and_spoilt(
    good: ImageSource, spoilt: SpoiltImages, batch_size: int
) -> Iterator[tuple[ImageBatch, Masks]]:
    """Batches and where they are spoilt, (B, H, W)."""
    for batch in batches(good, batch_size):
        yield batch, np.zeros((len(batch), *batch.size), dtype=np.bool_)
    for batch, where in spoilt.walk(batch_size):
        yield batch, where.cpu().numpy()

"""The best member, chosen without a test image: by how well artificial anomalies stand out on *validate*."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from leatherens.configs.recipe import Recipe
from leatherens.core.metrics import image_auroc, pixel_metrics
from leatherens.core.progress import Progress
from leatherens.core.randomness import torch_generator
from leatherens.core.synthesis.blurred import BlurAnomaly
from leatherens.core.synthesis.kinds import OneOf, spoilt
from leatherens.core.synthesis.noise_patch import NoisePatch
from leatherens.core.synthesis.overlay import TextureOverlay
from leatherens.core.synthesis.patterns import ProceduralTextures
from leatherens.core.synthesis.structural import StructuralAnomaly
from leatherens.core.types import ImageBatch, ImageSource, batches
from leatherens.ensembles.ablation.recording import Recordings

KINDS = OneOf(
    (
        TextureOverlay(ProceduralTextures(), beta=(0.3, 0.9), clean_share=0.0),
        StructuralAnomaly(),
        BlurAnomaly(),
        NoisePatch(),
    )
)
"""Foreign matter that shines through, the product disarranged, worn grain, a small stain."""

DRAWS = 2
"""Spoilt copies of each good image."""

SEPARATION = (
    "Mean of image AUROC and AU-PRO with which a member's own scores tell good images of *validate* from two "
    "spoilt copies of each (foreign texture, shuffled parts, blur, noise), at the size members see; no test "
    "image is used."
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
    maps: dict[str, list[np.ndarray]] = {id: [] for id in members}
    masks: list[np.ndarray] = []
    with progress.step("looking at artificial anomalies", len(validate.ids) * (1 + DRAWS)) as advance:
        for batch, where in _good_and_spoilt(validate, recipe.seed, recipe.batch_size):
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


def _good_and_spoilt(
    validate: ImageSource, seed: int, batch_size: int
) -> Iterator[tuple[ImageBatch, np.ndarray]]:
    """Batches and where they are spoilt, (B, H, W); every image draws by itself, whatever the batches are."""
    for batch in batches(validate, batch_size):
        yield batch, np.zeros((len(batch), *batch.size), dtype=np.bool_)
        for draw in range(DRAWS):
            copies = [_spoilt(batch, index, seed, draw) for index in range(len(batch))]
            pixels = torch.cat([copy.pixels for copy, _ in copies])
            yield ImageBatch(pixels, batch.ids, batch.valid), np.concatenate([mask for _, mask in copies])


def _spoilt(batch: ImageBatch, index: int, seed: int, draw: int) -> tuple[ImageBatch, np.ndarray]:
    """One image's copy and its mask (1, H, W)."""
    valid = None if batch.valid is None else batch.valid[index : index + 1]
    image = ImageBatch(batch.pixels[index : index + 1], batch.ids[index : index + 1], valid)
    copy, mask = spoilt(image, KINDS, torch_generator(seed, "ablation", "spoilt", batch.ids[index], draw))
    return copy, mask.numpy()

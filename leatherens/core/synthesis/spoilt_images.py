"""Good images spoilt on purpose, as a source that can be walked again: what fusions and heads learn to find.

Every sample has a generator of its own, from the seed, the image's name and the number of the copy: it does
not depend on which others share the batch, or on how often it was drawn before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import Tensor

from leatherens.core.randomness import numpy_generator
from leatherens.core.synthesis.blurred import BlurAnomaly
from leatherens.core.synthesis.confined import Confined
from leatherens.core.synthesis.kinds import AnomalyKind, OneOf, spoilt_by
from leatherens.core.synthesis.noise_patch import NoisePatch
from leatherens.core.synthesis.patterns import ProceduralTextures
from leatherens.core.synthesis.structural import StructuralAnomaly
from leatherens.core.synthesis.textural import TexturalAnomaly
from leatherens.core.synthesis.textures import TextureSource
from leatherens.core.types import ImageBatch, ImageSource

EXAMPLES = 100
"""Spoilt images by default: enough to tell an AUROC of 0.90 from one of 0.95, and a minute's work at most."""
MOST_COPIES = 10
"""Of one good image: each further one says less that is new."""


def mixed_anomalies(textures: TextureSource | None = None) -> AnomalyKind:
    """A foreign texture, the product in disorder, a blur or noise; scratch to stain, plain to faint.

    textures: made on the spot where none are given.

    Detectors learn from some of these kinds themselves (DRAEM, CSE, RD++), which flatters them; in a small
    spot, half faded, a kind is at least not what they have seen.
    """
    foreign = TexturalAnomaly(ProceduralTextures() if textures is None else textures)
    kinds = (foreign, StructuralAnomaly(), BlurAnomaly())
    return OneOf((*(Confined(kind) for kind in kinds), Confined(NoisePatch(), fade=(0.0, 0.5))))


class SpoiltImages:
    """An `ImageSource` of good images spoilt by a kind.

    every: one in so many of the good images is taken. copies: of each that is, with another anomaly.
    """

    def __init__(
        self, good: ImageSource, kind: AnomalyKind, *, seed: int, copies: int = 1, every: int = 1
    ) -> None:
        self._good, self._kind, self._seed = good, kind, seed
        self._rows = [*range(0, len(good.ids), every)] * copies
        names = good.ids
        taken = len(self._rows) // copies
        self._ids = tuple(f"{names[row]}#{number // taken}" for number, row in enumerate(self._rows))

    @property
    def ids(self) -> tuple[str, ...]:
        """The good image's name and the number of the copy, copy by copy."""
        return self._ids

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self._good.size

    def batch(self, indices: Sequence[int]) -> ImageBatch:
        """The spoilt images at these positions."""
        return self.drawn(indices)[0]

    def drawn(self, indices: Sequence[int]) -> tuple[ImageBatch, Tensor]:
        """The spoilt images at these positions, and exactly where they are spoilt, (B, H, W) bool."""
        good = self._good.batch([self._rows[index] for index in indices])
        names = tuple(self._ids[index] for index in indices)
        generators = [numpy_generator(self._seed, "artificial anomaly", name) for name in names]
        batch, masks = spoilt_by(good, self._kind, generators)
        return replace(batch, ids=names), masks

    def walk(self, size: int) -> Iterator[tuple[ImageBatch, Tensor]]:
        """All of them in batches, with their masks."""
        for start in range(0, len(self._ids), size):
            yield self.drawn(range(start, min(start + size, len(self._ids))))


def example_images(good: ImageSource, *, seed: int, wanted: int = EXAMPLES) -> SpoiltImages:
    """About as many spoilt images as wanted: several of each good image, or of one in several."""
    count = len(good.ids)
    copies = min(MOST_COPIES, -(-wanted // count))
    return SpoiltImages(good, mixed_anomalies(), seed=seed, copies=copies, every=max(1, count // wanted))

"""PaDiM: a Gaussian for each position of good images (Defard et al., ICPR workshops 2021).

Nothing is trained: one walk over the good images gathers mean and covariance of their features at each
position, and a position is as anomalous as it is far from its own Gaussian. Made for images that lie alike;
on textures every position has the same law, so that it works there, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.errors import ArtifactError, ConfigError, InputError
from leatherens.core.gaussians import PositionMoments, at_positions, on_grid, whitened, whitening
from leatherens.core.geometry import image_maximum, repeated, valid_positions
from leatherens.core.memory import refuse_beyond
from leatherens.core.params import Params
from leatherens.core.patches import patch_scores
from leatherens.core.randomness import numpy_generator
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation, ScoreMap
from leatherens.core.weights import DEFAULT_MODEL


class PaDiM(Detector):
    """A Gaussian of the features at each position; the score is the Mahalanobis distance."""

    id: ClassVar[str] = "padim"
    default_cut: ClassVar[tuple[str, ...]] = ("whitened",)
    capabilities: ClassVar[Capabilities] = Capabilities(min_images=2, updates=True)
    check_options: ClassVar[Mapping[str, Any]] = {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "dimensions": 12,
    }

    class Params(Params):
        """The published settings: sections 3 and 4 of the paper."""

        backbone: str = "wide_resnet50_2"
        layers: tuple[int, ...] = (1, 2, 3)
        weights: str = "pretrained"
        dimensions: PositiveInt | None = 550
        """Channels drawn at random from all levels', once (100 with ResNet-18); `None` keeps them all."""
        regularisation: NonNegativeFloat = 0.01
        """Added to each variance (epsilon of equation 1), in the features' own unit."""
        smoothing: NonNegativeFloat = 4.0
        """Sigma of the Gaussian over the score map, in pixels."""
        memory_mb: PositiveInt = 8192
        """Most that the covariances may take."""

    channels_: Tensor
    """(C,) which of the concatenated channels are kept, rising."""
    mean_: Tensor
    """(P, C) of each position of `grid_`, row by row."""
    whitening_: Tensor
    """(P, C, C) inverse Cholesky factors of the covariances."""
    grid_: list[int]
    stride_: int

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
        """At quick effort the backbone that is always there, and as many channels as with ResNet-18."""
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(backbone=DEFAULT_MODEL, dimensions=100)

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """The frozen pyramid that is modelled."""
        options = self.params
        return (BackboneRequest(options.backbone, options.layers, options.weights),)

    def features(self) -> tuple[FeatureSpec, ...]:
        """The channels kept, the same whitened by their position's Gaussian, and the distance."""
        self.require_fitted("features")
        wide = {"embedding": len(self.channels_), "whitened": len(self.channels_), "distance": 1}
        return tuple(FeatureSpec(f"{self.id}/{name}", c, self.stride_) for name, c in wide.items())

    def check_pyramids(self, specs: Sequence[PyramidSpec], size: tuple[int, int]) -> None:
        """Refuse to draw more channels than there are."""
        (spec,) = specs
        total = sum(spec.channels)
        count = self.params.dimensions or total
        if count > total:
            raise ConfigError(
                f"{self.id}: dimensions: {count} asked of {total} channels ({self.params.backbone} has "
                f"{' + '.join(map(str, spec.channels))} at layers {self.params.layers}); take at most {total}"
            )

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        (request,) = self.backbones()
        spec = context.pool.spec(request)
        self.size_, self.stride_ = list(images.size), min(spec.strides)
        self.channels_ = self._drawn_channels(spec, context.seed)
        self._refuse_impossible(images)
        self._learn(self._gathered(images, context), context)

    def _update(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        """Merge the new images' moments into the old, which the inverse factors give back."""
        self.require_learned_size(images.size)
        count = getattr(self, "count_", None)
        if count is None:
            raise ArtifactError(
                f"{self.id}: was saved by a version that did not keep how many images each position has "
                "seen, so that nothing can be added; fit it anew, or move only calibration and threshold"
            )
        ridge = self.params.regularisation
        held = PositionMoments.restored(count, self.mean_, self.whitening_, ridge)
        self._learn(self._gathered(images, context, held), context)

    def _learn(self, moments: PositionMoments, context: FitContext) -> None:
        # Not declared above: runs saved without it are read all the same.
        self.count_ = moments.count.clone()  # (P,) images seen, before rare positions borrow from others
        self._pool_rarely_seen(moments, context)
        self.mean_ = moments.mean
        self.whitening_ = self._inverted(moments, context)

    def _drawn_channels(self, spec: PyramidSpec, seed: int) -> Tensor:
        total = sum(spec.channels)
        count = self.params.dimensions or total
        drawn = numpy_generator(seed, self.id, "channels").choice(total, count, replace=False)
        return torch.from_numpy(drawn).sort().values

    def _refuse_impossible(self, images: ImageSource) -> None:
        """Before any work: covariances without an inverse, or more than memory holds."""
        count, channels = len(images.ids), len(self.channels_)
        if self.params.regularisation == 0 and count <= channels:
            raise ConfigError(
                f"{self.id}: {count} images cannot give covariances of {channels} channels an inverse; give "
                f"at least {channels + 1}, fewer dimensions, or a regularisation such as 0.01"
            )
        height, width = (-(-side // self.stride_) for side in images.size)
        refuse_beyond(
            self.params.memory_mb,
            height * width * channels**2 * 4,
            owner=self.id,
            what=f"the table of covariances ({height * width} of {channels} x {channels} numbers)",
            remedy="fewer dimensions, smaller images, coarser layers",
        )

    def _gathered(
        self, images: ImageSource, context: FitContext, moments: PositionMoments | None = None
    ) -> PositionMoments:
        """The moments of these images, merged into those given."""
        for batch, pyramids in context.walk(images, self.backbones(), f"{self.id}: gathering moments"):
            embedded = self._embedded(pyramids)
            vectors = at_positions(embedded)  # (P, B, C)
            if moments is None:
                self.grid_ = list(embedded.shape[-2:])
                moments = PositionMoments(len(vectors), vectors.shape[2], context.device)
            moments.add(vectors, self._counted(batch))
        assert moments is not None  # the contract promises images
        return moments

    def _counted(self, batch: ImageBatch) -> Tensor | None:
        """(P, B): what may teach."""
        if batch.valid is None:
            return None
        height, width = self.grid_
        return valid_positions(batch.valid, (height, width)).flatten(1).T

    def _pool_rarely_seen(self, moments: PositionMoments, context: FitContext) -> None:
        positions = len(moments.count)
        rare = moments.pool_rarely_seen()
        if rare == positions:
            raise InputError(
                f"{self.id}: no position is valid in two images; give more images, or masks that hide less"
            )
        if rare:
            context.progress.say(
                f"{self.id}: {rare} of {positions} positions are valid in fewer than two images and are "
                "judged by the mean and covariance of the others"
            )

    def _inverted(self, moments: PositionMoments, context: FitContext) -> Tensor:
        regularisation = self.params.regularisation
        with context.progress.step(f"{self.id}: whitening positions", len(moments.mean)) as advance:
            try:
                return whitening(moments, regularisation, advance)
            except RuntimeError:  # torch.linalg.LinAlgError is one
                raise InputError(
                    f"{self.id}: a covariance has no inverse at regularisation {regularisation:g}: the "
                    "images vary in too few ways; give more images, fewer dimensions, or a regularisation "
                    "such as 0.01"
                ) from None

    def _embedded(self, pyramids: Pyramids) -> Tensor:
        """(B, C, h, w): the channels kept, on the finest level's grid."""
        (request,) = self.backbones()
        levels = pyramids[request].maps
        size = (levels[0].shape[-2], levels[0].shape[-1])
        return torch.cat([repeated(level, size) for level in levels], dim=1)[:, self.channels_]

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        self.require_learned_size(batch.size)
        embedded = self._embedded(pyramids)
        height, width = self.grid_
        residual = on_grid(whitened(at_positions(embedded), self.mean_, self.whitening_), (height, width))
        distance = residual.norm(dim=1)  # (B, h, w)
        seen = patch_scores(distance, batch.size, smoothing=self.params.smoothing, valid=batch.valid)
        maps = FeatureMaps(
            (embedded, residual, distance[:, None]), tuple(spec.name for spec in self.features())
        )
        # Of the smoothed map, unlike the other methods of this family: as in the common reimplementations.
        return Observation(maps, ScoreMap(seen.pixels, image_maximum(seen.pixels, batch.valid)))

"""PatchCore: distance to the nearest patch ever seen on good images (Roth et al., CVPR 2022).

Nothing is trained. Patch descriptors of good images fill a memory bank, thinned by a greedy core set;
a position is as anomalous as its descriptor is far from the bank. Several backbones may have a bank
each (the paper's ensemble), brought to one scale by good images, never by the images under test.
A bank's index is not stored but made from its rows; with another one than `Flat`, `recall_` says how well
it finds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor
from typing_extensions import Self

from leatherens.core.backbones import BackboneRequest, Pyramids, PyramidSpec
from leatherens.core.capabilities import Capabilities
from leatherens.core.component import JsonValue
from leatherens.core.detector import Detector, Effort, FeatureSpec, FitContext
from leatherens.core.errors import InputError
from leatherens.core.geometry import positions_of
from leatherens.core.memory_bank import BankParams, MemoryBank, gathered, positions_held, thinned
from leatherens.core.params import OddSide
from leatherens.core.patches import described_channels, locally_aware, patch_scores
from leatherens.core.randomness import derive
from leatherens.core.rows import maps_of, rows_of
from leatherens.core.search_index import require_usable
from leatherens.core.types import FeatureMaps, ImageBatch, ImageSource, Observation, ScoreMap
from leatherens.core.weights import DEFAULT_MODEL

QUICK_ROWS = 2048
"""Of a bank at quick effort: ten times as many find no more (docs/results.md) and take ten times as long."""

QUICK_MB = 1024
"""For patches while learning at quick effort: those of 1700 images of 256 x 256."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one bank says of a batch: descriptors and residuals (B, C, h, w), scores (B, h, w) and (B,)."""

    descriptors: Tensor
    residual: Tensor
    patches: Tensor
    image: Tensor


def mean_scores(scores: Sequence[ScoreMap]) -> ScoreMap:
    """The mean over banks; one bank's is itself."""
    return ScoreMap(
        torch.stack([s.pixels for s in scores]).mean(dim=0),
        torch.stack([s.image for s in scores]).mean(dim=0),
    )


class PatchCore(Detector):
    """A thinned memory of good patches; the score is the distance to the nearest one."""

    id: ClassVar[str] = "patchcore"
    default_cut: ClassVar[tuple[str, ...]] = ("residual*",)
    capabilities: ClassVar[Capabilities] = Capabilities(updates=True)
    check_options: ClassVar[Mapping[str, Any]] = {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "pretrain_embed_dimension": None,
        "target_embed_dimension": None,
    }

    class Params(BankParams):
        """The published settings: sections 3 and 4 of the paper."""

        backbone: str | tuple[str, ...] = "wide_resnet50_2"
        """One timm model, or several with a bank each (section 4.4)."""
        layers: tuple[int, ...] = (2, 3)
        weights: str = "pretrained"
        patch_size: OddSide = 3
        """Side of the window around a position that its descriptor averages."""
        pretrain_embed_dimension: PositiveInt | None = 1024
        """Channels each level is averaged to; `None` keeps its own."""
        target_embed_dimension: PositiveInt | None = 1024
        """Channels of a descriptor; `None` keeps those of all levels."""
        neighbours: PositiveInt = 1
        """A position's score is the mean distance to this many nearest rows."""
        squared: bool = False
        """Square the distances, as the authors' code does and the paper does not."""
        reweight: NonNegativeInt = 9
        """Bank neighbours in the weight of the image score (equation 7); 0 or 1 take the largest score."""
        smoothing: NonNegativeFloat = 4.0
        """Sigma of the Gaussian over the score map, in pixels."""
        memory_mb: PositiveInt = 4096
        """Most that the patches held to choose the bank from may take; the published sets' take less."""

    @classmethod
    def params_for(cls, effort: Effort) -> Params:
        """At quick effort the backbone that is always there, its few channels as they are, a small bank."""
        if effort is Effort.full:
            return cls.Params()
        return cls.Params(
            backbone=DEFAULT_MODEL,
            pretrain_embed_dimension=None,
            target_embed_dimension=None,
            max_rows=QUICK_ROWS,
            memory_mb=QUICK_MB,
        )

    def backbones(self) -> tuple[BackboneRequest, ...]:
        """One pyramid a bank."""
        options = self.params
        models = (options.backbone,) if isinstance(options.backbone, str) else options.backbone
        return tuple(BackboneRequest(model, options.layers, options.weights) for model in models)

    def features(self) -> tuple[FeatureSpec, ...]:
        """Per bank the descriptors, what separates them from their nearest row, and the distance."""
        self.require_fitted("features")
        return tuple(
            FeatureSpec(f"{self.id}/{name}{self._suffix(i)}", channels, stride)
            for i, (wide, stride) in enumerate(zip(self.channels_, self.strides_, strict=True))
            for name, channels in (("descriptors", wide), ("residual", wide), ("distance", 1))
        )

    def _suffix(self, bank: int) -> str:
        return "" if len(self.channels_) == 1 else str(bank + 1)

    def _build(self) -> None:
        self._banks = [
            MemoryBank(getattr(self, f"bank{i}_"), self.params, owner=self.id)
            for i in range(len(self.channels_))
        ]

    def to(self, device: torch.device | str) -> Self:
        """Move the banks; their indices are made anew where they now lie."""
        moved = super().to(device)
        if moved.fitted:
            moved._build()
        return moved

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        requests = self.backbones()
        specs = [context.pool.spec(request) for request in requests]
        self.channels_ = [self._channels(spec) for spec in specs]
        self.strides_ = [min(spec.strides) for spec in specs]
        for channels in self.channels_:
            require_usable(self.params, channels, owner=self.id)
        self._fill_banks(images, validation, context, [torch.empty(0, wide) for wide in self.channels_])
        self.centres_, self.spreads_ = [0.0] * len(requests), [1.0] * len(requests)
        if len(requests) > 1:
            self._learn_scales(requests, validation, context)

    def _update(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        self._fill_banks(images, validation, context, [bank.rows for bank in self._banks])
        if len(self._banks) > 1:
            self._learn_scales(self.backbones(), validation, context)

    def _fill_banks(
        self, images: ImageSource, validation: ImageSource, context: FitContext, held: Sequence[Tensor]
    ) -> None:
        """Each bank grows by the core set's share of the new patches; old and new are thinned as one."""
        self._refuse_too_small(images, max(map(len, held)))
        requests = self.backbones()
        for i, (request, old) in enumerate(zip(requests, held, strict=True)):
            rows = self._gathered(i, request, images, context, len(old))
            count = len(old) + max(1, int(len(rows) * self.params.core_set))
            known = torch.cat([old.to(rows.device), rows]) if len(old) else rows
            setattr(self, f"bank{i}_", self._thinned(i, known, count, context))
        self._build()
        if not self.params.exact:
            self.recall_ = [self._recall(i, r, validation, context) for i, r in enumerate(requests)]

    def _channels(self, spec: PyramidSpec) -> int:
        options = self.params
        return described_channels(
            spec.channels, options.pretrain_embed_dimension, options.target_embed_dimension
        )

    def _refuse_too_small(self, images: ImageSource, held: int) -> None:
        """Before any work: a core set of which nothing would be left."""
        for bank in range(len(self.strides_)):
            count = held + self._most_rows(bank, images, held)
            if int(count * self.params.core_set) == 0:
                raise InputError(
                    f"{self.id}: core_set {self.params.core_set:g} of {count} patches keeps none; "
                    f"give more images or a core_set of at least {1 / count:.2g}"
                )

    def _most_rows(self, bank: int, images: ImageSource, held: int) -> int:
        """Patches that are held at once to choose this bank from, beside `held` of an older one."""
        height, width = (-(-side // self.strides_[bank]) for side in images.size)
        room = positions_held(self.params, self.channels_[bank], held=held)
        return min(len(images.ids) * height * width, room)

    def _gathered(
        self, bank: int, request: BackboneRequest, images: ImageSource, context: FitContext, held: int
    ) -> Tensor:
        """(N, C): the descriptors of all positions that may teach, or of as many as may be held."""
        name = f"{self.id}{self._suffix(bank)}"
        room = self._most_rows(bank, images, held)
        walked = context.walk(images, [request], f"{self.id}: gathering patches{self._suffix(bank)}")
        pieces = (rows_of(self._described(pyramids, request), batch.valid) for batch, pyramids in walked)
        return gathered(pieces, room, self.params, seed=context.seed, name=name, progress=context.progress)

    def _thinned(self, bank: int, rows: Tensor, count: int, context: FitContext) -> Tensor:
        return thinned(
            rows,
            count,
            self.params,
            seed=derive(context.seed, self.id, "core set", bank),
            progress=context.progress,
            name=f"{self.id}{self._suffix(bank)}",
        )

    def _recall(
        self, bank: int, request: BackboneRequest, validation: ImageSource, context: FitContext
    ) -> dict[str, JsonValue]:
        name = f"{self.id}{self._suffix(bank)}"
        walk = context.walk(validation, [request], f"{name}: recall of the index")
        positions = (rows_of(self._described(pyramids, request), batch.valid) for batch, pyramids in walk)
        return self._banks[bank].recall(positions, seed=context.seed, name=name, progress=context.progress)

    def _learn_scales(
        self, requests: Sequence[BackboneRequest], validation: ImageSource, context: FitContext
    ) -> None:
        """Mean and deviation of each bank's scores of held-out good positions."""
        title = f"{self.id}: scales of the banks"
        scores: list[list[Tensor]] = [[] for _ in requests]
        for batch, pyramids in context.walk(validation, requests, title):
            for i, seen in enumerate(self._look(batch, pyramids)):
                scores[i].append(rows_of(seen.patches[:, None], batch.valid))
        pooled = [torch.cat(parts).double() for parts in scores]
        self.centres_ = [float(part.mean()) for part in pooled]
        self.spreads_ = [max(float(part.std(correction=0)), 1e-12) for part in pooled]

    def _described(self, pyramids: Pyramids, request: BackboneRequest) -> Tensor:
        options = self.params
        return locally_aware(
            pyramids[request].maps,
            side=options.patch_size,
            level_bins=options.pretrain_embed_dimension,
            bins=options.target_embed_dimension,
        )

    def _look(self, batch: ImageBatch, pyramids: Pyramids) -> list[Seen]:
        """What each bank says, in its own unit."""
        return [
            self._look_up(bank, self._described(pyramids, request), batch.valid)
            for bank, request in zip(self._banks, self.backbones(), strict=True)
        ]

    def _look_up(self, bank: MemoryBank, maps: Tensor, valid: Tensor | None) -> Seen:
        found = bank.nearest(maps, self.params.neighbours)
        distances = found.distances.square() if self.params.squared else found.distances
        patches = maps_of(distances.mean(dim=1), maps)[:, 0]
        nearest = maps_of(bank.rows[found.indices[:, 0]], maps)
        positions = positions_of(maps, valid)
        image = bank.image_scores(patches, maps, positions, reweight=self.params.reweight)
        return Seen(maps, maps - nearest, patches, image)

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        looks = self._look(batch, pyramids)
        scales = list(zip(self.centres_, self.spreads_, strict=True))
        scored = [
            patch_scores(
                (seen.patches - centre) / spread,
                batch.size,
                smoothing=self.params.smoothing,
                valid=batch.valid,
                image=(seen.image - centre) / spread,
            )
            for seen, (centre, spread) in zip(looks, scales, strict=True)
        ]
        maps = [m for seen in looks for m in (seen.descriptors, seen.residual, seen.patches[:, None])]
        names = tuple(spec.name for spec in self.features())
        return Observation(FeatureMaps(tuple(maps), names), mean_scores(scored))

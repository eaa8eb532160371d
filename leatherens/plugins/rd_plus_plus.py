"""RD++ (Tien et al., CVPR 2023): reverse distillation whose bottleneck sees features stripped of anomalies.

One projection a level learns, from good images with rectangles of simplex noise, to bring back what the clean
image would have shown; the decoder still regenerates the teacher's own features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from leatherens.core.detector import Effort, FeatureSpec, FitContext
from leatherens.core.reverse import ReverseNetworks, flattened_loss, in_view, plan_for, positionwise_loss
from leatherens.core.reverse_detector import Regenerated, ReverseDetector, ReverseParams, Teach
from leatherens.core.synthesis.crops import random_crops
from leatherens.core.synthesis.kinds import spoilt
from leatherens.core.synthesis.noise_patch import NoisePatch
from leatherens.core.tasks import Task
from leatherens.core.transport import sinkhorn_divergence
from leatherens.core.types import ImageBatch, ImagesInMemory

RECONSTRUCTION, CONTRAST = 0.01, 0.1
"""Weights of two projection losses beside the transport's 1."""

MARGIN = 0.5
"""Cosine below which noisy features and projected ones are apart enough."""


def reconstruction_loss(
    clean: Sequence[Tensor], noisy: Sequence[Tensor], valid: Tensor | None = None
) -> Tensor:
    """1 - cosine of each position of two images' projections, averaged, summed over levels; scalar."""
    return positionwise_loss(clean, noisy, valid).mean()


def contrast_loss(
    noisy: Sequence[Tensor], projected: Sequence[Tensor], valid: Tensor | None = None
) -> Tensor:
    """How alike whole levels of noisy features and clean projections are beyond a cosine of 1/2; scalar."""
    pairs = zip(in_view(noisy, valid), in_view(projected, valid), strict=True)
    alike = [F.cosine_similarity(n.flatten(1), p.flatten(1)) for n, p in pairs]
    return torch.stack([(a - MARGIN).clamp_min(0).mean() for a in alike]).sum()


def transport_loss(projected: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    """Optimal transport from a batch's projections to the same in another order, summed over levels; scalar.

    As the authors compute it: each level is one cloud of B points, the same cloud in any order, so that the
    divergence, and what it teaches, are zero but for rounding.
    """
    order = torch.randperm(len(projected[0]), generator=generator).to(projected[0].device)
    clouds = [p.flatten(1).softmax(dim=1) for p in projected]
    return torch.stack([sinkhorn_divergence(cloud, cloud[order]) for cloud in clouds]).sum()


def projection_loss(transport: Tensor, reconstruction: Tensor, contrast: Tensor) -> Tensor:
    """The weighted mean of the three."""
    total = transport + RECONSTRUCTION * reconstruction + CONTRAST * contrast
    return total / (1 + RECONSTRUCTION + CONTRAST)


def projection(channels: int) -> nn.Sequential:
    """(B, C, h, w) to the same through a quarter of the channels; every position sees 9 x 9 around it."""
    widths = (channels, channels // 2, channels // 4, channels // 2, channels)
    layers: list[nn.Module] = []
    for before, after in pairwise(max(1, wide) for wide in widths):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.InstanceNorm2d(after), nn.LeakyReLU(0.01)]
    return nn.Sequential(*layers)


class ProjectedNetworks(nn.Module):
    """Reverse distillation behind a projection of each level."""

    def __init__(self, channels: Sequence[int], reverse: ReverseNetworks) -> None:
        super().__init__()
        self.projections = nn.ModuleList(projection(wide) for wide in channels)
        self.reverse = reverse

    def project(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Levels of the same shapes."""
        return [project(level).float() for project, level in zip(self.projections, levels, strict=True)]


def in_parts(batch: ImageBatch, count: int) -> list[ImageBatch]:
    """A batch cut into so many, fewer where one would hold a single image."""
    shares = torch.arange(len(batch)).tensor_split(max(1, min(count, len(batch) // 2)))
    return [ImagesInMemory(batch).batch(share.tolist()) for share in shares]


class RDPlusPlus(ReverseDetector):
    """Reverse distillation through projections that learn to take simplex noise away again."""

    id: ClassVar[str] = "rd-plus-plus"
    check_options: ClassVar[Mapping[str, Any]] = {
        "backbone": "test_resnet",
        "layers": [0, 1],
        "batch_size": 4,
        "parts": 1,
        "transport": False,
        "steps": 20,
    }

    class Params(ReverseParams):
        """The authors' code, except for when to stop.

        They keep the epoch that is best on the images under test, of a number chosen for each of their
        classes, 10 (leather) to 300. Here it is the last of reverse distillation's 200.
        """

        batch_size: Annotated[int, Field(ge=2)] = 32
        """Images of a step."""
        parts: PositiveInt = 2
        """Each step adds the gradients of so many parts of its batch, each normalised on its own."""
        projection_rate: PositiveFloat = 1e-3
        """Learning rate of the projections; `learning_rate` is that of bottleneck and decoder."""
        projection_weight: NonNegativeFloat = 0.2
        """Of what the projections learn from noise, beside the distillation's 1."""
        noise_strength: PositiveFloat = 0.2
        """Of the simplex noise on images in 0..1."""
        transport: bool = True
        """Compute the published transport loss, although it is zero but for rounding."""

    networks_: ProjectedNetworks

    @classmethod
    def params_for(cls, effort: Effort) -> Any:
        """At quick effort as reverse distillation, without the transport that teaches nothing."""
        if effort is Effort.full:
            return cls.Params()
        return super().params_for(effort).model_copy(update={"parts": 1, "transport": False})

    def features(self) -> tuple[FeatureSpec, ...]:
        """As reverse distillation's, and the projected levels."""
        return (*super().features(), *self._level_specs("projected"))

    def _networks(self) -> nn.Module:
        plan = plan_for(self.params.backbone, len(self.channels_))
        return ProjectedNetworks(self.channels_, ReverseNetworks(self.channels_, plan))

    def _regenerated(self, teacher: Sequence[Tensor]) -> Regenerated:
        projected = self.networks_.project(teacher)
        code, levels = self.networks_.reverse(projected)
        return Regenerated(code.float(), [level.float() for level in levels], projected)

    def _task(self, teach: Teach, context: FitContext) -> Task:
        options, networks = self.params, self.networks_

        def loss(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            shown = random_crops(batch, options.crop, generator)
            parts = in_parts(shown, options.parts)
            return torch.stack([self._loss(p, teach, generator, keep=shown is batch) for p in parts]).sum()

        def judge(batch: ImageBatch, generator: torch.Generator) -> Tensor:
            clean = teach(batch, keep=True)
            return flattened_loss(clean, self._regenerated(clean).levels, batch.valid)

        adams = [
            torch.optim.Adam(networks.projections.parameters(), options.projection_rate, options.betas),
            torch.optim.Adam(networks.reverse.parameters(), options.learning_rate, options.betas),
        ]
        judges = judge if options.keep == "best" else None
        return Task(self.id, networks, adams, loss, judges, identity=f"{options!r} {self.teacher_}")

    def _loss(self, shown: ImageBatch, teach: Teach, generator: torch.Generator, *, keep: bool) -> Tensor:
        """Of good images, regenerated from their projections and compared with themselves under noise."""
        options, valid = self.params, shown.valid
        bad, _ = spoilt(shown, NoisePatch(strength=options.noise_strength), generator)
        clean, noisy = teach(shown, keep=keep), teach(bad, keep=False)
        regenerated = self._regenerated(clean)
        distilled = flattened_loss(clean, regenerated.levels, valid).mean()
        nothing = torch.zeros_like(distilled)
        learned = projection_loss(
            transport_loss(regenerated.projected, generator) if options.transport else nothing,
            reconstruction_loss(regenerated.projected, self.networks_.project(noisy), valid),
            contrast_loss(noisy, regenerated.projected, valid),
        )
        total: Tensor = distilled + options.projection_weight * learned
        return total

"""One PCA over the channels of several feature maps: the piece both transformation blocks are made of.

Heller et al., Intelligent Systems with Applications 19 (2023) 200264, reduce feature maps along
channels, positions being the samples. Here each channel is centred and scaled, projected on the kept
components, and one more channel says how far a position lies from everything they span: learned
from good images only, the components drop directions in which good leather does not vary, and a
defect may show exactly there.

Projecting a position and interpolating between positions commute (both are affine and bilinear
weights sum to one), so maps are projected where they are small and resized afterwards. Only the
residual norm, which is not linear, needs all channels on one grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from pydantic import AfterValidator, Field, StrictFloat, StrictInt
from torch import Tensor, nn

from leatherens.core.errors import ConfigError
from leatherens.core.geometry import Size, resize
from leatherens.core.params import Params
from leatherens.core.pca import ROUNDING, Components, Moments, kept_components, principal_components
from leatherens.core.rows import rows_of

Scaling: TypeAlias = Literal["none", "z-score", "unit-norm"]
Sections: TypeAlias = Sequence[tuple[str, int]]
"""Which consecutive channels belong to which member: (id, channels)."""

CONSTANT = 1e-6
"""A channel whose deviation is below this share of its member's largest counts as constant."""

NEGLIGIBLE = 1e-8
"""Share of the total variance below which a variance is rounding, not something to divide by."""


def _count_or_fraction(value: int | float) -> int | float:
    if value <= 0 or (isinstance(value, float) and value >= 1):
        raise ValueError("expected a count (1, 2, ...) or a fraction of the variance (between 0 and 1)")
    return value


ComponentCount: TypeAlias = Annotated[StrictInt | StrictFloat, AfterValidator(_count_or_fraction)]
"""How many components: a count, or the fraction of the variance they must explain."""


class PCAParams(Params):
    """Options of one PCA over maps."""

    components: ComponentCount = 0.99
    """How many components to keep, or the fraction of the variance they must explain.

    High, because defects tend to show where good images vary little."""
    max_components: Annotated[int, Field(ge=1)] = 64
    """Cap on what a fraction may ask for: the heads' cost grows with it. A count is taken at its word."""
    scaling: Scaling = "unit-norm"
    """What makes members comparable before the PCA; see `channel_scales`."""
    whiten: bool = True
    """Divide every component by its deviation on good images, so that no direction outweighs another."""
    residual: bool = True
    """Append the distance from the span of the kept components as one more channel."""
    max_grid: Annotated[int, Field(ge=1)] = 64
    """Longest side of the common grid; finer maps are averaged down to it."""
    scores: bool = False
    """Append each member's score map as one more channel; see `core.score_channels`.

    Off: the score fusion hears the members' scores already, and a member that remembers its training images
    scores them lower than any fresh ones, which no head could learn from."""


def channel_scales(variances: Tensor, sections: Sections, scaling: Scaling) -> Tensor:
    """(C,) factors for centred channels of these variances (C,).

    "unit-norm": one factor per member, after which its channels' variances sum to one: neither its
        unit nor its number of channels lets it outweigh the others.
    "z-score": every channel gets variance one; constant channels are scaled like their member.
    "none": as they are, literally Heller et al.
    """
    scales = torch.ones_like(variances)
    if scaling == "none":
        return scales
    start = 0
    for _, channels in sections:
        section = slice(start, start + channels)
        scales[section] = _member_scales(variances[section], scaling)
        start += channels
    return scales


def _member_scales(variances: Tensor, scaling: Scaling) -> Tensor:
    total = variances.sum()
    if total == 0:
        return torch.ones_like(variances)
    if scaling == "unit-norm":
        return total.rsqrt().expand_as(variances)
    constant = variances <= variances.max() * CONSTANT**2
    return torch.where(constant, total / len(variances), variances).rsqrt()


class MapPCA(nn.Module):
    """The fitted projection of a group of maps; only its buffers are learned.

    mean, scale: (C,) of the concatenated channels. loadings: (C, N), orthonormal columns, in scaled
    units. spread: (N,) what each component is divided by; residual_spread: () the same for the residual.
    """

    mean: Tensor
    scale: Tensor
    loadings: Tensor
    spread: Tensor
    residual_spread: Tensor

    def __init__(self, channels: int, kept: int, *, residual: bool) -> None:
        super().__init__()
        self.has_residual = residual and kept < channels  # nothing is left over when all are kept
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        self.register_buffer("loadings", torch.zeros(channels, kept))
        self.register_buffer("spread", torch.ones(kept))
        self.register_buffer("residual_spread", torch.ones(()))

    def forward(self, maps: Sequence[Tensor], size: Size) -> Tensor:
        """Maps (B, C_i, h_i, w_i) to (B, N, H, W), or N + 1 channels with the residual."""
        centred = self._centred(maps)
        kept = self._projected(centred, size)
        parts = [kept / self.spread.view(1, -1, 1, 1)]
        if self.has_residual:
            whole = on_grid(centred, size)  # (B, C, H, W)
            missing = whole - F.conv2d(kept, self.loadings[:, :, None, None])
            parts.append(missing.norm(dim=1, keepdim=True) / self.residual_spread)
        return torch.cat(parts, dim=1)

    def _centred(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Each map minus the mean, in scaled units, at its own resolution."""
        channels = [m.shape[1] for m in maps]
        means, scales = torch.split(self.mean, channels), torch.split(self.scale, channels)
        return [
            (m - mean.view(1, -1, 1, 1)) * scale.view(1, -1, 1, 1)
            for m, mean, scale in zip(maps, means, scales, strict=True)
        ]

    def _projected(self, centred: Sequence[Tensor], size: Size) -> Tensor:
        """The kept components (B, N, H, W): projected at each map's own resolution, resized, summed."""
        total: Tensor | None = None
        ends = accumulate([m.shape[1] for m in centred], initial=0)
        for m, (start, end) in zip(centred, pairwise(ends), strict=True):
            part = resize(F.conv2d(m, self.loadings[start:end].T[:, :, None, None]), size, antialias=True)
            total = part if total is None else total + part
        if total is None:
            raise ConfigError("a PCA needs at least one feature map; check the members' cut")
        return total


def on_grid(maps: Sequence[Tensor], size: Size) -> Tensor:
    """Maps resized to one grid and stacked along channels: (B, C, H, W)."""
    return torch.cat([resize(m, size, antialias=True) for m in maps], dim=1)


class MapPCAFit:
    """Learns a `MapPCA` from a stream of batches in one pass, holding C x C numbers."""

    def __init__(self, params: PCAParams, sections: Sections, *, owner: str) -> None:
        self._params = params
        self._sections = sections
        self._owner = owner
        self._moments = Moments(sum(channels for _, channels in sections))

    def add(self, maps: Sequence[Tensor], size: Size, valid: Tensor | None) -> None:
        """Take in the positions of maps brought to a grid; image by image, which bounds the memory."""
        for image in range(len(maps[0])):
            here = None if valid is None else valid[image : image + 1]
            self._moments.add(rows_of(on_grid([m[image : image + 1] for m in maps], size), here))

    @cached_property
    def spectrum(self) -> Tensor:
        """Variances of the components that so many positions can tell, in falling order and scaled units.

        From now on no more positions may be added.
        """
        return self._found.variances[: self._moments.count - 1]

    def solve(self, components: int | float | None = None) -> tuple[MapPCA, dict[str, Any]]:
        """The projection, and what it explains: variance, fraction and members' shares per component.

        components: a count or a fraction; by default what the options say.
        """
        wanted = self._params.components if components is None else components
        found = self._found
        count = kept_components(found.variances, wanted, limit=self._params.max_components, owner=self._owner)
        self._check_rank(count)
        pca = MapPCA(len(self._scale), count, residual=self._params.residual)
        pca.mean.copy_(self._moments.mean)
        pca.scale.copy_(self._scale)
        pca.loadings.copy_(found.loadings[:, :count])
        if self._params.whiten:
            # A member that never varies keeps its unit.
            floor = float(found.variances.sum()) * NEGLIGIBLE or 1.0
            pca.spread.copy_(found.variances[:count].clamp_min(floor).sqrt())
            pca.residual_spread.copy_(found.variances[count:].sum().clamp_min(floor).sqrt())
        return pca, self._explained(found.variances, found.loadings[:, :count])

    @cached_property
    def _scale(self) -> Tensor:
        return channel_scales(self._covariance().diagonal(), self._sections, self._params.scaling)

    @cached_property
    def _found(self) -> Components:
        return principal_components(self._covariance() * torch.outer(self._scale, self._scale))

    def _covariance(self) -> Tensor:
        """(C, C), with zeros for channels whose values differ by rounding only."""
        covariance = self._moments.covariance()
        varies = covariance.diagonal().sqrt() > ROUNDING * self._moments.mean.abs()
        return covariance * torch.outer(varies, varies)

    def _check_rank(self, count: int) -> None:
        if count >= self._moments.count:
            raise ConfigError(
                f"{self._owner}: components: {count} cannot be learned from {self._moments.count} positions; "
                f"at most {self._moments.count - 1} can, or give more good images"
            )

    def _explained(self, variances: Tensor, loadings: Tensor) -> dict[str, Any]:
        total = float(variances.sum())
        kept = variances[: loadings.shape[1]]
        sizes = [channels for _, channels in self._sections]
        shares = torch.split(loadings.square(), sizes)  # per member (C_k, N)
        return {
            "total": total,
            "variance": kept.tolist(),
            "fraction": (kept / (total or 1.0)).tolist(),
            "members": {m: s.sum(dim=0).tolist() for (m, _), s in zip(self._sections, shares, strict=True)},
        }

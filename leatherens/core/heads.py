"""The contract of a head: fused maps of good images in, one score map of any image out.

A head scores positions of the fused grid; the base brings them to pixels as the patch-based methods
do (Roth et al., CVPR 2022; Liu et al., CVPR 2023): bilinear to the image's size, then Gaussian
smoothing, while the image score is the largest raw position score, before any smoothing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, TypeAlias, final

import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import Self

from leatherens.core.component import Component
from leatherens.core.detector import FitContext
from leatherens.core.errors import InputError
from leatherens.core.geometry import Size, image_maximum, positions_of
from leatherens.core.params import Params
from leatherens.core.patches import patch_scores
from leatherens.core.rows import RowSample, rows_of
from leatherens.core.types import ScoreMap, all_finite

GoodMaps: TypeAlias = tuple[Tensor, "Tensor | None"]
"""Fused maps (B, C, h, w) of good images and their valid mask (B, H, W), `None` where all may teach."""

SpoiltMaps: TypeAlias = tuple[Tensor, Tensor]
"""Fused maps (B, C, h, w) of good images spoilt on purpose, and where they are, (B, H, W) bool."""

SMOOTHING_SIDE = 256
"""Images of this shorter side are smoothed by `smoothing` pixels, others in proportion."""


class HeadParams(Params):
    """Options of every head."""

    smoothing: Annotated[float, Field(ge=0)] = 4.0
    """Gaussian sigma of the score map, in pixels of an image of shorter side 256; in proportion else."""


class Head(Component):
    """Scores positions of fused maps."""

    class Params(HeadParams):
        """Only those of every head."""

    updates: ClassVar[bool] = False
    """Takes in the maps of further good images without learning anew: has `_update`."""

    channels_: int
    """Channels of the maps it learned from."""

    @property
    def wants_anomalies(self) -> bool:
        """Whether `fit` should be shown artificial anomalies; options may decide."""
        return False

    @final
    def fit(
        self,
        maps: Iterable[GoodMaps],
        *,
        validation: Iterable[GoodMaps],
        context: FitContext,
        anomalies: Iterable[SpoiltMaps] = (),
    ) -> Self:
        """Learn from the fused maps of good images, forgetting earlier fits.

        validation: of other good images, which no member learned from, to choose a state by or to learn from;
            never scored for a result.
        anomalies: of the same images spoilt on purpose, for a head that wants them.
        """
        if self.wants_anomalies and not anomalies:
            raise InputError(f"{self.id}: its options ask for artificial anomalies, but fit was shown none")
        self.forget()
        try:
            self._fit_against(anomalies, maps, validation, context)
        except BaseException:
            self.forget()  # half a fit must not pass for one
            raise
        return self.to(context.device)

    @final
    def update(self, maps: Iterable[GoodMaps], *, context: FitContext) -> Self:
        """Take in the fused maps of further good images, where `updates`. Interrupted, it is as it was."""
        self.require_fitted("update")
        if not self.updates:
            raise InputError(
                f"{self.id}: takes in no further images; fit it anew, or move only calibration and threshold"
            )
        with self.as_it_was_on_failure():
            self._update(maps, context)
        return self.to(context.device)

    @final
    def score(self, maps: Tensor, size: Size, valid: Tensor | None = None) -> ScoreMap:
        """Scores of images of this size from their fused maps. Changes nothing; each image on its own."""
        self.require_fitted("score")
        self._check(maps)
        with torch.inference_mode():
            patches = self._score(maps)  # (B, h, w)
            positions = positions_of(patches, valid)
            image = self._image_score(patches, maps, positions)
            sigma = self.params.smoothing * min(size) / SMOOTHING_SIDE
            return patch_scores(patches, size, smoothing=sigma, valid=valid, image=image)

    @abstractmethod
    def _fit(self, maps: Iterable[GoodMaps], validation: Iterable[GoodMaps], context: FitContext) -> None:
        """Learn; put what is learned into attributes ending in `_`. `positions` and `gather` give rows."""

    def _fit_against(
        self,
        anomalies: Iterable[SpoiltMaps],
        maps: Iterable[GoodMaps],
        validation: Iterable[GoodMaps],
        context: FitContext,
    ) -> None:
        """As `_fit`, for a head that wants anomalies; `gather` makes rows of positions mostly inside them."""
        self._fit(maps, validation, context)

    def _update(self, maps: Iterable[GoodMaps], context: FitContext) -> None:
        """Learn these besides; put new values into the attributes, never write into the old tensors."""
        raise NotImplementedError(f"{self.id}: declares updates, but has no _update")

    @abstractmethod
    def _score(self, maps: Tensor) -> Tensor:
        """Maps (B, C, h, w) to raw position scores (B, h, w), higher is more anomalous."""

    def _image_score(self, patches: Tensor, maps: Tensor, positions: Tensor | None) -> Tensor:
        """Raw position scores (B, h, w) to (B,); `positions` (B, h, w) may count, all if `None`."""
        return image_maximum(patches, positions)

    def gather(self, maps: Iterable[GoodMaps], sample: RowSample) -> Tensor:
        """A sample (M, C) of all positions that may teach, checked."""
        for rows in self.positions(maps):
            sample.add(rows)
        return sample.rows()

    def positions(self, maps: Iterable[GoodMaps]) -> Iterator[Tensor]:
        """All positions that may teach, batch by batch (M, C), checked."""
        seen = 0
        for fused, valid in self.checked(maps):
            rows = rows_of(fused, valid)
            seen += len(rows)
            yield rows
        if not seen:
            raise InputError(self._nothing())

    def checked(self, maps: Iterable[GoodMaps]) -> Iterator[GoodMaps]:
        """The maps to learn from, refused where they are not alike or there are none."""
        empty = True
        for fused, valid in maps:
            if "channels_" not in vars(self):
                self.channels_ = fused.shape[1]
            self._check(fused)
            empty = False
            yield fused, valid
        if empty:
            raise InputError(self._nothing())

    def _nothing(self) -> str:
        return f"{self.id}: no positions to learn from; fit needs the fused maps of good images"

    def _check(self, maps: Tensor) -> None:
        if maps.ndim != 4 or maps.shape[1] != self.channels_ or maps.dtype != torch.float32:
            found = f"{maps.dtype} {tuple(maps.shape)}"
            raise InputError(
                f"{self.id}: expected fused maps (B, {self.channels_}, h, w) float32, got {found}"
            )
        if not all_finite(maps):
            raise InputError(f"{self.id}: the fused maps hold NaN or infinite values")

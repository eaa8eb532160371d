"""What the five detectors share: describe windows, standardise, ask a one-class model.

A detector fills `_describe`, with numbers of the order of one: roots of shares, logarithms, statistics.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor

from leatherens import Detector, FeatureMaps, FitContext, ImageBatch, Observation, Params, ScoreMap
from leatherens.core.backbones import Pyramids
from leatherens.core.detector import FeatureSpec
from leatherens.core.errors import InputError
from leatherens.core.randomness import derive, numpy_generator
from leatherens.core.refitted import require_same_again
from leatherens.core.rows import RowReservoir
from leatherens.core.types import ImageSource, all_finite
from leatherens_classic.one_class import Model, fitted_scores
from leatherens_classic.windows import Plane, inspected, on_pixels

STILL = 1e-3
"""Least deviation to divide by: where good windows are all alike, a defect must still show."""
PROBES = 16
"""Rows whose scores are kept, to know the model again by."""


class TextureParams(Params):
    """Where a descriptor looks and which model judges it; lengths in pixels of the image."""

    cell: int = Field(default=8, ge=4, le=32)
    """Side of a cell: how finely defects are located."""
    reach: NonNegativeInt = 1
    """A window has this many cells on each side of its own: 24 pixels a side as it stands."""
    model: Model = "mahalanobis"
    """Who says how unlike good windows a window is."""
    max_rows: PositiveInt = 5000
    """Most windows of good images that the model learns from and that are stored, drawn at random."""
    smoothing: NonNegativeFloat = 4.0
    """Sigma of the Gaussian over the score map."""


class TextureDetector(Detector):
    """Descriptors of windows, standardised by good ones, judged by a one-class model."""

    default_cut: ClassVar[tuple[str, ...]] = ("descriptor",)

    class Params(TextureParams):
        """Those of every texture detector."""

    rows_: Tensor
    """(N, C) standardised descriptors of good windows."""
    mean_: Tensor
    """(C,) of good windows."""
    scale_: Tensor
    """(C,) their standard deviations, at least `STILL`."""
    seed_: int
    """Of the one-class model, where it draws."""
    expected_: list[float]
    """Scores of the first `PROBES` rows."""

    def features(self) -> tuple[FeatureSpec, ...]:
        """The standardised descriptor, and how far it is from good ones."""
        self.require_fitted("features")
        wide = {"descriptor": len(self.mean_), "distance": 1}
        return tuple(FeatureSpec(f"{self.id}/{name}", c, self.params.cell) for name, c in wide.items())

    @abstractmethod
    def _describe(self, photograph: Plane) -> Plane:
        """(H, W, 3) in 0..1 to (h, w, C): a descriptor of the window around each cell."""

    def _learn_scale(self, images: ImageSource, context: FitContext) -> None:
        """Learn what `_describe` needs to know of good images; most need nothing."""

    def _fit(self, images: ImageSource, validation: ImageSource, context: FitContext) -> None:
        self._learn_scale(images, context)
        sample = RowReservoir(self.params.max_rows, numpy_generator(context.seed, self.id, "rows"))
        for batch, _ in context.walk(images, (), f"{self.id}: describing windows"):
            for photograph, valid in _photographs(batch):
                described = self._describe(photograph)
                rows = described.reshape(-1, described.shape[-1])
                if valid is not None:
                    rows = described[inspected(valid, self.params.cell)]
                sample.add(torch.from_numpy(rows))
        rows = sample.rows()
        if len(rows) < 2:
            raise InputError(f"{self.id}: needs at least two windows to learn from, got {len(rows)}")
        self.mean_, self.scale_ = rows.mean(dim=0), rows.std(dim=0).clamp_min(STILL)
        self.rows_ = (rows - self.mean_) / self.scale_
        self.seed_ = derive(context.seed, self.id, "model")
        self._build()
        self.expected_ = self._scores(self.rows_[:PROBES].numpy()).tolist()

    def _build(self) -> None:
        """Fit the model on the rows; of a loaded detector, see that it is what it was."""
        rows = self.rows_.cpu().numpy()
        self._scores = fitted_scores(self.params.model, rows, self.seed_)
        if "expected_" in vars(self):
            require_same_again(f"{self.id}: {self.params.model}", self._scores(rows[:PROBES]), self.expected_)

    def _observe(self, batch: ImageBatch, pyramids: Pyramids) -> Observation:
        self._refuse_nan(batch)
        mean, scale = self.mean_.cpu().numpy(), self.scale_.cpu().numpy()
        photographs = list(_photographs(batch))
        described = np.stack(
            [(self._describe(image) - mean) / scale for image, _ in photographs]
        )  # (B, h, w, C)
        distance = self._scores(described.reshape(-1, len(mean))).reshape(described.shape[:3])
        pixels, image = [], []
        for scores, (_, valid) in zip(distance, photographs, strict=True):
            quiet = self._silenced(scores, valid)
            pixels.append(on_pixels(quiet, self.params.cell, batch.size, self.params.smoothing))
            image.append(pixels[-1].max() if valid is None else pixels[-1][valid].max())
        scored = ScoreMap(_tensor(pixels, batch), _tensor(image, batch))
        maps = (_tensor(described.transpose(0, 3, 1, 2), batch), _tensor(distance[:, None], batch))
        return Observation(FeatureMaps(maps, tuple(spec.name for spec in self.features())), scored)

    def _silenced(self, distance: Plane, valid: np.ndarray | None) -> Plane:
        """(h, w) with cells that do not count at the lowest score of those that do."""
        if valid is None:
            return distance
        counted = inspected(valid, self.params.cell)
        return np.where(counted, distance, distance[counted].min())

    def _refuse_nan(self, batch: ImageBatch) -> None:
        """numpy would warn and scikit-learn raise something of its own, before the contract's check."""
        if not all_finite(batch.pixels):
            bad = next(id for id, image in zip(batch.ids, batch.pixels, strict=True) if not all_finite(image))
            raise InputError(f"{self.id}: the image {bad} holds NaN or infinite values")


def _photographs(batch: ImageBatch) -> Iterator[tuple[Plane, np.ndarray | None]]:
    """Each image as (H, W, 3) of numpy with its valid mask (H, W)."""
    for i, image in enumerate(batch.pixels.cpu().numpy()):
        yield image.transpose(1, 2, 0), None if batch.valid is None else batch.valid[i].cpu().numpy()


def _tensor(each: Sequence[Plane] | Plane, batch: ImageBatch) -> Tensor:
    """The results of single images as one float32 tensor, on the batch's device."""
    return torch.from_numpy(np.asarray(each, dtype=np.float32)).to(batch.pixels.device)

"""`AnomalyDetector`: an ensemble as an estimator of scikit-learn."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_array, check_is_fitted
from typing_extensions import Self

from leatherens.api.ensemble import Ensemble
from leatherens.api.result import Result
from leatherens.configs.options import Options
from leatherens.core.errors import ConfigError, InputError
from leatherens.ensembles.splits import FEWEST

GOOD, DEFECTIVE = 1, -1
"""What scikit-learn calls an inlier and an outlier."""


class AnomalyDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """An ensemble for pipelines, grids and cross-validation; scores and labels have scikit-learn's sign.

    X: images (n, H, W, 3) or (n, H, W), uint8 or floats in 0..1; or, with `image_shape`, the same as rows
    (n, H * W * 3), since many steps of pipelines take tables only.

    members, config, and all that follows verbose: as of `Ensemble`; without members and config, PatchCore.
    image_shape: (H, W, 3) or (H, W) of rows.

    Learned: ensemble_ (the `Ensemble`), offset_ (minus the threshold), n_features_in_ (of rows only).
    """

    def __init__(
        self,
        members: str | Sequence[str] | None = None,
        *,
        config: Path | str | None = None,
        image_shape: tuple[int, ...] | None = None,
        verbose: bool = False,
        effort: str | None = None,
        mode: Literal["feature", "score", "hybrid"] | None = None,
        block: str | None = None,
        head: str | None = None,
        features: Mapping[str, Sequence[str]] | None = None,
        score_fusion: str | None = None,
        calibrator: str | None = None,
        threshold: str | None = None,
        pixel_threshold: str | None = None,
        false_alarms: float | None = None,
        calibration: Literal["auto", "split", "cross"] | None = None,
        folds: int | None = None,
        shares: Sequence[float] | None = None,
        labelled_share: float | None = None,
        size: int | tuple[int, int] | None = None,
        tile: int | tuple[int, int] | None = None,
        overlap: float | None = None,
        prepare: str | Sequence[str] | None = None,
        ignore: Path | str | None = None,
        masking: Literal["before", "after"] | None = None,
        settings: Mapping[str, Any] | None = None,
        textures: Path | str | None = None,
        weights: Path | str | Sequence[Path | str] | None = None,
        allow_download: bool | None = None,
        keep_every: int | None = None,
        device: str | None = None,
        seed: int | None = None,
    ) -> None:
        given = locals()  # thirty lines of self.x = x would say no more
        for name in inspect.signature(AnomalyDetector).parameters:
            setattr(self, name, given[name])

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Learn from good images; what was fitted before is forgotten.

        y: without, all of X is good. With, (n,) of 1 for good and -1 for defective: the defective ones teach
        nothing, and are there for thresholds that need labels and for the run's own metrics.
        """
        images = self._images(X, learning=True)
        labels = None if y is None else _labels(y, len(images))
        options: Any = {name: getattr(self, name) for name in Options.__annotations__}
        members = self.members or ("patchcore" if self.config is None else ())
        ensemble = Ensemble(members, config=self.config, verbose=self.verbose, **options)
        self.ensemble_ = ensemble.fit(images, labels)
        self.offset_ = -self.ensemble_.threshold
        return self

    def score_samples(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """(n,) the larger, the more like a good image: minus the ensemble's score."""
        return np.array([-result.score for result in self._judged(X)])

    def decision_function(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """(n,) how far below its threshold each image scores; negative is defective."""
        return np.array([result.threshold - result.score for result in self._judged(X)])

    def predict(self, X: Any) -> NDArray[np.int64]:  # noqa: N803
        """(n,) 1 for good, -1 for defective."""
        return np.array([DEFECTIVE if result.defective else GOOD for result in self._judged(X)])

    def _judged(self, X: Any) -> list[Result]:  # noqa: N803
        check_is_fitted(self)
        results = self.ensemble_.predict(self._images(X, learning=False))
        for result in results:
            if result.problem is not None:
                raise InputError(f"image {result.image}: {result.problem}")
        return results

    def _images(self, X: Any, *, learning: bool) -> NDArray[Any]:  # noqa: N803
        """(n, H, W, 3) or (n, H, W) from what scikit-learn hands over."""
        shape: tuple[int, ...] | None = self.image_shape
        checks: Any = {"estimator": self, "ensure_min_samples": FEWEST if learning else 1}
        if shape is None:
            images: NDArray[Any] = check_array(X, allow_nd=True, ensure_2d=False, **checks)
            if images.ndim not in (3, 4):
                raise InputError(
                    f"AnomalyDetector: expected images (n, H, W, 3), got shape {images.shape}; of rows, say "
                    "what they are with image_shape=(H, W, 3). Reshape your data"
                )
            return images
        rows: NDArray[Any] = check_array(X, **checks)
        if learning:
            self.n_features_in_ = rows.shape[1]
        elif rows.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {rows.shape[1]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input"  # the words of scikit-learn
            )
        return self._unrolled(rows, shape)

    def _unrolled(self, rows: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """(n, values) to (n, *shape)."""
        if math.prod(shape) != rows.shape[1]:
            raise ConfigError(
                f"image_shape: {shape} are {math.prod(shape)} values, and a row has {rows.shape[1]}; give "
                "the shape of one image"
            )
        return rows.reshape(-1, *shape)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = self.image_shape is not None
        tags.input_tags.three_d_array = True
        return tags


def _labels(y: Any, count: int) -> list[int]:
    """Whether each image is defective, from scikit-learn's labels."""
    found = np.asarray(y)
    if found.shape != (count,) or not np.isin(found, (GOOD, DEFECTIVE)).all():
        raise InputError(
            f"y: expected one label for each of {count} images, 1 for good or -1 for defective; got "
            f"shape {found.shape} with {np.unique(found)[:5].tolist()}"
        )
    return [int(label == DEFECTIVE) for label in found]

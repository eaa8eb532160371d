"""The estimator: scikit-learn's own checks, its signs, pipelines, and what it refuses."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks
from tiny_runs import TINY

from leatherens import AnomalyDetector
from leatherens.configs.options import Options
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.leather import good_hide

SETTINGS = {f"patchcore.{key}": value for key, value in TINY["patchcore"].items() if key != "layers"}
PLAIN: dict[str, Any] = {
    "size": 32,
    "device": "cpu",
    "calibration": "split",
    "settings": {**SETTINGS, "patchcore.layers": [1]},
}
SIDE = 32


class OfTables(AnomalyDetector):
    """The estimator for tables of any width, each row painted as a picture that differs where rows differ.

    scikit-learn's checks draw a few numbers a row and classes at random, which no photograph has: painting
    is what lets all of them run. Everything else is the estimator's.
    """

    def fit(self, X: Any, y: Any = None) -> OfTables:
        return super().fit(X)

    def _unrolled(self, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        scaled = np.arcsinh(np.clip(rows.astype(float), -1e4, 1e4)) / np.arcsinh(1e4)  # -1..1
        levels = np.rint((scaled + 1) / 2 * (2**24 - 1)).astype(np.int64)
        octets = [levels >> shift & 255 for shift in (16, 8, 0)]
        values = np.concatenate(octets, axis=1).astype(np.uint8).repeat(4, axis=1)
        return np.stack([np.resize(row, shape) for row in values])


@parametrize_with_checks([OfTables(image_shape=(SIDE, SIDE, 3), **PLAIN)])
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def hides() -> np.ndarray:
    """(16, 32, 32, 3)"""
    rng = np.random.default_rng(0)
    return np.stack([good_hide(rng, scenario="one-colour", size=SIDE) for _ in range(16)])


@pytest.fixture(scope="module")
def fitted(hides: np.ndarray) -> AnomalyDetector:
    return AnomalyDetector(**PLAIN).fit(hides)


def test_init__takes_what_an_ensemble_takes() -> None:
    parameters = inspect.signature(AnomalyDetector).parameters

    assert set(parameters) == {"members", "config", "image_shape", "verbose", *Options.__annotations__}


def test_scores__have_the_sign_of_scikit_learn(fitted: AnomalyDetector, hides: np.ndarray) -> None:
    hides = np.concatenate([hides, 255 - hides])
    results = fitted.ensemble_.predict(hides)
    scores = fitted.score_samples(hides)

    assert scores.tolist() == [-result.score for result in results]
    assert fitted.decision_function(hides) == pytest.approx(scores - fitted.offset_)
    assert fitted.predict(hides).tolist() == [-1 if result.defective else 1 for result in results]
    assert set(fitted.predict(hides)) == {-1, 1}
    assert (fitted.predict(hides) == -1).tolist() == (fitted.decision_function(hides) < 0).tolist()


def test_rows__are_the_images_they_were(fitted: AnomalyDetector, hides: np.ndarray) -> None:
    rows = hides.reshape(len(hides), -1)
    of_rows = AnomalyDetector(image_shape=(SIDE, SIDE, 3), **PLAIN).fit(rows)

    assert of_rows.score_samples(rows).tolist() == fitted.score_samples(hides).tolist()
    assert of_rows.n_features_in_ == SIDE * SIDE * 3
    assert not hasattr(fitted, "n_features_in_")


def test_fit__defective_images_teach_nothing(fitted: AnomalyDetector, hides: np.ndarray) -> None:
    labels = np.ones(len(hides) + 4)
    labels[-4:] = -1
    with_defects = AnomalyDetector(**PLAIN).fit(np.concatenate([hides, 255 - hides[:4]]), labels)

    assert with_defects.score_samples(hides).tolist() == fitted.score_samples(hides).tolist()
    assert with_defects.ensemble_.metrics["ensemble"]["image_auroc"] is not None


def test_pipeline_grid_and_cross_validation(hides: np.ndarray) -> None:
    images = np.concatenate([hides, 255 - hides])
    labels = np.repeat([1, -1], len(hides))
    pipeline = make_pipeline(FunctionTransformer(np.flip), AnomalyDetector(**PLAIN))
    folds = StratifiedKFold(2)
    grid = {"anomalydetector__threshold": ["maximum", "k-sigma"]}

    aurocs = cross_val_score(pipeline, images, labels, cv=folds, scoring="roc_auc")
    search = GridSearchCV(pipeline, grid, cv=folds, scoring="accuracy", error_score="raise")
    search.fit(images, labels)

    assert (aurocs == 1).all()  # negatives of the photographs look like none of them
    assert set(search.predict(images)) == {-1, 1}
    assert clone(search.best_estimator_).get_params()["anomalydetector__threshold"] in ("maximum", "k-sigma")


def test_unfitted(hides: np.ndarray) -> None:
    with pytest.raises(NotFittedError):
        AnomalyDetector().predict(hides)


def test_bad_labels(hides: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"^y: expected one label for each of 16 images, 1 for good or -1"):
        AnomalyDetector(**PLAIN).fit(hides, np.zeros(16))


def test_rows_without_a_shape(hides: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"say what they are with image_shape=\(H, W, 3\)"):
        AnomalyDetector(**PLAIN).fit(hides.reshape(16, -1))


def test_a_shape_that_does_not_fit(hides: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"^image_shape: \(9, 9\) are 81 values, and a row has 3072"):
        AnomalyDetector(image_shape=(9, 9), **PLAIN).fit(hides.reshape(16, -1))

"""An ensemble inside scikit-learn: a pipeline, cross-validation and a grid.

    python examples/scikit_learn.py

Labels are scikit-learn's: 1 is good, -1 defective. Only good images teach, whatever a fold holds.
"""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from leatherens import AnomalyDetector
from leatherens.core.leather import defective_hide, good_hide  # pictures to play with

SIZE, BORDER = 104, 4  # pixels
KINDS = ("cut", "glue", "stain", "poke", "hole")


def leather(good: int, defective: int) -> tuple[np.ndarray, np.ndarray]:
    """Photographs (n, SIZE, SIZE, 3) and labels (n,), in any order."""
    rng = np.random.default_rng(0)
    images = [good_hide(rng, scenario="one-colour", size=SIZE) for _ in range(good)]
    images += [
        defective_hide(rng, kind=KINDS[number % len(KINDS)], scenario="one-colour", size=SIZE)[0]
        for number in range(defective)
    ]
    order = rng.permutation(len(images))
    return np.stack(images)[order], np.repeat([1, -1], [good, defective])[order]


def without_border(images: np.ndarray) -> np.ndarray:
    """A step of a pipeline: what lies at the edge is not looked at."""
    return images[:, BORDER:-BORDER, BORDER:-BORDER]


def main() -> None:
    """Everything is printed."""
    images, labels = leather(good=40, defective=16)
    folds = StratifiedKFold(2, shuffle=True, random_state=0)

    detector = AnomalyDetector("padim", size=SIZE - 2 * BORDER, calibration="split", false_alarms=0.25)
    pipeline = make_pipeline(FunctionTransformer(without_border), detector)
    aurocs = cross_val_score(pipeline, images, labels, cv=folds, scoring="roc_auc")
    print(f"padim, AUROC by fold: {np.round(aurocs, 3)}")

    grid = {"anomalydetector__members": ["padim", "patchcore"]}
    search = GridSearchCV(pipeline, grid, cv=folds, scoring="roc_auc").fit(images, labels)
    found = search.cv_results_
    for params, auroc in zip(found["params"], found["mean_test_score"], strict=True):
        print(f"{params['anomalydetector__members']:<10} mean AUROC {auroc:.3f}")

    # A threshold comes with it, from held-out good images of the fold: 1 is good, -1 defective.
    print(f"verdicts of the best on a few images: {search.predict(images[:8])}")
    print(f"labels:                               {labels[:8]}")


if __name__ == "__main__":
    main()

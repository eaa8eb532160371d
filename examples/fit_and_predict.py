"""Learn from good photographs, judge new ones, and look at where the defects are.

    python examples/fit_and_predict.py

Leather is drawn for it, so that nothing needs to be downloaded; give `fit` a folder of your own instead.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from leatherens import Ensemble, write_demo


def main(out: Path) -> None:
    """Everything is written below `out`."""
    data = out / "leather"
    write_demo(data, scenario="one-colour", size=64, train=60, test=16, seed=0)

    ensemble = Ensemble(["padim", "patchcore"], size=64, calibration="split", out=out / "run")
    ensemble.fit(data)
    print(ensemble)
    print(f"promise: at most {ensemble.decision.promise:.2g} of fresh good images are flagged")
    print(f"of those tested, image AUROC {ensemble.metrics['ensemble']['image_auroc']:.3f}")

    for result in ensemble.predict(data / "test"):
        print(result)

    # Images in memory are judged as files are: arrays, pictures of Pillow and tensors.
    photographs = [np.array(Image.open(path)) for path in sorted((data / "test" / "hole").glob("*.png"))]
    for result in ensemble.predict(photographs):
        assert result.map is not None
        assert result.mask is not None
        row, column = np.unravel_index(result.map.argmax(), result.map.shape)
        print(f"{result}: worst at row {row}, column {column}; {result.mask.mean():.1%} marked")

    again = Ensemble.open(out / "run")  # another day, another process
    print(f"opened again, the same scores: {again.predict(photographs) == ensemble.predict(photographs)}")
    print(f"report: {ensemble.report}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="leatherens-")))

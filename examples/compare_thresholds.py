"""Compare ensembles and threshold rules in Python, and draw the scores.

    python examples/compare_thresholds.py

Every ensemble learns from the same good images; what a rule costs is seen on labelled ones that none saw.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from leatherens import Ensemble, write_demo

ENSEMBLES = (["padim"], ["padim", "patchcore"])
RULES: dict[str, dict[str, Any]] = {
    "conformal, 0.2": {"threshold": "conformal", "false_alarms": 0.2},
    "k-sigma, k = 2": {"threshold": "k-sigma", "settings": {"threshold.k": 2}},
}


def main(out: Path) -> None:
    """Everything is written below `out`."""
    data = out / "leather"
    write_demo(data, scenario="one-colour", size=64, train=60, test=24, seed=0)
    good, defective = data / "test" / "good", sorted((data / "test").glob("[!g]*/*.png"))

    _, axes = plt.subplots(1, len(ENSEMBLES), figsize=(4.5 * len(ENSEMBLES), 4), layout="constrained")
    print(f"{'members':<16} {'rule':<15} {'AUROC':>5} {'false alarms':>13} {'found':>6}")
    for members, axis in zip(ENSEMBLES, axes, strict=True):
        for number, (rule, options) in enumerate(RULES.items()):
            # Held-out good images calibrate. Only the conformal rule promises a rate of false alarms.
            ensemble = Ensemble(members, size=64, calibration="split", **options).fit(data)
            told = [ensemble.predict(images) for images in (good, defective)]
            alarms, found = (np.mean([result.defective for result in results]) for results in told)
            auroc = ensemble.metrics["ensemble"]["image_auroc"]
            print(f"{'+'.join(members):<16} {rule:<15} {auroc:.3f} {alarms:>13.2f} {found:>6.2f}")
            axis.axhline(ensemble.threshold, color=f"C{number + 2}", label=rule)
        for place, results in enumerate(told):
            scores = [result.score for result in results]
            axis.scatter([place] * len(scores), scores, s=12, color=f"C{place}")
        axis.set(title=" + ".join(members), ylabel="score", xlim=(-0.5, 1.5))
        axis.set_xticks([0, 1], ["good", "defective"])
    axis.legend(title="threshold", loc="upper left", bbox_to_anchor=(1, 1))
    plt.savefig(out / "thresholds.png", dpi=120)
    print(f"drawn: {out / 'thresholds.png'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="leatherens-")))

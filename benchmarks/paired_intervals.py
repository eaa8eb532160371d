"""How often 95 % intervals of paired differences hold the true one: two scorers of the same images, by size.

    python benchmarks/paired_intervals.py

Scores are unit normals that agree to 0.64, defects 1 and 1.3 higher, so that the true difference of AUROCs is
Phi(1.3 / sqrt 2) - Phi(1 / sqrt 2). Verdicts are correlated as counts of a table of four cells.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from scipy.stats import norm

from leatherens.core.bootstrap import interval, stratified_draws
from leatherens.core.paired import Judged, resampled, share_difference

SIZES = ((10, 10), (27, 34), (70, 50), (200, 200))
"""Good and defective images."""

CELLS = (0.6, 0.05, 0.15, 0.2)
"""Both flag, only the first, only the other, neither."""


def ranking(good: int, defective: int, trials: int, draws: int) -> float:
    """The share of trials in which the interval of the AUROC difference holds the true one."""
    truth = norm.cdf(1.3 / math.sqrt(2)) - norm.cdf(1 / math.sqrt(2))
    labels = np.arange(good + defective) < defective
    nothing, held = np.zeros(labels.size, np.bool_), 0
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        common = 0.8 * rng.normal(size=labels.size)
        drawn = stratified_draws(labels.tolist(), draws, rng)
        values = []
        for height in (1.0, 1.3):
            scores = common + 0.6 * rng.normal(size=labels.size) + height * labels
            values.append(resampled(Judged(scores, nothing), labels, nothing, drawn)["image_auroc"])
        low, high = interval(values[1] - values[0])
        held += low <= truth <= high
    return held / trials


def verdicts(images: int, trials: int) -> float:
    """The same of the difference of two shares of flagged images."""
    rng, truth = np.random.default_rng(0), CELLS[2] - CELLS[1]
    kinds = np.array([(True, True), (True, False), (False, True), (False, False)])
    held = 0
    for _ in range(trials):
        seen = kinds[rng.choice(4, size=images, p=CELLS)]
        found = share_difference(seen[:, 0], seen[:, 1])
        held += found.low <= truth <= found.high
    return held / trials


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=1000)
    asked = parser.parse_args()
    print("good  defective  AUROC difference  difference of shares (of the defective)")
    for good, defective in SIZES:
        held = ranking(good, defective, asked.trials, asked.draws), verdicts(defective, asked.trials)
        print(f"{good:4}  {defective:9}  {held[0]:16.3f}  {held[1]:.3f}")


if __name__ == "__main__":
    main()

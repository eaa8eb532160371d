"""What each mode of fusion would have given: image AUROC of members, score, feature and hybrid mode.

    python benchmarks/fusion_modes.py RUN...

Reads finished hybrid runs whose score fusion is the mean: their scores.csv and stored scales. The head's
vote is what the mean of all voters leaves when the members' scaled scores are taken out.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import torch

from leatherens.core.artifact import read_tensors
from leatherens.core.metrics import image_auroc
from leatherens.core.scale import Scale
from leatherens.core.types import ScoreMap


def scaled(run: Path, member: str, raw: np.ndarray) -> np.ndarray:
    """A member's image scores on the common scale."""
    tensors, _ = read_tensors(run / "ensemble" / "scales" / f"{member}.safetensors")
    return Scale.from_state(tensors)(ScoreMap(torch.zeros(1, 1, 1), torch.from_numpy(raw))).image.numpy()


def modes(run: Path) -> dict[str, float]:
    """Image AUROC by member and mode."""
    with (run / "scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels = [int(row["defective"]) for row in rows]
    members = [folder.name for folder in sorted((run / "members").iterdir())]
    votes = {m: scaled(run, m, np.array([row[m] for row in rows], dtype=np.float32)) for m in members}
    hybrid = np.array([row["ensemble"] for row in rows], dtype=np.float32)
    score = sum(votes.values())
    feature = (len(members) + 1) * hybrid - score
    return {
        name: image_auroc(values, labels)
        for name, values in {**votes, "score": score, "feature": feature, "hybrid": hybrid}.items()
    }


def main() -> None:
    for run in sys.argv[1:]:
        print(Path(run).name, {name: round(value, 3) for name, value in modes(Path(run)).items()})


if __name__ == "__main__":
    main()

"""Two views from one: the left and the right half of every picture in an MVTec layout, and their project.

    python benchmarks/halves.py DATA OUT --size 256x128
    leatherens run --project OUT/machine.yaml --out OUT/project --device cpu

A half of a defective picture that shows nothing of the defect lies with the good ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from leatherens.core.photographs import read_mask, read_photograph
from leatherens.core.reading import Sample
from leatherens.plugins.mvtec_reader import MVTecReader

PROJECT = r"""data: photographs
parts: '(train|test)/[^/]+/(.+)_(?:left|right)\.png$'
members: [padim, patchcore]
mode: score
size: [{height}, {width}]
false_alarms: 0.1
views:
  left: {{}}
  right: {{}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", default="256x128", help="HEIGHTxWIDTH that halves are brought to")
    given = parser.parse_args()
    height, width = map(int, given.size.split("x"))
    collection = MVTecReader().read(given.data)
    for split in ("train", "test"):
        for sample in getattr(collection, split):
            cut(sample, given.out / "photographs", split)
    (given.out / "machine.yaml").write_text(PROJECT.format(height=height, width=width), encoding="utf-8")


def cut(sample: Sample, out: Path, split: str) -> None:
    """Write both halves of a picture and of its mask."""
    pixels = read_photograph(sample.path)
    middle = pixels.shape[1] // 2
    marked = np.zeros(pixels.shape[:2], np.bool_)
    for path in sample.masks:
        marked |= read_mask(path, marked.shape)
    for view, columns in (("left", slice(0, middle)), ("right", slice(middle, 2 * middle))):
        kind = sample.defect if marked[:, columns].any() else "good"
        name = f"{sample.defect}-{sample.path.stem}_{view}"
        save(out / split / kind / f"{name}.png", pixels[:, columns])
        if kind != "good":
            save(out / "ground_truth" / kind / f"{name}_mask.png", marked[:, columns].astype(np.uint8) * 255)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


if __name__ == "__main__":
    main()

"""What `leatherens data inspect` finds of copies that were planted, and how many pairs it takes for copies.

    python benchmarks/near_duplicates.py FOLDER ...

Of every tenth image of a folder (masks left out) copies are made: saved as JPEG, brought to half its size,
lightened, given noise, cut by 1 and 3 %. Printed are the share of each that is found, and the pairs found
among the images themselves, to be looked at: they are copies, or they are mistaken.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leatherens.core.inspection.duplicates import ALIKE, NEAR, similar
from leatherens.core.inspection.perceptual import Small, detail, perceptual_hash, small_grey
from leatherens.core.listing import MASK_FOLDERS, images_under
from leatherens.core.photographs import read_photograph

Picture = NDArray[np.uint8]


def jpeg(pixels: Picture, quality: int) -> Picture:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file).convert("RGB"))


def bytes_of(pixels: NDArray[Any]) -> Picture:
    return np.clip(pixels, 0, 255).astype(np.uint8)


def noisy(pixels: Picture) -> Picture:
    return bytes_of(pixels + np.random.default_rng(0).normal(0, 4, pixels.shape))


def cut(pixels: Picture, share: float) -> Picture:
    height, width = pixels.shape[:2]
    return pixels[round(share * height) :, round(share * width) :]


COPIES: Mapping[str, Callable[[Picture], Picture]] = {
    "jpeg 80": lambda pixels: jpeg(pixels, 80),
    "jpeg 50": lambda pixels: jpeg(pixels, 50),
    "half": lambda pixels: np.asarray(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)),
    "lighter": lambda pixels: bytes_of(pixels * 1.1 + 5),
    "noise 4": noisy,
    "cut 1 %": lambda pixels: cut(pixels, 0.01),
    "cut 3 %": lambda pixels: cut(pixels, 0.03),
}


def found(one: Small, other: Small) -> bool:
    """Both looks."""
    first, second = detail(one), detail(other)
    near = np.count_nonzero(perceptual_hash(first) != perceptual_hash(second)) <= NEAR
    return bool(near and float(first @ second) >= ALIKE)


def measure(folder: Path) -> None:
    paths = [p for p in images_under(folder).images if not MASK_FOLDERS & set(p.relative_to(folder).parts)]
    smalls, caught = [], dict.fromkeys(COPIES, 0)
    for place, path in enumerate(paths):
        pixels = read_photograph(path)
        smalls.append(small_grey(pixels))
        for name, copy in COPIES.items() if place % 10 == 0 else ():
            caught[name] += found(smalls[-1], small_grey(copy(pixels)))
    groups = similar(smalls, [str(path).encode() for path in paths], lambda units: None)
    images = sum(len(group.members) for group in groups)
    planted = -(-len(paths) // 10)
    shares = "  ".join(f"{name} {number / planted:.2f}" for name, number in caught.items())
    print(f"{folder.name}: {len(paths)} images; {images} in {len(groups)} groups; copies found: {shares}")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        measure(Path(argument))

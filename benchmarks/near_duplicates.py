"""What `leatherens data inspect` finds of copies that were planted, and how many pairs it takes for copies.

    python benchmarks/near_duplicates.py FOLDER ...

Of every tenth image of a folder (masks left out) copies are made: saved as JPEG, brought to half its size,
lightened, given noise, cut by 1 and 3 %. Printed are the share of each that is found, the groups found among
the images themselves, to be looked at (they are copies, or they are mistaken), and how many pairs the usual
difference hash takes for as near as a picture and its copy saved as JPEG 50.
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


def difference_hash(small: Small) -> NDArray[np.float32]:
    """128 signs of the differences between neighbours of 8 x 8, as -1 and 1; nothing taken out."""
    across, down = (
        cv2.resize(small, size, interpolation=cv2.INTER_AREA).astype(np.int16) for size in ((9, 8), (8, 9))
    )
    rising = [(across[:, 1:] > across[:, :-1]).ravel(), (down[1:] > down[:-1]).ravel()]
    return np.concatenate(rising).astype(np.float32) * 2 - 1


def as_near_as_copies(smalls: list[Small], copies: list[tuple[Small, Small]]) -> int:
    """Pairs of images whose difference hashes agree in as many bits as those of the median copy."""
    least = np.median([difference_hash(one) @ difference_hash(other) for one, other in copies])
    hashes = np.stack([difference_hash(small) for small in smalls])
    return int((np.triu(hashes @ hashes.T, 1) >= max(1, least)).sum())


def measure(folder: Path) -> None:
    paths = [p for p in images_under(folder).images if not MASK_FOLDERS & set(p.relative_to(folder).parts)]
    smalls, copies, caught = [], [], dict.fromkeys(COPIES, 0)
    for place, path in enumerate(paths):
        pixels = read_photograph(path)
        smalls.append(small_grey(pixels))
        for name, copy in COPIES.items() if place % 10 == 0 else ():
            other = small_grey(copy(pixels))
            caught[name] += found(smalls[-1], other)
            if name == "jpeg 50":
                copies.append((smalls[-1], other))
    groups = similar(smalls, [str(path).encode() for path in paths], lambda units: None)
    images = sum(len(group.members) for group in groups)
    planted = -(-len(paths) // 10)
    shares = "  ".join(f"{name} {number / planted:.2f}" for name, number in caught.items())
    usual = as_near_as_copies(smalls, copies)
    print(f"{folder.name}: {len(paths)} images; {images} in {len(groups)} groups; copies found: {shares}")
    print(f"    by the usual difference hash: {usual} pairs as near as a copy")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        measure(Path(argument))

"""Small pictures and folders of them, for tests of everything that reads files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def grain(height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8 noise, different for every seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray | Image.Image, **options: object) -> Path:
    """Write a picture, making its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, **options)
    return path


def spot(height: int = 24, width: int = 32) -> np.ndarray:
    """(H, W) uint8 mask, 0 and 255, of one spot off the diagonal."""
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[2:6, width - 9 : width - 3] = 255
    return mask


def mvtec(root: Path, *, train: int = 10, good: int = 3, masks: bool = True, **defects: int) -> Path:
    """A collection in the layout of MVTec AD; `defects` are numbers of images by kind."""
    defects = defects or {"cut": 2, "hole": 1}
    wanted = {"train/good": train, "test/good": good} | {
        f"test/{kind}": count for kind, count in defects.items()
    }
    for seed, (folder, count) in enumerate(wanted.items()):
        for number in range(count):
            save(root / folder / f"{number:03d}.png", grain(seed=100 * seed + number))
            if masks and folder not in ("train/good", "test/good"):
                save(root / "ground_truth" / Path(folder).name / f"{number:03d}_mask.png", spot())
    return root

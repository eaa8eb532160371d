"""The layout of BTAD, beanTech anomaly detection (Mishra et al., ISIE 2021)."""

from __future__ import annotations

from pathlib import Path

from leatherens.core.divided import Divided
from leatherens.core.reading import Collection, Folders, Reader


class BTADReader(Reader):
    """One product: `train/ok`, `test/ok`, `test/ko` and `ground_truth/ko`.

    Images are BMP or PNG, a mask has its image's name and is PNG or BMP, whichever the image is.
    """

    id = "btad"
    title = "BTAD"
    shape = "train/ok, test/ok, test/ko and ground_truth/ko/NAME.png (or .bmp)"
    refines = ("mvtec-ad",)

    def recognises(self, root: Path) -> bool:
        """By ok images to learn from, or to test on."""
        return (root / "train" / "ok").is_dir() or (root / "test" / "ok").is_dir()

    def _read(self, folders: Folders) -> Collection:
        return Divided(good="ok").read(self, folders.root)

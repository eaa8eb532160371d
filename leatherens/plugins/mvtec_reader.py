"""The layout of MVTec AD (Bergmann et al., CVPR 2019)."""

from __future__ import annotations

from pathlib import Path

from leatherens.core.divided import Divided
from leatherens.core.listing import sub_folders
from leatherens.core.reading import GOOD, Collection, Folders, Reader


class MVTecReader(Reader):
    """One category: `train/good`, `test/good`, `test/DEFECT` and `ground_truth/DEFECT`.

    A mask is `NAME_mask.*` or `NAME.*`. Masks may be missing, of some images or of all. Good images in
    `validation/good`, which the original has not, are validated and calibrated on.
    """

    id = "mvtec-ad"
    title = "MVTec AD"
    shape = "train/good, test/good, test/DEFECT and ground_truth/DEFECT/NAME_mask.png"

    def recognises(self, root: Path) -> bool:
        """By `train/good`, or by `test` with folders in it."""
        test = root / "test"
        return (root / "train" / GOOD).is_dir() or (test.is_dir() and bool(sub_folders(test)))

    def _read(self, folders: Folders) -> Collection:
        return Divided().read(self, folders.root)

"""The layout of MVTec LOCO AD (Bergmann et al., IJCV 2022), which AutoVI shares."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from leatherens.core.divided import Divided
from leatherens.core.listing import pair_mask_folders
from leatherens.core.reading import GOOD, Collection, Folders, Reader
from leatherens.core.saturation import CONFIG, read_saturations

_KINDS = ("logical_anomalies", "structural_anomalies")


class LocoReader(Reader):
    """`train/good`, `validation/good`, `test/good`, `test/KIND`, and masks in `ground_truth/KIND/NAME/`.

    An image has one mask file for each of its defects, whose grey level names the defect's entry in
    `defects_config.json`. Where that file is missing, every marked pixel counts.
    """

    id = "mvtec-loco"
    title = "MVTec LOCO"
    shape = (
        "train/good, validation/good, test/good, test/logical_anomalies, test/structural_anomalies, "
        f"ground_truth/KIND/NAME/000.png and {CONFIG}"
    )
    refines = ("mvtec-ad",)

    def recognises(self, root: Path) -> bool:
        """By logical or structural anomalies, or by the saturations of defects."""
        anomalous = any((root / "test" / kind).is_dir() for kind in _KINDS)
        return anomalous or ((root / CONFIG).is_file() and (root / "train" / GOOD).is_dir())

    def _read(self, folders: Folders) -> Collection:
        root = folders.root
        found = Divided(pair=pair_mask_folders).read(self, root)
        if not (root / CONFIG).is_file():
            told = f"{CONFIG} is missing: all pixels of a defect are to be found, none is saturated"
            return replace(found, remarks=(*found.remarks, told))
        saturations = read_saturations(root / CONFIG)
        test = tuple(replace(s, saturations=saturations) if s.masks else s for s in found.test)
        return replace(found, test=test)

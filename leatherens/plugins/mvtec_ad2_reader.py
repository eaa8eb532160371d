"""The layout of MVTec AD 2 (Heckler-Kram et al., 2025)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from leatherens.core.divided import Divided
from leatherens.core.listing import counted, images_under
from leatherens.core.reading import Collection, Folders, Reader, Sample

_PRIVATE = ("test_private", "test_private_mixed")


class MVTecAD2Reader(Reader):
    """One category: `train/good`, `validation/good` and `test_public` with good, bad and ground_truth/bad.

    The lighting is part of a file's name, `000_regular.png`; photographs of one number and folder show one
    piece and stay together. The private sets have no labels and are left out.
    """

    id = "mvtec-ad-2"
    title = "MVTec AD 2"
    shape = (
        "train/good, validation/good, test_public/good, test_public/bad and "
        "test_public/ground_truth/bad/NAME_mask.png"
    )
    refines = ("mvtec-ad",)

    def recognises(self, root: Path) -> bool:
        """By its public test set."""
        return (root / "test_public").is_dir()

    def _read(self, folders: Folders) -> Collection:
        root, test = folders.root, "test_public"
        divided = Divided(test=test, truth=f"{test}/ground_truth", untold=_PRIVATE)
        found = divided.read(self, root)
        train, tested, kept = (
            tuple(replace(sample, group=_piece(sample)) for sample in part)
            for part in (found.train, found.test, found.validation)
        )
        remarks = (*found.remarks, *_unlabelled(root))
        return replace(found, train=train, test=tested, validation=kept, remarks=remarks)


def _piece(sample: Sample) -> str:
    return f"{sample.id.rpartition('/')[0]}/{sample.path.stem.partition('_')[0]}"


def _unlabelled(root: Path) -> list[str]:
    listed = {name: images_under(root / name).images for name in _PRIVATE if (root / name).is_dir()}
    return [
        f"left out {counted(len(images), 'image')} in {name}: nobody has labelled them"
        for name, images in listed.items()
        if images
    ]

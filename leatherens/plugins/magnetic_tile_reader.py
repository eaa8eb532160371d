"""The layout of MTD, magnetic tile defects (Huang et al., The Visual Computer 2020), as it is published."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from leatherens.core.listing import images_under, pair_masks, printable, sample_id, sub_folders
from leatherens.core.reading import GOOD, Collection, Folders, Reader, Sample, remarks_on
from leatherens.core.undivided import every_fifth_tested

_KIND = re.compile(r"MT_(\w+)")
_NUMBER = re.compile(r"exp\d+_num_(\d+)")
_GAP = 200


class MagneticTileReader(Reader):
    """`MT_Free`, `MT_Blowhole`, `MT_Break` ..., each with `Imgs/NAME.jpg` and its mask `Imgs/NAME.png`.

    Good images are those of `MT_Free`; there is no official split, and every fifth of their groups is tested.
    One tile was photographed under up to six lights, and no name says which photographs show one tile. Their
    numbers do: on 475 of them, thumbnails of neighbours in number correlate by 0.92 where the numbers are
    less than 80 apart, by 0.85 up to 200 and by 0.4 beyond. So photographs without a gap of 200 are a group.
    """

    id = "magnetic-tile"
    title = "MTD magnetic tile"
    shape = "MT_Free/Imgs, MT_Blowhole/Imgs, MT_Break/Imgs ..., each with NAME.jpg and NAME.png"

    def recognises(self, root: Path) -> bool:
        """By `MT_Free`, or by two folders of defects."""
        kinds = [f.name for f in sub_folders(root) if _KIND.fullmatch(f.name) and (f / "Imgs").is_dir()]
        return "MT_Free" in kinds or len(kinds) > 1

    def _read(self, folders: Folders) -> Collection:
        root = folders.root
        listings = {f: images_under(f) for f in sub_folders(root) if _KIND.fullmatch(f.name)}
        pictures = {i: f for f, listing in listings.items() for i in listing.images}
        masks = {p: p.relative_to(root) for p in pictures if p.suffix.lower() == ".png"}
        images = {p: p.relative_to(root) for p in pictures if p not in masks}
        pairs, unpaired = pair_masks(images, masks)
        sittings = _sittings(images)
        samples = []
        for image in sorted(images, key=Path.as_posix):
            kind = pictures[image].name.removeprefix("MT_").lower()
            bad = kind != "free"
            marked = pairs.get(image, ()) if bad else ()
            named = printable(kind) if bad else GOOD
            samples.append(Sample(image, sample_id(image, root), bad, marked, named, sittings.get(image)))
        train, good = every_fifth_tested(sample for sample in samples if not sample.defective)
        test = tuple(sorted((*good, *(s for s in samples if s.defective)), key=lambda sample: sample.id))
        ignored = [path for listing in listings.values() for path in listing.ignored]
        return Collection(root, self.id, self.title, train, test, remarks_on(ignored, test, unpaired))


def _sittings(images: Iterable[Path]) -> dict[Path, str]:
    """By image, the first number of its group; images without a number have none."""
    found = {image: _NUMBER.fullmatch(image.stem) for image in images}
    numbers = sorted((int(match[1]), image) for image, match in found.items() if match)
    groups: dict[Path, str] = {}
    first = last = -_GAP
    for number, image in numbers:
        first = number if number - last >= _GAP else first
        groups[image] = f"{first:07d}"
        last = number
    return groups

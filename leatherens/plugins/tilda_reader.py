"""TILDA, textile textures (DFG 1996), in whatever folders it was unpacked to: image labels, no masks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from leatherens.core.listing import counted, images_under, named, printable, sample_id, sub_folders
from leatherens.core.params import Params
from leatherens.core.photographs import IMAGE_SUFFIXES
from leatherens.core.reading import GOOD, Collection, Folders, Reader, Sample, remarks_on
from leatherens.core.undivided import every_fifth_tested


def _with_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"not a regular expression ({error})") from None
    if groups != 1:
        raise ValueError("expected one group in parentheses around the kind")
    return pattern


class TildaReader(Reader):
    """One fabric: folders `e0`, `e1` ... or files like `c1r1e0n1.tif`, where e0 has no defect.

    No layout of it could be verified, so `layout.yaml` may give another one. Every fifth good image, by
    name, is tested; all others teach.
    """

    id = "tilda"
    title = "TILDA"
    shape = "folders e0, e1 ... of one fabric, or files such as c1r1e0n1.tif; layout.yaml may tell others"

    class Params(Params):
        """kind: regular expression whose group is the kind, searched in the name of the folder or file
        directly in the root, in any case. good: kinds without a defect.
        """

        kind: Annotated[str, AfterValidator(_with_group)] = r"(?:^|r\d[-_]?)(e\d)(?!\d)"
        good: tuple[str, ...] = ("e0",)

    def recognises(self, root: Path) -> bool:
        """By a kind without a defect and one with."""
        kinds = {self._is_good(kind) for kind in map(self._kind, _names(root)) if kind}
        return kinds == {True, False}

    def _read(self, folders: Folders) -> Collection:
        root = folders.root
        below = images_under(root)
        kinds = {image: self._kind(image.relative_to(root).parts[0]) for image in below.images}
        samples = [
            Sample(image, sample_id(image, root), not good, defect=GOOD if good else printable(kind))
            for image, kind, good in ((i, k, self._is_good(k)) for i, k in kinds.items() if k)
        ]
        train, tested = every_fifth_tested(sample for sample in samples if not sample.defective)
        bad = [sample for sample in samples if sample.defective]
        test = tuple(sorted((*tested, *bad), key=lambda sample: sample.id))
        left = [sample_id(image, root) for image, kind in kinds.items() if not kind]
        remarks = remarks_on([path for path in below.ignored if path.parent != root], test, ())
        if left:
            remarks = (*remarks, f"left out {counted(len(left), 'image')} of no kind: {named(left)}")
        return Collection(root, self.id, self.title, train, test, remarks)

    def _kind(self, name: str) -> str:
        found = re.search(self.params.kind, name, re.IGNORECASE)
        return (found[1] or "").lower() if found else ""

    def _is_good(self, kind: str) -> bool:
        return kind in {name.lower() for name in self.params.good}


def _names(root: Path) -> Iterator[str]:
    """Of the folders and images directly in a folder."""
    yield from (folder.name for folder in sub_folders(root))
    yield from (path.name for path in root.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)

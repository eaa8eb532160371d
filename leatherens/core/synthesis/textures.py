"""Where the textures of artificial anomalies come from: a folder of pictures."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from leatherens.core.errors import InputError
from leatherens.core.listing import counted, images_under
from leatherens.core.photographs import IMAGE_SUFFIXES
from leatherens.core.synthesis.augment import Picture
from leatherens.core.synthesis.perlin import Shape

CACHE_BYTES = 128 * 2**20
"""Resized textures kept in memory: about 650 of 256 x 256."""


class TextureSource(Protocol):
    """Pictures of anything that is not the product."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Picture:
        """One picture of this height and width, (H, W, 3) uint8 RGB."""
        ...


class FolderTextures:
    """The pictures of a folder and its sub-folders, read when first drawn, squeezed to the size asked for.

    `unreadable` are the files that turned out to be no pictures; the next file in order takes their place, so
    that a draw depends on its generator alone and not on what was drawn before.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(f"{folder}: expected a folder of texture pictures, found none; check the path")
        self.folder = folder
        self.files = sorted(images_under(folder).images)
        if not self.files:
            known = ", ".join(sorted(IMAGE_SUFFIXES))
            raise InputError(
                f"{folder}: expected texture pictures in it or in its sub-folders ({known}), found none"
            )
        self.unreadable: set[Path] = set()
        self._kept: OrderedDict[tuple[Path, Shape], Picture] = OrderedDict()

    def draw(self, rng: np.random.Generator, shape: Shape) -> Picture:
        """One of the pictures at this size."""
        first = int(rng.integers(len(self.files)))
        for path in self.files[first:] + self.files[:first]:
            picture = self._resized(path, shape)
            if picture is not None:
                return picture
        raise InputError(
            f"{self.folder}: of its {counted(len(self.files), 'texture file')} none can be read as a picture;"
            " give another folder, or none"
        )

    def _resized(self, path: Path, shape: Shape) -> Picture | None:
        if path in self.unreadable:
            return None
        resized = self._kept.pop((path, shape), None)
        if resized is None:
            picture = _read(path)
            if picture is None:
                self.unreadable.add(path)
                return None
            resized = np.asarray(cv2.resize(picture, shape[::-1]), np.uint8)
        self._kept[path, shape] = resized  # the latest stands last
        while sum(kept.nbytes for kept in list(self._kept.values())) > CACHE_BYTES:
            self._kept.popitem(last=False)
        return resized


def _read(path: Path) -> Picture | None:
    """A file as RGB, `None` when it is no picture."""
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        return None
    try:
        picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    except cv2.error:  # more pixels than OpenCV takes
        return None
    return None if picture is None else np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)

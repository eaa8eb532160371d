"""Features of images seen before: levels of frozen pyramids by image content, in memory and on disk."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from leatherens.core.feature_store import FeatureStore

Compute = Callable[[Tensor], Sequence[Tensor]]
"""Images (n, 3, H, W) to their levels, each (n, C_i, h_i, w_i)."""


class FeatureCache:
    """Levels by image content: in memory, the oldest dropped beyond `limit_mb`, and in a store if given.

    Levels are kept one by one, so that members that ask for some levels of a pyramid share them with members
    that ask for others.
    """

    def __init__(self, limit_mb: int = 2048, *, store: FeatureStore | None = None) -> None:
        self.store = store
        self._limit = limit_mb * 2**20
        self._used = 0
        self._kept: OrderedDict[str, Tensor] = OrderedDict()

    def levels(self, pixels: Tensor, names: Sequence[str], compute: Compute) -> tuple[Tensor, ...]:
        """(B, 3, H, W) to the levels of these names, each (B, C_i, h_i, w_i).

        Images of which a level is not known go through `compute`, which gives all of them, in one batch.
        """
        images = [content_digest(image) for image in pixels]
        rows = {key: level for key in _keys(images, names) if (level := self._recall(key)) is not None}
        new = {
            image: i for i, image in enumerate(images) if any(k not in rows for k in _keys([image], names))
        }
        if new:
            levels = compute(pixels[list(new.values())])
            for row, image in enumerate(new):
                for name, level in zip(names, levels, strict=True):
                    key = f"{image}/{name}"
                    if key not in rows:
                        rows[key] = level[row].clone()
                        self._remember(key, rows[key])
        return tuple(torch.stack([rows[f"{image}/{name}"] for image in images]) for name in names)

    def _recall(self, key: str) -> Tensor | None:
        if key in self._kept:
            return self._kept[key]
        found = self.store.read(key) if self.store else None
        if found is not None:
            self._keep(key, found)
        return found

    def _remember(self, key: str, level: Tensor) -> None:
        self._keep(key, level)
        if self.store:
            self.store.write(key, level)

    def _keep(self, key: str, level: Tensor) -> None:
        self._kept[key] = level
        self._used += level.nbytes
        while self._used > self._limit and self._kept:
            _, dropped = self._kept.popitem(last=False)
            self._used -= dropped.nbytes


def _keys(images: Sequence[str], names: Sequence[str]) -> list[str]:
    return [f"{image}/{name}" for image in dict.fromkeys(images) for name in names]


def content_digest(image: Tensor) -> str:
    """32 hex digits that change with any value of an image, and with its shape."""
    digest = hashlib.blake2b(str(tuple(image.shape)).encode(), digest_size=16)
    digest.update(image.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()

"""A convolutional autoencoder of square patches, and what it makes of a whole image, window by window.

Bergmann et al., "Improving unsupervised defect segmentation by applying structural similarity to
autoencoders", VISAPP 2019, table 1. Width and patch are free, so that small machines can learn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor, nn

CODE_SIDE = 8
"""The last grid before the code, in positions: a patch is halved until it is so small."""

SLOPE = 0.2
"""Of the leaky ReLU after every layer but the code and the last."""

AT_ONCE = 16
"""Windows of one pass: more would take memory and no less time on a processor."""


class Passed(NamedTuple):
    """What a pass makes of patches or of an image: the same three things, (B, ...) or without batch.

    encoded: three maps of w, 2w and w channels, each half as fine as the one before. decoded: three of 4w,
        2w and w channels on the same grids, the coarsest first.
    """

    reconstruction: Tensor
    encoded: list[Tensor]
    decoded: list[Tensor]


def strides(patch: int) -> tuple[int, int, int]:
    """Pixels from one position to the next in the encoded maps of patches of this side.

    >>> strides(128)
    (4, 8, 16)
    """
    coarsest = patch // CODE_SIDE
    return coarsest // 4, coarsest // 2, coarsest


class PatchAutoencoder(nn.Module):
    """Patches (B, 3, p, p), through a code of `latent` numbers, to patches again; p is 8 times a power of 2.

    Of the paper's 128 pixels, the encoded maps have strides 4, 8 and 16.
    """

    def __init__(self, patch: int, latent: int, width: int = 32) -> None:
        super().__init__()
        w = width
        self.patch = patch
        spare = (patch // CODE_SIDE).bit_length() - 3  # halvings beyond the two that every size has
        stem = [layer for i in range(spare) for layer in _halved(w if i else 3, w)]
        self.encoder = nn.ModuleList(
            [
                nn.Sequential(*stem, *_same(w if spare else 3, w)),
                nn.Sequential(*_halved(w, 2 * w), *_same(2 * w, 2 * w)),
                nn.Sequential(*_halved(2 * w, 4 * w), *_same(4 * w, 2 * w), *_same(2 * w, w)),
            ]
        )
        self.code = nn.Conv2d(w, latent, CODE_SIDE)
        spread = nn.ConvTranspose2d(latent, w, CODE_SIDE)
        self.decoder = nn.ModuleList(
            [
                nn.Sequential(spread, nn.LeakyReLU(SLOPE), *_same(w, 2 * w), *_same(2 * w, 4 * w)),
                nn.Sequential(*_doubled(4 * w, 2 * w), *_same(2 * w, 2 * w)),
                nn.Sequential(*_doubled(2 * w, w), *_same(w, w)),
            ]
        )
        ends = [layer for _ in range(spare - 1) for layer in _doubled(w, w)]
        last = nn.ConvTranspose2d(w, 3, 4, 2, 1) if spare else nn.Conv2d(w, 3, 3, padding=1)
        self.out = nn.Sequential(*ends, last)

    def forward(self, patches: Tensor) -> Passed:
        """The patches as they come out, (B, 3, p, p) without a final activation, and the maps between."""
        encoded, maps = [], patches
        for stage in self.encoder:
            maps = stage(maps)
            encoded.append(maps)
        decoded, maps = [], self.code(maps)  # (B, latent, 1, 1)
        for stage in self.decoder:
            maps = stage(maps)
            decoded.append(maps)
        return Passed(self.out(maps), encoded, decoded)


def _same(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, 1, 1), nn.LeakyReLU(SLOPE)]


def _halved(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(SLOPE)]


def _doubled(before: int, after: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.LeakyReLU(SLOPE)]


def window_starts(side: int, patch: int, step: int) -> list[int]:
    """Where windows begin along a side: every `step` pixels, and once more to end with the side.

    >>> window_starts(256, 128, 48)
    [0, 48, 96, 128]
    """
    starts = list(range(0, side - patch + 1, step))
    return starts if starts[-1] == side - patch else [*starts, side - patch]


def whole(network: PatchAutoencoder, images: Tensor, step: int) -> Passed:
    """Images (B, 3, H, W) window by window; where windows overlap, all that is made of them is averaged."""
    made = [_whole(network, image, step) for image in images]
    encoded, decoded = (
        zip(*maps, strict=True) for maps in ([m.encoded for m in made], [m.decoded for m in made])
    )
    return Passed(
        torch.stack([m.reconstruction for m in made]),
        [torch.stack(level) for level in encoded],
        [torch.stack(level) for level in decoded],
    )


def _whole(network: PatchAutoencoder, image: Tensor, step: int) -> Passed:
    """One image (3, H, W), and its maps (C, h, w).

    H, W and `step` are multiples of the coarsest stride, so that the maps of all windows fall on one grid.
    """
    corners = list(product(*(window_starts(side, network.patch, step) for side in image.shape[1:])))
    steps = (1, *strides(network.patch), *reversed(strides(network.patch)))
    sums: list[Tensor] = []
    for chunk, made in _passes(network, image, corners):
        if not sums:
            sums = [_empty(maps, image, stride) for maps, stride in zip(made, steps, strict=True)]
        for total, maps, stride in zip(sums, made, steps, strict=True):
            for corner, values in zip(chunk, maps, strict=True):
                _part(total, corner, network.patch, stride).add_(values)
    means = [total / _counts(total, corners, network.patch, s) for total, s in zip(sums, steps, strict=True)]
    return Passed(means[0], means[1:4], means[4:])


Corner = tuple[int, ...]


def _passes(
    network: PatchAutoencoder, image: Tensor, corners: Sequence[Corner]
) -> Iterator[tuple[Sequence[Corner], list[Tensor]]]:
    """Some corners at a time, and the maps that the network makes of the windows there."""
    for start in range(0, len(corners), AT_ONCE):
        chunk = corners[start : start + AT_ONCE]
        windows = torch.stack([_part(image, corner, network.patch, 1) for corner in chunk])
        made = network(windows.contiguous(memory_format=torch.channels_last))
        yield chunk, [maps.float() for maps in (made.reconstruction, *made.encoded, *made.decoded)]


def _part(maps: Tensor, corner: Corner, patch: int, stride: int) -> Tensor:
    """The view of (..., H, W) maps of this stride that a window covers."""
    rows, columns = (slice(start // stride, (start + patch) // stride) for start in corner)
    return maps[..., rows, columns]


def _empty(maps: Tensor, image: Tensor, stride: int) -> Tensor:
    height, width = image.shape[1:]
    return maps.new_zeros(maps.shape[1], height // stride, width // stride)


def _counts(total: Tensor, corners: Sequence[Corner], patch: int, stride: int) -> Tensor:
    """(h, w): how many windows cover each position of a map."""
    counts = torch.zeros_like(total[0])
    for corner in corners:
        _part(counts, corner, patch, stride).add_(1)
    return counts

"""How large the details of a surface are, and what is left of them when a photograph is made smaller."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from leatherens.core.photographs import resize_photograph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leatherens.core.photographs import Photograph

    Grey: TypeAlias = NDArray[np.float32]

MOST_SIDE = 512
"""Pixels of the window in the middle of a photograph, at its own resolution, where details are measured."""

_LIGHT = 16
"""The light is what changes over a sixteenth of the window and more; it is taken out first."""


def middle_of(photograph: Photograph) -> Photograph:
    """The square window in the middle, at most `MOST_SIDE` wide."""
    height, width, _ = photograph.shape
    side = min(height, width, MOST_SIDE)
    top, left = (height - side) // 2, (width - side) // 2
    return photograph[top : top + side, left : left + side]


def detail_width(grey: Grey) -> float:
    """The typical width of what is to be seen in a square picture (N, N), in pixels; 0 for a blank one.

    The full width at half maximum of the autocorrelation, averaged over all directions: of noise smoothed by
    a Gaussian of standard deviation s it is 4 s sqrt(ln 2), of independent pixels 1.
    """
    flat = _without_light(grey)
    if float(flat.std()) < _BLANK:
        return 0.0
    profile = _radial(_autocorrelation(flat))
    below = int(np.argmax(profile < 0.5)) if (profile < 0.5).any() else len(profile) - 1
    before, after = float(profile[below - 1]), float(profile[below])
    return 2.0 * (below - 1 + (before - 0.5) / max(before - after, 1e-9))


def contrast_left(photograph: Photograph, size: tuple[int, int]) -> float:
    """Share, 0..1, of the standard deviation of a photograph that is left at (height, width) `size`.

    1 where that is no smaller, and for a blank one.
    """
    before = float(_grey(photograph).std())
    after = float(_grey(resize_photograph(photograph, size)).std())
    return min(1.0, after / before) if before >= _BLANK else 1.0


def grey_of(photograph: Photograph) -> Grey:
    """Grey levels (H, W), 0..255."""
    return _grey(photograph)


_BLANK = 1e-3


def _grey(photograph: Photograph) -> Grey:
    import cv2

    grey: Grey = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return grey


def _without_light(grey: Grey) -> Grey:
    import cv2

    light = cv2.GaussianBlur(grey, (0, 0), max(2.0, len(grey) / _LIGHT), borderType=cv2.BORDER_REFLECT)
    flat: Grey = grey - light
    flat -= flat.mean()
    return flat


def _autocorrelation(picture: Grey) -> NDArray[np.float64]:
    """(2R + 1, 2R + 1) at shifts of up to R, a quarter of the side, 1 in the middle.

    By the Fourier transform, seen through a window that fades to the border and divided by the window's own.
    """
    side = len(picture)
    fade = np.hanning(side + 2)[1:-1]
    window = np.outer(fade, fade)
    shifts = np.arange(-(side // 4), side // 4 + 1)
    products, weights = (
        np.fft.ifft2(np.abs(np.fft.fft2(seen, (2 * side, 2 * side))) ** 2).real[np.ix_(shifts, shifts)]
        for seen in (picture * window, window)
    )
    found = products / weights
    return np.asarray(found / found[side // 4, side // 4])


def _radial(square: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over rings one pixel wide, by distance from the middle; the ring of 0 is the middle itself."""
    reach = len(square) // 2
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    ring = np.rint(np.hypot(down, right)).astype(int)
    sums = np.bincount(ring.ravel(), weights=square.ravel())[: reach + 1]
    return np.asarray(sums / np.bincount(ring.ravel())[: reach + 1])

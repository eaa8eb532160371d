"""Do all images show the part at the same place, or could they be laid over one another?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leatherens.core.photographs import resize_photograph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leatherens.core.photographs import Photograph
    from leatherens.core.registration import Registration

SIDE = 64
"""Pixels to which images are brought: a part may move by a hundredth of the picture and count as still."""

ALIKE = 0.7
"""Correlation with the others' mean from which on the part is at the same place: a printed face that moves by
5 % of the picture reaches 0.81, a bottle from above that moves by 8 % 0.64 (docs/recommend.md)."""

MOST = 0.8
"""Share of images that must fit over a reference for all to be called registrable."""

REFERENCES, TRIED = 3, 12
"""Images that are tried as the reference, and images in all; evenly spread."""


@dataclass(frozen=True, slots=True)
class Places:
    """alike: median correlation, -1..1, of an image with the mean of the others at the same place. fitting:
    share of images that can be laid over one of them by key points; `None` where that was not tried."""

    alike: float
    fitting: float | None = None

    @property
    def still(self) -> bool:
        """Whether the part is at the same place in all images."""
        return self.alike >= ALIKE

    @property
    def registrable(self) -> bool:
        """Whether it can be brought there."""
        return self.fitting is not None and self.fitting >= MOST


def likeness_in_place(photographs: Sequence[Photograph]) -> float:
    """Median over the images of the correlation with the mean of all others, light taken out.

    0 for fewer than two images.
    """
    if len(photographs) < 2:
        return 0.0
    flat = np.stack([_flat(photograph) for photograph in photographs])  # (N, P), of length 1 or blank
    others = flat.sum(axis=0) - flat
    lengths = np.linalg.norm(others, axis=1)
    products = (flat * others).sum(axis=1)
    return float(np.median(np.divide(products, lengths, out=np.zeros(len(flat)), where=lengths > 1e-6)))


def share_that_fits(photographs: Sequence[Photograph]) -> float:
    """Share of the images, 0..1, that key points lay over the best of a few references among them."""
    from leatherens.core.registration import Registration
    from leatherens.core.registration.reference import spread

    if len(photographs) < 2:
        return 0.0
    registration = Registration()
    chosen = [photographs[place] for place in spread(len(photographs), TRIED)]
    return max(_fitting(registration, chosen, place) for place in spread(len(chosen), REFERENCES))


def _fitting(registration: Registration, photographs: Sequence[Photograph], place: int) -> float:
    reference = registration.reference(photographs[place])
    if not len(reference.points):
        return 0.0
    others = [photograph for number, photograph in enumerate(photographs) if number != place]
    fit = [registration.align(photograph, reference).homography is not None for photograph in others]
    return sum(fit) / len(fit)


def _flat(photograph: Photograph) -> NDArray[np.float64]:
    """Grey levels (P,) without the light, of length 1; all 0 for a blank image."""
    import cv2

    grey = cv2.cvtColor(resize_photograph(photograph, (SIDE, SIDE)), cv2.COLOR_RGB2GRAY).astype(np.float32)
    flat = (grey - cv2.GaussianBlur(grey, (0, 0), SIDE / 8, borderType=cv2.BORDER_REFLECT)).astype(np.float64)
    flat = flat.ravel() - flat.mean()
    length = float(np.linalg.norm(flat))
    return flat / length if length > 1e-3 else np.zeros_like(flat)

"""Gabor: mean magnitudes of complex Gabor filters (Gabor, 1946; Jain and Farrokhnia, 1991).

A filter answers to one frequency and one orientation. With round envelopes its response in the frequency
domain is a Gaussian, the product of one along rows and one along columns, so that the bank costs one Fourier
transform there and one back for each filter.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from scipy import fft

from leatherens_classic.texture import TextureDetector, TextureParams
from leatherens_classic.windows import Plane, cell_means, grey, over_windows, padded, without_margin

BANDWIDTH = math.sqrt(math.log(2) / 2) / math.pi * 3
"""Sigma in wavelengths of a filter one octave wide: that of `skimage.filters.gabor_kernel`."""
FAINT = 1e-3
"""Added to magnitudes before the logarithm: a quarter of a step of 8 bits."""
REACHES = 3
"""Sigmas after which an envelope is over."""


def responses(plane: Plane, frequency: float, orientations: int) -> NDArray[np.float32]:
    """(H, W) to magnitudes (H, W, orientations) of filters; the plane repeats.

    frequency: in waves a pixel.
    """
    sides = [fft.fftfreq(side).astype(np.float32) for side in plane.shape]
    spectrum = fft.fft2(plane - plane.mean())  # what is constant has no texture
    narrow = -2 * (math.pi * BANDWIDTH / frequency) ** 2
    found = []
    for angle in np.arange(orientations) * math.pi / orientations:
        centre = frequency * math.sin(angle), frequency * math.cos(angle)
        down, across = (np.exp(narrow * (f - c) ** 2) for f, c in zip(sides, centre, strict=True))
        found.append(np.abs(fft.ifft2(spectrum * down[:, None] * across)))
    return np.stack(found, axis=-1)


class Gabor(TextureDetector):
    """Logarithms of mean filter magnitudes in windows."""

    id = "gabor"

    class Params(TextureParams):
        """The bank."""

        frequencies: tuple[Annotated[float, Field(ge=0.03, le=0.5)], ...] = Field(
            default=(0.25, 0.125, 0.0625), min_length=1
        )
        """Waves a pixel, an octave apart."""
        orientations: PositiveInt = 6

    def _describe(self, photograph: Plane) -> Plane:
        cell = self.params.cell
        widest = REACHES * BANDWIDTH / min(self.params.frequencies)
        margin = math.ceil(widest / cell)
        plane = padded(grey(photograph), cell, margin)
        found = [
            without_margin(cell_means(responses(plane, f, self.params.orientations), cell), margin)
            for f in self.params.frequencies
        ]
        return np.log(over_windows(np.concatenate(found, axis=-1), self.params.reach) + FAINT)

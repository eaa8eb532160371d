"""Wavelet: energies of the sub-bands of a wavelet transform (Arivazhagan and Ganesan, 2003).

Jawahar et al. (2014) told defective from good leather by such statistics. Each level halves the picture and
leaves three sub-bands of detail: across, down and diagonal.
"""

from __future__ import annotations

import numpy as np
from pydantic import PositiveInt, model_validator
from typing_extensions import Self

from leatherens_classic.texture import TextureDetector, TextureParams
from leatherens_classic.windows import Plane, cell_means, grey, over_windows, padded, without_margin

MARGIN = 2
"""Cells mirrored around the photograph: the transform repeats its input, which would join opposite edges."""
FAINT = 1e-6
"""Added to energies before the logarithm: about what rounding to 8 bits leaves."""


def energies(plane: Plane, wavelet: str, levels: int, cell: int) -> Plane:
    """(h * cell, w * cell) to (h, w, 3 * levels): mean squared coefficients of each cell, coarse to fine."""
    import pywt

    details = pywt.wavedec2(plane, wavelet, mode="periodization", level=levels)[1:]
    found = []
    for i, bands in enumerate(details):
        shrunken = cell >> (levels - i)
        found.append(cell_means(np.stack(bands, axis=-1).astype(np.float32) ** 2, shrunken))
    return np.concatenate(found, axis=-1)


class Wavelet(TextureDetector):
    """Logarithms of sub-band energies in windows."""

    id = "wavelet"

    class Params(TextureParams):
        """The transform."""

        wavelet: str = "db2"
        """One of PyWavelets' discrete ones."""
        levels: PositiveInt = 3

        @model_validator(mode="after")
        def _known_and_fitting(self) -> Self:
            import pywt

            if self.wavelet not in pywt.wavelist(kind="discrete"):
                raise ValueError(
                    f"wavelet '{self.wavelet}' is none of PyWavelets' discrete ones, such as 'db2'"
                )
            if self.cell % 2**self.levels:
                raise ValueError(
                    f"a cell of {self.cell} pixels cannot be halved {self.levels} times; take a multiple of "
                    f"{2**self.levels}, or fewer levels"
                )
            return self

    def _describe(self, photograph: Plane) -> Plane:
        cell = self.params.cell
        plane = padded(grey(photograph), cell, MARGIN)
        found = without_margin(energies(plane, self.params.wavelet, self.params.levels, cell), MARGIN)
        return np.log(np.maximum(over_windows(found, self.params.reach), 0) + FAINT)

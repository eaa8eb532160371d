"""An autoencoder that is taught and judged by structural similarity (Bergmann et al., VISAPP 2019)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveFloat
from torch import Tensor

from leatherens.core.autoencoder_detector import AutoencoderDetector, AutoencoderParams
from leatherens.core.losses import STABLE, dissimilarity


class SSIMAutoencoder(AutoencoderDetector):
    """Each pixel with the 11 x 11 around it: level, contrast and structure must come back, not each value."""

    id: ClassVar[str] = "ssim-autoencoder"

    class Params(AutoencoderParams):
        """Those of the paper but for the constants."""

        constants: tuple[PositiveFloat, PositiveFloat] = STABLE
        """Of SSIM. The paper is quoted with 0.01 and 0.03; these are their squares, as in SSIM's paper."""

    def compared(self, image: Tensor, reconstruction: Tensor) -> Tensor:
        """1 - SSIM, by one implementation in loss and score."""
        return dissimilarity(image, reconstruction, self.params.constants)

    def structure(self, image: Tensor, reconstruction: Tensor, errors: Tensor) -> Tensor:
        """The errors themselves."""
        return errors

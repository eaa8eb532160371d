"""An autoencoder taught and judged by squared error, colour by colour (Bergmann et al., VISAPP 2019)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from leatherens.core.autoencoder_detector import AutoencoderDetector


class MSEAutoencoder(AutoencoderDetector):
    """Each pixel by itself: sees stains and wrong colours, and edges that come back a little blurred."""

    id: ClassVar[str] = "mse-autoencoder"

    def compared(self, image: Tensor, reconstruction: Tensor) -> Tensor:
        """Squared difference."""
        return (image - reconstruction).square()

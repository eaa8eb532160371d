"""DDAD: noise the image partly, denoise it as a good one towards itself, and compare.

Mousakhan, Brox and Tayyub, "Anomaly Detection with Conditioned Denoising Diffusion Models", 2023.
"""

from leatherens.plugins.ddad.detector import DDAD

__all__ = ["DDAD"]

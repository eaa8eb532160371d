"""CutPaste: a network that tells good images from pasted ones, and a Gaussian around its good embeddings.

Li, Sohn, Yoon and Pfister, "CutPaste: Self-supervised learning for anomaly detection and localization", CVPR
2021.
"""

from leatherens.plugins.cutpaste.detector import CutPaste

__all__ = ["CutPaste"]

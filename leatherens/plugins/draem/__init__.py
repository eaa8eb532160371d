"""DRAEM: reconstruct the good image, then tell apart what the reconstruction changed.

Zavrtanik, Kristan and Skocaj, "DRAEM - A discriminatively trained reconstruction embedding for surface
anomaly detection", ICCV 2021.
"""

from leatherens.plugins.draem.detector import DRAEM

__all__ = ["DRAEM"]

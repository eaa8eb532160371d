"""CFA: adapt features so that good ones gather around a memory of centres.

Lee, Lee and Song, "CFA: Coupled-hypersphere-based feature adaptation for target-oriented anomaly
localization", IEEE Access 2022.
"""

from leatherens.plugins.cfa.detector import CFA

__all__ = ["CFA"]

"""CFLOW-AD: conditional normalising flows say how likely each feature vector is at its position.

Gudovskiy, Ishizaka and Kozuka, "CFLOW-AD: Real-time unsupervised anomaly detection with localization via
conditional normalizing flows", WACV 2022.
"""

from leatherens.plugins.cflow.detector import CFLOW

__all__ = ["CFLOW"]

"""CSE: an embedding of deep features in which good images agree and artificial anomalies do not.

Thomine and Snoussi, "CSE: Surface anomaly detection with contrastively selected embedding", VISAPP 2024.
"""

from leatherens.plugins.cse.detector import CSE

__all__ = ["CSE"]

"""MemSeg: a U-Net over features and their differences to remembered ones, taught by artificial anomalies.

Yang, Wu, Liu and Feng, "MemSeg: A semi-supervised method for image surface defect detection using differences
and commonalities", Engineering Applications of Artificial Intelligence, 2023.
"""

from leatherens.plugins.memseg.detector import MemSeg

__all__ = ["MemSeg"]

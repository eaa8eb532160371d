"""CS-Flow: one flow over features of three image scales that inform each other.

Rudolph, Wehrbein, Rosenhahn and Wandt, "Fully convolutional cross-scale-flows for image-based defect
detection", WACV 2022.
"""

from leatherens.plugins.csflow.detector import CSFlow

__all__ = ["CSFlow"]

"""Laying a photograph over a reference, as if nobody had nudged the camera: one idea a file.

`key_points` finds what can be recognised, `matches` says which of two pictures' points are the same,
`homographies` has the geometry and what no nudged camera does, `estimating` finds the homography that most
matches agree on, `aligning` puts the three together and says why a photograph is better left as it is.
`reference` chooses one of the good photographs, and `warping` moves pixels and masks.

A homography is (3, 3) float64 and takes (x, y) of a photograph to (x, y) of the reference, in pixels, whole
numbers at the centres of pixels, as OpenCV counts.
"""

from leatherens.core.registration.aligning import Alignment, Reference, Registration, Why
from leatherens.core.registration.homographies import Limits
from leatherens.core.registration.key_points import KeyPoints
from leatherens.core.registration.reference import Chosen, choose_reference
from leatherens.core.registration.warping import warped, warped_mask

__all__ = [
    "Alignment",
    "Chosen",
    "KeyPoints",
    "Limits",
    "Reference",
    "Registration",
    "Why",
    "choose_reference",
    "warped",
    "warped_mask",
]

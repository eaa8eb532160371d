"""The homography that most matches agree on, and its refinement on grey levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leatherens.core.registration.homographies import Homography, Points
from leatherens.core.registration.key_points import Grey
from leatherens.core.registration.warping import covered

FEWEST = 4
"""Matches; a homography has eight unknowns, a match gives two equations."""

_CONFIDENCE = 0.999
_ITERATIONS = 5000
_STEPS = 50
_PRECISION = 1e-5
"""Of the correlation, at which its refinement ends."""
_SMOOTHING = 5
"""Pixels, side of the Gaussian window that the refinement looks through."""


def agreed_homography(
    sources: Points, targets: Points, *, tolerance: float
) -> tuple[Homography | None, NDArray[np.bool_]]:
    """The homography from sources (M, 2) to targets that most pairs agree with, and which these are (M,).

    tolerance: pixels of the targets by which an agreeing pair may miss.
    RANSAC (Fischler and Bolles, 1981) with MSAC's cost (Torr and Zisserman, 2000) and local optimisation, as
    OpenCV's USAC does it: its random generator belongs to the call and starts alike each time, so that the
    answer depends on the points alone, whatever other threads do.
    """
    import cv2

    nobody = np.zeros(len(sources), dtype=np.bool_)
    if len(sources) < FEWEST:
        return None, nobody
    how = cv2.UsacParams()
    how.threshold, how.confidence, how.maxIterations = tolerance, _CONFIDENCE, _ITERATIONS
    how.isParallel, how.randomGeneratorState = False, 0
    how.sampler, how.score = cv2.SAMPLING_UNIFORM, cv2.SCORE_METHOD_MSAC
    how.loMethod, how.final_polisher = cv2.LOCAL_OPTIM_INNER_LO, cv2.LSQ_POLISHER
    how.final_polisher_iterations = 3
    found, agreeing = cv2.findHomography(sources.astype(np.float32), targets.astype(np.float32), how)
    if found is None or not np.isfinite(found).all():
        return None, nobody
    return np.asarray(found, dtype=np.float64), agreeing.reshape(-1).astype(np.bool_)


def refined_homography(picture: Grey, reference: Grey, homography: Homography) -> Homography | None:
    """The homography near this one that makes two grey pictures most alike; `None` where none is found.

    ECC (Evangelidis and Psarakis, PAMI 2008): the correlation of grey levels, so that brighter or softer
    light changes nothing.
    """
    import cv2

    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, _PRECISION)
    back = np.linalg.inv(homography)  # ECC asks where a point of the reference lies in the picture
    start = (back / back[2, 2]).astype(np.float32)
    try:
        _, found = cv2.findTransformECC(
            reference, picture, start, cv2.MOTION_HOMOGRAPHY, until, None, _SMOOTHING
        )
        refined = np.linalg.inv(found.astype(np.float64))
    except (cv2.error, np.linalg.LinAlgError):  # it left the picture, or went nowhere
        return None
    refined /= refined[2, 2]
    return refined if np.isfinite(refined).all() else None


def likeness(picture: Grey, reference: Grey, homography: Homography) -> float:
    """Correlation of grey levels, -1..1, between a reference and a picture laid over it, where both are.

    0 where one of the two is blank.
    """
    import cv2

    size = reference.shape[0], reference.shape[1]
    laid = cv2.warpPerspective(picture, homography, size[::-1], borderMode=cv2.BORDER_REPLICATE)
    both = covered((picture.shape[0], picture.shape[1]), homography, size)
    if not both.any():
        return 0.0
    seen, wanted = laid[both].astype(np.float32), reference[both].astype(np.float32)
    seen, wanted = seen - seen.mean(), wanted - wanted.mean()
    lengths = float(np.linalg.norm(seen)) * float(np.linalg.norm(wanted))
    return float(seen @ wanted) / lengths if lengths > 0 else 0.0

"""For parts around libraries whose fitted models can only be pickled: keep their lessons, and fit again.

The same rows and seed give the same model, with the same library. Scores kept beside them tell whether
it is so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leatherens.core.errors import ArtifactError

ALIKE = 1e-4
"""How far apart two fits' scores may be, as a share of their size: processors round otherwise."""


def require_same_again(owner: str, found: NDArray[np.floating], expected: Sequence[float]) -> None:
    """Refuse a model whose scores are no longer those it had when it was stored: thresholds rest on them.

    >>> require_same_again("pyod", np.array([1.0, 2.0]), [1.0, 2.00001])
    """
    then = np.asarray(expected, dtype=np.float64)
    apart = float(np.abs(found - then).max(initial=0))
    if not apart <= ALIKE * float(np.abs(then).max(initial=0)):
        raise ArtifactError(
            f"{owner}: fitted again from what was stored, it scores otherwise than it did (by {apart:.3g}); "
            "its library is probably of another version: install the run's own, or fit anew"
        )

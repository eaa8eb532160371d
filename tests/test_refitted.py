"""Models that are fitted again when they are loaded."""

from __future__ import annotations

import numpy as np
import pytest

from leatherens.core.errors import ArtifactError
from leatherens.core.refitted import require_same_again


def test_same_scores_up_to_rounding__pass() -> None:
    require_same_again("lof", np.array([3.0, 1e-9]), [3.0002, 0.0])


@pytest.mark.parametrize("found", [[3.1, 1.0], [np.nan, 1.0]])
def test_other_scores__are_refused_in_words(found: list[float]) -> None:
    with pytest.raises(ArtifactError, match=r"lof: .* it scores otherwise than it did .* fit anew"):
        require_same_again("lof", np.array(found), [3.0, 1.0])

"""A student's features against its teacher's: both brought to unit length, compared position by position."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def unit_features(maps: Sequence[Tensor]) -> list[Tensor]:
    """Each (B, C, h, w) divided by its length over channels; a zero vector stays zero."""
    return [F.normalize(m, dim=1) for m in maps]


def unit_differences(teacher: Sequence[Tensor], student: Sequence[Tensor]) -> list[Tensor]:
    """Teacher's unit features less the student's, (B, C, h, w) each."""
    return [t - s for t, s in zip(unit_features(teacher), unit_features(student), strict=True)]


def distances(teacher: Sequence[Tensor], student: Sequence[Tensor]) -> list[Tensor]:
    """Squared distance of unit features per position: (B, h, w) in 0..4, one per level.

    Equation 1 of STFPM (Wang et al., BMVC 2021) without its factor 1/2, as in the authors' code.
    """
    return [difference.square().sum(dim=1) for difference in unit_differences(teacher, student)]

"""Fusing the voters' scores, once all are on the common scale."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from leatherens.core.component import Component
from leatherens.core.errors import InputError
from leatherens.core.types import ScoreMap


class ScoreFusion(Component):
    """Plugin kind `score_fusions`: several voters' scores to one; order does not matter."""

    @final
    def fuse(self, voters: Mapping[str, ScoreMap]) -> ScoreMap:
        """Scores on the common scale, by voter, to one; one voter alone is returned as it is."""
        if not voters:
            raise InputError(f"{self.id}: nothing to fuse; at least one voter is needed")
        ordered = [voters[name] for name in sorted(voters)]
        if len(ordered) == 1:
            return ordered[0]
        pixels = self._combine(torch.stack([v.pixels for v in ordered]))
        return ScoreMap(pixels, self._combine(torch.stack([v.image for v in ordered])))

    @abstractmethod
    def _combine(self, stacked: Tensor) -> Tensor:
        """(voters, ...) to (...)."""

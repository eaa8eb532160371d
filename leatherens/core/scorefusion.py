"""Fusing the voters' scores, once all are on the common scale; a fusion may learn how.

Some rules are fixed, some learn from held-out good images, some also from artificial anomalies on them; none
ever sees an evaluation image. The base class puts voters in the order of their names, so that no rule can
depend on the order in which a recipe names them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from enum import Enum
from typing import final

import torch
from torch import Tensor
from typing_extensions import Self

from leatherens.core.component import Component
from leatherens.core.errors import InputError, NotFittedError
from leatherens.core.examples import Examples, Of, Votes
from leatherens.core.types import ScoreMap


def weighted_sum(weights: Tensor, stacked: Tensor) -> Tensor:
    """Weights (V,) and scores (V, ...) to (...).

    >>> weighted_sum(torch.tensor([1.0, 0.5]), torch.tensor([[1.0, 2.0], [4.0, 8.0]])).tolist()
    [3.0, 6.0]
    """
    return (weights.to(stacked).view(-1, *[1] * (stacked.ndim - 1)) * stacked).sum(dim=0)


class Lessons(str, Enum):
    """What a fusion learns from: artificial anomalies are drawn and scored only where one asks for them."""

    nothing = "nothing"
    good = "good"
    anomalies = "anomalies"


class ScoreFusion(Component):
    """Plugin kind `score_fusions`: several voters' scores to one; order does not matter."""

    voters_: list[str]
    """The voters learned from, sorted; the same must come to be fused."""

    @property
    def lessons(self) -> Lessons:
        """What `fit` needs to be shown; options may decide."""
        return Lessons.nothing

    def check_voters(self, voters: Sequence[str]) -> None:
        """Refuse options that do not fit these voters with a `ConfigError`, before anything is learned."""

    @final
    def fit(self, examples: Examples, *, seed: int = 0) -> Self:
        """Learn how to fuse these voters, forgetting earlier fits; a fixed rule has nothing to learn."""
        self.check_voters(examples.voters)
        self._check_examples(examples)
        self.forget()
        if self.lessons is Lessons.nothing:
            return self
        try:
            self._fit(examples, seed)
        except BaseException:
            self.forget()  # half a fit must not pass for one
            raise
        self.voters_ = list(examples.voters)
        return self

    @final
    def fuse(self, voters: Votes) -> ScoreMap:
        """Scores on the common scale, by voter, to one; one voter alone is returned as it is."""
        if not voters:
            raise InputError(f"{self.id}: nothing to fuse; at least one voter is needed")
        names = sorted(voters)
        if len(names) == 1:
            return voters[names[0]]
        self._require_learned_from(names)
        image = torch.stack([voters[name].image for name in names])  # (V, B)
        pixels = torch.stack([voters[name].pixels for name in names])  # (V, B, H, W)
        with torch.inference_mode():
            fused = self._combine(pixels, Of.pixels), self._combine(image, Of.images)
            return ScoreMap(*fused, voters[names[0]].valid)

    @abstractmethod
    def _combine(self, stacked: Tensor, of: Of) -> Tensor:
        """(V, ...) scores, voters in the order of their names, to (...)."""

    def _fit(self, examples: Examples, seed: int) -> None:
        """Learn; put what is learned into attributes ending in `_`. Called only where there are `lessons`."""
        raise NotImplementedError(f"{type(self).__name__} wants lessons and has no _fit")

    def _check_examples(self, examples: Examples) -> None:
        wanted = {
            Lessons.nothing: (),
            Lessons.good: (("held-out good images", examples.good),),
            Lessons.anomalies: (
                ("held-out good images", examples.good),
                ("artificial anomalies", examples.spoilt),
            ),
        }
        for what, rows in wanted[self.lessons]:
            if not len(rows.images):
                raise InputError(f"{self.id}: learns from the scores of {what}, got none")
            if not bool(rows.images.isfinite().all() and rows.pixels.isfinite().all()):
                raise InputError(f"{self.id}: the scores of {what} hold NaN or infinite values")

    def _require_learned_from(self, names: list[str]) -> None:
        self.check_voters(names)
        if self.lessons is Lessons.nothing:
            return
        if not self.fitted:
            raise NotFittedError(
                f"{self.id}: fuse was called before fit; call fit first or load a fitted run"
            )
        if names != self.voters_:
            raise InputError(
                f"{self.id}: learned to fuse {', '.join(self.voters_)}, got {', '.join(names)}; fit it anew"
            )

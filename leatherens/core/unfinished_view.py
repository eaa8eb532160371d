"""What a reporter is given of a run that cannot be reported: what is there of it, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from leatherens.core.training_curves import TrainingCurve


@dataclass(frozen=True, slots=True)
class Fragment:
    """One thing a finished run has, what is known of it here, and whether it is as it should be."""

    what: str
    told: str
    whole: bool


@dataclass(frozen=True, slots=True)
class UnfinishedView:
    """A run that was interrupted, or of which files are missing or damaged.

    why: the sentence that says so, and what to do. fragments: in the order in which a run makes them.
    recipe: empty where it cannot be read. training: by member, how far each of its trainings went.
    """

    name: str
    why: str
    fragments: tuple[Fragment, ...]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, tuple[TrainingCurve, ...]] = field(default_factory=dict)

    @property
    def lacking(self) -> tuple[Fragment, ...]:
        """What is not as it should be."""
        return tuple(fragment for fragment in self.fragments if not fragment.whole)

"""What a rule says about a folder, and what it knows besides what was seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from leatherens.core.inspection.inspection import Inspection


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence. kind: an id for programs. images: the images or files meant, all of them."""

    kind: str
    sentence: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run on the folder would do.

    size: height and width that images are brought to. calibrating: good images that would calibrate; 0 where
    no run can begin, and `refusal` then says why.
    """

    size: tuple[int, int]
    calibrating: int = 0
    refusal: str = ""


Rule: TypeAlias = "Callable[[Inspection, Plan], Finding | None]"
"""Says one thing, or nothing."""

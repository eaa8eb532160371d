"""What is wrong with a run's images, as `leatherens data inspect` says it, in a short time."""

from __future__ import annotations

from leatherens.configs.recipe import Recipe
from leatherens.core.details import Inspected
from leatherens.core.inspection import Plan, findings_of, inspect, stock_of
from leatherens.core.inspection.working_size import KINDS
from leatherens.core.progress import Progress
from leatherens.core.reading import Collection

SECONDS = 20.0
"""What opening the photographs may take: a few hundred of a megapixel; the rest is left out and counted."""


def inspected(
    collection: Collection, recipe: Recipe, calibrating: int, progress: Progress, *, seconds: float = SECONDS
) -> Inspected:
    """The findings on a collection; calibrating: how many of its good images calibrate."""
    stock = stock_of(collection)
    seen = inspect(stock, progress, seconds=seconds)
    found = findings_of(seen, Plan(recipe.size, calibrating=calibrating))
    told = (*found.problems, *found.warnings)
    if recipe.tile is not None:  # tiles have the working size, photographs any
        told = tuple(finding for finding in told if finding.kind not in KINDS)
    return Inspected(
        looked=len(stock.items) - seen.unseen,
        images=len(stock.items),
        findings=tuple(finding.sentence for finding in told),
    )

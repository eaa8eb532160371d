"""Milliseconds per image of members and their backbones, from which every variant's cost is summed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median

from leatherens.core.params import Params
from leatherens.core.progress import Progress
from leatherens.core.types import ImageSource, batches
from leatherens.ensembles.ensemble import FittedEnsemble, Stopwatch

COST = (
    "Milliseconds per image already in memory, what the variant uses summed: each backbone once, each "
    "member, block and head, scales and score fusion. Backbones and members: median of at most five batches; "
    "a backbone is timed with all levels that any member reads. The others: mean over the images scored."
)

TIMED_BATCHES = 5
"""After one that warms up; their median counts, so that one disturbance does not."""


class Costs(Params):
    """Milliseconds per image: each backbone's pass, and each member's own work; which member reads what."""

    backbones: dict[str, float]
    members: dict[str, float]
    models: dict[str, tuple[str, ...]]

    def of(self, members: Iterable[str]) -> float:
        """What these members cost together; a backbone that several read counts once."""
        ids = tuple(members)
        models = {model for id in ids for model in self.models[id]}
        return sum(self.members[id] for id in ids) + sum(self.backbones[model] for model in models)


def measure_costs(
    ensemble: FittedEnsemble, images: ImageSource, batch_size: int, progress: Progress
) -> Costs:
    """Time an ensemble's members on a few batches of images already in memory."""
    spent: dict[str, list[float]] = {}
    loaded = list(batches(images, batch_size, range(min(len(images.ids), (TIMED_BATCHES + 1) * batch_size))))
    with progress.step("timing the members", len(loaded)) as advance:
        for number, batch in enumerate(loaded):
            watch = Stopwatch(ensemble.device)
            ensemble.observe(batch.to(ensemble.device), watch)
            for name, seconds in watch.seconds.items() if number or len(loaded) == 1 else ():
                spent.setdefault(name, []).append(1000 * seconds / len(batch))
            advance(1)
    typical = {name: median(values) for name, values in spent.items()}
    models = {
        id: tuple(sorted({request.model for request in member.backbones()}))
        for id, member in ensemble.members.items()
    }
    return Costs(
        backbones=_under(typical, "backbone/"),
        members=_under(typical, "member/"),
        models=models,
    )


def _under(typical: Mapping[str, float], prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): value for name, value in typical.items() if name.startswith(prefix)}

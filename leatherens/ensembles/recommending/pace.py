"""How long a fit would take: its steps are watched, and those cut short are counted to their end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from leatherens.core.progress import Advance


@dataclass(slots=True)
class Step:
    """One step of a fit. total: its units; times: seconds at which it began and at which units were done."""

    title: str
    total: int
    times: list[float]
    units: list[int] = field(default_factory=list)
    ended: float = 0.0

    @property
    def done(self) -> int:
        """Units that were done."""
        return sum(self.units)

    @property
    def seconds(self) -> float:
        """What the whole step would take: as long as it took, if it came to its end.

        Else the first advance, which warms up, and all further units at the pace of those after it.
        """
        spent = self.ended - self.times[0]
        if self.done >= self.total or not self.done:
            return spent
        first = self.times[1] - self.times[0]
        after, rest = self.done - self.units[0], self.times[-1] - self.times[1]
        each = rest / after if after else first / self.units[0]
        return first + each * (self.total - self.units[0])


class Pace:
    """A `Progress` that draws nothing and remembers how fast every step went."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._started = time.perf_counter()

    @contextmanager
    def step(self, title: str, total: int) -> Iterator[Advance]:
        """Open a step that is watched."""
        step = Step(title, total, [time.perf_counter()])
        self.steps.append(step)

        def advance(units: int) -> None:
            if units:
                step.units.append(units)
                step.times.append(time.perf_counter())

        try:
            yield advance
        finally:
            step.ended = time.perf_counter()

    def say(self, sentence: str) -> None:
        """Remarks on a handful of images are nobody's business."""

    @property
    def seconds(self) -> float:
        """What all would take: the time since the beginning, and what is missing of the steps cut short."""
        missing = sum(step.seconds - (step.ended - step.times[0]) for step in self.steps)
        return time.perf_counter() - self._started + missing

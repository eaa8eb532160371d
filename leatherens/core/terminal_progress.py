"""Progress on stderr: a bar with an estimate on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from leatherens.core.progress import Advance, Progress

PLAIN_SECONDS = 10.0
"""Between two plain lines of one step."""


def terminal_progress() -> Progress:
    """Bars where somebody looks, lines where a file or a program reads."""
    return Bars() if sys.stderr.isatty() else Lines()


class Bars:
    """One rich bar per step, with the time left."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)

    @contextmanager
    def step(self, title: str, total: int) -> Iterator[Advance]:
        """A bar of `total` units."""
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=self._console) as bars:
            task = bars.add_task(title, total=total)
            yield lambda units: bars.advance(task, units)

    def say(self, sentence: str) -> None:
        """Print a remark above the bars."""
        self._console.print(sentence, markup=False)


class Lines:
    """A line every ten seconds with the time left, and one when a step ends."""

    @contextmanager
    def step(self, title: str, total: int) -> Iterator[Advance]:
        """Lines about `total` units."""
        started = spoken = time.monotonic()
        done = first = 0

        def advance(units: int) -> None:
            nonlocal done, spoken, first
            if not done and units > 1:
                first = units  # a resumed step begins further on; that part took no time now
            done += units
            now = time.monotonic()
            if now - spoken > PLAIN_SECONDS and done > first:
                spoken = now
                left = (now - started) / (done - first) * (total - done)
                self.say(f"{title}: {done} of {total}, about {left:.0f} s left")

        yield advance
        self.say(f"{title}: {done} of {total} in {time.monotonic() - started:.1f} s")

    def say(self, sentence: str) -> None:
        """Print a remark."""
        print(sentence, file=sys.stderr, flush=True)  # noqa: T201

"""How long steps say how far they are. The command line draws bars or lines; libraries stay silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]
"""Call with the number of units done since the last call."""


class Progress(Protocol):
    """Where long steps report to."""

    def step(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """Open a step of `total` units; the returned function advances it."""
        ...

    def say(self, sentence: str) -> None:
        """A remark a user should see."""
        ...


class Within:
    """Reports a part of the work to where the whole reports, every title with the part's name before it."""

    def __init__(self, progress: Progress, part: str) -> None:
        self._progress = progress
        self._part = part

    def step(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """Open a step of the part."""
        return self._progress.step(f"{self._part}, {title}", total)

    def say(self, sentence: str) -> None:
        """A remark on the part."""
        self._progress.say(f"{self._part}, {sentence}")


class Silent:
    """Reports to nobody."""

    @contextmanager
    def step(self, title: str, total: int) -> Iterator[Advance]:
        """Open a step nobody watches."""
        yield lambda units: None

    def say(self, sentence: str) -> None:
        """Say nothing."""

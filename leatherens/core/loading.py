"""Loading ahead: while a model works on one batch, the next ones are decoded.

One thread walks the source, whose own threads decode; what comes out, and in which order, is what a plain
walk gives. Threads and not processes: Pillow and OpenCV let go of Python's lock while they work, and images
need not be copied from one process to another (docs/large-images.md has the figures).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")

AHEAD = 2
"""Batches: one waits, one is being made. More would only take memory."""

_SECONDS = 0.1  # between two looks whether the walk was given up


def ahead(items: Iterable[T], count: int = AHEAD) -> Generator[T, None, None]:
    """The items, up to `count` of them made before they are asked for; their errors come where they belong.

    >>> list(ahead(x * x for x in range(5)))
    [0, 1, 4, 9, 16]
    """
    made: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(max(1, count - 1))
    given_up = threading.Event()

    def put(item: T | None, error: BaseException | None) -> bool:
        while not given_up.is_set():
            try:
                made.put((item, error), timeout=_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in items:
                if not put(item, None):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where the items are used
            put(None, error)
        else:
            put(None, StopIteration())

    maker = threading.Thread(target=make, name="leatherens-ahead", daemon=True)
    maker.start()
    try:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        given_up.set()
        maker.join()

"""Loading ahead: while a model works on one batch, the next ones are decoded.

What comes out, and in which order, is what a plain walk gives. Threads and not processes: Pillow and OpenCV
let go of Python's lock while they work, and images need not be copied from one process to another
(docs/large-images.md has the figures).
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

P = TypeVar("P")
T = TypeVar("T")

AHEAD = 2
"""Batches being made at once: while one waits for its last image, the other keeps the cores busy."""

_SECONDS = 0.1  # between two looks whether the walk was given up


def loaded_ahead(load: Callable[[P], T], picks: Iterable[P]) -> Generator[T, None, None]:
    """What `load` makes of each pick, in order, the next `AHEAD` being made meanwhile, at the same time.

    load: may run in several threads at once. Its errors come where they belong.

    >>> list(loaded_ahead(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    rest, waiting = iter(picks), deque[Future[T]]()
    pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="leatherens-ahead")
    try:
        waiting.extend(pool.submit(load, pick) for pick in islice(rest, AHEAD))
        while waiting:
            loaded = waiting.popleft().result()
            waiting.extend(pool.submit(load, pick) for pick in islice(rest, 1))
            yield loaded
    finally:
        pool.shutdown(cancel_futures=True)


def ahead(items: Iterable[T], count: int = AHEAD) -> Generator[T, None, None]:
    """Items that are made one after the other, up to `count` of them before they are asked for.

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

"""Refusing, before any work, what would not fit in memory, and saying what would where it ran out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from leatherens.core.errors import ConfigError, LeatherensError, MemoryRanOut

Size = tuple[int, int]

HALF = 0.5
"""What is tried next at most: most of what a network needs grows with the images and pixels it sees."""


def refuse_beyond(limit_mb: int, size: int, *, owner: str, what: str, remedy: str) -> None:
    """Raise a `ConfigError` if `size` bytes are more than `limit_mb` (binary megabytes).

    what: would be that large, "the bank (250000 rows of 1024 numbers)". remedy: options that make it smaller.

    >>> refuse_beyond(1, 3 << 20, owner="a", what="the bank", remedy="size 128")
    Traceback (most recent call last):
    leatherens.core.errors.ConfigError: a: the bank needs 3 MB, memory_mb is 1; try size 128 or more memory_mb
    """
    needed = -(-size // 2**20)
    if needed > limit_mb:
        raise ConfigError(
            f"{owner}: {what} needs {needed} MB, memory_mb is {limit_mb}; try {remedy} or more memory_mb"
        )


@contextmanager
def saying_what_fits(
    owner: str, doing: str, *, batch: int | None, size: Size, multiple: int = 1, smallest: int = 1
) -> Iterator[None]:
    """Turn memory that runs out in the block into a `MemoryRanOut` naming a batch and a size that need less.

    batch: images worked on at once, `None` where that is not one number. size: their height and width, which
    are multiples of `multiple` and at least `smallest`.
    """
    try:
        yield
    except LeatherensError:
        raise
    except Exception as error:
        if not ran_out(error):
            raise
        share = _share_that_fits(str(error))
        fewer = None if batch is None or batch < 2 else max(1, int(batch * share))
        smaller = _smaller(size, share, multiple, smallest)
        named = f"images of {size[0]} x {size[1]}" if batch is None else _named(batch, size)
        message = f"{owner}: memory ran out while {doing} {named}; {_advice(fewer, smaller)}"
        raise MemoryRanOut(message, batch=fewer, size=smaller) from None


def ran_out(error: Exception) -> bool:
    """Whether an exception says that memory could not be had: numpy's, OpenCV's, torch's on either device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return "DefaultCPUAllocator" in str(error) or "Insufficient memory" in str(error)


def _share_that_fits(told: str) -> float:
    """Of what was asked for; half, or what is free of it where torch tells both and that is less."""
    asked = re.search(r"Tried to allocate ([\d.]+) (\w+)", told)
    free = re.search(r"of which ([\d.]+) (\w+) is free", told)
    if not asked or not free:
        return HALF
    return min(HALF, _bytes(free) / _bytes(asked))


def _bytes(found: re.Match[str]) -> float:
    number, unit = found.groups()
    return float(number) * {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}.get(unit, 1)


def _smaller(size: Size, share: float, multiple: int, smallest: int) -> Size | None:
    """The largest multiples of about this share of the pixels; `None` where that is less than allowed."""
    height, width = (int(side * math.sqrt(share)) // multiple * multiple for side in size)
    return (height, width) if min(height, width) >= max(1, smallest) else None


def _named(batch: int, size: Size) -> str:
    images = "one image" if batch == 1 else f"{batch} images"
    return f"{images} of {size[0]} x {size[1]} at once"


def _advice(batch: int | None, size: Size | None) -> str:
    ways = [] if batch is None else [f"a batch of {batch}"]
    ways += [] if size is None else [f"images of {size[0]} x {size[1]}"]
    if not ways:
        return "use smaller options or a machine with more memory"
    return f"{' or '.join(ways)} should fit, or smaller options"

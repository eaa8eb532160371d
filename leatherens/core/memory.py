"""Refusing, before any work, what would not fit in memory."""

from __future__ import annotations

from leatherens.core.errors import ConfigError


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

"""In which order scorers stand, everywhere on the page: charts give them their colours by it."""

from __future__ import annotations

from collections.abc import Iterable


def in_order(scorers: Iterable[str]) -> list[str]:
    """The ensemble, then the members by id.

    >>> in_order(["padim", "ensemble", "draem"])
    ['ensemble', 'draem', 'padim']
    """
    return sorted(scorers, key=lambda scorer: (scorer != "ensemble", scorer))

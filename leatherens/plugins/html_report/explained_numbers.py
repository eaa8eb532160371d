"""The numbers of the components' charts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from leatherens.core.pca import Explained
from leatherens.plugins.html_report.explained import round_counts
from leatherens.plugins.html_report.number_table import NumberTable
from leatherens.plugins.html_report.table import DASH, percent

MOST = 12
"""Components that the table of shares has; the chart's titles tell the others."""


def explained_numbers(explained: Sequence[Explained]) -> tuple[NumberTable, ...]:
    """Of what the charts show; none without a PCA."""
    return tuple(table for table in (_variance(explained), _shares(explained)) if table is not None)


def _variance(explained: Sequence[Explained]) -> NumberTable | None:
    """Of each PCA, the variance that its first components explain together."""
    if not explained:
        return None
    counts = [1, *(count for count in round_counts(max(len(e.fractions) for e in explained)) if count > 1)]
    rows = []
    for found in explained:
        sums = list(accumulate(found.fractions))
        told = (percent(sums[count - 1]) if count <= len(sums) else DASH for count in counts)
        rows.append((found.name, *told, f"{percent(sums[-1])} by {len(sums)}"))
    head = ("components", *map(str, counts), "all kept")
    return NumberTable("variance that the first components explain", head, tuple(rows))


def _shares(explained: Sequence[Explained]) -> NumberTable | None:
    """Of a PCA over several members, their shares in the first components; `None` without such a one."""
    mixed = [found for found in explained if len(found.members) > 1]
    if not mixed:
        return None
    first = range(min(MOST, len(mixed[0].fractions)))
    rows = (
        (member, *(percent(shares[component]) for component in first))
        for member, shares in mixed[0].members.items()
    )
    return NumberTable(
        f"members' shares in the first {len(first)} components",
        ("component", *(str(component + 1) for component in first)),
        tuple(rows),
    )

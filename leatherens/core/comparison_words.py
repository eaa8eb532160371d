"""A comparison of runs in words: what the other finds more, at which price, and how sure that is."""

from __future__ import annotations

import math

from leatherens.core.comparison import COMPARED, SHARES, ComparedRun, ComparisonView
from leatherens.core.listing import counted
from leatherens.core.paired import Difference

MINUS, DASH = "−", "–"


def verdicts(comparison: ComparisonView) -> list[str]:
    """A sentence for each run but the first."""
    return [verdict(comparison.first, other) for other in comparison.runs[1:]]


def verdict(first: ComparedRun, other: ComparedRun) -> str:
    """Defects, false alarms and ranking of the other run against the first."""
    found = _found(first, other)
    said = " ".join(part for part in (found, _alarms(first, other, alone=not found)) if part)
    if not said:
        return f"No image in common has a label: {other.name} and {first.name} cannot be compared."
    ranking = other.differences["image_auroc"]
    if math.isnan(ranking.value):
        return f"{other.name} {said}."
    difference = f"the difference in image AUROC is {with_interval('image_auroc', ranking)}"
    return f"{other.name} {said}; {difference}."


def _found(first: ComparedRun, other: ComparedRun) -> str:
    """How many defective images the other finds more or fewer."""
    found = [int((run.judged.judged.flagged & run.judged.defective).sum()) for run in (first, other)]
    total = int(first.judged.defective.sum())
    if not total:
        return ""
    if found[0] == found[1]:
        return f"finds as many defective images as {first.name} ({found[0]} of {total})"
    counts = f"({found[1]} against {found[0]})"
    return f"finds {_more(*found)} of {counted(total, 'defective image')} than {first.name} {counts}"


def _alarms(first: ComparedRun, other: ComparedRun, *, alone: bool) -> str:
    """How many good images the other loses more or fewer; alone: nothing was said before."""
    lost = [int((run.judged.judged.flagged & ~run.judged.defective).sum()) for run in (first, other)]
    total = int((~first.judged.defective).sum())
    if not total:
        return ""
    goods = counted(total, "good image")
    if lost[0] == lost[1]:
        same = f"flags as many good images as {first.name}" if alone else "at the same false-alarm rate"
        return f"{same} ({lost[0]} of {goods})"
    start = "flags" if alone else "and flags"
    return f"{start} {_more(*lost)} of {goods} ({lost[1]} against {lost[0]})"


def _more(first: int, other: int) -> str:
    """The difference of two counts.

    >>> _more(3, 5), _more(5, 3)
    ('2 more', '2 fewer')
    """
    return f"{abs(other - first)} {'more' if other > first else 'fewer'}"


def with_interval(metric: str, found: Difference) -> str:
    """A difference, its interval, and whether chance alone may explain it.

    >>> with_interval("image_auroc", Difference(0.891, 0.912, -0.004, 0.046))
    '+0.021, 95 % interval −0.004 to +0.046: not certain'
    >>> with_interval("missed_rate", Difference(0.3, 0.1, -0.3, -0.1))
    '−20.0 points, 95 % interval −30.0 to −10.0: certain at that level'
    """
    value = signed(metric, found.value) + (" points" if metric in SHARES else "")
    if math.isnan(found.low):
        return f"{value}, of which resampling these images tells no interval"
    sure = "certain at that level" if found.certain else "not certain"
    return f"{value}, 95 % interval {signed(metric, found.low)} to {signed(metric, found.high)}: {sure}"


def signed(metric: str, value: float) -> str:
    """A difference with its sign; of shares in percentage points, of others to three places.

    >>> signed("missed_rate", -0.075), signed("au_pro", 0.0004), signed("au_pro", float("nan"))
    ('−7.5', '0.000', '–')
    """
    if math.isnan(value):
        return DASH
    number, places = (100 * value, 1) if metric in SHARES else (value, 3)
    text = f"{abs(number):.{places}f}"
    sign = "" if not float(text) else "+" if number > 0 else MINUS
    return f"{sign}{text}"


def value(metric: str, number: float) -> str:
    """A metric as written.

    >>> value("missed_rate", 0.125), value("iou", 0.25), value("iou", float("nan"))
    ('12.5 %', '0.250', '–')
    """
    if math.isnan(number):
        return DASH
    return f"{100 * number:.1f} %" if metric in SHARES else f"{number:.3f}"


def is_better(metric: str, found: Difference) -> bool | None:
    """Whether the other is certainly better; `None` where neither is.

    >>> is_better("missed_rate", Difference(0.3, 0.1, -0.3, -0.1)), is_better("iou", Difference(0, 0, -1, 1))
    (True, None)
    """
    if not found.certain:
        return None
    return (found.value < 0) if metric in SHARES else (found.value > 0)


def table(comparison: ComparisonView) -> list[list[str]]:
    """The cells of a table for a terminal, header first: by metric each run's value, and its difference."""
    beside = [cell for run in comparison.runs[1:] for cell in (run.name, "difference [95 %]")]
    lines = [["", comparison.first.name, *beside]]
    for metric, title in COMPARED.items():
        cells = [value(metric, comparison.first.judged.values.get(metric, math.nan))]
        for run in comparison.runs[1:]:
            found = run.differences[metric]
            ends = f" [{signed(metric, found.low)}, {signed(metric, found.high)}]"
            cells += [
                value(metric, found.other),
                signed(metric, found.value) + ("" if math.isnan(found.low) else ends),
            ]
        lines.append([title, *cells])
    return lines

"""What `leatherens metrics` prints for people: numbers, then what they mean and how they were made."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from leatherens.core.listing import counted

TITLES = {
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "image_f1_max": "image F1-max",
    "image_accuracy": "image accuracy",
    "image_precision": "image precision",
    "image_recall": "image recall",
    "image_f1": "image F1",
    "false_alarm_rate": "false-alarm rate",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "pixel_f1_max": "pixel F1-max",
    "au_pro": "AU-PRO to 0.3",
    "au_spro": "AU-sPRO to 0.05",
    "iou": "IoU, pooled",
    "iou_per_image": "IoU, mean of images",
    "pro": "PRO",
    "spro": "sPRO",
}
_WIDTH = 100


def print_metrics(content: Mapping[str, Any]) -> None:
    """Print what the referee found."""
    for line in lines_of(content):
        click.echo(line)


def lines_of(content: Mapping[str, Any]) -> Iterator[str]:
    """All lines."""
    yield _counts(content["images"])
    for remark in content["remarks"]:
        yield f"note: {remark}"
    yield ""
    yield from _table({"all": content["metrics"]}, content["intervals"])
    for group in ("by_defect", "by_view"):
        if group in content:
            yield ""
            values = {name: found["metrics"] for name, found in content[group].items()}
            yield from _table(values, {}, group.replace("_", " "))
    for reason in _reasons(content["undefined"]):
        yield f"undefined: {reason}"
    if content["impostors"]:
        yield ""
        yield "as other code computes it; to be compared with figures of that code only"
        yield from _table({"": content["impostors"]}, {})
    yield ""
    yield from _glossary({title(name): text for name, text in content["definitions"].items()})
    yield ""
    yield from _glossary(content["rules"])


def title(name: str) -> str:
    """A metric's name for people.

    >>> title("au_pro"), title("au_pro_0.05"), title("au_spro_1")
    ('AU-PRO to 0.3', 'AU-PRO to 0.05', 'AU-sPRO to 1')
    """
    stem, _, limit = name.rpartition("_")
    if limit[:1].isdigit():
        return f"{TITLES[stem].partition(' to ')[0]} to {limit}"
    return TITLES.get(name, name)


def _counts(images: Mapping[str, int]) -> str:
    good, defective = images["good_images"], images["defective_images"]
    pixels = images["good_pixels"] + images["defect_pixels"]
    share = f", {images['defect_pixels'] / pixels:.2%} of them marked" if pixels else ""
    return (
        f"{counted(good + defective, 'image')} ({good} good, {defective} defective), "
        f"{counted(images['regions'], 'defect region')}, {pixels / 1e6:.1f} million pixels{share}"
    )


def _table(
    groups: Mapping[str, Mapping[str, float]], intervals: Mapping[str, Sequence[float]], corner: str = ""
) -> list[str]:
    """A line for each metric, a column for each group."""
    names = list(dict.fromkeys(name for values in groups.values() for name in values))
    lines = [[corner, *groups, *(["95 % interval"] if intervals else [])]]
    for name in names:
        cells = [_shown(values.get(name, math.nan)) for values in groups.values()]
        ends = intervals.get(name)
        if intervals:
            cells.append("" if ends is None else f"{_shown(ends[0])} to {_shown(ends[1])}")
        lines.append([title(name), *cells])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    padded = (
        [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
        for line in lines
    )
    return ["  ".join(cells).rstrip() for cells in padded if any(cell.strip() for cell in cells)]


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _reasons(undefined: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each reason, naming all that it holds for."""
    for reason in dict.fromkeys(undefined.values()):
        names = [title(name) for name, why in undefined.items() if why == reason]
        yield f"{', '.join(names)}: {reason}"


def _glossary(entries: Mapping[str, str]) -> Iterator[str]:
    for name, text in entries.items():
        yield from textwrap.wrap(f"{name}: {text}", _WIDTH, subsequent_indent="  ")

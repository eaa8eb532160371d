"""What `leatherens data inspect` prints for people: the content of its JSON in short lines and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from leatherens.core.listing import counted, named

SHOWN = 5
"""Lines of one list; the rest is counted, and --json names all."""


def print_inspection(content: Mapping[str, Any], sheet: Path | None) -> None:
    """Print an inspection's content, findings last."""
    for line in lines_of(content):
        click.echo(line)
    if sheet is not None:
        click.echo(f"\nsheet: {sheet}")


def lines_of(content: Mapping[str, Any]) -> Iterator[str]:
    """All lines."""
    yield f"{content['folder']}: {content['read_as']}"
    yield ""
    yield from _images(content)
    yield from _twice("identical", content["identical"])
    yield from _twice("nearly the same", content["similar"])
    yield from _masks(content["masks"])
    yield from _defects(content["defects"])
    colours = content["colours"]
    yield f"{'colours':<16}{colours['sentence']} (of {colours['of']})"
    yield from _findings(content)


def _images(content: Mapping[str, Any]) -> Iterator[str]:
    for part, kinds in content["images"]["parts"].items():
        every = ", ".join(f"{kind} {number}" for kind, number in kinds.items())
        yield f"{part:<16}{every}"
    sizes = [f"{s['height']} x {s['width']} ({s['images']})" for s in content["sizes"]]
    if len(sizes) > SHOWN:
        areas = sorted((s["height"] * s["width"], s["height"], s["width"]) for s in content["sizes"])
        (_, *least), (_, *most) = areas[0], areas[-1]
        yield f"{'sizes':<16}{len(sizes)}, from {least[0]} x {least[1]} to {most[0]} x {most[1]} pixels"
    elif sizes:
        yield f"{'sizes':<16}{', '.join(sizes)} pixels"
    modes = [f"{mode} ({number})" for mode, number in content["modes"].items()]
    turned = f"; {len(content['turned'])} turned upright as EXIF says" if content["turned"] else ""
    if modes:
        yield f"{'stored as':<16}{', '.join(modes)}{turned}"
    for bad in content["unreadable"][:SHOWN]:
        yield f"{'unreadable':<16}{bad['reason']}"
    yield from _rest("unreadable", content["unreadable"])


def _twice(title: str, groups: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not groups:
        return
    images = sum(len(group["images"]) for group in groups)
    crossing = [group for group in groups if len(group["parts"]) > 1]
    across = f", {len(crossing)} of them across parts" if crossing else ""
    yield f"{title:<16}{counted(images, 'image')} in {counted(len(groups), 'group')}{across}"
    for group in [*crossing, *(group for group in groups if group not in crossing)][:3]:
        yield f"{'':<16}  {named(group['images'])}"


def _masks(masks: Mapping[str, Any]) -> Iterator[str]:
    if not masks["images_with"] and not masks["without_image"]:
        return
    without = masks["defective_without"]
    bare = f", {counted(len(without), 'defective image')} without" if without else ""
    yield f"{'masks':<16}of {counted(masks['images_with'], 'image')}{bare}"
    wrong = [entry for fault in ("unreadable", "other_size", "empty", "on_good") for entry in masks[fault]]
    for entry in wrong[:SHOWN]:
        yield f"{'':<16}  {entry['reason']}"
    yield from _rest("", wrong)


def _defects(defects: Mapping[str, Any]) -> Iterator[str]:
    if not defects["kinds"]:
        return
    kinds, at = defects["kinds"], "x".join(map(str, defects["size"]))
    columns = [("area px", "area"), ("share %", "share"), ("extent px", "extent"), ("thick px", "thickness")]
    if any(row["extent"] != row["extent_at_size"] for row in kinds.values()):
        columns[3:3] = [(f"at {at}", "extent_at_size")]
        columns.append((f"at {at}", "thickness_at_size"))
    rows = [("", "images", *(title for title, _ in columns))]
    for kind, row in kinds.items():
        ranges = (_range(row[key], 100 if key == "share" else 1) for _, key in columns)
        rows.append((kind, str(row["images"]), *ranges))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    yield f"{'defects':<16}least / median / most; extent and thickness are of an image's largest piece"
    for name, *cells in rows:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        yield "  ".join([f"  {name.ljust(widths[0])}", *padded])


def _range(found: Mapping[str, float], factor: float) -> str:
    """Least, median and most with two digits that count.

    >>> _range({"least": 0.0123, "median": 3.0, "most": 1234.0}, 1)
    '0.012 / 3 / 1234'
    """
    return " / ".join(_short(factor * found[key]) for key in ("least", "median", "most"))


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _findings(content: Mapping[str, Any]) -> Iterator[str]:
    for title, key in (("note", "remarks"), ("warning", "warnings"), ("problem", "problems")):
        found = [entry if isinstance(entry, str) else entry["sentence"] for entry in content[key]]
        if found:
            yield ""
        yield from (f"{title}: {sentence}" for sentence in found)
    yield ""
    problems = len(content["problems"])
    if problems:
        yield f"not usable yet: {counted(problems, 'problem')} to mend first"
    else:
        warnings = len(content["warnings"])
        yield f"usable, with {counted(warnings, 'warning')}" if warnings else "usable: nothing is wrong"


def _rest(title: str, entries: Sequence[object]) -> Iterator[str]:
    if len(entries) > SHOWN:
        yield f"{title:<16}and {len(entries) - SHOWN} more; --json names all"

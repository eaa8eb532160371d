"""Time `pixel_metrics` beside the published procedure on the same maps: argsort every pixel, then cumulate.

    python benchmarks/metrics_speed.py --maps 20 --size 1024

The published procedure is MVTec's evaluation code for AU-PRO, restated, with AUROC and AP read off the same
sorted pixels. It needs about 7 GiB for 80 maps of 1024 x 1024.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import click
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from leatherens.core.metrics import pixel_metrics

Maps = list[npt.NDArray[np.float32]]
Masks = list[npt.NDArray[np.bool_]]
Curve = npt.NDArray[np.float64]
Values = tuple[float, float, float]  # AUROC, AP, AU-PRO


def invent(count: int, size: int, *, seed: int) -> tuple[Maps, Masks]:
    """Noise; one image in three has up to three round defects whose scores overlap those of good leather."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[:size, :size]
    maps, masks = [], []
    for index in range(count):
        mask = np.zeros((size, size), bool)
        for _ in range(rng.integers(1, 4) if index % 3 == 0 else 0):
            row, column = rng.integers(0, size, 2)
            radius = rng.uniform(size / 100, size / 10)
            mask |= (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        scores = rng.standard_normal((size, size), np.float32)
        scores[mask] += 2
        maps.append(scores)
        masks.append(mask)
    return maps, masks


def published(maps: Maps, masks: Masks, limit: float = 0.3) -> Values:
    """Concatenate, argsort everything, cumulate, keep the last point of each tie."""
    gains, regions = [], 0
    for mask in masks:
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        sizes = np.bincount(labels.ravel())
        gains.append(np.where(labels > 0, 1 / sizes[labels], 0).ravel())
        regions += count
    scores = np.concatenate([m.ravel() for m in maps])
    order = np.argsort(scores)[::-1]
    scores = scores[order]
    last = np.append(np.diff(scores) != 0, True)
    truth = np.concatenate([m.ravel() for m in masks])[order]
    pro = np.cumsum(np.concatenate(gains)[order])[last] / regions
    true, false = np.cumsum(truth)[last], np.cumsum(~truth)[last]
    tpr, fpr = true / true[-1], false / false[-1]
    ap = float(np.sum(np.diff(tpr, prepend=0) * true / (true + false)))
    fpr, tpr, pro = (np.concatenate([[0], np.minimum(curve, 1), [1]]) for curve in (fpr, tpr, pro))
    return area(fpr, tpr, 1.0), ap, area(fpr, pro, limit) / limit


def area(x: Curve, y: Curve, limit: float) -> float:
    inside = x <= limit
    x, y = np.append(x[inside], limit), np.append(y[inside], np.interp(limit, x, y))
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1])) / 2)


def ours(maps: Maps, masks: Masks) -> Values:
    found = pixel_metrics(maps, masks)
    return found.auroc, found.ap, found.au_pro


def only_sort(maps: Maps, masks: Masks) -> Values:
    """The floor: sort the bare scores, compute nothing."""
    np.concatenate([m.ravel() for m in maps]).sort()
    return np.nan, np.nan, np.nan


def peak() -> float:
    """The most memory the process has held so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(
    run: Callable[[Maps, Masks], Values], maps: Maps, masks: Masks, repeats: int
) -> tuple[float, Values]:
    """Median seconds and the values; prints both."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        values = run(maps, masks)
        seconds.append(time.perf_counter() - start)
    median = float(np.median(seconds))
    numbers = "AUROC {:.9f}  AP {:.9f}  AU-PRO {:.9f}".format(*values)
    spread = f"median {median:6.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
    click.echo(f"{run.__name__:<10} {spread}, peak so far {peak():.2f} GiB, {numbers}")
    return median, values


@click.command()
@click.option("--maps", "count", default=20, show_default=True, help="Number of maps.")
@click.option("--size", default=1024, show_default=True, help="Side of a map in pixels.")
@click.option("--repeats", default=3, show_default=True, help="Runs of each; the median counts.")
@click.option("--seed", default=7, show_default=True, help="Seed of the invented maps.")
def main(count: int, size: int, repeats: int, seed: int) -> None:
    """Print the times, their ratio and the largest difference of the values."""
    maps, masks = invent(count, size, seed=seed)
    pixels, marked = sum(m.size for m in masks), sum(int(m.sum()) for m in masks)
    click.echo(f"{count} maps of {size} x {size}: {pixels / 1e6:.1f} M pixels, {marked / pixels:.2%} defect")
    click.echo(f"the maps and masks alone: {peak():.2f} GiB")
    measure(only_sort, maps, masks, repeats)
    quick, mine = measure(ours, maps, masks, repeats)
    slow, theirs = measure(published, maps, masks, repeats)
    gap = np.max(np.abs(np.subtract(mine, theirs)))
    click.echo(f"published / ours: {slow / quick:.1f}; largest difference of a value: {gap:.1e}")


if __name__ == "__main__":
    main()

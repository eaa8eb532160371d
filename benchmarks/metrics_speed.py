"""Time our pixel metrics beside the procedures that others publish, on the same maps in one run.

    python benchmarks/metrics_speed.py --maps 80 --size 1024      # MVTec's
    python benchmarks/metrics_speed.py --maps 20 --size 256       # torchmetrics' and anomalib's as well

Each procedure is restated here from its published code, with the arrays that it makes: MVTec's AU-PRO
evaluation sorts all pixels with their gains; torchmetrics' binary ROC and average precision sort all pixels
and cumulate; anomalib's AU-PRO takes the ROC of all pixels once for the rate and once for every region.
Seconds are of the wall and of the processors: on a busy machine only the second ones tell something.
MVTec's needs about 7 GiB for 80 maps of 1024 x 1024.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

import click
import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from leatherens.core.metrics import au_pro, pixel_metrics

Maps = list[npt.NDArray[np.float32]]
Masks = list[npt.NDArray[np.bool_]]
Curve = npt.NDArray[np.float64]

EIGHT = np.ones((3, 3), dtype=int)
LIMIT = 0.3


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


def ours_au_pro(maps: Maps, masks: Masks) -> tuple[float, ...]:
    return (au_pro(maps, masks, limit=LIMIT),)


def ours_all(maps: Maps, masks: Masks) -> tuple[float, ...]:
    found = pixel_metrics(maps, masks, limit=LIMIT)
    return found.au_pro, found.auroc, found.ap


def mvtec(maps: Maps, masks: Masks) -> tuple[float, ...]:
    """AU-PRO: gains of every pixel, one argsort, running sums, the last point of each tie, trapezoids."""
    shape = (len(maps), *maps[0].shape)
    false, gain = np.zeros(shape, np.uint32), np.zeros(shape, np.float64)
    goods = regions = 0
    for index, mask in enumerate(masks):
        labels, count = ndimage.label(mask, EIGHT)
        regions += count
        good = labels == 0
        goods += int(good.sum())
        false[index][good] = 1
        for number in range(1, count + 1):
            region = labels == number
            gain[index][region] = 1 / region.sum()
    scores = np.array(maps).ravel()
    order = np.argsort(scores).astype(np.uint32)[::-1]
    scores = scores[order]
    rate = np.cumsum(false.ravel()[order], dtype=np.uint32).astype(np.float32) / goods
    overlap = np.cumsum(gain.ravel()[order]) / regions
    last = np.append(np.diff(scores) != 0, True)
    rate, overlap = (
        np.concatenate([[0.0], np.clip(curve[last], None, 1), [1.0]]) for curve in (rate, overlap)
    )
    return (area(rate, overlap, LIMIT) / LIMIT,)


def torchmetrics(maps: Maps, masks: Masks) -> tuple[float, ...]:
    """AUROC and average precision of pooled pixels from two exact curves, as its functions make them."""
    scores = torch.cat([torch.from_numpy(m).flatten() for m in maps])
    truth = torch.cat([torch.from_numpy(m).flatten() for m in masks]).long()
    true, false = _cumulated(scores, truth)
    auroc = torch.trapezoid(true / true[-1], false / false[-1])
    true, false = _cumulated(scores, truth)
    precision, recall = true / (true + false), true / true[-1]
    ap = torch.sum(torch.diff(recall, prepend=torch.zeros(1)) * precision)
    return float(auroc), float(ap)


def anomalib(maps: Maps, masks: Masks) -> tuple[float, ...]:
    """AU-PRO: the rate from the ROC of all pixels, then one ROC for every region, brought to that rate."""
    scores = torch.cat([torch.from_numpy(m).flatten() for m in maps])
    labels, known = [], 0
    for mask in masks:
        found, count = ndimage.label(mask, EIGHT)
        labels.append(np.where(found > 0, found + known, 0).ravel())
        known += count
    regions = torch.from_numpy(np.concatenate(labels))
    rate = _rates(scores, (regions > 0).long())[0]
    rate = rate[: int(torch.nonzero(rate <= LIMIT)[-1]) + 1]
    total = torch.zeros_like(rate)
    good = regions == 0
    for number in range(1, known + 1):
        here = good | (regions == number)
        own_rate, own_found = _rates(scores[here], (regions[here] == number).long())
        total += torch.from_numpy(np.interp(rate.numpy(), own_rate.numpy(), own_found.numpy())).to(total)
    overlap = total / known
    return (float(torch.trapezoid(overlap, rate) / rate[-1]),)


def _cumulated(scores: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """True and false positives at every distinct score, from the highest down."""
    order = torch.argsort(scores, descending=True)
    scores, truth = scores[order], truth[order]
    last = torch.cat([torch.nonzero(torch.diff(scores)).squeeze(1), torch.tensor([len(scores) - 1])])
    true = torch.cumsum(truth, 0)[last]
    return true, 1 + last - true


def _rates(scores: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    true, false = _cumulated(scores, truth)
    zero = torch.zeros(1)
    return torch.cat([zero, false / false[-1]]), torch.cat([zero, true / true[-1]])


def area(x: Curve, y: Curve, limit: float) -> float:
    inside = x <= limit
    x, y = np.append(x[inside], limit), np.append(y[inside], np.interp(limit, x, y))
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1])) / 2)


@dataclass(frozen=True)
class Timed:
    """Median seconds of the wall and of the processors, and the values."""

    wall: float
    processor: float
    values: tuple[float, ...]


def measure(run: Callable[[Maps, Masks], tuple[float, ...]], maps: Maps, masks: Masks, repeats: int) -> Timed:
    """Run it a few times; prints a line."""
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        values = run(maps, masks)
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    found = Timed(float(np.median(walls)), float(np.median(processors)), values)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    numbers = "  ".join(f"{value:.9f}" for value in values)
    click.echo(
        f"{run.__name__:<13} wall {found.wall:7.2f} s, processors {found.processor:7.2f} s, "
        f"peak so far {peak:5.2f} GiB: {numbers}"
    )
    return found


@click.command()
@click.option("--maps", "count", default=80, show_default=True, help="Number of maps.")
@click.option("--size", default=1024, show_default=True, help="Side of a map in pixels.")
@click.option("--repeats", default=3, show_default=True, help="Runs of each; the median counts.")
@click.option("--others/--only-mvtec", default=None, help="Time torchmetrics' and anomalib's [size <= 256].")
@click.option("--seed", default=7, show_default=True, help="Seed of the invented maps.")
def main(count: int, size: int, repeats: int, others: bool | None, seed: int) -> None:
    """Print the times, their ratios and the largest difference of the values."""
    maps, masks = invent(count, size, seed=seed)
    pixels, marked = sum(m.size for m in masks), sum(int(m.sum()) for m in masks)
    click.echo(f"{count} maps of {size} x {size}: {pixels / 1e6:.1f} M pixels, {marked / pixels:.2%} defect")
    quick, everything = (measure(run, maps, masks, repeats) for run in (ours_au_pro, ours_all))
    compare("MVTec's", measure(mvtec, maps, masks, repeats), quick, quick.values)
    if others if others is not None else size <= 256:
        theirs = measure(torchmetrics, maps, masks, repeats)
        compare("torchmetrics'", theirs, everything, everything.values[1:])
        compare("anomalib's", measure(anomalib, maps, masks, repeats), quick, quick.values)


def compare(name: str, theirs: Timed, ours: Timed, values: tuple[float, ...]) -> None:
    """Print how many times as long they take, and how far the values lie apart."""
    gap = np.max(np.abs(np.subtract(theirs.values, values)))
    click.echo(
        f"  {name} / ours: wall {theirs.wall / ours.wall:.1f}, processors "
        f"{theirs.processor / ours.processor:.1f}; largest difference {gap:.1e}"
    )


if __name__ == "__main__":
    main()

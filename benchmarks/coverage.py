"""How often fresh good images are called defective, against what was promised (docs/coverage.md).

    leatherens data synth --out leather --train 300 --test 0 --size 128
    python benchmarks/coverage.py --out cross.csv leather DATA...

The promise: a member is fitted once and stays; what it scores is dealt 200 times into images to calibrate on
and fresh ones. Then folds: for a few good images, drawn again and again, a share of them that calibrates
(split) against folds (cross), and against the K ensembles of CV+ (Barber et al., 2021), which no run keeps.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from scipy.stats import betabinom
from torch import Tensor

from leatherens.core.backbones import BackbonePool
from leatherens.core.calibration import allowed_exceedances
from leatherens.core.detector import FitContext
from leatherens.core.gaussians import PositionMoments, at_positions, whitened, whitening
from leatherens.core.host import PluginHost
from leatherens.core.layouts import read_folder
from leatherens.core.randomness import numpy_generator
from leatherens.core.reading import Sample
from leatherens.core.thresholds import Floats, Normals
from leatherens.core.types import batches
from leatherens.core.weights import DEFAULT_MODEL, WeightFinder
from leatherens.ensembles.sources import FileSource
from leatherens.ensembles.splits import deal_folds
from leatherens.plugins.thresholds import ConformalThreshold

SIZE = (128, 128)
RATES = (0.05, 0.1)
COUNTS = (12, 20, 40, 100)
FOLDS = 5
FRESH = 30
"""Good images that a draw of `cross` is measured on."""
SHARES = (0.7, 0.15)
"""To fit and to validate, as a run deals; the rest calibrates."""
RIDGE = 0.01
MOST = 160
"""Good images of a set that are looked at."""
GROUPS = {
    "leather_one_colour": r"([^/]+)_\d+_\d+\.png$",  # a photograph
    "leather_multi_colour_tiles": r"([^/]+)_\d+_\d+\.png$",
    "fabric_02": r"([^/]+)_\d+\.png$",  # a strip
    "fabric_03": r"([^/]+)_\d+\.png$",
    "circuit_board_pairs": r"(\d{5})\d+\.jpg$",  # a design
}
"""What an image is of, found in its id, for sets whose images are cut from larger ones."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="folders of photographs")
    parser.add_argument("--members", default=",".join(MEMBERS), help="separated by commas")
    parser.add_argument("--resamplings", type=int, default=200, help="of scores that stay")
    parser.add_argument("--draws", type=int, default=100, help="for each set and number of images")
    parser.add_argument("--out", type=Path, default=Path("cross.csv"), help="where draws are written")
    given = parser.parse_args()
    places = product(given.data, given.members.split(","))
    print_head()
    write_draws(given.out, (draw for place in places for draw in measured(Bench.of(*place), given)))
    print_draws(given.out)


def measured(bench: Bench, given: argparse.Namespace) -> Iterator[Draw]:
    print_promise(bench, given.resamplings)
    yield from draws(bench, given.draws)


class Member(Protocol):
    """Learns from some images of a set and scores others, all by their number in the set."""

    def scores(self, taught: Sequence[int], seen: Sequence[int]) -> Floats:
        """(n,) image scores."""


class Bank:
    """PatchCore without a core set or reweighting: the largest distance to the nearest patch of any image."""

    def __init__(self, descriptors: Tensor) -> None:
        rows = descriptors.flatten(2).mT.contiguous()  # (N, P, C)
        count, patches, channels = rows.shape
        every = rows.view(-1, channels)
        near = [torch.cdist(own, every).view(patches, count, patches).amin(dim=2) for own in rows]
        self.near = torch.stack(near).numpy()  # (N, P, N): each patch to the nearest one of each image

    def scores(self, taught: Sequence[int], seen: Sequence[int]) -> Floats:
        """(n,) image scores."""
        found: Floats = self.near[np.ix_(seen, range(self.near.shape[1]), taught)].min(axis=2).max(axis=1)
        return found


class Gaussians:
    """PaDiM without smoothing: the largest Mahalanobis distance of any position."""

    def __init__(self, embedded: Tensor) -> None:
        self.vectors = at_positions(embedded)  # (P, N, C)

    def scores(self, taught: Sequence[int], seen: Sequence[int]) -> Floats:
        """(n,) image scores."""
        positions, _, channels = self.vectors.shape
        moments = PositionMoments(positions, channels)
        moments.add(self.vectors[:, list(taught)])
        factors = whitening(moments, RIDGE)
        found: Floats = (
            whitened(self.vectors[:, list(seen)], moments.mean, factors).norm(dim=2).amax(dim=0).numpy()
        )
        return found


MEMBERS: dict[str, tuple[dict[str, Any], str, type[Bank] | type[Gaussians]]] = {
    "patchcore": ({"layers": [3]}, "patchcore/descriptors", Bank),
    "padim": ({"layers": [3], "dimensions": 40}, "padim/embedding", Gaussians),
}
"""Options, the features that are kept of each image, and what learns from them: a fit takes milliseconds."""


@dataclass(frozen=True)
class Bench:
    """The good images of a set, at most `MOST`, and a member to learn from some of them."""

    name: str
    member: str
    samples: tuple[Sample, ...]
    learner: Member

    @classmethod
    def of(cls, data: Path, member: str) -> Bench:
        host = PluginHost(installed=False)
        readers, packages = host.readers(), host.backbones()
        collection = read_folder({id: readers.load(id)() for id in readers.ids()}, data)
        good = [grouped(sample, data.name) for sample in collection.samples if sample.defective is False]
        kept = {id for [id] in shuffled(good, numpy_generator(0, "kept"))[:MOST]}
        samples = tuple(sample for sample in good if sample.id in kept)
        options, features, kind = MEMBERS[member]
        finder = WeightFinder(packages={id: packages.load(id)() for id in packages.ids()})
        context = FitContext(BackbonePool(finder))
        source = FileSource(samples, size=SIZE)
        some = source.only([sample.id for sample in samples[:3]])
        detector = host.detectors().load(member).from_options({"backbone": DEFAULT_MODEL, **options})
        detector.fit(some, validation=some, context=context)
        maps = [
            detector.observe(batch, context.pool.pyramids(batch, detector.backbones())).features[features]
            for batch in batches(source, 8)
        ]
        return cls(data.name, member, samples, kind(torch.cat(maps)))

    def scores(self, taught: Sequence[str], seen: Sequence[str]) -> Floats:
        """(n,) scores of images by what learned from others."""
        number = {sample.id: i for i, sample in enumerate(self.samples)}
        return self.learner.scores([number[id] for id in taught], [number[id] for id in seen])


def grouped(sample: Sample, name: str) -> Sample:
    found = re.search(GROUPS[name], sample.id) if name in GROUPS else None
    return replace(sample, group=found[1] if found else None)


def shuffled(samples: Iterable[Sample], rng: np.random.Generator, *, whole: bool = False) -> list[list[str]]:
    """Ids in a random order, in groups that stay together if `whole`."""
    units: dict[str, list[str]] = {}
    for sample in samples:
        units.setdefault(sample.group if whole and sample.group else sample.id, []).append(sample.id)
    keys = sorted(units)
    return [units[keys[i]] for i in rng.permutation(len(keys))]


def taken(deck: list[list[str]], wanted: float) -> list[str]:
    """Units off the deck until there are as many images as wanted, at least one."""
    ids: list[str] = []
    while deck and len(ids) < max(1, round(wanted)):
        ids += deck.pop()
    return ids


def threshold(scores: Floats, rate: float) -> float:
    rule = ConformalThreshold.from_options({"false_alarms": rate})
    return rule.fit(Normals(scores, [np.zeros((1, 1))] * len(scores))).image_


# --- promise ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What was promised and what came of it. error: of the mean. inside: share of resamplings in the central
    95 % of the beta-binomial distribution that exchangeable images follow."""

    promised: float
    measured: float
    error: float
    inside: float


def print_head() -> None:
    columns = ("set", "member", "asked", "calibrate / fresh", "promised", "measured", "95 % inside")
    print_cells(*columns, "groups: promised", "measured", "set's own test")
    print_cells(*["---"] * 10)


def print_promise(bench: Bench, times: int) -> None:
    deck = shuffled(bench.samples, numpy_generator(0, "fit"), whole=True)
    fit = taken(deck, 0.4 * len(bench.samples))
    pool = [id for unit in deck for id in unit]
    scores = dict(zip(pool, bench.scores(fit, pool), strict=True))
    own = own_test(bench)
    for rate in RATES:
        images = resampled(bench, scores, rate, times, whole=False)
        some = any(sample.group for sample in bench.samples)
        groups = resampled(bench, scores, rate, times, whole=True) if some else None
        calibrate = calibrating(len(pool))
        print_cells(
            bench.name,
            bench.member,
            f"{rate:g}",
            f"{calibrate} / {len(pool) - calibrate}",
            f"{images.promised:.4f}",
            f"{images.measured:.4f} ± {images.error:.4f}",
            f"{images.inside:.3f}",
            f"{groups.promised:.3f}" if groups else "",
            f"{groups.measured:.3f} ± {groups.error:.3f}" if groups else "",
            own(rate),
        )


def print_cells(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def calibrating(count: int) -> int:
    return min(40, count // 2)


def resampled(bench: Bench, scores: dict[str, float], rate: float, times: int, *, whole: bool) -> Row:
    """Deal what is scored into images to calibrate on and fresh ones, again and again."""
    samples = [sample for sample in bench.samples if sample.id in scores]
    promised, measured, inside = [], [], []
    for number in range(times):
        deck = shuffled(samples, numpy_generator(1, bench.name, bench.member, number), whole=whole)
        calibrate = np.array([scores[id] for id in taken(deck, calibrating(len(samples)))])
        fresh = np.array([scores[id] for unit in deck for id in unit])
        above = int((fresh > threshold(calibrate, rate)).sum())
        allowed, n = allowed_exceedances(rate, len(calibrate)), len(calibrate)
        low, high = betabinom.interval(0.95, len(fresh), allowed, n + 1 - allowed)
        promised.append(allowed / (n + 1))
        measured.append(above / len(fresh))
        inside.append(low <= above <= high)
    error = float(np.std(measured, ddof=1)) / times**0.5
    return Row(float(np.mean(promised)), float(np.mean(measured)), error, float(np.mean(inside)))


def own_test(bench: Bench):
    """False alarms on the set's own good test images, calibrated on a share of its own others."""
    learning = [sample for sample in bench.samples if sample.id.startswith("train/")]
    testing = [sample.id for sample in bench.samples if sample.id.startswith("test/")]
    if not testing:
        return lambda rate: "–"
    deck = shuffled(learning, numpy_generator(0, "own"), whole=True)
    calibrate = taken(deck, len(learning) / 3)
    fit = [id for unit in deck for id in unit]
    good, fresh = bench.scores(fit, calibrate), bench.scores(fit, testing)

    def told(rate: float) -> str:
        allowed, n = allowed_exceedances(rate, len(good)), len(good)
        low, high = betabinom.interval(0.95, len(fresh), allowed, n + 1 - allowed)
        share = (fresh > threshold(good, rate)).mean()
        return f"{share:.3f} ({low / len(fresh):.3f} to {high / len(fresh):.3f})"

    return told


# --- cross -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draw:
    """One set, member, number of good images, way, asked rate: promised, and measured on fresh images."""

    set: str
    member: str
    whole: int
    good: int
    number: int
    way: str
    asked: float
    promised: float
    measured: float


def draws(bench: Bench, times: int) -> Iterator[Draw]:
    """Draws whose fresh images are any others, and, where there are groups, images of other groups."""
    kinds = [False] + [True] * any(sample.group for sample in bench.samples)
    for whole, count, number in product(kinds, COUNTS, range(times)):
        deck = shuffled(bench.samples, numpy_generator(2, "draw", count, number), whole=whole)
        fresh = taken(deck, FRESH)
        left = [id for unit in deck for id in unit]
        if len(left) >= count:
            rng = numpy_generator(2, "good", count, number)
            good = [left[i] for i in rng.permutation(len(left))[:count]]
            for way, asked, promised, measured in measured_ways(bench, good, fresh, number, whole=whole):
                key = (bench.name, bench.member, int(whole), count, number)
                yield Draw(*key, way, asked, promised, measured)


def measured_ways(
    bench: Bench, good: Sequence[str], fresh: Sequence[str], number: int, *, whole: bool
) -> Iterator[tuple[str, float, float, float]]:
    by_id = {sample.id: sample for sample in bench.samples}
    deck = shuffled([by_id[id] for id in good], numpy_generator(2, "jobs", number), whole=whole)
    calibrate = taken(deck, (1 - sum(SHARES)) * len(good))
    taken(deck, SHARES[1] * len(good))  # to validate, which these members do not need
    fit = [id for unit in deck for id in unit]
    if len(fit) < 2:
        return
    held_out, seen = bench.scores(fit, calibrate), bench.scores(fit, fresh)
    for rate in RATES:
        yield "split", rate, promise(rate, len(held_out)), share_above(seen, held_out, rate)
    taught = [by_id[id] if whole else replace(by_id[id], group=None) for id in (*fit, *calibrate)]
    out, by_fold = [], []
    for fold in deal_folds(taught, seed=number, count=FOLDS):
        others = [sample.id for sample in taught if sample.id not in set(fold)]
        out.append(bench.scores(others, fold))
        by_fold.append(bench.scores(others, fresh))
    pooled = np.concatenate(out)
    seen = bench.scores([sample.id for sample in taught], fresh)
    as_high = sum((o[None] >= f[:, None]).sum(axis=1) for o, f in zip(out, by_fold, strict=True))
    for rate in RATES:
        k = allowed_exceedances(rate, len(pooled))
        yield "cross", rate, promise(rate, len(pooled)), share_above(seen, pooled, rate)
        yield "CV+", rate, promise(rate, len(pooled)), float((as_high < k).mean())


def promise(rate: float, normals: int) -> float:
    return allowed_exceedances(rate, normals) / (normals + 1)


def share_above(fresh: Floats, held_out: Floats, rate: float) -> float:
    return float((fresh > threshold(held_out, rate)).mean())


def write_draws(path: Path, found: Iterable[Draw]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Draw)])
        writer.writeheader()
        for draw in found:
            writer.writerow(asdict(draw))
            file.flush()


def print_draws(path: Path) -> None:
    """Means over all sets, members and draws, the error of the mean, and what one user in ten may meet."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    print("| fresh images | good | asked | way | promised | measured | one draw in ten above | worst set |")
    print("|---|---|---|---|---|---|---|---|")
    for whole, good, asked, way in product("01", COUNTS, RATES, ("split", "cross", "CV+")):
        some = [
            line
            for line in lines
            if (line["whole"], line["good"], line["asked"], line["way"])
            == (whole, str(good), str(asked), way)
        ]
        if some:
            print(summary(some, whole, good, asked, way))


def summary(some: Sequence[dict[str, str]], whole: str, good: int, asked: float, way: str) -> str:
    values = np.array([float(line["measured"]) for line in some])
    sets: dict[str, list[float]] = {}
    for line in some:
        sets.setdefault(line["set"], []).append(float(line["measured"]))
    name, worst = max(((name, float(np.mean(v))) for name, v in sets.items()), key=lambda pair: pair[1])
    promised = np.mean([float(line["promised"]) for line in some])
    error = values.std(ddof=1) / len(values) ** 0.5
    kind = "of other groups" if whole == "1" else "of the same"
    return (
        f"| {kind} | {good} | {asked:g} | {way} | {promised:.3f} | {values.mean():.3f} ± {error:.3f} | "
        f"{np.quantile(values, 0.9):.3f} | {name} {worst:.3f} |"
    )


if __name__ == "__main__":
    main()

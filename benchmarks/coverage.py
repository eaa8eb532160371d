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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from pathlib import Path

import numpy as np
from cached_members import MEMBERS, Bench, shuffled
from scipy.stats import betabinom

from leatherens.core.calibration import allowed_exceedances
from leatherens.core.randomness import numpy_generator
from leatherens.core.thresholds import Floats, Normals
from leatherens.ensembles.splits import deal_folds
from leatherens.plugins.thresholds import ConformalThreshold

RATES = (0.05, 0.1)
COUNTS = (12, 20, 40, 100)
FOLDS = 5
FRESH = 30
"""Good images that a draw of `cross` is measured on."""
SHARES = (0.7, 0.15)
"""To fit and to validate, as a run deals; the rest calibrates."""


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
    """Means over all sets, members and draws with their errors, and what one draw in ten lies above."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    columns = ("fresh images", "good", "asked", "split: promised", "measured", "cross: expected", "measured")
    print_cells(*columns, "worst set", "CV+")
    print_cells(*["---"] * 9)
    for whole, good, asked in product("01", COUNTS, RATES):
        key = (whole, str(good), str(asked))
        some = [line for line in lines if (line["whole"], line["good"], line["asked"]) == key]
        split, cross, kept = (Ways([line for line in some if line["way"] == way]) for way in WAYS)
        if some:
            kind = "of other groups" if whole == "1" else "of any"
            told = (f"{split.promised:.3f}", split.measured, f"{cross.promised:.3f}", cross.measured)
            print_cells(kind, str(good), f"{asked:g}", *told, cross.worst, kept.measured)


WAYS = ("split", "cross", "CV+")


class Ways:
    """All draws of one way to calibrate."""

    def __init__(self, lines: Sequence[dict[str, str]]) -> None:
        self.lines = lines
        self.values = np.array([float(line["measured"]) for line in lines])

    @property
    def promised(self) -> float:
        return float(np.mean([float(line["promised"]) for line in self.lines]))

    @property
    def measured(self) -> str:
        error = self.values.std(ddof=1) / len(self.values) ** 0.5
        return f"{self.values.mean():.3f} ± {error:.3f} (> {np.quantile(self.values, 0.9):.2f})"

    @property
    def worst(self) -> str:
        """The set of the largest mean."""
        sets: dict[str, list[float]] = {}
        for line, value in zip(self.lines, self.values, strict=True):
            sets.setdefault(line["set"], []).append(value)
        name, worst = max(((name, float(np.mean(v))) for name, v in sets.items()), key=lambda pair: pair[1])
        return f"{name} {worst:.3f}"


if __name__ == "__main__":
    main()

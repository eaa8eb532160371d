"""Does the calibrated score mean what it says? Asked false-alarm rates against those of good test images.

The band is what chance does to scores of which nothing can be reproached: with n held-out and m tested good
images of one kind, the number of tested ones among the k most unusual of n + 1 places is beta-binomial,
BetaBinomial(m, k, n + 1 - k). A binomial band would take the held-out images for infinitely many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom, ks_2samp

from leatherens.core.details import Unusual
from leatherens.core.listing import named
from leatherens.core.reporting import Decision
from leatherens.plugins.html_report.curves import points
from leatherens.plugins.html_report.number_table import NumberTable
from leatherens.plugins.html_report.scorers import in_order
from leatherens.plugins.html_report.table import percent

ASKED = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Rates that a table tells, as far as the held-out images can show them."""

USUAL = 0.05
"""The rate that is read out where the run promises none."""

CERTAIN = 0.95
SURE = 0.01
"""Of the test over all rates, which every scorer undergoes."""
WIDE = 0.1
"""Width of the band from which a reader is told that the images are few."""
MOST = 200
"""Rates that a line is drawn through."""
NEARLY = 1e-5  # rates are kept in six places

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class CalibrationPlot:
    """Lines by scorer and the band, as SVG points; what they say."""

    lines: tuple[tuple[str, str], ...]
    band: str
    reading: str
    numbers: NumberTable


def calibration_plot(unusual: Unusual | None, decision: Decision) -> CalibrationPlot | None:
    """The plot; `None` without a good test image, or by a run of an older version."""
    if unusual is None or not unusual.rates:
        return None
    tested = len(next(iter(unusual.rates.values())))
    asked = _levels(unusual.normals)
    low, high = band(asked, unusual.normals, tested)
    outline = np.concatenate([asked, asked[::-1]]), np.concatenate([low, high[::-1]])
    return CalibrationPlot(
        tuple((scorer, _line(asked, unusual.rates[scorer])) for scorer in in_order(unusual.rates)),
        points(*outline),
        _reading(unusual, decision, tested),
        _numbers(unusual, tested),
    )


def _levels(normals: int) -> Floats:
    """The rates k / (n + 1) that n held-out images can tell apart, with both ends; not all of very many."""
    every = np.arange(normals + 2) / (normals + 1)
    return every if len(every) <= MOST else every[np.unique(np.linspace(0, normals + 1, MOST).astype(int))]


def observed_at(asked: float, rates: tuple[float, ...]) -> float:
    """The share of good test images called defective where `asked` is allowed.

    >>> observed_at(0.25, (0.25, 0.5, 0.75, 1.0))
    0.25
    """
    return float(np.searchsorted(np.array(rates), asked + NEARLY, "right")) / len(rates)


def band(asked: Floats, normals: int, tested: int) -> tuple[Floats, Floats]:
    """Rates (K,) to the ends (K,) of a band that holds the share `CERTAIN` of all outcomes at least."""
    places = np.round(asked * (normals + 1)).astype(int)
    low, high = np.zeros(len(asked)), np.ones(len(asked))
    inside = (places > 0) & (places <= normals)
    k = places[inside]
    ends = betabinom(tested, k, normals + 1 - k).ppf
    low[inside], high[inside] = ends((1 - CERTAIN) / 2) / tested, ends((1 + CERTAIN) / 2) / tested
    high[places <= 0], low[places > normals] = 0, 1
    return low, high


def _line(asked: Floats, rates: tuple[float, ...]) -> str:
    """A staircase: between two rates that can be told apart nothing more is called defective."""
    seen = np.array([observed_at(rate, rates) for rate in asked.tolist()])
    return points(np.repeat(asked, 2)[1:], np.repeat(seen, 2)[:-1])


def _attainable(asked: float, normals: int) -> float:
    """The largest rate up to `asked` that n held-out images can show, the least of all if need be."""
    return max(1, int(asked * (normals + 1) + NEARLY)) / (normals + 1)


def _reading(unusual: Unusual, decision: Decision, tested: int) -> str:
    asked = _attainable(decision.promise or USUAL, unusual.normals)
    seen = observed_at(asked, unusual.rates["ensemble"])
    (low,), (high,) = band(np.array([asked]), unusual.normals, tested)
    if seen > high + NEARLY:
        told = "more than chance explains: these good images are unlike the held-out ones"
    elif seen < low - NEARLY:
        told = "fewer than chance explains: these good images are calmer than the held-out ones"
    else:
        told = "which agrees with what was asked"
    sentence = (
        f"Where {percent(asked)} of good images may be called defective, the ensemble calls "
        f"{round(seen * tested)} of {tested} good test images so ({percent(seen)}), {told}; by chance alone "
        f"it would be {round(low * tested)} to {round(high * tested)}."
    )
    if high - low > WIDE:
        sentence += (
            f" With {unusual.normals} held-out and {tested} tested good images the band is wide: "
            "they can show a gross mistake, not a fine one."
        )
    return f"{sentence} {_as_a_whole(unusual)}"


def _as_a_whole(unusual: Unusual) -> str:
    """Which scorers' good test images differ from the held-out ones over all rates."""
    apart = {
        s: direction
        for s in in_order(unusual.rates)
        if (direction := shift(unusual.rates[s], unusual.normals))
    }
    if not apart:
        return "Over all rates, nothing more than chance shows (Kolmogorov-Smirnov test, 1 %)."
    told = [
        f"{way} than the held-out ones by {named([s for s in apart if apart[s] == way])}"
        for way in ("higher", "lower")
        if way in apart.values()
    ]
    return (
        f"Over all rates, good test images score {' and '.join(told)}, by more than chance explains "
        "(Kolmogorov-Smirnov test, 1 %): they are unlike those that the thresholds were learned from."
    )


def shift(rates: tuple[float, ...], normals: int) -> str:
    """ "higher" or "lower" where test scores are unlike held-out ones, "" where chance explains it.

    rates: k / (n + 1) of test images that k - 1 of the n held-out ones score as high as; their places among
    those are all that the test needs.
    """
    held_out = np.arange(1, normals + 1)
    tested = np.array(rates) * (normals + 1) - 0.5
    found = ks_2samp(tested, held_out)
    if found.pvalue > SURE:
        return ""
    return "higher" if found.statistic_sign > 0 else "lower"


def _numbers(unusual: Unusual, tested: int) -> NumberTable:
    asked = sorted({_attainable(rate, unusual.normals) for rate in ASKED})
    low, high = band(np.array(asked), unusual.normals, tested)
    chance = [f"{percent(a)} to {percent(b)}" for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    return NumberTable(
        "share of good test images called defective, by the share that was asked for",
        ("scorer", *map(percent, asked)),
        (
            *(
                (scorer, *(percent(observed_at(rate, unusual.rates[scorer])) for rate in asked))
                for scorer in in_order(unusual.rates)
            ),
            ("by chance", *chance),
        ),
    )

"""What a recipe will cost on this machine: a sketch of it is made and timed, in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from leatherens.configs.recipe import Recipe
from leatherens.core.bands import size_of
from leatherens.core.host import PluginHost
from leatherens.core.params import Params
from leatherens.core.progress import Progress
from leatherens.core.reading import Collection, Sample
from leatherens.core.tiling import grid
from leatherens.ensembles.crossing import crosses
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.recommending.clock import clocked
from leatherens.ensembles.recommending.handful import HANDFUL
from leatherens.ensembles.recommending.sketch import Amount, Sketcher
from leatherens.ensembles.splits import deal_folds, splits_of
from leatherens.ensembles.tiled_photographs import VALIDATING

MEANING = (
    "ms_per_image: an image already in memory, alone, prepared and scored, median; photographs looked at in "
    "tiles with reading. memory_mb: largest resident memory of a process that scores; base_mb: of that, "
    "Python and torch alone. gpu_mb: on the GPU. disk_mb: what is learned. fit_seconds: learning from all "
    "images, as often as folds ask for."
)


class Prediction(Params):
    """What a recipe will cost here, see `MEANING`; megabytes are binary."""

    ms_per_image: float
    memory_mb: float
    base_mb: float
    gpu_mb: float | None
    disk_mb: float
    fit_seconds: float

    @property
    def sentence(self) -> str:
        """All of it."""
        gpu = "" if self.gpu_mb is None else f" and {_rounded(self.gpu_mb)} MB on the GPU"
        return (
            f"{_rounded(self.ms_per_image)} ms an image, {_rounded(self.memory_mb)} MB of memory "
            f"({_rounded(self.base_mb)} of them Python and torch){gpu}, "
            f"{_rounded(self.disk_mb)} MB on disk, {duration(self.fit_seconds)} to learn"
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """What scoring may cost: milliseconds an image, and megabytes of memory, on the GPU too."""

    ms: float | None = None
    memory_mb: float | None = None

    def excess(self, prediction: Prediction) -> tuple[str, ...]:
        """What is over it, in words; nothing where all is within."""
        found = []
        if self.ms is not None and prediction.ms_per_image > self.ms:
            found.append(f"{_rounded(prediction.ms_per_image)} ms an image are over --ms {self.ms:g}")
        for used, where in ((prediction.memory_mb, ""), (prediction.gpu_mb or 0.0, " on the GPU")):
            if self.memory_mb is not None and used > self.memory_mb:
                found.append(f"{_rounded(used)} MB{where} are over --memory-mb {self.memory_mb:g}")
        return tuple(found)

    def times_over(self, prediction: Prediction) -> float:
        """How many times too much the worst of it is, to find what comes nearest; 1 and less is within."""
        shares = [0.0 if self.ms is None else prediction.ms_per_image / self.ms]
        used = max(prediction.memory_mb, prediction.gpu_mb or 0.0)
        return max(*shares, 0.0 if self.memory_mb is None else used / self.memory_mb)

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self.ms is not None or self.memory_mb is not None


@dataclass(slots=True)
class Predictor:
    """Predicts recipes for one collection; plugins: what makes its `PluginHost`, for processes of their own.

    readable: good samples that were looked at and can be read.
    """

    host: PluginHost
    collection: Collection
    readable: Sequence[Sample]
    plugins: Mapping[str, Any]
    progress: Progress
    _sketcher: Sketcher = field(init=False)

    def __post_init__(self) -> None:
        self._sketcher = Sketcher(self.host, self.readable)

    def of(self, name: str, recipe: Recipe) -> Prediction:
        """What a resolved recipe will cost."""
        amount, times = self._amount(recipe)
        with (
            self.progress.step(f"timing {name}", 2) as advance,
            TemporaryDirectory(prefix="leatherens-sketch-") as folder,
        ):
            seconds = self._sketcher.sketch(recipe, amount, RunFolder(Path(folder)))
            advance(1)
            cost = clocked(Path(folder), self.readable[:HANDFUL], self.plugins)
            advance(1)
        return Prediction(
            ms_per_image=cost.scoring_ms + cost.preparing_ms,
            memory_mb=cost.peak_mb,
            base_mb=cost.base_mb,
            gpu_mb=cost.gpu_mb,
            disk_mb=cost.disk_mb,
            fit_seconds=seconds * times,
        )

    def _amount(self, recipe: Recipe) -> tuple[Amount, int]:
        """How many images or tiles teach and validate, and how often everything is learned."""
        splits = splits_of(recipe, self.collection)
        fit, validate, times = len(splits.fit), len(splits.validate), 1
        if crosses(recipe, len(splits.calibrate)):
            ids = {*splits.fit, *splits.calibrate}
            teaching = [sample for sample in self.collection.samples if sample.id in ids]
            fit, times = len(teaching), 1 + len(deal_folds(teaching, seed=recipe.seed, count=recipe.folds))
        if recipe.tile is not None:
            each = len(grid(size_of(self.readable[0].path), recipe.tile, 0.0))
            fit, validate = fit * each, min(VALIDATING, validate * each)
        return Amount(fit, validate), times


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> duration(12.3), duration(200), duration(9000)
    ('12 s', '3 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _rounded(number: float) -> str:
    """Two figures of what is small; what is predicted is no more exact than that.

    >>> _rounded(0.123), _rounded(7.25), _rounded(123.4)
    ('0.12', '7.2', '123')
    """
    if number >= 10:
        return f"{number:.0f}"
    return f"{number:.2g}"

"""What scoring with a sketch costs, in a process of its own, so that memory is the ensemble's alone."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from leatherens.core.errors import LeatherensError

if TYPE_CHECKING:
    from leatherens.configs.recipe import Recipe
    from leatherens.core.host import PluginHost
    from leatherens.core.reading import Sample
    from leatherens.ensembles.ensemble import FittedEnsemble
    from leatherens.ensembles.folder import RunFolder

WARM_UP = 2
"""Images before the clock counts."""

TIMED = 7
"""Images that are timed; their median counts."""

LONGEST = 10.0
"""Seconds after which no further image is timed."""


@dataclass(frozen=True, slots=True)
class Clocked:
    """Of judging one image at a time: milliseconds of models and of preparing the picture; memory and disk in
    binary megabytes. base_mb: memory of Python and torch alone. gpu_mb: `None` without a GPU."""

    scoring_ms: float
    preparing_ms: float
    peak_mb: float
    base_mb: float
    gpu_mb: float | None
    disk_mb: float


def clocked(run: Path, samples: Sequence[Sample], plugins: Mapping[str, Any]) -> Clocked:
    """The cost of the sketch in a folder; plugins: what makes its `PluginHost`."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        try:
            found = pool.submit(_measured, run, tuple(samples), dict(plugins)).result()
        except BrokenProcessPool:
            raise LeatherensError(
                "the process that timed it was ended, perhaps for want of memory; free some, or name a "
                "smaller scenario"
            ) from None
    if isinstance(found, str):
        raise LeatherensError(found)
    return found


def _measured(run: Path, samples: tuple[Sample, ...], plugins: dict[str, Any]) -> Clocked | str:
    """In the other process; a message instead where something is wrong, as not every error travels."""
    import torch  # noqa: F401 - for what it weighs

    from leatherens.configs.recipe import read_recipe
    from leatherens.core.host import PluginHost
    from leatherens.ensembles.experiments.costs import peak_memory_mb
    from leatherens.ensembles.folder import RunFolder

    base = peak_memory_mb()
    folder, host = RunFolder(run), PluginHost(**plugins)
    try:
        recipe = read_recipe(folder.recipe)
        scoring, preparing = _times(folder, recipe, host, samples)
    except LeatherensError as error:
        return str(error)
    learned = [path for part in ("members", "ensemble") for path in (run / part).rglob("*.safetensors")]
    return Clocked(
        scoring_ms=1000 * scoring,
        preparing_ms=1000 * preparing,
        peak_mb=peak_memory_mb(),
        base_mb=base,
        gpu_mb=_gpu_memory_mb(recipe.device),
        disk_mb=sum(path.stat().st_size for path in learned) / 2**20,
    )


def _times(
    folder: RunFolder, recipe: Recipe, host: PluginHost, samples: tuple[Sample, ...]
) -> tuple[float, float]:
    """Seconds of scoring one image and of preparing it."""
    from leatherens.core.photographs import read_photograph
    from leatherens.core.preparation import prepare
    from leatherens.ensembles.ensemble import Stopwatch
    from leatherens.ensembles.parts import build_preparation
    from leatherens.ensembles.preparing import load_preparation
    from leatherens.ensembles.sources import FileSource
    from leatherens.ensembles.tiled_photographs import source_of
    from leatherens.ensembles.tiled_scoring import score_photograph

    ensemble = _opened(folder, recipe, host)
    steps = load_preparation(folder, build_preparation(recipe, host))
    source = source_of(recipe, samples, steps)
    if not isinstance(source, FileSource):  # reading and preparing cannot be told apart from scoring
        watch = Stopwatch(recipe.device)
        judge = [
            partial(score_photograph, ensemble, source, one, recipe.batch_size, watch) for one in samples
        ]
        return _median(judge, warm_up=1), 0.0
    batches = [source.batch([number]).to(recipe.device) for number in range(len(samples))]
    scoring = _median([partial(_score, ensemble, batch) for batch in batches], warm_up=WARM_UP)
    if not steps:
        return scoring, 0.0
    pictures = [(sample.id, read_photograph(sample.path)) for sample in samples]
    return scoring, _median([partial(prepare, id, one, steps) for id, one in pictures], warm_up=1)


def _opened(folder: RunFolder, recipe: Recipe, host: PluginHost) -> FittedEnsemble:
    from leatherens.ensembles.opening import learned_ensemble
    from leatherens.ensembles.parts import build, load_backbones

    parts = build(recipe, host)
    return learned_ensemble(folder, recipe, parts, load_backbones(recipe, host, parts))


def _score(ensemble: FittedEnsemble, batch: Any) -> None:
    """What models do, up to scores that can be read."""
    for scores in ensemble.score(batch).values():
        scores.to("cpu")


def _median(work: Sequence[Callable[[], object]], *, warm_up: int) -> float:
    """Median seconds, the first ones left out; the work is begun again where there is too little."""
    spent: list[float] = []
    begun = time.perf_counter()
    for number in range(warm_up + TIMED):
        started = time.perf_counter()
        work[number % len(work)]()
        spent.append(time.perf_counter() - started)
        if number >= warm_up and time.perf_counter() - begun > LONGEST:
            break
    return median(spent[warm_up:])


def _gpu_memory_mb(device: str) -> float | None:
    import torch

    return torch.cuda.max_memory_allocated() / 2**20 if device.startswith("cuda") else None

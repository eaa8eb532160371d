"""What a finished run costs, measured in a process of its own, so that memory is the run's alone."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from leatherens.core.errors import LeatherensError
from leatherens.core.params import Params

if TYPE_CHECKING:
    from leatherens.core.reading import Sample
    from leatherens.core.types import ImageBatch
    from leatherens.ensembles.opening import OpenedRun

WARM_UP = 2
"""Images judged before the clock counts."""

MOST = 24
"""Images that are timed at most; their median counts, so that one disturbance does not."""


class Cost(Params):
    """Of judging one image at a time.

    ms_per_image: of an image already in memory, median; of photographs looked at in tiles, with reading.
    images_per_second: with reading the file. peak_mb: largest resident memory of a process that does nothing
    else. gpu_mb: largest memory held on the GPU, `None` without one. parameters: numbers in the networks and
    in what was learned. disk_mb: what was learned.
    """

    ms_per_image: float
    images_per_second: float
    peak_mb: float
    gpu_mb: float | None
    parameters: float
    disk_mb: float


def measure_cost(
    run: Path, images: Sequence[Path], plugins: Mapping[str, Any], weights: tuple[str, ...]
) -> Cost:
    """The cost of a finished run on some of its images; plugins: what makes its `PluginHost`."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        found = pool.submit(_measured, run, tuple(images), dict(plugins), weights).result()
    if isinstance(found, str):
        raise LeatherensError(found)
    return found


def _measured(
    run: Path, images: Sequence[Path], plugins: dict[str, Any], weights: tuple[str, ...]
) -> Cost | str:
    """In the other process; a message instead where the run cannot be opened, as not every error travels."""
    from leatherens.core.host import PluginHost
    from leatherens.core.reading import unlabelled
    from leatherens.ensembles.learned_size import learned_files, megabytes, numbers_in
    from leatherens.ensembles.opening import open_run
    from leatherens.ensembles.sources import FileSource

    try:
        opened = open_run(run, PluginHost(**plugins), weights=weights)
        samples = unlabelled(images)[: WARM_UP + MOST]
        whole = [_seconds(partial(_judge, opened, sample)) for sample in samples]
        sources = [opened.source([sample]) for sample in samples]
        batches = [s.batch([0]).to(opened.recipe.device) for s in sources if isinstance(s, FileSource)]
        spent = [_seconds(partial(_score, opened, batch)) for batch in batches]
    except LeatherensError as error:
        return str(error)
    learned = learned_files(opened.folder.path / "members", opened.folder.path / "ensemble")
    counted = slice(WARM_UP if len(samples) > WARM_UP else 0, None)
    return Cost(
        ms_per_image=1000 * median((spent or whole)[counted]),
        images_per_second=1 / median(whole[counted]),
        peak_mb=peak_memory_mb(),
        gpu_mb=_gpu_memory_mb(opened.recipe.device),
        parameters=float(opened.ensemble.pool.parameters() + numbers_in(learned)),
        disk_mb=megabytes(learned),
    )


def _judge(opened: OpenedRun, sample: Sample) -> None:
    """All of it, reading the file included."""
    list(opened.judge([sample]))


def _score(opened: OpenedRun, batch: ImageBatch) -> None:
    """What models do, up to scores that can be read."""
    for scores in opened.ensemble.score(batch).values():
        scores.to("cpu")


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peak_memory_mb() -> float:
    """The largest resident memory of this process so far, in binary megabytes.

    Linux tells it of the program that runs now; `getrusage`, taken elsewhere, counts what was before it, too.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _gpu_memory_mb(device: str) -> float | None:
    import torch

    return torch.cuda.max_memory_allocated() / 2**20 if device.startswith("cuda") else None

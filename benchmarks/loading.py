"""How fast images reach a model: images per second against a bare decode loop, and what loading ahead hides.

    python benchmarks/loading.py [--images 64] [--height 1024] [--width 1536] [--size 256] [--rounds 5]

Made-up leather is written as JPEG and as PNG. In each round, one after the other so that a busy moment of the
machine meets all alike: a bare loop that decodes and resizes every file, by one thread, by as many threads
as there are cores, and by as many processes; `FileSource` walked in batches, which besides makes float
tensors and checks them; a model that takes as long as loading does, fed by a plain walk and by one that loads
ahead. Medians of the rounds are printed, and the ratios of the same round.

Target: `FileSource` at 80 % or more of the bare loop that decodes as it does, with as many threads.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from leatherens.core.leather import good_hide
from leatherens.core.photographs import read_at_least, read_photograph, resize_photograph
from leatherens.core.randomness import numpy_generator
from leatherens.core.reading import Sample
from leatherens.core.types import ImageBatch, batches
from leatherens.ensembles.sources import FileSource

Size = tuple[int, int]
TARGET = 0.8


def written(folder: Path, count: int, size: Size, suffix: str) -> list[Path]:
    options = {"quality": 92} if suffix == "jpg" else {"compress_level": 3}
    paths = []
    for number in range(count):
        if number < 4:  # the others are copies: decoding takes as long
            pixels = good_hide(numpy_generator(0, "loading", number), scenario="one-colour", size=size)
            Image.fromarray(pixels).save(folder / f"{number}.{suffix}", **options)
        else:
            content = (folder / f"{number % 4}.{suffix}").read_bytes()
            (folder / f"{number}.{suffix}").write_bytes(content)
        paths.append(folder / f"{number}.{suffix}")
    return paths


def whole(path: Path, size: Size) -> NDArray[np.uint8]:
    return resize_photograph(read_photograph(path), size)


def reduced(path: Path, size: Size) -> NDArray[np.uint8]:
    return resize_photograph(read_at_least(path, size)[0], size)


def source_of(paths: list[Path], size: Size) -> FileSource:
    return FileSource([Sample(path, path.name) for path in paths], size=size, memory_mb=0)


def walk(source: FileSource, batch: int) -> Iterator[ImageBatch]:
    """A plain walk: the next batch is loaded when it is asked for."""
    for start in range(0, len(source.ids), batch):
        yield source.batch(range(start, min(start + batch, len(source.ids))))


def worked(loaded: Iterator[ImageBatch], seconds: float) -> None:
    """A model on another device: it takes its time and none of the processor's."""
    for batch in loaded:
        time.sleep(seconds * len(batch))


def rate(work: Callable[[], object], count: int) -> float:
    """Images per second."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def measured(paths: list[Path], size: Size, rounds: int, batch: int) -> dict[str, list[float]]:
    cores = os.cpu_count() or 1
    found: dict[str, list[float]] = {}
    with ThreadPoolExecutor(cores) as threads, ProcessPoolExecutor(cores) as processes:
        list(processes.map(partial(reduced, size=size), paths[: 2 * cores]))  # started, and torch imported
        for _ in range(rounds):
            for name, value in one_round(paths, size, batch, threads, processes):
                found.setdefault(name, []).append(value)
    return found


def one_round(
    paths: list[Path], size: Size, batch: int, threads: Executor, processes: Executor
) -> Iterator[tuple[str, float]]:
    count, small = len(paths), partial(reduced, size=size)
    alone = rate(lambda: list(map(small, paths)), count)
    model = 0.5 / alone  # seconds for an image: what two cores need to load it
    yield "whole pictures, 1 thread", rate(lambda: [whole(path, size) for path in paths], count)
    yield "bare loop, 1 thread", alone
    yield "bare loop, threads", rate(lambda: list(threads.map(small, paths)), count)
    yield "bare loop, processes", rate(lambda: list(processes.map(small, paths, chunksize=4)), count)
    yield "FileSource, plain walk", rate(lambda: list(walk(source_of(paths, size), batch)), count)
    yield "FileSource, loading ahead", rate(lambda: list(batches(source_of(paths, size), batch)), count)
    yield "model, plain walk", rate(lambda: worked(walk(source_of(paths, size), batch), model), count)
    yield (
        "model, loading ahead",
        rate(lambda: worked(batches(source_of(paths, size), batch), model), count),
    )


def ratio(values: list[float], others: list[float]) -> float:
    """The median of ratios, each of one round."""
    return statistics.median(a / b for a, b in zip(values, others, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for option, default in {"images": 64, "height": 1024, "width": 1536, "size": 256, "rounds": 5}.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--batch", type=int, default=8)
    given = parser.parse_args()
    torch.set_num_threads(1)
    size, cores = (given.size, given.size), os.cpu_count() or 1
    for suffix in ("jpg", "png"):
        with tempfile.TemporaryDirectory() as folder:
            paths = written(Path(folder), given.images, (given.height, given.width), suffix)
            found = measured(paths, size, given.rounds, given.batch)
        print(f"{suffix}: {given.images} of {given.height} x {given.width} to {given.size}, {cores} cores")
        for name, values in found.items():
            print(f"  {name:28s} {statistics.median(values):7.1f} images/s")
        share = ratio(found["FileSource, loading ahead"], found["bare loop, threads"])
        gain = ratio(found["model, loading ahead"], found["model, plain walk"])
        print(f"  FileSource: {share:.0%} of the bare loop with threads (target {TARGET:.0%})")
        print(f"  loading ahead: {gain:.2f} times as fast as the plain walk")


if __name__ == "__main__":
    main()

"""Peak memory of fitting the memory-bank head on 100, 1,000 and 10,000 images.

    python benchmarks/bank_memory.py [--images 100,1000,10000] [--channels 128] [--grid 16]

Fused maps are made as they are asked for, no backbone is involved, and each fit has a process of its own.
The table holds `max_positions` rows to choose from, the bank what is kept. Memory is bounded if the peak no
longer grows once there are more positions than that. The floor is the peak of a process that imports the same
and fits one image.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from leatherens.core.backbones import BackbonePool
from leatherens.core.detector import FitContext
from leatherens.core.heads import GoodMaps
from leatherens.core.randomness import torch_generator
from leatherens.core.weights import WeightFinder
from leatherens.plugins.memory_bank_head import MemoryBankHead

IMAGES_A_BATCH = 8


@dataclass(frozen=True)
class Maps:
    """Batches of noise around a point of a plane, (8, C, g, g), made anew in each walk."""

    images: int
    channels: int
    grid: int

    def __iter__(self) -> Iterator[GoodMaps]:
        for start in range(0, self.images, IMAGES_A_BATCH):
            generator = torch_generator(0, "maps", start)
            batch = min(IMAGES_A_BATCH, self.images - start)
            yield torch.randn(batch, self.channels, self.grid, self.grid, generator=generator), None


def fit(images: int, sampling: str, options: argparse.Namespace) -> None:
    """Fit, in this process; prints the rows of the bank and the peak in MB."""
    head = MemoryBankHead.from_options(
        {"max_positions": options.max_positions, "max_rows": options.max_rows, "sampling": sampling}
    )
    maps = Maps(images, options.channels, options.grid)
    head.fit(maps, validation=[], context=FitContext(BackbonePool(WeightFinder())))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {"rows": len(head.bank_), "mb": usage.ru_maxrss / 1024, "s": usage.ru_utime + usage.ru_stime}
        )
    )


def measured(images: int, sampling: str) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, *sys.argv, "--fit", str(images), "--sampling", sampling]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    values: dict[str, float] = json.loads(output)
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", default="100,1000,10000")
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--grid", type=int, default=16)
    parser.add_argument("--max-positions", type=int, default=100_000)
    parser.add_argument("--max-rows", type=int, default=1000)
    parser.add_argument("--fit", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--sampling", default="uniform", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        fit(options.fit, options.sampling, options)
        return
    floor = measured(1, "uniform")["mb"]
    megabytes = options.channels * 4 / 2**20
    print(f"floor {floor:.0f} MB, table {options.max_positions * megabytes:.1f} MB")
    print("| images | positions | sampling | bank rows | bank MB | CPU s | peak MB | above the floor |")
    print("|---|---|---|---|---|---|---|---|")
    for images in map(int, options.images.split(",")):
        for sampling in ("uniform", "merged"):
            got = measured(images, sampling)
            cells = [
                images,
                images * options.grid**2,
                sampling,
                got["rows"],
                f"{got['rows'] * megabytes:.1f}",
            ]
            cells += [f"{got['s']:.0f}", f"{got['mb']:.0f}", f"{got['mb'] - floor:.0f}"]
            print("|", " | ".join(map(str, cells)), "|", flush=True)


if __name__ == "__main__":
    main()

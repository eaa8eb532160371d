"""Peak memory of fitting memory banks on 100, 1,000 and 10,000 images.

    OMP_NUM_THREADS=1 python benchmarks/bank_memory.py [--images 100,1000,10000] [--memory-mb 64]

The memory-bank head learns from fused maps made as they are asked for, PatchCore from images of noise through
a tiny backbone; each fit has a process of its own. `memory_mb` limits the positions held to choose from, the
bank is what is kept. Memory is bounded if the peak no longer grows once there are more positions than that.
The peak is told above that of a process that imports the same and fits eight images, a batch.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from leatherens.core.backbones import BackbonePool
from leatherens.core.detector import FitContext
from leatherens.core.heads import GoodMaps
from leatherens.core.memory_bank import positions_held
from leatherens.core.randomness import torch_generator
from leatherens.core.types import ImageBatch
from leatherens.core.weights import WeightFinder
from leatherens.plugins.memory_bank_head import MemoryBankHead
from leatherens.plugins.patchcore import PatchCore

IMAGES_A_BATCH = 8
CHANNELS, GRID = 128, 16
"""Of the fused maps."""
SIDE = 64
"""Of the images; the tiny backbone's finer level has as many positions as the fused maps."""
BANKS = ("head", "patchcore")


@dataclass(frozen=True)
class Maps:
    """Batches of noise around a point, (8, C, g, g), made anew in each walk."""

    images: int

    def __iter__(self) -> Iterator[GoodMaps]:
        for start in range(0, self.images, IMAGES_A_BATCH):
            generator = torch_generator(0, "maps", start)
            batch = min(IMAGES_A_BATCH, self.images - start)
            yield torch.randn(batch, CHANNELS, GRID, GRID, generator=generator), None


class Noise:
    """A source of images of noise, made as they are asked for."""

    size = (SIDE, SIDE)

    def __init__(self, images: int) -> None:
        self.ids = tuple(str(number) for number in range(images))

    def batch(self, indices: Sequence[int]) -> ImageBatch:
        generator = torch_generator(0, "images", indices[0])
        pixels = torch.rand(len(indices), 3, SIDE, SIDE, generator=generator)
        return ImageBatch(pixels, tuple(self.ids[index] for index in indices))


def bank_of_head(images: int, options: dict[str, object], context: FitContext) -> torch.Tensor:
    return MemoryBankHead.from_options(options).fit(Maps(images), validation=[], context=context).bank_


def bank_of_patchcore(images: int, options: dict[str, object], context: FitContext) -> torch.Tensor:
    tiny = {"backbone": "test_resnet", "weights": "random", "layers": [1, 2]}
    whole = {"pretrain_embed_dimension": None, "target_embed_dimension": None}
    detector = PatchCore.from_options(tiny | whole | options)
    detector.fit(Noise(images), validation=Noise(1), context=context)
    return detector.bank0_


def fit(bank: str, images: int, sampling: str, given: argparse.Namespace) -> None:
    """Fit, in this process; prints what came of it and the peak in MB."""
    options = {"memory_mb": given.memory_mb, "max_rows": given.max_rows, "sampling": sampling}
    if bank == "head":
        options["max_positions"] = None
    make = {"head": bank_of_head, "patchcore": bank_of_patchcore}[bank]
    rows = make(images, options, FitContext(BackbonePool(WeightFinder())))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    room = positions_held(MemoryBankHead.Params.model_validate(options), rows.shape[1])
    peak, seconds = usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime
    print(json.dumps({"rows": len(rows), "wide": rows.shape[1], "room": room, "mb": peak, "s": seconds}))


def measured(bank: str, images: int, sampling: str) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, *sys.argv, "--fit", str(images), "--bank", bank, "--sampling", sampling]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    values: dict[str, float] = json.loads(output)
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", default="100,1000,10000")
    parser.add_argument("--memory-mb", type=int, default=64)
    parser.add_argument("--max-rows", type=int, default=2048)
    parser.add_argument("--fit", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--bank", help=argparse.SUPPRESS)
    parser.add_argument("--sampling", default="uniform", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        fit(options.bank, options.fit, options.sampling, options)
        return
    print("| bank | images | positions | held | sampling | bank MB | CPU s | peak MB | above one batch |")
    print("|---|---|---|---|---|---|---|---|---|")
    for bank in BANKS:
        floor = measured(bank, IMAGES_A_BATCH, "uniform")["mb"]
        for images in map(int, options.images.split(",")):
            for sampling in ("uniform", "merged"):
                got = measured(bank, images, sampling)
                positions = images * GRID**2
                megabytes = got["rows"] * got["wide"] * 4 / 2**20
                cells = [bank, images, positions, min(positions, got["room"]), sampling, f"{megabytes:.1f}"]
                cells += [f"{got['s']:.0f}", f"{got['mb']:.0f}", f"{got['mb'] - floor:.0f}"]
                print("|", " | ".join(map(str, cells)), "|", flush=True)


if __name__ == "__main__":
    main()

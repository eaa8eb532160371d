"""PatchCore's fit on 280 photographs of 256 x 256, and the core set against choosing row by row.

    python benchmarks/patchcore_speed.py [--images 280]

Prints the seconds of a whole fit with the default backbone and a core set of 10 %, then how many times longer
the plain greedy loop (one pass over all rows for every row it takes, as in the authors' code) needs for the
same core set. The plain loop is timed over its first picks and extrapolated: every pick costs it the same.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch import Tensor

from leatherens.core.backbones import BackbonePool
from leatherens.core.core_set import greedy_core_set, projected
from leatherens.core.detector import Effort, FitContext
from leatherens.core.host import PluginHost
from leatherens.core.leather import good_hide
from leatherens.core.randomness import numpy_generator, torch_generator
from leatherens.core.types import ImageBatch, ImagesInMemory
from leatherens.core.weights import DEFAULT_MODEL, WeightFinder
from leatherens.plugins.patchcore import PatchCore

TIMED_PICKS = 200


def hides(count: int) -> ImagesInMemory:
    drawn = [
        good_hide(numpy_generator(0, "hide", i), scenario="one-colour", size=(256, 256)) for i in range(count)
    ]
    pixels = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 255
    return ImagesInMemory(ImageBatch(pixels, tuple(f"hide{i}" for i in range(count))))


def fitted(images: ImagesInMemory, **options: float) -> PatchCore:
    """With a bank of as many rows as `core_set` says."""
    packages = {DEFAULT_MODEL: PluginHost().backbones().load(DEFAULT_MODEL)()}
    detector = PatchCore(PatchCore.params_for(Effort.quick).model_copy(update={"max_rows": None} | options))
    context = FitContext(BackbonePool(WeightFinder(packages=packages)))
    return detector.fit(images, validation=images, context=context)


def plain_greedy(points: Tensor, count: int) -> list[int]:
    taken, nearest = [0], torch.full((len(points),), torch.inf)
    while len(taken) < count:
        nearest = torch.minimum(nearest, (points - points[taken[-1]]).square().sum(dim=1))
        taken.append(int(nearest.argmax()))
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=280)
    images = hides(parser.parse_args().images)

    start = time.perf_counter()
    detector = fitted(images)
    whole = time.perf_counter() - start
    print(f"fit of {len(images.ids)} images: {whole:.1f} s, bank of {len(detector.bank0_)} rows")

    everything = fitted(images, core_set=1.0).bank0_
    points = projected(everything, detector.params.projection, torch_generator(0, "projection"))
    count = len(points) // 10
    start = time.perf_counter()
    found = greedy_core_set(points, count).tolist()
    lazy = time.perf_counter() - start
    start = time.perf_counter()
    expected = plain_greedy(points, TIMED_PICKS)
    plain = (time.perf_counter() - start) * count / TIMED_PICKS
    same = "the same" if found[:TIMED_PICKS] == expected else "NOT the same"
    print(f"core set of {count} of {len(points)} rows: {lazy:.1f} s; row by row {plain:.0f} s")
    print(f"ratio {plain / lazy:.0f}; the first {TIMED_PICKS} picks are {same}")


if __name__ == "__main__":
    main()

"""Processor milliseconds of a photograph of 256 x 256, one thread: `OMP_NUM_THREADS=1 python benchmark.py`.

Processor time, not time on the wall, so that a busy machine changes little. On made-up leather: how long it
takes does not depend on what is seen.
"""

from __future__ import annotations

import time

from leatherens import Detector, FitContext, PluginHost
from leatherens.core.types import ImagesInMemory
from leatherens.testing.scenes import Scene, make_scene
from leatherens.testing.stand_ins import random_pool

REPEATS = 5


def main() -> None:
    """A row for each detector, a column for each one-class model."""
    from leatherens_classic import DETECTORS
    from leatherens_classic.one_class import Model

    models = Model.__args__
    scene = make_scene((256, 256), teach=8, validate=1, test=4)
    print(f"| detector | {' | '.join(models)} |")
    print("|---" * (len(models) + 1) + "|")
    for id, *_ in DETECTORS:
        kind = PluginHost().detectors().load(id)
        cells = [f"{milliseconds(kind.from_options({'model': m}), scene):.0f}" for m in models]
        print(f"| {id} | {' | '.join(cells)} |", flush=True)


def milliseconds(detector: Detector, scene: Scene) -> float:
    """Processor time of scoring, for each image."""
    pool = random_pool()
    context = FitContext(pool)
    detector.fit(ImagesInMemory(scene.teach), validation=ImagesInMemory(scene.validate), context=context)
    images, pyramids = scene.defective, pool.pyramids(scene.defective, ())
    detector.observe(images, pyramids)  # the first call imports
    start = time.process_time()
    for _ in range(REPEATS):
        detector.observe(images, pyramids)
    return 1000 * (time.process_time() - start) / (REPEATS * len(images))


if __name__ == "__main__":
    main()

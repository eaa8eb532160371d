"""Which feature maps of a detector are worth fusing: image AUROC, pixel AP and AU-PRO of each map alone.

    python benchmarks/cuts.py RUN...

Reads finished runs of one member. For every feature map, for all of them and for the default cut, the default
block and head are fitted to the run's own good images and score its test images. Choose a default cut by runs
on the demo leather (`leatherens run --members ID`), which no result is measured on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from leatherens.configs.recipe import Mode
from leatherens.core.detector import FitContext
from leatherens.core.fusion import GoodFeatures
from leatherens.core.host import PluginHost
from leatherens.core.metrics import image_auroc, pixel_metrics
from leatherens.core.types import batches
from leatherens.ensembles.ensemble import ENSEMBLE, FittedEnsemble
from leatherens.ensembles.fitting import Fused
from leatherens.ensembles.opening import OpenedRun, open_run
from leatherens.ensembles.parts import build
from leatherens.ensembles.scoring import score_images
from leatherens.ensembles.sources import FileSource
from leatherens.ensembles.splits import Splits

HOST = PluginHost(installed=False)


class Features:
    """What fusion takes from the images of a source, made anew in each walk."""

    def __init__(self, ensemble: FittedEnsemble, source: FileSource) -> None:
        self.ensemble = ensemble
        self.source = source

    def __iter__(self) -> Iterator[GoodFeatures]:
        for batch in batches(self.source, 8):
            yield self.ensemble.features(self.ensemble.observe(batch)), batch.valid


def fused(run: OpenedRun, cut: tuple[str, ...], fit: FileSource, validate: FileSource) -> FittedEnsemble:
    """The run's member, its features behind this cut fused by the default block and head."""
    parts = build(run.recipe.model_copy(update={"mode": Mode.feature}), HOST)
    assert parts.block is not None
    assert parts.head is not None
    ensemble = replace(run.ensemble, cuts=dict.fromkeys(run.ensemble.members, cut), votes=False)
    block = parts.block.fit(Features(ensemble, fit))
    context = FitContext(run.ensemble.pool, run.recipe.seed)
    head = parts.head.fit(
        Fused(block, Features(ensemble, fit)),
        validation=Fused(block, Features(ensemble, validate)),
        context=context,
    )
    return replace(ensemble, block=block, head=head)


def measured(ensemble: FittedEnsemble, test: FileSource) -> list[float]:
    """Image AUROC, pixel AP, AU-PRO."""
    scores = score_images(ensemble, test, 8, lambda images: None).by_scorer[ENSEMBLE]
    labels = [int(bool(sample.defective)) for sample in test.samples]
    pixels = pixel_metrics([scores.map(i) for i in range(len(test.ids))], test.masks())
    return [image_auroc(scores.images, labels), pixels.ap, pixels.au_pro]


def main() -> None:
    print("| set | member | cut | image AUROC | pixel AP | AU-PRO |")
    print("|---|---|---|---|---|---|")
    for path in map(Path, sys.argv[1:]):
        run = open_run(path, HOST, device="cpu")
        collection = run.folder.facts().data.read(HOST)
        source = FileSource((*collection.train, *collection.test), size=run.recipe.size)
        splits = Splits.read(run.folder.splits)
        ((id, member),) = run.ensemble.members.items()
        maps = [spec.name.split("/", 1)[1] for spec in member.features()]
        for cut in (*((name,) for name in maps), ("*",), member.default_cut):
            ensemble = fused(run, cut, source.only(splits.fit), source.only(splits.validate))
            row = measured(ensemble, source.only(splits.test))
            values = " | ".join(f"{value:.3f}" for value in row)
            print(f"| {collection.root.name} | {id} | {', '.join(cut)} | {values} |", flush=True)


if __name__ == "__main__":
    main()

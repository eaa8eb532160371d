"""How small a memory bank may be: milliseconds of search and what is found, from 10 % of the positions down.

    OMP_NUM_THREADS=1 python benchmarks/bank_sizes.py [--shares 0.1,0.04,0.02,0.01] [--rows 4096,2048] RUN...

Reads finished runs of one member. The bank is chosen as the run's own images and seed choose it, PatchCore's
among its descriptors, the memory-bank head's among the member's features behind its default cut, fused by the
default block. The greedy choice takes rows one after the other, so that each smaller bank is the beginning of
the largest. What may decide is the first pair of figures: held-out good images (*validate*) against
artificial anomalies on them. The pair on the test images is there to check that. Times are processor time of
the search.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from leatherens.configs.recipe import Mode
from leatherens.core.host import PluginHost
from leatherens.core.memory_bank import BankParams, MemoryBank, thinned
from leatherens.core.metrics import image_auroc, pixel_metrics
from leatherens.core.patches import patch_scores
from leatherens.core.preparation import Frame
from leatherens.core.progress import Silent
from leatherens.core.rows import maps_of, rows_of
from leatherens.core.synthesis.spoilt_images import example_images
from leatherens.core.types import ImageBatch, batches
from leatherens.ensembles.ensemble import FittedEnsemble
from leatherens.ensembles.opening import OpenedRun, open_run
from leatherens.ensembles.parts import build
from leatherens.ensembles.sources import FileSource
from leatherens.ensembles.splits import Splits

HOST = PluginHost(installed=False)
IMAGES_A_BATCH = 8
MOST_POSITIONS = 300_000
"""A uniform sample of more than this is chosen from, as by the head."""

Look = Callable[[ImageBatch], Tensor]
"""Images to the maps (B, C, h, w) whose positions are rows of a bank."""


@dataclass(frozen=True)
class Judged:
    """Maps to score, whether each image is defective, and its mask at original size."""

    maps: list[Tensor]
    labels: list[int]
    masks: list[np.ndarray]


def descriptors(run: OpenedRun) -> Look:
    def look(batch: ImageBatch) -> Tensor:
        return run.ensemble.observe(batch)["patchcore"].features["patchcore/descriptors"]

    return look


def fused(run: OpenedRun, fit: FileSource) -> Look:
    """Behind the default block, learned from the images that taught the run."""
    block = build(run.recipe.model_copy(update={"mode": Mode.feature}), HOST).block
    assert block is not None
    ((id, member),) = run.ensemble.members.items()
    ensemble: FittedEnsemble = replace(run.ensemble, cuts={id: member.default_cut})
    block.fit((ensemble.features(ensemble.observe(batch)), None) for batch in batches(fit, IMAGES_A_BATCH))
    return lambda batch: block.transform(ensemble.features(ensemble.observe(batch)))


def positions(look: Look, fit: FileSource) -> Tensor:
    rows = torch.cat([rows_of(look(batch)) for batch in batches(fit, IMAGES_A_BATCH)])
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:MOST_POSITIONS]
    return rows[order.sort().values]


def artificial(look: Look, validate: FileSource, seed: int) -> Judged:
    good = [look(batch) for batch in batches(validate, IMAGES_A_BATCH)]
    spoilt = [
        (look(batch), masks) for batch, masks in example_images(validate, seed=seed).walk(IMAGES_A_BATCH)
    ]
    masks = [np.zeros(validate.size, bool)] * len(validate.ids)
    masks += [mask.numpy() for _, part in spoilt for mask in part]
    labels = [0] * len(validate.ids) + [1] * (len(masks) - len(validate.ids))
    return Judged(good + [maps for maps, _ in spoilt], labels, masks)


def tested(look: Look, test: FileSource) -> Judged:
    labels = [int(bool(sample.defective)) for sample in test.samples]
    return Judged([look(batch) for batch in batches(test, IMAGES_A_BATCH)], labels, test.masks())


def measured(bank: MemoryBank, judged: Judged, size: tuple[int, int], reweight: int) -> list[float]:
    """Image AUROC, AU-PRO, and milliseconds of search an image."""
    images, pixels, seconds = [], [], 0.0
    for maps in judged.maps:
        start = time.process_time()
        found = bank.nearest(maps, 1).distances
        seconds += time.process_time() - start
        patches = maps_of(found, maps)[:, 0]
        image = bank.image_scores(patches, maps, None, reweight=reweight)
        scores = patch_scores(patches, size, smoothing=4.0, image=image)
        images.append(scores.image)
        pixels += list(scores.pixels)
    full = [Frame(mask.shape, mask.shape).back(map) for map, mask in zip(pixels, judged.masks, strict=True)]
    au_pro = pixel_metrics(full, judged.masks).au_pro
    auroc = image_auroc(torch.cat(images).numpy(), judged.labels)
    return [auroc, au_pro, 1000 * seconds / len(judged.labels)]


def sizes(count: int, shares: Sequence[float], rows: Sequence[int]) -> Iterator[tuple[str, int]]:
    yield from ((f"{100 * share:g} %", max(1, int(count * share))) for share in shares)
    yield from ((f"{cap} rows", cap) for cap in rows)


def looks(run: OpenedRun, fit: FileSource) -> Iterable[tuple[str, Look, int]]:
    if "patchcore" in run.ensemble.members:
        yield "patchcore", descriptors(run), 9
    ((id, _),) = run.ensemble.members.items()
    yield f"head on {id}", fused(run, fit), 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shares", default="0.1,0.04,0.02,0.01")
    parser.add_argument("--rows", default="4096,2048,1024,512")
    parser.add_argument("runs", type=Path, nargs="+", help="finished runs of one member")
    options = parser.parse_args()
    shares = [float(share) for share in options.shares.split(",")]
    caps = [int(rows) for rows in options.rows.split(",")]
    print("| set | bank of | positions | kept | rows | image AUROC | AU-PRO | test | AU-PRO | ms |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for path in options.runs:
        run = open_run(path, HOST, device="cpu")
        collection = run.folder.facts().data.read(HOST)
        source = FileSource((*collection.train, *collection.test), size=run.recipe.size)
        splits = Splits.read(run.folder.splits)
        fit, validate, test = (source.only(ids) for ids in (splits.fit, splits.validate, splits.test))
        for name, look, reweight in looks(run, fit):
            rows = positions(look, fit)
            spoilt, real = artificial(look, validate, run.recipe.seed), tested(look, test)
            largest = max(count for _, count in sizes(len(rows), shares, caps))
            everything = BankParams(core_set=1.0)
            chosen = thinned(rows, largest, everything, seed=0, progress=Silent(), name=name)
            for kept, count in sizes(len(rows), shares, caps):
                bank = MemoryBank(chosen[:count])
                drawn = measured(bank, spoilt, run.recipe.size, reweight)
                checked = measured(bank, real, run.recipe.size, reweight)
                values = [f"{v:.3f}" for v in (*drawn[:2], *checked[:2])] + [f"{checked[2]:.1f}"]
                cells = [collection.root.name, name, len(rows), kept, min(count, len(chosen)), *values]
                print("|", " | ".join(map(str, cells)), "|", flush=True)


if __name__ == "__main__":
    main()

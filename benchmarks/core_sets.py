"""Ways to choose a memory bank: what each costs, how well it covers, what PatchCore then finds.

    OMP_NUM_THREADS=1 python benchmarks/core_sets.py [--images 60] [--share 0.1] DATA...

On each set, PatchCore's descriptors (quick effort, 256 x 256) of so many good images are thinned to this
share by every method. Then the same with room for a quarter of the positions only: all of them, a uniform
sample and merged core sets, each thinned to the same number of rows. Seconds are processor seconds of the
choice alone. Radii are the largest distance of any position to the bank, as a multiple of that of the exact
greedy choice among all positions: in all channels (`radius`) and in 64 random combinations of them
(`projected`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from leatherens.core.backbones import BackbonePool
from leatherens.core.core_set import covering_radius, projected
from leatherens.core.detector import Effort, FitContext
from leatherens.core.host import PluginHost
from leatherens.core.memory_bank import BankParams, MemoryBank, sample_of, thinned
from leatherens.core.metrics import image_auroc, pixel_metrics
from leatherens.core.patches import patch_scores
from leatherens.core.progress import Silent
from leatherens.core.randomness import torch_generator
from leatherens.core.rows import maps_of, rows_of
from leatherens.core.types import batches
from leatherens.core.weights import DEFAULT_MODEL, WeightFinder
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.sources import FileSource
from leatherens.ensembles.splits import make_splits
from leatherens.plugins.patchcore import PatchCore

SIZE = (256, 256)
IMAGES_A_BATCH = 8
EXACT = "greedy"
ALL_CHANNELS = 1_000_000
"""A projection to no fewer dimensions than there are changes nothing."""


@dataclass(frozen=True)
class Setting:
    """Good positions (N, C), maps (B, C, h, w) of the test images, and what these should give."""

    rows: Tensor
    test: list[Tensor]
    source: FileSource


def setting(data: Path, host: PluginHost, images: int) -> Setting:
    collection = DataChoice.at(data).read(host)
    splits = make_splits(collection, seed=0)
    source = FileSource((*collection.train, *collection.test), size=SIZE)
    good, test = source.only(splits.fit[:images]), source.only(splits.test)
    context = FitContext(
        BackbonePool(WeightFinder(packages={DEFAULT_MODEL: host.backbones().load(DEFAULT_MODEL)()}))
    )
    options = PatchCore.params_for(Effort.quick).model_copy(
        update={"core_set": 0.001, "core_set_method": "random"}
    )
    one = source.only(splits.validate[:1])
    detector = PatchCore(options).fit(one, validation=one, context=context)

    def described(images: FileSource) -> Iterator[Tensor]:
        for batch in batches(images, IMAGES_A_BATCH):
            seen = detector.observe(batch, context.pool.pyramids(batch, detector.backbones()))
            yield seen.features["patchcore/descriptors"]

    return Setting(torch.cat([rows_of(maps) for maps in described(good)]), list(described(test)), test)


def streamed(rows: Tensor, limit: int, params: BankParams) -> Tensor:
    """What is left of the positions when they come image by image and only so many are held."""
    sample = sample_of(params, limit, seed=0, name="bank")
    for part in rows.split(SIZE[0] * SIZE[1] // 64):
        sample.add(part)
    return sample.rows()


def choices(setting: Setting, share: float) -> Iterator[tuple[str, int, Callable[[], Tensor]]]:
    """Name, rows of the bank, and what chooses them; exact greedy choices first."""
    rows, count = setting.rows, int(len(setting.rows) * share)

    def thin(
        few: int, method: str, projection: int = 128, limit: int = 0, sampling: str = "uniform"
    ) -> Tensor:
        params = BankParams(core_set=share, core_set_method=method, projection=projection, sampling=sampling)
        held = streamed(rows, limit, params) if limit else rows
        return thinned(held, few, params, seed=0, progress=Silent(), name="bank")

    yield EXACT, count, lambda: thin(count, "greedy", ALL_CHANNELS)
    yield "greedy in 64 dimensions", count, lambda: thin(count, "greedy", 64)
    for method in ("batched", "k-means", "random"):
        yield method, count, lambda method=method: thin(count, method)
    limit = len(rows) // 4
    few = int(limit * share)
    yield EXACT, few, lambda: thin(few, "greedy", ALL_CHANNELS)
    for sampling in ("uniform", "merged"):
        name = f"greedy of {limit} {sampling}"
        yield name, few, lambda sampling=sampling: thin(few, "greedy", limit=limit, sampling=sampling)


def found(setting: Setting, bank: Tensor) -> tuple[float, float]:
    """PatchCore's image AUROC and AU-PRO with this bank."""
    search, scores = MemoryBank(bank), []
    for maps in setting.test:
        patches = maps_of(search.nearest(maps, 1).distances, maps)[:, 0]
        image = search.image_scores(patches, maps, None, reweight=9)
        scores.append(patch_scores(patches, SIZE, smoothing=4, image=image))
    labels = [int(bool(sample.defective)) for sample in setting.source.samples]
    pixels = pixel_metrics(list(torch.cat([s.pixels for s in scores]).numpy()), setting.source.masks())
    return image_auroc(torch.cat([s.image for s in scores]).numpy(), labels), pixels.au_pro


def radii(rows: Tensor, bank: Tensor) -> tuple[float, float]:
    """In all channels and in those of a projection."""
    both = torch.cat([rows, bank])
    chosen = torch.arange(len(rows), len(both))
    low = projected(both, 64, torch_generator(1, "another projection than the one chosen in"))
    return covering_radius(both, chosen), covering_radius(low, chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("data", type=Path, nargs="+", help="folders of photographs")
    options = parser.parse_args()
    host = PluginHost(installed=False)
    print("| set | positions | rows | choice | s | radius | projected | image AUROC | AU-PRO |")
    print("|---|---|---|---|---|---|---|---|---|")
    for data in options.data:
        here, exact = setting(data, host, options.images), (1.0, 1.0)
        for name, count, choose in choices(here, options.share):
            start = time.process_time()
            bank = choose()
            seconds = time.process_time() - start
            wide, low = radii(here.rows, bank)
            if name == EXACT:
                exact = wide, low
            auroc, au_pro = found(here, bank)
            cells = [
                data.name,
                len(here.rows),
                f"{len(bank)}" if len(bank) == count else f"{len(bank)} of {count}",
            ]
            cells += [name, f"{seconds:.1f}", f"{wide / exact[0]:.2f}", f"{low / exact[1]:.2f}"]
            print("|", " | ".join(map(str, [*cells, f"{auroc:.3f}", f"{au_pro:.3f}"])), "|", flush=True)


if __name__ == "__main__":
    main()

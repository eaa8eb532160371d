"""What each score fusion makes of one finished run: the members' scores are had once and fused anew.

    python benchmarks/score_fusions.py RUN [FUSION[:KEY=VALUE]...]

Fusions learn as in a run: from held-out good images (validate) and artificial anomalies on them. The test
images are only measured. "artificial" is a voter's AUROC on those anomalies, images / pixels; weights, too.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
import yaml

from leatherens.cli.progress import terminal_progress
from leatherens.core.examples import Of, Votes
from leatherens.core.host import PluginHost
from leatherens.core.metrics import image_auroc, pixel_metrics
from leatherens.core.scorefusion import Lessons, ScoreFusion
from leatherens.core.types import ScoreMap, batches
from leatherens.ensembles.opening import open_run
from leatherens.ensembles.scoring import at_original_size
from leatherens.ensembles.sources import FileSource
from leatherens.ensembles.splits import Splits
from leatherens.ensembles.voting import Voting

FUSIONS = ("mean", "maximum", "weighted", "rank-mean", "vote", "stacker", "stacker:model=forest")


def made(host: PluginHost, named: str) -> ScoreFusion:
    """`id` or `id:key=value,key=value`."""
    id, _, given = named.partition(":")
    options = dict(pair.split("=", 1) for pair in given.split(",") if pair)
    values = {key: yaml.safe_load(value) for key, value in options.items()}
    return host.score_fusions().load(id).from_options(values)


def measured(scores: list[ScoreMap], source: FileSource) -> tuple[float, float, float]:
    """Image AUROC, pixel AP, AU-PRO."""
    labels = [int(bool(sample.defective)) for sample in source.samples]
    images = torch.cat([s.image for s in scores]).numpy()
    maps = [p for s in scores for p in s.pixels]
    marked = [(i, mask) for i, mask in enumerate(source.masks()) if mask is not None]
    pixels = pixel_metrics(
        [at_original_size(maps[i], source.original_sizes[i]) for i, _ in marked], [mask for _, mask in marked]
    )
    return image_auroc(images, np.array(labels)), pixels.ap, pixels.au_pro


def line(name: str, found: tuple[float, float, float], more: str = "") -> None:
    print(f"{name:24}" + "".join(f"{value:9.4f}" for value in found) + f"  {more}", flush=True)


def main() -> None:
    host = PluginHost(installed=False)
    opened = open_run(Path(sys.argv[1]), host, device="cpu")
    recipe, ensemble, folder = opened.recipe, opened.ensemble, opened.folder
    collection, splits = folder.facts().data.read(host), Splits.read(folder.splits)
    source = FileSource((*collection.train, *collection.test), size=recipe.size)
    validate, test = source.only(splits.validate), source.only(splits.test)
    voting = Voting(folder, terminal_progress(), recipe.seed, "cpu", recipe.batch_size)
    examples = voting.examples(ensemble, voting.good_votes(ensemble, validate), validate, Lessons.anomalies)
    seen: list[Votes] = []
    for batch in batches(test, recipe.batch_size):
        seen.append(ensemble.scaled(ensemble.voters(ensemble.observe(batch), batch)))
    print(f"{'':24}" + "".join(f"{name:>9}" for name in ("AUROC", "pixel AP", "AU-PRO")))
    for column, name in enumerate(examples.voters):
        artificial = [
            image_auroc(torch.cat(rows)[:, column].numpy(), np.repeat([0, 1], [len(part) for part in rows]))
            for rows in (examples.rows(of) for of in Of)
        ]
        line(
            name,
            measured([votes[name] for votes in seen], test),
            "artificial {:.3f} / {:.3f}".format(*artificial),
        )
    for named in sys.argv[2:] or FUSIONS:
        fusion = made(host, named)
        started = time.perf_counter()
        fusion.fit(examples, seed=recipe.seed)
        learned, started = time.perf_counter() - started, time.perf_counter()
        fused = [fusion.fuse(votes) for votes in seen]
        spent = 1000 * (time.perf_counter() - started) / len(test.ids)
        weights = getattr(fusion, "weights_", torch.empty(0)).numpy().round(2).tolist()
        line(
            named,
            measured(fused, test),
            f"{learned:5.1f} s to learn, {spent:5.1f} ms an image {weights or ''}",
        )


if __name__ == "__main__":
    main()

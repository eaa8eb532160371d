"""What `leatherens recommend` predicts against what finished runs cost, on this machine, one after the other.

    OMP_NUM_THREADS=1 python benchmarks/predicted_costs.py RUN...

Each run's recipe is predicted anew from the first of its images, then the run is measured as
`leatherens experiment` measures costs. Times move with whatever else the machine does: the load is printed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from leatherens.configs.recipe import NO_PLACES
from leatherens.core.host import PluginHost
from leatherens.core.progress import Silent
from leatherens.ensembles.experiments.costs import MOST, WARM_UP, measure_cost
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.recommending.handful import HANDFUL
from leatherens.ensembles.recommending.predicting import Predictor
from leatherens.ensembles.stored import stored_recipe


def main() -> None:
    """Print the table."""
    print("| run | load | ms an image | memory, MB | disk, MB | learning, s |")
    print("|---|---|---|---|---|---|")
    host = PluginHost(installed=False)
    for path in map(Path, sys.argv[1:]):
        folder = RunFolder(path)
        recipe = stored_recipe(folder, host, NO_PLACES)
        collection = folder.facts().data.read(host)
        good = collection.train
        predictor = Predictor(host, collection, good[:HANDFUL], {"installed": False}, Silent())
        found = predictor.of(path.name, recipe)
        load = os.getloadavg()[0]
        images = [sample.path for sample in good[: WARM_UP + MOST]]
        real = measure_cost(path, images, {"installed": False}, recipe.weights)
        logs = [json.loads(file.read_text()) for file in path.glob("members/*/fit.json")]
        pairs = (
            (found.ms_per_image, real.ms_per_image),
            (found.memory_mb, real.peak_mb),
            (found.disk_mb, real.disk_mb),
            (found.fit_seconds, sum(log["seconds"] for log in logs)),
        )
        told = (f"{one:.3g} / {other:.3g} ({one / other:.2f})" for one, other in pairs)
        print(f"| {path.name} | {load:.1f} | {' | '.join(told)} |", flush=True)


if __name__ == "__main__":
    main()

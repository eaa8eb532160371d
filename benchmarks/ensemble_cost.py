"""What an ensemble costs beside its members: milliseconds per image of scoring, all in one run.

    OMP_NUM_THREADS=1 python benchmarks/ensemble_cost.py [--images 100] [--batch 8] [--repetitions 15]

Four members on the default backbone at 256 x 256 are fitted on generated leather, with few steps, since time
is measured and not accuracy; PatchCore's bank is that of quick effort, or a core set of `--core-set`. Then
each member alone, all of them as an ensemble, the ensemble without each member that only reads the shared
pyramid, and the parts of the ensemble score the same batch in turn, so that a busy moment of the machine
meets all alike; medians of processor time are printed. Scores are fused as in a run, with equal weights.

Targets, printed beside: the ensemble within 1.25 times the slowest member plus the other members' own work,
and a member that only reads the pyramid under 15 % of a pass of the backbone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from leatherens.core.agreement import fit_agreement
from leatherens.core.backbones import BackbonePool
from leatherens.core.component import JsonValue
from leatherens.core.detector import Detector, Effort, FitContext
from leatherens.core.feature_cache import FeatureCache
from leatherens.core.host import PluginHost
from leatherens.core.leather import good_hide
from leatherens.core.randomness import numpy_generator
from leatherens.core.scale import fit_scale
from leatherens.core.types import ImageBatch, ImagesInMemory
from leatherens.core.weights import WeightFinder
from leatherens.ensembles.ensemble import FittedEnsemble

QUICKER: dict[str, dict[str, JsonValue]] = {
    "stfpm": {"steps": 4},
    "patchcore": {},
    "simplenet": {"steps": 4},
    "reverse-distillation": {"steps": 4},
}
READERS = ("patchcore", "simplenet")
"""Members without a network over pixels: all they see is the shared pyramid."""

SLOWEST_TARGET, READER_TARGET = 1.25, 0.15


def hides(count: int, seed: int) -> ImageBatch:
    drawn = [
        good_hide(numpy_generator(seed, "hide", i), scenario="one-colour", size=(256, 256))
        for i in range(count)
    ]
    pixels = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 255
    return ImageBatch(pixels, tuple(f"hide{i}" for i in range(count)))


def fitted(
    host: PluginHost, images: ImageBatch, context: FitContext, core_set: float | None
) -> dict[str, Detector]:
    members: dict[str, Detector] = {}
    validation = ImagesInMemory(hides(4, seed=1))
    whole_share = {} if core_set is None else {"core_set": core_set, "max_rows": None}
    for id, options in (QUICKER | {"patchcore": whole_share}).items():
        detector = host.detectors().load(id)
        quick = detector.params_for(Effort.quick).model_dump(mode="json")
        start = time.process_time()
        members[id] = detector.from_options(quick | options)
        members[id].fit(ImagesInMemory(images), validation=validation, context=context)
        print(f"{id}: fitted in {time.process_time() - start:.0f} s", flush=True)
    return members


def ensemble_of(
    host: PluginHost, pool: BackbonePool, members: Mapping[str, Detector], good: ImageBatch
) -> FittedEnsemble:
    names = sorted(members)
    fusion = host.score_fusions().load("weighted").from_options({"weights": dict.fromkeys(names, 1)})
    cuts = {id: member.default_cut for id, member in members.items()}
    raw = FittedEnsemble(pool, members, cuts, fusion)
    if raw.alone:
        return raw
    voters = raw.voters(raw.observe(good), good)
    scaled = replace(raw, scales={name: fit_scale([scores]) for name, scores in voters.items()})
    return replace(scaled, agreement=fit_agreement([scaled.fused(voters)]))


def interleaved(work: Mapping[str, Callable[[], object]], repetitions: int) -> dict[str, list[float]]:
    """Processor seconds of each piece of work, all once in each round after one that warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for repetition in range(repetitions + 1):
        for name, do in work.items():
            start = time.process_time()
            do()
            if repetition:
                seconds[name].append(time.process_time() - start)
    return seconds


def parts(ensemble: FittedEnsemble, batch: ImageBatch) -> dict[str, Callable[[], object]]:
    """The backbone, each member without it, and the fusion, each on what the others gave."""
    requests = sorted({request for member in ensemble.members.values() for request in member.backbones()})
    pyramids = ensemble.pool.pyramids(batch, requests)
    votes = ensemble.voters(ensemble.observe(batch), batch)
    own = {f"own {id}": lambda m=m: m.observe(batch, pyramids) for id, m in ensemble.members.items()}
    return own | {
        "backbone": lambda: ensemble.pool.pyramids(batch, requests),
        "fusion": lambda: ensemble.decided(votes),
    }


def said(met: bool) -> str:
    return "met" if met else "MISSED"


def report(
    alone: Mapping[str, float], whole: float, backbone: float, own: Mapping[str, float], fusion: float
) -> None:
    print(f"backbone pass {backbone:.1f} ms per image; fusion {fusion:.1f}")
    for id, value in alone.items():
        share = f"{100 * own[id] / backbone:.0f} % of a backbone pass"
        print(f"{id}: alone {value:.1f} ms, its own work {own[id]:.1f} ({share})")
    slowest = max(alone, key=lambda id: alone[id])
    heads = sum(value for id, value in own.items() if id != slowest)
    limit = SLOWEST_TARGET * alone[slowest] + heads
    total = sum(alone.values())
    print(f"ensemble {whole:.1f} ms; slowest member {slowest} {alone[slowest]:.1f}; sum alone {total:.1f}")
    print(f"ensemble / slowest {whole / alone[slowest]:.2f}, ensemble / sum {whole / total:.2f}")
    print(
        f"target: {SLOWEST_TARGET} x slowest + the other members' own work = {limit:.1f} ms: "
        f"{said(whole <= limit)}"
    )


def report_readers(added: Mapping[str, float], backbone: float) -> None:
    for id, value in added.items():
        share = value / backbone
        print(
            f"adding {id} costs {value:.1f} ms, {100 * share:.0f} % of a backbone pass; target under "
            f"{100 * READER_TARGET:.0f} %: {said(share < READER_TARGET)}"
        )


def measured(host: PluginHost, ensemble: FittedEnsemble, batch: ImageBatch, repetitions: int) -> None:
    def without(ids: Sequence[str]) -> FittedEnsemble:
        rest = {id: member for id, member in ensemble.members.items() if id not in ids}
        return ensemble_of(host, ensemble.pool, rest, batch)

    everybody = tuple(ensemble.members)
    work = {"ensemble": ensemble}
    work |= {id: without([other for other in everybody if other != id]) for id in everybody}
    work |= {f"without {id}": without([id]) for id in READERS}
    tasks = {name: lambda e=e: e.score(batch) for name, e in work.items()} | parts(ensemble, batch)
    seconds = interleaved(tasks, repetitions)
    ms = {name: 1000 * statistics.median(values) / len(batch) for name, values in seconds.items()}
    own = {id: ms[f"own {id}"] for id in everybody}
    report({id: ms[id] for id in everybody}, ms["ensemble"], ms["backbone"], own, ms["fusion"])
    pairs = {id: zip(seconds["ensemble"], seconds[f"without {id}"], strict=True) for id in READERS}
    added = {id: statistics.median(a - b for a, b in pair) for id, pair in pairs.items()}
    report_readers({id: 1000 * value / len(batch) for id, value in added.items()}, ms["backbone"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--core-set", type=float, help="share of PatchCore's bank, with no cap on its rows")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repetitions", type=int, default=15)
    given = parser.parse_args()

    host = PluginHost()
    packages = {id: host.backbones().load(id)() for id in host.backbones().ids()}
    pool = BackbonePool(WeightFinder(packages=packages), cache=FeatureCache())
    members = fitted(host, hides(given.images, seed=0), FitContext(pool), given.core_set)
    rows = len(members["patchcore"].state()["bank0_"])
    print(f"{torch.get_num_threads()} threads, batches of {given.batch}, a bank of {rows} rows", flush=True)
    batch = hides(given.batch, seed=2)
    measured(host, ensemble_of(host, pool, members, batch), batch, given.repetitions)


if __name__ == "__main__":
    main()

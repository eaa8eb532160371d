"""What the ensemble would score without one of its voters: the others' scores fused again, nobody asked anew.

A learned fusion wants all voters it learned from. So the one left out stays and finds every pixel and every
image as unremarkable as the median good one: all that was learned, scales, fusion and agreement, goes on as
it is. The last voter that is left counts as it is, as in a run of it alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch

from leatherens.core.details import DropOne, Without
from leatherens.core.measurement import Measurement, Options
from leatherens.core.photographs import Mask
from leatherens.core.progress import Progress
from leatherens.core.types import ScoreMap
from leatherens.ensembles.ensemble import FUSED_FEATURES, FittedEnsemble
from leatherens.ensembles.scoring import Scores, WholeScores
from leatherens.ensembles.sources import FileSource
from leatherens.ensembles.tiled_photographs import Source

MEDIAN_PIXEL = -math.log(0.5)
"""What half of the good pixels exceed, on the common scale in nats."""

MEDIAN_IMAGE = 0.0
"""The median good image on the common scale."""

TILED = "Of photographs looked at in tiles, only a part of the members' scores is kept."
ALONE = "Only the head of the fused features votes, and it learned from all members at once."


def drop_one(
    ensemble: FittedEnsemble,
    source: Source,
    scores: Scores,
    masks: Sequence[Mask | None],
    batch_size: int,
    progress: Progress,
) -> DropOne | None:
    """The ensemble without each voter on scored test images; `None` where there is one member."""
    if len(ensemble.members) < 2:
        return None
    if ensemble.alone:
        return DropOne(head=True, why_none=ALONE)
    votes = _votes(ensemble, scores)
    if votes is None or not isinstance(source, FileSource):
        return DropOne(head=ensemble.head is not None, why_none=TILED)
    cells = len({(sample.defect, sample.view) for sample in source.samples}) * len(votes)
    found = {voter: Measurement(Options(), cells=cells) for voter in votes}
    with progress.step("leaving out one voter each", len(source.samples)) as advance:
        for start in range(0, len(source.samples), batch_size):
            places = range(start, min(start + batch_size, len(source.samples)))
            for voter, fused in _without_each(ensemble, votes, places):
                for place, image, pixels in zip(places, fused.image.tolist(), fused.pixels, strict=True):
                    sample, mask = source.samples[place], masks[place]
                    found[voter].add(sample, image)
                    if mask is not None:
                        here = votes[voter]
                        scored = here.frames[place].back(pixels)
                        found[voter].add_pixels(sample, scored, mask, here.valid(place))
            advance(len(places))
    return DropOne(
        rows=tuple(_row(voter, measured) for voter, measured in found.items()), head=ensemble.head is not None
    )


def _votes(ensemble: FittedEnsemble, scores: Scores) -> dict[str, WholeScores] | None:
    """Raw scores by voter; `None` where some were not kept whole."""
    kept = {**scores.by_scorer, FUSED_FEATURES: scores.head}
    votes = {name: kept[name] for name in ensemble.voter_names}
    whole = {name: found for name, found in votes.items() if isinstance(found, WholeScores)}
    return whole if len(whole) == len(votes) else None


def _without_each(
    ensemble: FittedEnsemble, votes: Mapping[str, WholeScores], places: range
) -> Iterator[tuple[str, ScoreMap]]:
    """What is decided on some images without each voter, on the CPU."""
    raw = {name: _batch(found, places).to(ensemble.device) for name, found in votes.items()}
    if len(raw) == 2:
        (one, its), (other, others) = raw.items()
        yield from ((one, others.to("cpu")), (other, its.to("cpu")))
        return
    scaled = ensemble.scaled(raw)
    for name in votes:
        yield name, ensemble.decided_on({**scaled, name: _unremarkable(scaled[name])}).to("cpu")


def _unremarkable(scores: ScoreMap) -> ScoreMap:
    return ScoreMap(
        torch.full_like(scores.pixels, MEDIAN_PIXEL),
        torch.full_like(scores.image, MEDIAN_IMAGE),
        scores.valid,
    )


def _batch(found: WholeScores, places: range) -> ScoreMap:
    """The scores of some images; where any counts in part only, the others count everywhere."""
    maps = torch.stack([found.maps[i] for i in places])
    valids = [found.valids[i] for i in places]
    valid = None
    if any(one is not None for one in valids):
        everywhere = torch.ones(maps.shape[1:], dtype=torch.bool)
        valid = torch.stack([everywhere if one is None else one for one in valids])
    return ScoreMap(maps, torch.from_numpy(found.images[places.start : places.stop]), valid)


def _row(voter: str, measured: Measurement) -> Without:
    values = measured.all().values
    numbers = {name: values[name] for name in ("image_auroc", "pixel_auroc", "au_pro")}
    return Without(voter=voter, **{k: None if math.isnan(v) else v for k, v in numbers.items()})

"""The checkpoints that a run kept of its members, measured side by side. Nothing is chosen here.

Only what needs no threshold is measured: thresholds, scales and fusion were learned for the last state alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from leatherens.core.errors import InputError
from leatherens.core.progress import Progress
from leatherens.ensembles.ensemble import ENSEMBLE, FittedEnsemble
from leatherens.ensembles.evaluation import threshold_free
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.opening import OpenedRun
from leatherens.ensembles.scoring import score_images
from leatherens.ensembles.tiled_photographs import Source


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """One member after so many steps (`None`: as the run uses it), alone, and its metrics by name."""

    member: str
    step: int | None
    metrics: dict[str, float]


def compare_checkpoints(
    run: OpenedRun, made: RunFolder, source: Source, progress: Progress, *, step: int | None = None
) -> list[CheckpointRow]:
    """Every kept checkpoint of every member, or those of one step, and each such member as the run uses it.

    made: the run's folder as it was made; source: labelled images that nobody learned from.
    """
    steps = {id: made.checkpoint_steps(id) for id in run.ensemble.members}
    if not any(steps.values()):
        raise InputError(
            f"{made.path}: no checkpoints were kept; make a run of members that train with --keep-every STEPS"
        )
    if step is not None:
        _require(step, steps, made)
        steps = {id: [step] for id, kept in steps.items() if step in kept}
    masks, rows = source.masks(), []
    work = [(id, at) for id, kept in steps.items() if kept for at in (*kept, None)]
    with progress.step("scoring checkpoints", len(work) * len(source.ids)) as advance:
        for id, at in work:
            alone = alone_at(run.ensemble, id, at, made)
            scores = score_images(alone, source, run.recipe.batch_size, advance).by_scorer[ENSEMBLE]
            rows.append(CheckpointRow(id, at, threshold_free(source.samples, scores, masks)))
    return rows


def _require(step: int, steps: dict[str, list[int]], made: RunFolder) -> None:
    if any(step in kept for kept in steps.values()):
        return
    kept = sorted({at for found in steps.values() for at in found})
    raise InputError(
        f"{made.path}: no checkpoint of step {step} was kept (there are: {', '.join(map(str, kept))}, or all)"
    )


def alone_at(ensemble: FittedEnsemble, id: str, step: int | None, made: RunFolder) -> FittedEnsemble:
    """One member as an ensemble of its own, as it was after so many steps; `None`: as the run uses it."""
    member = ensemble.members[id]
    if step is not None:
        member = made.load(made.checkpoints(id) / str(step), type(member)).to(ensemble.device)
    cuts = {id: ensemble.cuts[id]}
    return replace(ensemble, members={id: member}, cuts=cuts, votes=True, block=None, head=None)

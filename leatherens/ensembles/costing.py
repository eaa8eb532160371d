"""What a run's members cost: what they learned and how long, and the backbones that they share."""

from __future__ import annotations

from leatherens.core.details import BackboneCost, Costs, PartCost
from leatherens.core.machine import machine_of
from leatherens.ensembles.ensemble import FittedEnsemble
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.learned_size import learned_files, megabytes, numbers_in
from leatherens.ensembles.timing import seconds_in

BYTES = 4
"""Of a number in a backbone."""


def costs_of(folder: RunFolder, ensemble: FittedEnsemble) -> Costs:
    """The costs of a fitted ensemble whose parts lie in a folder."""
    members = {id: _member(folder, ensemble, id) for id in ensemble.members}
    read = {model for cost in members.values() for model in cost.backbones}
    return Costs(
        members=members,
        joint=None if ensemble.alone and ensemble.head is None else _joint(folder, ensemble),
        backbones={
            model: BackboneCost(parameters=numbers, mb=BYTES * numbers / 2**20)
            for model, numbers in ensemble.pool.sizes().items()
            if model in read
        },
        machine=machine_of(ensemble.device),
    )


def _member(folder: RunFolder, ensemble: FittedEnsemble, id: str) -> PartCost:
    files = learned_files(folder.member(id))
    models = {request.model for request in ensemble.members[id].backbones()}
    return PartCost(
        parameters=numbers_in(files),
        disk_mb=megabytes(files),
        backbones=tuple(sorted(models)),
        seconds=seconds_in(folder.fit_time(id)),
    )


def _joint(folder: RunFolder, ensemble: FittedEnsemble) -> PartCost:
    """Block and head, scales, score fusion and agreement."""
    places = [folder.part("block"), folder.part("head"), folder.part("score-fusion")]
    files = [
        *learned_files(*places),
        *(path for path in map(folder.scale, ensemble.voter_names) if path.exists()),
        *([folder.agreement] if folder.agreement.exists() else []),
    ]
    return PartCost(
        parameters=numbers_in(files), disk_mb=megabytes(files), seconds=seconds_in(folder.fusion_time)
    )

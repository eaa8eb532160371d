"""Checks of backbones: weights that an installed package brings, for the timm model they are named after."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from leatherens.core.errors import WeightsError
from leatherens.core.weights import Weights, load_tensors
from leatherens.testing.bench import Bench, described


def check_backbone_names_a_timm_model(trial: Bench) -> None:
    """The id is the name of a timm model: it is what members ask for."""
    import timm

    id = type(trial.make()).id
    trial.expect(timm.is_model(id), f"the id must be a timm model's name, and timm has no '{id}'")


def check_backbone_weights_fit_the_model(trial: Bench) -> None:
    """Its tensors are the model's, under timm's names, finite, of a named origin; or there are none."""
    import timm

    found = _weights(trial)
    if found is None:
        return  # the package with the weights is not installed here
    trial.expect(bool(found.origin.strip()), "origin must say where the weights come from, got ''")
    with torch.device("meta"):
        module: Any = timm.create_model(type(trial.make()).id, pretrained=False)
    module.to_empty(device="cpu")
    try:
        load_tensors(module, found, type(trial.make()).id)
    except WeightsError as error:
        trial.fail(str(error))


def check_backbone_gives_the_same_again(trial: Bench) -> None:
    """Asked twice, it brings the same tensors, and changing those given spoils no later ones."""
    first = _weights(trial)
    if first is None:
        return
    kept = {name: tensor.clone() for name, tensor in first.tensors.items()}
    for tensor in first.tensors.values():
        tensor.zero_()
    again = _weights(trial)
    same = again is not None and again.tensors.keys() == kept.keys()
    same = same and again is not None and all(_equal(again.tensors[n], kept[n]) for n in kept)
    trial.expect(same, "asked again, it brings other tensors; read them anew, or give copies")


def _equal(one: Tensor, other: Tensor) -> bool:
    """NaN is another check's business."""
    return one.shape == other.shape and bool(torch.allclose(one, other, rtol=0, atol=0, equal_nan=True))


def _weights(trial: Bench) -> Weights | None:
    try:
        found = trial.make().weights()
    except WeightsError as error:
        trial.fail(f"its weights cannot be read: {error}")
    except Exception as error:  # noqa: BLE001  (the backbone's own code; whatever it raised is the finding)
        trial.fail(f"weights must be given, None, or a WeightsError, but {described(error)}")
    trial.expect(
        found is None or isinstance(found, Weights),
        f"weights gives {type(found).__name__}, expected Weights, or None without the package",
    )
    kept: Weights | None = found
    return kept


CHECKS = (
    check_backbone_names_a_timm_model,
    check_backbone_weights_fit_the_model,
    check_backbone_gives_the_same_again,
)

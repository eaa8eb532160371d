"""What a training keeps on disk to go on after an interruption: tensors and a JSON note, never pickle."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from leatherens.core.artifact import read_tensors
from leatherens.core.errors import ArtifactError


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A checkpoint's tensors and note. What is none is refused, never written over."""
    way_out = "move it away to learn from the start"
    try:
        tensors, metadata = read_tensors(path)
        note: dict[str, Any] = json.loads(metadata.get("note", ""))
    except ArtifactError as error:
        raise ArtifactError(f"{error}; {way_out}") from None
    except json.JSONDecodeError:
        raise ArtifactError(f"{path}: not the checkpoint of a training; {way_out}") from None
    return tensors, note


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins with a prefix, under the rest of their name."""
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def moved_on(scheduler: torch.optim.lr_scheduler.LRScheduler, steps: int) -> None:
    """Walk a fresh scheduler to where it stood: its state may hold functions, which no file can keep."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the optimiser made no step yet
        for _ in range(steps):
            scheduler.step()


def flat_optimizers(
    optimizers: Sequence[torch.optim.Optimizer],
) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """The states of optimisers as named tensors, and plain values for each."""
    flat = [_flat(optimizer, f"optimizer{i}.") for i, optimizer in enumerate(optimizers)]
    return {name: t for tensors, _ in flat for name, t in tensors.items()}, [plain for _, plain in flat]


def load_optimizers(
    optimizers: Sequence[torch.optim.Optimizer], tensors: dict[str, Tensor], plain: list[dict[str, Any]]
) -> None:
    """Give optimisers back what `flat_optimizers` took."""
    for i, (optimizer, values) in enumerate(zip(optimizers, plain, strict=True)):
        _load(optimizer, under(f"optimizer{i}.", tensors), values)


def _flat(optimizer: torch.optim.Optimizer, prefix: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {"param_groups": state["param_groups"], "state": {}}
    for index, slots in state["state"].items():
        for name, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"{prefix}{index}.{name}"] = value
            else:
                plain["state"].setdefault(str(index), {})[name] = value
    return tensors, plain


def _load(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
    slots: dict[int, dict[str, Any]] = {int(i): dict(values) for i, values in plain["state"].items()}
    for path, tensor in tensors.items():
        index, name = path.split(".", 1)
        slots.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"param_groups": plain["param_groups"], "state": slots})

"""Backbones that each break one promise, named for their sin; the model is timm's smallest."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import timm
import torch

from leatherens.core.weights import Backbone, Weights


@cache
def _tensors() -> dict[str, torch.Tensor]:
    model: Any = timm.create_model("test_resnet", pretrained=False)
    return dict(model.state_dict())


def _copies(change: Callable[[torch.Tensor], torch.Tensor] = torch.clone) -> dict[str, torch.Tensor]:
    return {name: change(tensor.clone()) for name, tensor in _tensors().items()}


class Packaged(Backbone):
    """Keeps the contract."""

    id = "test_resnet"

    def weights(self) -> Weights | None:
        return Weights(_copies(), "package test-resnet")


class NotInstalled(Packaged):
    """Keeps the contract, without its package."""

    def weights(self) -> Weights | None:
        return None


class NamedByItself(Packaged):
    id = "our-best-resnet"


class OtherNames(Packaged):
    def weights(self) -> Weights | None:
        return Weights({f"net.{name}": tensor for name, tensor in _copies().items()}, "package test-resnet")


class FromNowhere(Packaged):
    def weights(self) -> Weights | None:
        return Weights(_copies(), "")


class HoldsNaN(Packaged):
    def weights(self) -> Weights | None:
        return Weights(
            _copies(lambda t: t * torch.nan if t.is_floating_point() else t), "package test-resnet"
        )


class BareTensors(Packaged):
    def weights(self) -> Any:
        return _copies()


class CrashesWithoutItsPackage(Packaged):
    def weights(self) -> Weights | None:
        raise ModuleNotFoundError("no module named 'test_resnet'")


class LendsItsOwn(Packaged):
    kept = _copies()

    def weights(self) -> Weights | None:
        return Weights(self.kept, "package test-resnet")

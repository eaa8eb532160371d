"""timm models as feature pyramids: cut after the last level wanted, channels first, images normalised.

The pool runs them frozen; students of the same kind are made here, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from leatherens.core.errors import ConfigError, did_you_mean
from leatherens.core.stages import stages_of


def normalise(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(B, 3, H, W): (pixels - mean) / std per channel."""
    centre = torch.tensor(mean, device=pixels.device, dtype=pixels.dtype).view(1, 3, 1, 1)
    spread = torch.tensor(std, device=pixels.device, dtype=pixels.dtype).view(1, 3, 1, 1)
    return (pixels - centre) / spread


def untrained_pyramid(model: str, layers: Sequence[int], *, stages: bool = False) -> nn.Module:
    """A timm model that returns these feature levels, with fresh weights and nothing above the last level.

    stages: these stages of an EfficientNet, rather.

    Call it under `randomness.seeded_construction`: timm draws from the global generator.
    """
    import timm

    known = [*timm.list_models(), *timm.list_models(pretrained=True)]  # without and with the weights' tag
    if model not in known:
        near = did_you_mean(model, known)
        raise ConfigError(f"timm has no model '{model}'{near or '; see timm.list_models()'}")
    try:
        wanted = {} if stages else {"out_indices": tuple(layers)}
        pyramid: Any = timm.create_model(model, pretrained=False, features_only=True, **wanted)
    except (RuntimeError, AssertionError, AttributeError, IndexError, ValueError) as error:
        levels = _levels(model)
        beyond = isinstance(error, (AssertionError, IndexError))  # timm's words for a level that is not there
        why = "" if beyond else f" ({error})"
        raise ConfigError(f"{model}: cannot give levels {tuple(layers)} of {levels}{why}") from None
    if stages:
        return stages_of(pyramid, model, layers)
    _drop_unused_blocks(pyramid)
    if str(getattr(pyramid, "output_fmt", "NCHW")).endswith("NHWC"):
        pyramid.register_forward_hook(_channels_first)
    return pyramid  # type: ignore[no-any-return]


def image_by_image(network: Callable[[Tensor], Sequence[Tensor]], pixels: Tensor) -> tuple[Tensor, ...]:
    """The levels of a network in evaluation on a batch (B, 3, H, W); on a CPU one image after the other.

    That halves the time of an EfficientNet-Lite (a batch of eight no longer fits the processor's caches) and
    costs a ResNet nothing; and an image's features are the same whatever shares its batch.
    """
    if pixels.device.type != "cpu" or len(pixels) <= 1:
        return tuple(network(pixels))
    singles = [network(image) for image in torch.split(pixels, 1)]
    return tuple(torch.cat(level) for level in zip(*singles, strict=True))


def _channels_first(module: nn.Module, images: Any, maps: Sequence[Tensor]) -> list[Tensor]:
    """(B, H, W, C) to (B, C, H, W), for the models (Swin, MambaOut) that keep channels last."""
    return [m.permute(0, 3, 1, 2).contiguous() for m in maps]


def _levels(model: str) -> str:
    import timm

    try:
        whole: Any = timm.create_model(model, pretrained=False, features_only=True)
    except (RuntimeError, AttributeError):
        return "none: it has no feature pyramid"
    return f"0..{len(whole.feature_info.info) - 1}"


def _drop_unused_blocks(pyramid: Any) -> None:
    """timm's EfficientNets keep and run the stages above the last level; a student must not carry them."""
    last = pyramid.feature_info.module_name()[-1].split(".")
    if last[0] == "blocks" and len(last) > 1 and isinstance(getattr(pyramid, "blocks", None), nn.Sequential):
        del pyramid.blocks[int(last[1]) + 1 :]

"""What detectors on frozen features have in common: any backbone with feature maps, any size it can read."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_leather import learned, leather, seen

from leatherens.core.detector import Detector
from leatherens.core.host import PluginHost

SHORT: dict[str, dict[str, Any]] = {
    "patchcore": {"pretrain_embed_dimension": 24, "target_embed_dimension": 20},
    "padim": {"dimensions": 20},
    "simplenet": {
        "pretrain_embed_dimension": 24,
        "target_embed_dimension": 20,
        "hidden": 8,
        "steps": 2,
        "batch_size": 2,
    },
    "cfa": {"gamma_c": 4, "steps": 2},
    "cse": {"steps": 2, "batch_size": 2, "embedding": 8},
}
"""Options that learn next to nothing, at once."""

BACKBONES = {
    "test_resnet": (1, 2),  # strides 4 and 8
    "test_efficientnet": (2, 3),  # 8 and 16
    "test_convnext": (0, 1),  # 4 and 8, from a stem that cuts patches
    "resnet18": (2, 3),  # 8 and 16
}


def short(id: str, backbone: str, layers: tuple[int, ...]) -> Detector:
    options = {**SHORT[id], "backbone": backbone, "layers": layers, "weights": "random"}
    return PluginHost(installed=False).detectors().load(id).from_options(options)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("id", SHORT)
def test_any_backbone_is_read_and_its_channels_and_strides_are_declared(id: str, backbone: str) -> None:
    size = (64, 96)
    detector = learned(short(id, backbone, BACKBONES[backbone]), leather(4, size=size))
    found = seen(detector, leather(2, size=size, seed=5))

    assert found.scores.pixels.shape == (2, *size)
    for spec, name, maps in zip(detector.features(), found.features.names, found.features.maps, strict=True):
        assert (name, maps.shape[1]) == (spec.name, spec.channels)
        assert maps.shape[-2:] == (size[0] // spec.stride, size[1] // spec.stride)


@pytest.mark.parametrize("id", sorted(SHORT.keys() - {"cse"}))  # whose two levels must lie on one another
@pytest.mark.parametrize("backbone", ["test_efficientnet", "resnet18"])
def test_odd_sizes_are_taken(id: str, backbone: str) -> None:
    size = (75, 93)
    detector = learned(short(id, backbone, BACKBONES[backbone]), leather(4, size=size))

    assert seen(detector, leather(2, size=size, seed=5)).scores.pixels.shape == (2, *size)


@pytest.mark.parametrize("id", ["patchcore", "simplenet", "cfa", "padim"])
def test_a_backbone_whose_levels_all_have_one_stride(id: str) -> None:
    """A vision transformer's, which cuts the image into patches once."""
    size = (160, 160)
    detector = learned(short(id, "test_vit", (0, 1)), leather(4, size=size))
    found = seen(detector, leather(2, size=size, seed=5))

    assert {tuple(m.shape[-2:]) for m in found.features.maps} == {(10, 10)}
    assert bool(torch.isfinite(found.scores.pixels).all())

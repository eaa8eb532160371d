"""Every detector that comes with leatherens keeps the contract that strangers' detectors are held to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from leatherens.core.detector import Detector
from leatherens.core.host import PluginHost
from leatherens.testing import parametrize_members

HOST = PluginHost(installed=False)

TINY: dict[str, dict[str, Any]] = {
    "stfpm": {"backbone": "test_resnet", "layers": [0, 1], "batch_size": 4, "steps": 30},
    "draem": {
        "width": 8,
        "discriminative_width": 16,
        "steps": 60,
        "batch_size": 4,
        "crop": 32,
        "learning_rate": 5e-3,
        "beta": [0.0, 0.2],
        "clean_share": 0.3,
        "rotated_share": 0.0,
        "perlin_exponents": [0, 2],
    },
}
"""Options that learn the kit's scene within seconds; a detector without an entry is tried as it comes."""


def maker(id: str) -> Callable[[], Detector]:
    """Makes the detector when a check asks, so that collecting tests imports no plugin."""

    def make() -> Detector:
        return HOST.detectors().load(id).from_options(TINY.get(id, {}))

    make.__name__ = id
    return make


@parametrize_members(*(maker(id) for id in HOST.detectors().ids()))
def test_conforms(check):
    check()

"""Models of anomalib as members of leatherens: its mathematics, our protocol, calibration and thresholds.

The ids are there whether anomalib is or not; asking for one without it says what to install.
"""

from __future__ import annotations

from typing import Any

from leatherens import hookimpl

leatherens_api = 1

DETECTORS = (
    ("anomalib-padim", "padim:Padim", "anomalib's PaDiM"),
    ("anomalib-patchcore", "patchcore:Patchcore", "anomalib's PatchCore"),
    ("anomalib-stfpm", "stfpm:Stfpm", "anomalib's STFPM"),
)
"""Id, module and class, summary."""


@hookimpl
def register_detectors(register: Any) -> None:
    """Those whose backbones leatherens can feed."""
    for id, target, summary in DETECTORS:
        register(id, f"{__name__}.{target}", summary=summary)

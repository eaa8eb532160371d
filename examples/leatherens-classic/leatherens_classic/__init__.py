"""Hand-crafted texture detectors: what leather inspection used before networks, as members of leatherens.

Each describes windows of a photograph by a handful of numbers and asks a one-class model of scikit-learn how
unlike good windows they are. Nothing is trained by gradient steps and torch computes nothing.
"""

from __future__ import annotations

from typing import Any

from leatherens import hookimpl

leatherens_api = 1

DETECTORS = (
    ("gabor", "gabor:Gabor", "energies of Gabor filters in windows"),
    ("glcm", "glcm:GLCM", "Haralick's statistics of grey-level co-occurrence in windows"),
    ("histogram", "histogram:Histogram", "moments and quartiles of the histogram in windows"),
    ("lbp", "lbp:LBP", "histograms of local binary patterns in windows"),
    ("wavelet", "wavelet:Wavelet", "energies of wavelet sub-bands in windows"),
)
"""Id, module and class, summary."""


@hookimpl
def register_detectors(register: Any) -> None:
    """One detector for each family of descriptors."""
    for id, target, summary in DETECTORS:
        register(id, f"{__name__}.{target}", summary=summary)

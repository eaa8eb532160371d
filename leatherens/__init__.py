"""Finds defects in photographs of leather with ensembles that learned from good images only.

The public names are resolved when first used: importing leatherens imports neither torch nor timm.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leatherens.api.anomaly_detector import AnomalyDetector as AnomalyDetector
    from leatherens.api.ensemble import Ensemble as Ensemble
    from leatherens.api.result import Result as Result
    from leatherens.core.backbones import BackboneRequest as BackboneRequest
    from leatherens.core.capabilities import Capabilities as Capabilities
    from leatherens.core.detector import Detector as Detector
    from leatherens.core.detector import Effort as Effort
    from leatherens.core.detector import FitContext as FitContext
    from leatherens.core.errors import LeatherensError as LeatherensError
    from leatherens.core.hookspecs import hookimpl as hookimpl
    from leatherens.core.host import PluginHost as PluginHost
    from leatherens.core.leather import write_demo as write_demo
    from leatherens.core.params import Params as Params
    from leatherens.core.types import FeatureMaps as FeatureMaps
    from leatherens.core.types import ImageBatch as ImageBatch
    from leatherens.core.types import Observation as Observation
    from leatherens.core.types import ScoreMap as ScoreMap

    __version__: str

# A name stands above for type checkers, here for `__getattr__`, and in __all__; a test keeps the three equal.
_HOMES = {
    "AnomalyDetector": "leatherens.api.anomaly_detector",
    "BackboneRequest": "leatherens.core.backbones",
    "Capabilities": "leatherens.core.capabilities",
    "Detector": "leatherens.core.detector",
    "Effort": "leatherens.core.detector",
    "Ensemble": "leatherens.api.ensemble",
    "FeatureMaps": "leatherens.core.types",
    "FitContext": "leatherens.core.detector",
    "ImageBatch": "leatherens.core.types",
    "LeatherensError": "leatherens.core.errors",
    "Observation": "leatherens.core.types",
    "Params": "leatherens.core.params",
    "PluginHost": "leatherens.core.host",
    "Result": "leatherens.api.result",
    "ScoreMap": "leatherens.core.types",
    "hookimpl": "leatherens.core.hookspecs",
    "write_demo": "leatherens.core.leather",
}

__all__ = [
    "AnomalyDetector",
    "BackboneRequest",
    "Capabilities",
    "Detector",
    "Effort",
    "Ensemble",
    "FeatureMaps",
    "FitContext",
    "ImageBatch",
    "LeatherensError",
    "Observation",
    "Params",
    "PluginHost",
    "Result",
    "ScoreMap",
    "__version__",
    "hookimpl",
    "write_demo",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'leatherens' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    """The version of the installed package, the one place it is written."""
    from importlib import metadata

    try:
        return metadata.version("leatherens")
    except metadata.PackageNotFoundError:  # run from a checkout that was not installed
        return "0+unknown"

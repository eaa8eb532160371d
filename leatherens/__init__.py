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
    from leatherens.core.backbones import Pyramids as Pyramids
    from leatherens.core.backbones import PyramidSpec as PyramidSpec
    from leatherens.core.calibration import Calibrator as Calibrator
    from leatherens.core.capabilities import Capabilities as Capabilities
    from leatherens.core.comparison import ComparisonView as ComparisonView
    from leatherens.core.detector import Detector as Detector
    from leatherens.core.detector import Effort as Effort
    from leatherens.core.detector import FeatureSpec as FeatureSpec
    from leatherens.core.detector import FitContext as FitContext
    from leatherens.core.errors import ConfigError as ConfigError
    from leatherens.core.errors import InputError as InputError
    from leatherens.core.errors import LeatherensError as LeatherensError
    from leatherens.core.examples import Examples as Examples
    from leatherens.core.examples import Of as Of
    from leatherens.core.fusion import FusionBlock as FusionBlock
    from leatherens.core.fusion import GoodFeatures as GoodFeatures
    from leatherens.core.fusion import MemberFeatures as MemberFeatures
    from leatherens.core.heads import GoodMaps as GoodMaps
    from leatherens.core.heads import Head as Head
    from leatherens.core.hookspecs import API_VERSION as API_VERSION
    from leatherens.core.hookspecs import hookimpl as hookimpl
    from leatherens.core.host import PluginHost as PluginHost
    from leatherens.core.leather import write_demo as write_demo
    from leatherens.core.params import Params as Params
    from leatherens.core.preparation import Comparison as Comparison
    from leatherens.core.preparation import Pictures as Pictures
    from leatherens.core.preparation import Preparation as Preparation
    from leatherens.core.preparation import Prepared as Prepared
    from leatherens.core.reading import Collection as Collection
    from leatherens.core.reading import Folders as Folders
    from leatherens.core.reading import Reader as Reader
    from leatherens.core.reading import Sample as Sample
    from leatherens.core.reporting import ProjectView as ProjectView
    from leatherens.core.reporting import Reporter as Reporter
    from leatherens.core.reporting import RunView as RunView
    from leatherens.core.scenario import Scenario as Scenario
    from leatherens.core.scorefusion import Lessons as Lessons
    from leatherens.core.scorefusion import ScoreFusion as ScoreFusion
    from leatherens.core.thresholds import Group as Group
    from leatherens.core.thresholds import Labelled as Labelled
    from leatherens.core.thresholds import Normals as Normals
    from leatherens.core.thresholds import Threshold as Threshold
    from leatherens.core.tracking import Tracker as Tracker
    from leatherens.core.types import CalibratedScores as CalibratedScores
    from leatherens.core.types import FeatureMaps as FeatureMaps
    from leatherens.core.types import ImageBatch as ImageBatch
    from leatherens.core.types import ImageSource as ImageSource
    from leatherens.core.types import Observation as Observation
    from leatherens.core.types import ScoreMap as ScoreMap
    from leatherens.core.types import batches as batches
    from leatherens.core.unfinished_view import UnfinishedView as UnfinishedView
    from leatherens.core.weights import Backbone as Backbone
    from leatherens.core.weights import Weights as Weights

    __version__: str

# A name stands above for type checkers, here for `__getattr__`, and in __all__; a test keeps the three equal.
_HOMES = {
    "API_VERSION": "leatherens.core.hookspecs",
    "AnomalyDetector": "leatherens.api.anomaly_detector",
    "Backbone": "leatherens.core.weights",
    "BackboneRequest": "leatherens.core.backbones",
    "CalibratedScores": "leatherens.core.types",
    "Calibrator": "leatherens.core.calibration",
    "Capabilities": "leatherens.core.capabilities",
    "Collection": "leatherens.core.reading",
    "Comparison": "leatherens.core.preparation",
    "ComparisonView": "leatherens.core.comparison",
    "ConfigError": "leatherens.core.errors",
    "Detector": "leatherens.core.detector",
    "Effort": "leatherens.core.detector",
    "Ensemble": "leatherens.api.ensemble",
    "Examples": "leatherens.core.examples",
    "FeatureMaps": "leatherens.core.types",
    "FeatureSpec": "leatherens.core.detector",
    "FitContext": "leatherens.core.detector",
    "Folders": "leatherens.core.reading",
    "FusionBlock": "leatherens.core.fusion",
    "GoodFeatures": "leatherens.core.fusion",
    "GoodMaps": "leatherens.core.heads",
    "Group": "leatherens.core.thresholds",
    "Head": "leatherens.core.heads",
    "ImageBatch": "leatherens.core.types",
    "ImageSource": "leatherens.core.types",
    "InputError": "leatherens.core.errors",
    "Labelled": "leatherens.core.thresholds",
    "LeatherensError": "leatherens.core.errors",
    "Lessons": "leatherens.core.scorefusion",
    "MemberFeatures": "leatherens.core.fusion",
    "Normals": "leatherens.core.thresholds",
    "Observation": "leatherens.core.types",
    "Of": "leatherens.core.examples",
    "Params": "leatherens.core.params",
    "Pictures": "leatherens.core.preparation",
    "PluginHost": "leatherens.core.host",
    "Preparation": "leatherens.core.preparation",
    "Prepared": "leatherens.core.preparation",
    "ProjectView": "leatherens.core.reporting",
    "PyramidSpec": "leatherens.core.backbones",
    "Pyramids": "leatherens.core.backbones",
    "Reader": "leatherens.core.reading",
    "Reporter": "leatherens.core.reporting",
    "Result": "leatherens.api.result",
    "RunView": "leatherens.core.reporting",
    "Sample": "leatherens.core.reading",
    "Scenario": "leatherens.core.scenario",
    "ScoreFusion": "leatherens.core.scorefusion",
    "ScoreMap": "leatherens.core.types",
    "Threshold": "leatherens.core.thresholds",
    "Tracker": "leatherens.core.tracking",
    "UnfinishedView": "leatherens.core.unfinished_view",
    "Weights": "leatherens.core.weights",
    "batches": "leatherens.core.types",
    "hookimpl": "leatherens.core.hookspecs",
    "write_demo": "leatherens.core.leather",
}

__all__ = [
    "API_VERSION",
    "AnomalyDetector",
    "Backbone",
    "BackboneRequest",
    "CalibratedScores",
    "Calibrator",
    "Capabilities",
    "Collection",
    "Comparison",
    "ComparisonView",
    "ConfigError",
    "Detector",
    "Effort",
    "Ensemble",
    "Examples",
    "FeatureMaps",
    "FeatureSpec",
    "FitContext",
    "Folders",
    "FusionBlock",
    "GoodFeatures",
    "GoodMaps",
    "Group",
    "Head",
    "ImageBatch",
    "ImageSource",
    "InputError",
    "Labelled",
    "LeatherensError",
    "Lessons",
    "MemberFeatures",
    "Normals",
    "Observation",
    "Of",
    "Params",
    "Pictures",
    "PluginHost",
    "Preparation",
    "Prepared",
    "ProjectView",
    "PyramidSpec",
    "Pyramids",
    "Reader",
    "Reporter",
    "Result",
    "RunView",
    "Sample",
    "Scenario",
    "ScoreFusion",
    "ScoreMap",
    "Threshold",
    "Tracker",
    "UnfinishedView",
    "Weights",
    "__version__",
    "batches",
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

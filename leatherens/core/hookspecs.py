"""The whole extension surface: one hook per kind of plugin, found through the entry-point group `leatherens`.

A hook receives `register` and calls it once per thing it offers. The target is a string, imported when
first used, so that listing plugins needs neither torch nor anything else that is slow.

```python
from leatherens import hookimpl

leatherens_api = 1  # the version of this contract that the plugin was written for

@hookimpl
def register_detectors(register):
    register("grain-flow", "leatherens_grain.flow:GrainFlow", summary="normalising flow over grain direction")
```
"""

from __future__ import annotations

from typing import Protocol

import pluggy

_hookspec = pluggy.HookspecMarker("leatherens")
hookimpl = pluggy.HookimplMarker("leatherens")

API_VERSION = 1
"""Of the contract: the hooks and what the classes they register must do. Additions leave it as it is."""

OLDEST_API_VERSION = 1
"""The oldest a plugin may have been written for; it rises only when something has gone for good."""


class Register(Protocol):
    """What a hook is given."""

    def __call__(self, id: str, target: str, *, summary: str = "") -> None:
        """Offer the class "package.module:Class" as `id`."""


@_hookspec
def register_detectors(register: Register) -> None:
    """Offer techniques that learn from good images and score others (`core.detector.Detector`)."""


@_hookspec
def register_fusion_blocks(register: Register) -> None:
    """Offer ways to join the feature maps of several members into one."""


@_hookspec
def register_heads(register: Register) -> None:
    """Offer models that turn fused feature maps into one score map."""


@_hookspec
def register_score_fusions(register: Register) -> None:
    """Offer rules that make one score of the voters' scores on their common scale."""


@_hookspec
def register_calibrators(register: Register) -> None:
    """Offer ways to say how unusual a score is among held-out good images."""


@_hookspec
def register_thresholds(register: Register) -> None:
    """Offer rules that choose from which score on an image is called defective."""


@_hookspec
def register_readers(register: Register) -> None:
    """Offer data set layouts: which image lies where, what it is, and where its mask lies."""


@_hookspec
def register_preparations(register: Register) -> None:
    """Offer steps between a photograph and the working size: to register, to even out light, to mask."""


@_hookspec
def register_backbones(register: Register) -> None:
    """Offer pretrained weights an installed package brings along; the id is timm's model name."""


@_hookspec
def register_reporters(register: Register) -> None:
    """Offer reports of a finished run."""


@_hookspec
def register_scenarios(register: Register) -> None:
    """Offer recipes by name: YAML files, as "package:folder/name.yaml" (`core.scenario.Scenario`)."""

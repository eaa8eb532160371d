"""The whole extension surface, found through the entry-point group `leatherens`.

One hook per kind of plugin says what there is; the observer hooks at the end tell of a run while it is made.

A registering hook receives `register` and calls it once per thing it offers. The target is a string, imported
when first used, so that listing plugins needs neither torch nor anything else that is slow.

```python
from leatherens import hookimpl

leatherens_api = 1  # the version of this contract that the plugin was written for

@hookimpl
def register_detectors(register):
    register("grain-flow", "leatherens_grain.flow:GrainFlow", summary="normalising flow over grain direction")
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pluggy

_hookspec = pluggy.HookspecMarker("leatherens")
hookimpl = pluggy.HookimplMarker("leatherens")

API_VERSION = 1
"""Of the contract: the hooks and what the classes they register must do. Additions leave it as it is."""

OLDEST_API_VERSION = 1
"""The oldest a plugin may have been written for; it rises only when something has gone for good."""

OBSERVER_HOOKS = ("run_started", "epoch_ended", "member_fitted", "run_finished", "run_stopped")
"""The hooks that tell of a run, in the order of its life; all others are called when plugins are loaded."""


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


@_hookspec
def register_trackers(register: Register) -> None:
    """Offer places that runs can be logged to while they are made, switched on with `run --track ID`."""


# The observer hooks (`OBSERVER_HOOKS`) are called while a run is made, each observer with values of its own.


@_hookspec
def run_started(
    folder: Path,
    recipe: Mapping[str, Any],
    data: str,
    command: str,
    versions: Mapping[str, str],
    resumed: bool,
) -> None:
    """A run begins to learn, or goes on after an interruption; bad input was refused before.

    folder: the run's, which is its name as well.
    recipe: everything that decides what happens, every default written out, as in recipe.yaml.
    data: a sentence on the images.
    command: what was typed.
    versions: of leatherens, torch and so on.
    resumed: whether some of it was learned before; what was told then is not told again.
    """


@_hookspec
def epoch_ended(
    folder: Path,
    member: str,
    task: str,
    epoch: int,
    step: int,
    losses: Sequence[float],
    validations: Sequence[tuple[int, float]],
    best_step: int,
) -> None:
    """A member that learns by gradient steps has walked once more through the images.

    folder: the run's.
    member: its id.
    task: which of the member's trainings; most have one, called as the member.
    epoch: how many walks are over, from 1.
    step: how many steps.
    losses: of the epoch's steps, the last being that of `step`.
    validations: step and value of each judgement on held-out images in this epoch, smaller is better.
    best_step: the step of the smallest value up to now, 0 before there is one.
    """


@_hookspec
def member_fitted(folder: Path, member: str, seconds: float, images: int, size: int) -> None:
    """A member has learned and is kept on disk.

    folder: the run's.
    member: its id.
    seconds: how long it learned, before it was interrupted, too.
    images: how many it learned from.
    size: bytes of what it learned, on disk.
    """


@_hookspec
def run_finished(folder: Path, metrics: Mapping[str, Any], report: Path | None) -> None:
    """Everything is learned, measured and written.

    folder: the run's.
    metrics: the content of metrics.json: `ensemble`, `members` by id, `definitions`; `None` is undefined.
    report: the page to look at, `None` where none could be written.
    """


@_hookspec
def run_stopped(folder: Path, reason: str) -> None:
    """The run ends before it is finished, by Ctrl-C or an error; it may be gone on with.

    folder: the run's.
    reason: a sentence, KeyboardInterrupt where it was Ctrl-C.
    """

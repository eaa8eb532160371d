"""Every error a user can cause, as one tree; the command line shows the sentence, never a traceback.

```text
LeatherensError
├── ConfigError             an option or a recipe is wrong: which key, what was expected
├── PluginError             a plugin is broken: names the plugin
│   ├── PluginConflict      two plugins claim one id: names both
│   └── UnknownPlugin       no such id: the closest ids
├── PartFailed              a part of an ensemble, perhaps a plugin's, failed by a fault in its code: which
├── InputError (ValueError) an image, mask, map or folder is not what the contract says
├── NotFittedError          something was asked before it was learned: names the call
├── WeightsError            pretrained weights cannot be had: where it looked, the ways out
├── TrainingError           learning failed: the member, the step, the last good checkpoint
├── CategoriesFailed        some categories of several have no run: which, and why
├── MembersFailed           some members of several could not be learned: which, why, and what is kept
├── MemoryRanOut            memory ran out: at which batch and size, and which need less
└── ArtifactError           a run folder cannot be used: which file, which version
```
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence


class LeatherensError(Exception):
    """Base of all errors with a message meant for a user."""

    exit_code = 2


class ConfigError(LeatherensError):
    """An option or a recipe is wrong."""


class PluginError(LeatherensError):
    """A plugin is broken; `plugin` is its name."""

    def __init__(self, message: str, *, plugin: str = "") -> None:
        super().__init__(message)
        self.plugin = plugin


class PluginConflict(PluginError):
    """Two plugins claim one id; `plugins` are their names."""

    def __init__(self, message: str, *, id: str, plugins: Sequence[str]) -> None:
        super().__init__(message, plugin=plugins[0])
        self.id = id
        self.plugins = tuple(plugins)


class UnknownPlugin(PluginError):
    """No plugin offers this id; `candidates` are the ids that exist."""

    def __init__(self, message: str, *, id: str, candidates: Sequence[str]) -> None:
        super().__init__(message)
        self.id = id
        self.candidates = tuple(candidates)


class PartFailed(LeatherensError):
    """A detector, head, reader and so on failed by a fault in its code, or gave what none can use."""


class PluginWarning(RuntimeWarning):
    """A plugin did what none may do, was named, and what it did was undone."""


class InputError(LeatherensError, ValueError):
    """An image, mask, map or folder is not what the contract says."""


class NotFittedError(LeatherensError):
    """Something was asked for before it was learned."""


class WeightsError(LeatherensError):
    """Pretrained weights cannot be had."""


class TrainingError(LeatherensError):
    """Learning failed; `member` and `step` say where."""

    def __init__(self, message: str, *, member: str, step: int) -> None:
        super().__init__(message)
        self.member = member
        self.step = step


class MembersFailed(LeatherensError):
    """Some members could not be learned; `failures` are their reasons by id, `kept` those that were."""

    def __init__(self, message: str, *, failures: Mapping[str, str], kept: Sequence[str]) -> None:
        super().__init__(message)
        self.failures = dict(failures)
        self.kept = tuple(kept)


class CategoriesFailed(LeatherensError):
    """Some categories could not be made; `failures` are their reasons by name."""

    def __init__(self, message: str, *, failures: Mapping[str, str]) -> None:
        super().__init__(message)
        self.failures = dict(failures)


class MemoryRanOut(LeatherensError):
    """Memory ran out; `batch` and `size` should fit, `None` where no smaller one can be named."""

    def __init__(self, message: str, *, batch: int | None, size: tuple[int, int] | None) -> None:
        super().__init__(message)
        self.batch = batch
        self.size = size


class ArtifactError(LeatherensError):
    """A run folder or one of its files cannot be used."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest known word as a clause to append to a message; empty when nothing is near.

    >>> did_you_mean("stfmp", ["draem", "stfpm"])
    "; did you mean 'stfpm'?"
    >>> did_you_mean("zebra", ["draem", "stfpm"])
    ''
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def reason(error: BaseException) -> str:
    """An exception on one line.

    >>> reason(ImportError("no module\\n named 'x'"))
    "ImportError: no module named 'x'"
    """
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def enumerated(names: Sequence[str]) -> str:
    """Names as a sentence lists them.

    >>> enumerated(["fit", "features", "observe"])
    'fit, features and observe'
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last

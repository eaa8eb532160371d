"""Classes that have a kind's methods and not its base class: joined to it, or refused in words.

A plugin's class need not inherit from ours. It may have the methods that an author of its kind fills (`_fit`,
`_observe`, `features`), or the public ones instead (`fit`, `observe`), as one written for something else has.
Joined to the base class it gets what it lacks, and wherever the two mean the same, its public methods are
called through the base's, which check what comes out. Whoever uses a kind then sees one sort of object.
"""

from __future__ import annotations

import importlib
import inspect
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from leatherens.core.errors import PluginError, enumerated

BASES = {
    "backbones": ("leatherens.core.weights", "Backbone"),
    "calibrators": ("leatherens.core.calibration", "Calibrator"),
    "detectors": ("leatherens.core.detector", "Detector"),
    "fusion_blocks": ("leatherens.core.fusion", "FusionBlock"),
    "heads": ("leatherens.core.heads", "Head"),
    "preparations": ("leatherens.core.preparation", "Preparation"),
    "readers": ("leatherens.core.reading", "Reader"),
    "reporters": ("leatherens.core.reporting", "Reporter"),
    "scenarios": ("leatherens.core.scenario", "Scenario"),
    "score_fusions": ("leatherens.core.scorefusion", "ScoreFusion"),
    "thresholds": ("leatherens.core.thresholds", "Threshold"),
    "trackers": ("leatherens.core.tracking", "Tracker"),
}
"""Module and name of each kind's base class, imported when the first of its kind is loaded."""

_FACES = {
    "calibrators": {"_fit": "fit", "_calibrate": "calibrate"},
    "detectors": {"_fit": "fit", "_observe": "observe", "_update": "update"},
    "fusion_blocks": {"_fit": "fit", "_transform": "transform"},
    "preparations": {"_fit": "fit", "_apply": "apply"},
}
"""What an author fills, and the public method that means the same and may stand in its place."""

_WHOLE = {
    "heads": {"_fit": "fit", "_score": "score"},
    "readers": {"_read": "read"},
    "score_fusions": {"_combine": "fuse"},
}
"""What an author fills, and the public method that does more and may replace both, its checks included."""

_ONE_OF = {"thresholds": ("_value", "_image_limit", "fit")}
"""Of which one must be filled, where the base class has something for each of them."""

_KEYWORDS = {"detectors": ("validation", "context"), "preparations": ("seed", "progress")}
"""What follows the first argument where a public `fit` takes it by name and `_fit` by place."""


@cache
def adopted(found: type, kind: str) -> type:
    """The class itself if it is of its kind's base class, or joined to it; refused if it lacks a method."""
    base = base_of(kind)
    _require_methods(found, base, kind)
    if issubclass(found, base):
        return found
    _require_constructor(found)
    _require_params(found)
    try:
        return types.new_class(
            found.__name__, (found, base), exec_body=lambda body: _fill(body, found, base, kind)
        )
    except TypeError as error:  # its metaclass or its slots go together with no other class
        name = base.__name__
        raise PluginError(
            f"it cannot be joined to {name} ({error}); inherit from leatherens.{name}"
        ) from None


def base_of(kind: str) -> type:
    """The base class of a kind."""
    module, name = BASES[kind]
    base: type = getattr(importlib.import_module(module), name)
    return base


def _require_methods(found: type, base: type, kind: str) -> None:
    """Refuse a class without a method that has no default."""
    faces = {} if issubclass(found, base) else {**_FACES.get(kind, {}), **_WHOLE.get(kind, {})}
    wanted: frozenset[str] = getattr(base, "__abstractmethods__", frozenset())
    lacking = [name for name in sorted(wanted) if not _has(found, name) and not _has(found, faces.get(name))]
    one_of = _ONE_OF.get(kind, ())
    if one_of and all(getattr(found, name, None) in (None, getattr(base, name)) for name in one_of):
        raise PluginError(
            f"it lacks {one_of[0]}; fill {' or '.join(one_of)} as leatherens.{base.__name__} says"
        )
    if lacking and issubclass(found, base):
        raise PluginError(f"it lacks {enumerated(lacking)}, which every {base.__name__} fills")
    if lacking:
        needed = enumerated(sorted({faces.get(name, name) for name in wanted}))
        raise PluginError(
            f"it lacks {enumerated(sorted(faces.get(name, name) for name in lacking))}; inherit from "
            f"leatherens.{base.__name__}, or have {needed}"
        )


def _has(found: type, name: str | None) -> bool:
    method = None if name is None else getattr(found, name, None)
    return callable(method) and not getattr(method, "__isabstractmethod__", False)


def _require_constructor(found: type) -> None:
    """Refuse a constructor that wants more than the options."""
    wanted = [p.name for p in _parameters(found) if p.name != "params" and p.default is p.empty and _named(p)]
    if wanted:
        raise PluginError(
            f"its constructor wants {enumerated(wanted)}, expected __init__(self, params=None) or nothing; "
            "what it needs besides belongs into its Params"
        )


def _require_params(found: type) -> None:
    from leatherens.core.params import Params

    options = getattr(found, "Params", Params)
    if not (isinstance(options, type) and issubclass(options, Params)):
        raise PluginError("its Params are no leatherens.Params, which options are read with")


def _parameters(found: type) -> list[inspect.Parameter]:
    """What its constructor takes, none where it has none of its own."""
    own = found.__init__  # type: ignore[misc]
    return [] if own is object.__init__ else list(inspect.signature(own).parameters.values())[1:]


def _named(parameter: inspect.Parameter) -> bool:
    return parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)


def _fill(body: dict[str, Any], found: type, base: type, kind: str) -> None:
    """What the joined class has besides: the way from the base's public methods to the class's own."""
    body |= {
        "__module__": found.__module__,
        "__qualname__": found.__qualname__,
        "__doc__": found.__doc__,
        "__init__": _constructor(found, base),
    }
    for inner, face in _FACES.get(kind, {}).items():
        if _has(found, face) and not _has(found, inner):
            keywords = _KEYWORDS.get(kind, ()) if face in ("fit", "update") else ()
            body[inner] = _passed_on(getattr(found, face), keywords)
            body[face] = getattr(base, face)
    for inner, face in _WHOLE.get(kind, {}).items():
        if _has(found, face) and not _has(found, inner):
            body[inner] = _never


def _constructor(found: type, base: type) -> Callable[..., None]:
    own, common = found.__init__, base.__init__  # type: ignore[misc]
    takes_options = any(parameter.name == "params" for parameter in _parameters(found))
    has_options = common is not object.__init__

    def __init__(self: Any, params: Any = None) -> None:  # noqa: N807 - it becomes one
        if has_options:
            common(self, params)
        if own is not object.__init__:
            own(self, *([self.params] if takes_options else []))

    return __init__


def _passed_on(method: Callable[..., Any], keywords: tuple[str, ...]) -> Callable[..., Any]:
    """A method that gives what comes after the first argument by name."""

    def call(self: Any, first: Any, *others: Any) -> Any:
        named: Mapping[str, Any] = dict(zip(keywords, others, strict=False))
        return method(self, first, *others[len(named) :], **named)

    return call


def _never(self: Any, *arguments: Any) -> Any:
    raise NotImplementedError("the public method does without")

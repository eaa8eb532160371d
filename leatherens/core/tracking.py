"""What a tracker is: an observer of runs that is switched on by name, and how it may call what it logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator

from leatherens.core.component import Component
from leatherens.core.errors import PluginError, enumerated


def _absolute(folder: Path) -> Path:
    if folder.exists() and not folder.is_dir():
        raise ValueError("expected a folder, there is a file")
    return folder.expanduser().absolute()


Folder = Annotated[Path, AfterValidator(_absolute)]
"""A folder as an option of a tracker: meant from where the run was begun, wherever it is gone on with."""


class Tracker(Component):
    """Plugin kind `trackers`: writes down elsewhere how a run goes, where `run --track ID` asks for it.

    Its methods are observer hooks, as many of them as it wants, each with the arguments that it wants and
    marked with `@leatherens.hookimpl`: `run_started`, `epoch_ended`, `member_fitted`, `run_finished`,
    `run_stopped`. Files that it keeps in the run's folder it puts into a folder called as its id. A run that
    is resumed has a new tracker, which goes on where the one before it left off.

    needs: the modules it imports, and what to install for each. They are imported in the methods, and asked
    for before a run begins.
    """

    needs: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def require_needs(cls) -> None:
        """Refuse to begin without the packages it needs, saying what to install."""
        missing = {module: package for module, package in cls.needs.items() if find_spec(module) is None}
        if missing:
            packages = " ".join(f"'{package}'" for package in dict.fromkeys(missing.values()))
            raise PluginError(
                f"tracker '{cls.id}' needs {enumerated(list(missing))}, which cannot be found; "
                f"pip install {packages}"
            )


def curve_name(member: str, task: str, what: str) -> str:
    """What a curve of a member is called: its tasks are told apart where they are called otherwise.

    >>> curve_name("stfpm", "stfpm", "loss"), curve_name("ast", "ast student", "validation")
    ('stfpm/loss', 'ast/student/validation')
    """
    own = task.removeprefix(member.rpartition(":")[2]).strip()
    return "/".join(part for part in (member, own, what) if part)


def epoch_points(
    member: str,
    task: str,
    step: int,
    losses: Sequence[float],
    validations: Sequence[tuple[int, float]],
) -> Iterator[tuple[str, float, int]]:
    """What `epoch_ended` tells, point by point: the curve's name, the value, the step.

    >>> list(epoch_points("stfpm", "stfpm", 2, [0.5, 0.4], [(2, 0.3)]))
    [('stfpm/loss', 0.5, 1), ('stfpm/loss', 0.4, 2), ('stfpm/validation', 0.3, 2)]
    """
    for at, loss in enumerate(losses, start=step - len(losses) + 1):
        yield curve_name(member, task, "loss"), loss, at
    for at, value in validations:
        yield curve_name(member, task, "validation"), value, at


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested keys as one, joined by points; lists stay whole.

    >>> dict(flattened({"size": [64, 64], "members": {"stfpm": {"options": {"steps": 3}}}}))
    {'size': [64, 64], 'members.stfpm.options.steps': 3}
    """
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def final_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of metrics.json, by scorer and metric; what is undefined is left out.

    >>> final_metrics({"ensemble": {"image_f1": 0.9, "au_pro": None}, "members": {"stfpm": {"au_pro": 0.5}}})
    {'ensemble/image_f1': 0.9, 'stfpm/au_pro': 0.5}
    """
    rows = {"ensemble": metrics["ensemble"], **metrics["members"]}
    return {
        f"{scorer}/{name}": float(value)
        for scorer, row in rows.items()
        for name, value in row.items()
        if value is not None
    }

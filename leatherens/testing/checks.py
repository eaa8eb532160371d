"""Which checks a member is held to, by its kind: what it says, how it learns, scores and is kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from leatherens.core.reading import Reader
from leatherens.testing import (
    declaration_checks,
    learning_checks,
    part_checks,
    reader_checks,
    scoring_checks,
    storage_checks,
    update_checks,
)
from leatherens.testing.bench import Bench
from leatherens.testing.trial import Trial

Checks = dict[str, Callable[[Any], None]]


def by_name(*checks: Callable[[Any], None]) -> Checks:
    """Check by name, as `expected_failures` and test ids call it."""
    return {check.__name__.removeprefix("check_"): check for check in checks}


DETECTOR_CHECKS = by_name(
    *declaration_checks.CHECKS,
    *learning_checks.CHECKS,
    *update_checks.CHECKS,
    *scoring_checks.CHECKS,
    *storage_checks.CHECKS,
)
PART_CHECKS: dict[type, Checks] = {
    **{kind: by_name(*checks) for kind, checks in part_checks.BY_KIND.items()},
    Reader: by_name(*reader_checks.CHECKS),
}


def checks_for(make: Callable[[], Any]) -> Checks:
    """The checks of what `make` makes; a detector's where that cannot be told, so that they say why."""
    made = made_class(make)
    return next((checks for kind, checks in PART_CHECKS.items() if issubclass(made, kind)), DETECTOR_CHECKS)


def bench_for(make: Callable[[], Any], checks: Checks) -> Bench:
    """Where these checks are run."""
    return Trial(make) if checks is DETECTOR_CHECKS else Bench(make)


def made_class(make: Callable[[], Any]) -> type:
    """The class of what is made: `make` itself, or what a partial, `from_options` or a first call shows."""
    if isinstance(make, partial):
        return made_class(make.func)
    owner = getattr(make, "__self__", make)  # from_options is bound to its class
    if isinstance(owner, type):
        return owner
    try:
        return type(make())
    except Exception:  # noqa: BLE001  (the member's own code; the checks will meet the same and tell)
        return object

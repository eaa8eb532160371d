"""Which checks a member is held to, by its kind: what it says, how it learns, scores and is kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from leatherens.core.adoption import BASES, base_of
from leatherens.testing import (
    backbone_checks,
    block_checks,
    calibrator_checks,
    declaration_checks,
    head_checks,
    learning_checks,
    preparation_checks,
    reader_checks,
    reporter_checks,
    scenario_checks,
    score_fusion_checks,
    scoring_checks,
    storage_checks,
    threshold_checks,
    tracker_checks,
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
CHECKS: dict[str, Checks] = {
    "detectors": DETECTOR_CHECKS,
    "fusion_blocks": by_name(*block_checks.CHECKS),
    "heads": by_name(*head_checks.CHECKS),
    "score_fusions": by_name(*score_fusion_checks.CHECKS),
    "calibrators": by_name(*calibrator_checks.CHECKS),
    "thresholds": by_name(*threshold_checks.CHECKS),
    "readers": by_name(*reader_checks.CHECKS),
    "preparations": by_name(*preparation_checks.CHECKS),
    "backbones": by_name(*backbone_checks.CHECKS),
    "reporters": by_name(*reporter_checks.CHECKS),
    "scenarios": by_name(*scenario_checks.CHECKS),
    "trackers": by_name(*tracker_checks.CHECKS),
}
"""Checks by the kind of plugin: every kind has some."""


def checks_for(make: Callable[[], Any], kind: str | None = None) -> Checks:
    """The checks of what `make` makes; a detector's where its kind cannot be told, so that they say why."""
    return CHECKS[kind or kind_of(made_class(make)) or "detectors"]


def kind_of(made: type) -> str | None:
    """The kind of plugin that a class is by its base, `None` where it has none of ours."""
    return next((kind for kind in BASES if issubclass(made, base_of(kind))), None)


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

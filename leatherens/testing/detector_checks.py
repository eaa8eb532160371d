"""All checks of a detector, in a reader's order: what it says, how it learns, scores and is kept."""

from __future__ import annotations

from collections.abc import Callable

from leatherens.testing import declaration_checks, learning_checks, scoring_checks, storage_checks
from leatherens.testing.trial import Trial

CHECKS: dict[str, Callable[[Trial], None]] = {
    check.__name__.removeprefix("check_"): check
    for module in (declaration_checks, learning_checks, scoring_checks, storage_checks)
    for check in module.CHECKS
}
"""Check by name, as `expected_failures` and test ids call it."""

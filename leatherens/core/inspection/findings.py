"""What would be wrong with training on a folder, in sentences: problems that stop it, and warnings.

Each rule is a function from what was seen to at most one sentence; the limits it uses stand above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leatherens.core.inspection import leakage, measuring, problems, showing, working_size
from leatherens.core.inspection.finding import Finding, Plan, Rule
from leatherens.core.inspection.inspection import Inspection


@dataclass(frozen=True, slots=True)
class Findings:
    """problems: nothing can be trained until they are mended. warnings: results would mislead."""

    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def findings_of(seen: Inspection, plan: Plan) -> Findings:
    """What is wrong, in the order of its weight."""
    warnings = (*leakage.RULES, *measuring.RULES, *working_size.RULES, *showing.RULES)
    return Findings(_found(problems.RULES, seen, plan), _found(warnings, seen, plan))


def _found(rules: Sequence[Rule], seen: Inspection, plan: Plan) -> tuple[Finding, ...]:
    return tuple(finding for rule in rules if (finding := rule(seen, plan)) is not None)

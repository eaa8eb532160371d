"""Runs the checks: as a list of results for a script or a command, or as pytest cases with readable ids."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from leatherens.core.component import Component
from leatherens.core.errors import ConfigError, did_you_mean
from leatherens.testing.bench import Bench, ConformanceError, described
from leatherens.testing.checks import bench_for, checks_for, made_class

if TYPE_CHECKING:
    import pytest

Check = Callable[[], None]
Reasons = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one check went; `message` says what was seen, or why a failure was expected."""

    name: str
    passed: bool
    message: str
    seconds: float


def member_checks(make: Callable[[], Component]) -> Iterator[tuple[str, Check]]:
    """The checks of a detector or part by name; each raises `ConformanceError` with a sentence if it fails.

    make: the class, or anything that makes one without arguments, with options small enough to fit in
        seconds. The checks share a few fits, made when first needed.
    """
    checks = checks_for(make)
    trial = bench_for(make, checks)
    for name, check in checks.items():
        yield name, partial(_run, name, check, trial)


def _run(name: str, check: Callable[[Any], None], trial: Bench) -> None:
    try:
        check(trial)
    except ConformanceError:
        raise
    except Exception as error:  # the member's own code; a crash fails the check it happened in
        raise ConformanceError(f"{_member_name(trial.make)}: {name}: {described(error)}") from error


def check_member(
    make: Callable[[], Component], *, expected_failures: Reasons | None = None, stop: bool = False
) -> list[CheckResult]:
    """Run all checks on a detector or part; never raises for what a check finds.

    expected_failures: reason by check. Strict: a check that passes though declared failing has failed.
    stop: end with the first failed check.
    """
    reasons = _validated(expected_failures or {}, make)
    results: list[CheckResult] = []
    for name, check in member_checks(make):
        results.append(_result(name, check, reasons.get(name)))
        if stop and not results[-1].passed:
            break
    return results


def _result(name: str, check: Check, reason: str | None) -> CheckResult:
    start, found = time.perf_counter(), ""
    try:
        check()
    except ConformanceError as error:
        found = str(error)
    seconds = time.perf_counter() - start
    if reason is None:
        return CheckResult(name, not found, found, seconds)
    if found:
        return CheckResult(name, True, f"fails as declared ({reason}): {found}", seconds)
    return CheckResult(name, False, f"declared failing ({reason}), but passes; delete the entry", seconds)


def parametrize_members(
    *makes: Callable[[], Component], expected_failures: Mapping[str, Reasons] | None = None
) -> pytest.MarkDecorator:
    """A pytest decorator: `def test_conforms(check): check()` runs every check of every member.

    expected_failures: per member (its id, or the name of `make`) reason by check; strict.
    """
    import pytest

    declared = dict(expected_failures or {})
    cases: list[Any] = []
    for make in makes:
        member = _member_name(make)
        reasons = _validated(declared.pop(member, {}), make)
        for name, check in member_checks(make):
            marks = [pytest.mark.xfail(reason=reasons[name], strict=True)] if name in reasons else []
            cases.append(pytest.param(check, id=f"{member}-{name}", marks=marks))
    if declared:
        known = [_member_name(make) for make in makes]
        raise ConfigError(
            f"expected_failures names {', '.join(declared)}, but the members are {', '.join(known)}"
        )
    return pytest.mark.parametrize("check", cases)


def _validated(reasons: Reasons, make: Callable[[], Component]) -> Reasons:
    if not reasons:
        return reasons
    member, checks = _member_name(make), checks_for(make)
    for name, reason in reasons.items():
        if name not in checks:
            raise ConfigError(
                f"{member}: no check '{name}' to expect a failure of{did_you_mean(name, checks)}"
            )
        if not reason.strip():
            raise ConfigError(f"{member}: the expected failure of {name} needs a reason")
    return reasons


def _member_name(make: Callable[[], Component]) -> str:
    """The id of what is made where it has one, else the maker's name."""
    return str(getattr(made_class(make), "id", None) or getattr(make, "__name__", type(make).__name__))

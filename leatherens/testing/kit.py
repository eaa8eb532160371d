"""Runs the checks: as a list of results for a script or a command, or as pytest cases with readable ids."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from leatherens.core.component import Component
from leatherens.core.errors import ConfigError, did_you_mean
from leatherens.testing.bench import Bench, ConformanceError, described
from leatherens.testing.checks import bench_for, checks_for, made_class

if TYPE_CHECKING:
    import pytest

Make = Callable[[], Any]
Check = Callable[[], None]
Reasons = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one check went.

    message: what was seen, or why a failure was expected. rule: what the check holds a member to.
    """

    name: str
    passed: bool
    message: str
    seconds: float
    rule: str = ""


def member_checks(make: Make, *, kind: str | None = None) -> Iterator[tuple[str, Check]]:
    """The checks of a detector or part by name; each raises `ConformanceError` with a sentence if it fails.

    make: the class, or anything that makes one without arguments. A class is made with its `check_options`;
        whatever else makes one, makes it small enough to learn within seconds. The checks share a few fits,
        made when first needed.
    kind: of plugin ("heads"), for a class that does not derive from the kind's base.
    """
    checks, make = checks_for(make, kind), _small(make)
    trial = bench_for(make, checks)
    for name, check in checks.items():
        yield name, partial(_run, name, check, trial)


def _small(make: Make) -> Make:
    """A class as a maker that gives it the options it wants to be checked with."""
    options = getattr(make, "check_options", None) if isinstance(make, type) else None
    return partial(cast("type[Component]", make).from_options, options) if options else make


def _run(name: str, check: Callable[[Any], None], trial: Bench) -> None:
    try:
        check(trial)
    except ConformanceError:
        raise
    except Exception as error:  # the member's own code; a crash fails the check it happened in
        raise ConformanceError(f"{_member_name(trial.make)}: {name}: {described(error)}") from error


def check_member(
    make: Make, *, kind: str | None = None, expected_failures: Reasons | None = None, stop: bool = False
) -> list[CheckResult]:
    """Run all checks on a detector or part; never raises for what a check finds.

    make, kind: as for `member_checks`.
    expected_failures: reason by check. Strict: a check that passes though declared failing has failed.
    stop: end with the first failed check.
    """
    return list(checked(make, kind=kind, expected_failures=expected_failures, stop=stop))


def checked(
    make: Make, *, kind: str | None = None, expected_failures: Reasons | None = None, stop: bool = False
) -> Iterator[CheckResult]:
    """The results of `check_member`, each as soon as it is known."""
    reasons = _validated(expected_failures or {}, make, kind)
    rules = {name: first_sentence(check) for name, check in checks_for(make, kind).items()}
    for name, check in member_checks(make, kind=kind):
        result = _result(name, check, reasons.get(name), rules[name])
        yield result
        if stop and not result.passed:
            return


def first_sentence(check: Callable[..., object]) -> str:
    """What a check holds a member to, as its docstring begins."""
    return " ".join((check.__doc__ or "").partition("\n\n")[0].split())


def _result(name: str, check: Check, reason: str | None, rule: str) -> CheckResult:
    start, found = time.perf_counter(), ""
    try:
        check()
    except ConformanceError as error:
        found = str(error)
    seconds = time.perf_counter() - start
    if reason is None:
        return CheckResult(name, not found, found, seconds, rule)
    if found:
        return CheckResult(name, True, f"fails as declared ({reason}): {found}", seconds, rule)
    passes = f"declared failing ({reason}), but passes; delete the entry"
    return CheckResult(name, False, passes, seconds)


def parametrize_members(
    *makes: Make, expected_failures: Mapping[str, Reasons] | None = None
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


def _validated(reasons: Reasons, make: Make, kind: str | None = None) -> Reasons:
    if not reasons:
        return reasons
    member, checks = _member_name(make), checks_for(make, kind)
    for name, reason in reasons.items():
        if name not in checks:
            raise ConfigError(
                f"{member}: no check '{name}' to expect a failure of{did_you_mean(name, checks)}"
            )
        if not reason.strip():
            raise ConfigError(f"{member}: the expected failure of {name} needs a reason")
    return reasons


def _member_name(make: Make) -> str:
    """The id of what is made where it has one, else the maker's name."""
    return str(getattr(made_class(make), "id", None) or getattr(make, "__name__", type(make).__name__))

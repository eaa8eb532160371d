"""`leatherens plugins check`: the conformance kit on one member, for people who write no tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leatherens.cli import Session
from leatherens.cli.kinds import Kind
from leatherens.cli.options import PATH, setting
from leatherens.core.errors import ConfigError

if TYPE_CHECKING:
    from leatherens.cli.plugin_target import Target
    from leatherens.testing import CheckResult

_INDENT = " " * 4


@click.command("check")
@click.argument("name", metavar="ID|MODULE:CLASS")
@click.option("--kind", type=Kind(), help="What ID is, where several kinds have one: detector, threshold ...")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="An option of it (repeatable).")
@click.option(
    "--defaults", is_flag=True, help="With its default options, not the small ones that it names for checks."
)
@click.option("--folder", type=PATH, help="For a reader: a folder of its own layout.")
@click.option(
    "--expect",
    "expected",
    metavar="CHECK=REASON",
    multiple=True,
    help="A check that is known to fail, and why.",
)
@click.option("--stop", is_flag=True, help="End with the first failed check.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON when all is done.")
@click.pass_context
def check(
    ctx: click.Context,
    *,
    name: str,
    kind: str | None,
    settings: tuple[str, ...],
    defaults: bool,
    folder: Path | None,
    expected: tuple[str, ...],
    stop: bool,
    as_json: bool,
) -> None:
    """Check that a plugin keeps the contract: a line per check, exit 1 if one fails.

    ID is a registered id of any kind, or plugin:id; MODULE:CLASS a class that is not registered yet.
    """
    from leatherens.cli.plugin_target import target
    from leatherens.testing import checked

    session: Session = ctx.obj
    found = target(session.host, name, kind)
    options = {} if defaults else dict(getattr(found.made, "check_options", {}))
    options |= dict(setting(text, "KEY=VALUE, such as steps=20") for text in settings)
    make = _maker(found, options, folder)
    results = checked(make, kind=found.kind, expected_failures=_reasons(expected), stop=stop)
    if as_json:
        done = list(results)
        click.echo(json.dumps(_as_json(found, options, done), indent=2, ensure_ascii=False))
    else:
        click.echo(f"Checking {found.title}{_with(options)}")
        done = list(_told(results))
        click.echo(_summary(done))
        if found.kind == "readers" and folder is None:
            click.echo("What it reads was not checked: give a folder of its layout with --folder.")
    if not all(result.passed for result in done):
        ctx.exit(1)


def _maker(found: Target, options: Mapping[str, Any], folder: Path | None) -> Any:
    """What makes one; options that do not fit are refused before the first check."""
    from leatherens.testing import On

    make: Any = partial(found.made.from_options, options) if options else found.made
    if options:
        make()
    if folder is None:
        return make
    if found.kind != "readers":
        raise ConfigError(f"--folder is for readers; {found.title} reads none")
    if not folder.exists():
        raise ConfigError(f"--folder {folder}: there is no such folder")
    return On(make, folder)


def _reasons(expected: Iterable[str]) -> dict[str, str]:
    """Reason by check."""
    reasons = {}
    for text in expected:
        check, equals, reason = text.partition("=")
        if not equals:
            raise ConfigError(f"--expect: expected CHECK=REASON, as in nan_refused='why', got '{text}'")
        reasons[check.strip()] = reason.strip()
    return reasons


def _with(options: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{key}={value}" for key, value in options.items())
    return f" with {shown}" if shown else ""


def _told(results: Iterable[CheckResult]) -> Iterator[CheckResult]:
    """The same results, each printed as it comes."""
    for result in results:
        mark = "✗" if not result.passed else "○" if result.message else "✓"
        click.echo(f"{mark} {result.name}  {result.seconds:.1f} s")
        if result.message:
            click.echo(f"{_INDENT}{result.message}")
        if not result.passed and result.rule:
            click.echo(f"{_INDENT}Wanted: {result.rule}")
        yield result


def _summary(done: list[CheckResult]) -> str:
    failed = [result.name for result in done if not result.passed]
    seconds = sum(result.seconds for result in done)
    counted = f"{len(done) - len(failed)} of {len(done)} checks passed in {seconds:.1f} s."
    if not failed:
        return counted
    return f"{counted} Failed: {', '.join(failed)}."


def _as_json(found: Target, options: Mapping[str, Any], done: list[CheckResult]) -> dict[str, Any]:
    return {
        "member": found.title,
        "kind": found.kind,
        "options": options,
        "passed": all(result.passed for result in done),
        "seconds": round(sum(result.seconds for result in done), 3),
        "checks": [asdict(result) for result in done],
    }

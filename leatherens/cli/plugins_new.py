"""`leatherens plugins new`: a package with a working part, its test and what a repository needs."""

from __future__ import annotations

from pathlib import Path

import click

from leatherens.cli import Session
from leatherens.cli.kinds import Kind, typed
from leatherens.cli.options import PATH
from leatherens.cli.template import KINDS, named, written
from leatherens.core.errors import ConfigError
from leatherens.core.registry import noun

_KINDS = tuple(KINDS)


@click.command("new")
@click.argument("name")
@click.option(
    "--kind",
    type=Kind(_KINDS),
    default="detector",
    show_default=True,
    help=f"What it brings: {', '.join(typed(kind) for kind in _KINDS)}.",
)
@click.option(
    "--out", type=PATH, default=Path(), show_default="here", help="Where the folder leatherens-NAME is made."
)
@click.pass_obj
def new(session: Session, *, name: str, kind: str, out: Path) -> None:
    """Write a package for a plugin of your own: NAME is what users will call it."""
    names = named(name, kind)
    taken = next((entry for entry in session.host.registry(kind).entries if entry.id == name), None)
    if taken:
        raise ConfigError(f"there is a {noun(kind)} '{name}', of plugin {taken.plugin}; choose another name")
    folder = out / names.distribution
    for file in written(names, folder):
        click.echo(f"  {(folder / file).as_posix()}")
    click.echo(f"Wrote a {noun(kind)} that works; make it yours in {(folder / 'src').as_posix()}.")
    click.echo("Next:")
    for command in (
        f"cd {folder.as_posix()}",
        'pip install -e ".[test]"',
        f"leatherens plugins check {name} --kind {names.kind}",
        "pytest",
    ):
        click.echo(f"  {command}")

"""`leatherens plugins docs`: a page per plugin and per hook, made from the code."""

from __future__ import annotations

from pathlib import Path

import click

from leatherens.cli import Session
from leatherens.cli.options import PATH


@click.command("docs")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--of", "asked", metavar="ID", help="Only the page of this plugin.")
@click.pass_obj
def docs(session: Session, *, folder: Path, asked: str | None) -> None:
    """Write pages about plugins into DIR/plugins, and about the hooks into DIR/hooks."""
    from leatherens.core.artifact import write_text

    written = pages(session, asked)
    for path, text in written.items():
        write_text(folder / path, text)
    click.echo(f"Wrote {len(written)} pages into {folder}.")


def pages(session: Session, asked: str | None = None) -> dict[str, str]:
    """Text by path below the folder of all: of everything, or of what goes by one id."""
    from leatherens.cli.pages.hook import hook_page, hook_path, index_page
    from leatherens.cli.pages.plugin import path_of, plugin_page
    from leatherens.cli.plugin_target import entries
    from leatherens.core.errors import ConfigError, did_you_mean
    from leatherens.core.host import ALL_HOOKS

    host, everything = session.host, entries(session.host)
    chosen = [entry for entry in everything if asked in (None, entry.id, entry.qualified)]
    if not chosen:
        hint = did_you_mean(str(asked), [entry.id for entry in everything])
        raise ConfigError(f"--of: no plugin is called '{asked}'{hint}")
    found = {str(path_of(entry)): plugin_page(host, entry) for entry in chosen}
    if asked is None:
        found["plugins/README.md"] = index_page(host)
        found |= {str(hook_path(hook)): hook_page(host, hook) for hook in ALL_HOOKS}
    return found

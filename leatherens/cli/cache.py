"""`leatherens cache`: the features that runs remember on disk, how many there are, and their removal."""

from __future__ import annotations

import click

from leatherens.cli import Group
from leatherens.core.feature_store import (
    FOLDER_VARIABLE,
    SIZE_VARIABLE,
    FeatureStore,
    store_folder,
    store_limit_mb,
)


@click.group(invoke_without_command=True, cls=Group)
@click.pass_context
def cache(ctx: click.Context) -> None:
    """Show or clear the features of frozen backbones that runs remember on disk.

    They lie in the folder that LEATHERENS_CACHE names, or where this platform keeps what can be made again,
    and take at most LEATHERENS_CACHE_MB (4096; 0 remembers none).
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(show)


@cache.command()
def show() -> None:
    """Where it is and what lies in it; also what `cache` alone does."""
    store = _store()
    if store is None:
        return
    size = store.size()
    limit = f"at most {store.limit_mb} MB" if store.limit_mb else f"switched off by {SIZE_VARIABLE}=0"
    click.echo(f"{store.folder}: {size.entries} entries, {size.megabytes:.0f} MB ({limit})")


@cache.command()
def clear() -> None:
    """Remove every entry; the next run computes its features anew."""
    store = _store()
    if store is None:
        return
    removed = store.clear()
    click.echo(f"{store.folder}: removed {removed.entries} entries, {removed.megabytes:.0f} MB")


def _store() -> FeatureStore | None:
    folder = store_folder()
    if folder is None:
        click.echo(f"there is no cache: this user has no home folder; name one with {FOLDER_VARIABLE}")
        return None
    return FeatureStore(folder, limit_mb=store_limit_mb())

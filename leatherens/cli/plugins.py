"""`leatherens plugins`: which plugins there are, what they offer, and why one does not work."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import click

from leatherens.cli import Group, Session
from leatherens.cli.kinds import Kind
from leatherens.cli.plugins_check import check
from leatherens.cli.plugins_docs import docs
from leatherens.cli.plugins_new import new
from leatherens.cli.plugins_table import offers_table, plugins_table
from leatherens.core.host import ALL_HOOKS, KINDS, PluginHost
from leatherens.core.registry import Entry, PluginInfo


class _ListsByDefault(Group):
    """`plugins` alone, or followed by options, is `plugins list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListsByDefault)
def plugins() -> None:
    """Show what is installed and what is broken. Without a command: list."""


plugins.add_command(check)
plugins.add_command(new)
plugins.add_command(docs)


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--kind", type=Kind(), help="Only what is offered of one kind.")
@click.option("--hook", type=click.Choice(ALL_HOOKS), help="Only plugins that implement a hook.")
@click.option("--all", "show_all", is_flag=True, help="Also show blocked plugins.")
@click.pass_obj
def list_plugins(
    session: Session, *, as_json: bool, kind: str | None, hook: str | None, show_all: bool
) -> None:
    """List what the plugins offer, then the plugins: where from, for which API version, what is wrong."""
    host = session.host
    shown = [_only_kind(plugin, kind) for plugin in host.plugins() if hook is None or hook in plugin.hooks]
    shown = [p for p in shown if p.entries or _stays(p, show_all=show_all, observers=kind is None)]
    conflicts = _conflicts(host)
    if as_json:
        click.echo(
            json.dumps([_as_json(plugin, conflicts) for plugin in shown], indent=2, ensure_ascii=False)
        )
    else:
        offers = offers_table(shown, conflicts)
        for line in (*offers, *([""] if offers else []), *plugins_table(shown)):
            click.echo(line)


def _stays(plugin: PluginInfo, *, show_all: bool, observers: bool) -> bool:
    """Whether one that offers nothing is listed: it is broken, was asked for, or observes runs."""
    watches = observers and plugin.state == "ok" and bool(plugin.observes)
    return watches or plugin.state == "broken" or (show_all and plugin.state == "blocked")


def _only_kind(plugin: PluginInfo, kind: str | None) -> PluginInfo:
    return replace(plugin, claims=tuple(entry for entry in plugin.claims if kind in (None, entry.kind)))


def _conflicts(host: PluginHost) -> dict[Entry, list[str]]:
    """The other plugins that claim the same id, for each entry that has a rival."""
    rivals: dict[Entry, list[str]] = {}
    for kind in KINDS:
        registry = host.registry(kind)
        for entry in registry.entries:
            if entry.id in registry.conflicts:
                rivals[entry] = [e.plugin for e in registry.entries if e.id == entry.id and e != entry]
    return rivals


def _as_json(plugin: PluginInfo, conflicts: dict[Entry, list[str]]) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "origin": plugin.origin.value,
        "distribution": plugin.distribution,
        "file": None if plugin.file is None else str(plugin.file),
        "version": plugin.version,
        "api": plugin.api,
        "api_stated": plugin.api_stated,
        "state": plugin.state,
        "reason": plugin.reason,
        "remarks": list(plugin.remarks),
        "hooks": list(plugin.hooks),
        "offers": [
            {
                "kind": entry.kind,
                "id": entry.id,
                "summary": entry.summary,
                "target": entry.target,
                "conflicts": conflicts.get(entry, []),
            }
            for entry in plugin.entries
        ],
    }

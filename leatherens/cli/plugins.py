"""`leatherens plugins`: which plugins there are, what they offer, and why one does not work."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import click

from leatherens.cli import Group, Session
from leatherens.cli.kinds import Kind
from leatherens.cli.plugins_check import check
from leatherens.cli.plugins_docs import docs
from leatherens.cli.plugins_new import new
from leatherens.core.host import HOOKS, KINDS, PluginHost
from leatherens.core.registry import Entry, PluginInfo

_COLUMNS = ("kind", "id", "summary", "plugin", "distribution", "state")
_SUMMARY = _COLUMNS.index("summary")
_SHORTEST_SUMMARY = 20


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
@click.option("--hook", type=click.Choice(HOOKS), help="Only plugins that implement a hook.")
@click.option("--all", "show_all", is_flag=True, help="Also show blocked plugins.")
@click.pass_obj
def list_plugins(
    session: Session, *, as_json: bool, kind: str | None, hook: str | None, show_all: bool
) -> None:
    """List what the plugins offer, and the broken ones with the reason."""
    host = session.host
    shown = [_only_kind(plugin, kind) for plugin in host.plugins() if hook is None or hook in plugin.hooks]
    shown = [p for p in shown if p.entries or p.state == "broken" or (show_all and p.state == "blocked")]
    conflicts = _conflicts(host)
    if as_json:
        click.echo(
            json.dumps([_as_json(plugin, conflicts) for plugin in shown], indent=2, ensure_ascii=False)
        )
    else:
        _print_table(shown, conflicts)


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
        "distribution": plugin.distribution,
        "version": plugin.version,
        "state": plugin.state,
        "reason": plugin.reason,
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


def _print_table(shown: Sequence[PluginInfo], conflicts: dict[Entry, list[str]]) -> None:
    plugins_by_entry = {entry: plugin for plugin in shown for entry in plugin.entries}
    rows = [_row(plugins_by_entry[entry], entry, conflicts) for entry in sorted(plugins_by_entry)]
    for line in _lines([_COLUMNS, *rows]):
        click.echo(line)
    troubles = [plugin.trouble for plugin in shown if plugin.trouble]
    if troubles:
        click.echo()
    for trouble in troubles:
        click.echo(trouble)


def _row(plugin: PluginInfo, entry: Entry, conflicts: dict[Entry, list[str]]) -> tuple[str, ...]:
    rivals = ", ".join(conflicts.get(entry, []))
    state = f"conflict with {rivals}; use {entry.qualified}" if rivals else plugin.state
    distribution = f"{plugin.distribution} {plugin.version}".strip()
    return entry.kind, entry.id, entry.summary, plugin.name, distribution, state


def _lines(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    """Rows as aligned columns; on a narrow terminal the summaries are cut, into a pipe they go whole."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    if sys.stdout.isatty():
        excess = sum(widths) + 2 * (len(widths) - 1) - shutil.get_terminal_size().columns
        widths[_SUMMARY] = max(min(widths[_SUMMARY], _SHORTEST_SUMMARY), widths[_SUMMARY] - max(excess, 0))
    for row in rows:
        cells = [_cut(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"

"""The tables of `leatherens plugins list`: what is offered, and by which plugins."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from itertools import chain

from leatherens.core.registry import Entry, Origin, PluginInfo

_OFFERS = ("kind", "id", "summary", "plugin", "state")
_PLUGINS = ("plugin", "origin", "version", "API", "offers", "observes", "state", "reason")
_SUMMARY = _OFFERS.index("summary")
_SHORTEST_SUMMARY = 20


def offers_table(shown: Sequence[PluginInfo], conflicts: Mapping[Entry, Sequence[str]]) -> list[str]:
    """A line per thing that is offered, sorted by kind and id; none where nothing is."""
    rows = [_offer(entry, conflicts) for entry in sorted(chain(*(plugin.entries for plugin in shown)))]
    return _lines([_OFFERS, *rows], cut=_SUMMARY) if rows else []


def plugins_table(shown: Sequence[PluginInfo]) -> list[str]:
    """A line per plugin; why it is broken comes last, since it may be long."""
    return _lines([_PLUGINS, *map(_plugin, shown)])


def _offer(entry: Entry, conflicts: Mapping[Entry, Sequence[str]]) -> tuple[str, ...]:
    rivals = ", ".join(conflicts.get(entry, []))
    state = f"conflict with {rivals}; use {entry.qualified}" if rivals else "ok"
    return entry.kind, entry.id, entry.summary, entry.plugin, state


def _plugin(plugin: PluginInfo) -> tuple[str, ...]:
    told = "; ".join([plugin.reason, *plugin.remarks] if plugin.reason else plugin.remarks)
    offers = str(len(plugin.entries))
    observes = ", ".join(plugin.observes)
    return plugin.name, _origin(plugin), plugin.version, _api(plugin), offers, observes, plugin.state, told


def _origin(plugin: PluginInfo) -> str:
    if plugin.origin is Origin.distribution:
        return plugin.distribution or plugin.origin.value
    return plugin.origin.value if plugin.file is None else str(plugin.file)


def _api(plugin: PluginInfo) -> str:
    if plugin.api is None:
        return "?"
    return str(plugin.api) if plugin.api_stated else f"{plugin.api} (not stated)"


def _lines(rows: Sequence[tuple[str, ...]], cut: int | None = None) -> list[str]:
    """Rows as aligned columns; on a narrow terminal the column `cut` is cut, into a pipe it goes whole."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if cut is not None and sys.stdout.isatty():
        excess = sum(widths) + 2 * (len(widths) - 1) - shutil.get_terminal_size().columns
        widths[cut] = max(min(widths[cut], _SHORTEST_SUMMARY), widths[cut] - max(excess, 0))
    return [
        "  ".join(_cut(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"

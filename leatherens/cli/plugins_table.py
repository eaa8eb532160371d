"""The tables of `leatherens plugins list`: what is offered, and by which plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from leatherens.cli.columns import aligned
from leatherens.core.registry import Entry, Origin, PluginInfo

_OFFERS = ("kind", "id", "summary", "plugin", "state")
_PLUGINS = ("plugin", "origin", "version", "API", "offers", "observes", "state", "reason")
_SUMMARY = _OFFERS.index("summary")


def offers_table(shown: Sequence[PluginInfo], conflicts: Mapping[Entry, Sequence[str]]) -> list[str]:
    """A line per thing that is offered, sorted by kind and id; none where nothing is."""
    rows = [_offer(entry, conflicts) for entry in sorted(chain(*(plugin.entries for plugin in shown)))]
    return aligned([_OFFERS, *rows], cut=_SUMMARY) if rows else []


def plugins_table(shown: Sequence[PluginInfo]) -> list[str]:
    """A line per plugin; why it is broken comes last, since it may be long."""
    return aligned([_PLUGINS, *map(_plugin, shown)])


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

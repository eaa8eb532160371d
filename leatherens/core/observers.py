"""The observers of one run: plugins that implement observer hooks, and the trackers that were asked for.

Each is called alone. One that raises is named once and told nothing more of this run, which goes on.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pluggy

from leatherens.core import hookspecs
from leatherens.core.errors import PluginError, PluginWarning, did_you_mean
from leatherens.core.hookspecs import OBSERVER_HOOKS
from leatherens.core.plugin_checks import check_marked
from leatherens.core.plugin_trace import Trace
from leatherens.core.strangers import failed, kept_from

if TYPE_CHECKING:
    from leatherens.core.tracking import Tracker


class Observers:
    """Who is told of one run; nobody where none is given."""

    def __init__(self, plugins: Iterable[tuple[str, Any]] = (), trackers: Iterable[Tracker] = ()) -> None:
        """plugins: what to call each in messages, and what implements its hooks."""
        self._manager = pluggy.PluginManager("leatherens")
        self._manager.add_hookspecs(hookspecs)
        self._trace = Trace.from_environment()
        self._trace.watch(self._manager)
        self._off: set[str] = set()
        for who, plugin in plugins:
            self._manager.register(plugin, name=who)
        for tracker in trackers:
            require_hooks(type(tracker))
            self._manager.register(tracker, name=f"tracker '{tracker.id}'")

    def tell(self, hook: str, **what: Any) -> None:
        """Call one hook of everybody who implements it, each with values of its own."""
        for who, plugin in self._manager.list_name_plugin():
            if plugin is None or who in self._off or not self._implements(plugin, hook):
                continue
            others = [other for _, other in self._manager.list_name_plugin() if other is not plugin]
            call = self._manager.subset_hook_caller(hook, remove_plugins=others)
            try:
                # epochs may be many and short, and the generators of Python and numpy are slow to look at
                with kept_from(who, f"in {hook}", quick=hook == "epoch_ended"):
                    call(**deepcopy(what))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code may raise anything
                self._switch_off(who, hook, error)

    def _implements(self, plugin: Any, hook: str) -> bool:
        return hook in [caller.name for caller in self._manager.get_hookcallers(plugin) or []]

    def _switch_off(self, who: str, hook: str, error: Exception | SystemExit) -> None:
        self._off.add(who)
        self._trace.failure(who, error)
        sentence = failed(who, f"in {hook}", error)
        warnings.warn(f"{sentence}; it is told nothing more of this run", PluginWarning, stacklevel=3)


def require_hooks(tracker: type[Tracker]) -> None:
    """Refuse a tracker whose methods would never be called, or not with what they want, in a sentence."""
    manager = pluggy.PluginManager("leatherens")
    manager.add_hookspecs(hookspecs)
    try:
        found = _hooks_of(manager, tracker)
        check_marked(tracker, found, OBSERVER_HOOKS)
    except (PluginError, pluggy.PluginValidationError) as error:
        said = " ".join(str(error).split())
        raise PluginError(f"tracker '{tracker.id}' cannot be used: {said}", plugin=tracker.id) from None


def _hooks_of(manager: pluggy.PluginManager, tracker: type[Tracker]) -> Collection[str]:
    plugin = tracker()
    manager.register(plugin, name=tracker.id)
    found = [caller.name for caller in manager.get_hookcallers(plugin) or []]
    unknown = [name for name in found if name not in OBSERVER_HOOKS]
    if unknown:
        hint = did_you_mean(unknown[0], OBSERVER_HOOKS) or f" (hooks: {', '.join(OBSERVER_HOOKS)})"
        raise PluginError(f"there is no hook '{unknown[0]}' of a run{hint}")
    return found

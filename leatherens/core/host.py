"""Finds plugins, loads each in a guard of its own and answers which detector, head or reader an id means.

A host is an object: there is no manager at module level, and two hosts know nothing of each other.
A plugin that fails to import, misspells a hook, raises while registering or was written for another version
of the contract is listed as broken and spoils only itself. One that changes what everybody shares (a seed, a
setting of torch, the working folder) is named in a `PluginWarning`, and what it changed is put back.

`LEATHERENS_BLOCK_PLUGINS=a,b` keeps plugins out by name; `LEATHERENS_TRACE_PLUGINS=1` prints every hook
call and registration to stderr.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from leatherens.core import hookspecs
from leatherens.core.deprecations import Deprecated
from leatherens.core.errors import PluginError, PluginWarning, did_you_mean, reason
from leatherens.core.global_state import kept_global_state
from leatherens.core.hookspecs import OBSERVER_HOOKS
from leatherens.core.plugin_checks import (
    UNSTATED,
    check_api,
    check_entry,
    check_marked,
    check_name,
    stated_api,
)
from leatherens.core.plugin_sources import Source, builtin_source, file_sources, installed_sources
from leatherens.core.plugin_trace import Trace
from leatherens.core.registry import Entry, PluginInfo, Registry
from leatherens.core.strangers import waiting_for, what_was_changed

if TYPE_CHECKING:
    from leatherens.core.calibration import Calibrator
    from leatherens.core.detector import Detector
    from leatherens.core.fusion import FusionBlock
    from leatherens.core.heads import Head
    from leatherens.core.observers import Observers
    from leatherens.core.preparation import Preparation
    from leatherens.core.reading import Reader
    from leatherens.core.reporting import Reporter
    from leatherens.core.scenario import Scenario
    from leatherens.core.scorefusion import ScoreFusion
    from leatherens.core.thresholds import Threshold
    from leatherens.core.tracking import Tracker
    from leatherens.core.weights import Backbone

HOOKS = tuple(sorted(name for name in vars(hookspecs) if name.startswith("register_")))
"""The hooks by which plugins say what there is."""
ALL_HOOKS = (*HOOKS, *OBSERVER_HOOKS)
KINDS = tuple(hook.removeprefix("register_") for hook in HOOKS)


class PluginHost:
    """Every plugin there is, and one `Registry` per kind.

    builtins: with the detectors, heads and so on that come with leatherens.
    installed: with the plugins of installed packages (entry-point group `leatherens`).
    files: single .py files to load as plugins, each named by its stem.
    blocked: names of plugins to keep out, besides those in LEATHERENS_BLOCK_PLUGINS.
    strict: raise if any plugin is broken, instead of listing it.
    """

    def __init__(
        self,
        *,
        builtins: bool = True,
        installed: bool = True,
        files: Sequence[Path] = (),
        blocked: Collection[str] = (),
        strict: bool = False,
    ) -> None:
        self._trace = Trace.from_environment()
        self._manager = pluggy.PluginManager("leatherens")
        self._manager.add_hookspecs(hookspecs)
        self._trace.watch(self._manager)
        self._blocked = {*blocked, *_names(os.environ.get("LEATHERENS_BLOCK_PLUGINS", ""))}
        sources = [builtin_source()] if builtins else []
        sources += installed_sources() if installed else []
        sources += file_sources(files)
        self._plugins = tuple(self._load(source, sources) for source in sorted(sources, key=Source.order))
        for plugin in self._plugins:
            for remark in plugin.remarks:
                warnings.warn(f"plugin {plugin.label} {remark}", PluginWarning, stacklevel=2)
        if strict:
            self._refuse_broken()

    def plugins(self) -> list[PluginInfo]:
        """Every plugin found, sorted by name, whatever became of it."""
        return list(self._plugins)

    def registry(self, kind: str) -> Registry[Any]:
        """What is offered of one kind, by the kind's name."""
        if kind not in KINDS:
            raise PluginError(
                f"no kind of plugin '{kind}'{did_you_mean(kind, KINDS)} (kinds: {', '.join(KINDS)})"
            )
        return Registry(kind, self._plugins)

    def detectors(self) -> Registry[Detector]:
        """Techniques that learn from good images."""
        return self.registry("detectors")

    def fusion_blocks(self) -> Registry[FusionBlock]:
        """Ways to join the members' feature maps."""
        return self.registry("fusion_blocks")

    def heads(self) -> Registry[Head]:
        """Models from fused features to a score map."""
        return self.registry("heads")

    def score_fusions(self) -> Registry[ScoreFusion]:
        """Rules that make one score of several."""
        return self.registry("score_fusions")

    def calibrators(self) -> Registry[Calibrator]:
        """Ways to put raw scores on a common scale."""
        return self.registry("calibrators")

    def thresholds(self) -> Registry[Threshold]:
        """Rules that choose where defective begins."""
        return self.registry("thresholds")

    def readers(self) -> Registry[Reader]:
        """Data set layouts."""
        return self.registry("readers")

    def preparations(self) -> Registry[Preparation]:
        """Steps between a photograph and the working size."""
        return self.registry("preparations")

    def backbones(self) -> Registry[Backbone]:
        """Packages that bring pretrained weights along."""
        return self.registry("backbones")

    def reporters(self) -> Registry[Reporter]:
        """Reports of a finished run."""
        return self.registry("reporters")

    def scenarios(self) -> Registry[Scenario]:
        """Recipes that are picked by name."""
        return self.registry("scenarios")

    def trackers(self) -> Registry[Tracker]:
        """Observers of runs that are switched on by name."""
        return self.registry("trackers")

    def observers(self, trackers: Sequence[Tracker] = ()) -> Observers:
        """Who is told of one run: every plugin that implements an observer hook, and these trackers."""
        from leatherens.core.observers import Observers

        observing = [plugin for plugin in self._plugins if plugin.state == "ok" and plugin.observes]
        return Observers(
            ((f"plugin {plugin.label}", self._manager.get_plugin(plugin.name)) for plugin in observing),
            trackers,
        )

    def _load(self, source: Source, all_sources: Sequence[Source]) -> PluginInfo:
        """One plugin, whole or broken; only what is not a plugin's fault (Ctrl-C) gets out of here."""
        if source.name in self._blocked:
            return replace(source.info, state="blocked")
        loading = _Loading(source, self._trace)
        try:
            check_name(source, all_sources)
            with loading.guarded():
                loading.plugin = source.load()
                stated = stated_api(loading.plugin)
                loading.api, loading.api_stated = UNSTATED if stated is None else stated, stated is not None
                check_api(loading.api, source)
                self._register(loading)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code may raise anything
            self._discard(loading)
            self._trace.failure(source.name, error)
            why = str(error) if isinstance(error, PluginError) else reason(error)
            return replace(loading.info, state="broken", reason=why)
        return loading.info

    def _register(self, loading: _Loading) -> None:
        """Hand a loaded plugin to pluggy and call each of its hooks alone."""
        if self._manager.is_registered(loading.plugin):
            raise PluginError(f"it is the same object as plugin {self._manager.get_name(loading.plugin)}")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self._manager.register(loading.plugin, name=loading.source.name)
        loading.remarks += [f"is to be changed: {w.message}" for w in caught if w.category is Deprecated]
        callers = self._manager.get_hookcallers(loading.plugin) or []
        loading.hooks = sorted(caller.name for caller in callers)
        self._check_pending(callers)
        check_marked(loading.plugin, loading.hooks, ALL_HOOKS)
        others = self._manager.get_plugins() - {loading.plugin}
        for hook in loading.hooks:
            if hook in HOOKS:
                call = self._manager.subset_hook_caller(hook, remove_plugins=others)
                call(register=loading.register_as(hook.removeprefix("register_")))

    def _check_pending(self, callers: Sequence[pluggy.HookCaller]) -> None:
        """Refuse hooks that do not exist; one marked `optionalhook` may be of a newer leatherens."""
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError:
            pending = [c for c in callers if not c.has_spec()]
            unknown = next(c.name for c in pending if not all(i.optionalhook for i in c.get_hookimpls()))
            hint = did_you_mean(unknown, ALL_HOOKS) or f" (hooks: {', '.join(ALL_HOOKS)})"
            raise PluginError(f"there is no hook '{unknown}'{hint}") from None

    def _discard(self, loading: _Loading) -> None:
        registered = self._manager.get_plugin(loading.source.name)
        if registered is not None and registered is loading.plugin:
            self._manager.unregister(name=loading.source.name)

    def _refuse_broken(self) -> None:
        broken = [plugin for plugin in self._plugins if plugin.state == "broken"]
        if broken:
            sentence = "; ".join(plugin.trouble for plugin in broken)
            raise PluginError(
                f"{sentence} (refused because broken plugins are fatal here)", plugin=broken[0].name
            )


@dataclass(slots=True)
class _Loading:
    """One plugin while it is loaded: kept whole, or dropped whole."""

    source: Source
    trace: Trace
    plugin: Any = None
    api: int | None = None
    api_stated: bool = False
    hooks: list[str] = field(default_factory=list)
    claims: list[Entry] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def info(self) -> PluginInfo:
        """What is known of it so far."""
        return replace(
            self.source.info,
            api=self.api,
            api_stated=self.api_stated,
            hooks=tuple(self.hooks),
            claims=tuple(sorted(self.claims)),
            remarks=tuple(self.remarks),
        )

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Around the plugin's code: it neither keeps anybody waiting unnamed nor changes what is shared."""
        info, changed = self.source.info, list[str]()
        try:
            with waiting_for(info.label, info.way_out), kept_global_state() as changed:
                yield
        finally:
            if changed:
                self.remarks.append(what_was_changed(changed, "while it was imported"))

    def register_as(self, kind: str) -> Callable[..., None]:
        """The `register` callable that one hook receives."""

        def register(id: str, target: str, *, summary: str = "") -> None:
            entry = Entry(kind, id, self.source.name, self.source.importable(target), summary)
            check_entry(entry, self.claims)
            self.claims.append(entry)
            self.trace.registration(entry)

        register.__qualname__ = "register"  # what a wrong call's TypeError shows
        return register


def _names(text: str) -> set[str]:
    return {name.strip() for name in text.split(",") if name.strip()}

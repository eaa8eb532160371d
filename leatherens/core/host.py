"""Finds plugins, loads each in a guard of its own and answers which detector, head or reader an id means.

A host is an object: there is no manager at module level, and two hosts know nothing of each other.
A plugin that fails to import, misspells a hook or raises while registering is listed as broken and
spoils only itself.

`LEATHERENS_BLOCK_PLUGINS=a,b` keeps plugins out by name; `LEATHERENS_TRACE_PLUGINS=1` prints every hook
call and registration to stderr.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from leatherens.core import hookspecs
from leatherens.core.errors import PluginError, did_you_mean
from leatherens.core.plugin_sources import Source, builtin_source, file_source, installed_sources
from leatherens.core.plugin_trace import Trace
from leatherens.core.registry import Entry, PluginInfo, Registry, noun, reason

if TYPE_CHECKING:
    from leatherens.core.calibration import Calibrator
    from leatherens.core.detector import Detector
    from leatherens.core.fusion import FusionBlock
    from leatherens.core.heads import Head
    from leatherens.core.preparation import Preparation
    from leatherens.core.reading import Reader
    from leatherens.core.reporting import Reporter
    from leatherens.core.scorefusion import ScoreFusion
    from leatherens.core.thresholds import Threshold
    from leatherens.core.weights import Backbone

HOOKS = tuple(sorted(name for name in vars(hookspecs) if name.startswith("register_")))
KINDS = tuple(hook.removeprefix("register_") for hook in HOOKS)

_ID = re.compile(r"[a-z0-9]+(?:[-._][a-z0-9]+)*")
_TARGET = re.compile(r"[\w.]+:[\w.]+")


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
        sources += [file_source(Path(file)) for file in files]
        self._plugins = tuple(self._load(source, sources) for source in sorted(sources, key=Source.order))
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

    def _load(self, source: Source, all_sources: Sequence[Source]) -> PluginInfo:
        """One plugin, whole or broken; only what is not a plugin's fault (Ctrl-C) gets out of here."""
        found = PluginInfo(source.name, source.distribution, source.version)
        if source.name in self._blocked:
            return replace(found, state="blocked")
        loading = _Loading(source, self._trace)
        try:
            _check_name(source, all_sources)
            loading.plugin = source.load()
            self._register(loading)
            return replace(found, hooks=tuple(loading.hooks), claims=tuple(sorted(loading.claims)))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code may raise anything
            self._discard(loading)
            self._trace.failure(source.name, error)
            why = str(error) if isinstance(error, PluginError) else reason(error)
            claims = tuple(sorted(loading.claims))
            return replace(found, state="broken", reason=why, hooks=tuple(loading.hooks), claims=claims)

    def _register(self, loading: _Loading) -> None:
        """Hand a loaded plugin to pluggy and call each of its hooks alone."""
        if self._manager.is_registered(loading.plugin):
            raise PluginError(f"it is the same object as plugin {self._manager.get_name(loading.plugin)}")
        self._manager.register(loading.plugin, name=loading.source.name)
        callers = self._manager.get_hookcallers(loading.plugin) or []
        loading.hooks = sorted(caller.name for caller in callers)
        self._check_pending(callers)
        _check_marked(loading)
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
            hint = did_you_mean(unknown, HOOKS) or f" (hooks: {', '.join(HOOKS)})"
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
    hooks: list[str] = field(default_factory=list)
    claims: list[Entry] = field(default_factory=list)

    def register_as(self, kind: str) -> Callable[..., None]:
        """The `register` callable that one hook receives."""

        def register(id: str, target: str, *, summary: str = "") -> None:
            entry = Entry(kind, id, self.source.name, self.source.importable(target), summary)
            _check_entry(entry, self.claims)
            self.claims.append(entry)
            self.trace.registration(entry)

        register.__qualname__ = "register"  # what a wrong call's TypeError shows
        return register


def _names(text: str) -> set[str]:
    return {name.strip() for name in text.split(",") if name.strip()}


def _check_name(source: Source, all_sources: Sequence[Source]) -> None:
    """Two plugins of one name cannot be told apart in `plugin:id`; the built-ins keep theirs."""
    alike = [other for other in all_sources if other.name == source.name and other is not source]
    if alike and not source.builtin:
        origins = " and ".join(sorted(s.origin for s in (source, *alike)))
        raise PluginError(f"the name '{source.name}' is taken twice, by {origins}; rename or uninstall one")


def _check_marked(loading: _Loading) -> None:
    """Refuse what pluggy would pass over in silence: hooks without their marker."""
    for hook in HOOKS:
        if hook not in loading.hooks and callable(getattr(loading.plugin, hook, None)):
            raise PluginError(f"{hook} is not marked with @leatherens.hookimpl")
    if not loading.hooks:
        raise PluginError("it implements no hook; mark its functions with @leatherens.hookimpl")


def _check_entry(entry: Entry, claims: Sequence[Entry]) -> None:
    what = noun(entry.kind)
    if not isinstance(entry.id, str) or not _ID.fullmatch(entry.id):
        raise PluginError(
            f"{what} {entry.id!r}: an id is lower-case letters and digits joined by - (as in 'grain-flow')"
        )
    if not isinstance(entry.target, str) or not _TARGET.fullmatch(entry.target):
        raise PluginError(
            f"{what} '{entry.id}': the target is a string 'package.module:Class', got {entry.target!r}"
        )
    if any((claim.kind, claim.id) == (entry.kind, entry.id) for claim in claims):
        raise PluginError(f"{what} '{entry.id}' is registered twice")

"""What plugins offer, by kind and id: tables of strings whose targets are imported when first used."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeVar, cast

from leatherens.core.adoption import adopted, base_of
from leatherens.core.errors import (
    PluginConflict,
    PluginError,
    PluginWarning,
    UnknownPlugin,
    did_you_mean,
    reason,
)
from leatherens.core.hookspecs import OBSERVER_HOOKS
from leatherens.core.strangers import kept_from, waiting_for

if TYPE_CHECKING:
    from leatherens.core.scenario import Scenario

SUFFIXES = (".yaml", ".yml")
"""What a target ends with that is a data file and no class."""

T = TypeVar("T")

FILE_MODULE = "_leatherens_plugin_"
"""What the module of a plugin file is called, with a digest of its path behind."""


def noun(kind: str) -> str:
    """One thing of a kind, as messages name it.

    >>> noun("score_fusions")
    'score fusion'
    """
    return kind.removesuffix("s").replace("_", " ")


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One thing a plugin offers; `target` is "package.module:Class", or the file of a scenario."""

    kind: str
    id: str
    plugin: str
    target: str
    summary: str = ""

    @property
    def qualified(self) -> str:
        """`plugin:id`, which names one thing even where two plugins claim the id."""
        return f"{self.plugin}:{self.id}"


class Origin(str, Enum):
    """Where a plugin comes from, and with that how another machine gets it."""

    builtin = "built-in"
    distribution = "distribution"
    file = "file"


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One plugin as it was found.

    file: the .py file that it is, where it is one.
    api: the version of the contract it was written for, `None` where it could not be asked. api_stated: it
        says so itself, and is not only taken to be of version 1.
    reason: why it is broken, as a clause.
    hooks: names of the hooks it implements, sorted.
    claims: what it registered, sorted; of a broken plugin what it had registered before it broke, which
        nobody can use but a message can name.
    remarks: what it did that a user should know, as predicates: "changed torch's thread count ...".
    """

    name: str
    distribution: str = ""
    version: str = ""
    origin: Origin = Origin.distribution
    file: Path | None = None
    api: int | None = None
    api_stated: bool = False
    state: Literal["ok", "broken", "blocked"] = "ok"
    reason: str = ""
    hooks: tuple[str, ...] = ()
    claims: tuple[Entry, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What can be used of it: everything it registered, or nothing."""
        return self.claims if self.state == "ok" else ()

    @property
    def observes(self) -> tuple[str, ...]:
        """The observer hooks it implements, in the order of a run's life."""
        return tuple(hook for hook in OBSERVER_HOOKS if hook in self.hooks)

    @property
    def label(self) -> str:
        """The plugin and what it came in, named once where the two are called alike.

        >>> PluginInfo("grain", "leatherens-grain", "1.2").label, PluginInfo("grain", "grain", "1.2").label
        ('grain (leatherens-grain 1.2)', 'grain 1.2')
        """
        origin = f"{self.distribution} {self.version}".strip()
        if self.name == self.distribution:
            return origin
        return f"{self.name} ({origin})" if origin else self.name

    @property
    def way_out(self) -> str:
        """How to do without it."""
        if self.file:
            return f"leave out --plugin {self.file.name} to do without it"
        return f"LEATHERENS_BLOCK_PLUGINS={self.name} or --no-plugins does without it"

    @property
    def trouble(self) -> str:
        """Why nothing of it can be used, as a clause; empty when all is well."""
        return "" if self.state == "ok" else f"plugin {self.label} is {self._state_and_reason}"

    @property
    def _state_and_reason(self) -> str:
        return f"{self.state}: {self.reason}" if self.reason else self.state


class Registry(Generic[T]):
    """What the plugins offer of one kind. Sorted by id; nothing depends on the order of loading."""

    def __init__(self, kind: str, plugins: Sequence[PluginInfo]) -> None:
        self.kind = kind
        self._plugins = tuple(plugins)
        self._offering = {plugin.name: plugin for plugin in plugins if plugin.state == "ok"}
        self.entries: tuple[Entry, ...] = tuple(
            sorted(entry for plugin in plugins for entry in plugin.entries if entry.kind == kind)
        )
        claimed = Counter(entry.id for entry in self.entries)
        self.conflicts: frozenset[str] = frozenset(id for id, count in claimed.items() if count > 1)

    def ids(self) -> tuple[str, ...]:
        """Every id that `load` takes, sorted; `plugin:id` where two plugins claim one id."""
        return tuple(sorted(e.qualified if e.id in self.conflicts else e.id for e in self.entries))

    def entry(self, id: str) -> Entry:
        """What is registered as `id` or `plugin:id`."""
        found = [entry for entry in self.entries if id in (entry.id, entry.qualified)]
        if not found:
            raise self._unknown(id)
        if len(found) > 1:
            raise self._conflict(id, found)
        return found[0]

    def load(self, id: str) -> type[T]:
        """The class registered as `id`, imported now if it was not before, and joined to its kind's base."""
        entry = self.entry(id)
        found = self._imported(entry)
        if not isinstance(found, type):
            self._fail(entry, f"expected a class, got {type(found).__name__}")
        if getattr(found, "id", None) != entry.id:
            self._fail(entry, f"the class says id = {getattr(found, 'id', None)!r}, expected {entry.id!r}")
        try:
            return cast("type[T]", adopted(found, self.kind))
        except PluginError as error:
            self._fail(entry, str(error))

    def usable(self) -> dict[str, type[T]]:
        """Every class by id, less those that cannot be used, each of which is told in a `PluginWarning`."""
        found: dict[str, type[T]] = {}
        for id in self.ids():
            try:
                found[id] = self.load(id)
            except PluginError as error:
                warnings.warn(f"{error}; done without it", PluginWarning, stacklevel=2)
        return found

    def _imported(self, entry: Entry) -> Any:
        """What the target names, imported under guard; its base class first, and with it what that needs."""
        base = base_of(self.kind)
        module, _, path = entry.target.partition(":")
        plugin = self._offering[entry.plugin]
        try:
            with _guard(plugin, module):
                imported = importlib.import_module(module)
                if path.endswith(SUFFIXES):
                    return cast("type[Scenario]", base).around(entry.id, beside(imported) / path)
                return reduce(getattr, path.split("."), imported)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module may raise anything
            self._fail(entry, reason(error), error)

    def _fail(self, entry: Entry, why: str, cause: BaseException | None = None) -> NoReturn:
        plugin = self._offering[entry.plugin]
        target = _shown(entry.target, plugin)
        message = f"{noun(self.kind)} '{entry.id}' of plugin {plugin.label} cannot be used: {target}: {why}"
        raise PluginError(message, plugin=entry.plugin) from cause

    def _unknown(self, id: str) -> UnknownPlugin:
        ids = self.ids()
        hint = did_you_mean(id, ids)
        known = f"({self.kind.replace('_', ' ')}: {', '.join(ids) or 'none'})"
        message = f"no {noun(self.kind)} '{id}'{hint} {known}" + "".join(
            f"; {clause}" for clause in self._suspects(id)
        )
        return UnknownPlugin(message, id=id, candidates=ids)

    def _suspects(self, id: str) -> list[str]:
        """The broken or blocked plugins that offer `id`, or that might where nobody is known to."""
        absent = [plugin for plugin in self._plugins if plugin.trouble]
        sure = [p for p in absent if any(c.kind == self.kind and id in (c.id, c.qualified) for c in p.claims)]
        return [p.trouble.replace(" is ", " offers it but is ", 1) for p in sure] or [
            p.trouble for p in absent
        ]

    def _conflict(self, id: str, found: Sequence[Entry]) -> PluginConflict:
        names = [entry.plugin for entry in found]
        labels = " and ".join(self._offering[name].label for name in names)
        choices = " or ".join(repr(entry.qualified) for entry in found)
        message = (
            f"{noun(self.kind)} '{id}' is claimed by the plugins {labels}; "
            f"ask for {choices}, or block one: LEATHERENS_BLOCK_PLUGINS={names[-1]}"
        )
        return PluginConflict(message, id=id, plugins=names)


@contextmanager
def _guard(plugin: PluginInfo, module: str) -> Iterator[None]:
    """What is put around the import of a module of a plugin; nothing around one that was imported before."""
    if module in sys.modules:
        yield
        return
    doing = f"while {_shown(module, plugin)} was imported"
    with waiting_for(plugin.label, plugin.way_out), kept_from(f"plugin {plugin.label}", doing):
        yield


def beside(module: ModuleType) -> Path:
    """The folder of a module's file, where the data files of its package lie."""
    if module.__file__ is None:
        raise ImportError(f"{module.__name__} is no file, so that nothing lies beside it")
    return Path(module.__file__).parent


def _shown(target: str, plugin: PluginInfo) -> str:
    """A target or its module as its author knows it: a plugin file goes by a made-up name inside."""
    if plugin.file is None or not target.startswith(FILE_MODULE):
        return target
    _, colon, path = target.partition(":")
    return f"{plugin.file.name}{colon}{path}"

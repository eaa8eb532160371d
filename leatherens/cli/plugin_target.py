"""Which class is meant: a registered id of any kind, or one that is not registered yet."""

from __future__ import annotations

import importlib
import re
import sys
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from leatherens.cli.kinds import typed
from leatherens.core.errors import ConfigError, UnknownPlugin, did_you_mean, reason
from leatherens.core.host import KINDS, PluginHost
from leatherens.core.registry import Entry, noun

_CLASS = re.compile(r"[\w.]+:[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class Target:
    """A class, its kind of plugin, and what messages call it."""

    kind: str
    made: type[Any]
    title: str


def target(host: PluginHost, text: str, kind: str | None) -> Target:
    """What `ID`, `plugin:id` or `module:Class` means; of which kind, where the id alone leaves it open."""
    found = [entry for entry in entries(host, kind) if text in (entry.id, entry.qualified)]
    kinds = sorted({entry.kind for entry in found})
    if len(kinds) > 1:
        what = " and a ".join(noun(one) for one in kinds)
        ways = " or ".join(f"--kind {typed(one)}" for one in kinds)
        raise ConfigError(f"'{text}' is a {what}; say which is meant: {ways}")
    if kinds:
        made = host.registry(kinds[0]).load(text)
        return Target(kinds[0], made, f"{noun(kinds[0])} {text} of plugin {found[0].plugin}")
    if _CLASS.fullmatch(text):
        return _unregistered(text, kind)
    raise _unknown(host, text, kind)


def entries(host: PluginHost, kind: str | None = None) -> list[Entry]:
    """Everything offered, of one kind or of all."""
    return [entry for one in ([kind] if kind else KINDS) for entry in host.registry(one).entries]


def _unregistered(text: str, kind: str | None) -> Target:
    from leatherens.testing.checks import kind_of

    module, _, path = text.partition(":")
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does: the class is likely being written here
    try:
        made: Any = reduce(getattr, path.split("."), importlib.import_module(module))
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{text} cannot be imported: {reason(error)}") from error
    if not isinstance(made, type):
        raise ConfigError(f"{text}: expected a class, got {type(made).__name__}")
    kind = kind or kind_of(made)
    if kind is None:
        raise ConfigError(
            f"{text} derives from no base class of leatherens; say what it is, e.g. --kind detector"
        )
    return Target(kind, made, f"{noun(kind)} {text}")


def _unknown(host: PluginHost, text: str, kind: str | None) -> UnknownPlugin:
    ids = sorted({entry.id for entry in entries(host, kind)})
    hint = did_you_mean(text, ids)
    troubles = "".join(f"; {plugin.trouble}" for plugin in host.plugins() if plugin.trouble)
    message = (
        f"no {noun(kind) if kind else 'plugin of any kind'} is called '{text}'{hint}{troubles} "
        "(leatherens plugins list shows what there is; a class that is not registered is module:Class)"
    )
    return UnknownPlugin(message, id=text, candidates=ids)

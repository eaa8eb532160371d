"""What a plugin is refused for before anything of it is used: its name, API version, hooks and ids."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from leatherens.core import hookspecs
from leatherens.core.errors import PluginError
from leatherens.core.plugin_sources import Source
from leatherens.core.registry import Entry, noun

_ID = re.compile(r"[a-z0-9]+(?:[-._][a-z0-9]+)*")
_TARGET = re.compile(r"[\w.]+:[\w.]+")
_FILE = re.compile(r"[\w.]+:[\w./-]+\.ya?ml")

STATED_BY = "leatherens_api"
"""The name under which a plugin states the version of the contract that it was written for."""
UNSTATED = 1
"""The version of a plugin that states none."""


def check_name(source: Source, all_sources: Sequence[Source]) -> None:
    """Two plugins of one name cannot be told apart in `plugin:id`; the built-ins keep theirs."""
    alike = [other for other in all_sources if other.name == source.name and other is not source]
    if alike and not source.builtin:
        places = " and ".join(sorted(s.place for s in (source, *alike)))
        raise PluginError(
            f"the name '{source.name}' is taken twice, by {places}; "
            f"{'rename' if source.file else 'rename or uninstall'} one"
        )


def stated_api(plugin: Any) -> int | None:
    """The version of the contract a loaded plugin says it was written for, `None` where it says nothing."""
    stated = getattr(plugin, STATED_BY, None)
    if stated is not None and (not isinstance(stated, int) or isinstance(stated, bool)):
        example = f"{STATED_BY} = {hookspecs.API_VERSION}"
        raise PluginError(f"{STATED_BY} is {stated!r}, expected a whole number, as in {example}")
    return stated


def check_api(api: int, source: Source) -> None:
    """Refuse a plugin of a newer contract than there is here, or of one that is gone."""
    itself = source.distribution or "it"
    if api > hookspecs.API_VERSION:
        raise PluginError(
            f"it was written for version {api} of the plugin API, this leatherens has version "
            f"{hookspecs.API_VERSION}; update leatherens, or take an older version of {itself}"
        )
    if api < hookspecs.OLDEST_API_VERSION:
        raise PluginError(
            f"it was written for version {api} of the plugin API, this leatherens understands versions from "
            f"{hookspecs.OLDEST_API_VERSION} on; update {itself}, or take an older leatherens"
        )


def check_marked(plugin: Any, found: Collection[str], hooks: Sequence[str]) -> None:
    """Refuse what pluggy would pass over in silence: hooks without their marker."""
    for hook in hooks:
        if hook not in found and callable(getattr(plugin, hook, None)):
            raise PluginError(f"{hook} is not marked with @leatherens.hookimpl")
    if not found:
        raise PluginError("it implements no hook; mark its functions with @leatherens.hookimpl")


def check_entry(entry: Entry, claims: Sequence[Entry]) -> None:
    """Refuse a registration that nothing could be loaded by."""
    what = noun(entry.kind)
    if not isinstance(entry.id, str) or not _ID.fullmatch(entry.id):
        raise PluginError(
            f"{what} {entry.id!r}: an id is lower-case letters and digits joined by - (as in 'grain-flow')"
        )
    scenario = entry.kind == "scenarios"
    forms = (_TARGET, _FILE) if scenario else (_TARGET,)
    if not isinstance(entry.target, str) or not any(form.fullmatch(entry.target) for form in forms):
        expected = "package:folder/name.yaml" if scenario else "package.module:Class"
        raise PluginError(f"{what} '{entry.id}': the target is a string '{expected}', got {entry.target!r}")
    if any((claim.kind, claim.id) == (entry.kind, entry.id) for claim in claims):
        raise PluginError(f"{what} '{entry.id}' is registered twice")

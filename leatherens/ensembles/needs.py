"""Which plugins a run needs, in which version, and what to do where one is missing.

Written down when a run begins. What judges images must be there when it is opened; what read the images or
brought weights along is told, and not asked for, since a finished run does without.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

from leatherens.configs.recipe import Mode, Recipe
from leatherens.core.errors import ArtifactError
from leatherens.core.host import PluginHost
from leatherens.core.params import Params
from leatherens.core.plugin_sources import BUILTINS
from leatherens.core.registry import Entry, PluginInfo, noun

_DISPENSABLE = ("backbones", "readers")


class Need(Params):
    """One thing a run uses, by the plugin that offered it.

    distribution, version: what the plugin was installed from. file: the .py file that it was, and digest that
    of its content; "" where it was none.
    """

    kind: str
    id: str
    plugin: str
    distribution: str = ""
    version: str = ""
    file: str = ""
    digest: str = ""

    @property
    def source(self) -> str:
        """The plugin it comes from, in words."""
        if self.file:
            return f"the plugin file {Path(self.file).name}"
        return PluginInfo(self.plugin, self.distribution, self.version).label


def needs_of(recipe: Recipe, host: PluginHost, *, reader: str, backbones: Iterable[str]) -> tuple[Need, ...]:
    """What a resolved recipe uses, with the reader that read the images and the backbones that were loaded.

    A backbone whose weights no plugin brought is nobody's, and left out.
    """
    plugins = {plugin.name: plugin for plugin in host.plugins() if plugin.state == "ok"}
    used = [*_used(recipe), ("readers", reader), *(("backbones", model) for model in sorted(backbones))]
    found = []
    for kind, id in dict.fromkeys(used):
        registry = host.registry(kind)
        if id in registry.ids() or kind not in _DISPENSABLE:
            entry = registry.entry(id)
            found.append(_need(id, entry, plugins[entry.plugin]))
    return tuple(found)


def _used(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Kind and id of everything a recipe names and its mode makes use of."""
    yield from (("detectors", id) for id in recipe.members)
    if recipe.fusion_mode is not Mode.score:
        yield "fusion_blocks", recipe.block.id
        yield "heads", recipe.head.id
    yield "score_fusions", recipe.score_fusion.id
    yield "calibrators", recipe.calibrator.id
    yield "thresholds", recipe.threshold.id
    if recipe.pixel_threshold is not None:
        yield "thresholds", recipe.pixel_threshold.id
    yield from (("preparations", step.id) for step in recipe.preparation)


def _need(id: str, entry: Entry, plugin: PluginInfo) -> Need:
    return Need(
        kind=entry.kind,
        id=id,
        plugin=plugin.name,
        distribution=plugin.distribution,
        version=plugin.version,
        file="" if plugin.file is None else str(plugin.file),
        digest="" if plugin.file is None else _digest(plugin.file),
    )


def require_needs(needs: Sequence[Need], host: PluginHost, run: Path) -> None:
    """Refuse to open a run of which something is missing that judges images; all of it is told at once."""
    missing = [need for need in needs if need.kind not in _DISPENSABLE and not _entries(need, host)]
    if missing:
        by_plugin: dict[str, list[Need]] = {}
        for need in missing:
            by_plugin.setdefault(need.plugin, []).append(need)
        told = "; and ".join(_missing(lacking, host) for lacking in by_plugin.values())
        raise ArtifactError(f"{run}: needs {told}")


def differences(needs: Sequence[Need], host: PluginHost) -> tuple[str, ...]:
    """What is here in another version, or from somebody else, than the run was made with: a sentence each."""
    plugins = {plugin.name: plugin for plugin in host.plugins() if plugin.state == "ok"}
    found: dict[str, None] = {}
    for need in needs:
        offered = [entry.plugin for entry in _entries(need, host)]
        if need.plugin in offered:
            found |= dict.fromkeys(_changed(need, plugins[need.plugin]))
        elif offered:
            here = plugins[offered[0]].label
            found[f"made with {noun(need.kind)} '{need.id}' of {need.source}, here it is that of {here}"] = (
                None
            )
    return tuple(found)


def _entries(need: Need, host: PluginHost) -> list[Entry]:
    """What is offered here under the need's id."""
    return [entry for entry in host.registry(need.kind).entries if need.id in (entry.id, entry.qualified)]


def _changed(need: Need, plugin: PluginInfo) -> list[str]:
    """That a plugin is not as it was; of leatherens itself, the version is told elsewhere in the run."""
    if plugin.file is not None and need.digest:
        changed = _digest(plugin.file) != need.digest
        return [f"the plugin file {plugin.file.name} has changed since the run was made"] if changed else []
    if need.plugin == BUILTINS or (plugin.distribution, plugin.version) == (need.distribution, need.version):
        return []
    return [f"made with plugin {need.source}, here it is {plugin.label}"]


def _missing(needs: Sequence[Need], host: PluginHost) -> str:
    """What one plugin should offer and how to get it."""
    first = needs[0]
    names = ", ".join(f"{noun(need.kind)} '{need.id}'" for need in needs)
    return f"{names} of {first.source}, not here: {_way(first, host)}"


def _way(need: Need, host: PluginHost) -> str:
    """How to get a plugin that is missing, or why it is of no use although it is here."""
    here = next((plugin for plugin in host.plugins() if plugin.name == need.plugin), None)
    if here is not None and here.trouble:
        return here.trouble
    if need.file:
        return f"give the file with leatherens --plugin FILE; it was {need.file}"
    if not need.distribution:
        return "it came from no installed package that could be named"
    try:
        installed = metadata.version(need.distribution)
    except metadata.PackageNotFoundError:
        return f"pip install {need.distribution}=={need.version}"
    if here is None:
        return f"{need.distribution} {installed} is installed, but left out by --no-plugins"
    return f"{need.distribution} {installed} is installed and does not offer it; install {need.version}"


def _digest(file: Path) -> str:
    return hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest() if file.is_file() else "gone"

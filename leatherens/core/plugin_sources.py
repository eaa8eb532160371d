"""Where plugins come from: leatherens itself, installed packages, single files. Finding imports none."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from leatherens.core.errors import PluginError
from leatherens.core.registry import FILE_MODULE, Origin, PluginInfo

BUILTINS = "leatherens"
"""The name of the plugin that the built-ins are, and of the entry-point group."""


@dataclass(frozen=True, slots=True)
class Source:
    """A plugin that was found but not loaded.

    place: what a message calls where it comes from.
    file: the .py file that it is. module: the name its module then goes by, since its stem may be taken
        ("json.py").
    """

    name: str
    place: str
    load: Callable[[], Any]
    distribution: str = ""
    version: str = ""
    builtin: bool = False
    file: Path | None = None
    module: str = ""

    @property
    def info(self) -> PluginInfo:
        """What is known of it before it is loaded."""
        origin = Origin.builtin if self.builtin else Origin.file if self.file else Origin.distribution
        return PluginInfo(self.name, self.distribution, self.version, origin, self.file)

    def order(self) -> tuple[str, str]:
        """What plugins are sorted by before loading, so that no order of installing shows."""
        return self.name, self.place

    def importable(self, target: Any) -> Any:
        """A target as it can be imported: "stem:Class" of a file means the class in that file."""
        own = f"{self.name}:"
        if self.module and isinstance(target, str) and target.startswith(own):
            return f"{self.module}:{target.removeprefix(own)}"
        return target


def builtin_source() -> Source:
    """The plugin that leatherens itself brings."""
    load = partial(importlib.import_module, "leatherens.plugins")
    return Source(BUILTINS, "leatherens", load, BUILTINS, _version(BUILTINS), builtin=True)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:  # run from a checkout that was not installed
        return ""


def installed_sources() -> list[Source]:
    """The plugins of installed packages, one per entry point."""
    return [_entry_point_source(point) for point in metadata.entry_points(group=BUILTINS)]


def _entry_point_source(point: metadata.EntryPoint) -> Source:
    if point.dist is None:
        return Source(point.name, point.value, point.load)
    name, version = point.dist.name, point.dist.version
    return Source(point.name, f"{name} {version}", point.load, name, version)


def file_sources(paths: Sequence[Path]) -> list[Source]:
    """Single files as plugins, each once however often and by whatever path it is given."""
    return [_file_source(path) for path in dict.fromkeys(path.expanduser().resolve() for path in paths)]


def _file_source(path: Path) -> Source:
    """A single .py file as a plugin named by its stem."""
    digest = hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()
    module = f"{FILE_MODULE}{digest}"
    return Source(path.stem, str(path), partial(_run_file, path, module), file=path, module=module)


def _run_file(path: Path, name: str) -> Any:
    """Run a file as the module `name`; it stays importable under that name if it ran to the end."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise PluginError(f"{path}: expected an existing .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module

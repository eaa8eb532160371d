"""Which reader reads a folder: the one asked for, the one `layout.yaml` names, or the one that knows it.

A folder that is no collection but holds several holds categories, each to be read by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pydantic import Field

from leatherens.core.errors import ConfigError, InputError, UnknownPlugin, did_you_mean
from leatherens.core.listing import images_under, named, printable, require_folder, sub_folders
from leatherens.core.params import Params, parse_params
from leatherens.core.reading import SUFFIXES, Collection, Reader
from leatherens.core.strangers import blaming, surviving

Readers = Mapping[str, Reader]

STATED = "layout.yaml"
"""A file in a collection, or in the folder of its categories, that says the layout and its options."""


@dataclass(frozen=True, slots=True)
class Categories:
    """Collections side by side in one folder, sorted by name; `title` tells their readers'.

    left_out: folders beside them that hold images, but that no reader knows.
    """

    root: Path
    title: str
    folders: tuple[Path, ...]
    left_out: tuple[Path, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Their folders' names as text."""
        return tuple(printable(folder.name) for folder in self.folders)

    @property
    def sentence(self) -> str:
        """How the folder was read, for the user to agree or disagree with."""
        read = f"read as {self.title}: {len(self.folders)} categories ({', '.join(self.names)})"
        others = named([folder.name for folder in self.left_out])
        return f"{read}; left out {others}: no layout fits" if self.left_out else read


def read_folder(
    readers: Readers,
    root: Path,
    *,
    layout: str | None = None,
    defects: Path | None = None,
    masks: Path | None = None,
    learning: bool = True,
) -> Collection:
    """The samples of a folder, by the reader called `layout`, or named beside it, or that recognises it."""
    reader = _chosen(readers, root, layout)
    with blaming(f"reader '{reader.id}'", f"while reading {root}"):
        return reader.read(root, defects=defects, masks=masks, learning=learning)


def find_categories(readers: Readers, root: Path, *, layout: str | None = None) -> Categories | None:
    """The categories in a folder that is no collection itself; `None` where there are not several."""
    if not root.is_dir() or _fitting(readers, root, layout):
        return None
    found = _collections_in(readers, root, layout)
    if len(found) < 2:
        return None
    titles = sorted({reader.title for fitting in found.values() for reader in fitting.values()})
    others = [folder for folder in sub_folders(root) if folder not in found and images_under(folder).images]
    return Categories(root, " and ".join(titles), tuple(found), tuple(others))


def _chosen(readers: Readers, root: Path, layout: str | None) -> Reader:
    asked = _asked(readers, root, layout)
    if root.is_file():
        reading = asked or _recognised(readers, root)
        found = {id: reader for id, reader in reading.items() if reader.takes_file}
        if found:
            return _only(found, root)
    require_folder(root)
    found = _fitting(readers, root, layout)
    if not found:
        _refuse_parent(readers, root, layout)
        found = asked or _recognised(_these(readers, fallback=True), root)
    if not found:
        _refuse_unknown(readers, root)
    return _only(found, root)


def _only(found: Readers, root: Path) -> Reader:
    if len(found) > 1:
        raise InputError(f"{root}: fits the layouts {' and '.join(found)}; name one of them as the layout")
    return next(iter(found.values()))


def _fitting(readers: Readers, root: Path, layout: str | None) -> dict[str, Reader]:
    """The readers that a folder is for; several where it is ambiguous, none of them a mere fallback."""
    asked = _asked(readers, root, layout)
    found = _recognised(asked or _these(readers, fallback=False), root)
    written = {id: reader for id, reader in found.items() if "*" in reader.refines}
    general = {id for reader in found.values() for id in reader.refines}
    return written or {id: reader for id, reader in found.items() if reader.id not in general}


def _these(readers: Readers, *, fallback: bool) -> dict[str, Reader]:
    return {id: reader for id, reader in sorted(readers.items()) if reader.fallback is fallback}


def _recognised(readers: Readers, root: Path) -> dict[str, Reader]:
    fit = {id: reader for id, reader in readers.items() if reader.takes_file or root.is_dir()}
    found: dict[str, Reader] = {}
    for id, reader in fit.items():
        with surviving(f"reader '{id}'", f"while looking at {root}"):
            if reader.recognises(root):
                found[id] = reader
    return found


def _asked(readers: Readers, root: Path, layout: str | None) -> dict[str, Reader]:
    """The one reader that the user or a file beside the images names, with the options told there."""
    stated = _stated(root)
    id = layout or (stated.layout if stated else None)
    if id is None:
        return {}
    if id not in readers:
        known = sorted(readers)
        hint = did_you_mean(id, known) or ";"
        message = f"unknown layout '{id}'{hint} (layouts: {', '.join(known)})"
        raise UnknownPlugin(message, id=id, candidates=known)
    reader = readers[id]
    if stated and stated.layout == id:
        reader = type(reader).from_options(stated.options)
    return {id: reader}


class _Stated(Params):
    layout: str
    options: dict[str, Any] = Field(default_factory=dict)


def _stated(root: Path) -> _Stated | None:
    """What `layout.yaml` says, in the folder or else in the one around it."""
    import yaml

    path = next((folder / STATED for folder in (root, root.parent) if (folder / STATED).is_file()), None)
    if path is None:
        return None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); repair or remove it") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not YAML ({' '.join(str(error).split())}); repair it") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected the keys layout and options, got {type(content).__name__}")
    return parse_params(_Stated, content, owner=str(path))


def _collections_in(readers: Readers, root: Path, layout: str | None) -> dict[Path, Readers]:
    """The folders in a folder that somebody knows; what any folder can be read as tells nothing."""
    found: dict[Path, Readers] = {}
    for folder in sub_folders(root):
        fitting = _these(_fitting(readers, folder, layout), fallback=False)
        if fitting:
            found[folder] = fitting
    return found


def _refuse_parent(readers: Readers, root: Path, layout: str | None) -> None:
    """Refuse a folder of collections, or of folders of them, which would otherwise be read as one."""
    parts = list(_collections_in(readers, root, layout))
    if len(parts) == 1:
        raise InputError(f"{root}: the collection lies one folder down; give {parts[0]}")
    if parts:
        names = named([part.name for part in parts])
        raise InputError(
            f"{root}: {len(parts)} categories lie here ({names}); give one of them, such as {parts[0]}"
        )
    for folder in sub_folders(root):
        if _collections_in(readers, folder, layout):
            raise InputError(f"{root}: the collections lie two folders down; give {folder} or one in it")


def _refuse_unknown(readers: Readers, root: Path) -> NoReturn:
    if not images_under(root).images:
        raise InputError(f"{root}: no images in it ({SUFFIXES}); give the folder that holds the photographs")
    shapes = "; ".join(f"{reader.title}: {reader.shape}" for _, reader in sorted(readers.items()))
    raise InputError(f"{root}: no layout fits it; arrange it as one of: {shapes}")

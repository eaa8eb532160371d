"""Where a run's images are, as the user said it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from typing_extensions import Self

from leatherens.core.errors import InputError
from leatherens.core.grouping import grouped
from leatherens.core.host import PluginHost
from leatherens.core.joining import joined_collections
from leatherens.core.layouts import Categories, find_categories, read_folder
from leatherens.core.listing import printable
from leatherens.core.params import Params
from leatherens.core.reading import Collection, Reader
from leatherens.core.views import ViewOf


class DataChoice(Params):
    """Absolute paths, so that a run can be gone on with from anywhere, and the layout asked for.

    view: of several views' images there, those of one. group_by: a regular expression that finds in an
    image's id what it is a picture of, in place of what the reader says. joined: several choices read as one,
    by the names that their ids then begin with; `root` holds them all.
    """

    root: str
    layout: str | None = None
    defects: str | None = None
    masks: str | None = None
    view: ViewOf | None = None
    group_by: str | None = None
    joined: dict[str, DataChoice] = Field(default_factory=dict)

    @classmethod
    def at(
        cls,
        root: Path,
        *,
        layout: str | None = None,
        defects: Path | None = None,
        masks: Path | None = None,
        group_by: str | None = None,
    ) -> Self:
        """The choice that these paths are from here."""
        beside = {"defects": defects, "masks": masks}
        absolute = {key: None if path is None else storable(path) for key, path in beside.items()}
        return cls(
            root=storable(root),
            layout=layout,
            defects=absolute["defects"],
            masks=absolute["masks"],
            group_by=group_by,
        )

    def read(self, host: PluginHost, *, learning: bool = True) -> Collection:
        """The samples; learning: good images to learn from are required."""
        if self.joined:
            found = {name: choice.read(host, learning=learning) for name, choice in self.joined.items()}
            return joined_collections(found, Path(self.root))
        defects, masks = (Path(p) if p else None for p in (self.defects, self.masks))
        collection = read_folder(
            _readers(host),
            Path(self.root),
            layout=self.layout,
            defects=defects,
            masks=masks,
            learning=learning,
        )
        if self.group_by is not None:
            collection = grouped(collection, self.group_by)
        return collection if self.view is None else self.view.of(collection)

    def categories(self, host: PluginHost) -> Categories | None:
        """The collections in the folder, where it is none itself and holds several."""
        return find_categories(_readers(host), Path(self.root), layout=self.layout)


def storable(path: Path) -> str:
    """An absolute path as text; one that no run could write down is refused."""
    text = str(path.resolve())
    if printable(text) != text:
        raise InputError(f"{printable(text)}: a name in it is not UTF-8, so no run could keep it; rename it")
    return text


def _readers(host: PluginHost) -> dict[str, Reader]:
    return {id: reader() for id, reader in host.readers().usable().items()}

"""Where a run's images are, as the user said it."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import Self

from leatherens.core.host import PluginHost
from leatherens.core.layouts import Categories, find_categories, read_folder
from leatherens.core.params import Params
from leatherens.core.reading import Collection, Reader


class DataChoice(Params):
    """Absolute paths, so that a run can be gone on with from anywhere, and the layout asked for."""

    root: str
    layout: str | None = None
    defects: str | None = None
    masks: str | None = None

    @classmethod
    def at(
        cls, root: Path, *, layout: str | None = None, defects: Path | None = None, masks: Path | None = None
    ) -> Self:
        """The choice that these paths are from here."""
        beside = {"defects": defects, "masks": masks}
        absolute = {key: str(path.resolve()) for key, path in beside.items() if path is not None}
        return cls(root=str(root.resolve()), layout=layout, **absolute)

    def read(self, host: PluginHost, *, learning: bool = True) -> Collection:
        """The samples; learning: good images to learn from are required."""
        defects, masks = (Path(p) if p else None for p in (self.defects, self.masks))
        return read_folder(
            _readers(host),
            Path(self.root),
            layout=self.layout,
            defects=defects,
            masks=masks,
            learning=learning,
        )

    def categories(self, host: PluginHost) -> Categories | None:
        """The collections in the folder, where it is none itself and holds several."""
        return find_categories(_readers(host), Path(self.root), layout=self.layout)


def _readers(host: PluginHost) -> dict[str, Reader]:
    registry = host.readers()
    return {id: registry.load(id)() for id in registry.ids()}

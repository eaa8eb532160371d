"""Where a run's images are, as the user said it."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import Self

from leatherens.core.host import PluginHost
from leatherens.core.params import Params
from leatherens.core.reading import Collection, read_folder
from leatherens.core.views import ViewOf


class DataChoice(Params):
    """Absolute folders, so that a run can be gone on with from anywhere, and the layout asked for.

    view: of several views' images there, those of one.
    """

    root: str
    layout: str | None = None
    defects: str | None = None
    masks: str | None = None
    view: ViewOf | None = None

    @classmethod
    def at(
        cls, root: Path, *, layout: str | None = None, defects: Path | None = None, masks: Path | None = None
    ) -> Self:
        """The choice that these paths are from here."""
        beside = {"defects": defects, "masks": masks}
        absolute = {key: None if path is None else str(path.resolve()) for key, path in beside.items()}
        return cls(
            root=str(root.resolve()), layout=layout, defects=absolute["defects"], masks=absolute["masks"]
        )

    def read(self, host: PluginHost, *, learning: bool = True) -> Collection:
        """The samples; learning: good images to learn from are required."""
        registry = host.readers()
        readers = {id: registry.load(id)() for id in registry.ids()}
        defects, masks = (Path(p) if p else None for p in (self.defects, self.masks))
        collection = read_folder(
            readers, Path(self.root), layout=self.layout, defects=defects, masks=masks, learning=learning
        )
        return collection if self.view is None else self.view.of(collection)

"""What a map at a photograph's own size is worth: the defective area, and files to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from leatherens.core.artifact import written_whole
from leatherens.core.large_tiffs import write_tiled_tiff
from leatherens.core.overview import Area, Shrinking, block_for, drawn
from leatherens.core.photographs import Mask
from leatherens.core.thresholds import ANY, Group
from leatherens.ensembles.deciding import Decider
from leatherens.ensembles.stored_map import StoredMap
from leatherens.ensembles.tiled_photographs import small_photograph

_QUALITY = 90  # of JPEG


@dataclass(frozen=True)
class Hide:
    """A photograph, its map, and who says which pixels are defective. Everything is walked in bands.

    group: what the photograph is like, for rules that judge unlike images apart.
    """

    photograph: Path
    map: StoredMap
    decider: Decider
    group: Group = ANY

    def marked(self) -> Iterator[tuple[Mask, Mask | None]]:
        """Rows of the mask, and where they count."""
        for scores, valid in self.map.bands():
            above = self.decider.marks(scores, self.group)
            yield (above if valid is None else above & valid), valid

    @cached_property
    def percent(self) -> float:
        """What part of the area that counts is defective, in percent."""
        area = Area()
        for marked, valid in self.marked():
            area.add(marked, valid)
        return area.percent

    def write_map(self, at: Path) -> None:
        """The scores as tiled float32 TIFF; what does not count has the lowest score."""
        write_tiled_tiff(at, (scores for scores, _ in self.map.bands()), self.map.size)

    def write_mask(self, at: Path) -> None:
        """The mask as tiled 8-bit TIFF, 255 is defective."""
        write_tiled_tiff(at, (marked for marked, _ in self.marked()), self.map.size)

    def write_overview(self, at: Path) -> None:
        """The whole hide as JPEG: defects outlined, their share of the area written underneath."""
        from PIL import Image

        block = block_for(self.map.size)
        outlines, inspected = (Shrinking(self.map.size, np.max, block) for _ in range(2))
        for marked, valid in self.marked():
            outlines.add(marked)
            inspected.add(np.ones_like(marked) if valid is None else valid)
        caption = f"{self.percent:.3g} % defective"
        picture = drawn(small_photograph(self.photograph), outlines.picture, inspected.picture, caption)
        with written_whole(at) as beside:
            Image.fromarray(picture).save(beside, format="JPEG", quality=_QUALITY)

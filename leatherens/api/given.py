"""What `fit` and `evaluate` are given: a folder, or images one by one, to what a run reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from leatherens.api.laid_out import LAYOUT, lay_out
from leatherens.api.pictures import Images
from leatherens.core.errors import InputError
from leatherens.ensembles.data import DataChoice


def choice_of(
    data: Path | str | Images,
    labels: Iterable[Any] | None,
    masks: Iterable[Any] | Path | str | None,
    beside: Mapping[str, Any],
    *,
    into: Path,
    good: str,
) -> DataChoice:
    """Where the images lie: in the folder that was named, or, given one by one, laid out in `into`."""
    if isinstance(data, str | Path):
        if labels is not None:
            raise InputError(f"labels: {data} says itself which images are good; leave labels out")
        if not isinstance(masks, str | Path | None):
            raise InputError(f"masks: of the folder {data}, expected a folder of masks")
        given: dict[str, Any] = {**beside, "masks": masks}
        for key in ("defects", "masks"):
            given[key] = None if given[key] is None else Path(given[key])
        return DataChoice.at(Path(data), **given)
    told = [key for key, value in beside.items() if value is not None]
    if told or isinstance(masks, str | Path):
        raise InputError(f"{(told or ['masks'])[0]}: belongs to a folder of images; give that as data")
    lay_out(into, data, labels, masks, good=good)
    return DataChoice.at(into, layout=LAYOUT)

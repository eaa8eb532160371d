"""Saturation (MVTec LOCO AD, Bergmann et al., IJCV 2022): of some defects finding a part is finding all.

Which part, `defects_config.json` says for each kind of defect. A mask file holds one defect, and its grey
level names the kind. With s the saturated area of a defect A and P what was predicted, the saturated
overlap (sPRO) is min(area(A and P) / s, 1).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leatherens.core.errors import InputError
from leatherens.core.photographs import Mask, read_levels

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIG = "defects_config.json"
_KEYS = ("defect_name", "pixel_value", "saturation_threshold", "relative_saturation")


@dataclass(frozen=True, slots=True)
class Saturation:
    """How much of one kind of defect must be found.

    level: grey level of the kind in masks, 1 to 255.
    threshold: pixels, or where `relative` a share of the defect's area in (0, 1].
    """

    defect: str
    level: int
    threshold: float
    relative: bool

    def area(self, defect_area: int) -> int:
        """Pixels to be found of a defect of so many: never more than it has, at least one.

        >>> Saturation("hole", 255, 800, relative=False).area(500)
        500
        >>> Saturation("scratch", 254, 0.5, relative=True).area(501)
        250
        """
        wanted = self.threshold * defect_area if self.relative else self.threshold
        return min(max(int(wanted), 1), defect_area)


@dataclass(frozen=True, slots=True)
class Region:
    """One marked defect: (H, W) `marked`, and the pixels of it that must be found."""

    marked: Mask
    saturated: int
    defect: str


def read_saturations(path: Path) -> tuple[Saturation, ...]:
    """The entries of a `defects_config.json`; an `InputError` names the file and the entry."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); repair or remove it") from None
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError
        raise InputError(f"{path}: not JSON ({error}); copy it again or remove it") from None
    return saturations_from(content, owner=str(path))


def saturations_from(content: object, *, owner: str) -> tuple[Saturation, ...]:
    """A configuration as plain JSON: a list of entries of exactly four keys, each level used once."""
    if not isinstance(content, list):
        raise InputError(f"{owner}: expected a list of defects, got {type(content).__name__}")
    found: dict[int, Saturation] = {}
    for number, entry in enumerate(content, start=1):
        where = f"{owner}: entry {number}"
        saturation = _saturation(entry, where)
        if saturation.level in found:
            both = f"'{found[saturation.level].defect}' and '{saturation.defect}'"
            raise InputError(
                f"{where}: pixel_value {saturation.level} stands for {both}; give each its own value"
            )
        found[saturation.level] = saturation
    return tuple(found.values())


def _saturation(entry: object, where: str) -> Saturation:
    if not isinstance(entry, dict) or sorted(entry) != sorted(_KEYS):
        got = ", ".join(map(str, entry)) if isinstance(entry, dict) else type(entry).__name__
        raise InputError(f"{where}: expected exactly the keys {', '.join(_KEYS)}, got {got or 'none'}")
    name, level, threshold, relative = (entry[key] for key in _KEYS)
    if not isinstance(name, str) or not name:
        _refuse(where, "defect_name", "a name", name)
    if not _is_integer(level) or not 1 <= level <= 255:
        _refuse(where, "pixel_value", "a whole number from 1 to 255", level)
    if not isinstance(relative, bool):
        _refuse(where, "relative_saturation", "true or false", relative)
    if relative and not (isinstance(threshold, float) and 0 < threshold <= 1):
        _refuse(where, "saturation_threshold", "a share up to 1.0, written with a point", threshold)
    if not relative and not (_is_integer(threshold) and threshold >= 1):
        _refuse(where, "saturation_threshold", "a whole number of pixels, at least 1", threshold)
    return Saturation(name, level, threshold, relative)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _refuse(where: str, key: str, expected: str, got: object) -> None:
    raise InputError(f"{where}: {key} should be {expected}, got {json.dumps(got)}")


def read_region(path: Path, saturations: Sequence[Saturation], size: tuple[int, int] | None = None) -> Region:
    """The defect in a mask file, and how much of it must be found."""
    return region_of(read_levels(path, size), saturations, owner=str(path))


def region_of(levels: NDArray[np.uint8], saturations: Sequence[Saturation], *, owner: str) -> Region:
    """The one defect in (H, W) grey levels: 0 around it, the level of its kind in it."""
    held = [int(level) for level in np.unique(levels) if level]
    if len(held) != 1:
        got = f"levels {', '.join(map(str, held[:5]))}{' ...' if len(held) > 5 else ''}" if held else "none"
        raise InputError(f"{owner}: expected one defect, of one grey level above 0, got {got}")
    kind = next((saturation for saturation in saturations if saturation.level == held[0]), None)
    if kind is None:
        known = ", ".join(str(saturation.level) for saturation in saturations) or "none"
        raise InputError(
            f"{owner}: the grey level {held[0]} stands for no kind of defect; {CONFIG} knows {known}"
        )
    marked: Mask = levels > 0
    return Region(marked, kind.area(int(marked.sum())), kind.defect)

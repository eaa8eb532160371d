"""Pictures of demo leather, one at a time or as a data set on disk."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from leatherens.core.errors import InputError, did_you_mean
from leatherens.core.leather.defects import DEFECTS
from leatherens.core.leather.fields import Shape, blur
from leatherens.core.leather.hide import Hide, raw_hide, unit_of
from leatherens.core.leather.lighting import Photograph
from leatherens.core.leather.scenarios import leathers_of, pick_leather
from leatherens.core.randomness import numpy_generator

Mask = npt.NDArray[np.bool_]  # (H, W)

VISIBLE_LEVELS = 6  # of 255, in any channel: what a pixel must change by to count as defective
MIN_SIZE = 32  # below this a hide shows hardly a cell of its grain

_STANDS_OUT = 2.2  # times the contrast of the grain: a defect with fewer such pixels is drawn again, stronger
_ISLAND = 4  # pixels; smaller specks of change are taken back
_TRIES = 40


def good_hide(rng: np.random.Generator, *, scenario: str, size: int | Shape) -> Photograph:
    """A photograph of a faultless hide, (H, W, 3) uint8 RGB; `size` is the side, or (height, width)."""
    return _fresh(rng, scenario, size).photograph()


def defective_hide(
    rng: np.random.Generator, *, kind: str, scenario: str, size: int | Shape
) -> tuple[Photograph, Mask]:
    """A photograph of a hide with one defect, and the mask (H, W) of the pixels that the defect changed.

    Inside the mask at least one channel differs by `VISIBLE_LEVELS` or more from the same hide without the
    defect; outside, the picture is that hide's, byte for byte. That hide is what `good_hide` makes from
    a generator in the same state.
    """
    if kind not in DEFECTS:
        raise InputError(
            f"unknown defect {kind!r}{did_you_mean(kind, DEFECTS)} (defects: {', '.join(DEFECTS)})"
        )
    hide = _fresh(rng, scenario, size)
    good = hide.photograph()
    strength = float(np.exp(rng.uniform(np.log(0.5), np.log(1.4))))
    for _ in range(_TRIES):
        damaged = DEFECTS[kind](hide, rng, strength=strength).photograph()
        mask = _changed(good, damaged)
        if _stands_out(good, damaged, mask):
            return np.where(mask[..., None], damaged, good), mask
        strength *= 1.12
    raise AssertionError(f"{kind} stayed invisible after {_TRIES} tries")


def write_demo(
    folder: Path | str,
    *,
    scenario: str,
    size: int | Shape,
    train: int,
    test: int,
    seed: int,
    advance: Callable[[], None] | None = None,
) -> None:
    """Write a data set in the MVTec layout: train/good, test/good, test/<kind>, ground_truth/<kind>.

    Half of `test` is defective, shared out over the kinds in turn. A picture depends on the seed, its
    place and its number only, so a larger set contains the smaller one. A write that was cut short can be
    repeated over its remains. `advance` is called after each picture.
    """
    folder = Path(folder)
    _check_counts(train=train, test=test)
    _shape_of(size)
    leathers_of(scenario)
    places = list(_places(train, test))
    _check_folder(folder, places)
    for place, number in places:
        rng = numpy_generator(seed, "leather", place, number)
        _write_picture(folder, place, number, scenario=scenario, size=size, rng=rng)
        if advance is not None:
            advance()


def _fresh(rng: np.random.Generator, scenario: str, size: int | Shape) -> Hide:
    return raw_hide(rng, _shape_of(size), pick_leather(rng, scenario))


def _shape_of(size: int | Shape) -> Shape:
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < MIN_SIZE:
        raise InputError(
            f"demo leather needs at least {MIN_SIZE} pixels on each side, got {height} x {width}"
        )
    return height, width


def _changed(good: Photograph, damaged: Photograph) -> Mask:
    """Where the pictures differ visibly, without islands of a few pixels."""
    change = cv2.absdiff(good, damaged).max(axis=-1) >= VISIBLE_LEVELS
    _, labels, facts, _ = cv2.connectedComponentsWithStats(change.astype(np.uint8), connectivity=8)
    return np.asarray(change & (facts[labels, cv2.CC_STAT_AREA] >= _ISLAND))


def _stands_out(good: Photograph, damaged: Photograph, mask: Mask) -> bool:
    """Whether an eye would find the defect among the grain, with good leather left around it."""
    grey = good.mean(axis=-1, dtype=np.float32)
    contrast = float(np.std(grey - blur(grey, 6 * unit_of(mask.shape))))
    loud = mask & (cv2.absdiff(good, damaged).max(axis=-1) >= max(_STANDS_OUT * contrast, 2 * VISIBLE_LEVELS))
    return bool(loud.sum() >= max(6, 5e-4 * mask.size) and mask.sum() <= 0.4 * mask.size)


def _places(train: int, test: int) -> Iterator[tuple[str, int]]:
    """The folder and the number of every picture; defective kinds take turns."""
    defective = test // 2
    yield from (("train/good", number) for number in range(train))
    yield from (("test/good", number) for number in range(test - defective))
    kinds = list(DEFECTS)
    yield from ((f"test/{kinds[turn % len(kinds)]}", turn // len(kinds)) for turn in range(defective))


def _write_picture(
    folder: Path, place: str, number: int, *, scenario: str, size: int | Shape, rng: np.random.Generator
) -> None:
    split, kind = place.split("/")
    if kind == "good":
        _write_png(folder / split / kind / f"{number:03d}.png", good_hide(rng, scenario=scenario, size=size))
        return
    picture, mask = defective_hide(rng, kind=kind, scenario=scenario, size=size)
    _write_png(folder / "ground_truth" / kind / f"{number:03d}_mask.png", mask.astype(np.uint8) * 255)
    _write_png(folder / split / kind / f"{number:03d}.png", picture)


def _write_png(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    """Under a passing name first: the final name never holds half a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, format="PNG", compress_level=4)
    passing = path.with_name(f".{path.name}.part")
    passing.write_bytes(encoded.getvalue())
    passing.replace(path)


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 0:
            raise InputError(f"the number of {name} pictures must be 0 or more, got {count}")


def _check_folder(folder: Path, places: list[tuple[str, int]]) -> None:
    """Refuse a folder with pictures that this call would not overwrite: they would join the data set."""
    planned = {folder / place / f"{number:03d}.png" for place, number in places}
    for split in ("train", "test"):
        for found in sorted((folder / split).rglob("*.png")):
            if found not in planned:
                raise InputError(f"{folder} already holds other pictures ({found}); choose an empty folder")

"""Which score map belongs to which image, by their paths alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from leatherens.core.errors import InputError
from leatherens.core.listing import counted, require_folder
from leatherens.core.reading import Collection, Sample

SUFFIXES = frozenset({".npy", ".png", ".tif", ".tiff"})
"""Files with these suffixes, in either case, are taken for score maps."""

RULE = (
    "a map belongs to the image with its path and name, suffix apart; leading folders of the image's path "
    "may be left out: test/cut/001.png is scored by test/cut/001.tiff, cut/001.tiff or 001.tiff, .npy or .png"
)


@dataclass(frozen=True, slots=True)
class Paired:
    """Images with their maps, in the collection's order, and what a user should know, a sentence each."""

    folder: Path
    pairs: tuple[tuple[Sample, Path], ...]
    remarks: tuple[str, ...] = ()


def keys_of(id: str) -> Iterator[str]:
    """What a map of an image may be called, without its own suffix; the fullest first.

    >>> list(keys_of("test/1.png"))
    ['test/1.png', 'test/1', '1.png', '1']
    """
    place = PurePosixPath(id)
    for start in range(len(place.parts)):
        shorter = PurePosixPath(*place.parts[start:])
        yield shorter.as_posix()
        yield shorter.with_suffix("").as_posix()


def pair_maps(collection: Collection, folder: Path, *, partial: bool = False) -> Paired:
    """A map for every image to test; an `InputError` names the first that lacks one, unless `partial`.

    Where a collection keeps no good image to test, those to learn from that have a map stand in.
    """
    require_folder(folder)
    maps = _maps_by_key(folder)
    if not maps:
        raise InputError(f"{folder}: no score maps in it ({', '.join(sorted(SUFFIXES))}); name their folder")
    owned = {s.id: _owned(s, maps) for s in (*collection.test, *collection.validation, *collection.train)}
    tested = [sample for sample in collection.test if sample.defective is not None]
    remarks = []
    if not any(sample.defective is False for sample in tested):
        spare = [s for s in (*collection.validation, *collection.train) if owned[s.id] is not None]
        tested += spare
        if spare:
            remarks.append(
                f"no good image is kept to test: {counted(len(spare), 'good image')} with a map stand in; "
                "the numbers mean nothing if the tool learned from them"
            )
    _require_maps(folder, collection, tested, owned, partial, remarks)
    pairs = tuple((sample, path) for sample in tested if (path := owned[sample.id]) is not None)
    _require_one_owner(pairs)
    used = {path for _, path in pairs}
    spared = sorted(path for path in maps.values() if path not in used)
    if spared:
        first = spared[0].relative_to(folder).as_posix()
        remarks.append(f"passed over {counted(len(spared), 'map')} of no image to test, first {first}")
    return Paired(folder, pairs, tuple(remarks))


def _maps_by_key(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for where, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(where, name)
            if name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                continue
            key = path.relative_to(folder).with_suffix("").as_posix()
            if key in found:
                raise InputError(f"two maps are called {key}: {found[key]} and {path}; remove one")
            found[key] = path
    return found


def _owned(sample: Sample, maps: dict[str, Path]) -> Path | None:
    return next((maps[key] for key in keys_of(sample.id) if key in maps), None)


def _require_maps(
    folder: Path,
    collection: Collection,
    tested: Sequence[Sample],
    owned: dict[str, Path | None],
    partial: bool,
    remarks: list[str],
) -> None:
    """Refuse where an image has no map, or where none has one; or count them, if that is what is asked."""
    lacking = [sample.id for sample in tested if owned[sample.id] is None]
    if not tested:
        raise InputError(f"{collection.root}: no labelled image to test; give a folder with test images")
    if len(lacking) == len(tested) or (lacking and not partial):
        names = [f"{key}.*" for key in list(keys_of(lacking[0]))[1::2]]  # those without the image's suffix
        others = f", nor for {len(lacking) - 1} others of {len(tested)}" if len(lacking) > 1 else ""
        raise InputError(
            f"{folder}: no map for {lacking[0]}{others} (looked for {' or '.join(names)}); score every test "
            "image, or measure those that have a map with --partial"
        )
    if lacking:
        remarks.append(
            f"{len(lacking)} of {len(tested)} images to test without a map were left out, first {lacking[0]}"
        )


def _require_one_owner(pairs: Sequence[tuple[Sample, Path]]) -> None:
    owners: dict[Path, str] = {}
    for sample, path in pairs:
        if path in owners:
            both = f"{owners[path]} and {sample.id}"
            raise InputError(f"{path}: fits two images ({both}); keep maps in folders named like the images'")
        owners[path] = sample.id

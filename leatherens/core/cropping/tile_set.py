"""A data set of tiles from photographs most of which show a defect: clean ones to learn from and to test on.

The photographs that give the tiles to learn from give nothing else. All others are the test side: its clean
tiles, and tiles with its defects, of the same size, so that scale does not tell good from defective; or, if
that is asked for, the whole photographs with defects.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from leatherens.core.artifact import folder_written_whole, write_text
from leatherens.core.cropping.sides import Sides, dealt, mixed_order
from leatherens.core.cropping.tiles import Cut, Places, clean_places, defect_places, packed
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.grouping import by_group
from leatherens.core.listing import counted, images_under, named, pair_masks
from leatherens.core.manifest import COLUMNS
from leatherens.core.naming import flat_names
from leatherens.core.photographs import Mask, photograph_size, read_masks, read_photograph
from leatherens.core.progress import Progress, Silent
from leatherens.core.randomness import numpy_generator
from leatherens.core.reading import GOOD, Sample, is_known

MANIFEST = "manifest.csv"
"""The folder is read by it, and tiles of one photograph stay together."""

SMALLEST = 32
"""Pixels of a tile's side below which no other size is suggested: hardly a cell of the grain fits."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Tiles to learn from and good tiles to test on, and how they are cut.

    share: of the photographs that give clean tiles, to learn from at least, where enough are left to test
        on. More make the tiles to learn from more varied, and leave fewer defects to test on.
    whole: defects are shown in whole photographs, as Soares (2022) did. Scale then tells good from defective
        once all are brought to one size; this is for comparing with such results.
    """

    cut: Cut
    train: int
    test: int
    share: float = 0.5
    seed: int = 0
    whole: bool = False

    def __post_init__(self) -> None:
        height, width = self.cut.size
        if min(height, width) < 8:
            raise ConfigError(f"--size: expected at least 8 x 8 pixels, got {height} x {width}")
        if self.cut.margin < 0:
            raise ConfigError(f"--margin: expected 0 or more pixels, got {self.cut.margin}")
        if not 0 <= self.cut.overlap < 1:
            raise ConfigError(f"--overlap: expected a share from 0 to under 1, got {self.cut.overlap:g}")
        if not 0 <= self.share <= 1:
            raise ConfigError(f"--share: expected a share from 0 to 1, got {self.share:g}")
        for name, count in (("train", self.train), ("test", self.test)):
            if count < 1:
                raise ConfigError(f"--{name}: expected 1 or more tiles, got {count}")


class Photographs:
    """Photographs and what must be kept away from in each: marked defects, and regions to ignore.

    Photographs that are defective without a mask are left out: nobody knows where their defects are.
    ignored: a picture that marks pixels in every photograph, or a folder of such pictures called like them.
    """

    def __init__(self, samples: Sequence[Sample], *, ignored: Path | None = None) -> None:
        self.samples = tuple(sample for sample in samples if is_known(sample))
        self.unknown = tuple(sample for sample in samples if not is_known(sample))
        if not self.samples:
            raise InputError(
                "no photograph is good or has a mask of its defect: nobody knows which parts are clean; "
                "give masks, or import drawn regions with `leatherens data import`"
            )
        self._sizes: dict[str, tuple[int, int]] = {}
        self._ignored = self._find_ignored(ignored)

    def _find_ignored(self, ignored: Path | None) -> dict[str, tuple[Path, ...]]:
        if ignored is None:
            return {}
        if not ignored.is_dir():
            return {sample.id: (ignored,) for sample in self.samples}
        places = {Path(sample.id): PurePosixPath(sample.id) for sample in self.samples}
        masks = {mask: mask.relative_to(ignored) for mask in images_under(ignored).images}
        pairs, unpaired = pair_masks(places, masks)
        if unpaired or not pairs:
            names = named([path.name for path in unpaired]) or "it is empty"
            raise InputError(f"{ignored}: masks that are called like no photograph ({names}); rename them")
        return {image.as_posix(): own for image, own in pairs.items()}

    def defect(self, sample: Sample) -> Mask:
        """(H, W): the marked defect."""
        return read_masks(sample.masks, self._size(sample))

    def ignored(self, sample: Sample) -> Mask:
        """(H, W): what is to be ignored."""
        return read_masks(self._ignored.get(sample.id, ()), self._size(sample))

    def _size(self, sample: Sample) -> tuple[int, int]:
        if sample.id not in self._sizes:
            self._sizes[sample.id] = photograph_size(sample.path)
        return self._sizes[sample.id]

    def clean(self, cut: Cut, seed: int, progress: Progress) -> list[Places]:
        """The clean tiles of each photograph, in random order."""
        found = []
        with progress.step(_title(cut), len(self.samples)) as advance:
            for sample in self.samples:
                blocked = self.defect(sample) | self.ignored(sample)
                rng = numpy_generator(seed, "crop-good", sample.id)
                tiles = packed(clean_places(blocked, cut), cut, rng)
                found.append([tiles[index] for index in rng.permutation(len(tiles))])
                advance(1)
        return found


def _title(cut: Cut) -> str:
    height, width = cut.size
    return f"looking for clean tiles of {height} x {width}"


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile to be cut from a photograph, `size` (height, width) pixels from `place` (y, x) on."""

    sample: Sample
    place: tuple[int, int]
    size: tuple[int, int]
    folder: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Every tile to be written, which photographs are on which side, and what a user should know."""

    wanted: Wanted
    tiles: tuple[Tile, ...]
    learned: tuple[Sample, ...]
    tested: tuple[Sample, ...]
    remarks: tuple[str, ...]


def planned(
    photographs: Photographs, wanted: Wanted, *, fewer: bool = False, progress: Progress | None = None
) -> Plan:
    """Which tiles to cut.

    fewer: where there are too few, take as many as there are, in the proportion asked for.
    """
    progress = progress or Silent()
    clean = photographs.clean(wanted.cut, wanted.seed, progress)
    groups = _groups(photographs.samples)
    rng = numpy_generator(wanted.seed, "crop-good", "sides")
    order = mixed_order([photographs.samples[members[0]].defect for members in groups], rng)
    groups = [groups[index] for index in order]
    sides = Sides([sum(len(clean[index]) for index in members) for members in groups])
    if not sides.enough(wanted.train, wanted.test):
        train, test = sides.most(wanted.train, wanted.test)
        if not fewer or not train or not test:
            raise InputError(_too_few(photographs, wanted, sides, progress))
        wanted = replace(wanted, train=train, test=test)
    chosen = set(sides.to_learn(wanted.train, wanted.test, wanted.share))
    learned = [index for number, members in enumerate(groups) if number in chosen for index in members]
    tested = [index for number, members in enumerate(groups) if number not in chosen for index in members]
    samples = photographs.samples
    tiles = []
    for side, folder, count in ((learned, "train/good", wanted.train), (tested, "test/good", wanted.test)):
        taken = dealt([clean[index] for index in side], count)
        tiles += [Tile(samples[side[pile]], place, wanted.cut.size, folder) for pile, place in taken]
    defective = [samples[index] for index in sorted(tested) if samples[index].defective]
    shown = _defective(photographs, defective, wanted, progress)
    return Plan(
        wanted,
        (*tiles, *shown),
        tuple(samples[index] for index in sorted(learned)),
        tuple(samples[index] for index in sorted(tested)),
        _remarks(photographs, [samples[index] for index in learned], defective, shown),
    )


def _groups(samples: Sequence[Sample]) -> list[list[int]]:
    """Positions of the samples that must stay together."""
    position = {sample.id: index for index, sample in enumerate(samples)}
    return [[position[sample.id] for sample in group] for group in by_group(samples).values()]


def _defective(
    photographs: Photographs, samples: Sequence[Sample], wanted: Wanted, progress: Progress
) -> list[Tile]:
    tiles = []
    with progress.step("looking for tiles with defects", len(samples)) as advance:
        for sample in samples:
            size, places = _shown(photographs, sample, wanted)
            tiles += [Tile(sample, place, size, f"test/{sample.defect}") for place in sorted(places)]
            advance(1)
    return tiles


def _shown(photographs: Photographs, sample: Sample, wanted: Wanted) -> tuple[tuple[int, int], Places]:
    """The size and the places of what shows a photograph's defect."""
    mask = photographs.defect(sample)
    if wanted.whole:
        return (mask.shape[0], mask.shape[1]), [(0, 0)]
    rng = numpy_generator(wanted.seed, "crop-good", "defects", sample.id)
    return wanted.cut.size, defect_places(mask, photographs.ignored(sample), wanted.cut, rng)


def _remarks(
    photographs: Photographs, learned: Sequence[Sample], defective: Sequence[Sample], shown: Sequence[Tile]
) -> tuple[str, ...]:
    remarks = []
    spent = sum(sample.defective is True for sample in learned)
    if spent:
        remarks.append(
            f"the defects of {counted(spent, 'photograph')} are not used: their clean parts are to learn "
            "from, and a photograph is never on both sides"
        )
    seen = {tile.sample.id for tile in shown}
    unseen = [sample.id for sample in defective if sample.id not in seen]
    if unseen:
        remarks.append(f"no tile shows the defect of {counted(len(unseen), 'photograph')}: {named(unseen)}")
    if photographs.unknown:
        left = counted(len(photographs.unknown), "photograph")
        names = named([sample.id for sample in photographs.unknown])
        remarks.append(f"left out {left} whose defects nobody has marked: {names}")
    return tuple(remarks)


def _too_few(photographs: Photographs, wanted: Wanted, sides: Sides, progress: Progress) -> str:
    """What the photographs give, and what would give enough."""
    cut = wanted.cut
    train, test = sides.most(wanted.train, wanted.test)
    ways = []
    for option, others in _other_cuts(cut).items():
        for said, other in others:
            clean = photographs.clean(other, wanted.seed, progress)
            counts = [sum(len(clean[index]) for index in group) for group in _groups(photographs.samples)]
            if Sides(counts).enough(wanted.train, wanted.test):
                ways.append(f"--{option} {said} ({sum(counts)} tiles)")
                break
    if train and test:
        ways.append(f"--train {train} --test {test} (what --fewer takes)")
    elsewise = f"this would do: {'; or '.join(ways)}" if ways else "give more photographs, or smaller tiles"
    return (
        f"{counted(len(photographs.samples), 'photograph')} give {counted(sides.tiles, 'clean tile')} of "
        f"{cut.size[0]} x {cut.size[1]} (margin {cut.margin}, overlap {cut.overlap:g}), not {wanted.train} "
        f"to learn from and {wanted.test} to test on, each side from photographs of its own; {elsewise}"
    )


def _other_cuts(cut: Cut) -> dict[str, list[tuple[str, Cut]]]:
    """By option, other values that give more tiles, the nearest first, each as it is said."""
    height, width = cut.size
    smaller = []
    for eighths in range(7, 0, -1):
        size = height * eighths // 64 * 8, width * eighths // 64 * 8
        if min(size) >= SMALLEST and size != (height, width):
            said = str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"
            smaller.append((said, replace(cut, size=size)))
    return {
        "size": smaller,
        "margin": [
            (str(m), replace(cut, margin=m)) for m in dict.fromkeys((cut.margin // 2, 0)) if m < cut.margin
        ],
        "overlap": [(f"{o:g}", replace(cut, overlap=o)) for o in (0.25, 0.5, 0.75) if o > cut.overlap],
    }


def write_crops(plan: Plan, photographs: Photographs, out: Path, progress: Progress | None = None) -> None:
    """Write the tiles as a data set into `out`, a folder that is new or empty.

    A tile is called after its photograph and its place, `PHOTOGRAPH_YYYYY_XXXXX.png`. A manifest beside the
    folders makes a group of all tiles of one photograph, so that none calibrates what another taught.
    """
    samples = (*plan.learned, *plan.tested)
    stems = [PurePosixPath(name).stem for name in flat_names([sample.id for sample in samples])]
    called = {sample.id: stem for sample, stem in zip(samples, stems, strict=True)}
    tiles: dict[str, list[Tile]] = {}
    for tile in plan.tiles:
        tiles.setdefault(tile.sample.id, []).append(tile)
    progress = progress or Silent()
    rows = []
    with (
        folder_written_whole(out) as made,
        progress.step("cutting tiles", len(plan.tiles)) as advance,
    ):
        for id, own in tiles.items():
            rows += _write(own, called[id], made, photographs)
            advance(len(own))
        _write_manifest(made / MANIFEST, rows)


def _write(tiles: Sequence[Tile], name: str, root: Path, photographs: Photographs) -> list[dict[str, str]]:
    """The tiles of one photograph, which is read once, and their lines in the manifest."""
    sample = tiles[0].sample
    pixels = read_photograph(sample.path)
    defect = photographs.defect(sample)
    rows = []
    for tile in tiles:
        y, x = tile.place
        window = slice(y, y + tile.size[0]), slice(x, x + tile.size[1])
        split, kind = tile.folder.split("/")
        picture = f"{tile.folder}/{name}_{y:05d}_{x:05d}.png"
        row = {"path": picture, "split": split, "label": GOOD, "view": sample.view}
        _write_png(root / picture, pixels[window])
        if kind != GOOD:
            mask = f"ground_truth/{kind}/{name}_{y:05d}_{x:05d}_mask.png"
            _write_png(root / mask, defect[window].astype(np.uint8) * 255)
            row |= {"label": "defective", "defect": kind, "mask": mask}
        rows.append({**row, "group": sample.id if sample.group is None else sample.group})
    return rows


def _write_manifest(path: Path, rows: Sequence[dict[str, str]]) -> None:
    text = io.StringIO()
    table = csv.DictWriter(
        text, [name for name in COLUMNS if any(name in row for row in rows)], lineterminator="\n"
    )
    table.writeheader()
    table.writerows(sorted(rows, key=lambda row: row["path"]))
    write_text(path, text.getvalue())


def _write_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="PNG")


def summary(plan: Plan) -> str:
    """What the data set holds, in words."""
    folders = Counter(tile.folder for tile in plan.tiles)
    kinds = {folder.removeprefix("test/"): n for folder, n in sorted(folders.items()) if "good" not in folder}
    listed = f" ({', '.join(f'{kind} {count}' for kind, count in kinds.items())})" if kinds else ""
    shown = "whole photographs with a defect" if plan.wanted.whole else "with a defect"
    return (
        f"{folders['train/good']} tiles to learn from, of {counted(len(plan.learned), 'photograph')}; "
        f"{folders['test/good']} good tiles and {sum(kinds.values())} {shown}{listed} to test on, "
        f"of {len(plan.tested)} others"
    )

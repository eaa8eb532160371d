"""The data set of tiles: margins, sides, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import grain, save
from test_tiles import most_shared, nearest

from leatherens.core.cropping.tile_set import Photographs, Plan, Wanted, planned, summary, write_crops
from leatherens.core.cropping.tiles import Cut
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.layouts import read_folder
from leatherens.core.photographs import read_mask, read_photograph
from leatherens.core.reading import Sample
from leatherens.plugins.manifest_reader import ManifestReader
from leatherens.plugins.mvtec_reader import MVTecReader

KINDS = ("cut", "hole")
CUT = Cut((16, 16), margin=3)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """12 photographs of 40 x 56, each with a defect of 5 x 7 somewhere."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(5)
    for number in range(12):
        name = f"{KINDS[number % 2]}/{number // 2}"
        save(folder / "test" / f"{name}.png", grain(40, 56, seed=number))
        mask = np.zeros((40, 56), dtype=np.uint8)
        y, x = int(rng.integers(0, 36)), int(rng.integers(0, 50))
        mask[y : y + 5, x : x + 7] = 255
        save(folder / "ground_truth" / f"{name}_mask.png", mask)
    return folder


def samples(root: Path) -> tuple[Sample, ...]:
    return read_folder({"mvtec-ad": MVTecReader()}, root, learning=False).samples


def plan(root: Path, wanted: Wanted, **options) -> Plan:
    return planned(Photographs(samples(root)), wanted, **options)


def by_photograph(plan: Plan, folder: str) -> dict[str, list[tuple[int, int]]]:
    places: dict[str, list[tuple[int, int]]] = {}
    for tile in plan.tiles:
        if tile.folder == folder:
            places.setdefault(tile.sample.id, []).append(tile.place)
    return places


@pytest.mark.parametrize("cut", [CUT, Cut((16, 16), margin=3, overlap=0.4), Cut((12, 20))])
def test_plan__keeps_every_promise(root, cut):
    found = plan(root, Wanted(cut, 12, 5, seed=3))

    counts = {
        folder: sum(tile.folder == folder for tile in found.tiles) for folder in ("train/good", "test/good")
    }
    assert counts == {"train/good": 12, "test/good": 5}
    for folder in counts:
        for id, places in by_photograph(found, folder).items():
            mask = read_mask(
                root / "ground_truth" / f"{id.removeprefix('test/').removesuffix('.png')}_mask.png"
            )
            assert all(nearest(mask, y, x, cut.size) > cut.margin for y, x in places)
            assert most_shared(places, cut.size) <= cut.overlap
    learned = {tile.sample.id for tile in found.tiles if tile.folder == "train/good"}
    tested = {tile.sample.id for tile in found.tiles if tile.folder != "train/good"}
    assert not learned & tested
    assert learned <= {sample.id for sample in found.learned}
    assert {sample.id for sample in (*found.learned, *found.tested)} == {
        sample.id for sample in samples(root)
    }


def test_plan__shows_the_defect_of_every_photograph_to_test_on(root):
    found = plan(root, Wanted(CUT, 12, 5))

    shown = {tile.sample.id for kind in KINDS for tile in found.tiles if tile.folder == f"test/{kind}"}
    assert shown == {sample.id for sample in found.tested}
    spent = len(found.learned)
    assert found.remarks == (
        f"the defects of {spent} photographs are not used: their clean parts are to learn from, and a "
        "photograph is never on both sides",
    )
    cuts, holes = (sum(sample.defect == kind for sample in found.tested) for kind in KINDS)
    assert summary(found) == (
        f"12 tiles to learn from, of {spent} photographs; 5 good tiles and {12 - spent} with a defect "
        f"(cut {cuts}, hole {holes}) to test on, of {12 - spent} others"
    )


def test_plan__same_seed_same_tiles(root):
    tiles = [plan(root, Wanted(CUT, 12, 5, seed=seed)).tiles for seed in (1, 1, 2)]

    assert tiles[0] == tiles[1] != tiles[2]


def test_share__more_photographs_to_learn_from(root):
    few, many, most = (plan(root, Wanted(CUT, 6, 2, share=share)) for share in (0, 0.6, 1))

    assert len(few.learned) < len(many.learned) < len(most.learned)
    assert len(by_photograph(most, "train/good")) == 6
    assert sum(tile.folder == "test/good" for tile in most.tiles) == 2


def test_groups__stay_together(root):
    grouped = [
        Sample(s.path, s.id, True, s.masks, s.defect, group=f"hide {i // 3}")
        for i, s in enumerate(samples(root))
    ]

    found = planned(Photographs(grouped), Wanted(CUT, 9, 5))

    learned = {sample.group for sample in found.learned}
    assert learned
    assert not learned & {sample.group for sample in found.tested}


def test_written(root, tmp_path):
    found = plan(root, Wanted(CUT, 12, 5))
    out = tmp_path / "out"

    write_crops(found, Photographs(samples(root)), out)

    readers = {"mvtec-ad": MVTecReader(), "manifest": ManifestReader()}
    read, plain = read_folder(readers, out), read_folder(readers, out, layout="mvtec-ad")
    defective = sum(sample.defective is True for sample in read.test)
    assert (
        read.sentence
        == f"read as a manifest: 12 good to learn from, 5 good and {defective} defective to test"
    )
    assert read.remarks == plain.remarks == ()
    assert defective == sum(tile.folder in ("test/cut", "test/hole") for tile in found.tiles)
    assert [replace(sample, group=None) for sample in read.samples] == list(plain.samples)
    assert {sample.group for sample in read.train} <= {sample.id for sample in found.learned}
    assert {sample.group for sample in read.test} == {sample.id for sample in found.tested}
    for sample in read.samples:
        _, kind, number, y, x = sample.path.stem.split("_")
        window = slice(int(y), int(y) + 16), slice(int(x), int(x) + 16)
        photograph = read_photograph(root / "test" / kind / f"{number}.png")
        assert np.array_equal(read_photograph(sample.path), photograph[window])
        mask = read_mask(root / "ground_truth" / kind / f"{number}_mask.png")[window]
        assert mask.any() == sample.defective
        if sample.masks:
            assert np.array_equal(read_mask(sample.masks[0]), mask)


FEWER = "--train 6 --test 2 (what --fewer takes)"


class TestTooFew:
    @pytest.mark.parametrize(
        ("side", "cut", "tiles", "way"),
        [
            (96, Cut((40, 40), margin=8), 0, "--size 32 (32 tiles); or --margin 4 (16 tiles)"),
            (64, Cut((28, 28), margin=4), 0, "--margin 2 (16 tiles)"),
            (64, Cut((28, 48), margin=2), 8, f"--overlap 0.75 (16 tiles); or {FEWER}"),
            (64, Cut((28, 64), margin=2), 8, FEWER),
        ],
        ids=["size", "margin", "overlap", "fewer"],
    )
    def test_says_what_would_do(self, tmp_path, side, cut, tiles, way):
        """A defect of 4 x 4 in the middle: there is room at all four sides of it."""
        for number in range(4):
            save(tmp_path / f"test/cut/{number}.png", grain(side, side, seed=number))
            mask = np.zeros((side, side), dtype=np.uint8)
            mask[side // 2 - 2 : side // 2 + 2, side // 2 - 2 : side // 2 + 2] = 255
            save(tmp_path / f"ground_truth/cut/{number}_mask.png", mask)

        with pytest.raises(InputError) as caught:
            plan(tmp_path, Wanted(cut, 12, 4))
        assert str(caught.value) == (
            f"4 photographs give {tiles} clean tiles of {cut.size[0]} x {cut.size[1]} (margin {cut.margin}, "
            "overlap 0), not 12 to learn from and 4 to test on, each side from photographs of its own; "
            f"this would do: {way}"
        )

    def test_nothing_would_do(self, tmp_path):
        save(tmp_path / "test/cut/0.png", grain(64, 64))
        save(tmp_path / "ground_truth/cut/0_mask.png", np.full((64, 64), 255, dtype=np.uint8))

        with pytest.raises(
            InputError, match=r"1 photograph give.*; give more photographs, or smaller tiles$"
        ):
            plan(tmp_path, Wanted(Cut((40, 40), margin=2), 4, 2))

    def test_fewer(self, root):
        found = plan(root, Wanted(CUT, 240, 60), fewer=True)

        assert found.wanted.train == sum(tile.folder == "train/good" for tile in found.tiles)
        assert found.wanted.test == sum(tile.folder == "test/good" for tile in found.tiles)
        assert 20 < found.wanted.train < 240
        assert abs(found.wanted.train / found.wanted.test - 4) < 0.5

    def test_fewer__none_at_all(self, root):
        with pytest.raises(InputError, match=r"give 0 clean tiles of 56 x 56"):
            plan(root, Wanted(Cut((56, 56)), 4, 2), fewer=True)


class TestIgnored:
    def test_picture_for_all(self, root, tmp_path):
        left = np.zeros((40, 56), dtype=np.uint8)
        left[:, :20] = 255
        ignored = save(tmp_path / "ignored.png", left)

        found = planned(Photographs(samples(root), ignored=ignored), Wanted(CUT, 6, 2))

        for tile in found.tiles:
            keeps = CUT.margin if tile.folder.endswith("good") else 0
            assert tile.place[1] >= 20 + keeps

    def test_folder(self, root, tmp_path):
        whole = np.full((40, 56), 255, dtype=np.uint8)
        save(tmp_path / "ignored/cut/0.png", whole)

        found = planned(Photographs(samples(root), ignored=tmp_path / "ignored"), Wanted(CUT, 6, 2))

        assert "test/cut/0.png" not in {tile.sample.id for tile in found.tiles}
        assert found.remarks[-1] == "no tile shows the defect of 1 photograph: test/cut/0.png"

    @pytest.mark.parametrize(("name", "sentence"), [("9.png", "9.png"), (None, "it is empty")])
    def test_folder__of_other_pictures(self, root, tmp_path, name, sentence):
        (tmp_path / "ignored").mkdir()
        if name:
            save(tmp_path / "ignored" / name, grain(40, 56))

        with pytest.raises(
            InputError, match=rf"masks that are called like no photograph \({sentence}\); rename them$"
        ):
            Photographs(samples(root), ignored=tmp_path / "ignored")


def test_defects_nobody_marked(root, tmp_path):
    unmarked = Sample(root / "test/cut/0.png", "x.png", True, (), "cut")

    found = planned(Photographs([*samples(root), unmarked]), Wanted(CUT, 12, 5))

    assert found.remarks[-1] == "left out 1 photograph whose defects nobody has marked: x.png"
    with pytest.raises(
        InputError, match=r"^no photograph is good or has a mask of its defect: nobody knows which"
    ):
        Photographs([unmarked])


def test_good_photographs__are_cut_too(tmp_path):
    for number in range(4):
        save(tmp_path / f"train/good/{number}.png", grain(32, 32, seed=number))

    found = plan(tmp_path, Wanted(Cut((16, 16)), 12, 4))

    assert summary(found) == (
        "12 tiles to learn from, of 3 photographs; 4 good tiles and 0 with a defect to test on, of 1 others"
    )
    assert found.remarks == ()


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"cut": Cut((16, 4))}, "--size: expected at least 8 x 8 pixels, got 16 x 4"),
        ({"cut": Cut((16, 16), margin=-1)}, "--margin: expected 0 or more pixels, got -1"),
        ({"cut": Cut((16, 16), overlap=1.0)}, "--overlap: expected a share from 0 to under 1, got 1"),
        (
            {"cut": Cut((16, 16), overlap=float("nan"))},
            "--overlap: expected a share from 0 to under 1, got nan",
        ),
        ({"share": 1.5}, "--share: expected a share from 0 to 1, got 1.5"),
        ({"train": 0}, "--train: expected 1 or more tiles, got 0"),
        ({"test": -3}, "--test: expected 1 or more tiles, got -3"),
    ],
)
def test_wanted__that_cannot_be(wanted, sentence):
    with pytest.raises(ConfigError) as caught:
        Wanted(**{"cut": CUT, "train": 5, "test": 5, **wanted})
    assert str(caught.value) == sentence


def test_whole_photographs__show_the_defects_where_that_is_asked_for(root, tmp_path):
    found = plan(root, Wanted(CUT, 12, 5, seed=3, whole=True))
    shown = [tile for tile in found.tiles if not tile.folder.endswith("/good")]
    assert {tile.sample.id for tile in shown} == {sample.id for sample in found.tested}
    assert len(shown) == len(found.tested)
    assert "whole photographs with a defect" in summary(found)

    photographs = Photographs(samples(root))
    write_crops(found, photographs, tmp_path / "out")
    for sample in ManifestReader().read(tmp_path / "out").samples:
        pixels = read_photograph(sample.path)
        assert pixels.shape == ((40, 56, 3) if sample.defective else (16, 16, 3))
        if sample.defective:
            original = root / sample.group
            assert np.array_equal(pixels, read_photograph(original))
            assert read_mask(sample.masks[0]).sum() == photographs.defect(
                next(one for one in found.tested if one.id == sample.group)
            ).sum()  # fmt: skip

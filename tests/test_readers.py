from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest
from pictures import grain, mvtec, save, spot

from leatherens.core.errors import InputError, UnknownPlugin
from leatherens.core.layouts import read_folder
from leatherens.core.listing import images_under, pair_masks
from leatherens.core.reading import Collection, Folders, Reader, Sample, unlabelled
from leatherens.plugins.folder_reader import FolderReader
from leatherens.plugins.mvtec_reader import MVTecReader

READERS = {"folder": FolderReader(), "mvtec-ad": MVTecReader()}
SUFFIXES = ".bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp"


def refusal(root: Path, readers=READERS, **options) -> str:
    with pytest.raises(InputError) as caught:
        read_folder(readers, root, **options)
    return str(caught.value)


def pictures(root: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        save(root / name, spot() if "mask" in name or "ground_truth" in name else grain(seed=seed))
    return root


def by_id(samples: tuple[Sample, ...]) -> dict[str, Sample]:
    return {sample.id: sample for sample in samples}


class TestMVTec:
    def test_reads(self, tmp_path):
        root = mvtec(tmp_path, train=3, good=2, cut=2, hole=1)

        found = read_folder(READERS, root)

        assert found.sentence == "read as MVTec AD: 3 good to learn from, 2 good and 3 defective to test"
        assert found.remarks == ()
        assert (found.root, found.layout) == (root, "mvtec-ad")
        assert [s.id for s in found.train] == [f"train/good/00{n}.png" for n in range(3)]
        assert found.train[0] == Sample(root / "train/good/000.png", "train/good/000.png", False, (), "good")
        assert [s.id for s in found.test] == [
            "test/cut/000.png",
            "test/cut/001.png",
            "test/good/000.png",
            "test/good/001.png",
            "test/hole/000.png",
        ]
        assert by_id(found.test)["test/cut/001.png"] == Sample(
            root / "test/cut/001.png",
            "test/cut/001.png",
            True,
            (root / "ground_truth/cut/001_mask.png",),
            "cut",
        )
        assert by_id(found.test)["test/good/001.png"].masks == ()

    def test_mask_called_like_the_image__second_choice(self, tmp_path):
        root = mvtec(tmp_path, cut=2)
        (root / "ground_truth/cut/001_mask.png").rename(root / "ground_truth/cut/001.bmp")
        save(root / "ground_truth/cut/000.png", spot())

        found = read_folder(READERS, root)

        assert by_id(found.test)["test/cut/000.png"].masks == (root / "ground_truth/cut/000_mask.png",)
        assert by_id(found.test)["test/cut/001.png"].masks == (root / "ground_truth/cut/001.bmp",)
        assert found.remarks == ("1 mask without an image: 000.png",)

    def test_image_in_upper_case(self, tmp_path):
        root = pictures(tmp_path, "train/good/A.JPG", "test/cut/B.Png", "ground_truth/cut/B_mask.PNG")
        found = read_folder(READERS, root)
        assert found.test[0].masks == (root / "ground_truth/cut/B_mask.PNG",)

    def test_labels_only(self, tmp_path):
        found = read_folder(READERS, mvtec(tmp_path, masks=False))
        assert found.remarks == ("no defective image has a mask: results are for whole images only",)
        assert Counter(s.defective for s in found.test) == {True: 3, False: 3}

    def test_some_masks_missing(self, tmp_path):
        root = mvtec(tmp_path, cut=2, hole=1)
        (root / "ground_truth/cut/001_mask.png").unlink()
        found = read_folder(READERS, root)
        assert found.remarks == ("1 of 3 defective images have no mask: test/cut/001.png",)
        assert by_id(found.test)["test/cut/001.png"].defective

    def test_mask_without_an_image(self, tmp_path):
        root = mvtec(tmp_path)
        save(root / "ground_truth/cut/099_mask.png", spot())
        assert read_folder(READERS, root).remarks == ("1 mask without an image: 099_mask.png",)

    def test_masks_of_good_images__are_no_remark(self, tmp_path):
        root = mvtec(tmp_path)
        save(root / "ground_truth/good/000_mask.png", spot())
        found = read_folder(READERS, root)
        assert found.remarks == ()
        assert by_id(found.test)["test/good/000.png"].masks == ()

    def test_other_files__are_passed_over_and_counted(self, tmp_path):
        root = mvtec(tmp_path)
        for name in ("train/good/Thumbs.db", "test/good/.hidden.png", "ground_truth/cut/notes.txt"):
            (root / name).write_bytes(b"x")
        (root / "README.md").write_text("a read-me at the top belongs to the layout", encoding="utf-8")
        save(root / "train/good/.cache/001.png", grain())
        found = read_folder(READERS, root)
        assert found.remarks == (
            "passed over 3 files hidden or not an image: Thumbs.db, .hidden.png, notes.txt",
        )
        assert len(found.train) == 10

    def test_images_without_a_place__are_told(self, tmp_path):
        root = mvtec(tmp_path)
        pictures(root, "test/1.png", "spare/1.png", "train/bad/1.png", "validation/bad/1.png")
        assert read_folder(READERS, root).remarks == (
            "left out 1 image directly in test: put them in test/good or test/DEFECT",
            "left out the images in spare, train/bad, validation/bad: the layout has no place for them",
        )

    def test_good_only(self, tmp_path):
        found = read_folder(READERS, pictures(tmp_path, "train/good/1.png", "train/good/2.png"))
        assert found.sentence == "read as MVTec AD: 2 good to learn from and to test"
        assert found.test == found.remarks == ()

    def test_no_good_test_images(self, tmp_path):
        found = read_folder(READERS, pictures(tmp_path, "train/good/1.png", "test/cut/2.png"))
        assert found.sentence == "read as MVTec AD: 1 good to learn from and to test, 1 defective to test"

    def test_no_good_images(self, tmp_path):
        root = mvtec(tmp_path, train=0, good=0, cut=2)
        assert refusal(root) == (
            f"{root}: read as MVTec AD, there are no good images to learn from "
            "(0 good and 2 defective to test); "
            "expected train/good, test/good, test/DEFECT and ground_truth/DEFECT/NAME_mask.png"
        )

    def test_folders_beside_it__are_refused(self, tmp_path):
        root = mvtec(tmp_path / "hides")
        assert refusal(root, defects=pictures(tmp_path / "bad", "1.png")) == (
            f"{root}: MVTec AD names its own defects and masks; "
            "name none beside it, or give the folder of its good images only"
        )

    def test_not_mvtec__when_named(self, tmp_path):
        root = pictures(tmp_path, "1.png")
        assert refusal(root, layout="mvtec-ad") == (
            f"{root}: not MVTec AD; "
            "expected train/good, test/good, test/DEFECT and ground_truth/DEFECT/NAME_mask.png"
        )


class TestFolder:
    def test_all_good(self, tmp_path):
        root = pictures(tmp_path, "b.png", "a.jpg", "notes.txt.png")
        found = read_folder(READERS, root)
        assert found.sentence == "read as a plain folder: 3 good to learn from and to test"
        assert [s.id for s in found.train] == ["a.jpg", "b.png", "notes.txt.png"]
        assert found.remarks == ()
        assert {(s.defective, s.defect, s.masks) for s in found.train} == {(False, "good", ())}

    def test_sub_folders__are_good_and_told(self, tmp_path):
        root = pictures(tmp_path, "monday/1.png", "tuesday/late/1.png", "1.png")
        found = read_folder(READERS, root)
        assert [s.id for s in found.train] == ["1.png", "monday/1.png", "tuesday/late/1.png"]
        assert found.remarks == ("took all images in monday, tuesday for good",)

    def test_good_defective_and_masks(self, tmp_path):
        names = ("Good/1.png", "good/deep/2.png", "Bad/1.png", "Bad/cut/1.png", "Bad/cut/2.png")
        root = pictures(tmp_path, *names, "masks/1.png", "masks/cut/1_mask.png")
        found = read_folder(READERS, root)
        assert (
            found.sentence == "read as a plain folder: 2 good to learn from and to test, 3 defective to test"
        )
        assert found.remarks == ("1 of 3 defective images have no mask: Bad/cut/2.png",)
        assert [(s.id, s.defective, s.defect, s.masks) for s in found.test] == [
            ("Bad/1.png", True, "Bad", (root / "masks/1.png",)),
            ("Bad/cut/1.png", True, "cut", (root / "masks/cut/1_mask.png",)),
            ("Bad/cut/2.png", True, "cut", ()),
        ]

    @pytest.mark.parametrize("name", ["abnormal", "anomaly", "BAD", "defects", "ko", "ng"])
    def test_names_of_defects(self, tmp_path, name):
        found = read_folder(READERS, pictures(tmp_path, "1.png", f"{name}/2.png"))
        assert ([s.id for s in found.train], [s.id for s in found.test]) == (["1.png"], [f"{name}/2.png"])

    def test_masks_beside_their_images(self, tmp_path):
        root = pictures(tmp_path, "good/1.png", "defective/1.png", "defective/1_mask.png", "defective/2.png")
        found = read_folder(READERS, root)
        assert [(s.id, s.masks) for s in found.test] == [
            ("defective/1.png", (root / "defective/1_mask.png",)),
            ("defective/2.png", ()),
        ]

    def test_masks_inside_the_defective(self, tmp_path):
        root = pictures(tmp_path, "good/1.png", "bad/cut/1.png", "bad/masks/cut/1.png")
        assert [(s.id, s.masks) for s in read_folder(READERS, root).test] == [
            ("bad/cut/1.png", (root / "bad/masks/cut/1.png",))
        ]

    def test_mask_beside_a_good_image(self, tmp_path):
        root = pictures(tmp_path, "1.png", "1_mask.png")
        assert refusal(root) == (
            f"{root / '1_mask.png'}: a mask beside an image taken for good; move defective images and their "
            "masks into a folder named defective"
        )

    def test_left_out__beside_good(self, tmp_path):
        root = pictures(tmp_path, "good/1.png", "scratches/1.png", "scratches/2.png")
        found = read_folder(READERS, root)
        assert [s.id for s in found.train] == ["good/1.png"]
        assert found.remarks == ("left out 2 images in scratches: neither good nor defective by name",)

    def test_named_folders_beside(self, tmp_path):
        root = pictures(tmp_path / "ok-hides", "1.png")
        bad = pictures(tmp_path / "cuts", "1.png", "deep/2.png")
        masks = pictures(tmp_path / "cut-masks", "1_mask.png", "deep/2_mask.png", "3_mask.png")
        (bad / "notes.txt").touch()
        found = read_folder(READERS, root, defects=bad, masks=masks)
        assert [(s.id, s.defect, s.masks) for s in found.test] == [
            ("cuts/1.png", "cuts", (masks / "1_mask.png",)),
            ("cuts/deep/2.png", "deep", (masks / "deep/2_mask.png",)),
        ]
        assert found.remarks == (
            "passed over 1 file hidden or not an image: notes.txt",
            "1 mask without an image: 3_mask.png",
        )

    def test_named_folder_inside__is_not_good(self, tmp_path, monkeypatch):
        """Given relative and absolute, so that only the resolved paths agree."""
        pictures(tmp_path / "hides", "1.png", "scratches/1.png")
        monkeypatch.chdir(tmp_path)
        found = read_folder(READERS, Path("hides"), defects=tmp_path / "hides/scratches")
        assert [s.id for s in found.train] == ["1.png"]
        assert [s.id for s in found.test] == ["scratches/1.png"]

    def test_named_folder_around(self, tmp_path):
        root = pictures(tmp_path / "hides", "1.png")
        assert refusal(root, defects=tmp_path) == (
            f"{tmp_path}: holds the good images as well ({root}); give a folder beside or below them"
        )

    def test_train_and_test__are_never_read_as_all_good(self, tmp_path):
        root = pictures(tmp_path, "Train/1.png", "Test/2.png")
        for options in ({"layout": "folder"}, {}):
            assert "good surfaces, or the folders good, defective and masks" in refusal(root, **options)

    def test_defects_only(self, tmp_path):
        root = pictures(tmp_path, "bad/1.png")
        assert refusal(root) == (
            f"{root}: read as a plain folder, there are no good images to learn from "
            "(0 good and 1 defective to test); expected images of good surfaces, or the folders good, "
            "defective and masks"
        )

    def test_two_images_of_one_name(self, tmp_path):
        root = pictures(tmp_path / "hides", "1.png", "bad/1.png")
        bad = pictures(tmp_path / "other/bad", "1.png")
        assert refusal(root, defects=bad) == (
            f"{root}: two images are called bad/1.png ({root / 'bad/1.png'} and {bad / '1.png'}); rename one"
        )


class TestChoice:
    def test_missing_folder(self, tmp_path):
        assert refusal(tmp_path / "none") == f"{tmp_path / 'none'}: no such folder; check the name"

    def test_file(self, tmp_path):
        path = save(tmp_path / "1.png", grain())
        assert refusal(path) == f"{path}: a file, not a folder; give the folder that holds it"

    def test_missing_folder_beside(self, tmp_path):
        root, beside = pictures(tmp_path, "1.png"), tmp_path / "none"
        assert refusal(root, masks=beside) == f"{beside}: no such folder; check the name"

    def test_empty_folder(self, tmp_path):
        (tmp_path / "notes.txt").touch()
        expected = f"{tmp_path}: no images in it ({SUFFIXES}); give the folder that holds the photographs"
        assert refusal(tmp_path) == expected

    def test_unlistable_folder(self, tmp_path, monkeypatch):
        def forbidden(path: object) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(os, "scandir", forbidden)
        with pytest.raises(InputError) as caught:
            images_under(tmp_path)
        assert (
            str(caught.value) == f"{tmp_path}: cannot be listed (Permission denied); change its permissions"
        )

    def test_several_collections(self, tmp_path):
        mvtec(tmp_path / "teal")
        mvtec(tmp_path / "darkgreen")
        assert refusal(tmp_path) == (
            f"{tmp_path}: 2 categories lie here (darkgreen, teal); give one of them, "
            f"such as {tmp_path / 'darkgreen'}"
        )

    def test_one_collection_below(self, tmp_path):
        mvtec(tmp_path / "leather")
        assert (
            refusal(tmp_path)
            == f"{tmp_path}: the collection lies one folder down; give {tmp_path / 'leather'}"
        )

    def test_unknown_layout(self, tmp_path):
        with pytest.raises(UnknownPlugin) as caught:
            read_folder(READERS, tmp_path, layout="mvtecad")
        assert str(caught.value) == (
            "unknown layout 'mvtecad'; did you mean 'mvtec-ad'? (layouts: folder, mvtec-ad)"
        )
        assert caught.value.candidates == ("folder", "mvtec-ad")
        with pytest.raises(UnknownPlugin, match=r"^unknown layout 'x'; \(layouts: folder, mvtec-ad\)$"):
            read_folder(READERS, tmp_path, layout="x")

    def test_no_layout_fits(self, tmp_path):
        root = pictures(tmp_path, "train/1.png")
        assert refusal(root) == (
            f"{root}: no layout fits it; arrange it as one of: "
            "a plain folder: images of good surfaces, or the folders good, defective and masks; "
            "MVTec AD: train/good, test/good, test/DEFECT and ground_truth/DEFECT/NAME_mask.png"
        )

    def test_two_layouts_fit(self, tmp_path):
        class Twin(MVTecReader):
            id = "twin"

        readers = {**READERS, "twin": Twin()}
        root = mvtec(tmp_path)
        assert refusal(root, readers) == (
            f"{root}: fits the layouts mvtec-ad and twin; name one of them as the layout"
        )
        assert read_folder(readers, root, layout="twin").layout == "twin"

    def test_fallback__is_asked_last_whatever_its_id(self, tmp_path):
        class Greedy(Reader):
            id: ClassVar[str] = "a-greedy"
            title: ClassVar[str] = "anything"
            shape: ClassVar[str] = "anything"
            fallback: ClassVar[bool] = True

            def recognises(self, root: Path) -> bool:
                return True

            def _read(self, folders: Folders) -> Collection:
                raise AssertionError("not asked")

        found = read_folder({"a-greedy": Greedy(), "mvtec-ad": MVTecReader()}, mvtec(tmp_path))
        assert found.layout == "mvtec-ad"


def places(*names: str) -> dict[Path, Path]:
    return {Path("/root", name): Path(name) for name in names}


class TestPairing:
    def test_nearest_folder_first(self):
        images = places("bad/cut/1.png", "bad/hole/1.png", "bad/2.png")
        masks = places("bad/cut/1.tif", "hole/1_mask.png", "2_mask.png")
        pairs, unpaired = pair_masks(images, masks)
        assert {i.name + i.parent.name: m.relative_to("/root").as_posix() for i, (m,) in pairs.items()} == {
            "1.pngcut": "bad/cut/1.tif",
            "1.pnghole": "hole/1_mask.png",
            "2.pngbad": "2_mask.png",
        }
        assert unpaired == ()

    def test_another_folder_does_not_fit(self):
        pairs, unpaired = pair_masks(places("cut/1.png"), places("hole/1_mask.png", "cut/10_mask.png"))
        assert pairs == {}
        assert unpaired == (Path("/root/cut/10_mask.png"), Path("/root/hole/1_mask.png"))

    def test_one_mask_for_two_images(self):
        with pytest.raises(InputError) as caught:
            pair_masks(places("cut/1.png", "hole/1.png"), places("1_mask.png"))
        assert str(caught.value) == (
            "/root/1_mask.png: fits two images (/root/cut/1.png and /root/hole/1.png); "
            "keep masks in folders named like the images'"
        )


class TestListing:
    def test_sorted_like_ids(self, tmp_path):
        root = pictures(tmp_path, "a/1.png", "a-b/1.png", "Z.png", "10.png", "9.png")
        ids = [sample.id for sample in read_folder(READERS, root).train]
        assert ids == sorted(ids) == ["10.png", "9.png", "Z.png", "a-b/1.png", "a/1.png"]

    @pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege")
    def test_linked_folders__are_entered_once(self, tmp_path, monkeypatch):
        listed: list[str] = []
        scandir = os.scandir
        monkeypatch.setattr(os, "scandir", lambda path: listed.append(str(path)) or scandir(path))
        pictures(tmp_path / "elsewhere", "2.png")
        root = pictures(tmp_path / "hides", "1.png")
        (root / "linked").symlink_to(tmp_path / "elsewhere")
        (root / "linked" / "round").symlink_to(root)
        assert [p.name for p in images_under(root).images] == ["1.png", "2.png"]
        assert len(listed) <= 3, "the root, the link, and the link back once"

    @pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
    def test_name_that_is_not_utf8__is_escaped(self, tmp_path):
        name = os.fsdecode(b"h\xe4ute.png")
        save(tmp_path / "1.png", grain()).rename(tmp_path / name)
        (sample,) = read_folder(READERS, tmp_path).train
        assert sample.id == "h\\xe4ute.png"
        assert sample.path.exists()

    @pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
    @pytest.mark.parametrize("folders", [("good", "bad"), ("train/good", "test")])
    def test_folder_that_is_not_utf8__is_escaped(self, tmp_path, folders):
        good, bad = folders
        kind = os.fsdecode(b"l\xf6cher")
        root = pictures(tmp_path, f"{good}/1.png", f"{bad}/{kind}/1.png")
        (tested,) = read_folder(READERS, root).test
        assert (tested.id, tested.defect) == (f"{bad}/l\\xf6cher/1.png", "l\\xf6cher")


class TestUnlabelled:
    def test_file(self, tmp_path):
        path = save(tmp_path / "1.png", grain())
        assert unlabelled([path]) == (Sample(path, "1.png"),)
        assert unlabelled([path])[0].defective is None

    def test_folder(self, tmp_path):
        root = pictures(tmp_path, "b/1.png", "a.png")
        assert [s.id for s in unlabelled([root])] == ["a.png", "b/1.png"]

    def test_several__have_different_ids_and_come_once(self, tmp_path):
        pictures(tmp_path, "a/1.png", "b/1.png")
        given = [tmp_path / "a", tmp_path / "b" / "1.png", tmp_path / "a" / "1.png"]
        assert [s.id for s in unlabelled(given)] == ["a/1.png", "b/1.png"]

    def test_nothing(self, tmp_path):
        with pytest.raises(InputError) as caught:
            unlabelled([tmp_path])
        assert (
            str(caught.value)
            == f"{tmp_path}: no images in it ({SUFFIXES}); give images or a folder that holds some"
        )
        with pytest.raises(
            InputError, match=r"^no images are given; give image files, or folders that hold some$"
        ):
            unlabelled([])


REAL = {
    "circuit_board_pairs": "52 good to learn from, 27 good and 27 defective to test",
    "fabric_02": "96 good to learn from, 64 good and 22 defective to test",
    "fabric_03": "90 good to learn from, 30 good and 84 defective to test",
    "leather_labels_only/darkgreen": "101 good to learn from, 41 good and 202 defective to test",
    "leather_labels_only/teal": "57 good to learn from, 24 good and 227 defective to test",
    "leather_multi_colour_tiles": "274 good to learn from, 222 good and 62 defective to test",
    "leather_one_colour": "211 good to learn from, 32 good and 39 defective to test",
    "magnetic_tile": "330 good to learn from, 145 good and 192 defective to test",
}


@pytest.mark.skipif(
    "LEATHERENS_DATA" not in os.environ, reason="LEATHERENS_DATA names no folder of real data"
)
@pytest.mark.parametrize("name", REAL)
def test_real_collections(name):
    root = Path(os.environ["LEATHERENS_DATA"], name)
    if not root.is_dir():
        pytest.skip(f"no {name} in LEATHERENS_DATA")
    found = read_folder(READERS, root)
    assert found.sentence == f"read as MVTec AD: {REAL[name]}"
    masked = (root / "ground_truth").is_dir()
    assert all(bool(sample.masks) is (masked and bool(sample.defective)) for sample in found.test)
    assert bool(found.remarks) is not masked

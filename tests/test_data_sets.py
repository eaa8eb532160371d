"""The layouts of published data sets, each built small, with the traps that their authors left in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from pictures import grain, mvtec, save, spot
from PIL import Image

from leatherens.core.errors import ConfigError, InputError
from leatherens.core.host import PluginHost
from leatherens.core.layouts import STATED, read_folder
from leatherens.core.reading import Collection, Reader, Sample
from leatherens.core.saturation import Saturation
from leatherens.ensembles.sources import FileSource


@pytest.fixture(scope="module")
def readers() -> Mapping[str, Reader]:
    """All built-in readers, so that every test also shows that no other one fits."""
    registry = PluginHost(installed=False).readers()
    return {id: registry.load(id)() for id in registry.ids()}


def pictures(root: Path, *names: str) -> Path:
    """Grain, each of its own seed; a name that says mask, GT, label or ground_truth is a spot."""
    for seed, name in enumerate(names):
        marked = any(word in name for word in ("mask", "Mask", "_GT", "_label", "ground_truth"))
        save(root / name, spot() if marked else grain(seed=seed))
    return root


def named(samples: tuple[Sample, ...]) -> dict[str, str]:
    return {sample.id: sample.defect for sample in samples}


def problems(found: Collection) -> list[str]:
    return [problem.reason for problem in FileSource(found.samples, size=(24, 32)).problems()]


class TestLoco:
    CONFIG = (
        ("logical", 255, 12, False),
        ("structural", 254, 0.5, True),
    )

    def loco(self, root: Path, *, config: bool = True) -> Path:
        names = ("train/good/000", "train/good/001", "validation/good/000", "test/good/000")
        kinds = ("logical_anomalies/000", "structural_anomalies/000", "structural_anomalies/001")
        pictures(root, *(f"{name}.png" for name in (*names, *(f"test/{kind}" for kind in kinds))))
        masks = ("logical_anomalies/000/000", "structural_anomalies/000/000", "structural_anomalies/000/001")
        for mask in masks:
            level = 255 if mask.startswith("logical") else 254
            save(root / "ground_truth" / f"{mask}.png", (spot() > 0).astype(np.uint8) * level)
        if config:
            keys = ("defect_name", "pixel_value", "saturation_threshold", "relative_saturation")
            content = [dict(zip(keys, values, strict=True)) for values in self.CONFIG]
            (root / "defects_config.json").write_text(json.dumps(content), encoding="utf-8")
        return root

    def test_reads(self, tmp_path, readers):
        root = self.loco(tmp_path)

        found = read_folder(readers, root)

        assert found.sentence == (
            "read as MVTec LOCO: 2 good to learn from, 1 good to validate on, 1 good and 3 defective to test"
        )
        assert found.remarks == ("1 of 3 defective images have no mask: test/structural_anomalies/001.png",)
        assert named(found.validation) == {"validation/good/000.png": "good"}
        truth = root / "ground_truth/structural_anomalies/000"
        by_id = {sample.id: sample for sample in found.test}
        assert by_id["test/structural_anomalies/000.png"].masks == (truth / "000.png", truth / "001.png")
        saturations = tuple(Saturation(d, v, s, relative=r) for d, v, s, r in self.CONFIG)
        assert {s.id: s.saturations for s in found.test if s.masks} == {
            "test/logical_anomalies/000.png": saturations,
            "test/structural_anomalies/000.png": saturations,
        }
        assert problems(found) == []

    def test_a_mask_of_an_unknown_kind__or_of_two_defects_is_a_problem(self, tmp_path, readers):
        root = self.loco(tmp_path)
        truth = root / "ground_truth"
        save(truth / "logical_anomalies/000/000.png", (spot() > 0).astype(np.uint8) * 7)
        two = (spot() > 0).astype(np.uint8) * 254
        two[20, 3] = 255
        save(truth / "structural_anomalies/000/001.png", two)
        assert problems(read_folder(readers, root)) == [
            f"{truth / 'logical_anomalies/000/000.png'}: the grey level 7 stands for no kind of defect; "
            "defects_config.json knows 255, 254",
            f"{truth / 'structural_anomalies/000/001.png'}: expected one defect, of one grey level above 0, "
            "got levels 254, 255",
        ]

    def test_without_saturations(self, tmp_path, readers):
        found = read_folder(readers, self.loco(tmp_path, config=False))
        assert found.remarks[-1] == (
            "defects_config.json is missing: all pixels of a defect are to be found, none is saturated"
        )
        assert {sample.saturations for sample in found.samples} == {()}

    def test_wrong_saturations(self, tmp_path, readers):
        root = self.loco(tmp_path)
        (root / "defects_config.json").write_text("[1]", encoding="utf-8")
        with pytest.raises(InputError, match=r"defects_config\.json: entry 1: expected exactly the keys"):
            read_folder(readers, root)

    def test_autovi__has_kinds_of_its_own(self, tmp_path, readers):
        root = self.loco(tmp_path)
        (root / "test/structural_anomalies").rename(root / "test/blue_hoop")
        (root / "ground_truth/structural_anomalies").rename(root / "ground_truth/blue_hoop")
        (root / "test/logical_anomalies/000.png").unlink()
        (root / "test/logical_anomalies").rmdir()
        found = read_folder(readers, root)
        assert found.layout == "mvtec-loco"
        assert named(found.test)["test/blue_hoop/001.png"] == "blue_hoop"
        assert found.remarks[1] == "1 mask without an image: 000.png"

    def test_read_as_mvtec_ad__if_asked(self, tmp_path, readers):
        found = read_folder(readers, self.loco(tmp_path), layout="mvtec-ad")
        assert found.title == "MVTec AD"
        assert "no defective image has a mask: results are for whole images only" in found.remarks


class TestMVTecAD2:
    def test_reads(self, tmp_path, readers):
        lights = ("regular", "shift_1")
        good = [
            f"{part}/good/{n:03d}_{light}.png"
            for part in ("train", "validation")
            for n in range(2)
            for light in lights
        ]
        test = [f"test_public/{kind}/000_{light}.png" for kind in ("good", "bad") for light in lights]
        private = ["test_private/000_regular.png", "test_private_mixed/000_mixed.png"]
        truth = ["test_public/ground_truth/bad/000_regular_mask.png"]
        root = pictures(tmp_path, *good, *test, *private, *truth)

        found = read_folder(readers, root)

        assert found.sentence == (
            "read as MVTec AD 2: 4 good to learn from, 4 good to validate on, 2 good and 2 defective to test"
        )
        assert found.remarks == (
            "1 of 2 defective images have no mask: test_public/bad/000_shift_1.png",
            "left out 1 image in test_private: nobody has labelled them",
            "left out 1 image in test_private_mixed: nobody has labelled them",
        )
        assert [(s.id, s.masks) for s in found.test if s.masks] == [
            ("test_public/bad/000_regular.png", (root / truth[0],))
        ]
        assert [sample.group for sample in found.train] == ["train/good/000"] * 2 + ["train/good/001"] * 2


class TestVisA:
    def visa(self, root: Path) -> Path:
        images = [
            f"candle/Data/Images/{kind}/{n:04d}.JPG"
            for kind, n in (("Normal", 0), ("Normal", 1), ("Normal", 2), ("Anomaly", 0))
        ]
        pictures(root, *images, "pcb1/Data/Images/Normal/0000.JPG")
        save(root / "candle/Data/Masks/Anomaly/000.png", (spot() > 0).astype(np.uint8) * 3)
        lines = [
            "object,split,label,image,mask",
            f"candle,train,normal,{images[0]},",
            f"candle,train,normal,{images[1]},",
            f"candle,test,normal,{images[2]},",
            f"candle,test,anomaly,{images[3]},candle/Data/Masks/Anomaly/000.png",
            "pcb1,train,normal,pcb1/Data/Images/Normal/0000.JPG,",
        ]
        (root / "split_csv").mkdir()
        (root / "split_csv/1cls.csv").write_text("\n".join(lines), encoding="utf-8")
        return root / "candle"

    def test_reads(self, tmp_path, readers, monkeypatch):
        root = self.visa(tmp_path)

        found = read_folder(readers, root)

        assert found.sentence == "read as VisA: 2 good to learn from, 1 good and 1 defective to test"
        assert found.remarks == ()
        assert [sample.id for sample in found.train] == [
            "Data/Images/Normal/0000.JPG",
            "Data/Images/Normal/0001.JPG",
        ]
        (mask,) = (
            mask for mask in FileSource(found.test, size=(24, 32)).masks() if mask is not None and mask.any()
        )
        assert (mask == (spot() > 0)).all(), "numbers of kinds are not grey levels"
        monkeypatch.chdir(root)
        assert read_folder(readers, Path()).sentence == found.sentence

    def test_without_the_split(self, tmp_path, readers):
        root = self.visa(tmp_path)
        (tmp_path / "split_csv/1cls.csv").unlink()
        with pytest.raises(InputError) as caught:
            read_folder(readers, root)
        assert str(caught.value) == (
            f"{root}: VisA's split is missing; put its authors' split_csv/1cls.csv into {tmp_path}, or "
            "write a manifest"
        )

    def test_renamed_object__or_a_missing_image(self, tmp_path, readers):
        root = self.visa(tmp_path)
        split = tmp_path / "split_csv/1cls.csv"
        (root / "Data/Images/Normal/0001.JPG").unlink()
        with pytest.raises(InputError) as caught:
            read_folder(readers, root)
        gone = "candle/Data/Images/Normal/0001.JPG: no such file"
        assert str(caught.value) == f"{split}: line 3: {gone}; name an image in {tmp_path}"
        with pytest.raises(InputError) as caught:
            read_folder(readers, root.rename(tmp_path / "kerze"))
        assert str(caught.value) == f"{split}: has no object called 'kerze' (objects: candle, pcb1)"

    def test_prepared(self, tmp_path, readers):
        names = ("train/good/0.JPG", "test/good/1.JPG", "test/bad/2.JPG", "ground_truth/bad/2.png")
        root = pictures(tmp_path / "1cls/candle", *names)
        found = read_folder(readers, root)
        assert found.sentence == "read as VisA: 1 good to learn from, 1 good and 1 defective to test"
        assert found.test[0].masks == (root / "ground_truth/bad/2.png",)


class TestBTAD:
    @pytest.mark.parametrize(("image", "mask"), [("bmp", "png"), ("png", "png"), ("bmp", "bmp")])
    def test_reads(self, tmp_path, readers, image, mask):
        names = (
            f"train/ok/0.{image}",
            f"test/ok/1.{image}",
            f"test/ko/2.{image}",
            f"ground_truth/ko/2.{mask}",
        )
        root = pictures(tmp_path, *names)

        found = read_folder(readers, root)

        assert found.sentence == "read as BTAD: 1 good to learn from, 1 good and 1 defective to test"
        assert found.remarks == ()
        assert named(found.samples) == {
            f"train/ok/0.{image}": "good",
            f"test/ko/2.{image}": "ko",
            f"test/ok/1.{image}": "good",
        }
        assert [sample.masks for sample in found.test if sample.defective] == [
            (root / f"ground_truth/ko/2.{mask}",)
        ]


class TestMagneticTile:
    def tile(self, root: Path, *numbers: int) -> Path:
        for n in numbers:
            save(root / f"MT_Free/Imgs/exp1_num_{n}.jpg", grain(seed=n))
            save(root / f"MT_Free/Imgs/exp1_num_{n}.png", spot() * 0)
        save(root / "MT_Blowhole/Imgs/exp2_num_7.jpg", grain())
        soft = np.zeros((24, 32), dtype=np.uint8)
        soft[4:12, 20:30] = np.linspace(16, 255, 80, dtype=np.uint8).reshape(8, 10)
        save(root / "MT_Blowhole/Imgs/exp2_num_7.png", soft)
        return root

    def test_reads(self, tmp_path, readers):
        root = self.tile(tmp_path, *range(0, 10_000, 1000))

        found = read_folder(readers, root)

        assert (
            found.sentence
            == "read as MTD magnetic tile: 8 good to learn from, 2 good and 1 defective to test"
        )
        assert found.remarks == ()
        assert named(found.test) == {
            "MT_Blowhole/Imgs/exp2_num_7.jpg": "blowhole",
            "MT_Free/Imgs/exp1_num_4000.jpg": "good",
            "MT_Free/Imgs/exp1_num_9000.jpg": "good",
        }
        mask, *_ = FileSource(found.test, size=(24, 32)).masks()
        soft = np.asarray(Image.open(root / "MT_Blowhole/Imgs/exp2_num_7.png"))
        assert len(np.unique(soft)) > 2, "the published masks are soft"
        assert (mask == (soft >= 128)).all()

    def test_neighbours_in_number__are_on_one_side(self, tmp_path, readers):
        """200 apart is a gap, 199 is none, however long the chain."""
        root = self.tile(tmp_path, 0, 1000, 2000, 3000, 4000, 4199, 4398, 4598)
        found = read_folder(readers, root)
        good = [sample for sample in found.test if not sample.defective]
        assert [sample.group for sample in good] == ["0004000"] * 3
        assert [sample.id[-8:-4] for sample in good] == ["4000", "4199", "4398"]
        assert found.train[-1].group == "0004598"

    def test_other_names__stand_alone(self, tmp_path, readers):
        root = self.tile(tmp_path)
        pictures(root, *(f"MT_Free/Imgs/{n}.jpg" for n in range(6)))
        found = read_folder(readers, root)
        assert {sample.group for sample in found.train} == {None}
        assert [sample.id for sample in found.test] == [
            "MT_Blowhole/Imgs/exp2_num_7.jpg",
            "MT_Free/Imgs/4.jpg",
        ]


class TestKolektor:
    def kolektor(self, root: Path) -> Path:
        for item in range(1, 7):
            for part in range(2):
                path = root / f"kos{item:02d}/Part{part}.jpg"
                save(path, grain(seed=10 * item + part))
                save(path.with_name(f"Part{part}_label.bmp"), spot() * (item == 2 and part == 1))
        return root

    def test_reads(self, tmp_path, readers):
        root = self.kolektor(tmp_path)

        found = read_folder(readers, root)

        assert found.sentence == "read as KolektorSDD: 9 good to learn from, 2 good and 1 defective to test"
        assert found.remarks == ()
        assert [sample.id for sample in found.test] == [
            "kos02/Part1.jpg",
            "kos05/Part0.jpg",
            "kos05/Part1.jpg",
        ]
        bad = found.test[0]
        assert (bad.defective, bad.masks, bad.group) == (True, (root / "kos02/Part1_label.bmp",), "kos02")
        assert {s.group for s in found.train} == {"kos01", "kos02", "kos03", "kos04", "kos06"}

    def test_image_without_a_label__is_left_out_and_a_damaged_one_is_named(self, tmp_path, readers):
        root = self.kolektor(tmp_path)
        (root / "kos03/Part0_label.bmp").unlink()
        assert read_folder(readers, root).remarks == (
            "left out 1 image without a mask, which would tell the label: kos03/Part0.jpg",
        )
        (root / "kos04/Part0_label.bmp").write_bytes(b"BM")
        with pytest.raises(InputError, match=r"kos04/Part0_label\.bmp: "):
            read_folder(readers, root)


class TestKolektor2:
    def test_reads(self, tmp_path, readers):
        for part, numbers in (("train", (10000, 10001)), ("test", (20000, 20001))):
            for n in numbers:
                save(tmp_path / part / f"{n}.png", grain(seed=n))
                save(tmp_path / part / f"{n}_GT.png", spot() * (n % 2))

        found = read_folder(readers, tmp_path)

        assert found.sentence == "read as KolektorSDD2: 1 good to learn from, 1 good and 1 defective to test"
        assert found.remarks == ("left out 1 defective image in train: only good images teach",)
        assert named(found.test) == {"test/20000.png": "good", "test/20001.png": "defect"}
        assert found.test[1].masks == (tmp_path / "test/20001_GT.png",)


class TestTilda:
    @pytest.mark.parametrize(
        "pattern", ["e{kind}/{n}.png", "E{kind}/deep/{n}.png", "C1R1E{kind}N{n}.TIF", "c1r1_e{kind}_{n}.png"]
    )
    def test_reads(self, tmp_path, readers, pattern):
        names = [pattern.format(kind=kind, n=n) for kind in (0, 3) for n in range(1, 7)]
        root = pictures(tmp_path, *names)

        found = read_folder(readers, root)

        assert found.sentence == "read as TILDA: 5 good to learn from, 1 good and 6 defective to test"
        assert found.remarks == ("no defective image has a mask: results are for whole images only",)
        assert {sample.defect for sample in found.test} == {"good", "e3"}

    def test_other_folders__are_told_by_layout_yaml(self, tmp_path, readers):
        root = pictures(
            tmp_path, *(f"{kind}/{n}.png" for kind in ("good", "oil spot", "hole") for n in range(3))
        )
        (root / STATED).write_text("layout: tilda\noptions: {kind: (.+), good: [Good]}\n", encoding="utf-8")
        found = read_folder(readers, root)
        assert found.sentence == "read as TILDA: 3 good to learn from and to test, 6 defective to test"
        assert {sample.defect for sample in found.test} == {"oil spot", "hole"}

    def test_images_of_no_kind__are_left_out(self, tmp_path, readers):
        root = pictures(tmp_path, "e0/1.png", "e0/2.png", "e1/1.png", "spare/1.png", "e10/1.png")
        assert (
            read_folder(readers, root).remarks[-1] == "left out 2 images of no kind: e10/1.png, spare/1.png"
        )

    @pytest.mark.parametrize(
        ("kind", "told"),
        [
            ("e[", "not a regular expression (unterminated character set at position 1)"),
            ("e0", "expected one group in parentheses around the kind"),
        ],
    )
    def test_wrong_pattern(self, tmp_path, readers, kind, told):
        root = pictures(tmp_path, "e0/1.png", "e1/1.png")
        (root / STATED).write_text(f"layout: tilda\noptions: {{kind: '{kind}'}}\n", encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            read_folder(readers, root)
        assert str(caught.value) == f"tilda: option 'kind': {told}, got '{kind}'"


def test_mvtec__is_still_mvtec(tmp_path: Path, readers: Mapping[str, Reader]) -> None:
    found = read_folder(readers, mvtec(tmp_path))
    assert found.title == "MVTec AD"
    good = next(i for i, sample in enumerate(found.test) if not sample.defective)
    truth = FileSource(found.test, size=(24, 32)).mask(good)
    assert truth is not None
    assert not truth.any()


def test_mvtec__validation_is_validated_on(tmp_path: Path, readers: Mapping[str, Reader]) -> None:
    root = pictures(mvtec(tmp_path), "validation/good/1.png")
    found = read_folder(readers, root)
    assert named(found.validation) == {"validation/good/1.png": "good"}
    assert found.remarks == ()


def test_defects_deep_in_a_plain_folder__are_never_good(
    tmp_path: Path, readers: Mapping[str, Reader]
) -> None:
    root = pictures(tmp_path, "monday/ok/1.png", "monday/Bad/2.png")
    with pytest.raises(InputError) as caught:
        read_folder(readers, root)
    assert str(caught.value) == (
        f"{root / 'monday/Bad'}: called Bad, but would be taken for good, as it does not lie directly in "
        f"{root}; move it there, or give the folder that holds it"
    )

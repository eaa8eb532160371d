"""From masks to annotators' files, and back without losing a pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra.numpy import arrays
from pictures import grain, mvtec, save, spot

from leatherens.core.errors import ConfigError, InputError
from leatherens.core.labels.annotations import Pens
from leatherens.core.labels.exporting import check_out, of_masks, of_samples, write_labels
from leatherens.core.labels.finding import Pictures
from leatherens.core.labels.importing import import_labels, read_annotations
from leatherens.core.layouts import read_folder
from leatherens.core.photographs import read_mask
from leatherens.core.reading import Sample
from leatherens.plugins.mvtec_reader import MVTecReader

OUTS = {"via": "via.json", "via csv": "via.csv", "coco": "coco.json", "labelme": "labelme"}


def samples(root: Path) -> tuple[Sample, ...]:
    return read_folder({"mvtec-ad": MVTecReader()}, root, learning=False).test


def there_and_back(root: Path, folder: Path, out: str) -> Path:
    """A data set exported to a file and imported again."""
    file = folder / out
    write_labels(of_samples(samples(root), root), out.split(".", maxsplit=1)[0], root, file)
    import_labels(read_annotations(file, Pens()), file, Pictures(root), folder / "back")
    return folder / "back"


@pytest.mark.parametrize("out", OUTS.values(), ids=OUTS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(mask=arrays(np.bool_, (9, 11)).filter(np.any))
def test_there_and_back__is_the_same_to_the_pixel(tmp_path_factory, out, mask):
    folder = tmp_path_factory.mktemp("labels")
    save(folder / "data/test/cut/1.png", grain(9, 11))
    save(folder / "data/test/good/1.png", grain(9, 11, seed=1))
    save(folder / "data/ground_truth/cut/1_mask.png", (mask * 255).astype(np.uint8))

    back = there_and_back(folder / "data", folder, out)

    assert np.array_equal(read_mask(back / "ground_truth/cut/1_mask.png"), mask)
    for picture in ("test/cut/1.png", "test/good/1.png"):
        assert (back / picture).read_bytes() == (folder / "data" / picture).read_bytes()


def test_defective_without_a_mask__is_left_out(tmp_path):
    root = mvtec(tmp_path, cut=2, train=1, good=1)
    (root / "ground_truth/cut/001_mask.png").unlink()

    exported = of_samples(samples(root), root)

    assert [picture.name for picture in exported.pictures] == ["test/cut/000.png", "test/good/000.png"]
    assert exported.remarks == (
        "left out 1 image without a mask, which would come back as good: test/cut/001.png",
    )


def test_several_masks_of_one_picture__are_one_region_where_they_meet(tmp_path):
    image = save(tmp_path / "1.png", grain())
    masks = [save(tmp_path / f"{number}_mask.png", spot()) for number in (1, 2)]

    (picture,) = of_samples([Sample(image, "1.png", True, tuple(masks), "cut")], tmp_path).pictures

    assert picture.outlines == ([(29, 2), (29, 6), (23, 6), (23, 2)],)


def test_empty_mask__has_no_region(tmp_path):
    root = mvtec(tmp_path, cut=1)
    save(root / "ground_truth/cut/000_mask.png", spot() * 0)

    assert of_samples(samples(root), root).pictures[0].outlines == ()


class TestMasks:
    def test_as_predict_writes_them(self, tmp_path):
        root = mvtec(tmp_path / "data", cut=1, hole=1)
        for name in ("cut/000.png.mask.png", "hole/000.png.mask.png", "good/000.png.mask.png"):
            save(tmp_path / "masks" / name, spot())
        save(tmp_path / "masks/cut/000.png.map.tiff", spot())

        exported = of_masks(root / "test", tmp_path / "masks", kind="maybe")

        assert [(p.name, p.kind) for p in exported.pictures] == [
            ("cut/000.png", "maybe"),
            ("good/000.png", "maybe"),
            ("hole/000.png", "maybe"),
        ]
        assert exported.remarks == ()

    def test_others(self, tmp_path):
        for name in ("1.png", "deep/2.png"):
            save(tmp_path / "data" / name, grain())
        for name in ("1_mask.png", "2.png", "3.png"):
            save(tmp_path / "masks" / name, spot())

        exported = of_masks(tmp_path / "data", tmp_path / "masks", kind="cut")

        assert [p.name for p in exported.pictures] == ["1.png", "deep/2.png"]
        assert exported.remarks == ("left out 1 mask without an image: 3.png",)

    def test_of_other_pictures(self, tmp_path):
        save(tmp_path / "data/1.png", grain())
        save(tmp_path / "masks/2.png", spot())

        with pytest.raises(
            InputError, match=r"no mask is called like an image below .*; give the masks of these images"
        ):
            of_masks(tmp_path / "data", tmp_path / "masks", kind="cut")


def test_tolerance__has_fewer_corners_and_says_what_it_costs(tmp_path):
    save(tmp_path / "data/test/cut/1.png", grain(60, 60))
    rows, columns = np.indices((60, 60))
    disc = (rows - 30) ** 2 + (columns - 28) ** 2 < 400
    save(tmp_path / "data/ground_truth/cut/1_mask.png", (disc * 255).astype(np.uint8))

    exact = of_samples(samples(tmp_path / "data"), tmp_path / "data")
    loose = of_samples(samples(tmp_path / "data"), tmp_path / "data", tolerance=1.5)

    corners = [len(exported.pictures[0].outlines[0]) for exported in (exact, loose)]
    assert corners[1] < corners[0] / 4
    (remark,) = loose.remarks
    differ = int(remark.split()[6])
    assert remark == f"with a tolerance of 1.5 pixels {differ} pixels differ from the {disc.sum()} marked"
    assert 0 < differ < disc.sum() / 10


def test_tolerance__leaves_small_regions_as_they_are(tmp_path):
    save(tmp_path / "data/test/cut/1.png", grain(60, 60))
    dot = np.zeros((60, 60), dtype=np.uint8)
    dot[5, 5] = 255
    save(tmp_path / "data/ground_truth/cut/1_mask.png", dot)

    exported = of_samples(samples(tmp_path / "data"), tmp_path / "data", tolerance=5)

    assert exported.remarks == ("with a tolerance of 5 pixels 0 pixels differ from the 1 marked",)


def test_nothing_to_export(tmp_path):
    with pytest.raises(InputError, match=r"no image is good or has a mask; nothing can be exported$"):
        write_labels(of_samples([], tmp_path), "coco", tmp_path, tmp_path / "x.json")


@pytest.mark.parametrize(
    ("format", "name", "sentence"),
    [
        ("coco", "x.csv", "--out: expected a name that ends in .json, got 'x.csv'"),
        ("via", "x", "--out: expected a name that ends in .json or .csv, got 'x'"),
        ("via", "taken.json", "--out: taken.json is a folder; give a file in it"),
    ],
)
def test_out__that_does_not_fit(tmp_path, monkeypatch, format, name, sentence):
    monkeypatch.chdir(tmp_path)
    Path("taken.json").mkdir()

    with pytest.raises(ConfigError) as caught:
        check_out(format, Path(name))
    assert str(caught.value) == sentence

"""What looking at a folder brings to light: every fault planted alone, and what is said of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import grain, mvtec, save, spot
from PIL import Image

from leatherens.core.errors import InputError
from leatherens.core.inspection import (
    Finding,
    Findings,
    Inspection,
    Plan,
    Stock,
    findings_of,
    inspect,
    stock_of,
    unsorted_stock,
)
from leatherens.core.inspection import sheet as sheet_module
from leatherens.core.inspection.content import content_of
from leatherens.core.inspection.sheet import ACROSS, fitted, rows_of, sheet_of
from leatherens.core.photographs import Header, described_photograph
from leatherens.plugins.folder_reader import FolderReader
from leatherens.plugins.mvtec_reader import MVTecReader

SIZE = (24, 32)
"""Of the pictures that the tests make."""


def stock(root: Path) -> Stock:
    return stock_of(MVTecReader().read(root, learning=False))


def seen(root: Path) -> Inspection:
    return inspect(stock(root))


def told(root: Path, size: tuple[int, int] = SIZE, calibrating: int = 50) -> Findings:
    return findings_of(seen(root), Plan(size, calibrating=calibrating))


def only(root: Path, kind: str, **plan: object) -> Finding:
    """The finding of this kind; there is none of another."""
    found = told(root, **plan)  # type: ignore[arg-type]
    everything = (*found.problems, *found.warnings)
    assert [finding.kind for finding in everything] == [kind], [f.sentence for f in everything]
    return everything[0]


def hide(
    seed: int, height: int = 24, width: int = 32, colour: tuple[int, int, int] = (110, 70, 50)
) -> np.ndarray:
    """(H, W, 3) grain of one colour."""
    rough = np.random.default_rng(seed).normal(0, 12, (height, width, 1))
    return np.clip(np.array(colour) + rough, 0, 255).astype(np.uint8)


def leather(root: Path) -> Path:
    """A collection with nothing wrong, of one colour: 12 to learn from, 3 good and 3 defective."""
    mvtec(root, train=12)
    for number, path in enumerate(sorted([*root.glob("train/*/*.png"), *root.glob("test/*/*.png")])):
        save(path, hide(number))
    for mask in root.glob("ground_truth/*/*.png"):
        marked = np.zeros(SIZE, np.uint8)
        marked[4:14, 10:22] = 255
        save(mask, marked)
    return root


# nothing wrong


def test_findings__of_good_data_are_none(tmp_path: Path) -> None:
    assert told(leather(tmp_path)) == Findings((), ())


def test_content__says_what_there_is(tmp_path: Path) -> None:
    root = leather(tmp_path)

    found = content(root)

    assert found["usable"]
    assert found["layout"] == "mvtec-ad"
    assert found["images"] == {
        "total": 18,
        "readable": 18,
        "parts": {"train": {"good": 12}, "test": {"good": 3, "cut": 2, "hole": 1}},
    }
    assert found["sizes"] == [{"height": 24, "width": 32, "images": 18}]
    assert found["modes"] == {"RGB": 18}
    assert found["masks"]["images_with"] == 3
    cut, every = found["defects"]["kinds"]["cut"], found["defects"]["kinds"]["all"]
    assert (cut["images"], every["images"]) == (2, 3)
    assert cut["area"]["median"] == 120
    assert cut["share"]["most"] == pytest.approx(120 / 768)
    assert cut["thickness"]["least"] == 9  # ten pixels, of which an even number is one too few
    assert found["colours"]["one"]
    assert found["colours"]["clusters"][0]["images"] == 12


def content(root: Path) -> dict:
    found = seen(root)
    plan = Plan(SIZE, calibrating=50)
    return content_of(found, findings_of(found, plan), plan)


# files that cannot be used


def test_unreadable__all_are_listed_with_their_reasons(tmp_path: Path) -> None:
    root = leather(tmp_path)
    (root / "train/good/000.png").write_bytes(b"")
    (root / "train/good/001.png").write_bytes(b"no image at all")
    whole = (root / "test/good/002.png").read_bytes()
    (root / "test/good/002.png").write_bytes(whole[: len(whole) // 2])

    finding = only(root, "unreadable")

    assert finding.images == ("train/good/000.png", "train/good/001.png", "test/good/002.png")
    assert finding.sentence.startswith("3 of 18 photographs cannot be read; mend or remove: ")
    reasons = [bad["reason"] for bad in content(root)["unreadable"]]
    assert "empty file" in reasons[0]
    assert "not an image" in reasons[1]
    assert "damaged" in reasons[2]


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda mask: mask.write_bytes(b"no mask"), "masks-unreadable"),
        (lambda mask: save(mask, spot(48, 64)), "masks-other-size"),
    ],
    ids=["unreadable", "other size"],
)
def test_masks__that_cannot_be_used_are_problems(
    tmp_path: Path, spoil: Callable[[Path], object], kind: str
) -> None:
    root = leather(tmp_path)
    spoil(root / "ground_truth/cut/001_mask.png")

    finding = only(root, kind)

    assert finding.images == ("test/cut/001.png",)
    assert told(root).problems == (finding,)
    assert content(root)["masks"]["other_size" if "size" in kind else "unreadable"]


def test_masks__empty_of_defective_images(tmp_path: Path) -> None:
    root = leather(tmp_path)
    save(root / "ground_truth/hole/000_mask.png", np.zeros(SIZE, np.uint8))

    finding = only(root, "masks-empty")

    assert finding.images == ("test/hole/000.png",)
    assert not told(root).problems


def test_masks__of_good_images_that_mark_something(tmp_path: Path) -> None:
    root = leather(tmp_path)
    save(root / "ground_truth/good/000_mask.png", np.zeros(SIZE, np.uint8))
    assert told(root) == Findings((), ())

    save(root / "ground_truth/good/001_mask.png", spot())
    finding = only(root, "masks-on-good")

    assert finding.images == ("ground_truth/good/001_mask.png",)


def test_masks__without_an_image(tmp_path: Path) -> None:
    root = leather(tmp_path)
    (root / "test/cut/001.png").unlink()

    finding = only(root, "masks-without-image")

    assert finding.images == ("ground_truth/cut/001_mask.png",)
    assert content(root)["masks"]["without_image"] == ["ground_truth/cut/001_mask.png"]


def test_masks__that_mark_nearly_everything(tmp_path: Path) -> None:
    root = leather(tmp_path)
    inverted = np.full(SIZE, 255, np.uint8)
    inverted[4:8, 4:8] = 0
    save(root / "ground_truth/cut/000_mask.png", inverted)

    assert only(root, "masks-large").images == ("test/cut/000.png",)


# images that are there twice


def test_leak__the_same_pixels_in_another_format(tmp_path: Path) -> None:
    root = leather(tmp_path)
    save(root / "test/good/copy.bmp", Image.open(root / "train/good/003.png"))

    finding = only(root, "leak-identical")

    assert finding.images == ("train/good/003.png", "test/good/copy.bmp")
    assert "1 of 7 in test, such as test/good/copy.bmp and train/good/003.png" in finding.sentence
    assert content(root)["identical"] == [
        {"images": ["train/good/003.png", "test/good/copy.bmp"], "parts": ["train", "test"]}
    ]


def test_leak__nearly_the_same_picture(tmp_path: Path) -> None:
    root = leather(tmp_path)
    save(root / "test/good/copy.jpg", hide(100, 64, 96), quality=95)
    save(root / "train/good/copy.png", hide(100, 64, 96))

    found = told(root)

    assert found.warnings[0].kind == "leak-similar"
    assert found.warnings[0].images == ("train/good/copy.png", "test/good/copy.jpg")
    assert content(root)["similar"][0]["correlation"] > 0.9


def test_repeated__in_one_part_is_no_leak(tmp_path: Path) -> None:
    root = leather(tmp_path)
    for name in ("a.png", "b.png"):
        shutil.copy(root / "train/good/003.png", root / "train/good" / name)

    finding = only(root, "repeated")

    assert finding.images == ("train/good/003.png", "train/good/a.png", "train/good/b.png")
    assert "2 images in train, such as train/good/a.png and train/good/003.png" in finding.sentence


# what can be promised and measured


def test_measuring__few_good_images(tmp_path: Path) -> None:
    root = leather(tmp_path)

    assert "of 12 good images only 9 can be held out" in only(root, "few-good-images", calibrating=9).sentence
    assert "no false-alarm rate under 10.0 %" in only(root, "few-good-images", calibrating=9).sentence
    assert told(root, calibrating=19) == Findings((), ())


def test_measuring__nothing_to_test_on(tmp_path: Path) -> None:
    root = leather(tmp_path)
    for path in root.glob("test/good/*"):
        path.unlink()
    only(root, "no-good-test")

    shutil.rmtree(root / "test")
    shutil.rmtree(root / "ground_truth")
    assert [finding.kind for finding in told(root).warnings] == ["no-good-test", "no-defective"]


def test_problems__no_good_images_to_learn_from(tmp_path: Path) -> None:
    root = leather(tmp_path)
    shutil.rmtree(root / "train")

    finding = only(root, "no-good-images", calibrating=0)

    assert "cut clean pieces from the defective ones" in finding.sentence
    assert content(root)["colours"]["of"] == "all images"


def test_problems__too_few_to_split_says_the_refusal(tmp_path: Path) -> None:
    plan = Plan(SIZE, refusal="at least 8 good images are needed")

    found = findings_of(seen(leather(tmp_path)), plan)

    assert [finding.sentence for finding in found.problems] == ["at least 8 good images are needed"]


# sizes


def test_sizes__tiny_and_thin_defects(tmp_path: Path) -> None:
    root = leather(tmp_path)
    short, line = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    short[4:8, 10:14], line[5, 2:30] = 255, 255
    save(root / "ground_truth/cut/000_mask.png", short)
    save(root / "ground_truth/hole/000_mask.png", line)

    found = told(root, size=(18, 24))

    assert [(finding.kind, finding.images) for finding in found.warnings] == [
        ("tiny-defects", ("test/cut/000.png",)),
        ("thin-defects", ("test/hole/000.png",)),
    ]
    assert "1 of 3 marked defects" in found.warnings[0].sentence


def test_sizes__proportions_that_change(tmp_path: Path) -> None:
    finding = only(leather(tmp_path), "stretched", size=(24, 24))

    assert "by up to 1.3 to 1: 18 of 18 images" in finding.sentence


def test_sizes__many(tmp_path: Path) -> None:
    root = leather(tmp_path)
    for number in range(3):
        save(root / f"train/good/large{number}.png", hide(50 + number, 48, 64))

    finding = only(root, "mixed-sizes")

    assert finding.sentence.startswith(
        "2 sizes of photographs: brought to 24x32, the same defect is up to 2 "
    )


def test_sizes__smaller_and_larger_than_the_working_size(tmp_path: Path) -> None:
    root = leather(tmp_path)

    small, large = only(root, "enlarged", size=(48, 64)), told(root, size=(6, 8))

    assert "18 of 18 images would be enlarged up to 2 times" in small.sentence
    assert "--size 24x32" in small.sentence
    assert "shrunk" in [finding.kind for finding in large.warnings]


# what the pictures show


def test_showing__several_colours_and_colours_not_learned(tmp_path: Path) -> None:
    root = leather(tmp_path)
    for number in range(12):
        save(root / f"train/good/teal{number}.png", hide(50 + number, colour=(40, 110, 110)))
    save(root / "test/good/white.png", hide(90, colour=(230, 230, 230)))

    found = told(root)

    assert [finding.kind for finding in found.warnings] == ["several-colours", "unlike-colour"]
    assert "2 colours: " in found.warnings[0].sentence
    assert found.warnings[1].images == ("test/good/white.png",)
    assert "1 image, 1 of them good" in found.warnings[1].sentence
    assert content(root)["colours"]["unlike"][0]["image"] == "test/good/white.png"


def test_showing__one_even_colour(tmp_path: Path) -> None:
    root = leather(tmp_path)
    save(root / "test/good/blank.png", np.full((*SIZE, 3), (110, 70, 50), np.uint8))

    assert only(root, "blank").images == ("test/good/blank.png",)


def test_showing__twelve_bits_in_sixteen(tmp_path: Path) -> None:
    root = tmp_path
    for number in range(12):
        dark = (hide(number)[..., 0].astype(np.uint16)) << 4
        save(root / f"train/good/{number}.png", dark)

    finding = next(f for f in told(root).warnings if f.kind == "dim-16-bit")

    assert len(finding.images) == 12
    assert content(root)["modes"] == {"16-bit grey": 12}


def test_showing__files_that_are_converted_and_turned(tmp_path: Path) -> None:
    root = leather(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 3
    save(root / "test/good/cmyk.jpg", Image.fromarray(hide(60)).convert("CMYK"))
    save(root / "test/good/turned.png", Image.fromarray(hide(61)), exif=exif)

    finding = next(f for f in told(root).warnings if f.kind == "converted")

    assert finding.images == ("test/good/cmyk.jpg",)
    assert "stored as CMYK: 1 image" in finding.sentence
    assert content(root)["turned"] == ["test/good/turned.png"]


@pytest.mark.parametrize(
    ("picture", "header"),
    [
        (Image.fromarray(grain()), Header("RGB")),
        (Image.fromarray(grain()).convert("L"), Header("grey")),
        (Image.fromarray(grain()).convert("1"), Header("black and white")),
        (Image.fromarray(grain()).convert("P"), Header("palette")),
        (Image.fromarray(grain()).convert("RGBA"), Header("RGB", transparent=True)),
        (Image.fromarray(grain()).convert("LA"), Header("grey", transparent=True)),
        (Image.fromarray(grain()[..., 0].astype(np.uint16) << 8), Header("grey", sixteen_bits=True)),
    ],
    ids=lambda value: value.words if isinstance(value, Header) else value.mode,
)
def test_header__says_how_a_picture_is_stored(tmp_path: Path, picture: Image.Image, header: Header) -> None:
    assert described_photograph(save(tmp_path / "a.png", picture))[1] == header


def test_header__sixteen_bits_of_colour_that_pillow_hides(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(tmp_path / "a.png"), grain().astype(np.uint16) << 8)

    assert described_photograph(tmp_path / "a.png")[1] == Header("RGB", sixteen_bits=True)


# what no reader understands


def test_unsorted__is_looked_at_all_the_same(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"some/place/{number}.png", hide(number))
    save(tmp_path / "masks/0.png", spot())

    found = inspect(unsorted_stock(tmp_path, "no layout fits it"))
    findings = findings_of(found, Plan(SIZE))

    assert [finding.sentence for finding in findings.problems] == ["no layout fits it"]
    assert content_of(found, findings, Plan(SIZE))["images"]["parts"] == {"unsorted": {"place": 3}}
    assert found.stock.masks_left == (tmp_path / "masks/0.png",)
    assert not findings_of(found, Plan(SIZE)).warnings[1:]


def test_unsorted__without_any_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")

    with pytest.raises(InputError, match="no images in it"):
        unsorted_stock(tmp_path, f"{tmp_path}: no images in it")


def test_stock__of_a_plain_folder_with_masks_elsewhere(tmp_path: Path) -> None:
    for number in range(9):
        save(tmp_path / f"here/{number}.png", hide(number))
    save(tmp_path / "bad/a.png", hide(20))
    marked = np.zeros(SIZE, np.uint8)
    marked[4:14, 10:22] = 255
    save(tmp_path / "marks/a.png", marked)

    reading = FolderReader().read(tmp_path / "here", defects=tmp_path / "bad", masks=tmp_path / "marks")
    found = inspect(stock_of(reading))

    assert len(found.defects) == 1
    assert findings_of(found, Plan(SIZE, calibrating=50)).problems == ()


# the picture


def test_sheet__a_row_for_each_kind_good_ones_first_then_what_is_odd(tmp_path: Path) -> None:
    root = leather(tmp_path)
    shutil.copy(root / "train/good/003.png", root / "test/good/copy.png")
    save(root / "test/good/white.png", hide(90, colour=(230, 230, 230)))

    rows = rows_of(seen(root))

    assert [row.name for row in rows] == [
        "train · good",
        "test · good",
        "test · cut",
        "test · hole",
        "there twice",
        "unlike any colour",
    ]
    assert len(rows[0].pictures) == ACROSS
    assert [picture.id for picture in rows[4].pictures] == ["train/good/003.png", "test/good/copy.png"]
    assert [picture.id for picture in rows[5].pictures] == ["test/good/white.png"]


def test_sheet__shows_pictures_whole_with_outlines_of_their_masks(tmp_path: Path) -> None:
    root = leather(tmp_path)

    sheet = np.asarray(sheet_of(seen(root)))

    heights = [fitted(SIZE)[0] + sheet_module.CAPTION + sheet_module.BETWEEN] * 4
    assert sheet.shape[0] == 2 * sheet_module.MARGIN + sheet_module.HEADING + sum(heights)
    top = sheet_module.MARGIN + sheet_module.HEADING + sum(heights[:2])
    left = sheet_module.MARGIN + sheet_module.LABELS
    height, width = fitted(SIZE)
    shown = sheet[top : top + height, left : left + width].astype(int)
    scale = height / SIZE[0]
    inside = shown[round(6 * scale) : round(12 * scale), round(12 * scale) : round(20 * scale)]
    assert np.abs(inside.mean(axis=(0, 1)) - (110, 70, 50)).max() < 12
    frame = shown[round(4 * scale) - 1, round(12 * scale) : round(20 * scale)]
    marker = sheet_module.MARKERS[sheet_module.marker_for([hide(0)])]
    assert (frame == marker).all(axis=1).any()


def test_sheet__of_unreadable_files_only_is_still_a_picture(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / "train/good").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"train/good/{number}.png").write_bytes(b"")

    found = seen(tmp_path)

    assert sheet_of(found).width > 0
    assert found.colours.sentence == "no colour"
    assert [f.kind for f in findings_of(found, Plan(SIZE, calibrating=50)).problems] == ["unreadable"]

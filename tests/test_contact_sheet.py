"""The contact sheet of artificial anomalies: what stands where, and what the command refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import grain, mvtec, save
from PIL import Image
from tiny_runs import call

from leatherens.core.drawing import MARKERS, marker_for, outlined, shortened
from leatherens.core.synthesis.catalogue import KINDS, kind_named
from leatherens.core.synthesis.contact_sheet import (
    BETWEEN,
    CAPTION,
    HAIR,
    HEADERS,
    HEADING,
    LABELS,
    MARGIN,
    Row,
    Sample,
    contact_sheet,
    sampled,
    sheet_size,
)
from leatherens.core.synthesis.cutout import CutOut
from leatherens.core.types import ImageBatch, ImagesInMemory

KNOWN = (
    "overlay, textural, structural, blur, cutout, cutpaste, cutpaste-scar, gaussian-noise, simplex-noise, "
    "mixed"
)


def hides(count: int) -> ImagesInMemory:
    pixels = torch.rand(count, 3, 40, 56, generator=torch.Generator().manual_seed(0))
    return ImagesInMemory(ImageBatch(pixels, tuple(f"hide{i}" for i in range(count))))


def sample(seed: int, name: str = "a") -> Sample:
    good = grain(40, 56, seed)
    spoilt, mask = good.copy(), np.zeros((40, 56), np.bool_)
    mask[10:20, 30:45] = True
    spoilt[mask] = 128
    return Sample(name, good, spoilt, mask)


# the picture


def test_sheet__holds_every_picture_pixel_for_pixel_and_the_mask_outlined() -> None:
    rows = [Row("first", "one", [sample(0), sample(1)]), Row("second", "two", [sample(2), sample(3)])]
    sheet = np.asarray(contact_sheet("title", rows))
    assert sheet.shape == (*sheet_size(2, 2, (40, 56)), 3)
    for r, row in enumerate(rows):
        top = MARGIN + HEADING + HEADERS + r * (40 + CAPTION + BETWEEN)
        for s, shown in enumerate(row.samples):
            left = MARGIN + LABELS + s * (3 * 56 + 2 * HAIR + BETWEEN)
            good, spoilt, outline = (
                sheet[top : top + 40, left + c * (56 + HAIR) :][:, :56] for c in range(3)
            )
            assert np.array_equal(good, shown.good)
            assert np.array_equal(spoilt, shown.spoilt)
            assert np.array_equal(outline[shown.mask], shown.spoilt[shown.mask])
            assert (outline != shown.spoilt).any(axis=2).sum() > 40  # the ring


def test_outlined__is_a_ring_about_the_mask_that_hides_none_of_it() -> None:
    picture, mask = np.zeros((12, 14, 3), np.uint8), np.zeros((12, 14), np.bool_)
    mask[4:8, 5:10] = True
    mask[5, 7] = False  # a gap of a pixel is no border
    marked = outlined(picture, mask, (255, 0, 0))
    ring = np.zeros_like(mask)
    ring[3:9, 4:11] = True
    ring[4:8, 5:10] = False
    assert np.array_equal(marked[..., 0] == 255, ring)
    assert not picture.any()


def test_outline__has_the_colour_least_like_the_images() -> None:
    for name, colour in MARKERS.items():
        assert marker_for([np.full((8, 8, 3), colour, np.uint8)]) != name
    half_white = np.zeros((8, 8, 3), np.uint8)
    half_white[:, :2] = 255
    assert marker_for([half_white]) in ("red", "magenta", "green")  # yellow and cyan are near white


def test_captions__keep_the_end_of_a_long_name() -> None:
    short = shortened("train/good/a-very-long-folder/007.png  ·  3 %", 100)
    assert short.startswith("…")
    assert short.endswith("007.png  ·  3 %")
    assert shortened("007.png", 100) == "007.png"


def test_sampled__shows_what_a_source_of_spoilt_images_draws() -> None:
    good = hides(2)
    samples = sampled(good, CutOut(), seed=4, count=5)
    assert [shown.name for shown in samples] == ["hide0", "hide1", "hide0", "hide1", "hide0"]
    assert len({shown.mask.tobytes() for shown in samples}) == 5
    for shown in samples:
        assert np.array_equal((shown.spoilt != shown.good).any(axis=2), shown.mask)
        assert (shown.spoilt[shown.mask] == 255).all()
    first = sampled(good, CutOut(), seed=4, count=1)[0]
    assert np.array_equal(first.spoilt, samples[0].spoilt)  # however many there are
    other = sampled(good, CutOut(), seed=5, count=1)[0]
    assert not np.array_equal(first.mask, other.mask)


def grey(changed: int, by: int) -> Sample:
    """Of 200 pixels so many, changed by so many levels."""
    good = np.full((10, 20, 3), 100, np.uint8)
    mask = np.arange(200).reshape(10, 20) < changed
    return Sample("hide", good, good + np.uint8(by) * mask[..., None], mask)


def test_captions__tell_how_much_is_spoilt_and_how_far() -> None:
    assert grey(7, 12).caption == "hide  ·  3.5 % of the image, by 12 levels"
    assert grey(0, 12).caption == "hide  ·  nothing changed"
    row = Row("kind", "", [grey(2, 30), grey(8, 10), grey(180, 20)])
    assert row.typical == "4 % of the image, by 20 levels"


# the command


@pytest.fixture(scope="module")
def leather(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mvtec(tmp_path_factory.mktemp("data") / "leather")


def refused(*arguments: object) -> str:
    """The sentence of a call that must fail without a word on stdout."""
    result = call("data", "anomalies", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr
    return result.stderr.partition("Error: ")[2].rstrip("\n")


def test_command__draws_every_kind_of_a_folder(leather: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "sheet.png"
    result = call("data", "anomalies", "--data", leather, "--out", out, "--size", "48x64", "--samples", 2)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{leather}: read as MVTec AD: 10 good to learn from")
    assert [line.split()[0] for line in lines[1:-1]] == list(KINDS)
    assert lines[-1] == f"{out}: 10 kinds of anomaly, 2 samples of each"
    with Image.open(out) as sheet:
        assert (sheet.format, sheet.size[::-1]) == ("PNG", sheet_size(len(KINDS), 2, (48, 64)))
    assert [path.name for path in out.parent.iterdir()] == ["sheet.png"]


def test_command__without_a_folder_shows_demo_leather(tmp_path: Path) -> None:
    given = ["--kind", "blur, cutpaste-scar", "--samples", "1", "--size", "40"]
    sheets = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        result = call("data", "anomalies", "--out", tmp_path / f"{name}.png", *given, "--seed", seed)
        assert result.stdout.endswith(f"\n{tmp_path / f'{name}.png'}: 2 kinds of anomaly, 1 sample of each\n")
        sheets.append(np.asarray(Image.open(tmp_path / f"{name}.png")))
    assert np.array_equal(sheets[0], sheets[1])
    assert not np.array_equal(sheets[0], sheets[2])


def test_command__replaces_its_sheet(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    for size in ("40", "48"):
        given = ["--kind", "cutout", "--samples", "1", "--size", size]
        assert call("data", "anomalies", "--out", out, *given).exit_code == 0
    with Image.open(out) as sheet:
        assert sheet.size[::-1] == sheet_size(1, 1, (48, 48))


def test_command__says_which_textures_it_could_not_read(tmp_path: Path) -> None:
    for seed in range(3):
        save(tmp_path / "textures" / f"{seed}.png", grain(seed=seed))
    (tmp_path / "textures" / "broken.png").write_bytes(b"not a picture")
    given = ["--kind", "textural", "--samples", "9", "--size", "32", "--textures", tmp_path / "textures"]
    result = call("data", "anomalies", "--out", tmp_path / "sheet.png", *given)
    assert result.exit_code == 0
    expected = f"{tmp_path / 'textures'}: 1 of 4 texture files could not be read and were skipped\n"
    assert result.stderr == expected


MISTAKES = {
    "kind": ("--kind blurr", f"no kind of anomaly 'blurr'; did you mean 'blur'? (kinds: {KNOWN})"),
    "kind twice": ("--kind blur,blur", "--kind: 'blur' is named twice; name each kind once"),
    "no kind": ("--kind ,", f"which kinds? give --kind with all, or one or more of: {KNOWN}"),
    "no samples": ("--samples 0", "--samples: expected 1 or more, got 0"),
    "small": ("--size 31x64", "--size: expected at least 32 x 32 pixels, got 31 x 64"),
    "no size": ("--size big", "--size: expected one number, or HEIGHTxWIDTH such as 256x320, got 'big'"),
    "large": (
        "--size 2048",
        "the sheet would have 399 million pixels, at most 100 can be; take fewer kinds, fewer --samples or a "
        "smaller --size",
    ),
    "layout alone": ("--layout mvtec", "--layout belongs to --data; give that too"),
    "idle textures": (
        "--kind blur,cutout --textures .",
        "--textures: none of the kinds asked for has textures (overlay, textural, mixed have); leave it out",
    ),
}


@pytest.mark.parametrize(("given", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistake__is_one_sentence_and_leaves_no_file(given: str, expected: str, tmp_path: Path) -> None:
    assert refused("--out", tmp_path / "sheet.png", *given.split()) == expected
    assert not any(tmp_path.iterdir())


def test_out__must_be_a_png_that_can_be_written(tmp_path: Path) -> None:
    assert (
        refused("--out", tmp_path / "sheet.jpg")
        == "--out: expected a name that ends in .png, got 'sheet.jpg'"
    )
    (tmp_path / "folder.png").mkdir()
    folder = tmp_path / "folder.png"
    assert refused("--out", folder) == (
        f"{folder}: a folder; give --out a file in it, such as {folder / 'sheet.png'}"
    )
    (tmp_path / "file").write_text("", encoding="utf-8")
    out = tmp_path / "file" / "sheet.png"
    told = refused("--out", out, "--kind", "blur", "--samples", 1, "--size", 32)
    assert told == f"{out}: cannot be written (File exists); free some space or choose another --out"


def test_out__on_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out_of_space(self: Image.Image, path: Path, **options: object) -> None:
        path.write_bytes(b"half a picture")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", run_out_of_space)
    out = tmp_path / "sheet.png"
    told = refused("--out", out, "--kind", "blur", "--samples", 1, "--size", 32)
    assert (
        told == f"{out}: cannot be written (No space left on device); free some space or choose another --out"
    )
    assert not any(tmp_path.iterdir())


def test_data__without_good_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    told = refused("--data", tmp_path / "empty", "--out", tmp_path / "sheet.png")
    assert told.startswith(f"{tmp_path / 'empty'}: no images in it")
    told = refused("--data", tmp_path / "nowhere", "--out", tmp_path / "sheet.png")
    assert told.startswith(f"{tmp_path / 'nowhere'}: ")


def test_data__that_is_damaged_or_too_small_is_named(tmp_path: Path) -> None:
    save(tmp_path / "small" / "a.png", grain(4, 4))
    result = call("data", "anomalies", "--data", tmp_path / "small", "--out", tmp_path / "sheet.png")
    assert result.exit_code == 2
    expected = f"Error: {tmp_path / 'small' / 'a.png'}: 4 x 4 pixels, at least 8 x 8 are needed; remove it\n"
    assert result.stderr == expected
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize("content", [None, b"not a picture"], ids=["empty", "unreadable"])
def test_textures__that_hold_no_picture_are_refused(content: bytes | None, tmp_path: Path) -> None:
    (tmp_path / "textures").mkdir()
    if content:
        (tmp_path / "textures" / "a.png").write_bytes(content)
    given = ["--kind", "textural", "--size", 32, "--textures", tmp_path / "textures"]
    told = refused("--out", tmp_path / "sheet.png", *given)
    assert told == f"{tmp_path / 'textures'}: " + (
        "none of its 1 texture files can be read as a picture"
        if content
        else "expected texture pictures in it or in its sub-folders "
        "(.bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp), found none"
    )


def test_help__lists_the_kinds_and_imports_nothing_heavy() -> None:
    code = """if True:
        import sys
        from leatherens.cli import main
        try:
            main(["data", "anomalies", "--help"])
        except SystemExit:
            print(sorted({"torch", "numpy", "cv2", "PIL"} & set(sys.modules)), file=sys.stderr)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert all(id in done.stdout for id in KINDS)


def test_every_kind_has_a_summary_that_fits_its_place_on_the_sheet() -> None:
    for id, entry in KINDS.items():
        assert 10 < len(entry.summary) <= 80, id
        assert not entry.summary.endswith(".")
        assert kind_named(id)

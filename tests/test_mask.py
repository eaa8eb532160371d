"""A region that is not to be inspected: what it silences, before and after, from a picture to a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pictures import grain, save
from PIL import Image
from tiny_runs import call, make
from tiny_runs import options as tiny

from leatherens.core.errors import ConfigError, InputError
from leatherens.core.preparation import Prepared
from leatherens.plugins.mask import MaskPreparation

SQUARE = [[[4, 3], [11, 3], [11, 8], [4, 8]]]


def shown(height: int = 24, width: int = 32, name: str = "a.png") -> Prepared:
    return Prepared(name, grain(height, width))


def mask(**options: object) -> MaskPreparation:
    return MaskPreparation.from_options(options).fit([shown()])


def left_half(path: Path, height: int, width: int) -> Path:
    picture = np.zeros((height, width), np.uint8)
    picture[:, : width // 2] = 255
    return save(path, picture)


class TestRegion:
    def test_of_a_picture(self, tmp_path):
        step = mask(ignore=str(left_half(tmp_path / "m.png", 24, 32)))
        found = step.apply(shown())
        assert np.array_equal(np.flatnonzero(found.hidden.all(axis=0)), np.arange(16))
        assert found.ignored is None

    def test_of_polygons__holds_the_pixels_whose_centre_lies_inside(self):
        found = mask(polygons=[[[4, 3], [12, 3], [12, 9], [4, 9]]]).apply(shown())
        expected = np.zeros((24, 32), np.bool_)
        expected[3:9, 4:12] = True
        assert np.array_equal(found.hidden, expected)

    def test_after__is_looked_at(self):
        found = mask(polygons=SQUARE, when="after").apply(shown())
        assert found.hidden is None
        assert found.ignored.any()

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({}, "mask: expected a picture (mask.ignore) or polygons (mask.polygons), got neither"),
            (
                {"polygons": [[[1, 1], [2, 2]]]},
                "mask: option 'polygons.0': tuple should have at least 3 items",
            ),
            (
                {"when": "during", "polygons": SQUARE},
                "mask: option 'when': input should be 'before' or 'after'",
            ),
        ],
    )
    def test_wrong_options(self, options, sentence):
        with pytest.raises(ConfigError) as caught:
            MaskPreparation.from_options(options)
        assert str(caught.value).startswith(sentence)

    def test_empty(self):
        with pytest.raises(InputError, match=r"^mask: the region is empty; mark in white"):
            mask(polygons=[[[40, 40], [50, 40], [50, 50]]])

    def test_everything(self, tmp_path):
        with pytest.raises(InputError, match=r"^mask: the region covers all of the picture"):
            mask(ignore=str(save(tmp_path / "m.png", np.full((24, 32), 255, np.uint8))))

    def test_picture_of_another_size(self, tmp_path):
        path = left_half(tmp_path / "m.png", 20, 32)
        with pytest.raises(InputError) as caught:
            mask(ignore=str(path))
        assert str(caught.value) == (
            f"{path}: the region to ignore is 20 x 32 pixels and the photographs are 24 x 32 (height x "
            "width, such as a.png); draw it on one of them"
        )

    def test_photograph_of_another_size(self):
        with pytest.raises(InputError) as caught:
            mask(polygons=SQUARE).apply(shown(24, 40, "b.png"))
        assert str(caught.value) == (
            "b.png: 24 x 40 pixels, and the region to ignore was drawn on 24 x 32 (height x width); register "
            "the photographs first, or bring them to one size"
        )


@pytest.fixture(scope="module", params=["before", "after"])
def run(request, leather, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("masked")
    ignore = left_half(folder / "ignore.png", 64, 64)
    return make(folder / "run", leather, "patchcore", "--ignore", ignore, "--masking", request.param)


def judged(run: Path, path: Path) -> dict[str, object]:
    found = call("predict", run, path, "--json", "--out", path.parent / "out", "--device", "cpu")
    line: dict[str, object] = json.loads(found.stdout)
    return line


class TestRun:
    def test_what_is_left_out__changes_no_verdict_unless_it_may_be_seen(self, run, leather, tmp_path):
        good = np.array(Image.open(next((leather / "test/good").iterdir())))
        spoilt = good.copy()
        spoilt[10:50, 2:22] = (250, 0, 250)  # loud, and 10 pixels off the border of the region
        pictures = {"a.png": good, "b.png": spoilt}
        plain, loud = (judged(run, save(tmp_path / name, pixels)) for name, pixels in pictures.items())
        if "when: before" in (run / "recipe.yaml").read_text():
            assert plain["score"] == loud["score"]
        assert plain["verdict"] == loud["verdict"]
        assert not np.array(Image.open(loud["mask"]))[:, :32].any()

    def test_a_defect_that_counts__is_found(self, run, leather, tmp_path):
        spoilt = np.array(Image.open(next((leather / "test/good").iterdir())))
        spoilt[20:44, 40:60] = (250, 0, 250)
        found = judged(run, save(tmp_path / "b.png", spoilt))
        assert found["verdict"] == "defective"
        assert np.array(Image.open(found["mask"]))[20:44, 40:60].mean() > 0.5

    def test_the_picture_is_kept_with_the_run(self, run):
        assert (run / "preparation/0-mask/state.safetensors").exists()
        assert str(run.parent / "ignore.png") in (run / "recipe.yaml").read_text()

    def test_metrics__leave_it_out(self, run, leather):
        """A defect that lies wholly in the region is told, and its pixels are no misses."""
        from leatherens.core.photographs import read_mask

        hidden = [
            path.name.removesuffix("_mask.png")
            for path in sorted((leather / "ground_truth").rglob("*.png"))
            if not read_mask(path)[:, 32:].any()
        ]
        report = (run / "report.html").read_text()
        assert ("lies where nothing is inspected" in report) is bool(hidden)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--masking", "after"], "--masking: there is no mask to apply; give --ignore FILE as well"),
        (["--ignore", "nowhere.png"], "--ignore: nowhere.png: no such file; check the name"),
        (["--prepare", "mask,mask"], "--prepare: 'mask' is named twice; name each step once"),
        (["--prepare", "maks"], "no preparation 'maks'; did you mean 'mask'?"),
        (["--prepare", "mask"], "mask: expected a picture (mask.ignore) or polygons (mask.polygons), got"),
    ],
)
def test_mistakes__are_one_sentence(leather, tmp_path, options, sentence):
    out = tmp_path / "run"
    found = call("run", "--members", "patchcore", "--data", leather, "--out", out, *options)
    assert found.exit_code == 2
    assert sentence in found.stderr
    assert not out.exists()


def test_a_mask_of_another_size__leaves_no_run_behind(leather, tmp_path):
    ignore = left_half(tmp_path / "ignore.png", 30, 64)
    out = tmp_path / "run"
    found = call("run", *tiny("patchcore"), "--data", leather, "--out", out, "--ignore", ignore)
    assert found.exit_code == 2
    assert "the region to ignore is 30 x 64 pixels and the photographs are 64 x 64" in found.stderr
    assert not out.exists()

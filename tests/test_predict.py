"""Judging new images with a finished run: scores, exit codes, maps and masks, bad files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from pictures import grain, save
from tiny_runs import (
    array,
    call,
    own_scores,
    predicted,
    table,
)


def test_predict__gives_the_scores_of_the_run_s_own_test(alone: Path, leather: Path) -> None:
    expected = own_scores(alone)

    assert predicted(alone, leather / "test") == expected
    assert any(flagged for _, flagged in expected.values())


def test_predict__exit_code_tells_good_defective_and_failed(
    alone: Path, leather: Path, tmp_path: Path
) -> None:
    lines = table(alone)
    good = next(leather / image for image, line in lines.items() if line["flagged"] == "0")
    defective = next(leather / image for image, line in lines.items() if line["flagged"] == "1")
    text = tmp_path / "notes.txt"
    text.write_text("no image", encoding="utf-8")

    assert call("predict", alone, good).exit_code == 0
    assert call("predict", alone, good, defective).exit_code == 1
    assert call("predict", alone, good, defective, text).exit_code == 2


def test_predict__prints_a_line_per_image(alone: Path, leather: Path) -> None:
    image = leather / "test/good/000.png"
    line = table(alone)["test/good/000.png"]
    verdict = "defective" if line["flagged"] == "1" else "good"
    words = call("predict", alone, image).stdout.split()

    assert words[0] == str(image)
    assert words[1] == f"{float(line['ensemble']):.4g}"
    assert words[3:] == [verdict]


def test_predict__writes_maps_and_masks_at_each_photograph_s_size(
    alone: Path, leather: Path, tmp_path: Path
) -> None:
    photographs = tmp_path / "new"
    sizes = {"a/one.png": (40, 96), "two.jpg": (130, 70), "two.png": (8, 8)}
    for name, (height, width) in sizes.items():
        save(photographs / name, grain(height, width))
    result = call("predict", alone, photographs, "--out", tmp_path / "out", "--json")
    lines = {Path(line["path"]).relative_to(photographs).as_posix(): line for line in json_lines(result)}

    assert lines.keys() == sizes.keys()
    for name, line in lines.items():
        assert list(line) == [
            "path",
            "score",
            "threshold",
            "verdict",
            "defective_percent",
            "map",
            "mask",
        ]
        assert line["map"] == str(tmp_path / "out" / f"{name}.map.tiff")
        pixels, mask = (array(line[kind]) for kind in ("map", "mask"))
        assert pixels.shape == mask.shape == sizes[name]
        assert (pixels.dtype, mask.dtype) == (np.float32, bool)
        threshold = json.loads((alone / "ensemble/thresholds/ensemble/state.json").read_text())["pixel_"]
        assert np.array_equal(mask, pixels > threshold)


def test_predict__without_out_names_no_files(alone: Path, leather: Path) -> None:
    (line,) = json_lines(call("predict", alone, leather / "test/good/000.png", "--json"))

    assert (line["map"], line["mask"]) == (None, None)


def test_predict__takes_folders_and_globs(alone: Path, leather: Path) -> None:
    by_glob = predicted(alone, leather / "test" / "*" / "000.png")

    assert set(by_glob) == {f"test/{kind}/000.png" for kind in ("cut", "good", "hole", "line", "wrinkle")}
    assert set(predicted(alone, leather / "test/good")) == {f"test/good/{n:03d}.png" for n in range(5)}
    assert len(predicted(alone, leather / "test/good", leather / "test/good/000.png")) == 5


def test_predict__lists_a_bad_image_and_judges_the_others(alone: Path, leather: Path, tmp_path: Path) -> None:
    photographs = tmp_path / "new"
    shutil.copytree(leather / "test/good", photographs)
    (photographs / "002.png").write_bytes(b"")
    result = call("predict", alone, photographs, "--json")
    lines = json_lines(result)

    assert result.exit_code == 2
    problem = f"{photographs / '002.png'}: an empty file (0 bytes); copy it again or remove it"
    assert result.stderr == f"skipped: {problem}\n"
    assert lines[2] == {
        "path": str(photographs / "002.png"),
        **dict.fromkeys(("score", "threshold", "verdict", "defective_percent", "map", "mask")),
        "problem": problem,
    }
    others = [f"{line['score']:.6g}" for line in lines if line["verdict"]]
    assert others == [
        f"{float(table(alone)[f'test/good/{n:03d}.png']['ensemble']):.6g}" for n in (0, 1, 3, 4)
    ]


def json_lines(result: object) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]  # type: ignore[attr-defined]

"""`leatherens data inspect`: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import grain, mvtec, save
from PIL import Image
from tiny_runs import call

from leatherens.core.leather import write_demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Demo leather of one colour. Not to be written to."""
    root = tmp_path_factory.mktemp("data") / "demo"
    write_demo(root, scenario="one-colour", size=64, train=20, test=6, seed=0)
    return root


def test_text__of_good_data(demo: Path) -> None:
    result = call("data", "inspect", demo, "--size", "64")

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"{demo}: read as MVTec AD: 20 good to learn from, 3 good and 3 defective to test"
    assert lines[2] == "train           good 20"
    assert "sizes           64 x 64 (26) pixels" in lines
    assert "stored as       RGB (26)" in lines
    assert any(line.startswith("colours         one colour: ") for line in lines)
    assert lines[-1].startswith("usable")


def test_json__is_the_documented_content(demo: Path) -> None:
    result = call("data", "inspect", demo, "--json")

    content = json.loads(result.stdout)
    assert list(content) == [
        "schema",
        "folder",
        "read_as",
        "layout",
        "usable",
        "problems",
        "warnings",
        "remarks",
        "images",
        "sizes",
        "modes",
        "turned",
        "unreadable",
        "identical",
        "similar",
        "masks",
        "defects",
        "colours",
    ]
    assert content["schema"] == 1
    assert {key for finding in content["warnings"] for key in finding} <= {"kind", "sentence", "images"}
    page = (Path(__file__).parent.parent / "docs" / "inspect.md").read_text(encoding="utf-8")
    assert [key for key in content if f"| `{key}` |" not in page] == []


def test_problems__end_with_2_and_are_all_told(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "data", train=12)
    for number in range(7):
        (root / f"train/good/00{number}.png").write_bytes(b"")

    result = call("data", "inspect", root)

    assert result.exit_code == 2
    assert "problem: 7 of 18 photographs cannot be read" in result.stdout
    assert result.stdout.count("empty file (0 bytes)") == 5
    assert "and 2 more; --json names all" in result.stdout
    assert result.stdout.splitlines()[-1] == "not usable yet: 1 problem to mend first"
    everything = json.loads(call("data", "inspect", root, "--json").stdout)
    assert len(everything["unreadable"]) == 7
    assert not everything["usable"]


def test_problems__what_run_refuses_is_a_problem(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "data", train=5)

    result = call("data", "inspect", root)

    assert result.exit_code == 2
    assert "problem: " in result.stdout
    refused = call("run", "--data", root, "--out", tmp_path / "run", "--members", "stfpm").stderr
    sentence = refused.strip().splitlines()[-1].removeprefix("Error: ")
    assert sentence.endswith("add photographs of good surfaces")
    assert f"problem: {sentence}" in result.stdout


def test_problems__defective_photographs_only(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "data")
    shutil.rmtree(root / "train")
    shutil.rmtree(root / "test/good")

    result = call("data", "inspect", root)

    assert result.exit_code == 2
    assert "problem: there are no good images to learn from" in result.stdout
    assert "test            cut 2, hole 1" in result.stdout


def test_categories__are_looked_at_one_after_the_other(tmp_path: Path) -> None:
    mvtec(tmp_path / "data" / "a", train=12)
    mvtec(tmp_path / "data" / "b", train=5)

    result = call("data", "inspect", tmp_path / "data", "--sheet", tmp_path / "sheet.png")

    assert result.exit_code == 2
    assert "2 categories (a, b)" in result.stderr
    assert "train           good 12" in result.stdout
    assert "usable, with" in result.stdout
    assert "problem: " in result.stdout.partition("usable, with")[2]
    assert {path.name for path in tmp_path.glob("*.png")} == {"sheet-a.png", "sheet-b.png"}
    content = json.loads(call("data", "inspect", tmp_path / "data", "--json").stdout)
    assert (content["schema"], content["usable"]) == (1, False)
    assert content["folder"] == str(tmp_path / "data")
    assert {name: one["usable"] for name, one in content["categories"].items()} == {"a": True, "b": False}


def test_folders__that_no_layout_fits_are_looked_at(tmp_path: Path) -> None:
    for number in range(9):
        save(tmp_path / "train" / "other" / f"{number}.png", grain(seed=number // 2))

    result = call("data", "inspect", tmp_path)

    assert result.exit_code == 2
    assert "unsorted        other 9" in result.stdout
    assert "identical       8 images in 4 groups" in result.stdout
    assert "problem: " in result.stdout
    assert "no layout fits it" in result.stdout


def test_lists__of_images_are_read(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "data", train=12)
    rows = [f"{path.relative_to(tmp_path)},train,good" for path in sorted((root / "train").rglob("*.png"))]
    bad = sorted((root / "test" / "cut").iterdir())
    rows += [f"{path.relative_to(tmp_path)},test,defect" for path in bad]
    listing = tmp_path / "list.csv"
    listing.write_text("\n".join(["path,split,label", *rows]) + "\n")

    result = call("data", "inspect", listing)

    assert result.exit_code == 0, result.output
    assert "train           good 12" in result.stdout
    assert "test            defective 2" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing"], "missing: no such folder; check the name"),
        (["file.png"], "file.png: a file, not a folder; give the folder that holds it"),
        (["empty"], "empty: no images in it"),
        (["data", "--layout", "mvtec"], "unknown layout 'mvtec'; did you mean 'mvtec-ad'?"),
        (["data", "--size", "none"], "--size: expected one number, or HEIGHTxWIDTH"),
        (["data", "--sheet", "sheet.jpg"], "--sheet: expected a name that ends in .png, got 'sheet.jpg'"),
        (["data", "--sheet", "folder.png"], "folder.png: a folder; give --sheet a file in it"),
        (["data", "--sheet", "file.png/sheet.png"], "sheet.png: cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes__are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    mvtec(tmp_path / "data")
    save(tmp_path / "file.png", grain())
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.png").mkdir()

    result = call("data", "inspect", *arguments)

    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("Error: ")]) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_permissions__that_forbid_reading_are_reasons(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "data", train=12)
    (root / "train/good/000.png").chmod(0)

    result = call("data", "inspect", root)

    assert result.exit_code == 2
    assert "may not be read; change its permissions" in result.stdout


def test_sheet__is_written_whole_and_named(demo: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "sheet.png"

    result = call("data", "inspect", demo, "--sheet", out)

    assert result.stdout.splitlines()[-1] == f"sheet: {out}"
    with Image.open(out) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > 1000
    assert [path.name for path in out.parent.iterdir()] == ["sheet.png"]


def test_same_folder__same_answer(demo: Path) -> None:
    one, other = (call("data", "inspect", demo, "--json").stdout for _ in range(2))

    assert one == other


def test_help__imports_nothing_heavy() -> None:
    code = """if True:
        import sys
        from leatherens.cli import main
        try:
            main(["data", "inspect", "--help"])
        except SystemExit:
            print(*sorted({"torch", "cv2", "timm", "scipy", "sklearn"} & set(sys.modules)), file=sys.stderr)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr.strip() == ""

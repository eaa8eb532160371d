"""The manifest: its lines as samples, and every line that cannot be used named by its number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pictures import grain, mvtec, save, spot

from leatherens.core.errors import InputError
from leatherens.core.layouts import read_folder
from leatherens.core.reading import Collection, Sample
from leatherens.ensembles.sources import FileSource
from leatherens.plugins.folder_reader import FolderReader
from leatherens.plugins.manifest_reader import ManifestReader
from leatherens.plugins.mvtec_reader import MVTecReader

READERS = {"folder": FolderReader(), "manifest": ManifestReader(), "mvtec-ad": MVTecReader()}
FULL = """path,split,label,defect,mask,view,part,group
a/1.png,train,good,,,left,p1,hide-1
a/2.png,train,,,,right,p2,
a/3.png,val,ok,good,,,,
b/4.png,test,GOOD,,,,,
b/5.png,test,defective,cut,m/5.png;m/5b.png,left,p3,hide-9
b/6.png,,bad,,"[""m/6.png""]",,,
b/7.png,,0,,,,,
b/8.png,test,,,,,,
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    names = ("a/1", "a/2", "a/3", "b/4", "b/5", "b/6", "b/7", "b/8")
    for seed, name in enumerate(names):
        save(tmp_path / f"{name}.png", grain(seed=seed))
    for name in ("m/5", "m/5b", "m/6"):
        save(tmp_path / f"{name}.png", spot())
    return tmp_path


def read(root: Path, content: str | bytes, name: str = "manifest.csv", **options: object) -> Collection:
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_folder(READERS, root if name.startswith("manifest") else root / name, **options)


def told(root: Path, content: str | bytes, name: str = "manifest.csv") -> str:
    with pytest.raises(InputError) as caught:
        read(root, content, name)
    return str(caught.value).removeprefix(f"{root / name}: ")


def line(root: Path, row: str) -> str:
    """What is said of the first line below a header."""
    return told(root, f"path,split,label,defect,mask\n{row}\n")


def test_reads_every_column(root: Path) -> None:
    found = read(root, FULL)

    assert found.sentence == (
        "read as a manifest: 3 good to learn from, 1 good to validate on, 1 good, 2 defective and 1 "
        "unlabelled to test"
    )
    assert found.train == (
        Sample(root / "a/1.png", "a/1.png", False, (), "good", "hide-1", "left", "p1"),
        Sample(root / "a/2.png", "a/2.png", False, (), "good", "p2", "right", "p2"),
        Sample(root / "b/7.png", "b/7.png", False, (), "good"),
    )
    assert found.validation == (Sample(root / "a/3.png", "a/3.png", False, (), "good"),)
    masks = (root / "m/5.png", root / "m/5b.png")
    assert found.test == (
        Sample(root / "b/4.png", "b/4.png", False, (), "good"),
        Sample(root / "b/5.png", "b/5.png", True, masks, "cut", "hide-9", "left", "p3"),
        Sample(root / "b/6.png", "b/6.png", True, (root / "m/6.png",), "defective"),
        Sample(root / "b/8.png", "b/8.png"),
    )
    assert found.root == root


def test_unlabelled_images__are_not_counted_as_defective(root: Path) -> None:
    found = read(root, "path,split,label\na/1.png,train,\nb/5.png,test,bad\nb/8.png,test,\n")
    assert found.sentence == (
        "read as a manifest: 1 good to learn from and to test, 1 defective and 1 unlabelled to test"
    )


def test_json_lines(root: Path) -> None:
    rows = [
        {"path": "a/1.png", "split": "train", "group": 7},
        {"path": "b/5.png", "label": 1, "mask": ["m/5.png", "m/5b.png"], "view": None},
        {"path": "b/6.png", "label": "defective", "mask": "m/6.png", "defect": "hole"},
    ]
    found = read(root, "\n".join(map(json.dumps, rows)), "manifest.jsonl")
    assert found.train == (Sample(root / "a/1.png", "a/1.png", False, (), "good", "7"),)
    assert [(s.id, s.defect, len(s.masks)) for s in found.test] == [
        ("b/5.png", "defective", 2),
        ("b/6.png", "hole", 1),
    ]


def test_a_file_of_any_name__and_windows_paths(root: Path) -> None:
    found = read(root, "path,label\na\\1.png,good\n./b/../b/5.png,ng\n", "line 3.csv")
    assert [sample.id for sample in found.samples] == ["a/1.png", "b/5.png"]
    assert found.root == root


def test_relative_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    (root / "manifest.csv").write_text("path,label\na/1.png,good\n", encoding="utf-8")
    (sample,) = read_folder(READERS, Path("manifest.csv")).train
    assert (sample.path, sample.id) == (Path("a/1.png"), "a/1.png")
    (root / "manifest.csv").write_text("path,label\n../1.png,good\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"\.\./1\.png lies outside \.; name files below it"):
        read_folder(READERS, Path())


def test_masks_of_good_images__and_torn_groups_are_told(root: Path) -> None:
    content = (
        "path,label,mask,group,split\na/1.png,good,m/5.png,h,train\na/2.png,good,,h,test\nb/5.png,bad,,i,\n"
    )
    assert read(root, content).remarks == (
        "passed over 1 mask of good images",
        "1 group both to learn from and to test: h",
        "no defective image has a mask: results are for whole images only",
    )


def test_latin_1__is_told(root: Path) -> None:
    save(root / "Häute.png", grain())
    assert read(root, "path,label\nHäute.png,good\n".encode("latin-1")).remarks == (
        "manifest.csv is not UTF-8 and was read as Windows-1252; save it as UTF-8 if names look wrong",
    )


def test_masks_are_joined(root: Path) -> None:
    other = spot() * 0
    other[12:20, 4:6] = 255
    save(root / "m/5b.png", other)
    found = read(root, "path,label,mask\na/1.png,good,\nb/5.png,bad,m/5.png;m/5b.png\n")
    (mask,) = FileSource(found.test, size=(24, 32)).masks()
    assert (mask == ((spot() > 0) | (other > 0))).all()


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (",train,good,,", "the path is empty; name an image"),
        ("a/9.png,train,,,", "a/9.png: no such file; name an image in {root}"),
        ("a,train,,,", "a: a folder; name an image in {root}"),
        ("../x.png,train,,,", "../x.png lies outside {root}; name files below it"),
        ("a/../../x.png,train,,,", "a/../../x.png lies outside {root}; name files below it"),
        ("/etc/passwd,train,,,", "/etc/passwd lies outside {root}; name files below it"),
        ("..\\x.png,train,,,", "..\\x.png lies outside {root}; name files below it"),
        ("b/5.png,test,bad,,../m.png", "../m.png lies outside {root}; name files below it"),
        ("b/5.png,test,bad,,m/9.png", "m/9.png: no such file; name an image in {root}"),
        (
            "a/1.png,trian,,,",
            "unknown split 'trian'; did you mean 'train'? (splits: train, test, validation, valid, val)",
        ),
        (
            "a/1.png,test,scratchy,,",
            "unknown label 'scratchy'; (labels: 0, good, normal, ok, 1, abnormal, anomalies, anomalous, "
            "anomaly, bad, defect, defective, defects, ko, ng)",
        ),
        ("b/5.png,train,bad,,", "a defective image in train; only good images teach, put it into test"),
        ("b/5.png,val,bad,,", "a defective image in validation; only good images teach, put it into test"),
        ("a/1.png,,,,", "neither a split nor a label; give one of them"),
        ("b/5.png,test,,,m/5.png", "a defect without a label; say defective"),
        ("b/5.png,test,,cut,", "a defect without a label; say defective"),
        ("a/1.png,test,good,cut,", "a good image with the defect 'cut'; leave one of the two out"),
        ("b/5.png,test,bad,,[m/5.png", "mask: begins like a JSON list but is none: [m/5.png"),
    ],
)
def test_line__refused(root: Path, row: str, expected: str) -> None:
    assert line(root, row) == f"line 2: {expected.format(root=root)}"


def test_all_wrong_lines_are_told_at_once(root: Path) -> None:
    rows = "\n".join(f"x{n}.png,train" for n in range(12))
    assert told(root, f"path,split\na/1.png,train\na/1.png,test\n{rows}\n") == "\n".join(
        [
            "13 of 14 lines cannot be used:",
            "  line 3: a/1.png stands in line 2 already; leave out one",
            *(f"  line {n + 4}: x{n}.png: no such file; name an image in {root}" for n in range(9)),
            "  and 3 more",
        ]
    )


@pytest.mark.parametrize("cell", [True, 1.5, {"a": 1}, ["b/5.png"]])
def test_json_cell_that_is_no_text(root: Path, cell: object) -> None:
    row = json.dumps({"path": "b/5.png", "label": cell})
    assert told(root, row, "manifest.jsonl") == f"line 1: label: expected text, got {json.dumps(cell)}"


def test_two_manifests(root: Path) -> None:
    (root / "manifest.jsonl").touch()
    with pytest.raises(InputError) as caught:
        read(root, FULL)
    assert str(caught.value) == (
        f"{root}: holds manifest.csv and manifest.jsonl; give one of the files instead of the folder"
    )


@pytest.mark.parametrize("content", ["", "\n\n", "path,label\n"])
def test_manifest_without_lines(root: Path, content: str) -> None:
    assert "there are no good images to learn from (0 good and 0 defective to test)" in told(root, content)


def test_manifest_beside_another_layout__counts(tmp_path: Path) -> None:
    """Somebody wrote down what is there: the folder is read so, unless another layout is named."""
    root = mvtec(tmp_path)
    content = "path,label\ntrain/good/000.png,good\n"
    (root / "manifest.csv").write_text(content, encoding="utf-8")
    assert read_folder(READERS, root).layout == "manifest"
    assert read_folder(READERS, root, layout="mvtec-ad").layout == "mvtec-ad"


def test_named_layout_of_another_file(root: Path) -> None:
    path = root / "a/1.png"
    with pytest.raises(InputError) as caught:
        read_folder(READERS, path, layout="manifest")
    assert str(caught.value).startswith(f"{path}: not a manifest; expected manifest.csv or manifest.jsonl")

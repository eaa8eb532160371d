"""Which file a name in somebody's annotations means."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from leatherens.core.errors import InputError
from leatherens.core.labels.annotations import Annotated
from leatherens.core.labels.finding import Pictures

SOURCE = Path("via.json")


def folder(root: Path, *names: str) -> Path:
    """Files with these names, the first with one byte, the second with two ..."""
    for number, name in enumerate(names, start=1):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"." * number)
    return root


def find(root: Path, *names: str | Annotated, **options) -> list[str]:
    pictures = [name if isinstance(name, Annotated) else Annotated(name) for name in names]
    return [file.relative_to(root).as_posix() for file in Pictures(root, **options).find(pictures, SOURCE)]


def refused(root: Path, *names: str | Annotated, **options) -> str:
    with pytest.raises(InputError) as caught:
        find(root, *names, **options)
    return str(caught.value).replace(str(root), "DIR")


def test_by_name_and_by_path(tmp_path):
    root = folder(tmp_path, "test/cut/1.png", "test/hole/2.png", "3.png")

    assert find(root, "1.png", "hole/2.png", "3.png") == ["test/cut/1.png", "test/hole/2.png", "3.png"]


def test_folder_given_deeper_than_named(tmp_path):
    root = folder(tmp_path, "cut/1.png")

    assert find(root, "data/test/cut/1.png") == ["cut/1.png"]
    assert find(root, "data\\test\\cut\\1.png") == ["cut/1.png"]


def test_other_folder__is_another_picture(tmp_path):
    root = folder(tmp_path, "hole/1.png")

    assert refused(root, "cut/1.png") == (
        "via.json: 1 of 1 image not found below DIR: cut/1.png; give the folder of the annotated images"
    )
    assert find(root, "cut/1.png", by_name=True) == ["hole/1.png"]


def test_several__the_one_at_the_place_named(tmp_path):
    root = folder(tmp_path, "1.png", "old/1.png")

    assert find(root, "1.png", "old/1.png") == ["1.png", "old/1.png"]


def test_several__the_one_of_the_size_named(tmp_path):
    root = folder(tmp_path, "cut/1.png", "hole/1.png")

    assert find(root, Annotated("1.png", bytes=2)) == ["hole/1.png"]
    assert find(root, Annotated("1.png", bytes=2), Annotated("1.png", bytes=1)) == ["hole/1.png", "cut/1.png"]
    assert refused(root, "1.png") == (
        "via.json: 1.png fits 2 images (DIR/cut/1.png, DIR/hole/1.png); rename them, or import folder by "
        "folder"
    )


def test_size_that_does_not_fit(tmp_path):
    root = folder(tmp_path, "1.png")

    assert refused(root, Annotated("1.png", bytes=9)) == (
        "via.json: 1.png had 9 bytes when it was annotated, DIR/1.png has 1; give the annotated images, or "
        "say --changed if only the file was saved anew"
    )
    assert find(root, Annotated("1.png", bytes=9), changed=True) == ["1.png"]


def test_case_and_accents(tmp_path):
    root = folder(tmp_path, unicodedata.normalize("NFD", "löcher/é.png"), "A.JPG")

    assert find(root, "Löcher/é.png", "a.jpg") == [unicodedata.normalize("NFD", "löcher/é.png"), "A.JPG"]


def test_case__where_both_exist(tmp_path):
    root = folder(tmp_path, "a.png", "A.png")

    assert find(root, "A.png", "a.png") == ["A.png", "a.png"]


@pytest.mark.parametrize(
    "name", ["../secret.png", "a/../../1.png", "/etc/1.png", "C:\\data\\1.png", "https://host/1.png", ""]
)
def test_leaving_the_folder(tmp_path, name):
    root = folder(tmp_path / "images", "1.png")
    folder(tmp_path, "secret.png")

    assert refused(root, name) == (
        f"via.json: '{name}' is not the name of an image below DIR; say --by-name to look only at the last "
        "part of the names"
    )


def test_by_name__looks_inside_the_folder_only(tmp_path):
    root = folder(tmp_path / "images", "1.png")
    folder(tmp_path, "secret.png")

    assert find(root, "C:\\data\\1.png", by_name=True) == ["1.png"]
    assert "not found below DIR: ../secret.png" in refused(root, "../secret.png", by_name=True)


def test_absolute_path_inside(tmp_path):
    root = folder(tmp_path, "cut/1.png", "1.png")

    assert find(root, str(tmp_path / "cut/1.png")) == ["cut/1.png"]
    assert find(root, "cut/../1.png") == ["1.png"]


def test_beside_the_annotations(tmp_path):
    root = folder(tmp_path / "images", "cut/1.png")

    assert find(root, Annotated("../images/cut/1.png", beside=tmp_path / "labels")) == ["cut/1.png"]
    assert find(root, Annotated("1.png", beside=tmp_path / "labels")) == ["cut/1.png"]
    assert "is not the name of an image" in refused(root, Annotated("../1.png", beside=tmp_path / "labels"))


def test_two_entries_for_one_picture(tmp_path):
    root = folder(tmp_path, "cut/1.png")

    assert refused(root, "1.png", "cut/1.png") == (
        "via.json: 1.png and cut/1.png: two entries for one picture, DIR/cut/1.png; keep one"
    )


def test_missing__are_told_together(tmp_path):
    root = folder(tmp_path, "1.png")

    assert refused(root, "1.png", *[f"{n}.png" for n in range(2, 10)]) == (
        "via.json: 8 of 9 images not found below DIR: 2.png, 3.png, 4.png, 5.png, 6.png and 3 more; "
        "give the folder of the annotated images"
    )


def test_masks__are_no_pictures(tmp_path):
    root = folder(tmp_path, "1.png", "1_mask.png", "2_mask.png", "ground_truth/cut/3.png", "Masks/4.png")
    pictures = Pictures(root)

    assert [file.name for file in pictures.files if not pictures.is_mask(file)] == ["1.png", "2_mask.png"]

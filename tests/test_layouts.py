"""Which reader reads what: several that fit, a layout.yaml that says it, and categories side by side."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from pictures import grain, mvtec, save

from leatherens.core.errors import ConfigError, InputError, UnknownPlugin
from leatherens.core.layouts import STATED, find_categories, read_folder
from leatherens.plugins.btad_reader import BTADReader
from leatherens.plugins.folder_reader import FolderReader
from leatherens.plugins.mvtec_reader import MVTecReader
from leatherens.plugins.tilda_reader import TildaReader

READERS = {
    "btad": BTADReader(),
    "folder": FolderReader(),
    "mvtec-ad": MVTecReader(),
    "tilda": TildaReader(),
}


def pictures(root: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        save(root / name, grain(seed=seed))
    return root


def btad(root: Path) -> Path:
    return pictures(root, "train/ok/0.png", "test/ok/1.png", "test/ko/2.png")


def state(root: Path, content: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / STATED).write_text(content, encoding="utf-8")
    return root


def refusal(root: Path, **options: str) -> str:
    with pytest.raises(InputError) as caught:
        read_folder(READERS, root, **options)
    return str(caught.value)


def test_the_special_layout_wins_over_the_general_one(tmp_path: Path) -> None:
    root = btad(tmp_path)
    assert MVTecReader().recognises(root)
    assert read_folder(READERS, root).layout == "btad"
    assert read_folder(READERS, root, layout="mvtec-ad", learning=False).layout == "mvtec-ad"


def test_two_special_layouts__are_both_said(tmp_path: Path) -> None:
    class Other(BTADReader):
        id: ClassVar[str] = "other"

    with pytest.raises(InputError) as caught:
        read_folder({**READERS, "other": Other()}, btad(tmp_path))
    assert str(caught.value) == f"{tmp_path}: fits the layouts btad and other; name one of them as the layout"


class TestStated:
    def test_layout_of_a_folder(self, tmp_path):
        root = state(btad(tmp_path), "layout: folder\n")
        assert refusal(root).startswith(f"{root}: not a plain folder; expected images of good surfaces")

    def test_asked_for__wins(self, tmp_path):
        assert read_folder(READERS, state(btad(tmp_path), "layout: folder\n"), layout="btad").layout == "btad"

    def test_of_the_folder_around__and_the_nearer_one_wins(self, tmp_path):
        state(tmp_path, "layout: tilda\noptions: {kind: (.+), good: [ok]}\n")
        root = pictures(tmp_path / "linen", "ok/1.png", "ok/2.png", "hole/1.png")
        assert read_folder(READERS, root).layout == "tilda"
        state(root, "layout: tilda\noptions: {kind: (.+), good: [hole]}\n")
        assert read_folder(READERS, root).train[0].id == "hole/1.png"

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ("[a, b]", "{path}: expected the keys layout and options, got list"),
            ("layout: [", "{path}: not YAML (while parsing a flow node"),
            (
                "layuot: tilda",
                "{path}: option 'layout' is required\n{path}: unknown option 'layuot'; did you mean",
            ),
            ("layout: tilda\noptions: {kinds: e}", "tilda: unknown option 'kinds'; did you mean 'kind'?"),
            ("layout: mvtec-ad\noptions: {good: e}", "mvtec-ad: unknown option 'good' (it has none)"),
        ],
    )
    def test_wrong(self, tmp_path, content, told):
        root = state(pictures(tmp_path, "1.png"), content)
        with pytest.raises(ConfigError) as caught:
            read_folder(READERS, root)
        assert str(caught.value).startswith(told.format(path=root / STATED))

    def test_unknown_layout(self, tmp_path):
        root = state(pictures(tmp_path, "1.png"), "layout: tlida\n")
        with pytest.raises(UnknownPlugin, match=r"^unknown layout 'tlida'; did you mean 'tilda'\?"):
            read_folder(READERS, root)


class TestCategories:
    def test_of_one_layout(self, tmp_path):
        for name in ("teal", "darkgreen"):
            mvtec(tmp_path / name)
        (tmp_path / "split_csv").mkdir()
        found = find_categories(READERS, tmp_path)
        assert found is not None
        assert found.sentence == "read as MVTec AD: 2 categories (darkgreen, teal)"
        assert found.folders == (tmp_path / "darkgreen", tmp_path / "teal")

    def test_of_several_layouts__and_of_the_one_asked_for(self, tmp_path):
        mvtec(tmp_path / "teal")
        btad(tmp_path / "01")
        btad(tmp_path / "02")
        found = find_categories(READERS, tmp_path)
        assert found is not None
        assert found.sentence == "read as BTAD and MVTec AD: 3 categories (01, 02, teal)"
        found = find_categories(READERS, tmp_path, layout="btad")
        assert found is not None
        assert found.names == ("01", "02")

    def test_folders_that_no_layout_fits__are_told(self, tmp_path):
        for name in ("01", "02"):
            btad(tmp_path / name)
        pictures(tmp_path, "03/training/1.png", "raw/1.png", "split_csv/1.txt.png")
        (tmp_path / "docs").mkdir()
        found = find_categories(READERS, tmp_path)
        assert found is not None
        assert found.sentence == (
            "read as BTAD: 2 categories (01, 02); left out 03, raw, split_csv: no layout fits"
        )

    def test_told_by_a_layout_yaml_around_them(self, tmp_path):
        state(tmp_path, "layout: tilda\noptions: {kind: (.+), good: [ok]}\n")
        for fabric in ("linen", "silk"):
            pictures(tmp_path / fabric, "ok/1.png", "hole/1.png")
        found = find_categories(READERS, tmp_path)
        assert found is not None
        assert found.sentence == "read as TILDA: 2 categories (linen, silk)"

    def test_none__in_a_collection_a_plain_folder_or_a_file(self, tmp_path):
        for name in ("train/good/more", "a"):
            mvtec(tmp_path / "one" / name)
        plain = pictures(tmp_path / "plain", "a/1.png", "b/1.png")
        mvtec(tmp_path / "lonely/only")
        for root in (tmp_path / "one", plain, plain / "a/1.png", tmp_path / "none", tmp_path / "lonely"):
            assert find_categories(READERS, root) is None, root
        assert find_categories(READERS, plain, layout="folder") is None

    def test_another_command__is_told_them(self, tmp_path):
        btad(tmp_path / "01")
        btad(tmp_path / "02")
        sentence = f"{tmp_path}: 2 categories lie here (01, 02); give one of them, such as {tmp_path / '01'}"
        assert refusal(tmp_path) == sentence
        assert refusal(tmp_path, layout="btad") == sentence

    def test_two_folders_down(self, tmp_path):
        for name in ("01", "02"):
            btad(tmp_path / "unpacked" / name)
        assert refusal(tmp_path) == (
            f"{tmp_path}: the collections lie two folders down; give {tmp_path / 'unpacked'} or one in it"
        )

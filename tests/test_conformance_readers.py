"""The kit's checks of readers: built-in and good ones pass on folders of their own, each sin is caught."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import broken_readers as broken
import pytest
from pictures import grain, mvtec, save, spot

from leatherens.core.host import PluginHost
from leatherens.core.reading import Reader
from leatherens.testing import On, check_member, member_checks
from leatherens.testing.bench import ConformanceError
from leatherens.testing.reader_checks import CHECKS

HOST = PluginHost(installed=False)

SINS = [
    (broken.CalledByItsClass, "reader_declares_itself", "the id must be lower-kebab"),
    (broken.HasNoWords, "reader_declares_itself", "shape must be words for messages, got ''"),
    (broken.RefinesItself, "reader_declares_itself", "refines must name other layouts' ids"),
    (broken.KnowsEverything, "reader_knows_its_layout_only", "an empty folder is recognised as grain"),
    (broken.KnowsNothing, "reader_knows_its_layout_only", "is not recognised"),
    (broken.TakesAnyFile, "reader_knows_its_layout_only", "a file of text is recognised as grain"),
    (
        broken.CrashesOnAMissingFolder,
        "reader_refuses_in_words",
        "a missing folder must be refused with an InputError, but FileNotFoundError was raised",
    ),
    (broken.ReadsUnderAnotherName, "reader_gives_sound_samples", "the collection is of 'mvtec-ad', 'grain'"),
    (broken.Unsorted, "reader_gives_sound_samples", "train is not sorted by id"),
    (broken.TeachesDefects, "reader_gives_sound_samples", "train holds images that are not labelled good"),
    (broken.AbsoluteIds, "reader_gives_sound_samples", "the id must be a printable path below the root"),
    (broken.InventsFiles, "reader_gives_sound_samples", "there is no file no such mask.png"),
    (broken.GoodWithADefect, "reader_gives_sound_samples", "a good image has masks or the defect 'ok'"),
    (broken.DefectiveWithoutOne, "reader_gives_sound_samples", "a defective image has the defect 'good'"),
    (broken.CountsItsReadings, "reader_reads_the_same_again", "read twice, a folder gives other samples"),
    (broken.LeavesACache, "reader_reads_the_same_again", "reading changes the folder"),
    (broken.SwallowsOptions, "unknown_option_refused", "an unknown option must be refused"),
    (broken.ForgetsItsOptions, "options_round_trip", "params is dict, expected leatherens Params"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a", "b", "bad")):
        save(tmp_path / "grain" / f"{name}.png", grain(seed=seed))
    return tmp_path


def _images(*names: str) -> Callable[[Path], Path]:
    def build(root: Path) -> Path:
        for seed, name in enumerate(names):
            marked = any(word in name for word in ("MT_Break/Imgs/0.png", "_GT", "_label", "ground_truth"))
            save(root / name, spot() * ("good" not in name) if marked else grain(seed=seed))
        return root

    return build


def _listed(root: Path) -> Path:
    save(root / "1.png", grain())
    (root / "manifest.csv").write_text("path,label\n1.png,good\n", encoding="utf-8")
    return root


def _visa(root: Path) -> Path:
    save(root / "candle/Data/Images/Normal/0.JPG", grain())
    (root / "split_csv").mkdir()
    line = "candle,train,normal,candle/Data/Images/Normal/0.JPG,"
    split = root / "split_csv/1cls.csv"
    split.write_text(f"object,split,label,image,mask\n{line}\n", encoding="utf-8")
    return root / "candle"


FOLDERS: dict[str, Callable[[Path], Path]] = {
    "btad": _images("train/ok/0.bmp", "test/ok/1.bmp", "test/ko/2.bmp", "ground_truth/ko/2.png"),
    "folder": _images("good/0.png", "bad/1.png"),
    "kolektor-sdd": _images("kos01/Part0.jpg", "kos01/Part0_label.bmp"),
    "kolektor-sdd2": _images("train/1.png", "train/1_GT.png", "test/2.png", "test/2_GT.png"),
    "magnetic-tile": _images("MT_Free/Imgs/0.jpg", "MT_Break/Imgs/0.jpg", "MT_Break/Imgs/0.png"),
    "manifest": _listed,
    "mvtec-ad": mvtec,
    "mvtec-ad-2": _images(
        "train/good/0_regular.png", "test_public/bad/0.png", "test_public/ground_truth/bad/0_mask.png"
    ),
    "mvtec-loco": _images(
        "train/good/0.png", "test/logical_anomalies/0.png", "ground_truth/logical_anomalies/0/000.png"
    ),
    "tilda": _images("e0/1.png", "e1/1.png"),
    "visa": _visa,
}


@pytest.mark.parametrize("id", HOST.readers().ids())
def test_built_in_conforms(id: str, tmp_path: Path) -> None:
    results = check_member(On(HOST.readers().load(id), FOLDERS[id](tmp_path)))

    assert [result.message for result in results if not result.passed] == []
    assert len(results) == len(CHECKS)


def test_a_good_reader_conforms__with_a_folder_and_without(folder: Path) -> None:
    for make in (broken.Grain, On(broken.Grain, folder)):
        assert all(result.passed for result in check_member(make))


@pytest.mark.parametrize(("reader", "check", "sentence"), SINS, ids=lambda v: getattr(v, "__name__", None))
def test_check__catches_its_sin(reader: type[Reader], check: str, sentence: str, folder: Path) -> None:
    with pytest.raises(ConformanceError) as found:
        dict(member_checks(On(reader, folder)))[check]()

    assert sentence in str(found.value)


def test_every_check_has_a_sinner() -> None:
    assert {check for _, check, _ in SINS} == {check.__name__.removeprefix("check_") for check in CHECKS}

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import grain, mvtec, save, spot

from leatherens.core.errors import ArtifactError, ConfigError, InputError
from leatherens.core.reading import Collection, Sample
from leatherens.ensembles.splits import FEWEST, Splits, fingerprint, make_splits
from leatherens.plugins.mvtec_reader import MVTecReader

ROOT = Path("/data/hides")


def good(count: int, *, groups: int | None = None) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            ROOT / f"{n:03d}.png",
            f"{n:03d}.png",
            False,
            (),
            "good",
            f"hide{n % groups}" if groups else None,
        )
        for n in range(count)
    )


def labelled(defective: int, fine: int = 0) -> tuple[Sample, ...]:
    bad = [Sample(ROOT / f"b{n}.png", f"test/b{n}.png", True, (), "cut") for n in range(defective)]
    return (*bad, *(Sample(ROOT / f"g{n}.png", f"test/g{n}.png", False, (), "good") for n in range(fine)))


def collection(train: tuple[Sample, ...], test: tuple[Sample, ...] = ()) -> Collection:
    return Collection(ROOT, "folder", "a plain folder", train, test)


def counts(splits: Splits) -> dict[str, int]:
    return {job: len(ids) for job, ids in splits.jobs().items()}


def test_with_good_test_images__all_are_tested_and_all_good_ones_teach():
    splits = make_splits(collection(good(211), labelled(39, 32)), seed=7)
    assert counts(splits) == {
        "fit": 147,
        "validate": 32,
        "calibrate": 32,
        "threshold_labelled": 0,
        "test": 71,
    }
    assert set(splits.test) == {sample.id for sample in labelled(39, 32)}


def test_images_kept_apart_to_validate_on__are_halved_and_all_others_teach():
    apart = tuple(Sample(ROOT / f"v{n}.png", f"v{n}.png", False, (), "good") for n in range(9))
    kept = Collection(ROOT, "loco", "MVTec LOCO", good(20), labelled(3, 2), validation=apart)
    splits = make_splits(kept, seed=7)
    assert set(splits.fit) == {sample.id for sample in good(20)}
    assert {*splits.validate, *splits.calibrate} == {sample.id for sample in apart}
    assert abs(len(splits.validate) - len(splits.calibrate)) == 1
    assert kept.sentence == (
        "read as MVTec LOCO: 20 good to learn from, 9 good to validate on, 2 good and 3 defective to test"
    )


@pytest.mark.parametrize("defective", [0, 5])
def test_without_good_test_images__a_fifth_of_the_good_is_held_out(defective):
    splits = make_splits(collection(good(100), labelled(defective)), seed=7)
    assert counts(splits) == {
        "fit": 56,
        "validate": 12,
        "calibrate": 12,
        "threshold_labelled": 0,
        "test": 20 + defective,
    }


@given(count=st.integers(FEWEST, 60), seed=st.integers(0, 2**40), held=st.booleans())
def test_every_image_has_exactly_one_job(count, seed, held):
    whole = collection(good(count), labelled(2, 0 if held else 2))
    splits = make_splits(whole, seed=seed)
    dealt = [id for ids in splits.jobs().values() for id in ids]
    assert sorted(dealt) == sorted(sample.id for sample in (*whole.train, *whole.test))
    assert min(len(splits.fit), len(splits.validate), len(splits.calibrate)) >= 1
    assert all(list(ids) == sorted(ids) for ids in splits.jobs().values())


def test_seed__decides_and_the_order_of_the_files_does_not():
    train = good(40)
    splits = make_splits(collection(train), seed=1)
    assert make_splits(collection(train[::-1]), seed=1) == splits
    assert make_splits(collection(train), seed=2) != splits


def test_dealing__favours_no_part_of_the_alphabet():
    means = [
        np.mean([int(id[:3]) for id in make_splits(collection(good(40)), seed=s).fit]) for s in range(60)
    ]
    assert abs(np.mean(means) - 19.5) < 1


def test_global_random_state__is_left_alone():
    before = np.random.get_state()[1].copy()
    make_splits(collection(good(40)), seed=1)
    assert np.array_equal(before, np.random.get_state()[1])


def test_shares():
    splits = make_splits(collection(good(40), labelled(1, 1)), seed=1, shares=(0.5, 0.2, 0.3))
    assert (len(splits.fit), len(splits.validate), len(splits.calibrate)) == (20, 8, 12)


@pytest.mark.parametrize("shares", [(0.7, 0.3), (1.0, 0.0, 0.0), (0.7, 0.2, 0.2)])
def test_wrong_shares(shares):
    with pytest.raises(ConfigError) as caught:
        make_splits(collection(good(40)), seed=1, shares=shares)
    assert str(caught.value) == f"shares: expected three positive numbers that sum to 1, got {list(shares)}"


def test_wrong_share_held_out():
    with pytest.raises(ConfigError, match=r"^held_out: expected a share between 0 and 1, got 1\.5$"):
        make_splits(collection(good(40)), seed=1, held_out=1.5)


def test_too_few():
    with pytest.raises(InputError) as caught:
        make_splits(collection(good(7)), seed=1)
    assert str(caught.value) == (
        f"{ROOT}: at least 8 good images are needed to learn, validate and calibrate, got 7; "
        "add photographs of good surfaces"
    )
    fewest = counts(make_splits(collection(good(8)), seed=1))
    assert fewest == {"fit": 4, "validate": 1, "calibrate": 1, "threshold_labelled": 0, "test": 2}


@given(seed=st.integers(0, 1000))
def test_groups__stay_together(seed):
    train = good(60, groups=12)
    splits = make_splits(collection(train), seed=seed)
    group = {sample.id: sample.group for sample in train}
    jobs_of = {
        name: {job for job, ids in splits.jobs().items() if name in {group[id] for id in ids}}
        for name in group.values()
    }
    assert all(len(jobs) == 1 for jobs in jobs_of.values())
    assert counts(splits) == {"fit": 25, "validate": 10, "calibrate": 10, "threshold_labelled": 0, "test": 15}


def test_too_few_groups():
    with pytest.raises(InputError) as caught:
        make_splits(collection(good(40, groups=3)), seed=1)
    assert (
        str(caught.value) == f"{ROOT}: too few groups of good images to deal out; add photographs of others"
    )


def test_overlap__names_the_image_and_both_jobs():
    with pytest.raises(InputError) as caught:
        Splits(fit=("a.png", "b.png"), validate=("c.png",), calibrate=("d.png",), test=("b.png",))
    assert str(caught.value) == "b.png is in fit and again in test; an image may have one job only"


def test_written_and_read(tmp_path):
    splits = make_splits(collection(good(20), labelled(2, 2)), seed=3)
    splits.write(tmp_path / "splits.json")
    assert Splits.read(tmp_path / "splits.json") == splits
    written = json.loads((tmp_path / "splits.json").read_text(encoding="utf-8"))
    assert list(written) == ["fit", "validate", "calibrate", "threshold_labelled", "test"]


@pytest.mark.parametrize("content", ["[]", '{"fit": []}', "wrong type", "extra"])
def test_damaged_file(tmp_path, content):
    path = tmp_path / "splits.json"
    whole = {"fit": ["a"], "validate": ["b"], "calibrate": ["c"], "threshold_labelled": [], "test": []}
    replaced = {"wrong type": whole | {"fit": "abc"}, "extra": whole | {"more": []}}
    path.write_text(json.dumps(replaced[content]) if content in replaced else content, encoding="utf-8")
    with pytest.raises(ArtifactError) as caught:
        Splits.read(path)
    assert str(caught.value) == (
        f"{path}: damaged, expected lists of image names under "
        "fit, validate, calibrate, threshold_labelled, test"
    )


def test_edited_file__with_an_image_twice(tmp_path):
    path = tmp_path / "splits.json"
    path.write_text(
        json.dumps({"fit": ["a"], "validate": ["a"], "calibrate": [], "threshold_labelled": [], "test": []}),
        encoding="utf-8",
    )
    with pytest.raises(
        InputError, match=r"^a is in fit and again in validate; an image may have one job only$"
    ):
        Splits.read(path)


class TestFingerprint:
    def of(self, root: Path) -> str:
        found = MVTecReader().read(root)
        return fingerprint((*found.train, *found.test))

    def test_same_files_elsewhere_in_another_order(self, tmp_path):
        root = mvtec(tmp_path / "a")
        shutil.copytree(root, tmp_path / "b")
        found = MVTecReader().read(root)
        assert len(self.of(root)) == 32
        assert self.of(root) == self.of(tmp_path / "b") == fingerprint((*found.test[::-1], *found.train))

    def test_any_change(self, tmp_path):
        root = mvtec(tmp_path / "a")
        seen = {self.of(root)}
        save(root / "train/good/000.png", grain(seed=999))
        seen.add(self.of(root))
        save(root / "ground_truth/cut/000_mask.png", spot().T.copy().T[::-1].copy())
        seen.add(self.of(root))
        (root / "train/good/000.png").rename(root / "train/good/0000.png")
        seen.add(self.of(root))
        (root / "ground_truth/cut/000_mask.png").unlink()
        seen.add(self.of(root))
        (root / "train/good/001.png").unlink()
        seen.add(self.of(root))
        assert len(seen) == 6

    def test_unreadable(self, tmp_path):
        gone = tmp_path / "1.png"
        with pytest.raises(InputError) as caught:
            fingerprint([Sample(gone, "1.png")])
        assert str(caught.value) == f"{gone}: cannot be read (No such file or directory); repair or remove it"


@pytest.mark.skipif(
    "LEATHERENS_DATA" not in os.environ, reason="LEATHERENS_DATA names no folder of real data"
)
def test_real_collection():
    root = Path(os.environ["LEATHERENS_DATA"], "leather_one_colour")
    if not root.is_dir():
        pytest.skip("no leather_one_colour in LEATHERENS_DATA")
    splits = make_splits(MVTecReader().read(root), seed=0)
    assert counts(splits) == {
        "fit": 147,
        "validate": 32,
        "calibrate": 32,
        "threshold_labelled": 0,
        "test": 71,
    }


def test_a_labelled_share__has_every_kind_in_proportion_and_is_not_tested():
    cuts, holes = labelled(20, 40), tuple(replace(s, id=f"h{s.id}", defect="hole") for s in labelled(40))
    whole = collection(good(40), (*cuts, *holes))
    splits = make_splits(whole, seed=3, labelled=0.15)
    kinds = {sample.id: sample.defect for sample in whole.test}
    assert Counter(kinds[id] for id in splits.threshold_labelled) == {"cut": 3, "good": 6, "hole": 6}
    assert {*splits.threshold_labelled, *splits.test} == set(kinds)
    assert splits.fit == make_splits(whole, seed=3).fit  # asking for labels moves no good image


def test_a_labelled_share__keeps_groups_together_and_passes_over_what_has_no_label():
    test = tuple(replace(s, group=f"hide {i // 4}") for i, s in enumerate(labelled(24, 24)))
    unknown = Sample(ROOT / "u.png", "u.png")
    splits = make_splits(collection(good(40), (*test, unknown)), seed=3, labelled=0.25)
    group = {sample.id: sample.group for sample in test}
    spared = {group[id] for id in splits.threshold_labelled}
    assert unknown.id in splits.test
    assert len(spared) == 4  # of 6 groups each, two of a kind
    assert not spared & {group[id] for id in splits.test if id != unknown.id}


def test_a_labelled_share__of_too_few_is_refused():
    with pytest.raises(InputError) as caught:
        make_splits(collection(good(40), labelled(1, 5)), seed=1, labelled=0.15)
    assert str(caught.value) == (
        f"{ROOT}: a share of 0.15 of 6 labelled test images leaves good or defective ones out on one side; "
        "give more labelled images, or another share"
    )

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pictures import grain, mvtec, save
from PIL import Image
from tiny_runs import call, options

from leatherens.core.errors import ConfigError, InputError
from leatherens.core.grouping import grouped, torn_groups
from leatherens.core.reading import Collection
from leatherens.ensembles.given_splits import given_splits
from leatherens.ensembles.leaks import allowed, leaks
from leatherens.ensembles.splits import content_digests, make_splits
from leatherens.plugins.mvtec_reader import MVTecReader


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return mvtec(tmp_path / "data")


def write(collection: Collection, path: Path, **changes: list[str]) -> Path:
    jobs = {job: list(ids) for job, ids in make_splits(collection, seed=1).jobs().items()}
    path.write_text(json.dumps(jobs | changes))
    return path


def test_given_splits__are_taken_as_they_are(root, tmp_path):
    collection = MVTecReader().read(root)
    assert given_splits(write(collection, tmp_path / "s.json"), collection) == make_splits(collection, seed=1)


@pytest.mark.parametrize(
    ("job", "ids", "sentence"),
    [
        ("fit", ["train/good/none.png"], "names 1 image that {root} does not hold: train/good/none.png"),
        ("validate", [], "no image for 'validate'; name at least one"),
        ("validate", ["{bad}"], "'validate' is for good images only, and names {bad}"),
    ],
)
def test_given_splits__that_cannot_be(root, tmp_path, job, ids, sentence):
    collection = MVTecReader().read(root)
    bad = next(sample.id for sample in collection.test if sample.defective)
    known = {"bad": bad, "root": root}
    jobs = make_splits(collection, seed=1).jobs()
    others = {"test": [id for id in jobs["test"] if id != bad]}
    path = write(collection, tmp_path / "s.json", **{job: [id.format(**known) for id in ids]}, **others)
    with pytest.raises(InputError) as caught:
        given_splits(path, collection)
    assert str(caught.value) == f"{path}: {sentence.format(**known)}"


def test_given_splits__that_test_what_was_learned_under_another_name(root, tmp_path):
    picture = grain(3)
    save(root / "train/good/twin.png", picture)
    save(root / "test/good/twin.png", picture)
    collection = MVTecReader().read(root)
    jobs = make_splits(collection, seed=1).jobs()
    taught = next(job for job, ids in jobs.items() if "train/good/twin.png" in ids)
    path = write(collection, tmp_path / "s.json")
    with pytest.raises(InputError) as caught:
        given_splits(path, collection)
    assert str(caught.value) == (
        f"{path}: train/good/twin.png is in '{taught}' and test/good/twin.png, the same picture, in 'test'; "
        "what is tested or calibrated with must not have been learned from: put both into one job, "
        "or leave one of the two out"
    )


def test_given_splits__that_tear_a_group(root, tmp_path):
    collection = grouped(MVTecReader().read(root), r"^(train|test)")
    path = write(MVTecReader().read(root), tmp_path / "s.json")
    with pytest.raises(InputError, match=r"of the same group, in '(validate|calibrate)'"):
        given_splits(path, collection)


def test_grouped__by_what_a_name_holds(root):
    collection = MVTecReader().read(root)
    found = grouped(collection, r"(\w+/\w+)/\d\d(?=\d)")
    assert {sample.group for sample in found.train} == {"train/good"}
    whole = grouped(collection, r"\w+/\w+/\d\d(?=\d)")
    assert {sample.group for sample in whole.train} == {"train/good/00"}
    assert torn_groups(collection.train, collection.test) == []
    assert found.remarks[-1].endswith("groups by the names of the images")


@pytest.mark.parametrize(
    ("pattern", "error", "sentence"),
    [
        ("(", ConfigError, "no regular expression"),
        ("nowhere", InputError, "finds nothing in "),
        (r"\.png", InputError, "1 group both to learn from and to test: .png; move all images of a group"),
    ],
)
def test_grouped__refuses_in_words(root, pattern, error, sentence):
    with pytest.raises(error) as caught:
        grouped(MVTecReader().read(root), pattern)
    assert str(caught.value).startswith(f"--group-by '{pattern}': ")
    assert sentence in str(caught.value)


def test_dealt_splits__refuse_a_picture_that_is_learned_from_and_tested(root, tmp_path):
    save(root / "test/good/twin.png", np.array(Image.open(root / "train/good/000.png")))
    result = call("run", *options("patchcore"), "--data", root, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "test/good/twin.png, the same picture, in 'test'; what is tested" in result.stderr
    assert not (tmp_path / "run").exists()


def test_dealt_splits__tell_of_a_picture_that_teaches_and_calibrates(root):
    collection = MVTecReader().read(root)
    splits = make_splits(collection, seed=1)
    samples = {sample.id: sample for sample in collection.samples}
    digests = content_digests([sample.path for sample in collection.samples])
    assert allowed(leaks(splits, samples, digests), "here") == ()
    one, other = splits.fit[0], splits.calibrate[0]
    digests[samples[other].path] = digests[samples[one].path]
    [remark] = allowed(leaks(splits, samples, digests), "here")
    assert remark.startswith("1 good image the same as one with another job, such as: ")
    assert f"{one} is in 'fit' and {other}, the same picture, in 'calibrate'" in remark

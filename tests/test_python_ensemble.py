"""The ensemble in Python: what the command line does, on disk and in memory, and what it refuses."""

from __future__ import annotations

import copy
import gc
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny_runs import TINY, array, evaluated, files, make, metrics, predicted, table, untimed

from leatherens import Ensemble, Result
from leatherens.cli.run import run as run_command
from leatherens.configs.options import Options
from leatherens.core.errors import (
    ArtifactError,
    ConfigError,
    InputError,
    LeatherensError,
    MembersFailed,
    NotFittedError,
)

OF_DATA = {"members", "data", "defects", "masks", "layout", "group_by", "splits", "out", "config", "track"}
NOT_IN_PYTHON = {
    "project": "several views are several ensembles, which the command line joins",
    "resume": "a run that was cut off is gone on with on the command line, and opened",
}


def tiny(members: str, **more: Any) -> Ensemble:
    """The ensemble of `tiny_runs.options`."""
    settings = {
        f"{id}.{key}": yaml.safe_load(value) if isinstance(value, str) else value
        for id in members.split(",")
        for key, value in TINY[id].items()
    }
    plain: dict[str, Any] = {"size": 64, "device": "cpu", "calibration": "split", "settings": settings}
    return Ensemble(members, **{**plain, **more})


@pytest.fixture(scope="module")
def fitted(leather: Path) -> Ensemble:
    return tiny("patchcore").fit(leather)


@pytest.fixture(scope="module")
def good(leather: Path) -> list[np.ndarray]:
    return [array(path) for path in sorted((leather / "train" / "good").glob("*"))]


def bare(results: list[Result]) -> list[tuple[float, float, float, bool | None]]:
    return [(r.score, r.threshold, r.calibrated, r.defective) for r in results]


# the same as the command line


def test_options__are_those_of_the_command_line() -> None:
    assert set(Options.__annotations__) | OF_DATA | set(NOT_IN_PYTHON) == {
        option.name for option in run_command.params
    }


def test_fit__gives_what_the_command_line_gives(pair: Path, leather: Path) -> None:
    ensemble = tiny("stfpm,draem").fit(leather)

    assert table(ensemble.run) == table(pair)
    assert (ensemble.run / "splits.json").read_text() == (pair / "splits.json").read_text()
    assert (ensemble.run / "recipe.yaml").read_text() == (pair / "recipe.yaml").read_text()
    assert files(ensemble.run) == files(pair)


def test_fit__defaults_and_options_make_the_same_recipe(leather: Path, tmp_path: Path) -> None:
    more = "--mode hybrid --head gaussian --block global --threshold k-sigma --set threshold.k=2 --seed 3"
    features = "--features patchcore=* --prepare flatten --shares 0.6,0.2,0.2 --size 64x72"
    made = make(tmp_path / "run", leather, "patchcore", *more.split(), *features.split())
    ensemble = tiny(
        "patchcore",
        mode="hybrid",
        head="gaussian",
        block="global",
        threshold="k-sigma",
        seed=3,
        features={"patchcore": ["*"]},
        prepare=["flatten"],
        shares=(0.6, 0.2, 0.2),
        size=(64, 72),
    )
    ensemble.options["settings"] = {**ensemble.options["settings"], "threshold.k": 2}
    ensemble.fit(leather)

    assert (ensemble.run / "recipe.yaml").read_text() == (made / "recipe.yaml").read_text()
    assert table(ensemble.run) == table(made)


def test_predict__gives_what_the_command_line_gives(banked: Path, leather: Path) -> None:
    results = Ensemble.open(banked, device="cpu").predict(leather / "test")

    told = {r.image.relative_to(leather).as_posix(): (f"{r.score:.9g}", r.defective) for r in results}
    assert told == predicted(banked, leather / "test")


def test_evaluate__gives_what_the_command_line_gives(banked: Path, leather: Path, tmp_path: Path) -> None:
    found = Ensemble.open(banked, device="cpu").evaluate(leather, out=tmp_path / "out")

    assert untimed(found["ensemble"]) == untimed(evaluated(banked, leather)["ensemble"])
    assert (tmp_path / "out" / "report.html").is_file()


def test_silent_unless_verbose(leather: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tiny("patchcore").fit(leather).predict(leather / "test")
    assert capfd.readouterr() == ("", "")

    tiny("patchcore", verbose=True).fit(leather)
    assert "read as MVTec AD: 16 good" in capfd.readouterr().err


# results


def test_result__is_the_judgement_with_map_and_mask(fitted: Ensemble, leather: Path) -> None:
    path = leather / "test" / "hole" / "000.png"
    (result,) = fitted.predict(path)

    assert result.image == path
    assert result.map is not None
    assert result.map.shape == result.mask.shape == (64, 64)
    assert np.array_equal(result.mask, result.map > fitted.decision.pixel)
    assert 100 * result.mask.mean() == pytest.approx(result.defective_percent)
    assert result.defective is (result.score > result.threshold)
    verdict, sign = ("defective", ">") if result.defective else ("good", "<=")
    assert repr(result).startswith(f"Result({path}: {verdict}, score {result.score:.4g} {sign} ")


def test_predict__tells_what_cannot_be_read(fitted: Ensemble, leather: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    good, bad = fitted.predict([leather / "test" / "good" / "000.png", broken])

    assert good.problem is None
    assert bad.problem.startswith(f"{broken}: ")
    assert (bad.defective, bad.map, bad.mask) == (None, None, None)
    assert repr(bad) == f"Result({broken}: not judged, {bad.problem})"


def test_judge__goes_one_batch_at_a_time(fitted: Ensemble, good: list[np.ndarray]) -> None:
    taken = []
    stream = fitted.judge(taken.append(number) or image for number, image in enumerate(good))  # type: ignore[func-returns-value]

    assert next(stream).image == 0
    assert len(taken) == fitted.recipe.batch_size < len(good)
    stream.close()


def test_tiled_runs__have_whole_maps(leather: Path) -> None:
    ensemble = tiny("patchcore", size=None, tile=40).fit(leather)
    (result,) = ensemble.predict(array(leather / "test" / "hole" / "000.png"))

    assert result.map.shape == result.mask.shape == (64, 64)
    assert result.mask.dtype == bool


# images in memory


def test_predict__takes_images_of_every_kind(fitted: Ensemble, leather: Path) -> None:
    paths = sorted((leather / "test" / "good").glob("*"))
    arrays = [array(path) for path in paths]
    stack = np.stack(arrays)
    tensor = torch.from_numpy(stack).permute(0, 3, 1, 2)
    expected = bare(fitted.predict(paths))

    kinds: list[Any] = [
        [str(path) for path in paths],
        paths[0].parent,
        arrays,
        (array for array in arrays),
        stack,
        stack / 255,
        (stack / 255).astype(np.float32),
        stack.astype(np.uint16) * 257,
        [Image.open(path) for path in paths],
        tensor,
        list(tensor),
        tensor / 255,
        [paths[0], *arrays[1:3], *tensor[3:]],
    ]
    for images in kinds:
        assert bare(fitted.predict(images)) == expected
    for one in (paths[0], arrays[0], tensor[0], Image.open(paths[0])):
        assert bare(fitted.predict(one)) == expected[:1]
    assert [result.image for result in fitted.predict(stack)] == list(range(len(paths)))


def test_grey_images__are_three_equal_channels(fitted: Ensemble, good: list[np.ndarray]) -> None:
    grey = good[0][..., 0]
    expected = bare(fitted.predict(np.repeat(grey[..., None], 3, axis=2)))

    assert bare(fitted.predict(grey)) == bare(fitted.predict(grey[..., None])) == expected
    assert bare(fitted.predict(torch.from_numpy(grey)[None])) == expected


def test_fit__images_in_memory_are_kept_as_they_are(good: list[np.ndarray], tmp_path: Path) -> None:
    ensemble = tiny("patchcore", out=tmp_path / "run").fit(good)
    kept = sorted((tmp_path / "run" / "photographs" / "train" / "good").glob("*"))

    assert [path.name for path in kept] == [f"{number:05d}.png" for number in range(16)]
    assert all(np.array_equal(array(path), image) for path, image in zip(kept, good, strict=True))
    assert predicted(tmp_path / "run", kept[0])  # the command line opens it as any other run
    assert ensemble.run == tmp_path / "run"


def test_fit__paths_and_arrays_teach_the_same(leather: Path, good: list[np.ndarray]) -> None:
    paths = sorted((leather / "train" / "good").glob("*"))
    of_paths, of_arrays = tiny("patchcore").fit(paths), tiny("patchcore").fit(good)

    assert of_paths.threshold == of_arrays.threshold
    assert bare(of_paths.predict(good)) == bare(of_arrays.predict(good))


def test_labels_and_masks__are_tested_on(good: list[np.ndarray], leather: Path) -> None:
    holes = sorted((leather / "test").glob("[!g]*/*"))
    masks = sorted((leather / "ground_truth").glob("*/*"))
    spoilt = [array(path) for path in holes]
    plain: list[Any] = [None] * len(good)
    by_label = tiny("patchcore").fit([*good, *spoilt], [0] * len(good) + [1] * len(spoilt))
    by_mask = tiny("patchcore").fit([*good, *spoilt], masks=[*plain, *(array(mask) > 0 for mask in masks)])

    assert by_label.metrics["ensemble"]["image_auroc"] == by_mask.metrics["ensemble"]["image_auroc"]
    assert by_label.metrics["ensemble"]["pixel_auroc"] is None
    assert 0 <= by_mask.metrics["ensemble"]["pixel_auroc"] <= 1
    assert bare(by_label.predict(good)) == bare(by_mask.predict(good))


def test_evaluate__images_in_memory(fitted: Ensemble, leather: Path) -> None:
    paths = [*sorted((leather / "test" / "good").glob("*")), *sorted((leather / "test").glob("[!g]*/*"))]
    labels = ["good" not in path.parts for path in paths]
    masks = [None] * labels.count(False) + sorted((leather / "ground_truth").glob("*/*"))
    found = fitted.evaluate([array(path) for path in paths], labels, masks)

    assert untimed(found["ensemble"]) == pytest.approx(untimed(metrics(fitted.run)["ensemble"]), rel=1e-5)


# a run, opened, saved, copied and gone


def test_temporary_run__goes_with_the_object(leather: Path) -> None:
    ensemble = tiny("patchcore").fit(leather)
    first = ensemble.run
    second = ensemble.fit(leather).run
    gc.collect()
    assert not first.parent.exists()
    assert (second / "DONE").exists()

    del ensemble
    gc.collect()
    assert not second.parent.exists()


def test_save__keeps_a_run_whose_images_are_found(good: list[np.ndarray], tmp_path: Path) -> None:
    ensemble = tiny("patchcore").fit(good)
    expected = bare(ensemble.predict(good))
    ensemble.save(tmp_path / "kept")
    del ensemble
    gc.collect()
    opened = Ensemble.open(tmp_path / "kept", device="cpu")

    assert bare(opened.predict(good)) == expected
    facts = json.loads((tmp_path / "kept" / "run.json").read_text(encoding="utf-8"))
    assert facts["data"]["root"] == str(tmp_path / "kept" / "photographs")
    assert opened.members == ("patchcore",)
    assert opened.report.is_file()
    with pytest.raises(ArtifactError, match=r"is there already; choose another name$"):
        opened.save(tmp_path / "kept")


def unpickled(ensemble: Ensemble) -> Ensemble:
    found: Ensemble = pickle.loads(pickle.dumps(ensemble))
    return found


@pytest.mark.parametrize("copied", [copy.deepcopy, unpickled])
def test_copies__stand_alone(copied: Any, good: list[np.ndarray]) -> None:
    ensemble = tiny("patchcore").fit(good)
    expected = bare(ensemble.predict(good))
    other = copied(ensemble)
    run = ensemble.run
    del ensemble
    gc.collect()

    assert not run.exists()
    assert bare(other.predict(good)) == expected


def test_repr() -> None:
    assert repr(Ensemble("stfpm, draem", size=64)) == "Ensemble(['stfpm', 'draem'], size=64)"
    assert repr(Ensemble(["stfpm"], out="x")) == "Ensemble(['stfpm'], out='x')"


def test_repr__of_a_fitted_one(fitted: Ensemble) -> None:
    assert repr(fitted).startswith("<Ensemble(['patchcore'], size=64, ")
    assert repr(fitted).endswith(f", threshold {fitted.threshold:.4g}, run {fitted.run}>")


# refusals


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"members": "stfmp"}, "no detector 'stfmp'; did you mean 'stfpm'?"),
        ({"members": []}, "members: which detectors? name one or more of: ast, "),
        ({"false_alarms": 2}, "false_alarms: expected a share between 0 and 1, such as 0.01, got 2"),
        ({"false_alarms": "x"}, "false_alarms: expected a share between 0 and 1, such as 0.01, got 'x'"),
        ({"overlap": 0.3}, "overlap: there are no tiles to overlap; give tile as well"),
        ({"size": "64"}, "size: expected a number of pixels, or (height, width), got '64'"),
        ({"mode": "featur"}, "Ensemble: option 'mode': input should be 'score', 'feature' or 'hybrid'"),
        ({"settings": {"stfmp.steps": 3}}, "settings stfmp.steps: no member or part is called 'stfmp'"),
        ({"settings": ["stfpm.steps=3"]}, "settings: expected {MEMBER.KEY: VALUE}, such as"),
        ({"mode": "feature", "features": "x"}, "features: expected {MEMBER: PATTERNS}, such as"),
        ({"weights": "gone.pth"}, "weights: gone.pth: no such file or folder; check the name"),
    ],
)
def test_bad_option__is_named_as_in_python(options: dict[str, Any], sentence: str, leather: Path) -> None:
    with pytest.raises(LeatherensError) as caught:
        Ensemble(**{"members": "stfpm", **options}).fit(leather)

    assert str(caught.value).startswith(sentence)


def test_unknown_option__is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r"unknown option 'treshold'; did you mean 'threshold'\?"):
        Ensemble("stfpm", treshold="k-sigma")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ([], "no images are given"),
        (3, "expected paths, arrays (H, W, 3), pictures of Pillow"),
        ([None], "image 0: expected paths, arrays"),
        (["gone.png"], "gone.png: no such file; check the name"),
        (["/"], "/: a folder, not an image; give one of its files"),
        ("gone", f"{Path('gone').resolve()}: no such folder"),
        (np.zeros((2, 3, 64, 64)), "image 0: an array of shape (3, 64, 64); expected (H, W, 3)"),
        (
            torch.zeros(64, 64, 3),
            "image 0: a tensor of shape (64, 64, 3); expected (3, H, W), channels first",
        ),
        (
            np.zeros((64, 64, 3), np.int64),
            "image 0: of type int64; expected uint8, uint16, or floats in 0..1",
        ),
        (np.full((64, 64, 3), 3.0), "image 0: floats from 3 to 3; expected 0..1"),
        (np.full((64, 64, 3), np.nan), "image 0: holds NaN or infinite values"),
        (np.zeros((4, 64, 3)), "image 0: 4 x 64 pixels, at least 8 x 8 are needed"),
        (np.zeros((3, 64, 64, 3)), "the images given: at least 8 good images are needed"),
    ],
)
def test_bad_images(images: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        tiny("patchcore", out=tmp_path / "run").fit(images)

    assert str(caught.value).startswith(sentence)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"labels": [0, 1]}, "labels: expected one for each of 16 images, got 2"),
        ({"labels": [-1] * 16}, "labels: image 0 has -1; expected 0 for good, 1 for defective"),
        ({"masks": [None] * 15 + [np.zeros((64, 64, 3))]}, "masks: image 15 has one of shape (64, 64, 3)"),
        ({"labels": [0] * 16, "masks": [np.ones((64, 64))] * 16}, "image 0: labelled good, and its mask"),
        ({"layout": "mvtec-ad"}, "layout: belongs to a folder of images"),
        ({"masks": "masks"}, "masks: belongs to a folder of images"),
    ],
)
def test_bad_labels_and_masks(more: dict[str, Any], sentence: str, good: list[np.ndarray]) -> None:
    with pytest.raises(InputError) as caught:
        tiny("patchcore").fit(good, **more)

    assert str(caught.value).startswith(sentence)


def test_labels_of_a_folder__are_refused(leather: Path) -> None:
    with pytest.raises(InputError, match=r"^labels: .* says itself which images are good; leave labels out"):
        tiny("patchcore").fit(leather, [0])


def test_taken_folder(banked: Path, leather: Path) -> None:
    with pytest.raises(ArtifactError, match=r": holds a finished run; choose another out$"):
        tiny("patchcore", out=banked).fit(leather)


def test_photographs_of_somebody_else__are_left_alone(good: list[np.ndarray], tmp_path: Path) -> None:
    mine = tmp_path / "photographs" / "mine.png"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    with pytest.raises(ArtifactError, match=r"photographs: is there already; choose another out$"):
        tiny("patchcore", out=tmp_path).fit(good[:2])

    assert mine.read_bytes() == b"mine"


def test_evaluate__not_into_a_run(fitted: Ensemble, leather: Path, banked: Path) -> None:
    with pytest.raises(ArtifactError, match=r"a run's own folder; choose another out for the results$"):
        fitted.evaluate(leather, out=banked)


def test_plugins__are_files_as_on_the_command_line(leather: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from leatherens import hookimpl\n"
        "from leatherens.plugins.patchcore import PatchCore\n\n\n"
        "class Mine(PatchCore):\n"
        "    id = 'mine'\n\n\n"
        "@hookimpl\n"
        "def register_detectors(register):\n"
        "    register('mine', 'mine:Mine', summary='of a file')\n",
        encoding="utf-8",
    )
    settings = {
        key.replace("patchcore", "mine"): value
        for key, value in tiny("patchcore").options["settings"].items()
    }
    ensemble = tiny("patchcore", plugins=[file], settings=settings)
    ensemble.members = ("mine",)

    assert len(ensemble.fit(leather).predict(leather / "test")) == 9


def test_unfitted() -> None:
    with pytest.raises(NotFittedError, match=r"^Ensemble: predict needs a fitted one; call fit first"):
        Ensemble("stfpm").predict([])


def test_member_that_fails__names_no_folder_that_is_gone(leather: Path) -> None:
    ensemble = tiny("stfpm,draem")
    ensemble.options["settings"] = {**ensemble.options["settings"], "stfpm.learning_rate": 1e30}
    with pytest.raises(MembersFailed) as caught:
        ensemble.fit(leather)

    assert str(caught.value).startswith("stfpm could not be learned: ")
    assert "resume" not in str(caught.value)
    assert str(caught.value).endswith("Give Ensemble a folder as out, and what the others learned is kept")

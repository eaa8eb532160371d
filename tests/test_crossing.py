"""Cross calibration: who is scored by whom, when folds calibrate, what is said, and going on after Ctrl-C."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from changed_runs import done, judged, some
from tiny_runs import at_step, call, files, make, options, own_scores, predicted, press_ctrl_c
from two_views import photograph, project_file

from leatherens.configs.recipe import Calibration, Choice, MemberChoice, Recipe, read_recipe
from leatherens.core.artifact import read_json, read_tensors
from leatherens.core.calibration import allowed_exceedances
from leatherens.core.detector import FitContext
from leatherens.core.errors import InputError
from leatherens.core.host import PluginHost
from leatherens.core.photographs import Mask
from leatherens.core.progress import Silent
from leatherens.core.reading import Collection, Sample
from leatherens.core.types import batches
from leatherens.ensembles import crossing
from leatherens.ensembles.crossing import with_folds
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.kept_scores import joined, read_scores_of, write_scores_of
from leatherens.ensembles.parts import build, load_backbones
from leatherens.ensembles.scoring import Scores, TiledScores
from leatherens.ensembles.sources import FileSource
from leatherens.ensembles.splits import Splits, deal_folds
from leatherens.ensembles.tiled_photographs import TiledPhotographs, Tiling
from leatherens.ensembles.tiled_scoring import KeptMap

CROSS = ("--calibration", "cross", "--folds", "3", "--false-alarms", "0.1")


@pytest.fixture(scope="module")
def crossed(leather: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of patchcore across 3 folds of 14 images. Not to be written to."""
    return make(tmp_path_factory.mktemp("runs") / "crossed", leather, "patchcore", *CROSS)


@pytest.fixture(scope="module")
def said(crossed: Path) -> str:
    """Its report, in one line."""
    return " ".join((crossed / "report.html").read_text(encoding="utf-8").split())


def good(*groups: int) -> tuple[Sample, ...]:
    """Good images, so many of each group; a group of one stands alone."""
    return tuple(
        Sample(Path(f"/{g}-{i}.png"), f"{g}-{i}.png", False, group=f"hide {g}" if size > 1 else None)
        for g, size in enumerate(groups)
        for i in range(size)
    )


# folds


def test_folds__hold_every_image_once_and_are_as_large_as_each_other() -> None:
    samples = good(*[1] * 17)
    folds = deal_folds(samples, seed=0, count=5)

    assert sorted(len(fold) for fold in folds) == [3, 3, 3, 4, 4]
    assert sorted(id for fold in folds for id in fold) == sorted(sample.id for sample in samples)
    assert deal_folds(samples[::-1], seed=0, count=5) == folds != deal_folds(samples, seed=1, count=5)


def test_folds__keep_groups_together_and_level_out() -> None:
    samples = good(6, 4, 2, 1, 1, 1, 3)
    folds = deal_folds(samples, seed=0, count=3)
    group = {sample.id: sample.group or sample.id for sample in samples}

    assert [len(fold) for fold in folds] == [6, 6, 6]
    assert sum(len({group[id] for id in fold}) for fold in folds) == 7


def test_folds__are_no_more_than_groups() -> None:
    assert len(deal_folds(good(4, 4, 4), seed=0, count=5)) == 3
    with pytest.raises(InputError, match="needs good images of at least two groups, and they are all of one"):
        deal_folds(good(9), seed=0, count=5)


# when folds calibrate


def dealt(calibrate: int, samples: tuple[Sample, ...] | None = None) -> tuple[Splits, Collection]:
    """Splits with so many images to calibrate, 40 to fit and 5 to validate."""
    samples = samples or good(*[1] * (calibrate + 45))
    ids = [sample.id for sample in samples]
    splits = Splits(tuple(ids[: -calibrate - 5]), tuple(ids[-5:]), tuple(ids[-calibrate - 5 : -5]))
    return splits, Collection(Path("/"), "mvtec", "MVTec AD", samples)


def asked(calibration: str) -> Recipe:
    return Recipe(members={"stfpm": MemberChoice()}, calibration=Calibration(calibration))


def test_auto__takes_folds_where_few_would_calibrate() -> None:
    few, many = dealt(8), dealt(9)  # 1/9 and 1/10

    found = with_folds(asked("auto"), *few, Silent())
    assert found.calibrate == ()
    assert set(found.fit) == {*few[0].fit, *few[0].calibrate}
    assert found.validate == few[0].validate
    assert with_folds(asked("auto"), *many, Silent()) == many[0]
    assert with_folds(asked("cross"), *many, Silent()).calibrate == ()
    assert with_folds(asked("split"), *few, Silent()) == few[0]


def test_auto__wants_no_more_held_out_than_guarantee_what_is_asked() -> None:
    """4 images guarantee 0.2, and 9 are wanted for all rates below 0.1."""
    fifth, hundredth = (
        asked("auto").model_copy(update={"threshold": Choice(id="conformal", options={"false_alarms": rate})})
        for rate in (0.2, 0.01)
    )

    assert [bool(with_folds(fifth, *dealt(n), Silent()).calibrate) for n in (3, 4)] == [False, True]
    assert [bool(with_folds(hundredth, *dealt(n), Silent()).calibrate) for n in (8, 9)] == [False, True]


def test_auto__splits_what_is_all_of_one_group_and_cross_refuses_it() -> None:
    one = dealt(2, tuple(replace(sample, group="hide") for sample in good(*[1] * 20)))

    assert with_folds(asked("auto"), *one, Silent()) == one[0]
    with pytest.raises(InputError, match="cross calibration needs good images of at least two groups"):
        with_folds(asked("cross"), *one, Silent())


def test_given_splits_without_images_to_calibrate__are_for_folds() -> None:
    splits, collection = dealt(3)
    none = replace(splits, calibrate=())

    assert with_folds(asked("auto"), none, collection, Silent()) == none
    with pytest.raises(InputError) as caught:
        with_folds(asked("split"), none, collection, Silent())
    assert str(caught.value) == (
        "no image is there to calibrate; name some in the given splits, or take --calibration cross"
    )


# what a run across folds learns


def test_thresholds__come_from_scores_by_what_did_not_learn_from_the_image(
    crossed: Path, leather: Path
) -> None:
    """Against members fitted here, one for each fold, on the images of the other folds."""
    splits, recipe = Splits.read(crossed / "splits.json"), read_recipe(crossed / "recipe.yaml")
    host = PluginHost(installed=False)
    samples = DataChoice.at(leather).read(host).samples
    source = FileSource(samples, size=(64, 64))
    pool = load_backbones(recipe, host, build(recipe, host))
    taught = [sample for sample in samples if sample.id in splits.fit]
    expected = {}
    for fold in deal_folds(taught, seed=recipe.seed, count=3):
        member = build(recipe, host).members["patchcore"]
        others = source.only([sample.id for sample in taught if sample.id not in fold])
        member.fit(others, validation=source.only(splits.validate), context=FitContext(pool, recipe.seed))
        for batch in batches(source.only(fold), 8):
            scores = member.observe(batch, pool.pyramids(batch, member.backbones())).scores.image
            expected |= dict(zip(batch.ids, scores.tolist(), strict=True))
    found = read_scores_of(crossed / "ensemble/out-of-fold.safetensors", source.only(splits.fit))

    assert dict(zip(found.ids, found.by_scorer["ensemble"].images.tolist(), strict=True)) == pytest.approx(
        expected, rel=1e-5
    )
    learned = read_json(crossed / "ensemble/thresholds/ensemble/state.json")
    assert (len(expected), learned["normals_"], learned["crossed_"]) == (14, 14, True)
    kth = sorted(expected.values())[-allowed_exceedances(0.1, 14)]
    assert learned["image_"] == pytest.approx(kth, rel=1e-5)
    assert learned["promise_"] == pytest.approx(1 / 15)


def test_all_but_the_validating_images_teach_what_judges(crossed: Path) -> None:
    splits = Splits.read(crossed / "splits.json")

    assert (len(splits.fit), len(splits.validate), splits.calibrate) == (14, 2, ())
    assert read_json(crossed / "members/patchcore/fit.json")["images"] == 14
    assert not (crossed / "folds").exists()


def test_the_report__says_measured_and_not_guaranteed(said: str) -> None:
    assert "learned from 14 good images. They were scored across folds" in said
    assert (
        "About 6.7 % of fresh good images are expected to be called defective. That is measured, not "
        "guaranteed." in said.replace("\N{NO-BREAK SPACE}", " ")
    )
    assert "The promise:" not in said


def test_the_run__can_be_used_as_any_other(crossed: Path, leather: Path) -> None:
    assert predicted(crossed, leather / "test") == own_scores(crossed)


def test_an_ensemble__is_learned_anew_with_all_its_parts(leather: Path, tmp_path: Path) -> None:
    result = call(
        "run", *options("stfpm,patchcore"), "--data", leather, "--out", tmp_path / "run", *CROSS[:3], 2
    )

    assert result.exit_code == 0, result.stderr
    assert (
        "calibrating across 2 folds: 2 held-out good images could promise no false-alarm rate under 0.333. "
        "Everything is learned 3 times; with --calibration split once\n" in result.stderr
    )
    for part in ("stfpm: learning", "fusion: gathering features", "setting the common scale", "scoring"):
        assert f"fold 2 of 2, {part}" in result.stderr
    assert (
        "expected: about 0.0667 of fresh good images are flagged (measured across folds, not guaranteed)\n"
        "note: a false-alarm rate of 0.01 was asked for; 14 good images scored across folds can show 0.0667 "
        "at best (99 are needed for the one asked)\n" in result.stdout
    )
    scored = read_json(tmp_path / "run/ensemble/thresholds/ensemble/state.json")["image_"]
    alone = read_json(tmp_path / "run/ensemble/thresholds/stfpm/state.json")["image_"]
    assert scored != alone


def test_a_preparation_that_learns__never_sees_the_images_it_is_scored_with(
    leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = []
    fit = crossing.fit_preparation

    def watched(folder: RunFolder, steps: object, samples: list[Sample], **more: object) -> object:
        taught.append({sample.id for sample in samples})
        return fit(folder, steps, samples, **more)

    monkeypatch.setattr(crossing, "fit_preparation", watched)
    run = make(tmp_path / "run", leather, "patchcore", *CROSS, "--prepare", "registration")
    splits = Splits.read(run / "splits.json")

    assert [len(ids) for ids in taught] == [9, 9, 10]
    assert all(sum(id in ids for ids in taught) == 2 for id in splits.fit)
    assert set.union(*taught) == set(splits.fit)


def test_photographs_in_tiles__are_scored_across_folds_too(leather: Path, tmp_path: Path) -> None:
    given = options("patchcore")
    del given[given.index("--size") : given.index("--size") + 2]
    out = tmp_path / "run"
    result = call("run", *given, "--tile", "32", "--data", leather, "--out", out, *CROSS)

    assert result.exit_code == 0, result.stderr
    tensors, _ = read_tensors(out / "ensemble/out-of-fold.safetensors")
    learned = read_json(out / "ensemble/thresholds/ensemble/state.json")
    assert learned["image_"] == float(tensors["0/images"].max())  # k is 1
    assert learned["pixel_"] == float(tensors["0/highest"].max())


# going on


@pytest.mark.parametrize(
    ("title", "after"),
    [("fold 2 of 3, patchcore: core set", 1), ("fold 3 of 3, scoring", 1), ("scoring the test images", 1)],
)
def test_ctrl_c__loses_no_fold_that_was_scored(
    title: str,
    after: int,
    crossed: Path,
    leather: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        at_step(patch, title, press_ctrl_c, after=after)
        stopped = call("run", *options("patchcore"), "--data", leather, "--out", out, *CROSS)
    resumed = call("run", "--resume", "--out", out)

    assert (stopped.exit_code, resumed.exit_code) == (130, 0)
    assert f"Go on with: leatherens run --resume --out {out}\n" in stopped.stderr
    assert "fold 1 of 3" not in resumed.stderr
    assert (out / "scores.csv").read_bytes() == (crossed / "scores.csv").read_bytes()
    assert files(out) - {".lock"} == files(crossed) - {".lock"}


def test_a_member_that_fails_in_a_fold__says_how_to_go_on_with_the_run(
    leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("no luck")

    with monkeypatch.context() as patch:
        at_step(patch, "fold 2 of 3, stfpm: learning", fail)
        given = options("stfpm,patchcore")
        result = call("run", *given, "--data", leather, "--out", tmp_path / "run", *CROSS)

    assert result.exit_code == 2
    assert "stfpm could not be learned: RuntimeError: no luck" in result.stderr
    assert f"go on with: leatherens run --resume --out {tmp_path / 'run'}; or" in result.stderr


# changing it later


def test_recalibrate__gives_a_promise_again(crossed: Path, darker: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(crossed, tmp_path / "run"))
    said = done("recalibrate", run, "--good", some(darker, tmp_path / "new", 0, 12))

    assert "held-out good images: 14 -> 12\n" in said
    assert "promise: at most 0.0769 of fresh good images like these are flagged (before: 0.0667)\n" in said
    learned = read_json(run / "history/0001/ensemble/thresholds/ensemble/state.json")
    assert "crossed_" not in learned
    done("rollback", run)
    assert judged(run, tmp_path / "new")


def test_update__wants_enough_new_images_to_calibrate_on(crossed: Path, darker: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(crossed, tmp_path / "run"))
    result = call("update", run, "--good", some(darker, tmp_path / "few", 0, 10))

    assert result.exit_code == 2
    assert result.stderr.endswith(
        "Error: this run was calibrated across folds, so that no held-out image is left to calibrate on, and "
        "2 of the new ones are too few (at least 8): give more, or a smaller --teach\n"
    )
    assert not (run / "history").exists()
    said = done("update", run, "--good", some(darker, tmp_path / "more", 10, 35), "--teach", "0.3")
    assert "beside 2 and 0 the run held out before\n" in said
    assert "promise: at most 0.1 of fresh good images like these are flagged (before: 0.0667)\n" in said


def test_other_rules__learn_from_what_the_folds_scored(crossed: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(crossed, tmp_path / "run"))
    before = read_json(run / "ensemble/thresholds/ensemble/state.json")
    shown = done("thresholds", run)
    done("thresholds", run, "--use", "maximum")
    after = read_json(run / "history/0001/ensemble/thresholds/ensemble/state.json")

    assert "held-out flagged: 14 good images, each judged by what the others teach" in shown
    assert "the good images were scored across folds: what is promised is measured, not guaranteed" in shown
    scores = read_tensors(run / "ensemble/out-of-fold.safetensors")[0]["0/images"]
    assert (after["normals_"], after["crossed_"], after["image_"]) == (14, True, float(scores.max()))
    assert after["typical_"] == before["typical_"]


# where it is refused


def test_folds_of_a_split__are_refused(leather: Path) -> None:
    result = call("run", *options("stfpm"), "--data", leather, "--folds", "3")

    assert result.exit_code == 2
    assert result.stderr == "Error: --folds: --calibration split has none; leave one of the two out\n"


def test_an_ablation__fits_once(leather: Path, tmp_path: Path) -> None:
    result = call("ablate", *options("stfpm,patchcore"), "--data", leather, "--out", tmp_path / "a", *CROSS)

    assert result.exit_code == 2
    assert "Error: --calibration cross: an ablation fits its members once; leave it out\n" in result.stderr


def test_a_project__takes_no_folds(tmp_path: Path) -> None:
    photograph(tmp_path / "photographs")
    file = project_file(tmp_path, calibration="cross")
    result = call("run", "--project", file, "--out", tmp_path / "project")

    assert result.exit_code == 2
    assert "calibration: what is promised of parts is summed over views, which takes" in result.stderr


def test_a_mask__cannot_be_measured_on_images_that_taught(crossed: Path, tmp_path: Path) -> None:
    result = call("mask", "suggest", "--run", crossed, "--out", tmp_path / "mask.png")

    assert result.exit_code == 2
    assert (
        f"{crossed}: was calibrated across folds, so that no good image is left to measure" in result.stderr
    )


# kept scores


@pytest.mark.parametrize("masked", [False, True])
def test_kept_scores_of_tiles__come_back_as_they_were(masked: bool, tmp_path: Path) -> None:
    valid: Mask | None = np.array([[True, False, True]]) if masked else None
    whole = TiledPhotographs(good(1, 1), Tiling((64, 64), (64, 64)))
    whole.step = 2
    parts = []
    for name, highest in (("1-0.png", 7.25), ("0-0.png", 3.5)):
        kept = [KeptMap(np.array([[1.0, 2.0, highest]], np.float32), valid, highest)]
        scorers = {"x:y": TiledScores(np.array([highest], np.float32), kept, 2)}
        write_scores_of(tmp_path / name, Scores((name,), scorers, {"x:y": 1.0}))
        parts.append(read_scores_of(tmp_path / name, whole))
    write_scores_of(tmp_path / "all", joined(parts))
    found = read_scores_of(tmp_path / "all", whole, crossed=True)

    scores = found.by_scorer["x:y"]
    assert (found.ids, found.crossed, scores.images.tolist()) == (whole.ids, True, [3.5, 7.25])
    assert scores.map(1).tolist() == [[1.0, 2.0, 7.25]]
    assert (scores.normals().maxima.tolist(), scores.normals().step) == ([3.5, 7.25], 2)
    assert (scores.valid(0) is None) is not masked


def test_kept_scores_that_are_damaged__are_told(tmp_path: Path) -> None:
    from leatherens.core.artifact import write_tensors
    from leatherens.core.errors import ArtifactError

    write_tensors(tmp_path / "s.safetensors", {"0/images": torch.zeros(1)})
    with pytest.raises(ArtifactError, match="damaged, it does not say whose scores it holds"):
        read_scores_of(tmp_path / "s.safetensors", TiledPhotographs([], Tiling((64, 64), (64, 64))))

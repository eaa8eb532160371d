"""The kit is tested like any instrument: good members pass, and each check has a member that must fail it."""

from __future__ import annotations

import importlib
import sys
from functools import partial

import broken_members as broken
import pytest
import torch
from reference_members import FrozenGaussian, GrowingGaussian, PatchGaussian, TinyAutoencoder

from leatherens.core.errors import ConfigError
from leatherens.core.global_state import changed, global_state
from leatherens.testing import check_member, checks, member_checks, parametrize_members
from leatherens.testing.bench import ConformanceError
from leatherens.testing.checks import DETECTOR_CHECKS as CHECKS
from leatherens.testing.scenes import PLACES, blobs, leather, make_scene
from leatherens.testing.stand_ins import lent_globals

SINS = [
    (broken.FitsInConstructor, "constructor_does_no_work", "the constructor learns"),
    (
        broken.BuildsInConstructor,
        "constructor_does_no_work",
        "the constructor moves torch's random generator",
    ),
    (broken.ReadsFileInConstructor, "constructor_does_no_work", "the constructor opens files"),
    (broken.RoundsItsOptions, "options_round_trip", "expected RoundsItsOptions(sigma=2.0"),
    (broken.ChangeableOptions, "options_round_trip", "params can be changed after construction"),
    (broken.SwallowsUnknownOptions, "unknown_option_refused", "but was accepted"),
    (broken.HidesItsOptions, "repr_names_params", "the repr hides sigma, ridge"),
    (broken.CamelCaseId, "declarations", "lower-kebab like 'grain-flow', got 'PatchGaussian'"),
    (broken.ForeignParamsForEffort, "declarations", "params_for(quick) gives {'sigma': 2.0}"),
    (broken.AnswersBeforeFit, "unfitted_raises", "observe before fit must raise NotFittedError, but gave"),
    (broken.CrashesBeforeFit, "unfitted_raises", "but AttributeError was raised"),
    (broken.ReturnsNothing, "fit_returns_self", "fit must return self, got NoneType"),
    (broken.LearnsOutsideTheConvention, "fit_returns_self", "nothing is learned after fit"),
    (broken.WritesIntoTrainingImages, "fit_leaves_images_alone", "changes its training images in place"),
    (broken.KeepsAView, "fit_keeps_no_images", "after fit, bank_ still holds the training images"),
    (broken.KeepsTheSource, "fit_keeps_no_images", "after fit, source still holds the training images"),
    (broken.Prints, "fit_prints_nothing", "fit prints to stdout ('learned something')"),
    (broken.SeedsGlobalGenerator, "use_leaves_globals_alone", "fit moves numpy's random generator, Python's"),
    (broken.ChangesDefaultDtype, "use_leaves_globals_alone", "fit moves torch's default dtype"),
    (broken.SetsThreadsWhenScoring, "use_leaves_globals_alone", "observe moves torch's thread count"),
    (broken.DrawsFromGlobalGenerator, "same_seed_same_scores", "two fits with the same seed disagree"),
    (broken.AveragesOverFits, "refit_forgets", "a refitted detector remembers its first fit"),
    (broken.NeedsTwoImages, "smallest_set_is_enough", "holds NaN"),
    (broken.CrashesOnMaskedImages, "smallest_set_is_enough", "RuntimeError was raised"),
    (
        broken.LearnsFromNothing,
        "too_few_images_refused",
        "learning from 0 images (min_images=1) must be refused",
    ),
    (broken.StartsAnewWhenResumed, "interrupted_training_resumes", "the resumed training started anew"),
    (broken.OwnRandomStreamWhenResumed, "interrupted_training_resumes", "gives another result"),
    (broken.TrainsWithoutProgress, "interrupted_training_resumes", "fit reports no step"),
    (broken.TrainsInSecret, "interrupted_training_resumes", "but trains=False is declared"),
    (broken.UpdatesInSecret, "update_as_declared", "has _update, but updates=False is declared"),
    (broken.PromisesUpdates, "update_as_declared", "NotImplementedError was raised"),
    (broken.IgnoresAnUpdate, "update_as_declared", "images taken in score no lower than before"),
    (broken.ForgetsInAnUpdate, "update_as_declared", "an update forgets: images known before score"),
    (broken.SpoiltByCtrlC, "interrupted_update_changes_nothing", "an interrupted update changes sum_"),
    (broken.IgnoresAnUpdate, "interrupted_update_changes_nothing", "or does not read its images"),
    (broken.DoublePrecision, "shapes_and_dtype", "the score map is torch.float64, expected float32"),
    (broken.SubtractsMeanInPlace, "input_not_modified", "observe changes the images in place"),
    (broken.WritesIntoPyramids, "input_not_modified", "changes the backbone's feature maps in place"),
    (broken.RemembersTheLastBatch, "scoring_leaves_state_alone", "scoring changes last"),
    (broken.LeftInTrainingMode, "scoring_leaves_state_alone", "left in training mode"),
    (broken.MovesBatchNormWhenScoring, "scoring_leaves_state_alone", "scoring changes network_.1"),
    (broken.MinMaxOverTheBatch, "batch_invariance", "scores one by one and together disagree: score map"),
    (broken.BatchStatisticsInFeatures, "batch_invariance", "patch-gaussian/colour differs"),
    (broken.RunningSumOverTheBatch, "order_invariance", "scores in another order disagree"),
    (
        broken.ReadsTheLabelFromTheName,
        "names_do_not_matter",
        "scores change with the images' names: image score",
    ),
    (broken.ReadsRawMemory, "memory_layout_does_not_matter", "scores of channels-last images disagree"),
    (broken.KeepsTheGraph, "no_autograd_graph", "an autograd graph is kept with score map"),
    (broken.SignReversed, "higher_is_more_anomalous", "with probability 0.00, expected at least 0.8"),
    (broken.SignReversed, "map_points_at_the_defect", "image as it is"),
    (broken.MapTransposed, "map_points_at_the_defect", "image as it is"),
    (broken.MapMirrored, "map_points_at_the_defect", "image as it is"),
    (broken.ScoresByPlaceNotByPicture, "map_points_at_the_defect", "image mirrored left to right"),
    (broken.CopiesTheImage, "reconstruction_as_declared", "with probability 0.50, expected at least 0.7"),
    (broken.CopiesTheImage, "reconstruction_as_declared", "is it the image itself"),
    (broken.PromisesReconstructions, "reconstruction_as_declared", "delivered no reconstruction, but"),
    (
        broken.ReconstructsInSecret,
        "reconstruction_as_declared",
        "delivers a reconstruction, but declares reconstructs=False",
    ),
    (broken.LeavesHiddenPixelsLoud, "hidden_pixels_change_nothing", "hidden pixels score above visible ones"),
    (broken.ImageScoreOverHiddenPixels, "image_score_ignores_hidden_pixels", "comes from hidden pixels"),
    (broken.TakesAnySize, "wrong_size_refused", "must be refused with an InputError"),
    (broken.RefusesWithoutTheSize, "wrong_size_refused", "is refused without naming 65, 96"),
    (broken.CrashesOnAnotherSize, "other_size_scored_or_refused", "but RuntimeError was raised"),
    (
        broken.SwallowsNaN,
        "nan_refused",
        "an image with NaN must be refused with an InputError, but was accepted",
    ),
    (broken.LosesATensor, "save_load_same_scores", "AttributeError was raised"),
    (broken.RoundsItsTensors, "save_load_same_scores", "saved and loaded, scores disagree"),
    (
        broken.HoldsALambda,
        "state_is_tensors_and_json",
        "the state's rule_ is neither a tensor nor JSON: function",
    ),
    (broken.HoldsNaNInJson, "state_is_tensors_and_json", "the state's history_ is neither"),
    (broken.DeclaresOtherChannels, "features_as_declared", "has 4 channels, declared are 3"),
    (broken.DeclaresAnotherStride, "features_as_declared", "not the declared stride 2"),
    (broken.DeclaresAnotherName, "features_as_declared", "features() declares ('patch-gaussian/color',)"),
    (broken.CutsNothing, "features_as_declared", "default_cut ('difference*',) matches none"),
    (broken.KeepsATensorAside, "moves_between_devices", "leaves lookup.levels behind"),
]


@parametrize_members(PatchGaussian, GrowingGaussian, FrozenGaussian, TinyAutoencoder)
def test_good_members_conform(check):
    check()


@pytest.mark.parametrize(("member", "check", "sentence"), SINS, ids=lambda v: getattr(v, "__name__", None))
def test_check__catches_its_sin(member, check, sentence):
    checks = dict(member_checks(member))

    with pytest.raises(ConformanceError) as found:
        checks[check]()

    assert sentence in str(found.value)


def test_every_check_has_a_sinner():
    tested = {check for _, check, _ in SINS} | {"import_leaves_globals_alone"}

    assert tested == set(CHECKS)


def test_check__catches_a_module_that_seeds_on_import(tmp_path, monkeypatch):
    source = "import torch\nfrom reference_members import PatchGaussian\n\n"
    (tmp_path / "seeds_on_import.py").write_text(
        source + "torch.manual_seed(0)\n\n\nclass Seeds(PatchGaussian):\n    pass\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with lent_globals(5):
        member = importlib.import_module("seeds_on_import").Seeds

    with pytest.raises(ConformanceError, match="importing seeds_on_import moves torch's random generator"):
        dict(member_checks(member))["import_leaves_globals_alone"]()
    sys.modules.pop("seeds_on_import")


def test_a_class_is_made_with_its_check_options():
    class Quick(TinyAutoencoder):
        check_options = {"steps": 7}  # noqa: RUF012

    cases = parametrize_members(Quick).args[1]
    made = [check.args[2].make() for check in (case.values[0] for case in cases)]

    assert {member.params.steps for member in made} == {7}
    assert cases[0].id.startswith("tiny-autoencoder-")


def only(monkeypatch, *names):
    """Leave these checks in the kit: what is tested here is how results are told."""
    few = {name: check for name, check in CHECKS.items() if name in names}
    monkeypatch.setattr(checks, "DETECTOR_CHECKS", few)
    monkeypatch.setitem(checks.CHECKS, "detectors", few)


def test_check_member__tells_what_was_seen(monkeypatch):
    only(monkeypatch, "repr_names_params", "unknown_option_refused")

    unknown, shown = check_member(broken.HidesItsOptions)

    assert (unknown.name, unknown.passed, unknown.message) == ("unknown_option_refused", True, "")
    assert (shown.name, shown.passed) == ("repr_names_params", False)
    assert shown.message.startswith("HidesItsOptions: the repr hides sigma, ridge: <broken_members.")


def test_check_member__stops_at_the_first_failure(monkeypatch):
    only(monkeypatch, "declarations", "repr_names_params", "unknown_option_refused")

    results = check_member(broken.HidesItsOptions, stop=True)

    assert [r.name for r in results] == ["unknown_option_refused", "repr_names_params"]


def test_expected_failure__passes_with_its_reason(monkeypatch):
    only(monkeypatch, "repr_names_params")

    (result,) = check_member(broken.HidesItsOptions, expected_failures={"repr_names_params": "issue 12"})

    assert result.passed
    assert result.message.startswith("fails as declared (issue 12): HidesItsOptions: the repr hides")


def test_expected_failure__is_strict(monkeypatch):
    only(monkeypatch, "repr_names_params")

    (result,) = check_member(PatchGaussian, expected_failures={"repr_names_params": "issue 12"})

    assert not result.passed
    assert result.message == "declared failing (issue 12), but passes; delete the entry"


def test_expected_failure__needs_a_known_check_and_a_reason():
    with pytest.raises(ConfigError, match=r"no check 'bach_invariance' .* did you mean 'batch_invariance'"):
        check_member(PatchGaussian, expected_failures={"bach_invariance": "why"})
    with pytest.raises(ConfigError, match="the expected failure of batch_invariance needs a reason"):
        check_member(PatchGaussian, expected_failures={"batch_invariance": " "})
    with pytest.raises(ConfigError, match="names patch-gausian, but the members are patch-gaussian"):
        parametrize_members(PatchGaussian, expected_failures={"patch-gausian": {"batch_invariance": "why"}})


def test_parametrize_members__has_readable_ids_and_strict_marks():
    reasons = {"patch-gaussian": {"batch_invariance": "issue 7"}}
    from_options = partial(FrozenGaussian.from_options, {})

    cases = parametrize_members(PatchGaussian, from_options, expected_failures=reasons).args[1]

    marked = {case.id: case.marks for case in cases}
    assert "frozen-gaussian-refit_forgets" in marked
    (mark,) = marked["patch-gaussian-batch_invariance"]
    assert (mark.name, mark.kwargs) == ("xfail", {"reason": "issue 7", "strict": True})
    assert not marked["patch-gaussian-order_invariance"]


def test_a_crash_fails_the_check_it_happened_in():
    def crash():
        raise ZeroDivisionError("one")

    with pytest.raises(ConformanceError, match="crash: repr_names_params: ZeroDivisionError was raised: one"):
        dict(member_checks(crash))["repr_names_params"]()


@pytest.mark.parametrize("turn", [(-1,), (-2,), (-2, -1)], ids=["left-right", "top-bottom", "half-turn"])
def test_defects_stand_where_no_mirror_maps_them(turn):
    defects = blobs(len(PLACES), (64, 96))

    assert not (defects & defects.flip(turn)).any()


@pytest.mark.parametrize(
    "turn", [(), (-1,), (-2,), (-2, -1)], ids=["plain", "quarter", "three-quarter", "anti"]
)
def test_defects_stand_where_no_transposition_maps_them(turn):
    size = (96, 96)
    defects = blobs(len(PLACES), size)

    assert not (defects & defects.transpose(1, 2).flip(turn)).any()


def test_scene__is_seeded_and_its_defects_are_loud():
    scene, again = make_scene((48, 64), seed=3), make_scene((48, 64), seed=3)
    clean = leather(6, (48, 64), seed=3, part="defective")

    assert torch.equal(scene.mixed.pixels, again.mixed.pixels)
    assert not torch.equal(scene.teach.pixels, make_scene((48, 64), seed=4).teach.pixels)
    away = (scene.defective.pixels - clean).abs().amax(dim=1)  # (B, H, W)
    assert float(away[scene.defects].min()) > 0.2
    assert float(away[~scene.defects].max()) == 0


def test_lent_globals__puts_everything_back():
    before = global_state()

    with lent_globals(9):
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.rand(1)
        moved = changed(before, global_state())

    assert {"torch's default dtype", "torch's thread count", "torch's random generator"} <= set(moved)
    assert changed(before, global_state()) == []

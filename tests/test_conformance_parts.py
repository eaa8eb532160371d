"""The kit's checks of everything but detectors: good parts pass, each sin is caught."""

from __future__ import annotations

import broken_backbones
import broken_blocks
import broken_heads
import broken_parts as broken
import broken_reporters
import broken_trackers
import pytest

from leatherens.testing import check_member, member_checks, parametrize_members
from leatherens.testing.bench import ConformanceError
from leatherens.testing.checks import CHECKS, by_name
from leatherens.testing.declaration_checks import PART_CHECKS

SINS = [
    (broken.LosesTheImageAxis, "fusion_keeps_shapes", "the fused map has shape (240,)"),
    (broken.FirstVoterCountsDouble, "fusion_ignores_order", "fusing depends on the voters' order: map"),
    (broken.RescalesALoneVoter, "fusion_of_one_is_identity", "one voter alone is changed: map"),
    (broken.DistanceFromTheMean, "fusion_keeps_ranking_beside_a_constant", "rankings turn round"),
    (broken.SuspicionAsRelief, "fusion_rises_with_every_voter", "with higher scores of member-"),
    (broken.RemembersEarlierLessons, "fusion_is_kept", "a second fit remembers the first"),
    (broken.LosesItsLevel, "fusion_is_kept", "saved and loaded, it fuses otherwise"),
    (broken.FusesUnfitted, "fusion_is_kept", "fuse before fit must raise NotFittedError"),
    (broken.MinMaxOverTheVotes, "fusion_scores_each_image_alone", "one by one and together, scores disagree"),
    (broken.TurnedRound, "calibrator_is_monotone", "a higher raw score has a lower calibrated one"),
    (
        broken.AssumesGaussianScores,
        "calibrator_keeps_its_promise",
        "of fresh good images has 1 - score <= 0.3",
    ),
    (broken.PoolsWithEarlierFits, "calibrator_is_kept", "a second fit remembers the first"),
    (broken.NeedsTwoScores, "threshold_is_finite", "the image threshold it learned is not a number"),
    (broken.FixedMargin, "threshold_follows_the_scores", "scores times 2 plus 5: image_ is"),
    (broken.PromisesTooMuch, "threshold_keeps_its_promise", "above the threshold, promised are 0.0100"),
    (
        broken.PromisesInSecret,
        "threshold_keeps_its_promise",
        "makes_promise=False is declared, but promise_ is 0.01",
    ),
    (broken.RemembersTheHighest, "threshold_is_kept", "a second fit remembers the first"),
    (broken.LosesItsThreshold, "threshold_is_kept", "AttributeError was raised"),
    (broken.PixelsByTheImages, "threshold_learns_sides_apart", "fitted for the pixel alone, pixel_ is"),
    (
        broken.PeeksAtLabels,
        "threshold_says_whether_it_needs_labels",
        "needs_labels=False is declared, but labels change its thresholds",
    ),
    (
        broken.TakesDefectiveImagesOnly,
        "threshold_says_whether_it_needs_labels",
        "fit with defective images only did not raise InputError",
    ),
    (
        broken.GroupsInSecret,
        "threshold_says_whether_it_tells_groups",
        "tells_groups=False is declared, but groups have thresholds of their own",
    ),
    (
        broken.TellsNoGroupsAfterAll,
        "threshold_says_whether_it_tells_groups",
        "of images like Group(view='left', colour='tan'), the thresholds are",
    ),
    (broken.DeliversFloats, "preparation_delivers_a_photograph", "delivered pixels float64 (168, 232, 3)"),
    (
        broken.WritesIntoThePhotograph,
        "preparation_leaves_its_input_alone",
        "the photograph given was",
    ),
    (
        broken.MovesEachTimeFurther,
        "preparation_depends_on_the_photograph_alone",
        "prepared again after others, a picture is another one",
    ),
    (broken.ForgetsWhatWasLeftOut, "preparation_keeps_regions", "of the ignored region counts again"),
    (broken.WarpTurnedRound, "preparation_finds_the_way_back", "taken back, 0.png has a correlation of"),
    (
        broken.ComparesOtherSizes,
        "preparation_compares_alike",
        "before and after must be (h, w, 3) uint8 of one",
    ),
    (broken.RemembersEarlierPhotographs, "preparation_is_kept", "a second fit remembers the first"),
    (broken.CountsRowsFromTheBand, "preparation_by_parts", "given rows 50 to 51 alone, it does otherwise"),
    (broken.LosesItsShift, "preparation_is_kept", "saved and loaded, it does otherwise"),
    (broken_blocks.GridByTheBatch, "block_keeps_shapes", "channels and grid of the fused maps depend on"),
    (broken_blocks.InTheOrderGiven, "block_ignores_order", "fused maps depend on the members' order"),
    (broken_blocks.NeedsSeveralMembers, "block_takes_one_member", "AssertionError was raised"),
    (broken_blocks.CentresTheBatch, "block_fuses_each_image_alone", "one by one and together"),
    (broken_blocks.WritesIntoMaps, "block_leaves_its_input_alone", "feature maps are changed in place"),
    (broken_blocks.DrawsComponents, "block_leaves_its_input_alone", "fit or score moves torch's random"),
    (
        broken_blocks.LearnsFromTheWholePicture,
        "block_learns_from_valid_positions",
        "features of invalid positions change what is learned",
    ),
    (broken_blocks.PassesNaNOn, "block_refuses_in_words", "NaN in a feature map must be refused"),
    (broken_blocks.AveragesOverFits, "block_is_kept", "a second fit remembers the first"),
    (broken_blocks.LosesItsMean, "block_is_kept", "saved and loaded, it fuses otherwise"),
    (broken_heads.OneScorePerImage, "head_keeps_shapes", "the score map has shape (64, 96)"),
    (broken_heads.SignReversed, "head_points_at_the_odd", "above a good one with probability 0.0"),
    (broken_heads.MapMirrored, "head_points_at_the_odd", "is higher more anomalous, and the map the right"),
    (broken_heads.MinMaxOverTheBatch, "head_scores_each_image_alone", "one by one and together"),
    (broken_heads.WritesIntoMaps, "head_leaves_all_else_alone", "fused maps are changed in place"),
    (broken_heads.RemembersTheLastMaps, "head_leaves_all_else_alone", "scoring changes last"),
    (broken_heads.SeedsTheGlobalGenerator, "head_leaves_all_else_alone", "moves torch's random generator"),
    (broken_heads.DrawsFromTheGlobalGenerator, "head_same_seed_same_scores", "with the same seed disagree"),
    (
        broken_heads.LearnsFromInvalidPositions,
        "head_keeps_to_valid_positions",
        "maps of invalid positions change what is learned",
    ),
    (
        broken_heads.ScoresInvalidPositions,
        "head_keeps_to_valid_positions",
        "the image score comes from invalid positions",
    ),
    (broken_heads.PassesNaNOn, "head_refuses_in_words", "must be refused with an InputError, but"),
    (
        broken_heads.PeeksAtAnomalies,
        "head_asks_for_anomalies_as_declared",
        "wants_anomalies is False, but anomalies change it",
    ),
    (
        broken_heads.AcceptsNoAnomalies,
        "head_asks_for_anomalies_as_declared",
        "a fit without anomalies must be refused",
    ),
    (broken_heads.PromisesUpdates, "head_updates_as_declared", "NotImplementedError was raised"),
    (broken_heads.IgnoresAnUpdate, "head_updates_as_declared", "score no lower than before"),
    (broken_heads.AveragesOverFits, "head_is_kept", "a second fit remembers the first"),
    (broken_heads.LosesItsMean, "head_is_kept", "saved and loaded, it scores otherwise"),
    (broken_heads.ScoresUnfitted, "head_is_kept", "score before fit must raise NotFittedError"),
    (
        broken_backbones.NamedByItself,
        "backbone_names_a_timm_model",
        "the id must be a timm model's name, and timm has no 'our-best-resnet'",
    ),
    (broken_backbones.OtherNames, "backbone_weights_fit_the_model", "no weights for test_resnet: 'conv1"),
    (broken_backbones.FromNowhere, "backbone_weights_fit_the_model", "origin must say where"),
    (broken_backbones.HoldsNaN, "backbone_weights_fit_the_model", "holds NaN or infinite values"),
    (broken_backbones.BareTensors, "backbone_weights_fit_the_model", "weights gives dict, expected Weights"),
    (
        broken_backbones.CrashesWithoutItsPackage,
        "backbone_weights_fit_the_model",
        "but ModuleNotFoundError was raised",
    ),
    (broken_backbones.LendsItsOwn, "backbone_gives_the_same_again", "asked again, it brings other tensors"),
    (broken_reporters.WritesElsewhere, "reporter_writes_into_the_folder", "is not in the folder given"),
    (
        broken_reporters.ReturnsText,
        "reporter_writes_into_the_folder",
        "must return the file to open, got str",
    ),
    (broken_reporters.WritesNothing, "reporter_writes_into_the_folder", "there is nothing in listing.txt"),
    (broken_reporters.CountsOnLabels, "reporter_needs_no_labels", "ZeroDivisionError was raised"),
    (
        broken_reporters.NamesItAnew,
        "reporter_says_the_same_again",
        "reported twice, gives another listing.txt",
    ),
    (broken_reporters.WritesLineByLine, "reporter_writes_whole_or_not_at_all", "leaves half of it"),
    (
        broken_reporters.ComparesElsewhere,
        "reporter_compares_in_the_folder",
        "is not a file in the folder given",
    ),
    (broken_trackers.Misspells, "tracker_has_known_hooks", "did you mean 'run_finished'?"),
    (
        broken_trackers.ForgetsTheMarker,
        "tracker_has_known_hooks",
        "member_fitted is not marked with @leatherens.hookimpl",
    ),
    (broken_trackers.WantsMore, "tracker_has_known_hooks", "Argument(s) {'colour'} are declared"),
    (broken_trackers.SeedsEverything, "tracker_follows_a_run", "changed torch's random generator"),
    (broken_trackers.FillsADatabaseAnew, "tracker_goes_on", "failed in run_started: FileExistsError"),
    (broken_trackers.CountsOnMetrics, "tracker_takes_what_is_missing", "failed in run_finished: TypeError"),
    (broken_trackers.LittersTheRun, "tracker_keeps_to_its_folder", "it writes diary.jsonl into the run's"),
    (
        broken_trackers.NotInstalled,
        "tracker_follows_a_run",
        "needs a_package_of_nobody, which cannot be found; pip install 'leatherens-nobody'",
    ),
]


@parametrize_members(
    broken.Mean,
    broken.LearnedMean,
    broken.Conformal,
    broken.Highest,
    broken.ShiftedBack,
    broken_blocks.Centred,
    broken_heads.FarFromTheMean,
    broken_backbones.Packaged,
    broken_backbones.NotInstalled,
    broken_reporters.Listing,
    broken_trackers.Diary,
)
def test_good_parts_conform(check):
    check()


@pytest.mark.parametrize(("part", "check", "sentence"), SINS, ids=lambda v: getattr(v, "__name__", None))
def test_check__catches_its_sin(part, check, sentence):
    with pytest.raises(ConformanceError) as found:
        dict(member_checks(part))[check]()

    assert sentence in str(found.value)


def test_every_check_of_parts_has_a_sinner():
    elsewhere = ("detectors", "readers", "scenarios")  # test_conformance_kit, _readers, test_scenarios
    own = {name for kind, checks in CHECKS.items() if kind not in elsewhere for name in checks}

    assert {check for _, check, _ in SINS} == own - set(by_name(*PART_CHECKS))


def test_kind__is_said_for_a_class_without_our_base():
    class Duck:
        id = "test_resnet"
        weights = broken_backbones.Packaged.weights

    results = check_member(Duck, kind="backbones")

    assert [result.name for result in results] == list(CHECKS["backbones"])
    assert [result.message for result in results if not result.passed] == []

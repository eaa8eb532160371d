"""The kit's checks of everything but detectors: good parts pass, each sin is caught."""

from __future__ import annotations

import broken_parts as broken
import pytest

from leatherens.testing import member_checks, parametrize_members
from leatherens.testing.bench import ConformanceError
from leatherens.testing.declaration_checks import PART_CHECKS
from leatherens.testing.part_checks import BY_KIND

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
    (broken.NeedsTwoScores, "threshold_is_finite", "image_ is nan after 1 good images"),
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
    (broken.DeliversFloats, "preparation_delivers_a_photograph", "float64, expected (H, W, 3) uint8"),
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
]


@parametrize_members(broken.Mean, broken.LearnedMean, broken.Conformal, broken.Highest, broken.ShiftedBack)
def test_good_parts_conform(check):
    check()


@pytest.mark.parametrize(("part", "check", "sentence"), SINS, ids=lambda v: getattr(v, "__name__", None))
def test_check__catches_its_sin(part, check, sentence):
    with pytest.raises(ConformanceError) as found:
        dict(member_checks(part))[check]()

    assert sentence in str(found.value)


def test_every_check_of_parts_has_a_sinner():
    own = {check.__name__.removeprefix("check_") for checks in BY_KIND.values() for check in checks}

    assert {check for _, check, _ in SINS} == own - {c.__name__.removeprefix("check_") for c in PART_CHECKS}

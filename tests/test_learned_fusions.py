"""Fusions that learn: who is believed, how ranks and votes are counted, models against independent ones."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor

from leatherens.core.artifact import read_state, write_state
from leatherens.core.errors import ArtifactError, ConfigError, InputError, NotFittedError
from leatherens.core.examples import Examples, Of, Table
from leatherens.core.forests import CHUNK, Forest, grow_forest, plain, rising
from leatherens.core.global_state import changed, global_state
from leatherens.core.metrics import au_pro, image_auroc
from leatherens.core.randomness import derive
from leatherens.core.scorefusion import Lessons, ScoreFusion
from leatherens.core.types import ScoreMap
from leatherens.plugins.rank_fusion import RankMean, rank, rank_knots
from leatherens.plugins.score_fusions import Mean
from leatherens.plugins.stacker import Stacker, rising_logistic
from leatherens.plugins.vote_fusion import Vote
from leatherens.plugins.weighted_fusion import Weighted, image_skills, learned_weights, pixel_skills
from leatherens.testing import parametrize_members

LEARNED = (Weighted, RankMean, Vote, Stacker)
FOREST = partial(Stacker.from_options, {"model": "forest", "trees": 10})
NAMES = ("able", "dull", "fair", "twin")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def scores(good: bool, count: int, seed: int) -> Tensor:
    """(count, 4) of an able voter, one at chance, a fair one and one that repeats the fair one."""
    noise = rng(seed).normal(size=(count, 4)).astype(np.float32)
    noise[:, 3] = noise[:, 2]
    if not good:
        noise += np.array([3.0, 0.0, 1.0, 1.0], np.float32)
    return torch.from_numpy(noise)


def examples(good: int = 60, spoilt: int = 80, pixels: int = 2000) -> Examples:
    return Examples(
        NAMES,
        Table(scores(True, good, 1), scores(True, pixels, 2)),
        Table(scores(False, spoilt, 3), scores(False, pixels, 4)),
    )


def votes(rows: Tensor, names: tuple[str, ...] = NAMES) -> dict[str, ScoreMap]:
    """Rows (n, V) as images of one pixel."""
    return {name: ScoreMap(rows[:, i].view(-1, 1, 1), rows[:, i]) for i, name in enumerate(names)}


def auroc(fused: Tensor, good: int) -> float:
    return image_auroc(fused.numpy(), np.arange(len(fused)) >= good)


@pytest.fixture(scope="module")
def fresh() -> dict[str, ScoreMap]:
    """400 good ones, then 400 anomalies, that nobody learned from."""
    return votes(torch.cat([scores(True, 400, 11), scores(False, 400, 12)]))


# what all have in common


@parametrize_members(FOREST)
def test_the_forest_conforms_too(check) -> None:
    check()


@pytest.mark.parametrize("fusion", LEARNED)
def test_fuse__before_fit_is_refused_by_name(fusion: type[ScoreFusion]) -> None:
    with pytest.raises(NotFittedError) as caught:
        fusion().fuse(votes(scores(True, 2, 0)))
    assert str(caught.value) == (
        f"{fusion.id}: fuse was called before fit; call fit first or load a fitted run"
    )


@pytest.mark.parametrize("fusion", LEARNED)
def test_fuse__of_others_than_learned_from_is_refused(fusion: type[ScoreFusion]) -> None:
    given = votes(scores(True, 2, 0))
    given["draem"] = given.pop("able")
    with pytest.raises(InputError) as caught:
        fusion().fit(examples()).fuse(given)
    assert str(caught.value) == (
        f"{fusion.id}: learned to fuse able, dull, fair, twin, got draem, dull, fair, twin; fit it anew"
    )


@pytest.mark.parametrize("fusion", LEARNED)
def test_fit__needs_good_images_and_where_it_wants_them_anomalies(fusion: type[ScoreFusion]) -> None:
    whole, none = examples(), Table(torch.empty(0, 4), torch.empty(0, 4))
    with pytest.raises(InputError) as caught:
        fusion().fit(Examples(NAMES, none, whole.spoilt))
    assert str(caught.value) == f"{fusion.id}: learns from the scores of held-out good images, got none"
    unspoilt = Examples(NAMES, whole.good, none)
    if fusion().lessons is Lessons.good:
        assert fusion().fit(unspoilt).fitted
        return
    with pytest.raises(InputError) as caught:
        fusion().fit(unspoilt)
    assert str(caught.value) == f"{fusion.id}: learns from the scores of artificial anomalies, got none"


def test_fit__refuses_nan() -> None:
    bad = examples()
    bad.spoilt.pixels[7, 1] = torch.nan
    with pytest.raises(
        InputError, match=r"^weighted: the scores of artificial anomalies hold NaN or infinite"
    ):
        Weighted().fit(bad)


def test_fit__that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fusion = Vote().fit(examples())
    monkeypatch.setattr(Vote, "_fit", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fusion.fit(examples())
    assert not fusion.fitted


def test_a_fixed_rule_has_nothing_to_learn_and_no_state() -> None:
    assert Mean().lessons is Lessons.nothing
    assert not Mean().fit(examples()).fitted


def test_wanting_lessons_without_fit_is_our_own_mistake() -> None:
    class Idle(Mean):
        lessons = Lessons.good

    with pytest.raises(NotImplementedError, match="Idle wants lessons and has no _fit"):
        Idle().fit(examples())


@pytest.mark.parametrize("make", [*LEARNED, FOREST])
def test_fit__moves_no_global_generator(make) -> None:
    before = global_state()
    make().fit(examples(20, 20, 100))
    assert changed(before, global_state()) == []


@pytest.mark.parametrize("make", [*LEARNED, FOREST])
def test_one_good_image_and_one_anomaly_are_enough(make) -> None:
    few = Examples(
        NAMES,
        Table(scores(True, 1, 1), scores(True, 3, 2)),
        Table(scores(False, 1, 3), scores(False, 2, 4)),
    )
    fused = make().fit(few).fuse(votes(scores(True, 5, 5)))
    assert bool(fused.pixels.isfinite().all())
    assert bool(fused.image.isfinite().all())


@pytest.mark.parametrize("make", [*LEARNED, FOREST])
def test_voters_that_say_nothing_at_all_are_fused_to_something_finite(make) -> None:
    flat = Table(torch.zeros(5, 4), torch.zeros(9, 4))
    fused = make().fit(Examples(NAMES, flat, flat)).fuse(votes(scores(True, 6, 5)))
    assert bool(fused.pixels.isfinite().all())
    assert bool(fused.image.isfinite().all())
    assert fused.image.unique().numel() > 1, "the voters' differences are kept"


@pytest.mark.parametrize("make", [*LEARNED, FOREST])
def test_fused__beats_every_voter_but_the_able_one(make, fresh) -> None:
    fused = make().fit(examples()).fuse(fresh)
    for found in (fused.image, fused.pixels.flatten()):
        assert auroc(found, 400) > auroc(fresh["fair"].image, 400) + 0.03


@pytest.mark.parametrize("make", [Weighted, Stacker, FOREST])
def test_a_weak_voter_does_not_drag_the_able_one_down(make, fresh) -> None:
    fused = make().fit(examples()).fuse(fresh).image
    assert auroc(fused, 400) > auroc(Mean().fuse(fresh).image, 400)


# weighted


@pytest.mark.parametrize(
    ("skills", "count", "expected"),
    [
        ([0.9, 0.9], 30, [0.5, 0.5]),
        ([0.2, 0.2], 30, [0.5, 0.5]),
        ([1.0, 0.9], 10**9, [np.e / (np.e + 1), 1 / (np.e + 1)]),
        ([0.6, 0.4], 10**9, [np.e**2 / (np.e**2 + 1), 1 / (np.e**2 + 1)]),  # only what lies between counts
        ([1.0, 0.0], 4, [0.75, 0.25]),  # 4 images: half of the weight is equal
    ],
)
def test_learned_weights__fall_exponentially_and_are_drawn_towards_equal(skills, count, expected) -> None:
    np.testing.assert_allclose(learned_weights(np.array(skills), count, 0.1), expected, atol=1e-4)


def test_skills__are_auroc_of_images_and_au_pro_of_pixels_by_other_means() -> None:
    shown = examples()
    for column in range(4):
        good, spoilt = (rows[:, column].numpy() for rows in shown.rows(Of.images))
        wins = (spoilt[:, None] > good).mean() + (spoilt[:, None] == good).mean() / 2
        assert image_skills(shown)[column] == pytest.approx(wins)
        good, spoilt = (rows[:, column].numpy() for rows in shown.rows(Of.pixels))
        regions = [np.r_[pixel, [-np.inf]] for pixel in spoilt[:, None]]  # maps of two pixels, a region each
        masks = [np.array([[True, False]])] * len(spoilt) + [np.array([[False]])] * len(good)
        maps = [region[None].astype(np.float32) for region in regions] + [g[None, None] for g in good]
        maps = [np.maximum(each, -1e6) for each in maps]
        surroundings = [np.array([[True, False]])] * len(spoilt) + [np.array([[True]])] * len(good)
        whole = au_pro(maps, masks, valid=surroundings)
        assert pixel_skills(shown)[column] == pytest.approx(whole)


def test_pixel_skills__weigh_every_anomaly_alike() -> None:
    """A large anomaly all of whose pixels are found, and a small one that is missed: half of the regions."""
    good = torch.arange(10.0)[:, None]
    spoilt = torch.cat([torch.full((9, 1), 20.0), torch.full((1, 1), -1.0)])
    shares = torch.cat([torch.full((9,), 1 / 9), torch.ones(1)])
    none = torch.zeros(1, 1)
    for given, expected in ((shares, 0.5), (None, 0.9)):
        shown = Examples(("a",), Table(none, good), Table(none, spoilt, given))
        assert pixel_skills(shown)[0] == pytest.approx(expected)


def test_weighted__gives_a_voter_at_chance_next_to_nothing_and_is_surer_with_more_examples() -> None:
    few, many = (Weighted().fit(examples(good=n)).weights_ for n in (5, 200))
    torch.testing.assert_close(many.sum(dim=1), torch.ones(2))
    assert bool((many[:, 1] < 0.06).all())
    assert float(many[0, 1]) < float(few[0, 1])
    assert bool((many.argmax(dim=1) == 0).all())


def test_weighted__fuses_by_what_it_learned(fresh) -> None:
    fusion = Weighted().fit(examples())
    expected = sum(w * fresh[name].image for w, name in zip(fusion.weights_[0], NAMES, strict=True))
    torch.testing.assert_close(fusion.fuse(fresh).image, expected)
    expected = sum(w * fresh[name].pixels for w, name in zip(fusion.weights_[1], NAMES, strict=True))
    torch.testing.assert_close(fusion.fuse(fresh).pixels, expected)


def test_weighted__by_hand_learns_nothing_and_takes_any_unit(fresh) -> None:
    fusion = Weighted.from_options({"weights": {"twin": 0, "fair": 1, "able": 3, "dull": 0}})
    assert fusion.lessons is Lessons.nothing
    fused = fusion.fuse(fresh)
    torch.testing.assert_close(fused.image, 0.75 * fresh["able"].image + 0.25 * fresh["fair"].image)
    torch.testing.assert_close(fused.pixels, 0.75 * fresh["able"].pixels + 0.25 * fresh["fair"].pixels)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (
            {"abel": 1},
            "weighted: a weight is given for 'abel', who is no voter; did you mean 'able'? "
            "(voters: able, dull, fair, twin)",
        ),
        (
            {"able": 1, "dull": 1, "fair": 1},
            "weighted: 'twin' has no weight; give it one, 0 silences it (voters: able, dull, fair, twin)",
        ),
    ],
)
def test_weighted__by_hand_names_the_voter_that_does_not_fit(weights, sentence: str, fresh) -> None:
    fusion = Weighted.from_options({"weights": weights})
    for call in (lambda: fusion.check_voters(NAMES), lambda: fusion.fuse(fresh)):
        with pytest.raises(ConfigError) as caught:
            call()
        assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({"able": 0}, "weighted: option 'weights': at least one weight must be above 0, got {'able': 0}"),
        ({}, "weighted: option 'weights': at least one weight must be above 0, got {}"),
        (
            {"able": -1},
            "weighted: option 'weights.able': input should be greater than or equal to 0, got -1",
        ),
    ],
)
def test_weighted__refuses_weights_that_say_nothing(weights, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Weighted.from_options({"weights": weights})
    assert str(caught.value) == sentence


# rank-mean


def test_rank__is_the_share_of_good_scores_below() -> None:
    good = rng(5).lognormal(size=5000)
    knots, ranks = (torch.from_numpy(part) for part in rank_knots(good))
    asked = np.quantile(good, [0.02, 0.2, 0.5, 0.9, 0.99, 0.999])
    expected = [(good < a).mean() for a in asked]
    np.testing.assert_allclose(rank(torch.from_numpy(asked), knots, ranks), expected, atol=4e-3)


def test_rank__counts_ties_half() -> None:
    knots, ranks = (torch.from_numpy(part) for part in rank_knots(np.repeat([0.0, 1.0], [90, 10])))
    found = rank(torch.tensor([0.0, 1.0], dtype=torch.float64), knots, ranks)
    assert found.tolist() == pytest.approx([0.45, 0.95])


@pytest.mark.parametrize("good", [rng(1).normal(size=40), np.zeros(7), np.array([2.5])])
def test_rank__rises_beyond_the_good_scores_on_both_sides_by_one_at_most(good) -> None:
    knots, ranks = (torch.from_numpy(part).float() for part in rank_knots(good))
    far = torch.cat([torch.linspace(float(good.max()), 60, 300), torch.linspace(-60, float(good.min()), 300)])
    found = rank(far, knots, ranks)
    assert bool((found[:300].diff() > 0).all())
    assert bool((found[300:].diff() > 0).all())
    assert float(found.max()) < 2
    assert float(found.min()) > -1


def test_rank_mean__is_the_mean_of_ranks_and_blind_to_units(fresh) -> None:
    fusion = RankMean().fit(examples())
    fused = fusion.fuse(fresh).image
    by_hand = [
        rank(fresh[name].image, fusion.knots_[0, i], fusion.ranks_[0, i]) for i, name in enumerate(NAMES)
    ]
    torch.testing.assert_close(fused, sum(by_hand) / 4)
    unit = torch.tensor([1.0, 50.0, 0.5, 1.0])
    scaled = examples()
    for part in (scaled.good.images, scaled.good.pixels):
        part.mul_(unit)
    given = votes(torch.stack([fresh[name].image for name in NAMES], dim=1) * unit)
    torch.testing.assert_close(
        RankMean().fit(scaled).fuse(given).pixels, fusion.fuse(fresh).pixels, atol=2e-3, rtol=0
    )


# vote


@pytest.mark.parametrize("voters", [3, 5])
def test_vote__is_above_zero_exactly_where_more_than_half_say_defective(voters: int) -> None:
    names = tuple(f"v{i}" for i in range(voters))
    good = torch.from_numpy(rng(1).normal(size=(199, voters)).astype(np.float32))
    given = torch.from_numpy(rng(2).normal(1.5, 1, size=(300, voters)).astype(np.float32))
    fusion = Vote.from_options({"false_alarms": 0.1}).fit(
        Examples(names, Table(good, good), Table(good, good))
    )
    own = good.sort(dim=0, descending=True).values[19]  # 20 of 200 places: the rate of 0.1
    torch.testing.assert_close(fusion.thresholds_, own.expand(2, -1))
    fused, majority = fusion.fuse(votes(given, names)), (given > own).sum(dim=1) > voters / 2
    assert torch.equal(fused.image > 0, majority)
    assert torch.equal(fused.pixels.flatten() > 0, majority)
    assert 30 < int(majority.sum()) < 270


def test_vote__settles_a_tie_by_the_two_in_the_middle() -> None:
    good = torch.zeros(9, 2)
    fusion = Vote().fit(Examples(("a", "b"), Table(good, good), Table(good, good)))
    fused = fusion.fuse(votes(torch.tensor([[3.0, -1.0], [1.0, -3.0], [-2.0, 2.0]]), ("a", "b")))
    assert fused.image.tolist() == [1.0, -1.0, 0.0]


def test_vote__of_one_good_image_takes_its_score_as_threshold() -> None:
    one = Examples(NAMES, Table(scores(True, 1, 0), scores(True, 10, 0)), examples().spoilt)
    assert torch.equal(Vote().fit(one).thresholds_[Of.images], one.good.images[0])


# stacker


def rising_reference(rows, labels, c: float):
    """Penalised logistic loss with balanced classes under bounds, by scipy; the constant is free."""
    share = np.where(labels == 1, 0.5 / labels.mean(), 0.5 / (1 - labels.mean()))
    sign = 2.0 * labels - 1

    def loss(w):
        return (share * np.logaddexp(0, -sign * (rows @ w[1:] + w[0]))).sum() + 0.5 / c * (w[1:] @ w[1:])

    bounds = [(None, None)] + [(0, None)] * rows.shape[1]
    return minimize(loss, np.zeros(rows.shape[1] + 1), bounds=bounds, method="L-BFGS-B", tol=1e-12).x[1:]


@pytest.mark.parametrize("c", [0.01, 1.0])
def test_logistic__is_the_optimum_without_negative_coefficients_that_scipy_finds(c: float) -> None:
    rows = torch.cat([scores(True, 60, 1), scores(False, 90, 3)]).numpy()[:, :3].copy()
    rows[:, 1] += np.repeat([0.5, 0], [60, 90])  # calmer on anomalies
    labels = np.repeat([0, 1], [60, 90])
    found = rising_logistic(rows, labels, c)
    np.testing.assert_allclose(found, rising_reference(rows.astype(np.float64), labels, c), atol=2e-3)
    assert found[1] == 0
    assert found[0] > found[2] > 0


def test_logistic__falls_back_on_equal_weights_where_all_are_wrong() -> None:
    rows = torch.cat([scores(False, 60, 1), scores(True, 60, 3)]).numpy()[:, [0, 2]]
    assert rising_logistic(rows, np.repeat([0, 1], 60), 1.0).tolist() == [0.5, 0.5]


def test_stacker__shares_a_twin_s_weight_and_adds_up_log_odds(fresh) -> None:
    fusion = Stacker().fit(examples())
    weights = fusion.weights_[0]
    assert float(weights[2]) == pytest.approx(float(weights[3]), rel=1e-3)
    assert float(weights[0]) > 2 * float(weights[2])
    expected = sum(w * fresh[name].image for w, name in zip(weights, NAMES, strict=True))
    torch.testing.assert_close(fusion.fuse(fresh).image, expected)


def trees(rows, labels, order, **options):
    """scikit-learn's own forest on the columns in this order."""
    model = RandomForestClassifier(
        options["trees"],
        max_depth=options["depth"],
        min_samples_leaf=5,
        max_features=None,
        class_weight="balanced",
        monotonic_cst=np.ones(rows.shape[1], np.int8),
        random_state=options["seed"],
    )
    return model.fit(rows[:, order], labels)


def test_forest__as_plain_numbers_says_what_scikit_learn_s_does() -> None:
    rows = torch.cat([scores(True, 300, 1), scores(False, 300, 3)]).numpy()
    labels = np.repeat([0, 1], 300)
    order = np.array(sorted(range(4), key=lambda column: rows[:, column].tolist()))
    theirs = trees(rows, labels, order, trees=20, depth=4, seed=7)
    found = plain([tree.tree_ for tree in theirs.estimators_], order)
    asked = rng(9).normal(1, 2, size=(CHUNK + 100, 4)).astype(np.float32)
    asked[:3000] = rows[
        rng(1).integers(600, size=3000)
    ]  # among them values equal to a threshold's neighbours
    np.testing.assert_allclose(found(asked.T), theirs.predict_proba(asked[:, order])[:, 1], atol=1e-6)
    grown = grow_forest(rows, labels, trees=20, depth=4, seed=7)
    assert np.array_equal(grown.threshold, found.threshold)
    assert np.abs(grown(asked.T) - found(asked.T)).max() < 0.1


def test_forest__never_falls_where_a_column_rises() -> None:
    rows = torch.cat([scores(True, 300, 1), scores(False, 300, 3)]).numpy()
    rows[:, 1] -= np.repeat([0, 1], 300)  # calmer on anomalies
    grown = grow_forest(rows, np.repeat([0, 1], 300), trees=20, depth=6, seed=7)
    asked = rng(9).normal(1, 2, size=(4000, 4)).astype(np.float32)
    for column in range(4):
        raised = asked.copy()
        raised[:, column] += rng(column).exponential(size=4000)
        assert (grown(raised.T) >= grown(asked.T) - 1e-6).all()


def test_rising__bounds_both_sides_of_a_split_by_their_mean() -> None:
    """A root that falls, 0.6 to 0.2, with a split below its left side."""
    stump = Forest(
        feature=np.zeros((1, 5), np.int64),
        threshold=np.array([[0.0, -1.0, 0, 0, 0]], np.float32),
        left=np.array([[1, 3, 2, 3, 4]]),
        right=np.array([[2, 4, 2, 3, 4]]),
        share=np.array([[0.5, 0.6, 0.2, 0.1, 0.9]], np.float32),
    )
    np.testing.assert_allclose(rising(stump).share, [[0.5, 0.4, 0.4, 0.1, 0.4]])


def test_forest__survives_as_a_tensor_and_judges_nothing_to_nothing() -> None:
    rows, labels = scores(True, 60, 1).numpy(), rng(1).integers(2, size=60)
    found = grow_forest(rows, labels, trees=5, depth=3, seed=1)
    back = Forest.from_tensor(found.tensor())
    assert (back(rows.T) == found(rows.T)).all()
    assert found(rows[:0].T).shape == (0,)


def test_stacker__forest_depends_on_the_seed_alone() -> None:
    one, again, other = (FOREST().fit(examples(), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.image_forest_, again.image_forest_)
    assert not torch.equal(one.image_forest_, other.image_forest_)
    assert derive(1, "stacker", "forest") != derive(2, "stacker", "forest")


def test_stacker__forest_ranks_sure_defects_by_their_mean_beyond_its_splits() -> None:
    fusion = FOREST().fit(examples())
    fused = fusion.fuse(votes(torch.tensor([[50.0] * 4, [60.0] * 4, [-50.0] * 4, [-60.0] * 4]))).image
    assert float(fused[1]) > float(fused[0])
    assert float(fused[2]) > float(fused[3])
    assert float(fused[1] - fused[0]) < 1e-3


def test_stacker__forest_finds_what_voters_show_only_together() -> None:
    """Defective where both are raised; raised alone, each is as common among good ones."""
    raised = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])[rng(1).integers(3, size=900)]
    good = raised + torch.from_numpy(rng(2).normal(size=(900, 2)).astype(np.float32)) * 0.5
    spoilt = 4 + torch.from_numpy(rng(3).normal(size=(300, 2)).astype(np.float32)) * 0.5
    shown = Examples(("a", "b"), Table(good, good), Table(spoilt, spoilt))
    asked = votes(torch.tensor([[9.0, 0.0], [3.8, 3.8]]), ("a", "b"))
    fused = FOREST().fit(shown).fuse(asked).image
    assert float(fused[1]) > float(fused[0]) + 0.3
    assert float(Stacker().fit(shown).fuse(asked).image.diff()) < 0, "a weighted sum cannot"


def test_stacker__whose_state_lost_a_part_is_refused(tmp_path: Path) -> None:
    write_state(tmp_path, {k: v for k, v in Stacker().fit(examples()).state().items() if k != "weights_"})
    with pytest.raises(ArtifactError, match=r"^stacker: the stored state lacks weights_; it is damaged"):
        Stacker.from_state(Stacker.Params(), read_state(tmp_path))

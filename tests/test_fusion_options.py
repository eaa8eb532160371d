"""What blocks can be asked for: components per member, a budget, score maps as channels; and their cost."""

import gc
import itertools
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leatherens.core.backbones import BackbonePool
from leatherens.core.component import Component
from leatherens.core.detector import FitContext
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.fusion import FusionBlock
from leatherens.core.geometry import resize
from leatherens.core.pca import shared_out
from leatherens.core.score_channels import apart, with_score_map
from leatherens.core.types import FeatureMaps, ScoreMap
from leatherens.core.weights import WeightFinder
from leatherens.plugins.gaussian_head import GaussianHead
from leatherens.plugins.global_block import GlobalBlock
from leatherens.plugins.independent_block import IndependentBlock

BLOCKS = [GlobalBlock, IndependentBlock]
PLAIN = {"residual": False}


def _features(member, *shapes, seed=0, batch=4):
    generator = torch.Generator().manual_seed(seed)
    maps = tuple(torch.randn(batch, *shape, generator=generator) for shape in shapes)
    return FeatureMaps(maps, tuple(f"{member}/{i}" for i in range(len(shapes))))


def _members(batch=4):
    return {
        "coarse": _features("coarse", (5, 4, 6), seed=1, batch=batch),
        "fine": _features("fine", (9, 16, 24), (3, 8, 12), seed=2, batch=batch),
        "plain": _features("plain", (1, 8, 8), seed=3, batch=batch),
    }


def _with_scores(members, scale=1.0):
    """The members with score maps of 32 x 48 pixels, heavy-tailed and in units far apart."""
    found = {}
    for number, (id, features) in enumerate(members.items()):
        generator = torch.Generator().manual_seed(100 + number)
        pixels = scale * 10.0**number * torch.randn(len(features.maps[0]), 32, 48, generator=generator).exp()
        found[id] = with_score_map(features, id, ScoreMap(pixels, pixels.flatten(1).amax(dim=1)))
    return found


def _fitted(block, members, **options):
    return block.from_options(options).fit([(members, None)])


# how many components


def test_per_member__counts_and_fractions_of_their_own():
    members = _members()
    fitted = _fitted(
        IndependentBlock,
        members,
        components=1,
        per_member={"fine": 7, "coarse": 0.6},
        **(PLAIN | {"scaling": "none"}),
    )
    kept = {found.name: len(found.fractions) for found in fitted.explained()}

    coarse = fitted.explained_["coarse"]["fraction"]
    assert sum(coarse[:-1]) < 0.6 <= sum(coarse)
    assert kept == {"coarse": len(coarse), "fine": 7, "plain": 1}
    assert fitted.transform(members).shape[1] == len(coarse) + 7 + 1


def test_per_member__of_nobody_is_refused_with_the_nearest():
    with pytest.raises(ConfigError) as caught:
        _fitted(IndependentBlock, _members(), per_member={"corse": 3})

    assert str(caught.value) == (
        "independent: per_member: no member is called 'corse'; did you mean 'coarse'? "
        "(members: coarse, fine, plain)"
    )


def test_per_member__more_than_its_channels_names_the_maximum():
    with pytest.raises(ConfigError) as caught:
        _fitted(IndependentBlock, _members(), per_member={"coarse": 6})

    expected = "independent (coarse): components: 6 asked of 5 channels; at most 5 exist"
    assert str(caught.value) == expected


def test_per_member__neither_count_nor_fraction():
    with pytest.raises(ConfigError, match=r"per_member\.fine.*expected a count"):
        IndependentBlock.from_options({"per_member": {"fine": 1.5}})


@pytest.mark.parametrize("budget", [3, 5, 10, 18])
def test_budget__is_kept_and_every_member_has_its_part(budget):
    members = _members()
    fitted = _fitted(IndependentBlock, members, budget=budget, **PLAIN)
    counts = [len(found.fractions) for found in fitted.explained()]

    assert sum(counts) == budget == fitted.transform(members).shape[1]
    assert min(counts) >= 1


def test_budget__goes_where_least_is_explained():
    even, steep = torch.ones(8).double(), (0.1 ** torch.arange(8.0)).double()

    assert shared_out([even, steep], 5) == [4, 1]
    assert shared_out([steep, even], 5) == [1, 4]
    assert shared_out([even, even], 6) == [3, 3]
    assert shared_out([even, even], 5) == [3, 2]  # the first of equals


def test_budget__a_member_that_never_varies_gets_one():
    assert shared_out([torch.zeros(4).double(), torch.ones(4).double()], 5) == [1, 4]
    assert shared_out([torch.zeros(4).double(), torch.ones(4).double()], 8) == [
        4,
        4,
    ]  # nobody else can use them


@settings(max_examples=40, deadline=None)
@given(
    groups=st.lists(st.lists(st.floats(0, 1e6), min_size=1, max_size=8), min_size=1, max_size=4),
    data=st.data(),
)
def test_budget__is_spent_to_the_last_component_and_no_sharing_is_fairer(groups, data):
    """The least explained member could not be better off: any exchange leaves somebody with less."""
    variances = [torch.tensor(sorted(group, reverse=True), dtype=torch.float64) for group in groups]
    budget = data.draw(st.integers(len(groups), sum(map(len, groups))))
    kept = shared_out(variances, budget)

    assert sum(kept) == budget
    assert all(1 <= count <= len(group) for count, group in zip(kept, variances, strict=True))
    least = _least(variances, kept)
    for giver, taker in itertools.permutations(range(len(groups)), 2):
        other = [count + (i == taker) - (i == giver) for i, count in enumerate(kept)]
        if other[giver] >= 1 and other[taker] <= len(variances[taker]):
            assert _least(variances, other) <= least + 1e-8


def _least(variances, kept):
    shares = [float(v[:n].sum() / v.sum()) if v.sum() else 1.0 for v, n in zip(variances, kept, strict=True)]
    return min(shares)


@pytest.mark.parametrize("budget", [2, 19])
def test_budget__too_small_or_too_large_says_what_is_possible(budget):
    said = (
        "independent: budget: 2 components for 3 members; give each at least one"
        if budget == 2
        else "independent: budget: 19 components for 3 members of 18 channels; "
        "give at least 3, one for each, and at most 18"
    )
    with pytest.raises(ConfigError) as caught:
        _fitted(IndependentBlock, _members(), budget=budget)

    assert str(caught.value) == said


def test_budget__knows_how_many_components_few_positions_can_tell():
    few = {"a": _features("a", (20, 2, 2), batch=1), "b": _features("b", (2, 2, 2), seed=5, batch=1)}
    fitted = _fitted(IndependentBlock, few, budget=5, **PLAIN)

    assert [len(found.fractions) for found in fitted.explained()] == [3, 2]
    with pytest.raises(ConfigError, match="at most 5"):
        _fitted(IndependentBlock, few, budget=6)


def test_per_member_and_budget__are_refused_together():
    with pytest.raises(ConfigError) as caught:
        IndependentBlock.from_options({"per_member": {"fine": 3}, "budget": 9})

    assert str(caught.value) == (
        "independent: per_member and budget both say how many components; give one of them"
    )


# score maps as channels


@pytest.mark.parametrize("block", BLOCKS)
def test_scores__are_appended_in_deviations_of_good_scores(block):
    members = _with_scores(_members())
    fused = _fitted(block, members, scores=True).transform(members)
    without = _fitted(block, _members()).transform(_members())

    torch.testing.assert_close(fused[:, :-3], without)
    for number, (_, features) in enumerate(members.items()):
        raw = resize(features.maps[-1], (16, 24), antialias=True)[:, 0]
        expected = torch.asinh((raw - raw.mean()) / raw.std())
        torch.testing.assert_close(fused[:, number - 3], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("block", BLOCKS)
def test_scores__keep_their_scale_whatever_is_scored(block):
    """Another image, a hundred times as anomalous, is measured by what good images taught."""
    fitted = _fitted(block, _with_scores(_members()), scores=True)
    loud = _with_scores(_members(), scale=100.0)
    one = {m: FeatureMaps(tuple(x[1:2] for x in f.maps), f.names) for m, f in loud.items()}

    alone, together = fitted.transform(one)[:, -3:], fitted.transform(loud)[1:2, -3:]
    torch.testing.assert_close(alone, together)
    assert 3 < float(together.median()) < 12  # a hundred deviations, compressed


@pytest.mark.parametrize("block", BLOCKS)
def test_scores__come_back_from_the_state(block):
    members = _with_scores(_members())
    fitted = _fitted(block, members, scores=True)
    again = block.from_state(fitted.params, fitted.state())

    assert torch.equal(again.transform(members), fitted.transform(members))


@pytest.mark.parametrize("block", BLOCKS)
def test_scores__that_never_vary_are_zero_on_good_images(block):
    flat = torch.full((4, 32, 48), 3.0)
    members = {m: with_score_map(f, m, ScoreMap(flat, flat[:, 0, 0])) for m, f in _members().items()}

    assert float(_fitted(block, members, scores=True).transform(members)[:, -3:].abs().max()) < 1e-5


@pytest.mark.parametrize("block", BLOCKS)
def test_scores__of_invalid_positions_teach_nothing(block):
    members = _with_scores(_members())
    valid = torch.ones(4, 32, 48, dtype=torch.bool)
    valid[:, :, 24:] = False
    spoilt = {m: FeatureMaps(tuple(x.clone() for x in f.maps), f.names) for m, f in members.items()}
    for features in spoilt.values():
        features.maps[-1][..., -features.maps[-1].shape[-1] // 4 :] = 1e9

    one, other = (block.from_options({"scores": True}).fit([(m, valid)]).scores_ for m in (members, spoilt))
    assert torch.equal(one.mean, other.mean)
    assert torch.equal(one.deviation, other.deviation)


@pytest.mark.parametrize("block", BLOCKS)
def test_scores__that_do_not_come_are_asked_for(block):
    with pytest.raises(InputError) as caught:
        _fitted(block, _with_scores(_members()) | {"plain": _members()["plain"]}, scores=True)

    assert str(caught.value) == (
        f"{block.id}: scores: the score map of member 'plain' must come with its features; add it with "
        "score_channels.with_score_map, or set scores: false"
    )


@pytest.mark.parametrize("block", BLOCKS)
def test_scores__that_nobody_asked_for_are_left_aside(block):
    members = _with_scores(_members())

    fused = _fitted(block, members).transform(members)
    torch.testing.assert_close(fused, _fitted(block, _members()).transform(_members()))


def test_score_map__is_told_apart_by_its_name():
    members = _with_scores(_members())
    kept, scores = apart(members)

    assert [f.names for f in kept.values()] == [f.names for f in _members().values()]
    assert [tuple(s.shape) for s in scores] == [(4, 1, 4, 6), (4, 1, 16, 24), (4, 1, 8, 8)]
    assert members["fine"].names[-1] == "fine/score-map"


# sizes, single channels, order


@pytest.mark.parametrize("block", BLOCKS)
def test_one_channel_and_maps_of_different_sizes__give_one_stack_on_the_finest_grid(block):
    members = _members()
    fused = _fitted(block, members).transform(members)

    assert fused.shape[2:] == (16, 24)
    assert bool(fused.isfinite().all())
    lone = {"plain": members["plain"]}
    whitened = _fitted(block, lone).transform(lone)
    assert whitened.shape == (4, 1, 8, 8)  # nothing is left over for a residual
    assert float(whitened.std()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("order", list(itertools.permutations(["coarse", "fine", "plain"])))
def test_permuting_the_members__leaves_fused_maps_and_scores_bit_for_bit(block, order):
    members = _with_scores(_members())
    turned = {id: members[id] for id in order}
    scores = [_head_scores(_fitted(block, m, scores=True), m) for m in (members, turned)]

    assert torch.equal(*scores)


@pytest.mark.parametrize("block", BLOCKS)
def test_other_names_in_another_order__leave_the_scores(block):
    """Under other ids the members' channels stand elsewhere: only loadings are permuted."""
    members = _members()
    ids = {"coarse": "z", "fine": "y", "plain": "x"}
    renamed = {
        ids[m]: FeatureMaps(f.maps, tuple(n.replace(m, ids[m]) for n in f.names)) for m, f in members.items()
    }

    scores = [
        _head_scores(_fitted(block, m, components=3 if block is GlobalBlock else 1), m)
        for m in (members, renamed)
    ]
    torch.testing.assert_close(*scores, atol=1e-3, rtol=1e-3)


def _head_scores(fitted, members):
    maps = fitted.transform(members)
    context = FitContext(pool=BackbonePool(WeightFinder()))
    head = GaussianHead().fit([(maps, None)], validation=[], context=context)
    return head.score(maps, (32, 48)).pixels


# what learning costs


@pytest.mark.parametrize("block", BLOCKS)
def test_learning__lets_go_of_what_it_has_seen(block):
    """However long the stream, no more than two batches of it are alive."""
    alive = []

    def stream():
        for _ in range(12):
            members = _with_scores(_members(batch=2))
            alive.extend(weakref.ref(m) for f in members.values() for m in f.maps)
            yield members, None
            del members
            gc.collect()
            most.append(sum(ref() is not None for ref in alive))

    most = []
    block.from_options({"scores": True}).fit(stream())
    maps = len(alive) // 12
    assert max(most) <= 2 * maps


@pytest.mark.parametrize("block", BLOCKS)
def test_learned__is_as_large_as_channels_by_components(block):
    """Nothing that grows with images or positions is kept."""
    sizes = []
    for batch in (2, 8):
        fitted = _fitted(block, _with_scores(_members(batch)), components=1, scores=True)
        sizes.append(sum(t.numel() for t in fitted.state().values() if isinstance(t, torch.Tensor)))

    assert sizes[0] == sizes[1] < 3 * 18 + 40


# what components explain


def test_explained__of_the_independent_block_is_one_spectrum_per_member():
    fitted = _fitted(IndependentBlock, _members(), components=1)

    assert [(e.name, e.channels, len(e.fractions)) for e in fitted.explained()] == [
        ("coarse", 5, 1),
        ("fine", 12, 1),
        ("plain", 1, 1),
    ]
    assert all(e.members == {e.name: (1.0,)} for e in fitted.explained())


def test_explained__of_the_global_block_says_whose_a_component_is():
    (found,) = _fitted(GlobalBlock, _with_scores(_members()), components=4).explained()

    assert (found.name, found.channels, len(found.fractions)) == ("all members", 18, 4)
    assert set(found.members) == {"coarse", "fine", "plain"}
    for shares in zip(*found.members.values(), strict=True):
        assert sum(shares) == pytest.approx(1)


def test_explained__a_block_without_components_has_none():
    class Stack(FusionBlock):
        id = "stack"

        def _fit(self, batches):
            self.seen_ = sum(1 for _ in batches)

        def _transform(self, members):
            return torch.cat([f.maps[0] for f in members.values()], dim=1)

    members = {"a": _features("a", (2, 4, 4)), "b": _features("b", (3, 4, 4))}
    fitted = Stack().fit([(members, None)] * 3)
    assert isinstance(fitted, Component)
    assert (fitted.seen_, fitted.explained(), fitted.takes_scores) == (3, (), False)
    assert fitted.transform(members).shape == (4, 5, 4, 4)

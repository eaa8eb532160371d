"""The two transformation blocks: hand cases of the method, invariants, and refusals in words."""

from dataclasses import replace

import pytest
import torch

from leatherens.core.errors import ConfigError, InputError, NotFittedError
from leatherens.core.fusion import common_grid
from leatherens.core.geometry import resize, valid_positions
from leatherens.core.map_pca import channel_scales
from leatherens.core.types import FeatureMaps
from leatherens.plugins.global_block import GlobalBlock
from leatherens.plugins.independent_block import IndependentBlock

BLOCKS = [GlobalBlock, IndependentBlock]
LITERAL = {"scaling": "none", "whiten": False, "residual": False}


def _maps(*shapes, seed=0, member="m", batch=4):
    generator = torch.Generator().manual_seed(seed)
    maps = tuple(torch.randn(batch, *shape, generator=generator) for shape in shapes)
    return FeatureMaps(maps, tuple(f"{member}/{i}" for i in range(len(shapes))))


def _members(seed=0, batch=4):
    return {
        "fine": _maps((6, 12, 16), (8, 6, 8), seed=seed, member="fine", batch=batch),
        "coarse": _maps((5, 3, 4), seed=seed + 50, member="coarse", batch=batch),
    }


def _fitted(block, members, **options):
    return block.from_options(options).fit([(members, None)])


def _one(values, member="m"):
    """One map of (B, C, h, w) as a member."""
    return FeatureMaps((values,), (f"{member}/0",))


@pytest.mark.parametrize("block", BLOCKS)
def test_one_component_per_channel__is_a_rotation(block):
    """Nothing is lost: distances between positions stay, and the variances sum to the total."""
    maps = _maps((5, 8, 8))
    fitted = _fitted(block, {"m": maps}, components=5, **LITERAL)
    fused = fitted.transform({"m": maps})

    before, after = maps.maps[0].flatten(2)[0].T.double(), fused.flatten(2)[0].T.double()
    torch.testing.assert_close(torch.cdist(after, after), torch.cdist(before, before), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        fused.permute(1, 0, 2, 3).flatten(1).var(dim=1).sum(), _total_variance(maps.maps[0])
    )


def _total_variance(maps):
    return maps.permute(1, 0, 2, 3).flatten(1).var(dim=1).sum()


def test_inverse_transform__reproduces_the_input():
    maps = _maps((5, 8, 8))
    pca = _fitted(GlobalBlock, {"m": maps}, components=5, **LITERAL).pca_
    rows = pca([maps.maps[0]], (8, 8)).permute(0, 2, 3, 1)

    back = rows @ pca.loadings.T + pca.mean
    torch.testing.assert_close(back.permute(0, 3, 1, 2), maps.maps[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(pca.loadings.T @ pca.loadings, torch.eye(5), atol=1e-6, rtol=0)


def test_unequal_variances__global_keeps_one_source_independent_both():
    maps = torch.randn(4, 2, 16, 16, generator=torch.Generator().manual_seed(1))
    members = {"a": _one(maps[:, :1] * 10, "a"), "b": _one(maps[:, 1:], "b")}

    whole = _fitted(GlobalBlock, members, components=1, **LITERAL)
    each = _fitted(IndependentBlock, members, components=1, **LITERAL)
    assert whole.explained_["members"]["a"][0] > 0.999
    centred = maps - maps.mean(dim=(0, 2, 3), keepdim=True)
    torch.testing.assert_close(each.transform(members), centred * torch.tensor([10.0, 1.0]).view(1, 2, 1, 1))


def test_unit_norm_scaling__gives_every_member_total_variance_one():
    variances, sections = torch.tensor([100.0, 300.0, 0.5]), [("a", 2), ("b", 1)]

    scaled = variances * channel_scales(variances, sections, "unit-norm") ** 2
    torch.testing.assert_close(scaled, torch.tensor([0.25, 0.75, 1.0]))


def test_z_score_scaling__constant_channels_are_scaled_like_their_member():
    variances = torch.tensor([4.0, 0.0, 1e-14])

    scales = channel_scales(variances, [("a", 3)], "z-score")
    torch.testing.assert_close(scales, torch.tensor([0.5, (3 / 4) ** 0.5, (3 / 4) ** 0.5]))


@pytest.mark.parametrize("options", [LITERAL, {}, {"scaling": "z-score"}])
def test_constant_second_source(options):
    """The global block gives it nothing; the independent block gives it zeros."""
    members = {"a": _maps((3, 8, 8), member="a"), "b": _one(torch.full((4, 2, 8, 8), 7.0), "b")}

    whole = _fitted(GlobalBlock, members, components=2, **options)
    assert max(whole.explained_["members"]["b"]) < 1e-12
    each = _fitted(IndependentBlock, members, components=1, **(options | {"residual": False}))
    assert bool((each.transform(members)[:, 1] == 0).all())


@pytest.mark.parametrize("options", [{}, {"scaling": "z-score"}])
def test_constant_maps_that_are_resized__stay_constant_in_spite_of_rounding(options):
    """Averaged down, a constant 7.3 is 7.3 but for the last digit, which must not be taken for variance."""
    members = {"a": _maps((3, 40, 40), member="a"), "b": _one(torch.full((4, 2, 50, 30), 7.3), "b")}
    options = {"max_grid": 12} | options

    whole = _fitted(GlobalBlock, members, components=3, **options)
    assert max(whole.explained_["members"]["b"]) < 1e-12
    each = _fitted(IndependentBlock, members, components=1, **options)
    assert float(each.transform(members)[:, -2 if each.params.residual else -1 :].abs().max()) < 1e-5


@pytest.mark.parametrize("options", [LITERAL, {}, {"scaling": "z-score", "whiten": False}])
def test_one_member__global_and_independent_agree(options):
    members = {"fine": _members()["fine"]}

    whole = _fitted(GlobalBlock, members, components=6, **options).transform(members)
    each = _fitted(IndependentBlock, members, components=6, **options).transform(members)
    assert whole.shape[1] == (6 if options is LITERAL else 7)
    torch.testing.assert_close(whole, each)


@pytest.mark.parametrize("block", BLOCKS)
def test_permuting_the_members__changes_nothing(block):
    members = _members()
    turned = dict(reversed(members.items()))

    assert list(turned) != list(members)
    one, other = _fitted(block, members), _fitted(block, turned)
    torch.testing.assert_close(one.transform(members), other.transform(turned), rtol=0, atol=0)
    assert one.explained_ == other.explained_


@pytest.mark.parametrize("max_grid", [16, 8])
def test_projecting_before_resizing__is_resizing_before_projecting(max_grid):
    """Also where maps shrink: the filter's weights sum to one."""
    members = _members()
    maps = [m for f in (members["coarse"], members["fine"]) for m in f.maps]
    fitted = _fitted(GlobalBlock, members, components=9, max_grid=max_grid, **LITERAL)

    grid = common_grid(maps, max_grid)
    whole = torch.cat([resize(m, grid, antialias=True) for m in maps], dim=1)
    centred = whole - fitted.pca_.mean.view(1, -1, 1, 1)
    expected = torch.einsum("bchw,cn->bnhw", centred, fitted.pca_.loadings)
    torch.testing.assert_close(fitted.transform(members), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("block", BLOCKS)
def test_constant_maps__stay_constant(block):
    fitted = _fitted(block, _members())
    constant = {
        m: FeatureMaps(tuple(x.mean(dim=(2, 3), keepdim=True).expand_as(x) for x in f.maps), f.names)
        for m, f in _members(seed=3).items()
    }

    fused = fitted.transform(constant)
    torch.testing.assert_close(fused, fused[:, :, :1, :1].expand_as(fused), atol=1e-4, rtol=0)


@pytest.mark.parametrize("block", BLOCKS)
def test_whitened__every_channel_varies_by_one(block):
    members = {"a": _maps((6, 8, 8), member="a"), "b": _one(_maps((4, 8, 8), seed=9).maps[0] * 30 + 5, "b")}
    fused = _fitted(block, members, components=3, residual=False).transform(members)

    deviations = fused.permute(1, 0, 2, 3).flatten(1).std(dim=1)
    torch.testing.assert_close(deviations, torch.ones(len(deviations)), atol=1e-4, rtol=0)


def test_residual__sees_what_the_kept_components_cannot():
    """Good maps lie on a line; a step off the line shows in the residual channel alone."""
    along = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    good = torch.cat([3 * along, 4 * along, 0.01 * along.roll(1)], dim=1)
    fitted = _fitted(IndependentBlock, {"m": _one(good)}, components=1, scaling="none")
    off = good.clone()
    off[0, :, 2, 3] += torch.tensor([0.8, -0.6, 0.0])  # at right angles to (3, 4), length 1

    change = (fitted.transform({"m": _one(off)}) - fitted.transform({"m": _one(good)})).abs()
    assert float(change[0, 0].max()) < 0.01
    assert change[0, 1].argmax() == 2 * 8 + 3
    assert float(change[0, 1, 2, 3]) > 50


def test_residual__has_mean_square_one_when_whitened_and_its_own_unit_otherwise():
    members = {"m": _maps((9, 16, 16))}
    whitened = _fitted(GlobalBlock, members, components=3).transform(members)[:, 3]
    plain = _fitted(GlobalBlock, members, components=3, whiten=False, scaling="none")

    torch.testing.assert_close(whitened.square().mean(), torch.tensor(1.0), atol=2e-3, rtol=0)
    dropped = plain.explained_["total"] - sum(plain.explained_["variance"])
    residual = plain.transform(members)[:, 3]
    torch.testing.assert_close(residual.square().mean(), torch.tensor(dropped), atol=0.02, rtol=0)


@pytest.mark.parametrize("block", BLOCKS)
def test_each_image_is_fused_on_its_own(block):
    members = _members()
    fitted = _fitted(block, members)
    single = {m: FeatureMaps(tuple(x[2:3] for x in f.maps), f.names) for m, f in members.items()}

    torch.testing.assert_close(fitted.transform(single), fitted.transform(members)[2:3], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("block", BLOCKS)
def test_batching_of_the_fit__does_not_matter(block):
    members = _members()
    halves = [
        ({m: FeatureMaps(tuple(x[part] for x in f.maps), f.names) for m, f in members.items()}, None)
        for part in (slice(0, 1), slice(1, 4))
    ]

    streamed = block.from_options({}).fit(iter(halves)).transform(members)
    torch.testing.assert_close(streamed, _fitted(block, members).transform(members), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("block", BLOCKS)
def test_invalid_positions__teach_nothing(block):
    members = _members()
    valid = torch.ones(4, 48, 64, dtype=torch.bool)
    valid[:, :, 32:] = False
    spoilt = {m: FeatureMaps(tuple(x.clone() for x in f.maps), f.names) for m, f in members.items()}
    for features in spoilt.values():
        for x in features.maps:
            x[..., -x.shape[-1] // 4 :] = (
                1e3  # far enough from the border for interpolation not to reach over
            )

    options = {"components": 4}
    one = block.from_options(options).fit([(members, valid)]).transform(members)
    other = block.from_options(options).fit([(spoilt, valid)]).transform(members)
    torch.testing.assert_close(one, other)
    assert not torch.allclose(one, _fitted(block, members, **options).transform(members), atol=1e-2)


def test_valid_positions__count_from_half_their_area():
    valid = torch.zeros(2, 4, 4, dtype=torch.bool)
    valid[0, :2, :3] = True  # cells of 2 x 2: full, half
    valid[1, 0, 0] = True  # no cell has half: the best stands in

    expected = [[[True, True], [False, False]], [[True, False], [False, False]]]
    assert valid_positions(valid, (2, 2)).tolist() == expected


@pytest.mark.parametrize(
    ("shapes", "most", "expected"),
    [
        ([(8, 8), (32, 16)], 64, (32, 16)),
        ([(256, 256)], 64, (64, 64)),
        ([(96, 128)], 64, (48, 64)),
        ([(1, 300)], 64, (1, 64)),
    ],
)
def test_common_grid(shapes, most, expected):
    assert common_grid([torch.zeros(1, 1, *shape) for shape in shapes], most) == expected


def test_shrinking_maps__every_value_counts():
    """Plain bilinear sampling by a factor of 4 would skip the outer pixels of each cell."""
    spot = torch.zeros(1, 1, 16, 16)
    spot[0, 0, 4, 4] = 16.0

    assert float(resize(spot, (4, 4)).sum()) == 0
    assert float(resize(spot, (4, 4), antialias=True).sum()) > 0.9


@pytest.mark.parametrize("block", BLOCKS)
def test_state__gives_the_same_maps_back(block):
    members = _members()
    fitted = _fitted(block, members)
    again = block.from_state(fitted.params, fitted.state())

    assert torch.equal(again.transform(members), fitted.transform(members))
    assert again.explained_ == fitted.explained_


@pytest.mark.parametrize("block", BLOCKS)
def test_explained__accounts_for_the_variance(block):
    fitted = _fitted(block, _members(), components=3)
    groups = fitted.explained_.values() if block is IndependentBlock else [fitted.explained_]

    for group in groups:
        assert len(group["variance"]) == 3
        assert group["variance"] == pytest.approx([f * group["total"] for f in group["fraction"]])
        for shares in zip(*group["members"].values(), strict=True):
            assert sum(shares) == pytest.approx(1)


@pytest.mark.parametrize("block", BLOCKS)
def test_fraction__is_capped(block):
    fitted = _fitted(block, _members(), components=0.999, max_components=2, residual=False)

    assert fitted.transform(_members()).shape[1] == (2 if block is GlobalBlock else 4)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_no_numbers__name_member_map_and_image(block, value):
    fitted = _fitted(block, _members())
    spoilt = _members()
    spoilt["fine"].maps[1][2, 0, 0, 0] = value

    problem = f"{block.id}: map 'fine/1' of member 'fine' holds NaN or infinite values in "
    for call in (lambda m: _fitted(block, m), fitted.transform):
        with pytest.raises(InputError) as caught:
            call(spoilt)
        assert str(caught.value) == problem + "image 3 of the batch"
    named = {m: replace(f, ids=("a.png", "b.png", "c.png", "d.png")) for m, f in spoilt.items()}
    with pytest.raises(InputError) as caught:
        fitted.transform(named)
    assert str(caught.value) == problem + "c.png"


def test_other_maps_than_learned__are_refused():
    fitted = _fitted(IndependentBlock, _members())

    with pytest.raises(InputError) as caught:
        fitted.transform({"fine": _members()["fine"]})
    assert str(caught.value) == (
        "independent: expected the maps it learned from, coarse/0 (5), fine/0 (6), fine/1 (8); "
        "got fine/0 (6), fine/1 (8)"
    )


def test_too_many_components__name_the_maximum():
    with pytest.raises(ConfigError) as caught:
        _fitted(IndependentBlock, _members(), components=9)

    expected = "independent (coarse): components: 9 asked of 5 channels; at most 5 exist"
    assert str(caught.value) == expected


def test_fewer_positions_than_channels():
    """A fraction works within what the positions can tell; a count beyond it is refused."""
    few = {"m": _maps((30, 2, 2), batch=2)}

    fused = _fitted(GlobalBlock, few, components=0.9999).transform(few)
    assert fused.shape[1] == 8  # seven components from eight positions, and the residual
    assert bool(fused.isfinite().all())
    with pytest.raises(ConfigError) as caught:
        _fitted(GlobalBlock, few, components=8)
    assert str(caught.value) == (
        "global: components: 8 cannot be learned from 8 positions; at most 7 can, or give more good images"
    )


@pytest.mark.parametrize("wanted", [0, -1, 1.5, 0.0])
def test_components__neither_count_nor_fraction(wanted):
    with pytest.raises(ConfigError, match="expected a count"):
        GlobalBlock.from_options({"components": wanted})


def test_unfitted_and_empty_fit():
    block = GlobalBlock()
    with pytest.raises(NotFittedError, match="global: transform was called before fit"):
        block.transform(_members())

    with pytest.raises(InputError) as caught:
        block.fit([])
    assert (
        str(caught.value) == "global: no features to learn from; fit needs at least one batch of good images"
    )


@pytest.mark.parametrize("block", BLOCKS)
def test_a_fit_that_fails__leaves_nothing_behind(block):
    fitted = _fitted(block, _members())
    with pytest.raises(InputError):
        fitted.fit([(_members(), None), ({"fine": _members()["fine"]}, None)])

    assert not fitted.fitted

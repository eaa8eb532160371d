"""The heads and what they share: hand cases, scores that point at the defect, refusals in words."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from scipy.spatial import distance

from leatherens.core.backbones import BackbonePool
from leatherens.core.detector import FitContext
from leatherens.core.discriminator import Discriminator, truncated_hinge, with_noise
from leatherens.core.errors import ConfigError, InputError, NotFittedError, TrainingError
from leatherens.core.randomness import numpy_generator
from leatherens.core.rows import RowReservoir
from leatherens.core.weights import WeightFinder
from leatherens.plugins.discriminator_head import DiscriminatorHead
from leatherens.plugins.gaussian_head import GaussianHead
from leatherens.plugins.memory_bank_head import MemoryBankHead

HEADS = [MemoryBankHead, DiscriminatorHead, GaussianHead]
QUICK = {
    "memory-bank": {},
    "gaussian": {},
    "discriminator": {"steps": 150, "batch_rows": 256, "learning_rate": 5e-3, "anomalies": 0},
}
SIZE = (64, 96)


class _Watching:
    """A progress that adds up what it is told."""

    def __init__(self):
        self.done = 0

    @contextmanager
    def step(self, title, total):
        def advance(units):
            self.done += units

        yield advance

    def say(self, sentence):
        raise AssertionError(sentence)


def _context(**options):
    return FitContext(pool=BackbonePool(WeightFinder()), **options)


def _good(seed=0, batch=6, channels=6):
    """Maps on a curved surface: channel 1 is the square of channel 0, the others are noise."""
    maps = torch.randn(batch, channels, 8, 12, generator=torch.Generator().manual_seed(seed))
    maps[:, 1] = maps[:, 0] ** 2 + 0.1 * maps[:, 1]
    return maps


def _fitted(head, maps=None, valid=None, seed=0, **options):
    maps = _good() if maps is None else maps
    made = head.from_options(QUICK[head.id] | options)
    return made.fit([(maps, valid)], validation=[(_good(seed=1), None)], context=_context(seed=seed))


@pytest.mark.parametrize("head", HEADS)
def test_the_map_points_at_the_defect(head):
    """A step off the normal surface, at a place off the diagonal of a map that is not square."""
    maps = _good(seed=2)
    maps[3, :2, 6, 2] = torch.tensor([2.0, -8.0])  # the surface is at 4
    scores = _fitted(head).score(maps, SIZE)

    assert scores.pixels.shape == (6, *SIZE)
    height, width = divmod(int(scores.pixels[3].argmax()), SIZE[1])
    assert (height // 8, width // 8) == (6, 2)
    assert int(scores.image.argmax()) == 3


@pytest.mark.parametrize("head", HEADS)
def test_far_from_everything_good__scores_ever_higher(head):
    direction = torch.randn(1, 6, 1, 1, generator=torch.Generator().manual_seed(4))
    steps = [_good()[:1, :, :1, :1] * 0 + direction * distance for distance in (4, 8, 16)]
    fitted = _fitted(head)

    scores = [float(fitted.score(maps, (8, 8)).image) for maps in steps]
    assert scores == sorted(scores)
    assert scores[0] > float(fitted.score(_good(seed=5), SIZE).image.median())


@pytest.mark.parametrize("head", HEADS)
def test_image_score__is_the_largest_raw_position_score(head):
    fitted, maps = _fitted(head, smoothing=64.0), _good(seed=2)
    raw = fitted.score(maps, (8, 12))  # the grid itself, smoothed by two positions

    smoothed = raw.pixels.flatten(1).amax(dim=1)
    assert bool((raw.image > smoothed).all())
    unsmoothed = _fitted(head, smoothing=0).score(maps, (8, 12))
    torch.testing.assert_close(unsmoothed.image, unsmoothed.pixels.flatten(1).amax(dim=1))
    torch.testing.assert_close(unsmoothed.image, raw.image)


@pytest.mark.parametrize("head", HEADS)
def test_smoothing__is_the_same_share_of_small_and_large_images(head):
    fitted, maps = _fitted(head, smoothing=32.0), _good(seed=2)

    small, large = fitted.score(maps, (64, 96)).pixels, fitted.score(maps, (256, 384)).pixels
    centres = large.unfold(1, 4, 4).unfold(2, 4, 4).mean(dim=(3, 4))
    torch.testing.assert_close(small, centres, atol=0.02 * float(small.std()), rtol=0)


@pytest.mark.parametrize("head", HEADS)
def test_invalid_positions__neither_teach_nor_score(head):
    valid = torch.ones(6, *SIZE, dtype=torch.bool)
    valid[:, :, 48:] = False
    spoilt = _good()
    spoilt[..., 6:] = 50.0
    taught, clean = _fitted(head, spoilt, valid), _fitted(head, _good(), valid)
    found, expected = taught.score(spoilt, SIZE, valid), clean.score(_good(), SIZE, valid)

    torch.testing.assert_close(found.image, expected.image)
    torch.testing.assert_close(found.pixels, expected.pixels)
    outside = found.pixels[:, :, 48:].flatten(1)
    assert bool((outside <= found.pixels[:, :, :48].flatten(1).amin(dim=1, keepdim=True)).all())


@pytest.mark.parametrize("head", HEADS)
def test_each_image_is_scored_on_its_own_and_scoring_changes_nothing(head):
    fitted, maps = _fitted(head), _good(seed=2)
    before = {name: v.clone() if isinstance(v, torch.Tensor) else v for name, v in fitted.state().items()}
    together, alone = fitted.score(maps, SIZE), fitted.score(maps[4:5], SIZE)

    torch.testing.assert_close(together.pixels[4:5], alone.pixels)
    torch.testing.assert_close(together.image[4:5], alone.image)
    for name, value in fitted.state().items():
        assert torch.equal(value, before[name]) if isinstance(value, torch.Tensor) else value == before[name]


@pytest.mark.parametrize("head", HEADS)
def test_state__gives_the_same_scores_back(head):
    fitted = _fitted(head)
    again = head.from_state(fitted.params, fitted.state())

    assert torch.equal(again.score(_good(seed=2), SIZE).pixels, fitted.score(_good(seed=2), SIZE).pixels)


@pytest.mark.parametrize("head", [MemoryBankHead, DiscriminatorHead])
def test_seed__same_scores_and_global_generator_unmoved(head):
    state = torch.random.get_rng_state()
    one, same, other = (_fitted(head, seed=seed, **_random(head)) for seed in (3, 3, 4))

    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(one.score(_good(2), SIZE).pixels, same.score(_good(2), SIZE).pixels)
    assert not torch.equal(one.score(_good(2), SIZE).pixels, other.score(_good(2), SIZE).pixels)


def _random(head):
    return {"core_set": 0.2} if head is MemoryBankHead else {"steps": 20}


@pytest.mark.parametrize("head", HEADS)
def test_refusals(head):
    fitted = _fitted(head)
    with pytest.raises(InputError) as caught:
        fitted.score(_good(channels=5), SIZE)
    expected = f"{head.id}: expected fused maps (B, 6, h, w) float32, got torch.float32 (6, 5, 8, 12)"
    assert str(caught.value) == expected
    with pytest.raises(InputError, match=f"{head.id}: the fused maps hold NaN or infinite values"):
        fitted.score(_good() * float("nan"), SIZE)
    with pytest.raises(NotFittedError, match=f"{head.id}: score was called before fit"):
        head().score(_good(), SIZE)
    with pytest.raises(InputError, match=f"{head.id}: no positions to learn from"):
        head.from_options(QUICK[head.id]).fit([], validation=[], context=_context())


def test_hinge__hand_cases():
    assert float(truncated_hinge(torch.tensor([0.2]), torch.tensor([0.1]))) == pytest.approx(0.9)
    assert float(truncated_hinge(torch.zeros(5), torch.zeros(5))) == 1.0


def test_hinge__satisfied_rows_no_longer_pull():
    true, fake = torch.tensor([0.5, 3.0], requires_grad=True), torch.tensor([-0.6, -9.0], requires_grad=True)
    loss = truncated_hinge(true, fake)
    loss.backward()

    assert float(loss.detach()) == 0
    assert not bool(true.grad.any() or fake.grad.any())


def test_hinge__identical_rows_cost_at_least_one():
    """Without noise, true and fake are the same rows: no network can tell them apart."""
    values = torch.linspace(-3, 3, 61)

    assert min(float(truncated_hinge(v.view(1), v.view(1))) for v in values) == pytest.approx(1)


def test_discriminator__has_the_size_the_paper_counts():
    network = Discriminator(1536, 1024)

    assert sum(p.numel() for p in network.parameters()) == 1_576_960
    assert network(torch.randn(4, 1536)).shape == (4,)


def test_noise__is_relative_to_each_channel_and_mixes_the_scales():
    spread, scales = torch.tensor([1.0, 100.0]), torch.tensor([0.1, 1.0])
    noise = with_noise(torch.zeros(40_000, 2), spread, scales, torch.Generator().manual_seed(0))

    expected = spread * scales.square().mean().sqrt()
    torch.testing.assert_close(noise.std(dim=0), expected, rtol=0.03, atol=0)
    large = noise.abs() / spread > 0.5  # beyond five deviations of the small scale
    assert float(large.any(dim=1).float().mean()) == pytest.approx(0.5 * (1 - 0.383**2), abs=0.02)


def test_discriminator_head__is_convex_unless_told_otherwise():
    """The score of a place between two others is at most between their scores."""
    ends = 6 * torch.randn(2, 5000, 6, generator=torch.Generator().manual_seed(0))
    noise = {"noise": (0.5,)}  # which leaves a free network most room
    bowl, free = (_fitted(DiscriminatorHead, convex=convex, **noise).network_ for convex in (True, False))

    def sags(network):
        one, other, middle = (-network(rows) for rows in (*ends, ends.mean(dim=0)))
        return middle - (one + other) / 2

    with torch.no_grad():
        assert float(sags(bowl).max()) < 1e-5
        assert float(sags(free).max()) > 0.01


def test_discriminator_head__a_channel_that_goes_with_the_others_is_no_excuse():
    """Channel 0 says how lively a position is, as a residual does. Noise makes the others lively without it:
    a network that learns nothing but that takes more of channel 0 for better.
    """
    draw = torch.Generator().manual_seed(0)
    lively = (0.4 * torch.randn(6, 1, 8, 12, generator=draw)).exp()
    good = lively * torch.randn(6, 40, 8, 12, generator=draw)
    good[:, :1] = 4 * lively + 0.2 * torch.randn(6, 1, 8, 12, generator=draw)
    fitted = DiscriminatorHead.from_options(QUICK["discriminator"] | {"steps": 300})
    fitted.fit([(good, None)], validation=[(good, None)], context=_context())

    far = 20 * good.std(dim=(0, 2, 3)).diag()
    single = (good.mean(dim=(0, 2, 3)) + torch.cat([far, -far])).view(80, 40, 1, 1)
    assert float(fitted.score(single, (1, 1)).image.min()) > float(fitted.score(good, SIZE).image.max())


def test_discriminator_head__learns_from_held_out_images_or_as_told():
    """Members say something else of the images they learned from than of any other good one."""
    remembered, fresh = 0.3 * _good(), _good(seed=1) + 5
    scores = {}
    for teachers in ("held-out", "fit"):
        head = DiscriminatorHead.from_options(QUICK["discriminator"] | {"teachers": teachers})
        head.fit([(remembered, None)], validation=[(fresh, None)], context=_context())
        scores[teachers] = [float(head.score(maps, SIZE).pixels.mean()) for maps in (remembered, fresh)]

    assert scores["held-out"][0] > scores["held-out"][1]
    assert scores["fit"][0] < scores["fit"][1]
    without = DiscriminatorHead.from_options(QUICK["discriminator"])
    without.fit([(remembered, None)], validation=[], context=_context())
    assert float(without.score(remembered, SIZE).pixels.mean()) == scores["fit"][0]


def test_discriminator_head__separates_and_reports():
    watching = _Watching()
    head = DiscriminatorHead.from_options(QUICK["discriminator"] | {"noise": (2.0,)})
    head.fit([(_good(), None)], validation=[(_good(1), None)], context=_context(progress=watching))

    assert watching.done == 150
    assert head.losses_[-1] < 0.75 * head.losses_[0]
    assert float(head.score(_good(), SIZE).pixels.mean()) < -0.3
    noise = torch.randn(6, 6, 8, 12, generator=torch.Generator().manual_seed(0)) * 4
    assert float(head.score(noise, SIZE).pixels.mean()) > 0.3


@pytest.mark.parametrize("field", ["simplex", "perlin"])
def test_discriminator_head__learns_from_noise_fields_the_same_with_the_same_seed(field):
    options = {"noise": (4.0,), "noise_field": field}
    one, same, other = (_fitted(DiscriminatorHead, seed=seed, **options) for seed in (3, 3, 4))
    good, noise = (float(one.score(maps, SIZE).pixels.mean()) for maps in (_good(), 4 * _good(5)))

    assert one.losses_[-1] < 0.9 * one.losses_[0]
    assert good < 0
    assert noise > good + 0.4
    assert one.losses_ == same.losses_ != other.losses_


def test_discriminator_head__diverging_is_an_error_with_its_step():
    with pytest.raises(TrainingError) as caught:
        _fitted(DiscriminatorHead, learning_rate=1e30)

    assert caught.value.member == "discriminator"
    expected = (
        f"discriminator: the loss became NaN or infinite at step {caught.value.step} (learning rate 1e+30); "
        "try a smaller learning_rate"
    )
    assert str(caught.value) == expected


def test_memory_bank__keeping_everything_scores_good_images_zero():
    scores = _fitted(MemoryBankHead, core_set=1.0).score(_good(), SIZE)

    assert float(scores.pixels.abs().max()) == 0
    assert float(scores.image.abs().max()) == 0


def test_memory_bank__size_is_the_share_within_the_cap():
    positions = 6 * 8 * 12

    assert len(_fitted(MemoryBankHead).bank_) == -(-positions // 10)
    assert len(_fitted(MemoryBankHead, max_rows=20).bank_) == 20
    assert len(_fitted(MemoryBankHead, _good(batch=1)[:, :, :1, :3]).bank_) == 1


def test_memory_bank__mean_of_the_nearest():
    bank = torch.tensor([[0.0], [10.0]]).T.reshape(1, 1, 1, 2)
    fitted = MemoryBankHead.from_options({"core_set": 1.0, "neighbours": 2})
    fitted.fit([(bank, None)], validation=[], context=_context())

    assert fitted.score(torch.full((1, 1, 1, 1), 4.0), (1, 1)).image.tolist() == [5.0]


def test_memory_bank__reweighted_by_the_papers_formula():
    options = {"core_set": 1.0, "reweight": 3}
    rows = torch.tensor([0.0, 1.0, 3.0, 20.0]).view(1, 1, 1, 4)
    fitted = MemoryBankHead.from_options(options).fit([(rows, None)], validation=[], context=_context())
    maps = torch.tensor([0.5, -2.0]).view(
        1, 1, 1, 2
    )  # the worst is -2, nearest to 0, whose neighbours are 0, 1, 3

    distances = torch.tensor([2.0, 3.0, 5.0])
    expected = 2 * (1 - distances[0].exp() / distances.exp().sum())
    torch.testing.assert_close(fitted.score(maps, (1, 2)).image, expected.view(1))


def test_memory_bank__reweighting_among_twins_keeps_the_nearest_row_itself():
    rows = torch.zeros(1, 1, 1, 12)
    fitted = MemoryBankHead.from_options({"core_set": 1.0, "reweight": 3})
    fitted.fit([(rows, None)], validation=[], context=_context())

    score = fitted.score(torch.full((1, 1, 1, 1), 6.0), (1, 1)).image
    torch.testing.assert_close(score, torch.tensor([6 * 2 / 3]))


@pytest.mark.parametrize("cuts", [[1000], [1, 999], [10, 500, 490], [100] * 10])
def test_reservoir__does_not_depend_on_how_the_stream_is_cut(cuts):
    stream = torch.arange(1000.0).view(-1, 1)
    reservoir = RowReservoir(50, numpy_generator(0, "test"))
    for part in stream.split(cuts):
        reservoir.add(part)
    found = reservoir.rows()[:, 0].tolist()

    keys = torch.from_numpy(numpy_generator(0, "test").random(1000))
    assert found == sorted(keys.topk(50).indices.tolist())


def test_reservoir__is_fair():
    """Each tenth of the stream gives about a tenth of the sample."""
    reservoir = RowReservoir(5000, numpy_generator(1, "test"))
    for part in torch.arange(100_000.0).view(-1, 1).split(900):
        reservoir.add(part)

    tenths = torch.histc(reservoir.rows()[:, 0], bins=10, min=0, max=100_000)
    assert float((tenths - 500).abs().max()) < 5 * 21.2  # five binomial deviations


# the Gaussian head


def test_gaussian__is_scipys_mahalanobis_distance_to_the_mean():
    maps = _good()
    fitted = _fitted(GaussianHead, shrinkage=0, smoothing=0)
    rows = maps.permute(0, 2, 3, 1).reshape(-1, 6).double().numpy()
    precision = np.linalg.inv(np.cov(rows.T))

    expected = [distance.mahalanobis(row, rows.mean(axis=0), precision) for row in rows[:96]]
    found = fitted.score(maps[:1], (8, 12)).pixels.flatten()
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32), rtol=1e-4, atol=1e-4)


def test_gaussian__does_not_depend_on_how_the_stream_is_cut():
    maps = _good()
    cut = GaussianHead().fit([(m, None) for m in maps.split(1)], validation=[], context=_context())

    torch.testing.assert_close(cut.score(maps, SIZE).pixels, _fitted(GaussianHead).score(maps, SIZE).pixels)


def test_gaussian__a_step_where_good_features_never_vary_counts_most():
    good = _good()
    good[:, 3] = 2.0
    fitted = _fitted(GaussianHead, good)
    at_mean = good.mean(dim=(0, 2, 3)).view(1, 6, 1, 1)
    steps = [at_mean + torch.eye(6)[channel].view(1, 6, 1, 1) for channel in (2, 3)]

    varying, constant = (float(fitted.score(maps, (1, 1)).image) for maps in steps)
    assert constant > 5 * varying


def test_gaussian__maps_that_never_vary_are_measured_in_their_own_unit():
    fitted = _fitted(GaussianHead, torch.full((1, 2, 3, 4), 7.0))

    assert fitted.score(torch.tensor([10.0, 3.0]).view(1, 2, 1, 1), (1, 1)).image.tolist() == [5.0]


def test_gaussian__refuses_what_it_cannot_invert_and_what_shows_no_spread():
    flat = _good()
    flat[:, 3] = 2.0
    with pytest.raises(ConfigError) as caught:
        _fitted(GaussianHead, flat, shrinkage=0)
    assert str(caught.value) == (
        "gaussian: shrinkage: with 0 the covariance cannot be inverted, as good features do not vary in "
        "every direction; give a larger one, such as 0.01"
    )
    with pytest.raises(InputError) as told:
        _fitted(GaussianHead, _good(batch=1)[:, :, :1, :1])
    assert str(told.value) == "gaussian: needs at least two positions to learn from, got 1"

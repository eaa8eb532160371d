"""Artificial anomalies as negatives of the discriminator: from where they are, in the share asked for."""

from __future__ import annotations

import pytest
import torch

from leatherens.core.backbones import BackbonePool
from leatherens.core.detector import FitContext
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.weights import WeightFinder
from leatherens.plugins.discriminator_head import DiscriminatorHead
from leatherens.plugins.gaussian_head import GaussianHead
from leatherens.plugins.memory_bank_head import MemoryBankHead

QUICK = {"steps": 150, "batch_rows": 256, "learning_rate": 1e-3, "noise": (0.25,), "anomalies": 0}
SIZE = (64, 96)


def good(seed=0, batch=6):
    """Six channels of noise on a grid of 8 x 12."""
    return torch.randn(batch, 6, 8, 12, generator=torch.Generator().manual_seed(seed))


def spoilt(seed=3, batch=10):
    """Good maps with channel 0 raised where the mask (B, 64, 96) has its 16 x 16 pixels."""
    maps, masks = good(seed, batch), torch.zeros(batch, *SIZE, dtype=torch.bool)
    masks[:, 16:32, 40:56] = True
    maps[:, 0, 2:4, 5:7] += 4
    return maps, masks


def fitted(shown=(), **options):
    head = DiscriminatorHead.from_options(QUICK | options)
    context = FitContext(pool=BackbonePool(WeightFinder()))
    return head.fit([(good(), None)], validation=[(good(1), None)], context=context, anomalies=shown)


def test_share__of_the_negatives_are_rows_of_anomalies():
    head = DiscriminatorHead.from_options({"anomalies": 0.25})
    noisy, rows = torch.zeros(40, 3), torch.arange(1, 6.0)[:, None].expand(-1, 3)
    mixed = head._mixed(noisy, rows, torch.Generator().manual_seed(0))
    assert mixed.shape == noisy.shape
    assert int((mixed[:, 0] > 0).sum()) == 10
    assert set(mixed[:10, 0].tolist()) <= {1.0, 2.0, 3.0, 4.0, 5.0}
    assert head._mixed(noisy, rows[:0], torch.Generator()) is noisy


def test_anomalies__are_rows_mostly_inside_the_mask():
    head = DiscriminatorHead.from_options({"anomalies": 0.5})
    head.channels_ = 6
    rows = head._spoilt([spoilt()], FitContext(pool=BackbonePool(WeightFinder())))
    expected = spoilt()[0][:, :, 2:4, 5:7].permute(0, 2, 3, 1).flatten(0, 2)  # ten images of four positions
    assert torch.equal(rows, expected)


def test_anomalies__that_noise_hardly_reaches_are_found():
    maps, masks = spoilt(seed=8)
    plain, shown = fitted(), fitted([spoilt()], anomalies=0.5)
    gaps = []
    for head in (plain, shown):
        scores = head.score(maps, SIZE).pixels
        gaps.append(float(scores[masks].mean() - scores[~masks].mean()) / float(scores[~masks].std()))
    assert gaps[1] > gaps[0] + 1


def test_share_of_0__looks_at_no_anomaly():
    class Watched(list):
        def __iter__(self):
            raise AssertionError("nobody asked for anomalies")

    state, expected = fitted(Watched([spoilt()])).state(), fitted().state()
    assert all(
        torch.equal(state[key], v) if isinstance(v, torch.Tensor) else state[key] == v
        for key, v in expected.items()
    )


def test_share__without_anomalies_to_see_is_refused():
    with pytest.raises(InputError) as caught:
        fitted(anomalies=0.5)
    assert str(caught.value) == (
        "discriminator: its options ask for artificial anomalies, but fit was shown none"
    )


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_share__lies_between_0_and_1(share):
    with pytest.raises(ConfigError, match=r"^discriminator: option 'anomalies': input should be"):
        DiscriminatorHead.from_options({"anomalies": share})


def test_other_heads__want_none():
    assert not MemoryBankHead().wants_anomalies
    assert not GaussianHead().wants_anomalies
    assert DiscriminatorHead().wants_anomalies
    assert not DiscriminatorHead.from_options({"anomalies": 0}).wants_anomalies

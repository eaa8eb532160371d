"""Taking in further good images: banks grow, moments merge, and what cannot says so."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from reference_members import TinyAutoencoder
from small_leather import context, learned, leather, seen

from leatherens.configs.recipe import Choice, Recipe
from leatherens.core.detector import Detector
from leatherens.core.errors import ArtifactError, ConfigError, InputError, NotFittedError
from leatherens.core.gaussians import PositionMoments, whitening
from leatherens.core.heads import Head
from leatherens.core.host import PluginHost
from leatherens.core.thresholds import Normals
from leatherens.core.types import ImageBatch, ImagesInMemory
from leatherens.ensembles.deciding import Rules
from leatherens.ensembles.ensemble import FittedEnsemble
from leatherens.ensembles.recalibrating import _asking
from leatherens.ensembles.updating import refuse_unable
from leatherens.plugins.discriminator_head import DiscriminatorHead
from leatherens.plugins.gaussian_head import GaussianHead
from leatherens.plugins.memory_bank_head import MemoryBankHead
from leatherens.plugins.padim import PaDiM
from leatherens.plugins.patchcore import PatchCore
from leatherens.plugins.score_fusions import Mean
from leatherens.plugins.thresholds import ConformalThreshold, SigmaThreshold

HOST = PluginHost(installed=False)
PYRAMID: dict[str, Any] = {"backbone": "test_resnet", "layers": (1, 2), "weights": "random"}
OLD, NEW = leather(8, seed=1), leather(5, seed=2)
FRESH = leather(3, seed=5)


def joined(*batches: ImageBatch) -> ImageBatch:
    pixels = torch.cat([batch.pixels for batch in batches])
    return ImageBatch(pixels, tuple(f"hide{i}" for i in range(len(pixels))))


def updated(detector: Any, images: ImageBatch) -> Any:
    return detector.update(ImagesInMemory(images), validation=ImagesInMemory(FRESH), context=context())


def padim(**options: Any) -> PaDiM:
    return PaDiM(PaDiM.Params(**{**PYRAMID, "dimensions": 6, **options}))


def patchcore(**options: Any) -> PatchCore:
    return PatchCore(PatchCore.Params(**{**PYRAMID, "pretrain_embed_dimension": None, **options}))


# PaDiM


@pytest.mark.parametrize("ridge", [0.01, 1e-6])
def test_padim__updated_equals_padim_fitted_on_both(ridge: float) -> None:
    merged = updated(learned(padim(regularisation=ridge), OLD), NEW)
    whole = learned(padim(regularisation=ridge), joined(OLD, NEW))

    assert torch.equal(merged.count_, whole.count_)
    assert torch.allclose(merged.mean_, whole.mean_, atol=1e-6)
    assert torch.allclose(seen(merged, FRESH).scores.pixels, seen(whole, FRESH).scores.pixels, rtol=1e-4)


def test_padim__positions_seen_rarely_begin_anew_and_count_what_they_saw() -> None:
    valid = torch.ones(8, 64, 96, dtype=torch.bool)
    valid[1:, :32, :48] = False  # a corner that one image shows
    member = learned(padim(), ImageBatch(OLD.pixels, OLD.ids, valid))
    corner, elsewhere = 0, -1
    assert (member.count_[corner], member.count_[elsewhere]) == (1, 8)
    updated(member, NEW)

    assert (member.count_[corner], member.count_[elsewhere]) == (5, 13)
    alone = learned(padim(), NEW)
    assert torch.allclose(member.mean_[corner], alone.mean_[corner], atol=1e-6)


def test_padim__of_another_size_or_without_counts_is_refused() -> None:
    member = learned(padim(), OLD)
    with pytest.raises(InputError, match="learned every position of images of 64 x 96, got 96 x 64"):
        updated(member, leather(2, size=(96, 64)))
    del member.count_
    with pytest.raises(ArtifactError) as found:
        updated(PaDiM.from_state(member.params, member.state()), NEW)

    assert str(found.value) == (
        "padim: was saved by a version that did not keep how many images each position has seen, so that "
        "nothing can be added; fit it anew, or move only calibration and threshold"
    )


def test_restored_moments__are_those_that_were_whitened() -> None:
    vectors = torch.randn(3, 40, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [1, 2, 3, 4, 9]
    )
    moments = PositionMoments(3, 5)
    moments.add(vectors)
    scatter = moments.scatter.clone()
    factors = whitening(moments, 0.01)
    restored = PositionMoments.restored(moments.count, moments.mean, factors, 0.01)

    expected = torch.stack([(v - v.mean(0)).T @ (v - v.mean(0)) for v in vectors.double()]).float()
    assert torch.allclose(scatter, expected, rtol=1e-4, atol=1e-2)
    assert torch.allclose(restored.scatter, scatter, rtol=1e-4, atol=1e-3)
    assert torch.equal(restored.mean, moments.mean)


# banks


def test_patchcore__bank_grows_by_the_share_of_the_new_patches_and_covers_them() -> None:
    member = learned(patchcore(core_set=0.1), OLD)
    before, held = seen(member, NEW).scores.image, len(member.bank0_)
    positions = 16 * 24
    updated(member, NEW)

    assert len(member.bank0_) == held + int(5 * positions * 0.1)
    assert bool((seen(member, NEW).scores.image < before).all())


def test_patchcore__keeping_all_equals_one_fitted_on_both() -> None:
    merged = updated(learned(patchcore(core_set=1.0), OLD), NEW)
    whole = learned(patchcore(core_set=1.0), joined(OLD, NEW))

    assert torch.equal(seen(merged, FRESH).scores.pixels, seen(whole, FRESH).scores.pixels)


def test_patchcore__with_several_banks_sets_their_scales_anew() -> None:
    member = learned(patchcore(backbone=("test_resnet", "test_vit"), layers=(1, 2), core_set=1.0), OLD)
    before = list(member.centres_)
    updated(member, NEW)
    whole = learned(member, joined(OLD, NEW))

    assert member.centres_ != before
    assert len(whole.centres_) == 2


def test_memory_bank_head__grows_to_its_cap_and_covers_the_new() -> None:
    old, new = (torch.randn(4, 6, 8, 12, generator=torch.Generator().manual_seed(i)) + 3 * i for i in (0, 1))
    for cap, rows in ((10_000, 78), (50, 50)):
        head = MemoryBankHead.from_options({"max_rows": cap})
        head.fit([(old, None)], validation=[(old, None)], context=context())
        before = head.score(new, (64, 96)).image
        head.update([(new, None)], context=context())

        assert len(head.bank_) == rows
        assert bool((head.score(new, (64, 96)).image < before).all())


# what cannot, and what goes wrong


def test_gaussian_head__updated_is_the_one_fitted_on_both() -> None:
    generator = torch.Generator().manual_seed(0)
    old, new = (torch.randn(count, 5, 8, 12, generator=generator) + count for count in (4, 3))
    whole = GaussianHead.from_options({}).fit([(old, None), (new, None)], validation=[], context=context())
    head = GaussianHead.from_options({}).fit([(old, None)], validation=[], context=context())
    mean, scatter = head.mean_, head.scatter_
    kept = mean.clone(), scatter.clone()

    head.update([(new, None)], context=context())

    assert head.count_ == whole.count_ == 7 * 96
    torch.testing.assert_close(head.mean_, whole.mean_)
    torch.testing.assert_close(head.scatter_, whole.scatter_)
    assert torch.equal(mean, kept[0]), "what it had learned before is left as it was"
    assert torch.equal(scatter, kept[1]), "what it had learned before is left as it was"
    torch.testing.assert_close(head.score(new, (64, 96)).image, whole.score(new, (64, 96)).image)


def test_flags_of_heads__say_what_they_have() -> None:
    for id in HOST.heads().ids():
        kind = HOST.heads().load(id)
        assert kind.updates == (kind._update is not Head._update), id


def test_detectors_that_cannot__say_why() -> None:
    learner = learned(TinyAutoencoder(TinyAutoencoder.Params(steps=1)), OLD)
    with pytest.raises(InputError, match="learned by gradient steps and stays as it is; fit it anew"):
        updated(learner, NEW)
    assert {id for id in HOST.detectors().ids() if HOST.detectors().load(id).capabilities.updates} == {
        "padim",
        "patchcore",
    }
    for id in HOST.detectors().ids():
        kind = HOST.detectors().load(id)
        assert kind.capabilities.updates == (kind._update is not Detector._update), id


def test_update__before_fit_or_with_nothing_is_refused() -> None:
    with pytest.raises(NotFittedError, match="patchcore: update was called before fit"):
        updated(patchcore(), NEW)
    with pytest.raises(NotFittedError, match="memory-bank: update was called before fit"):
        MemoryBankHead.from_options({}).update([], context=context())
    nothing = ImageBatch(NEW.pixels[:0], ())
    with pytest.raises(InputError, match="patchcore: update needs a good image and one to validate, got 0"):
        updated(learned(patchcore(), OLD), nothing)


def test_a_head_that_fails_half_way__is_as_it_was() -> None:
    maps = torch.randn(4, 6, 8, 12)
    head = MemoryBankHead.from_options({}).fit([(maps, None)], validation=[], context=context())
    bank = head.bank_
    with pytest.raises(InputError, match=r"expected fused maps \(B, 6, h, w\) float32, got"):
        head.update([(maps, None), (maps[:, :4], None)], context=context())

    assert head.bank_ is bank
    assert head.score(maps, (64, 96)).image.shape == (4,)


def test_a_discriminator_head__is_refused_with_the_ways_out() -> None:
    member = learned(patchcore(), OLD)
    head = DiscriminatorHead.from_options({"steps": 1, "anomalies": 0})
    maps = torch.randn(2, 6, 8, 12)
    head.fit([(maps, None)], validation=[(maps, None)], context=context())
    ensemble = FittedEnsemble(context().pool, {"patchcore": member}, {}, Mean(), head=head)
    with pytest.raises(InputError) as found:
        refuse_unable(ensemble)

    assert str(found.value) == (
        "the head 'discriminator' takes in no further images, and what it learned of the members would no "
        "longer fit; move only calibration and threshold with leatherens recalibrate, or make a new run"
    )
    with pytest.raises(InputError, match="discriminator: takes in no further images; fit it anew"):
        head.update([(maps, None)], context=context())


def test_recalibrate__takes_a_rate_only_where_the_threshold_does() -> None:
    scores = Normals(torch.rand(9).numpy(), [torch.rand(2, 2).numpy()] * 9)
    k_sigma, promising = SigmaThreshold().fit(scores), ConformalThreshold().fit(scores)
    recipe = Recipe(members={"stfpm": {}}, threshold=Choice(id="k-sigma"))  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match="the threshold 'k-sigma' takes no rate; leave it out"):
        _asking(recipe, Rules(k_sigma, k_sigma), 0.1)

    conformal = Recipe(members={"stfpm": {}})  # type: ignore[dict-item]
    asked = _asking(conformal, Rules(promising, promising), 0.1)
    assert asked.threshold.options == {"false_alarms": 0.1}

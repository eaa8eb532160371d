"""The bridged detectors, with the real anomalib and random weights: nothing is fetched."""

from __future__ import annotations

from functools import partial

import pytest

pytest.importorskip("anomalib", reason="anomalib is not installed: pip install anomalib")

import torch
from leatherens_anomalib.padim import Padim
from leatherens_anomalib.patchcore import Patchcore
from leatherens_anomalib.stfpm import Stfpm

from leatherens import FitContext, ImageBatch
from leatherens.core.errors import ConfigError
from leatherens.core.types import ImagesInMemory
from leatherens.testing import parametrize_members
from leatherens.testing.scenes import make_scene
from leatherens.testing.stand_ins import random_pool

SMALL = {"backbone": "test_resnet.r160_in1k", "layers": [1, 2]}
"""A network of a few channels that timm keeps for tests."""


@parametrize_members(
    partial(Patchcore.from_options, SMALL | {"max_positions": 500}),
    partial(Padim.from_options, SMALL | {"dimensions": 20}),
    partial(Stfpm.from_options, SMALL | {"steps": 60, "batch_size": 4, "epochs": 1}),
)
def test_conforms(check):
    check()


def fitted(detector):
    scene, pool = make_scene((64, 96)), random_pool()
    teach, validate = ImagesInMemory(scene.teach), ImagesInMemory(scene.validate)
    return detector.fit(teach, validation=validate, context=FitContext(pool)), scene, pool


def test_patchcore__maps_are_anomalibs_own():
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    detector, scene, pool = fitted(Patchcore.from_options(SMALL | {"max_positions": 500}))
    (request,) = detector.backbones()
    reference = PatchcoreModel(layers=[1, 2], backbone=SMALL["backbone"], pre_trained=False).eval()
    pool.copy_into(reference.feature_extractor.feature_extractor, request)
    reference.memory_bank = detector.model_.memory_bank
    spec = pool.spec(request)
    with torch.no_grad():
        expected = reference(spec.normalise(scene.mixed.pixels)).anomaly_map[:, 0]
    found = detector.observe(scene.mixed, pool.pyramids(scene.mixed, [request])).scores.pixels

    assert torch.allclose(found, expected, atol=1e-4 * float(expected.max()))


def test_hidden_positions__do_not_enter_patchcores_memory():
    scene, pool = make_scene((64, 96)), random_pool()
    valid = torch.zeros(12, 64, 96, dtype=torch.bool)
    valid[:, :, :48] = True
    teach = ImagesInMemory(ImageBatch(scene.teach.pixels, scene.teach.ids, valid))
    detector = Patchcore.from_options(SMALL | {"core_set": 1.0})
    detector.fit(teach, validation=ImagesInMemory(scene.validate), context=FitContext(pool))
    (spec,) = detector.features()

    assert len(detector.model_.memory_bank) <= 12 * (64 // spec.stride) * (48 // spec.stride)


def test_padim__too_many_dimensions_are_refused_before_work():
    with pytest.raises(ConfigError, match="anomalib-padim: dimensions: 9999 asked of"):
        fitted(Padim.from_options(SMALL | {"dimensions": 9999}))

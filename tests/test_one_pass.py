"""Members that share a backbone: one pass of each image through it, when they learn and when they score."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from counted_passes import Counted
from small_leather import context, learned, leather

from leatherens.core.detector import Detector, Effort, FitContext
from leatherens.core.host import PluginHost
from leatherens.core.weights import DEFAULT_MODEL
from leatherens.ensembles.ensemble import FittedEnsemble, Stopwatch

MODEL = "test_resnet"
TINY: dict[str, dict[str, Any]] = {
    "stfpm": {"layers": (1, 2), "steps": 2, "batch_size": 2},
    "reverse-distillation": {"layers": (1, 2), "steps": 2, "batch_size": 2},
    "patchcore": {"layers": (1, 2)},
    "simplenet": {"layers": (2, 3), "steps": 2, "hidden": 8},
    "padim": {"layers": (1,), "dimensions": 6},
}
"""Members whose levels overlap; none asks for all of them."""

ON_ONE_PYRAMID = (
    "cfa",
    "cflow",
    "padim",
    "patchcore",
    "rd-plus-plus",
    "reverse-distillation",
    "simplenet",
    "stfpm",
)
HOST = PluginHost(installed=False)


def member(id: str, **options: Any) -> Detector:
    return (
        HOST.detectors()
        .load(id)
        .from_options({"backbone": MODEL, "weights": "random", **TINY[id], **options})
    )


def prepared(found: FitContext) -> FitContext:
    """The pool loaded for all members, as a run does it before any learns."""
    found.pool.prepare(request for id in TINY for request in member(id).backbones())
    return found


@pytest.mark.parametrize("id", ON_ONE_PYRAMID)
def test_quick__members_ask_for_levels_of_one_and_the_same_model(id: str) -> None:
    detector = HOST.detectors().load(id)
    requests = detector(detector.params_for(Effort.quick)).backbones()

    assert {(request.source, request.shrink) for request in requests} == {
        ((DEFAULT_MODEL, "pretrained", False), 1)
    }


def test_learning__passes_each_image_once_whatever_the_number_of_members(counted: Counted) -> None:
    """The students' own passes are theirs; what counts are the teacher's, shared by all."""
    images, found = leather(4), prepared(context())
    for id in TINY:
        learned(member(id), images, found)

    assert counted.by_model() == {MODEL: 4 + 2}  # those to learn from and those to validate on


def test_learning__on_crops_drawn_anew_passes_those_and_no_whole_image_twice(counted: Counted) -> None:
    """Random squares differ from step to step: nobody could have seen them before."""
    images, found = leather(4, size=(96, 96)), context()
    learned(member("patchcore"), images, found)
    before = len(counted.images)
    learned(member("stfpm", crop=64, layers=(1, 2)), images, found)

    assert before == 4
    squares, validation = 2 * 2, 2
    assert len(counted.images) == before + squares + validation


def test_scoring__passes_each_image_once_whatever_the_number_of_members(counted: Counted) -> None:
    images, found = leather(4), prepared(context())
    members = {id: learned(member(id), images, found) for id in TINY}
    ensemble = FittedEnsemble(
        found.pool,
        members,
        {id: detector.default_cut for id, detector in members.items()},
        HOST.score_fusions().load("mean")(),
    )
    batch = leather(3, seed=5)
    counted.images.clear()

    watch = Stopwatch()
    seen = ensemble.observe(batch, watch)

    assert counted.by_model() == {MODEL: 3}
    assert sum(name.startswith("backbone/") for name in watch.seconds) == 1
    for id, detector in members.items():  # and what each sees is what it sees alone
        alone = detector.observe(batch, context().pool.pyramids(batch, detector.backbones()))
        assert torch.equal(alone.scores.pixels, seen[id].scores.pixels), id


def test_students__of_one_teacher_are_trained_on_one_pass(counted: Counted) -> None:
    """STFPM's teacher is RD's and RD++'s, too; none runs it for itself."""
    images, found = leather(4), prepared(context())
    learned(member("stfpm"), images, found)
    counted.images.clear()

    learned(member("reverse-distillation"), images, found)

    assert counted.images == []


def test_pool__keeps_one_copy_of_a_shared_model() -> None:
    pool = prepared(context()).pool
    loaded = {id(pool._of(request).module) for name in TINY for request in member(name).backbones()}

    assert len(loaded) == 1

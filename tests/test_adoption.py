"""Classes that inherit from nothing of ours: joined to their kind's base, or refused in words."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import call, options, table
from torch import Tensor, nn

from leatherens import (
    CalibratedScores,
    Detector,
    FeatureMaps,
    FeatureSpec,
    FusionBlock,
    Head,
    InputError,
    Observation,
    Params,
    Preparation,
    Prepared,
    ScoreMap,
    Threshold,
)
from leatherens.core.adoption import BASES, adopted, base_of
from leatherens.core.detector import FitContext
from leatherens.core.errors import NotFittedError, PluginError
from leatherens.core.host import KINDS
from leatherens.core.types import ImageBatch
from leatherens.testing.stand_ins import WatchedImages, random_pool


class Colour:
    """Has the public methods, in plain Python."""

    id = "colour"

    class Params(Params):
        scale: float = 1.0

    def __init__(self, params: Any = None) -> None:
        self.given = params

    def features(self) -> tuple[FeatureSpec, ...]:
        return (FeatureSpec("colour/distance", channels=1, stride=1),)

    def fit(self, images: Any, *, validation: Any, context: Any) -> Colour:
        self.mean_ = images.batch(range(len(images.ids))).pixels.mean(dim=(0, 2, 3))
        return self

    def observe(self, batch: Any, pyramids: Any) -> Observation:
        far = (batch.pixels - self.mean_.view(1, 3, 1, 1)).square().sum(dim=1) * self.given.scale
        return Observation(
            FeatureMaps((far[:, None],), ("colour/distance",)), ScoreMap(far, far.amax((1, 2)))
        )


class InnerColour:
    """Has what an author fills, and no constructor."""

    id = "inner-colour"

    def features(self) -> tuple[FeatureSpec, ...]:
        return (FeatureSpec("inner-colour/distance", channels=1, stride=1),)

    def _fit(self, images: Any, validation: Any, context: Any) -> None:
        Colour.fit(self, images, validation=validation, context=context)  # type: ignore[arg-type]

    def _observe(self, batch: Any, pyramids: Any) -> Observation:
        far = (batch.pixels - self.mean_.view(1, 3, 1, 1)).square().sum(dim=1)  # type: ignore[attr-defined]
        maps = FeatureMaps((far[:, None],), ("inner-colour/distance",))
        return Observation(maps, ScoreMap(far, far.amax((1, 2))))


def images() -> ImageBatch:
    return ImageBatch(torch.rand(4, 3, 40, 48, generator=torch.Generator().manual_seed(1)), tuple("abcd"))


def fitted(kind: type) -> Any:
    pool = random_pool()
    source = WatchedImages(images())
    return kind.from_options({}).fit(source, validation=source, context=FitContext(pool))  # type: ignore[attr-defined]


def test_every_kind__has_a_base() -> None:
    assert tuple(BASES) == KINDS
    assert all(base_of(kind).__name__ == name for kind, (_, name) in BASES.items())


@pytest.mark.parametrize("kind", [Colour, InnerColour])
def test_detector__of_no_base_gets_what_every_detector_has(kind: type) -> None:
    joined = adopted(kind, "detectors")
    member = fitted(joined)
    again = joined.from_state(member.params, member.state())  # type: ignore[attr-defined]

    assert issubclass(joined, Detector)
    assert (joined.__module__, joined.__qualname__, joined.__doc__) == (
        kind.__module__,
        kind.__qualname__,
        kind.__doc__,
    )
    assert adopted(kind, "detectors") is joined  # what was stored by one host is loaded by another
    assert again.observe(images(), random_pool().pyramids(images(), [])).scores.pixels.equal(
        member.observe(images(), random_pool().pyramids(images(), [])).scores.pixels
    )


def test_detector__of_no_base_is_checked_like_any() -> None:
    class Careless(Colour):
        id = "careless"

        def observe(self, batch: Any, pyramids: Any) -> Observation:
            seen = super().observe(batch, pyramids)
            return Observation(seen.features, ScoreMap(seen.scores.pixels[:1], seen.scores.image))

    joined = adopted(Careless, "detectors")
    pyramids = random_pool().pyramids(images(), [])

    with pytest.raises(InputError, match=r"^careless: delivered scores of shapes "):
        fitted(joined).observe(images(), pyramids)
    with pytest.raises(NotFittedError, match=r"^careless: observe was called before fit"):
        joined().observe(images(), pyramids)


def test_detector__of_no_base_has_its_options() -> None:
    joined: Any = adopted(Colour, "detectors")

    assert joined.from_options({"scale": 3}).given.scale == 3
    assert repr(joined()) == "Colour(scale=1.0)"


def test_detector__that_is_a_torch_module_is_joined_too() -> None:
    class Module(nn.Module):
        id = "module"
        features, fit, observe = Colour.features, Colour.fit, Colour.observe  # type: ignore[assignment]

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 1)
            self.given = Colour.Params()

    member = fitted(adopted(Module, "detectors"))

    assert member.fitted
    assert isinstance(member.layer, nn.Linear)


def test_run__with_a_detector_of_no_base_alone_and_in_an_ensemble(leather: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "strange.py"
    plugin.write_text(
        "from test_adoption import Colour\nfrom leatherens import hookimpl\nleatherens_api = 1\n"
        "@hookimpl\ndef register_detectors(register): register('colour', 'test_adoption:Colour')\n",
        encoding="utf-8",
    )
    shared = ["--data", leather, "--out"]
    alone = call(
        "--plugin",
        plugin,
        "run",
        "--members",
        "colour",
        "--size",
        64,
        "--device",
        "cpu",
        *shared,
        tmp_path / "a",
    )
    given = options("stfpm")
    given[1] = "colour,stfpm"
    fused = call("--plugin", plugin, "run", *given, *shared, tmp_path / "b")
    judged = call("--plugin", plugin, "predict", tmp_path / "b", leather / "test/good")

    assert (alone.exit_code, fused.exit_code) == (0, 0), alone.stderr + fused.stderr
    assert judged.exit_code in (0, 1), judged.stderr
    of_one, of_two = table(tmp_path / "a"), table(tmp_path / "b")
    assert {id: row["colour"] for id, row in of_one.items()} == {
        id: row["colour"] for id, row in of_two.items()
    }
    assert of_two[next(iter(of_two))]["ensemble"] != of_two[next(iter(of_two))]["colour"]


# what is refused


class Empty:
    id = "empty"


LACKING = {
    "calibrators": "calibrate and fit",
    "detectors": "features, fit and observe",
    "fusion_blocks": "fit and transform",
    "heads": "fit and score",
    "preparations": "apply",
    "readers": "read and recognises",
    "reporters": "write",
    "score_fusions": "fuse",
    "backbones": "weights",
}


@pytest.mark.parametrize("kind", LACKING)
def test_class__that_lacks_methods_is_told_which(kind: str) -> None:
    base = base_of(kind).__name__
    with pytest.raises(PluginError) as caught:
        adopted(Empty, kind)

    assert str(caught.value) == (
        f"it lacks {LACKING[kind]}; inherit from leatherens.{base}, or have {LACKING[kind]}"
    )


@pytest.mark.parametrize("inherits", [(), (Threshold,)])
def test_threshold__without_a_rule_is_told_so(inherits: tuple[type, ...]) -> None:
    kind = type("Idle", inherits, {"id": "idle"})

    with pytest.raises(PluginError) as caught:
        adopted(kind, "thresholds")

    assert str(caught.value) == (
        "it lacks _value; fill _value or _image_limit or fit as leatherens.Threshold says"
    )


def test_class__that_inherits_and_fills_not_everything_is_told_what() -> None:
    class Half(Detector):
        id = "half"

        def features(self) -> tuple[FeatureSpec, ...]:
            return ()

    with pytest.raises(PluginError, match=r"^it lacks _fit and _observe, which every Detector fills$"):
        adopted(Half, "detectors")


def test_method__that_is_abstract_is_none() -> None:
    class Abstract(Colour):
        @abstractmethod
        def features(self) -> tuple[FeatureSpec, ...]: ...

    with pytest.raises(PluginError, match=r"^it lacks features; "):
        adopted(Abstract, "detectors")


def test_constructor__that_wants_more_than_options_is_refused() -> None:
    class Greedy(Colour):
        def __init__(self, neighbours: int, metric: str) -> None: ...

    with pytest.raises(PluginError, match=r"^its constructor wants neighbours and metric, expected __init__"):
        adopted(Greedy, "detectors")


def test_params__of_another_library_are_refused() -> None:
    class Plain(Colour):
        class Params:  # type: ignore[assignment]
            pass

    with pytest.raises(
        PluginError, match=r"^its Params are no leatherens.Params, which options are read with$"
    ):
        adopted(Plain, "detectors")


# the other kinds


def test_block__of_no_base_is_checked_like_any() -> None:
    class First:
        id = "first"

        def fit(self, batches: Any) -> None:
            self.seen_ = sum(len(features["a"].maps[0]) for features, _ in batches)

        def transform(self, members: Any) -> Tensor:
            return members["a"].maps[0]

    features = {"a": FeatureMaps((torch.rand(2, 3, 4, 5),), ("a/x",))}
    block: FusionBlock = adopted(First, "fusion_blocks")().fit([(features, None)])

    assert block.seen_ == 2  # type: ignore[attr-defined]
    assert block.transform(features).shape == (2, 3, 4, 5)
    with pytest.raises(InputError, match=r"^first: expected the maps it learned from"):
        block.transform({"b": features["a"]})


def test_calibrator__and_preparation_of_no_base_are_joined() -> None:
    class Flat:
        id = "flat"

        def fit(self, normals: Tensor) -> None:
            self.count_ = len(normals)

        def calibrate(self, scores: Tensor) -> CalibratedScores:
            return CalibratedScores(scores, self.count_)

    class Dark:
        id = "dark"
        learns = True

        def fit(self, good: Any, *, seed: int, progress: Any) -> None:
            self.seed_ = seed

        def apply(self, picture: Prepared) -> Prepared:
            return Prepared(picture.name, picture.pixels // self.seed_)

    picture = Prepared("a", np.full((4, 4, 3), 9, np.uint8))
    step: Preparation = adopted(Dark, "preparations")().fit([picture], seed=3)

    assert adopted(Flat, "calibrators")().fit(torch.arange(5.0)).calibrate(torch.ones(2)).normals == 5
    assert step.apply(picture).pixels.max() == 3


def test_head__of_no_base_with_public_methods_answers_for_itself() -> None:
    class Norm:
        id = "norm"

        def fit(self, maps: Any, *, validation: Any, context: Any, anomalies: Any = ()) -> Any:
            self.learned_ = True
            return self

        def score(self, maps: Tensor, size: Any, valid: Any = None) -> ScoreMap:
            norm = nn.functional.interpolate(maps.norm(dim=1, keepdim=True), size)[:, 0]
            return ScoreMap(norm, norm.amax((1, 2)))

    head: Head = adopted(Norm, "heads")()
    assert not head.fitted
    head.fit([], validation=[], context=FitContext(random_pool()))

    assert head.fitted
    assert not head.wants_anomalies
    assert head.score(torch.ones(2, 3, 4, 4), (8, 8)).pixels.shape == (2, 8, 8)

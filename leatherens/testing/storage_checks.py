"""What a fitted detector leaves on disk, moves between devices, and promises to the fusion."""

from __future__ import annotations

import json
from fnmatch import fnmatch

import torch
from torch import Tensor

from leatherens.core.detector import Detector, FeatureSpec
from leatherens.core.types import FeatureMaps
from leatherens.testing.comparing import tensors_in
from leatherens.testing.reloading import reloaded
from leatherens.testing.stand_ins import random_pool
from leatherens.testing.trial import Trial


def check_save_load_same_scores(trial: Trial) -> None:
    """A detector written to files and read back, options from JSON, scores and describes itself the same."""
    loaded = reloaded(trial.fitted.member)
    trial.expect(loaded.fitted, "a loaded detector is not fitted")
    seen = trial.observe(loaded, trial.scene.mixed)
    trial.expect_same(trial.seen, seen, "saved and loaded, scores disagree")
    trial.expect(loaded.features() == trial.fitted.member.features(), "saved and loaded, features() differs")


def check_state_is_tensors_and_json(trial: Trial) -> None:
    """The state holds tensors and JSON values only: loading a model somebody sent must not run code."""
    for name, value in trial.fitted.member.state().items():
        if not isinstance(value, Tensor):
            trial.expect(
                _is_json(value), f"the state's {name} is neither a tensor nor JSON: {type(value).__name__}"
            )


def _is_json(value: object) -> bool:
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError):
        return False


def check_features_as_declared(trial: Trial) -> None:
    """The declared feature maps are delivered: names, order, channels, strides; the cut finds some."""
    member, seen = trial.fitted.member, trial.seen.features
    declared = member.features()
    names = tuple(spec.name for spec in declared)
    trial.expect(declared, "features() declares nothing, so that no fusion of features can use this member")
    trial.expect(names == seen.names, f"features() declares {names}, but observe delivers {seen.names}")
    trial.expect(len(set(names)) == len(names), f"two feature maps have one name: {names}")
    stray = [name for name in names if not name.startswith(f"{member.id}/")]
    trial.expect(not stray, f"feature names start with '{member.id}/', unlike {', '.join(stray)}")
    for spec in declared:
        _expect_map(trial, spec, seen)
    cut = member.default_cut
    taken = [n for n in names if any(fnmatch(n, p) or fnmatch(n.split("/", 1)[-1], p) for p in cut)]
    trial.expect(taken, f"default_cut {cut} matches none of {', '.join(names)}")


def _expect_map(trial: Trial, spec: FeatureSpec, seen: FeatureMaps) -> None:
    _, channels, height, width = seen[spec.name].shape
    trial.expect(
        channels == spec.channels, f"{spec.name} has {channels} channels, declared are {spec.channels}"
    )
    for side, cells in zip(trial.scene.good.size, (height, width), strict=True):
        fits = abs(cells * spec.stride - side) < spec.stride
        trial.expect(
            fits,
            f"{spec.name} is {height} x {width} for images of {trial.scene.good.size}, "
            f"which is not the declared stride {spec.stride}",
        )


def check_moves_between_devices(trial: Trial) -> None:
    """`to` moves everything learned: to the GPU and back where there is one, else to torch's meta device."""
    member = reloaded(trial.fitted.member)
    trial.expect(member.to("cpu") is member, "to must return self")
    if torch.cuda.is_available():
        _expect_same_on_gpu(trial, member)
        return
    try:
        member.to("meta")
    except NotImplementedError:  # something is computed anew while moving; only a real device can tell
        return
    left = [path for path, tensor in tensors_in(vars(member)) if tensor.device.type != "meta"]
    trial.expect(
        not left,
        f"to(device) leaves {', '.join(left[:4])} behind; keep learned tensors in attributes ending in '_'",
    )


def _expect_same_on_gpu(trial: Trial, member: Detector) -> None:
    """On the GPU, convolutions round more coarsely than ours: a hundredth of the range is allowed."""
    seen = trial.observe(member.to("cuda"), trial.scene.mixed.to("cuda"), random_pool("cuda"))
    apart = float((seen.scores.pixels.cpu() - trial.seen.scores.pixels).abs().max())
    span = float(trial.seen.scores.pixels.max() - trial.seen.scores.pixels.min())
    trial.expect(apart <= 0.01 * span, f"on the GPU the score map differs by {apart:.3g} of {span:.3g}")
    back = trial.observe(member.to("cpu"), trial.scene.mixed)
    trial.expect_same(trial.seen, back, "moved to the GPU and back, scores disagree")


CHECKS = (
    check_save_load_same_scores,
    check_state_is_tensors_and_json,
    check_features_as_declared,
    check_moves_between_devices,
)

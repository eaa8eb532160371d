"""From a recipe to the objects it names, and back to a recipe with every default written out."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from leatherens.configs.recipe import LABELLED, Choice, MemberChoice, Mode, Recipe
from leatherens.core.backbones import BackbonePool
from leatherens.core.calibration import Calibrator
from leatherens.core.component import Component
from leatherens.core.detector import Detector, Effort
from leatherens.core.errors import ConfigError, did_you_mean
from leatherens.core.feature_cache import FeatureCache
from leatherens.core.fusion import FusionBlock
from leatherens.core.heads import Head
from leatherens.core.host import PluginHost
from leatherens.core.preparation import Preparation
from leatherens.core.scorefusion import ScoreFusion
from leatherens.core.thresholds import SIDES, Side, Threshold
from leatherens.core.weights import WeightFinder
from leatherens.ensembles.ensemble import FUSED_FEATURES

WEIGHTS_VARIABLE = "LEATHERENS_WEIGHTS"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a recipe names, made but not fitted.

    block, head: `None` where only scores are fused. votes: whether the members' own scores count.
    preparation: the steps in their order.
    """

    members: Mapping[str, Detector]
    cuts: Mapping[str, tuple[str, ...]]
    block: FusionBlock | None
    head: Head | None
    score_fusion: ScoreFusion
    votes: bool
    preparation: tuple[Preparation, ...] = ()


def resolve(recipe: Recipe, host: PluginHost) -> Recipe:
    """The same recipe with every default of every part written out, ready to be stored."""
    _refuse_twins(recipe, host)
    device = device_of(recipe.device)
    effort = _effort(recipe.effort, device)
    settled = recipe.model_copy(update={"device": device, "effort": effort.value, "mode": recipe.fusion_mode})
    parts = {
        "block": _written_out(host, "fusion_blocks", recipe.block),
        "head": _written_out(host, "heads", recipe.head),
        "score_fusion": _written_out(host, "score_fusions", recipe.score_fusion),
        "calibrator": _written_out(host, "calibrators", recipe.calibrator),
        **_thresholds(host, recipe),
        "preparation": tuple(_written_out(host, "preparations", step) for step in recipe.preparation),
        "members": {
            id: _resolved_member(host, id, recipe.members[id], effort) for id in sorted(recipe.members)
        },
    }
    _check_voters(settled, host)
    return settled.model_copy(update=parts)


def build(recipe: Recipe, host: PluginHost) -> Parts:
    """The parts a resolved recipe names."""
    members = {id: host.detectors().load(id).from_options(m.options) for id, m in recipe.members.items()}
    fused = recipe.fusion_mode is not Mode.score
    block = _made(host, "fusion_blocks", recipe.block) if fused else None
    if block is not None:
        block.require_members(list(members))
    return Parts(
        members=members,
        cuts={id: m.features or members[id].default_cut for id, m in recipe.members.items()},
        block=block,
        head=_made(host, "heads", recipe.head) if fused else None,
        score_fusion=_made(host, "score_fusions", recipe.score_fusion),
        votes=recipe.fusion_mode is not Mode.feature,
        preparation=build_preparation(recipe, host),
    )


def build_preparation(recipe: Recipe, host: PluginHost) -> tuple[Preparation, ...]:
    """Fresh steps between a photograph and the working size."""
    return tuple(_made(host, "preparations", step) for step in recipe.preparation)


def build_calibrator(recipe: Recipe, host: PluginHost) -> Calibrator:
    """A fresh calibrator; every scorer has its own."""
    return _made(host, "calibrators", recipe.calibrator)  # type: ignore[no-any-return]


def build_rules(recipe: Recipe, host: PluginHost) -> tuple[tuple[Threshold, tuple[Side, ...]], ...]:
    """Fresh thresholds and what each is for: one for both sides, or one for images and one for pixels.

    Every scorer has its own.
    """
    images: Threshold = _made(host, "thresholds", recipe.threshold)
    if recipe.pixel_threshold is None:
        return ((images, SIDES),)
    return (images, ("image",)), (_made(host, "thresholds", recipe.pixel_threshold), ("pixel",))


def needs_labels(recipe: Recipe, host: PluginHost) -> bool:
    """Whether a threshold learns from labelled images."""
    return any(rule.needs_labels for rule, _ in build_rules(recipe, host))


def load_backbones(
    recipe: Recipe, host: PluginHost, parts: Parts, *, cache: FeatureCache | None = None
) -> BackbonePool:
    """All backbones the members ask for, with weights from the places the recipe and the environment name."""
    named = [Path(p) for p in recipe.weights]
    named += [Path(p) for p in os.environ.get(WEIGHTS_VARIABLE, "").split(os.pathsep) if p]
    packages = {id: package() for id, package in host.backbones().usable().items()}
    finder = WeightFinder(paths=named, packages=packages, allow_download=recipe.allow_download)
    pool = BackbonePool(finder, device=recipe.device, cache=cache)
    pool.prepare(request for member in parts.members.values() for request in member.backbones())
    _refuse_unused(recipe, pool)
    return pool


def _refuse_unused(recipe: Recipe, pool: BackbonePool) -> None:
    """Refuse a weights file that was given and is not used: other weights would silently stand in for it."""
    loaded = pool.loaded()
    used = {found["origin"] for found in loaded.values()}
    for path in map(Path, recipe.weights):
        if path.is_file() and str(path) not in used:
            models = ", ".join(loaded) or "none, the members need no weights"
            raise ConfigError(
                f"{path}: no member uses this weights file (backbones: {models}); name it after the "
                "backbone, such as resnet18.pth, or leave it out"
            )


def reductions(recipe: Recipe, host: PluginHost) -> tuple[str, ...]:
    """How members differ from their published settings, one sentence each."""
    sentences = []
    for id, member in recipe.members.items():
        published = host.detectors().load(id).params_for(Effort.full).model_dump(mode="json")
        changed = [
            f"{key} {_said(member.options[key])} ({_said(value)})"
            for key, value in published.items()
            if member.options.get(key) != value
        ]
        if changed:
            sentences.append(f"{id} differs from its published settings (in brackets): {', '.join(changed)}")
    return tuple(sentences)


def _said(value: Any) -> Any:
    return "unset" if value is None else value


def _made(host: PluginHost, kind: str, choice: Choice) -> Any:
    part: type[Component] = host.registry(kind).load(choice.id)
    return part.from_options(choice.options)


def _written_out(host: PluginHost, kind: str, choice: Choice) -> Choice:
    return Choice(id=choice.id, options=_made(host, kind, choice).params.model_dump(mode="json"))


def _thresholds(host: PluginHost, recipe: Recipe) -> dict[str, Any]:
    """Both rules; what they need of labelled images is spared for them."""
    pixels = recipe.pixel_threshold
    return {
        "threshold": _written_out(host, "thresholds", recipe.threshold),
        "pixel_threshold": None if pixels is None else _written_out(host, "thresholds", pixels),
        "labelled": recipe.labelled or (LABELLED if needs_labels(recipe, host) else 0.0),
    }


def _resolved_member(host: PluginHost, id: str, member: MemberChoice, effort: Effort) -> MemberChoice:
    detector = host.detectors().load(id)
    options = detector.params_for(effort).model_dump(mode="json") | member.options
    settled = detector.from_options(options).params.model_dump(mode="json")
    return MemberChoice(options=settled, features=member.features or detector.default_cut)


def _check_voters(recipe: Recipe, host: PluginHost) -> None:
    """Let the score fusion refuse voters that its options do not fit; alone, a voter is not fused."""
    fusion: ScoreFusion = _made(host, "score_fusions", recipe.score_fusion)
    voters = sorted(recipe.members) if recipe.fusion_mode is not Mode.feature else []
    voters += [FUSED_FEATURES] if recipe.fusion_mode is not Mode.score else []
    if len(voters) > 1:
        fusion.check_voters(voters)


def _refuse_twins(recipe: Recipe, host: PluginHost) -> None:
    """Refuse a detector named twice, as `stfpm` and as `plugin:stfpm`."""
    names: dict[str, str] = {}
    for id in recipe.members:
        entry = host.detectors().entry(id)
        if entry.qualified in names:
            raise ConfigError(
                f"members: '{names[entry.qualified]}' and '{id}' are one detector; name it once"
            )
        names[entry.qualified] = id


def device_of(asked: str) -> str:
    """What `auto` means here; a `ConfigError` for a device that is unknown or is not there."""
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if asked != "cpu" and not re.fullmatch(r"cuda(:\d+)?", asked):
        raise ConfigError(f"unknown device '{asked}'; use auto, cpu or cuda")
    number = int(asked.partition(":")[2] or 0)
    count = torch.cuda.device_count()
    if asked != "cpu" and number >= count:
        seen = f"only {count} of them" if count else "no GPU"
        raise ConfigError(f"device '{asked}' was asked for, but torch sees {seen} here; use --device cpu")
    return asked


def _effort(asked: str, device: str) -> Effort:
    if asked == "auto":
        return Effort.quick if device == "cpu" else Effort.full
    if asked not in Effort.__members__:
        hint = did_you_mean(asked, ("auto", *Effort.__members__)) or "; use auto, quick or full"
        raise ConfigError(f"unknown effort '{asked}'{hint}")
    return Effort(asked)

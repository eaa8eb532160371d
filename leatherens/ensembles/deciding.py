"""From scores to decisions: every scorer's thresholds and calibrator, learned on the calibrate images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from leatherens.configs.recipe import Choice, Recipe
from leatherens.core.calibration import Calibrator, normals_needed
from leatherens.core.errors import ArtifactError
from leatherens.core.host import PluginHost
from leatherens.core.reporting import Decision
from leatherens.core.thresholds import ANY, Group, Threshold
from leatherens.ensembles.evidence import Evidence
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.guarding import LEARNING, guarded
from leatherens.ensembles.parts import build_calibrator, build_rules


@dataclass(frozen=True, slots=True)
class Rules:
    """The threshold for images and the one for pixels: two rules, or one that learned both."""

    images: Threshold
    pixels: Threshold

    @property
    def distinct(self) -> tuple[Threshold, ...]:
        """The rules, one if they are one."""
        return (self.images,) if self.pixels is self.images else (self.images, self.pixels)

    @property
    def tell_groups(self) -> bool:
        """Whether they must know what an image is like."""
        return any(rule.tells_groups for rule in self.distinct)


@dataclass(frozen=True, slots=True)
class Decider:
    """One scorer's thresholds, and the calibrator that says how unusual a score is among good images."""

    rules: Rules
    calibrator: Calibrator

    def margins(self, images: NDArray[np.float32], groups: Sequence[Group] = ()) -> NDArray[np.float64]:
        """(n,) image scores less their thresholds, above 0 exactly where defective.

        groups: what each image is like, for rules that ask; nothing is known of them otherwise.
        """
        limits = [self.rules.images.image_for(group) for group in groups or [ANY] * len(images)]
        found: NDArray[np.float64] = images.astype(np.float64) - np.array(limits, np.float64)
        return found

    def flags(self, images: NDArray[np.float32], groups: Sequence[Group] = ()) -> NDArray[np.bool_]:
        """(n,) image scores to verdicts: True is defective."""
        flagged: NDArray[np.bool_] = self.margins(images, groups) > 0
        return flagged

    def marks(self, pixels: NDArray[np.float32], group: Group = ANY) -> NDArray[np.bool_]:
        """Scores of an image's pixels to a mask: True is defective."""
        marked: NDArray[np.bool_] = pixels.astype(np.float64) > self.rules.pixels.pixel_for(group)
        return marked

    def calibrated(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n,) image scores to 1 - (1 + held-out good images scoring as high) / (n + 1)."""
        scores: NDArray[np.float32] = self.calibrator.calibrate(torch.from_numpy(images)).image.numpy()
        return scores

    @property
    def decision(self) -> Decision:
        """The thresholds as plain values."""
        return decision_of(self.rules)


def decision_of(rules: Rules) -> Decision:
    """Learned thresholds as plain values."""
    images, pixels = rules.images, rules.pixels
    return Decision(
        rule=images.id,
        image=images.image_,
        pixel=pixels.pixel_,
        promise=images.promise_,
        normals=images.normals_,
        pixel_rule=pixels.id,
        labelled=max(getattr(rule, "labelled_", 0) for rule in rules.distinct),
        remarks=tuple(remark for rule in rules.distinct for remark in rule.remarks),
        crossed=getattr(images, "crossed_", False),
    )


def learn_deciders(recipe: Recipe, host: PluginHost, evidence: Evidence) -> dict[str, Decider]:
    """A decider per scorer from the scores of held-out good images and, where needed, of labelled ones."""
    return {scorer: _learn(recipe, host, evidence, scorer) for scorer in evidence.good.by_scorer}


def _learn(recipe: Recipe, host: PluginHost, evidence: Evidence, scorer: str) -> Decider:
    images = evidence.good.by_scorer[scorer].images
    calibrator = build_calibrator(recipe, host)
    with guarded(f"calibrator '{calibrator.id}'", LEARNING):
        calibrator.fit(torch.from_numpy(images))
    return Decider(learn_rules(recipe, host, evidence, scorer), calibrator)


def learn_rules(recipe: Recipe, host: PluginHost, evidence: Evidence, scorer: str) -> Rules:
    """One scorer's thresholds, which remember how the images were prepared."""
    normals, lessons = evidence.normals(scorer), evidence.lessons(scorer)
    learned = []
    for rule, sides in build_rules(recipe, host):
        with guarded(f"threshold '{rule.id}'", LEARNING):
            learned.append(rule.fit(normals, lessons, sides=sides).belonging_to(evidence.conditions))
    return Rules(learned[0], learned[-1])


def save_deciders(folder: RunFolder, deciders: Mapping[str, Decider]) -> None:
    """Write them into the run."""
    for scorer, decider in deciders.items():
        folder.save(folder.part("calibrators", scorer), decider.calibrator)
        save_rules(folder, scorer, decider.rules)


def save_rules(folder: RunFolder, scorer: str, rules: Rules) -> None:
    """Write one scorer's thresholds. A rule that learned no pixel threshold says that it stands elsewhere."""
    folder.save(folder.part("thresholds", scorer), rules.images)
    if rules.pixels is not rules.images:
        folder.save(folder.part("pixel-thresholds", scorer), rules.pixels)


def load_deciders(
    folder: RunFolder,
    recipe: Recipe,
    host: PluginHost,
    scorers: Sequence[str],
    conditions: Mapping[str, str],
) -> dict[str, Decider]:
    """What `save_deciders` wrote, unless it is for images that are prepared otherwise."""
    calibrator = type(build_calibrator(recipe, host))
    return {
        scorer: Decider(
            load_rules(folder, recipe, host, scorer, conditions),
            folder.load(folder.part("calibrators", scorer), calibrator),
        )
        for scorer in scorers
    }


def load_rules(
    folder: RunFolder, recipe: Recipe, host: PluginHost, scorer: str, conditions: Mapping[str, str]
) -> Rules:
    """One scorer's thresholds by the rules in force, which may be others than those the run was made with."""
    at = folder.part("thresholds", scorer)
    images = folder.load(at, _kind(folder.saved_id(at), recipe.threshold, host))
    pixels = images
    if not hasattr(images, "pixel_"):
        at = folder.part("pixel-thresholds", scorer)
        pixels = folder.load(at, _kind(folder.saved_id(at), recipe.pixel_threshold, host))
    rules = Rules(images, pixels)
    for rule in rules.distinct:
        try:
            rule.require_same(conditions)
        except ArtifactError as error:
            raise ArtifactError(f"{at}: {error}") from None
    return rules


def _kind(id: str, chosen: Choice | None, host: PluginHost) -> type[Threshold]:
    """The class of a stored rule: the recipe's, which may say of which plugin it is, or another since."""
    if chosen is not None and (kind := host.thresholds().load(chosen.id)).id == id:
        return kind
    return host.thresholds().load(id)


def recipe_in_force(recipe: Recipe, rules: Rules, host: PluginHost) -> Recipe:
    """The recipe with the thresholds as they are now: rules and options may have changed since."""
    pixels = None if rules.pixels is rules.images else _chosen(rules.pixels, recipe.pixel_threshold, host)
    images = _chosen(rules.images, recipe.threshold, host)
    return recipe.model_copy(update={"threshold": images, "pixel_threshold": pixels})


def _chosen(rule: Threshold, before: Choice | None, host: PluginHost) -> Choice:
    same = before is not None and host.thresholds().load(before.id).id == rule.id
    id = before.id if same and before is not None else rule.id
    return Choice(id=id, options=rule.params.model_dump(mode="json"))


def decision_remarks(recipe: Recipe, decision: Decision) -> tuple[str, ...]:
    """What a reader must know of the thresholds."""
    promise = promise_remark(recipe, decision)
    return (*([promise] if promise else []), *decision.remarks)


def promise_remark(recipe: Recipe, decision: Decision) -> str | None:
    """What the asked false-alarm rate became, where the held-out good images are too few to promise it."""
    asked = recipe.threshold.options.get("false_alarms")
    if asked is None or decision.promise is None or decision.promise <= asked:
        return None
    if decision.normals >= normals_needed(asked):  # groups of images have too few, which their rule tells
        return None
    said = (
        "good images scored across folds can show" if decision.crossed else "held-out good images can promise"
    )
    return (
        f"a false-alarm rate of {asked:.3g} was asked for; {decision.normals} {said} "
        f"{decision.promise:.3g} at best ({normals_needed(asked)} are needed for the one asked)"
    )

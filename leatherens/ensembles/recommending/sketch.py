"""A sketch of an ensemble: as large and as slow as it will be, learned from a handful of images in a moment.

Memory banks get as many rows as they will have, chosen at random instead of well; trainings end after a few
steps. Its scores mean nothing; what it costs to score does not depend on how well it has learned.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from leatherens.configs.recipe import Recipe, write_recipe
from leatherens.core.backbones import BackbonePool
from leatherens.core.core_set import greedy_core_set
from leatherens.core.detector import Detector, FitContext
from leatherens.core.feature_cache import FeatureCache
from leatherens.core.fusion import FusionBlock, GoodFeatures
from leatherens.core.heads import Head, SpoiltMaps
from leatherens.core.host import PluginHost
from leatherens.core.progress import Silent
from leatherens.core.reading import Sample
from leatherens.core.synthesis.spoilt_images import EXAMPLES, MOST_COPIES, example_images
from leatherens.core.types import FeatureMaps
from leatherens.ensembles.ensemble import FittedEnsemble
from leatherens.ensembles.fitting import Fitting, Fused
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.guarding import LEARNING, guarded
from leatherens.ensembles.parts import Parts, build, build_preparation, load_backbones
from leatherens.ensembles.preparing import fit_preparation
from leatherens.ensembles.recommending.handful import HANDFUL, Handful
from leatherens.ensembles.recommending.pace import Pace
from leatherens.ensembles.tiled_photographs import source_of

STEPS = 2
"""Of each training; the first warms up."""

VALIDATED = 2
"""Images that scales and fusions learn from; fusions spoil each of them ten times."""

_METHOD, _SHARE = "core_set_method", "core_set"
_PICKS = 256
"""Rows of a core set that are chosen to time the choosing of all."""
_PROJECTED = 128
"""Dimensions in which rows are chosen, at most."""

Known = dict[str, "tuple[Detector, float]"]
"""Members that another sketch has made already, and the seconds that learning them would take."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How many images, or tiles, teach and validate."""

    fit: int
    validate: int


@dataclass(slots=True)
class Sketcher:
    """Makes sketches of recipes for the same images; members that several share are made once.

    few: some samples, of which the first are used.
    """

    host: PluginHost
    few: Sequence[Sample]
    known: Known = field(default_factory=dict)

    def sketch(self, recipe: Recipe, amount: Amount, folder: RunFolder) -> float:
        """Write a resolved recipe's sketch into a run's folder; the seconds that learning would take."""
        recipe = hasty(recipe)
        write_recipe(folder.recipe, recipe)
        samples, steps = self.few[:HANDFUL], build_preparation(recipe, self.host)
        steps = fit_preparation(folder, steps, samples, seed=recipe.seed, progress=Silent())
        source = source_of(recipe, samples, steps).teaching
        parts = build(recipe, self.host)
        pool = load_backbones(recipe, self.host, parts, cache=FeatureCache())
        drawing = _Drawing(recipe, pool, folder, Handful(source, amount.fit), Handful(source, VALIDATED))
        seconds = drawing.first_look(parts)
        for id, member in parts.members.items():
            key = json.dumps([id, recipe.members[id].options, recipe.size, recipe.tile, amount.fit])
            if key not in self.known:
                self.known[key] = drawing.member(id, member)
            folder.save(folder.member(id), self.known[key][0])
            seconds += self.known[key][1]
        members = {
            id: folder.load(folder.member(id), type(m)).to(recipe.device) for id, m in parts.members.items()
        }
        ensemble = FittedEnsemble(pool, members, parts.cuts, parts.score_fusion, votes=parts.votes)
        if parts.block is not None and parts.head is not None:
            ensemble, spent = drawing.with_head(ensemble, parts.block, parts.head)
            seconds += spent
        return seconds + drawing.voting(ensemble, amount.validate)


@dataclass(frozen=True, slots=True)
class _Drawing:
    """One sketch being made. many: as many images as will teach; few: those that validate."""

    recipe: Recipe
    pool: BackbonePool
    folder: RunFolder
    many: Handful
    few: Handful

    def first_look(self, parts: Parts) -> float:
        """The seconds in which the backbones see every image once; what they see here is remembered."""
        requests = [request for member in parts.members.values() for request in member.backbones()]
        if not requests:
            return 0.0
        batch = self.many.batch(range(HANDFUL)).to(self.recipe.device)
        self.pool.pyramids(batch.rows([0]), requests)  # warms up
        started = time.perf_counter()
        self.pool.pyramids(batch, requests, keep=True)
        return (time.perf_counter() - started) / HANDFUL * len(self.many.ids)

    def member(self, id: str, member: Detector) -> tuple[Detector, float]:
        """A member made, and how long it would learn."""
        pace = Pace()
        with guarded(f"detector '{id}'", LEARNING):
            member.fit(self.many, validation=self.few, context=self._context(pace))
        options = self.recipe.members[id].options
        return member, pace.seconds + choosing_seconds(options, pace)

    def with_head(
        self, ensemble: FittedEnsemble, block: FusionBlock, head: Head
    ) -> tuple[FittedEnsemble, float]:
        """The ensemble with block and head, and how long these would learn, features included."""
        ensemble, pace = replace(ensemble, block=block), Pace()
        batch = self.many.batch(range(HANDFUL)).to(self.recipe.device)
        started = time.perf_counter()
        seen = (ensemble.features(ensemble.observe(batch, keep=True)), batch.valid)
        watched = time.perf_counter() - started
        many = _Again(seen, len(self.many.ids))
        with guarded(f"fusion block '{block.id}'", LEARNING):
            block.fit(many).to(self.recipe.device)
        with guarded(f"head '{head.id}'", LEARNING):
            head.fit(
                Fused(block, many),
                validation=Fused(block, _Again(seen, HANDFUL)),
                context=self._context(pace),
                anomalies=self._spoilt(ensemble, block) if head.wants_anomalies else (),
            )
        self.folder.save(self.folder.part("block"), block)
        self.folder.save(self.folder.part("head"), head)
        spent = pace.seconds + choosing_seconds(self.recipe.head.options, pace)
        return replace(ensemble, head=head), spent + watched / HANDFUL * len(self.many.ids)

    def voting(self, ensemble: FittedEnsemble, validate: int) -> float:
        """Let the scores be fused; the seconds that it takes with so many images."""
        recipe = self.recipe
        fitting = Fitting(self.folder, self.pool, Silent(), recipe.seed, recipe.device, recipe.batch_size)
        started = time.perf_counter()
        fitting.voting(ensemble, self.few)
        spent = time.perf_counter() - started
        seen, here = (count + min(EXAMPLES, MOST_COPIES * count) for count in (validate, VALIDATED))
        return spent * seen / here

    def _context(self, pace: Pace) -> FitContext:
        return FitContext(self.pool, self.recipe.seed, self.recipe.device, pace, until=STEPS)

    def _spoilt(self, ensemble: FittedEnsemble, block: FusionBlock) -> Iterator[SpoiltMaps]:
        images = example_images(self.few, seed=self.recipe.seed)
        for batch, masks in images.walk(self.recipe.batch_size):
            there = batch.to(self.recipe.device)
            yield block.transform(ensemble.features(ensemble.observe(there))), masks


@dataclass(frozen=True, slots=True)
class _Again:
    """The features of a handful again and again, up to so many images, as often as anybody walks them."""

    seen: GoodFeatures
    images: int

    def __iter__(self) -> Iterator[GoodFeatures]:
        for start in range(0, self.images, HANDFUL):
            yield self._first(min(HANDFUL, self.images - start))

    def _first(self, count: int) -> GoodFeatures:
        features, valid = self.seen
        kept = {
            id: FeatureMaps(tuple(one[:count] for one in maps.maps), maps.names, maps.ids[:count])
            for id, maps in features.items()
        }
        return kept, None if valid is None else valid[:count]


def hasty(recipe: Recipe) -> Recipe:
    """The recipe with memory banks whose rows are chosen at random: as many, in no time."""
    members = {
        id: member.model_copy(update={"options": _random(member.options)})
        for id, member in recipe.members.items()
    }
    head = recipe.head.model_copy(update={"options": _random(recipe.head.options)})
    return recipe.model_copy(update={"members": members, "head": head})


def choosing_seconds(options: Mapping[str, Any], pace: Pace) -> float:
    """How long the rows of the banks that were just filled would be chosen for, one after the other."""
    steps = [step for step in pace.steps if step.title.endswith(": core set")]
    return sum(_greedy_seconds(step.total, step.total / options[_SHARE]) for step in steps)


def _random(options: Mapping[str, Any]) -> dict[str, Any]:
    return {**options, _METHOD: "random"} if _METHOD in options else dict(options)


def _greedy_seconds(rows: int, positions: float) -> float:
    """Seconds in which the greedy method chooses so many rows of so many positions, by timing the first."""
    points = torch.randn(int(positions), _PROJECTED, generator=torch.Generator().manual_seed(0))
    picks = min(rows, _PICKS)
    started = time.perf_counter()
    greedy_core_set(points, picks)
    return (time.perf_counter() - started) / picks * rows

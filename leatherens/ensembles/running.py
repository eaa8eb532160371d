"""A whole run: read, split, check, learn, decide, measure, report; what the folder holds is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from leatherens.configs.recipe import Places, Recipe, write_recipe
from leatherens.core.artifact import read_json, write_json
from leatherens.core.backbones import BackbonePool
from leatherens.core.colours import Colours
from leatherens.core.details import Inspected
from leatherens.core.errors import ArtifactError, ConfigError, InputError, MemoryRanOut, reason
from leatherens.core.feature_cache import FeatureCache
from leatherens.core.feature_store import user_store
from leatherens.core.host import PluginHost
from leatherens.core.machine import machine_of
from leatherens.core.observers import Observers
from leatherens.core.progress import Progress
from leatherens.core.reading import Collection, Sample
from leatherens.core.reporting import RunView
from leatherens.ensembles.colouring import learn_colours
from leatherens.ensembles.crossing import Crossing, with_folds
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.deciding import Decider, decision_remarks, learn_deciders, save_deciders
from leatherens.ensembles.ensemble import ENSEMBLE, FittedEnsemble
from leatherens.ensembles.evaluation import Evaluation
from leatherens.ensembles.evidence import Gathering
from leatherens.ensembles.facts import Facts, recipe_fingerprint
from leatherens.ensembles.fitting import Fitting
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.inspecting import inspected
from leatherens.ensembles.leaks import allowed, leaks
from leatherens.ensembles.needs import needs_of
from leatherens.ensembles.parts import (
    build,
    build_preparation,
    build_rules,
    load_backbones,
    needs_labels,
    reductions,
)
from leatherens.ensembles.preparing import fit_preparation, load_preparation
from leatherens.ensembles.sources import require_no_problems
from leatherens.ensembles.splits import Splits, content_digests, fingerprint, splits_of
from leatherens.ensembles.stored import require_same_weights, stored_recipe
from leatherens.ensembles.tiled_photographs import Source, source_of
from leatherens.ensembles.tracking import Tracking, stored_tracking
from leatherens.ensembles.training_log import training_curves


@dataclass(frozen=True, slots=True)
class Run:
    """One run being made.

    splits: who learns from what, where that was dealt out already. tracking: where it is logged besides.
    """

    folder: RunFolder
    recipe: Recipe
    data: DataChoice
    host: PluginHost
    progress: Progress
    command: str
    splits: Splits | None = None
    tracking: Tracking = field(default_factory=Tracking)

    def begin(self) -> None:
        """Write down what will be done; what options or photographs do not allow is refused now."""
        with self.folder.locked(), self.withdrawn_if_refused():
            self.prepare()

    def make(self) -> RunView:
        """Do what is not done yet, and measure."""
        with self.folder.locked(), self.withdrawn_if_refused():
            trackers, resumed = self.tracking.trackers(self.host), self.folder.learned
            source, pool, splits = self.prepare()
            with self._observed(self.host.observers(trackers), resumed=resumed) as observers:
                ensemble = self._fit(pool, source, splits, observers)
                colours = learn_colours(self.folder, source.only(splits.fit))
                deciders = self._decide(ensemble, source, splits, colours)
                evaluation = Evaluation(
                    self.recipe,
                    self.host,
                    ensemble,
                    deciders,
                    self.folder.facts(),
                    self.progress,
                    colours,
                    self.folder,
                    self._inspected(splits),
                    training_curves(self.folder, ensemble.members, self.progress),
                )
                view = evaluation.of(source.only(splits.test), into=self.folder)
            self.folder.finish()
        return view

    @contextmanager
    def _observed(self, observers: Observers, *, resumed: bool) -> Iterator[Observers]:
        """Tell that the run begins, and that it is finished or why it is not."""
        facts, folder = self.folder.facts(), self.folder.path.resolve()
        observers.tell(
            "run_started",
            folder=folder,
            recipe=self.recipe.model_dump(mode="json"),
            data=facts.data_sentence,
            command=facts.command,
            versions=dict(facts.versions),
            resumed=resumed,
        )
        try:
            yield observers
        except BaseException as error:  # Ctrl-C too: whoever logs the run closes its files
            observers.tell("run_stopped", folder=folder, reason=reason(error))
            raise
        report = self.folder.path / "report.html"
        observers.tell(
            "run_finished",
            folder=folder,
            metrics=read_json(self.folder.metrics),
            report=report.resolve() if report.exists() else None,
        )

    @contextmanager
    def withdrawn_if_refused(self) -> Iterator[None]:
        """What only the images show, such as options that do not fit them, leaves no run behind."""
        begun = self.folder.begun
        try:
            yield
        except (ConfigError, InputError, MemoryRanOut):
            if not begun and not self.folder.learned:
                self.folder.withdraw()
            raise

    def prepare(self) -> tuple[Source, BackbonePool, Splits]:
        """All images, the backbones, and who learns from what; written down once, then checked."""
        collection = self.data.read(self.host)
        self.progress.say(collection.sentence)
        for remark in collection.remarks:
            self.progress.say(remark)
        pool = self._pool()
        steps = build_preparation(self.recipe, self.host)
        if not steps:
            source = self._checked(source_of(self.recipe, collection.samples))
            return source, pool, self._begin(collection, pool)
        splits = self._begin(collection, pool)
        taught = [sample for sample in collection.samples if sample.id in set(splits.fit)]
        steps = fit_preparation(self.folder, steps, taught, seed=self.recipe.seed, progress=self.progress)
        source = source_of(self.recipe, collection.samples, steps)
        return self._checked(source), pool, splits

    def _inspected(self, splits: Splits) -> Inspected:
        collection = self.data.read(self.host)
        return inspected(collection, self.recipe, len(splits.good), self.progress)

    def _checked(self, source: Source) -> Source:
        require_no_problems(source.problems(self.progress), len(source.ids))
        return source

    def _pool(self) -> BackbonePool:
        """The loaded backbones: missing weights, a wrong size or options that do not fit fail here.

        Before anything slow begins, and before the folder does.
        """
        parts = build(self.recipe, self.host)
        for member in parts.members.values():
            member.check_size(self.recipe.size)
        pool = load_backbones(self.recipe, self.host, parts, cache=self._cache())
        for member in parts.members.values():
            member.check_pyramids([pool.spec(request) for request in member.backbones()], self.recipe.size)
        return pool

    def _cache(self) -> FeatureCache:
        """On a GPU without the disk, which would be slower than the GPU."""
        return FeatureCache(store=user_store(self.progress.say) if self.recipe.device == "cpu" else None)

    def _begin(self, collection: Collection, pool: BackbonePool) -> Splits:
        """Write down what will be done, or check that it is what was begun."""
        samples = collection.samples
        digests = content_digests([sample.path for sample in samples])
        mark = fingerprint(samples, digests)
        if self.folder.begun:
            facts = self.folder.facts()
            if facts.data_fingerprint != mark:
                raise ArtifactError(
                    f"{self.folder.path}: the images in {self.data.root} changed since this run began; "
                    "put them back, or start a new run"
                )
            require_same_weights(self.folder, pool)
            return Splits.read(self.folder.splits)
        dealt = self.splits or splits_of(self.recipe, collection)
        splits = with_folds(self.recipe, dealt, collection, self.progress)
        by_id = {sample.id: sample for sample in samples}
        twins = allowed(leaks(splits, by_id, digests), str(collection.root))
        for remark in twins:
            self.progress.say(remark)
        self._refuse_unlearnable(splits, by_id)
        write_recipe(self.folder.recipe, self.recipe)
        splits.write(self.folder.splits)
        self.tracking.write(self.folder.trackers)
        write_json(self.folder.images, {sample.id: digests[sample.path] for sample in samples})
        self.folder.write_facts(
            Facts(
                name=self.folder.path.resolve().name,
                command=self.command,
                data=self.data,
                data_sentence=collection.sentence,
                data_fingerprint=mark,
                recipe_fingerprint=recipe_fingerprint(self.folder.recipe),
                remarks=(*collection.remarks, *twins, *reductions(self.recipe, self.host)),
                backbones=pool.loaded(),
                plugins=needs_of(self.recipe, self.host, reader=collection.layout, backbones=pool.loaded()),
                machine=machine_of(self.recipe.device),
            )
        )
        return splits

    def _refuse_unlearnable(self, splits: Splits, samples: Mapping[str, Sample]) -> None:
        """Refuse, before anything slow begins, thresholds that these images cannot teach."""
        good = [samples[id] for id in splits.good]
        labelled = [samples[id] for id in splits.threshold_labelled]
        for rule, sides in build_rules(self.recipe, self.host):
            rule.check_samples(good, labelled, sides=sides)

    def _fit(
        self, pool: BackbonePool, source: Source, splits: Splits, observers: Observers
    ) -> FittedEnsemble:
        recipe = self.recipe
        fitting = Fitting(
            self.folder,
            pool,
            self.progress,
            recipe.seed,
            recipe.device,
            recipe.batch_size,
            recipe.keep_every,
            observers,
        )
        return fitting.ensemble(
            build(recipe, self.host),
            source.only(splits.fit).teaching,
            source.only(splits.validate).validating,
            tiles=recipe.tile is not None,
        )

    def _decide(
        self, ensemble: FittedEnsemble, source: Source, splits: Splits, colours: Colours
    ) -> dict[str, Decider]:
        steps = load_preparation(self.folder, build_preparation(self.recipe, self.host))
        gathering = Gathering(ensemble, self.recipe, steps, colours, self.progress)
        labelled = source.only(splits.threshold_labelled) if needs_labels(self.recipe, self.host) else None
        crossing = Crossing(self.folder, self.recipe, self.host, ensemble.pool, self.progress)
        scores = None if splits.calibrate else crossing.scores(source, splits)
        evidence = gathering.evidence(source.only(splits.good), labelled, scores=scores)
        deciders = learn_deciders(self.recipe, self.host, evidence)
        save_deciders(self.folder, deciders)
        for remark in decision_remarks(self.recipe, deciders[ENSEMBLE].decision):
            self.progress.say(remark)
        return deciders


def unfinished_run(
    folder: RunFolder,
    host: PluginHost,
    progress: Progress,
    places: Places,
) -> Run:
    """The run begun in a folder, to be gone on with at these places."""
    facts = folder.facts()
    recipe = stored_recipe(folder, host, places)
    tracking = stored_tracking(folder.trackers)
    return Run(folder, recipe, facts.data, host, progress, facts.command, tracking=tracking)

"""From a folder of photographs to a recommendation: look, list, time, choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leatherens.configs.recipe import SIDE, Places
from leatherens.core.errors import InputError
from leatherens.core.host import PluginHost
from leatherens.core.looks import Look, Machine, look_at, this_machine
from leatherens.core.looks.looking import drawn_from
from leatherens.core.progress import Progress
from leatherens.core.reading import Collection, Sample
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.parts import device_of
from leatherens.ensembles.recommending.candidates import Candidate, candidates
from leatherens.ensembles.recommending.choosing import Choice, choose
from leatherens.ensembles.recommending.predicting import Budget, Prediction, Predictor
from leatherens.ensembles.splits import FEWEST


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What was seen, and what follows from it."""

    look: Look
    machine: Machine
    choice: Choice
    collection: Collection


@dataclass(frozen=True, slots=True)
class Recommending:
    """How to recommend; plugins: what makes `host`, for processes of their own."""

    host: PluginHost
    plugins: Mapping[str, Any]
    progress: Progress
    places: Places
    budget: Budget

    def of(self, data: DataChoice, *, wanted: int = 1) -> Recommendation:
        """The scenario for a folder; only good images are opened. wanted: how many are timed that fit."""
        machine = this_machine(device_of(self.places.device or "auto"))
        collection = good_images(data, self.host)
        self.progress.say(collection.sentence)
        good = (*collection.train, *collection.validation)
        look = look_at(good, size=(SIDE, SIDE), progress=self.progress)
        readable = [sample for sample in drawn_from(good) if sample.id not in set(look.unreadable)]
        found = candidates(self.host, look, self.places)
        choice = choose(found, self._predict(collection, readable), self.budget, wanted)
        return Recommendation(look, machine, choice, collection)

    def _predict(self, collection: Collection, readable: Sequence[Sample]) -> Any:
        predictor = Predictor(self.host, collection, readable, self.plugins, self.progress)

        def predict(candidate: Candidate) -> Prediction:
            assert candidate.recipe is not None
            return predictor.of(candidate.id, candidate.recipe)

        return predict


def good_images(data: DataChoice, host: PluginHost) -> Collection:
    """A collection with enough good images to learn from, or an `InputError` that says what to do."""
    several = None if data.defects or data.masks else data.categories(host)
    if several is not None:
        raise InputError(
            f"{data.root}: holds several collections ({', '.join(several.names[:5])}); recommend for one at "
            f"a time, such as {several.folders[0]}"
        )
    collection = data.read(host, learning=False)
    good = len(collection.train) + len(collection.validation)
    if not good and any(sample.defective for sample in collection.test):
        raise InputError(
            f"{collection.root}: holds defective images only; a scenario learns from good ones. Add some, or "
            f"cut good pieces out of these: leatherens data crop-good --data {collection.root} --out FOLDER"
        )
    if len(collection.train) < FEWEST:
        found = "one good image" if good == 1 else f"{good} good images" if good else "no good images"
        raise InputError(
            f"{collection.root}: {found} to learn from, at least {FEWEST} are needed; add photographs of "
            "good surfaces"
        )
    return collection

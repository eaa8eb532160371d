"""A run made again from its recipe: on the same images, dealt out as they were."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from leatherens.configs.recipe import Recipe, read_recipe
from leatherens.configs.recipe_file import STORED
from leatherens.core.host import PluginHost
from leatherens.core.progress import Progress
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.given_splits import given_splits
from leatherens.ensembles.splits import Splits, content_digests, fingerprint

DEALT_BY = ("seed", "shares", "labelled", "calibration")
"""The keys of a recipe that decide which image has which job."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """What a run that is made again takes from the first one."""

    run: RunFolder

    @classmethod
    def by(cls, config: str | None) -> Repeated | None:
        """The run whose recipe was named, by its file or its folder; `None` where it is no run's."""
        if config is None:
            return None
        path = Path(config)
        folder = RunFolder(path.parent if path.name == STORED else path)
        return cls(folder) if folder.begun and folder.recipe.is_file() else None

    @property
    def data(self) -> DataChoice:
        """Where its images are."""
        return self.run.facts().data

    def splits(self, recipe: Recipe, host: PluginHost, progress: Progress) -> Splits | None:
        """Who learned from what; `None` if the recipe now asks for another share or seed.

        Images that changed since are told, and what was dealt out is checked against them.
        """
        first = read_recipe(self.run.recipe)
        if any(getattr(recipe, key) != getattr(first, key) for key in DEALT_BY):
            return None
        collection = self.data.read(host)
        digests = content_digests([sample.path for sample in collection.samples])
        if fingerprint(collection.samples, digests) == self.run.facts().data_fingerprint:
            return Splits.read(self.run.splits)
        progress.say(
            f"the images in {self.data.root} changed since {self.run.path} was made; expect other numbers"
        )
        return given_splits(self.run.splits, collection)

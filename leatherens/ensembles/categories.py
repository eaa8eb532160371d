"""Several categories in one call: a run for each, one after the other, and one summary.

```text
OUT/
  categories.json  recipe.yaml    which data, in which categories, how: written first
  CATEGORY/                       a run of its own
  summary.csv  summary.md  summary.json
  DONE                            every category has its run
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import Self

from leatherens.configs.recipe import Places, Recipe, write_recipe
from leatherens.core.artifact import read_json, write_json, write_text
from leatherens.core.errors import ArtifactError, PluginError, WeightsError
from leatherens.core.host import PluginHost
from leatherens.core.layouts import Categories
from leatherens.core.params import Params, parse_params
from leatherens.core.progress import Progress
from leatherens.ensembles.data import DataChoice, storable
from leatherens.ensembles.facts import recipe_fingerprint
from leatherens.ensembles.failures import failure_of
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.running import Run, unfinished_run
from leatherens.ensembles.stored import recipe_at
from leatherens.ensembles.summary import Summary
from leatherens.ensembles.tracking import Tracking, stored_tracking


class _Begun(Params):
    """What was asked for, so that it can be gone on with."""

    command: str
    data: DataChoice
    data_sentence: str
    categories: tuple[str, ...]
    recipe_fingerprint: str


@dataclass(frozen=True, slots=True)
class CategoriesFolder(RunFolder):
    """The folder around the runs of the categories; what is said of a run holds for it as well."""

    @property
    def begun(self) -> bool:
        """Whether it is such a folder at all."""
        return (self.path / "categories.json").exists()

    @property
    def summary(self) -> Path:
        """The table, for a page; beside it are summary.csv and summary.json."""
        return self.path / "summary.md"

    def run(self, category: str) -> RunFolder:
        """The run of one category."""
        return RunFolder(self.path / category)

    def withdraw(self) -> None:
        """Take back a beginning of which no run began."""
        for path in (self.path / "categories.json", self.recipe, self.trackers):
            path.unlink(missing_ok=True)

    def write_begun(self, begun: _Begun) -> None:
        """Write categories.json, after which the runs have begun."""
        write_json(self.path / "categories.json", begun.model_dump(mode="json"))

    def begun_with(self) -> _Begun:
        """What `write_begun` wrote."""
        path = self.path / "categories.json"
        content = read_json(path)
        if not isinstance(content, dict):
            raise ArtifactError(f"{path}: damaged, expected keys and values, got {type(content).__name__}")
        return parse_params(_Begun, content, owner=str(path))


@dataclass(frozen=True, slots=True)
class CategoryRuns:
    """The runs of several categories being made; `sentence` says how their folder was read.

    tracking: where each run is logged besides.
    """

    folder: CategoriesFolder
    recipe: Recipe
    data: DataChoice
    categories: tuple[str, ...]
    sentence: str
    host: PluginHost
    progress: Progress
    command: str
    tracking: Tracking = field(default_factory=Tracking)

    @classmethod
    def new(
        cls,
        folder: CategoriesFolder,
        recipe: Recipe,
        data: DataChoice,
        found: Categories,
        host: PluginHost,
        progress: Progress,
        command: str,
        tracking: Tracking,
    ) -> Self:
        """New runs; refused where one of their folders holds a run that was made before."""
        for path in found.folders:
            storable(path)
        names = tuple(path.name for path in found.folders)
        taken = [name for name in names if folder.run(name).begun]
        if taken:
            raise ArtifactError(f"{folder.run(taken[0]).path}: a run was begun here; choose another --out")
        return cls(folder, recipe, data, names, found.sentence, host, progress, command, tracking)

    def make(self) -> Summary:
        """Make every run that is not finished yet, and the summary, which tells of those that failed."""
        with self.folder.locked():
            self._begin()
            try:
                failures = self._make_all()
            finally:
                begun = any(self.folder.run(category).begun for category in self.categories)
                if not begun:
                    self.folder.withdraw()
            if begun:
                return self._summarised(failures)
        return Summary({}, failures)

    def _make_all(self) -> dict[str, str]:
        """Make every run; returns the reasons of those that could not be made."""
        self.progress.say(self.sentence)
        failures: dict[str, str] = {}
        for number, category in enumerate(self.categories, start=1):
            self.progress.say(f"category {number} of {len(self.categories)}: {category}")
            reason = self._make(category)
            if reason:
                self.progress.say(f"{category} was not made: {reason}")
                failures[category] = reason
        return failures

    def _begin(self) -> None:
        if self.folder.begun:
            return
        write_recipe(self.folder.recipe, self.recipe)
        self.tracking.write(self.folder.trackers)
        self.folder.write_begun(
            _Begun(
                command=self.command,
                data=self.data,
                data_sentence=self.sentence,
                categories=self.categories,
                recipe_fingerprint=recipe_fingerprint(self.folder.recipe),
            )
        )

    def _make(self, category: str) -> str:
        """Make one run or finish it; returns why that was not possible, empty if it was."""
        folder = self.folder.run(category)
        if folder.done:
            self.progress.say("already finished")
            return ""
        try:
            self._run(folder, category).make()
        except Exception as error:
            if stops_all(error):
                raise
            return failure_of(category, error, folder.path).reason
        return ""

    def _run(self, folder: RunFolder, category: str) -> Run:
        recipe = self.recipe
        if folder.begun:
            return unfinished_run(folder, self.host, self.progress, recipe.places)
        data = self.data.model_copy(update={"root": str(Path(self.data.root, category))})
        said = (self.host, self.progress, self.command)
        return Run(folder, recipe, data, *said, tracking=self.tracking)

    def _summarised(self, failures: Mapping[str, str]) -> Summary:
        """The summary of what is finished, written down."""
        made = [category for category in self.categories if category not in failures]
        summary = Summary({name: read_json(self.folder.run(name).metrics) for name in made}, failures)
        write_text(self.folder.path / "summary.csv", summary.as_csv())
        write_text(self.folder.summary, summary.as_markdown())
        content = {"command": self.command, "data": self.sentence, "seed": self.recipe.seed}
        write_json(self.folder.path / "summary.json", {**content, **summary.as_json()})
        if not failures:
            self.folder.finish()
        return summary


def stops_all(error: Exception) -> bool:
    """Whether an error is none of one category: missing weights, a broken plugin, a full disk."""
    full = isinstance(error, ArtifactError) and isinstance(error.__cause__, OSError)
    return full or isinstance(error, WeightsError | PluginError)


def unfinished_categories(
    folder: CategoriesFolder,
    host: PluginHost,
    progress: Progress,
    places: Places,
) -> CategoryRuns:
    """The runs begun in a folder, to be gone on with at these places."""
    begun = folder.begun_with()
    recipe = recipe_at(folder.recipe, begun.recipe_fingerprint, host, places)
    said = (begun.data, begun.categories, begun.data_sentence)
    tracking = stored_tracking(folder.trackers)
    return CategoryRuns(folder, recipe, *said, host, progress, begun.command, tracking)

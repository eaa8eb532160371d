"""Making a project: all views are begun before any learns, made one after the other, then measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from leatherens.configs.project import Project
from leatherens.configs.recipe import Places
from leatherens.core.errors import ArtifactError, ConfigError, InputError
from leatherens.core.host import PluginHost
from leatherens.core.progress import Progress, Silent
from leatherens.core.reporting import ProjectView
from leatherens.ensembles.project.assembling import Assembly, assemble
from leatherens.ensembles.project.dealing import deal
from leatherens.ensembles.project.folder import ProjectFolder
from leatherens.ensembles.project.measuring import measured, write_results
from leatherens.ensembles.project.resolving import naming, resolved
from leatherens.ensembles.running import Run, unfinished_run
from leatherens.ensembles.splits import Splits
from leatherens.ensembles.tracking import Tracking, stored_tracking


@dataclass(frozen=True, slots=True)
class ProjectRun:
    """A project being made; `project` is resolved. tracking: where the run of each view is logged besides."""

    folder: ProjectFolder
    project: Project
    host: PluginHost
    progress: Progress
    command: str
    tracking: Tracking = field(default_factory=Tracking)

    def make(self) -> ProjectView:
        """Do what is not done yet, and measure."""
        with self.folder.locked(), self._withdrawn_if_refused():
            assembly = self._assembled()
            runs = self._begun(assembly)
            for number, (view, run) in enumerate(runs.items(), start=1):
                self.progress.say(f"view {number} of {len(runs)}: {view}")
                if run.folder.done:
                    self.progress.say("already finished")
                else:
                    with naming(view):
                        run.make()
            found = measured(self.folder, self.project, assembly, self.host)
            with self.progress.step("writing the report of the project", 1) as advance:
                write_results(self.folder, found, self.host)
                advance(1)
            self.folder.finish()
        return found

    @contextmanager
    def _withdrawn_if_refused(self) -> Iterator[None]:
        """What only the images show leaves nothing behind as long as nothing was learned."""
        begun = self.folder.begun
        try:
            yield
        except (ConfigError, InputError):
            if not begun and not self.folder.learned:
                self.folder.withdraw()
            raise

    def _assembled(self) -> Assembly:
        assembly = assemble(self.project, self.host)
        self.progress.say(assembly.sentence)
        for remark in assembly.remarks:
            self.progress.say(remark)
        return assembly

    def _begun(self, assembly: Assembly) -> Mapping[str, Run]:
        """Every view's run, written down: a fault of the last one is told before the first one learns."""
        splits = deal(assembly, seed=self.project.seed)
        if not self.folder.begun:
            self.folder.begin(self.project, self.command)
            self.tracking.write(self.folder.trackers)
        runs = {view: self._run(view, assembly, splits[view]) for view in self.project.views}
        with self.progress.step("checking the views", len(runs)) as advance:
            for view, run in runs.items():
                if not run.folder.begun:
                    with naming(view):
                        replace(run, progress=Silent()).begin()
                advance(1)
        return runs

    def _run(self, view: str, assembly: Assembly, splits: Splits) -> Run:
        folder, recipe = self.folder.run(view), self.project.views[view].recipe
        if not folder.begun:
            choice = assembly.choices[view]
            said = (self.host, self.progress, self.command, splits, self.tracking)
            return Run(folder, recipe, choice, *said)
        if Splits.read(folder.splits) != splits:
            raise ArtifactError(
                f"{folder.path}: the images changed since this project began; put them back, or start a new "
                "one"
            )
        return unfinished_run(folder, self.host, self.progress, recipe.places)


def unfinished_project(
    folder: ProjectFolder,
    host: PluginHost,
    progress: Progress,
    places: Places,
) -> ProjectRun:
    """The project begun in a folder, to be gone on with at these places."""
    command = folder.begun_with().command
    project = resolved(folder.read(), host, places)
    return ProjectRun(folder, project, host, progress, command, stored_tracking(folder.trackers))

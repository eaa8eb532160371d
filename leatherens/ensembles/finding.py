"""Where the photographs of a finished run are now, and whether they are still those that it judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leatherens.core.artifact import read_json
from leatherens.core.errors import ArtifactError, InputError, LeatherensError
from leatherens.core.host import PluginHost
from leatherens.core.listing import counted, named
from leatherens.core.reading import Sample
from leatherens.ensembles.data import DataChoice, storable
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.scored_table import ScoredLine
from leatherens.ensembles.splits import content_digests


@dataclass(frozen=True, slots=True)
class Found:
    """The images of a run as they are on disk now, in the run's order.

    there: the ids of those whose photograph is the one that was judged. remarks: on the others.
    """

    samples: tuple[Sample, ...]
    there: frozenset[str]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Looks for a run's images where they were, or in the folder that a user names."""

    folder: RunFolder
    host: PluginHost
    data: Path | None = None

    def images(self, lines: Sequence[ScoredLine]) -> Found:
        """Those of scores.csv; refused if the folder that was named holds none of them."""
        facts = self.folder.facts()
        choice = facts.data if self.data is None else moved(facts.data, self.data)
        read, trouble = self._read(choice)
        samples = tuple(_sample(line, read, Path(choice.root)) for line in lines)
        present = [sample for sample in samples if sample.path.is_file()]
        others = _others(present, self._digests())
        there = frozenset(sample.id for sample in present) - set(others)
        if self.data is not None and not there:
            raise InputError(
                f"{self.data}: holds none of the {len(samples)} photographs that {self.folder.path} was "
                f"tested on, such as {samples[0].id}; give the folder that took the place of "
                f"{facts.data.root}"
            )
        gone = [sample.id for sample in samples if sample.id not in there and sample.id not in others]
        return Found(samples, there, tuple(self._told(gone, others, len(samples), choice.root, trouble)))

    def _read(self, choice: DataChoice) -> tuple[Mapping[str, Sample], str]:
        """The samples of a folder by id; none, and why, if it cannot be read any more."""
        try:
            collection = choice.read(self.host, learning=False)
        except LeatherensError as error:
            return {}, str(error)
        return {sample.id: sample for sample in collection.samples}, ""

    def _digests(self) -> Mapping[str, str]:
        """What the run wrote down of each image's content; nothing if it did not, or it is lost."""
        try:
            content = read_json(self.folder.images)
        except ArtifactError:
            return {}
        return content if isinstance(content, dict) else {}

    def _told(
        self, gone: Sequence[str], others: Sequence[str], total: int, root: str, trouble: str
    ) -> list[str]:
        told = []
        if gone:
            way = f"leatherens report {self.folder.path} --data DIR shows those of another folder"
            told.append(
                f"{len(gone)} of {counted(total, 'photograph')} are not in {root} any more ({named(gone)}): "
                f"small ones, where the run kept them, stand in; {way}"
            )
        if others:
            told.append(
                f"{len(others)} of {counted(total, 'photograph')} are not those that were judged "
                f"({named(others)}): their content has changed since, so they are not shown"
            )
        if trouble and len(gone) < total:
            told.append(f"masks are not shown, since the images could not be read as before: {trouble}")
        return told


def _sample(line: ScoredLine, read: Mapping[str, Sample], root: Path) -> Sample:
    """An image as it is read now, with the label that it was judged by."""
    below = root.parent if root.is_file() else root
    found = read.get(line.id) or Sample(below / line.id, line.id)
    return replace(found, defect=line.defect, defective=line.defective)


def _others(present: Sequence[Sample], digests: Mapping[str, str]) -> list[str]:
    """The ids of photographs whose content is another one than the run wrote down."""
    checked = [sample for sample in present if sample.id in digests]
    readable = []
    others = []
    for sample in checked:
        try:
            with sample.path.open("rb"):
                readable.append(sample)
        except OSError:
            others.append(sample.id)
    now = content_digests([sample.path for sample in readable])
    return [*others, *(sample.id for sample in readable if now[sample.path] != digests[sample.id])]


def moved(choice: DataChoice, root: Path) -> DataChoice:
    """The same choice in another folder: whatever lay below the old root lies below the new one."""
    before, now = Path(choice.root), Path(storable(root))

    def place(path: str | None) -> str | None:
        if path is None or not Path(path).is_relative_to(before):
            return path
        return str(now / Path(path).relative_to(before))

    return choice.model_copy(
        update={
            "root": str(now),
            "defects": place(choice.defects),
            "masks": place(choice.masks),
            "joined": {
                name: moved(one, Path(place(one.root) or one.root)) for name, one in choice.joined.items()
            },
        }
    )

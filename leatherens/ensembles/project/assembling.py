"""All images of a project, read view by view and put together part by part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from leatherens.configs.project import Project
from leatherens.core.errors import InputError
from leatherens.core.host import PluginHost
from leatherens.core.listing import counted, named
from leatherens.core.reading import Collection, Sample
from leatherens.core.views import parts_of
from leatherens.ensembles.data import DataChoice


@dataclass(frozen=True, slots=True)
class Part:
    """One part and its image from each view that has one."""

    name: str
    images: Mapping[str, Sample]

    @property
    def defective(self) -> bool | None:
        """Its label: defective if it is in any view; `None` if a view is without a label and none is."""
        labels = {sample.defective for sample in self.images.values()}
        if True in labels:
            return True
        return None if None in labels else False

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups its images belong to."""
        return tuple(sample.group for sample in self.images.values() if sample.group is not None)


@dataclass(frozen=True)
class Assembly:
    """The images of all views.

    choices: where each view's are; collections: what was found there, every sample with its view and part.
    """

    choices: Mapping[str, DataChoice]
    collections: Mapping[str, Collection]

    @cached_property
    def parts(self) -> Mapping[str, Part]:
        """Every part by its name, sorted; its images in the order of the views."""
        samples = [sample for found in self.collections.values() for sample in found.samples]
        return {name: Part(name, images) for name, images in sorted(parts_of(samples).items())}

    def missing(self, part: Part) -> tuple[str, ...]:
        """The views that did not see a part."""
        return tuple(view for view in self.collections if view not in part.images)

    def teaching(self) -> tuple[list[Part], list[Part], list[Part]]:
        """The parts to learn from, to validate on and to test on.

        A part is tested in all views if it is in any, so that it is never on two sides.
        """
        tested, kept = (
            {sample.part for found in self.collections.values() for sample in getattr(found, split)}
            for split in ("test", "validation")
        )
        deck: tuple[list[Part], list[Part], list[Part]] = ([], [], [])
        for name, part in self.parts.items():
            deck[2 if name in tested else 1 if name in kept else 0].append(part)
        return deck

    @property
    def sentence(self) -> str:
        """How many parts there are, and the views."""
        views = counted(len(self.collections), "view")
        return f"{counted(len(self.parts), 'part')} seen from {views}: {', '.join(self.collections)}"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know of the parts."""
        found = []
        torn = [name for name, part in self.parts.items() if self.missing(part)]
        if torn:
            found.append(
                f"{len(torn)} of {counted(len(self.parts), 'part')} lack an image of a view: {named(torn)}"
            )
        differing = [
            name
            for name, part in self.parts.items()
            if {True, False} <= {sample.defective for sample in part.images.values()}
        ]
        if differing:
            count = counted(len(differing), "part")
            found.append(f"{count} defective in some views only, and so defective: {named(differing)}")
        return tuple(found)


def assemble(project: Project, host: PluginHost) -> Assembly:
    """Read every view's images; refused where the views have no part in common."""
    choices = {
        name: DataChoice(
            root=str(view.data or project.data),
            layout=view.layout or project.layout,
            view=project.share(name),
        )
        for name, view in project.views.items()
    }
    assembly = Assembly(choices, {name: choice.read(host) for name, choice in choices.items()})
    if len(choices) > 1 and all(len(part.images) == 1 for part in assembly.parts.values()):
        seen = [
            f"{view} has {named([sample.part for sample in found.samples][:2])}"
            for view, found in assembly.collections.items()
        ]
        raise InputError(
            f"no part was seen from two views ({'; '.join(seen)}); give parts, a regular expression whose "
            "groups name the part in an image's path"
        )
    return assembly

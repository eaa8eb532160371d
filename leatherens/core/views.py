"""Several camera positions of one machine: which view an image was taken from, and which part it shows.

What the reader says of an image comes first (a manifest has columns for both). Else the view is told by
data of its own, by a glob, or by a name in the image's path, and the part by a regular expression or by what
is left of the path without the view.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from leatherens.core.errors import InputError, did_you_mean
from leatherens.core.listing import counted, named
from leatherens.core.params import Params
from leatherens.core.reading import Collection, Sample

_BREAK = r"[_\-. ]"
"""What stands between the words of a file's name."""

_FOLDER = re.compile(r"\w[\w. -]*")
"""A view's name is the name of its run's folder."""


class Views(Params):
    """How the images of a project are told apart.

    names: of the views. files: by view a glob that its images' paths fit, where views share a folder; a star
    stands for any characters, slashes too. parts: a regular expression to be found in an image's path; its
    groups, joined by slashes, name the part.
    """

    names: Annotated[tuple[str, ...], Field(min_length=1)]
    files: dict[str, str] = Field(default_factory=dict)
    parts: str | None = None

    @field_validator("names")
    @classmethod
    def _foldable(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not _FOLDER.fullmatch(name):
                raise ValueError("expected names of letters, digits, spaces, dots, - and _, as folders have")
        if len({name.casefold() for name in names}) < len(names):
            raise ValueError(
                "expected names that differ by more than capitals, as folders must on some disks"
            )
        return names

    @field_validator("parts")
    @classmethod
    def _has_groups(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"not a regular expression ({error})") from None
        if not groups:
            raise ValueError(r"expected a group in brackets that names the part, such as (\d+)_[AB]\.png")
        return pattern

    @model_validator(mode="after")
    def _of_known_views(self) -> Self:
        for name in self.files:
            if name not in self.names:
                raise ValueError(f"files: no view is called '{name}'")
        return self

    def view_of(self, sample: Sample) -> str:
        """The view of a new image, told by its whole path if need be; `InputError` where nothing tells it."""
        around = _posix(sample)
        found = self.told(sample) or self._fitting(around, sample.id) or _nearest(around, self.names)
        if found is None:
            tried = ["the globs of files"] if self.files else []
            tried += ["its folders and the words of its name"]
            raise InputError(
                f"{sample.id}: of which view? Tried {' and '.join(tried)} (views: {', '.join(self.names)})"
            )
        return found

    def told(self, sample: Sample) -> str | None:
        """The view that the reader, a glob or the name below the collection's root tells, if any.

        `InputError` where they tell two.
        """
        if sample.view:
            return self._known(sample)
        path = PurePosixPath(sample.id)
        named_after = _named_in(path, self.names)
        return self._fitting(path, sample.id) or _only(named_after, f"{sample.id}: is named after the views")

    def _fitting(self, path: PurePosixPath, id: str) -> str | None:
        fitting = [name for name, glob in self.files.items() if _fits(path, glob)]
        return _only(fitting, f"{id}: fits the files")

    def part_of(self, sample: Sample, view: str) -> str:
        """The name of the part an image shows, the same in all views; `InputError` where there is none."""
        if sample.part:
            return sample.part
        if self.parts is not None:
            return self._matched(sample, self.parts)
        path = PurePosixPath(sample.id)
        kept = [*(folder for folder in path.parent.parts if folder != view), _without(view, path.stem)]
        part = "/".join(word for word in kept if word)
        if not part:
            raise InputError(
                f"{sample.id}: nothing but the view names it, so that its part is unknown; give parts, a "
                "regular expression"
            )
        return part

    def assigned(self, sample: Sample, view: str) -> Sample:
        """The sample with its view and its part."""
        return replace(sample, view=view, part=self.part_of(sample, view))

    def _known(self, sample: Sample) -> str:
        if sample.view not in self.names:
            hint = did_you_mean(sample.view, self.names) or ";"
            raise InputError(
                f"{sample.id}: said to be of view '{sample.view}', which the project does not have{hint} "
                f"(views: {', '.join(self.names)})"
            )
        return sample.view

    def _matched(self, sample: Sample, pattern: str) -> str:
        found = re.search(pattern, sample.id) or re.search(pattern, _posix(sample).as_posix())
        part = "/".join(group for group in found.groups() if group) if found else ""
        if not part:
            raise InputError(f"{sample.id}: parts, the regular expression {pattern}, finds no part in it")
        return part


class ViewOf(Params):
    """One view's share of a collection. own: all of it is this view's, unless the reader says otherwise."""

    name: str
    own: bool
    among: Views

    def of(self, collection: Collection) -> Collection:
        """The images of this view, with view and part; refused where there are none."""
        views = {sample.id: self._told(sample) for sample in collection.samples}
        if self.name not in views.values():
            raise InputError(self._none(collection, views))
        train, validation, test = (
            tuple(
                self.among.assigned(sample, self.name) for sample in samples if views[sample.id] == self.name
            )
            for samples in (collection.train, collection.validation, collection.test)
        )
        left = [id for id, view in views.items() if view is None]
        told = (f"left out {counted(len(left), 'image')} of no view: {named(left)}",) if left else ()
        remarks = (*collection.remarks, *told)
        return replace(collection, train=train, validation=validation, test=test, remarks=remarks)

    def less_others(self, collection: Collection) -> Collection:
        """The images given for this view, less those that are known to be of another."""
        others = {sample.id for sample in collection.samples if self._told(sample) not in (None, self.name)}
        if not others:
            return collection
        train, validation, test = (
            tuple(sample for sample in samples if sample.id not in others)
            for samples in (collection.train, collection.validation, collection.test)
        )
        told = f"left out {counted(len(others), 'image')} of other views than {self.name}"
        remarks = (*collection.remarks, told)
        return replace(collection, train=train, validation=validation, test=test, remarks=remarks)

    def _told(self, sample: Sample) -> str | None:
        return self.name if self.own and not sample.view else self.among.told(sample)

    def _none(self, collection: Collection, views: Mapping[str, str | None]) -> str:
        others = sorted({view for view in views.values() if view is not None})
        seen = f"they are of {named(others)}" if others else "they are of no view"
        glob = self.among.files.get(self.name)
        tried = f"none fits its files, {glob}" if glob else "no folder and no word of a name is called so"
        return (
            f"{collection.root}: view '{self.name}' has none of its {counted(len(views), 'image')}: {seen}, "
            f"and {tried}; correct that, or give the view data of its own"
        )


def parts_of(samples: Iterable[Sample]) -> dict[str, dict[str, Sample]]:
    """By part, then by view, in the order they come; refuses two images of one view for one part."""
    parts: dict[str, dict[str, Sample]] = {}
    for sample in samples:
        seen = parts.setdefault(sample.part, {})
        if sample.view in seen:
            raise InputError(
                f"two images of part '{sample.part}' in view '{sample.view}': {seen[sample.view].id} and "
                f"{sample.id}; name parts so that they differ, with parts, a regular expression"
            )
        seen[sample.view] = sample
    return parts


class Verdict(str, Enum):
    """What is said of a part. incomplete: nothing was flagged, but a view is missing."""

    good = "good"
    defective = "defective"
    incomplete = "incomplete"


@dataclass(frozen=True, slots=True)
class Severities:
    """How bad a part looks from each view: 0 as good images typically score, 1 at the view's threshold.

    by_view: the views that saw it, in the project's order. missing: those that did not.
    """

    by_view: dict[str, float]
    missing: tuple[str, ...] = ()

    @property
    def flagged_by(self) -> tuple[str, ...]:
        """The views that call it defective."""
        return tuple(view for view, severity in self.by_view.items() if severity > 1)

    @property
    def worst(self) -> float:
        """The highest severity, NaN where no view saw it."""
        return max(self.by_view.values(), default=float("nan"))

    @property
    def verdict(self) -> Verdict:
        """Defective where any view says so; good only where all views say so."""
        if self.flagged_by:
            return Verdict.defective
        return Verdict.incomplete if self.missing else Verdict.good


def _only(found: Sequence[str], what: str) -> str | None:
    if len(found) > 1:
        raise InputError(f"{what} {' and '.join(found)}; say which one it is of")
    return found[0] if found else None


def _posix(sample: Sample) -> PurePosixPath:
    return PurePosixPath(Path(sample.path).absolute().as_posix())


def _fits(path: PurePosixPath, glob: str) -> bool:
    """Whether a whole path, or its end from some folder on, fits a glob."""
    return fnmatchcase(path.as_posix(), glob) or fnmatchcase(path.as_posix(), f"*/{glob}")


def _named_in(path: PurePosixPath, names: Sequence[str]) -> list[str]:
    """The views that folders or words of a path are called after; of left and left_low, the longer."""
    longest_first = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    words = set(re.findall(rf"(?:^|(?<={_BREAK}))(?:{longest_first})(?={_BREAK}|$)", path.stem))
    return [name for name in names if name in words or name in path.parent.parts]


def _nearest(path: PurePosixPath, names: Sequence[str]) -> str | None:
    """The nearest folder around the image that is called after a view."""
    return next((folder for folder in reversed(path.parent.parts) if folder in names), None)


def _without(view: str, stem: str) -> str:
    """A name without the word that is the view's, and one break less.

    >>> _without("A", "003_A"), _without("A", "A-003"), _without("A", "3_A_x"), _without("A", "AA_3")
    ('003', '003', '3_x', 'AA_3')
    """
    word = re.escape(view)
    return re.sub(rf"^{word}(?:{_BREAK}|$)|{_BREAK}{word}(?={_BREAK}|$)", "", stem)

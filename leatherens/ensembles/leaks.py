"""What one job of the images tells another: the same picture, group or part in two of them.

What calibrates or tests must not have been learned from, or thresholds and figures look better than they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leatherens.core.errors import InputError
from leatherens.core.listing import counted
from leatherens.core.reading import Sample
from leatherens.ensembles.splits import Splits

PICTURE = "the same picture"
_TAUGHT = ("fit", "validate", "calibrate")


@dataclass(frozen=True, slots=True)
class Leak:
    """An image whose picture, group or part another job has, too; `what` says which of them."""

    what: str
    id: str
    job: str
    twin: str
    twins_job: str

    @property
    def tested(self) -> bool:
        """Whether one of the two is tested, and the other one is learned from."""
        return (self.job in _TAUGHT) != (self.twins_job in _TAUGHT)

    @property
    def sentence(self) -> str:
        """Both, with their jobs."""
        return f"{self.twin} is in '{self.twins_job}' and {self.id}, {self.what}, in '{self.job}'"


def leaks(splits: Splits, samples: Mapping[str, Sample], digests: Mapping[Path, str]) -> list[Leak]:
    """Every image that shares something with the first of another job, in the order of the flow."""
    found, seen = [], dict[tuple[str, str], tuple[str, str]]()
    for job, ids in splits.jobs().items():
        for id in ids:
            for what, key in _marks(samples[id], digests[samples[id].path]):
                before, first = seen.setdefault((what, key), (job, id))
                if before != job:
                    found.append(Leak(what, id, job, first, before))
    return found


def _marks(sample: Sample, digest: str) -> Iterator[tuple[str, str]]:
    yield PICTURE, digest
    if sample.group is not None:
        yield "of the same group", sample.group
    if sample.part:
        yield "of the same part", sample.part


def refuse(found: Sequence[Leak], owner: str) -> None:
    """Raise `InputError` for the first leak, if there is one."""
    if found:
        raise InputError(
            f"{owner}: {found[0].sentence}; what is tested or calibrated with must not have been learned "
            "from: put both into one job, or leave one of the two out"
        )


def allowed(found: Sequence[Leak], owner: str) -> tuple[str, ...]:
    """Remarks on the pictures that splits dealt out here have twice; `InputError` if one of them is tested.

    Groups are not looked at: dealing out keeps them whole, and which ones a layout has on both sides is the
    layout's to say.
    """
    pictures = [leak for leak in found if leak.what == PICTURE]
    refuse([leak for leak in pictures if leak.tested], owner)
    if not pictures:
        return ()
    count = counted(len({leak.id for leak in pictures}), "good image")
    return (
        f"{count} the same as one with another job, such as: {pictures[0].sentence}; what is promised is "
        "promised for such images, so leave out one of each two",
    )

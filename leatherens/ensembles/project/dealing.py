"""Which part taught what: dealt out once for all views, so that no part is ever on two sides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from leatherens.core.errors import InputError
from leatherens.core.listing import counted
from leatherens.core.reading import Collection, Sample
from leatherens.ensembles.project.assembling import Assembly, Part
from leatherens.ensembles.splits import FEWEST, Splits, make_splits


def deal(assembly: Assembly, *, seed: int) -> dict[str, Splits]:
    """Every view's splits: an image has its part's job; the same parts and seed give the same ones."""
    train, validation, test = assembly.teaching()
    _require_enough(assembly, [*train, *validation])
    leaders = joined_groups(assembly.parts.values())
    as_samples = (tuple(_as_sample(part, leaders) for part in parts) for parts in (train, test, validation))
    learned, tested, kept = as_samples
    parts = Collection(_root(assembly), "", "", learned, tested, validation=kept)
    jobs = make_splits(parts, seed=seed).jobs()
    return {view: _of_view(view, assembly, jobs) for view in assembly.collections}


def joined_groups(parts: Iterable[Part]) -> dict[str, str]:
    """By group the name of all that hang together with it: a part in two groups joins them."""
    above: dict[str, str] = {}

    def leader(group: str) -> str:
        while above.setdefault(group, group) != group:
            group = above[group]
        return group

    for part in parts:
        for group in part.groups:
            above[leader(group)] = leader(part.groups[0])
    return {group: leader(group) for group in above}


def _as_sample(part: Part, leaders: Mapping[str, str]) -> Sample:
    """A part in the place of an image, to be dealt out as images are."""
    group = leaders[part.groups[0]] if part.groups else None
    return Sample(Path(part.name), part.name, part.defective, group=group)


def _of_view(view: str, assembly: Assembly, jobs: Mapping[str, Sequence[str]]) -> Splits:
    found = {
        job: tuple(
            sorted(
                assembly.parts[part].images[view].id for part in parts if view in assembly.parts[part].images
            )
        )
        for job, parts in jobs.items()
    }
    empty = [job for job in ("fit", "validate", "calibrate", "test") if not found[job]]
    if empty:
        raise InputError(
            f"view '{view}': none of the parts dealt out to {empty[0]} has an image of it; add images, or "
            "leave out parts that lack them"
        )
    return Splits(**found)


def _require_enough(assembly: Assembly, teaching: Sequence[Part]) -> None:
    for view in assembly.collections:
        seen = sum(view in part.images for part in teaching)
        if seen < FEWEST:
            raise InputError(
                f"view '{view}': at least {FEWEST} good parts are needed to learn, validate and calibrate, "
                f"it saw {counted(seen, 'part')} that may teach; add photographs of good parts"
            )


def _root(assembly: Assembly) -> Path:
    return next(iter(assembly.collections.values())).root

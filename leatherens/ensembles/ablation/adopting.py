"""Members taken over from finished runs, if these learned from the same images in the same way."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leatherens.configs.recipe import MemberChoice, Recipe, read_recipe
from leatherens.core.backbones import BackbonePool
from leatherens.core.detector import Detector
from leatherens.core.errors import ArtifactError
from leatherens.core.progress import Progress
from leatherens.core.reading import Collection
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.splits import Splits, fingerprint, splits_of


@dataclass(frozen=True, slots=True)
class Adopted:
    """A member of a finished run, and that run."""

    folder: RunFolder
    recipe: Recipe
    choice: MemberChoice


def members_of(paths: Sequence[Path]) -> dict[str, Adopted]:
    """Every member of these finished runs, by id."""
    found: dict[str, Adopted] = {}
    for path in paths:
        folder = RunFolder(path)
        folder.require_done()
        recipe = read_recipe(folder.recipe)
        for id, choice in recipe.members.items():
            if id in found:
                raise ArtifactError(
                    f"'{id}' is a member of {found[id].folder.path} and of {path}; leave one of the two out"
                )
            found[id] = Adopted(folder, recipe, choice)
    return found


def require_same_origin(members: Mapping[str, Adopted], recipe: Recipe, collection: Collection) -> None:
    """Refuse members that learned from other images, other parts of them, or at another size or seed."""
    if not members:
        return
    mark = fingerprint(collection.samples)
    splits = splits_of(recipe, collection)
    for id, member in members.items():
        path, theirs = member.folder.path, member.recipe
        for name, own, other in (("size", recipe.size, theirs.size), ("seed", recipe.seed, theirs.seed)):
            if own != other:
                raise ArtifactError(
                    f"{path}: '{id}' learned with {name} {other}, here it is {own}; fit it anew"
                )
        if recipe.preparation != theirs.preparation:
            raise ArtifactError(
                f"{path}: '{id}' learned from photographs prepared in another way "
                f"({_steps(theirs)}, here {_steps(recipe)}); fit it anew"
            )
        if member.folder.facts().data_fingerprint != mark:
            raise ArtifactError(
                f"{path}: '{id}' learned from other images than those in {collection.root}; fit it anew"
            )
        if Splits.read(member.folder.splits) != splits:
            raise ArtifactError(
                f"{path}: '{id}' learned from another part of the images than is dealt out now; fit it anew"
            )


def _steps(recipe: Recipe) -> str:
    return ", ".join(step.id for step in recipe.preparation) or "not at all"


def adopt(
    into: RunFolder,
    members: Mapping[str, Adopted],
    fitted: Mapping[str, Detector],
    pool: BackbonePool,
    progress: Progress,
) -> None:
    """Copy the members' folders into a run, unless it has them; fitted: the same members, made."""
    for id, member in members.items():
        if into.holds(into.member(id)):
            continue
        if other := other_weights(member, fitted[id], pool):
            raise ArtifactError(f"{member.folder.path}: '{id}' {other}; give the first ones with --weights")
        _copy(member.folder.member(id), into.member(id))
        progress.say(f"{id}: taken from {member.folder.path}")


def other_weights(member: Adopted, fitted: Detector, pool: BackbonePool) -> str:
    """How the weights a member learned with differ from those in the pool; empty where they do not."""
    known, loaded = member.folder.facts().backbones, pool.loaded()
    for model in sorted({request.model for request in fitted.backbones()}):
        theirs, ours = known.get(model, {}), loaded[model]
        if theirs.get("fingerprint") != ours["fingerprint"]:
            return (
                f"learned with other weights of '{model}' ({theirs.get('origin')}) than those found now "
                f"({ours['origin']})"
            )
    return ""


def _copy(folder: Path, into: Path) -> None:
    """A folder whole or not at all."""
    beside = into.with_name(f".{into.name}.part")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(folder, beside)
        shutil.rmtree(into, ignore_errors=True)
        beside.rename(into)
    except (OSError, shutil.Error) as error:
        raise ArtifactError(f"{into}: cannot be copied from {folder} ({error})") from error

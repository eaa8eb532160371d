"""The variants of an ablation: the recipe itself, then one thing changed at a time, each thing only once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from leatherens.configs.recipe import Choice, Mode, Recipe
from leatherens.core.host import PluginHost
from leatherens.ensembles.ablation.settings import AblationSettings

WHOLE = "whole"
"""What varies in the recipe itself: nothing."""

MEMBER = "member"
"""What varies where a member stands alone."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One row of the table.

    varies: whole, member, mode, fusion, block, head, without or subset. name: what is put in its place.
    recipe: what a run of it would be.
    """

    varies: str
    name: str
    recipe: Recipe

    @property
    def members(self) -> tuple[str, ...]:
        """Ids, sorted."""
        return tuple(sorted(self.recipe.members))

    @property
    def mode(self) -> Mode:
        """What is fused."""
        return self.recipe.fusion_mode

    @property
    def fused(self) -> str | None:
        """A name for the members, block and head whose vote it takes; `None` where only scores are fused."""
        if self.mode is Mode.score:
            return None
        return _mark([self.members, _plain(self.recipe.block), _plain(self.recipe.head)])

    @property
    def key(self) -> str:
        """A name for everything the row depends on: variants of one key are one."""
        several = len(self.members) > 1 or self.mode is Mode.hybrid
        fuses = self.mode is not Mode.feature and several
        fusion = _plain(self.recipe.score_fusion) if fuses else None
        return _mark([self.members, self.mode.value, self.fused, fusion])


def plan(recipe: Recipe, settings: AblationSettings, host: PluginHost) -> list[Variant]:
    """All variants around a resolved recipe, those that share a vote of block and head beside each other."""
    if recipe.mode is Mode.score and len(recipe.members) == 1:
        recipe = recipe.model_copy(update={"mode": Mode.hybrid})  # else nothing could vary
    whole = Variant(WHOLE, "as a run does it", recipe)
    several = len(recipe.members) > 1
    found = [
        *_alone(recipe),
        whole,
        *_modes(recipe),
        *(_fusions(recipe, settings.fusions, host) if several else ()),
        *_heads(recipe, settings.heads, host),
        *_blocks(recipe, settings, host),
        *(_fewer(recipe, settings) if several else ()),
    ]
    unique: dict[str, Variant] = {}
    for variant in found:
        unique.setdefault(variant.key, variant)
    return list(unique.values())


def _alone(recipe: Recipe) -> Iterator[Variant]:
    for id in sorted(recipe.members):
        yield Variant(MEMBER, id, _of_members(recipe, [id], Mode.score))


def _modes(recipe: Recipe) -> Iterator[Variant]:
    for mode in Mode:
        yield Variant("mode", mode.value, recipe.model_copy(update={"mode": mode}))


def _fusions(recipe: Recipe, asked: Sequence[str] | None, host: PluginHost) -> Iterator[Variant]:
    if recipe.fusion_mode is Mode.feature:
        return
    for id in _ids(asked, host, "score_fusions"):
        yield Variant("fusion", id, _with(recipe, "score_fusion", id, {}))


def _heads(recipe: Recipe, asked: Sequence[str] | None, host: PluginHost) -> Iterator[Variant]:
    centre = _featured(recipe)
    for id in _ids(asked, host, "heads"):
        yield Variant("head", id, _with(centre, "head", id, {}))


def _blocks(recipe: Recipe, settings: AblationSettings, host: PluginHost) -> Iterator[Variant]:
    centre = _featured(recipe)
    for id in _ids(settings.blocks, host, "fusion_blocks"):
        yield Variant("block", id, _with(centre, "block", id, {}))
        if "components" in host.fusion_blocks().load(id).Params.model_fields:
            for count in settings.components:
                changed = _with(centre, "block", id, {"components": count})
                yield Variant("block", f"{id}, N {count}", changed)


def _fewer(recipe: Recipe, settings: AblationSettings) -> Iterator[Variant]:
    ids = sorted(recipe.members)
    mode = settings.subset_mode or recipe.fusion_mode
    for id in ids if len(ids) > 2 else ():
        yield Variant("without", id, _of_members(recipe, [other for other in ids if other != id], mode))
    for size in range(2, min(settings.subsets, len(ids) - 1) + 1):
        for chosen in combinations(ids, size):
            yield Variant("subset", " + ".join(chosen), _of_members(recipe, chosen, mode))


def _of_members(recipe: Recipe, ids: Sequence[str], mode: Mode) -> Recipe:
    members = {id: recipe.members[id] for id in ids}
    return recipe.model_copy(update={"members": members, "mode": mode})


def _featured(recipe: Recipe) -> Recipe:
    """The recipe, in a mode in which block and head count."""
    mode = Mode.hybrid if recipe.fusion_mode is Mode.score else recipe.fusion_mode
    return recipe.model_copy(update={"mode": mode})


def _with(recipe: Recipe, part: str, id: str, options: Mapping[str, Any]) -> Recipe:
    """The recipe with another part, which keeps the options the recipe gives it where it is the same one."""
    chosen: Choice = getattr(recipe, part)
    kept = chosen.options if chosen.id == id else {}
    return recipe.model_copy(update={part: Choice(id=id, options={**kept, **options})})


def _ids(asked: Sequence[str] | None, host: PluginHost, kind: str) -> tuple[str, ...]:
    registry = host.registry(kind)
    for id in asked or ():
        registry.entry(id)  # a mistyped one is told before anything slow begins
    return tuple(registry.ids()) if asked is None else tuple(asked)


def _plain(choice: Choice) -> dict[str, Any]:
    return choice.model_dump(mode="json")


def _mark(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

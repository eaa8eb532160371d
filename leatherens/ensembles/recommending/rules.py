"""What a scenario asks of the images, held against what they look like: rules as data.

A condition that is met counts for what it weighs: the fewer sets of images it fits, the more. Of the
scenarios whose conditions are all met, the one with the highest sum comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from leatherens.configs.recipe import Recipe
from leatherens.core.listing import counted
from leatherens.core.looks import Look
from leatherens.core.scenario import Conditions, Range

WEIGHTS: Mapping[str, int] = {
    "views": 4,
    "images.most": 4,
    "side.least": 4,
    "aligned": 2,
    "colours": 1,
    "surface": 1,
    "images.least": 0,
    "side.most": 0,
}
"""By condition. Several views, few or large images need a way of their own, whatever they show; where parts
lie narrows down more than what is on them; that there are not few or large images hardly does."""

REGISTRATION = "registration"
"""The step of a preparation after which a part that moved lies still."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition against the images. weight: of it, if met. sentence: what the images are."""

    key: str
    met: bool
    weight: int
    sentence: str


def checks(when: Conditions, look: Look, recipe: Recipe) -> tuple[Check, ...]:
    """Every condition of a scenario, its recipe being this; `budget` is none of the images'."""
    return tuple(
        check for key, rule in RULES.items() for check in rule(getattr(when, key), look, recipe, key)
    )


Rule = Callable[..., Iterator[Check]]


def _colours(asked: str | None, look: Look, recipe: Recipe, key: str) -> Iterator[Check]:
    if asked is not None:
        yield _alike(key, asked, "one" if look.colours.one else "several", look.sentences["colours"])


def _surface(asked: str | None, look: Look, recipe: Recipe, key: str) -> Iterator[Check]:
    if asked is not None:
        article = "an" if look.surface == "object" else "a"
        yield _alike(key, asked, look.surface, f"they show {article} {look.surface}")


def _views(asked: str | None, look: Look, recipe: Recipe, key: str) -> Iterator[Check]:
    if asked is not None:
        yield _alike(key, asked, "several" if look.views else "one", look.sentences["views"])


def _images(asked: Range, look: Look, recipe: Recipe, key: str) -> Iterator[Check]:
    yield from _within(key, asked, look.images, counted(look.images, "good image"))


def _side(asked: Range, look: Look, recipe: Recipe, key: str) -> Iterator[Check]:
    yield from _within(key, asked, look.longest_side, f"the longest side is {look.longest_side} pixels")


def _aligned(asked: bool | None, look: Look, recipe: Recipe, key: str) -> Iterator[Check]:
    """An object that can be laid over itself is aligned by a recipe that does so."""
    if asked is None:
        return
    registers = any(step.id == REGISTRATION for step in recipe.preparation)
    brought = look.surface == "object" and look.places.registrable and registers
    told = look.sentences["places"] if not brought else "the part moves, and the recipe lays it over itself"
    yield Check(key, asked == (look.still or brought), WEIGHTS[key], told)


RULES: Mapping[str, Rule] = {
    "views": _views,
    "images": _images,
    "side": _side,
    "aligned": _aligned,
    "colours": _colours,
    "surface": _surface,
}
"""By key of `Conditions`; all but `budget`, which is about costs."""


def _alike(key: str, asked: str, found: str, sentence: str) -> Check:
    return Check(key, asked == found, WEIGHTS[key], sentence)


def _within(key: str, asked: Range, found: int, sentence: str) -> Iterator[Check]:
    for end, bound in (("least", asked.least), ("most", asked.most)):
        if bound is not None:
            met = found >= bound if end == "least" else found <= bound
            yield Check(f"{key}.{end}", met, WEIGHTS[f"{key}.{end}"], f"{sentence} (at {end} {bound})")

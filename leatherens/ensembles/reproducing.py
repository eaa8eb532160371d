"""How to repeat a run: what to type, and what its numbers depend on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from leatherens.configs.recipe import Recipe
from leatherens.core.reporting import Reproduction
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.facts import Facts
from leatherens.ensembles.needs import Need

DIGITS = 12
"""Of a fingerprint are shown; enough to tell two apart."""


def reproduction_of(facts: Facts, recipe: Recipe, path: Path | None) -> Reproduction:
    """Of the run in a folder; `None`: in none that can be named."""
    return Reproduction(
        commands=tuple(_commands(facts, path)),
        facts=tuple(_facts(facts, recipe)),
        plugins=tuple(_plugins(facts.plugins)),
    )


def _commands(facts: Facts, path: Path | None) -> Iterator[tuple[str, str]]:
    yield "As it was asked for:", facts.command
    if path is None or facts.data.view is not None or facts.data.joined:
        return  # of several views: the project's own command makes them
    shown, grouped = _data(facts.data)
    recipe = ["--config", str(path / "recipe.yaml")]
    splits = ["--splits", str(path / "splits.json")] if "--splits" in facts.command.split() else []
    again = ["leatherens", "run", *recipe, *shown, *grouped, *splits, "--out", f"{path}-again"]
    yield "The same again, from the recipe that the run wrote down:", shlex.join(again)
    yield "Measure what it learned once more:", shlex.join(["leatherens", "evaluate", str(path), *shown])


def _data(data: DataChoice) -> tuple[list[str], list[str]]:
    """The options that show the images, and those that group them, which only learning asks for."""
    beside = {"--data": data.root, "--layout": data.layout, "--defects": data.defects, "--masks": data.masks}
    shown = [part for option, value in beside.items() if value is not None for part in (option, value)]
    return shown, [] if data.group_by is None else ["--group-by", data.group_by]


def _facts(facts: Facts, recipe: Recipe) -> Iterator[tuple[str, str]]:
    yield "seed", str(recipe.seed)
    yield "data fingerprint", facts.data_fingerprint[:DIGITS]
    yield "recipe fingerprint", facts.recipe_fingerprint[:DIGITS]
    yield "machine", facts.machine or "not recorded"
    yield "computed on", recipe.device
    for model, found in facts.backbones.items():
        yield f"weights of {model}", f"{found['origin']}, fingerprint {found['fingerprint'][:DIGITS]}"


def _plugins(needs: tuple[Need, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    by_source: dict[str, list[str]] = {}
    for need in needs:
        by_source.setdefault(need.source, []).append(need.id)
    for source, ids in by_source.items():
        yield source, tuple(dict.fromkeys(ids))

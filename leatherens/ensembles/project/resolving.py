"""From a project as it was written to one that leaves nothing open: recipes, rates, places."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from leatherens.configs.project import FALSE_ALARMS, Project
from leatherens.configs.recipe import NO_PLACES, Calibration, Choice, Places, Recipe
from leatherens.core.errors import ConfigError, InputError
from leatherens.core.host import PluginHost
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.parts import resolve

RATE = "false_alarms"

_ROUNDING = 1e-9


def resolved(project: Project, host: PluginHost, places: Places = NO_PLACES) -> Project:
    """The same project with every default of every view written out, at the places asked for.

    The false-alarm rate of parts is shared out: a good part is flagged if any of its views flags it, and the
    chance of that is at most the sum of theirs, however much the views have in common (Boole's inequality).
    """
    project = _with_folders_of_views(project, host)
    rates = shared_rates(project, host)
    recipes = {}
    for name, view in project.views.items():
        with naming(name):
            _refuse_own_splits(view.recipe)
            recipes[name] = resolve(_at_rate(view.recipe, rates.get(name)).at(places), host)
    promised = sum(rates.values()) if len(rates) == len(project.views) else None
    settled = project.false_alarms if project.false_alarms is not None else promised
    return project.with_recipes(recipes).model_copy(update={"false_alarms": settled})


def _refuse_own_splits(recipe: Recipe) -> None:
    """Parts are dealt out once for all views, so that no view has shares of its own."""
    for key in ("shares", "labelled"):
        if getattr(recipe, key) != Recipe.model_fields[key].default:
            raise ConfigError(f"{key}: parts are dealt out for all views alike; leave it out")
    if recipe.calibration is not Calibration.split:
        raise ConfigError(
            "calibration: what is promised of parts is summed over views, which takes a guarantee; give "
            "split, or leave it out"
        )


@contextmanager
def naming(view: str) -> Iterator[None]:
    """A mistake that only one view makes names it."""
    try:
        yield
    except (ConfigError, InputError) as error:
        raise type(error)(f"view '{view}': {error}") from error


def _with_folders_of_views(project: Project, host: PluginHost) -> Project:
    """The project with data of their own for views whose folders in the common data are collections each."""
    homeless = [name for name, view in project.views.items() if view.data is None and view.files is None]
    if project.data is None or not homeless:
        return project
    found = DataChoice(root=project.data, layout=project.layout).categories(host)
    folders = {folder.name: str(folder) for folder in found.folders} if found else {}
    own = {
        name: project.views[name].model_copy(update={"data": folders[name]})
        for name in homeless
        if name in folders
    }
    return project.model_copy(update={"views": {**project.views, **own}})


def shared_rates(project: Project, host: PluginHost) -> dict[str, float]:
    """The rate of each view whose threshold takes one.

    A view that states a rate keeps it; the others share equally what is left of the parts' rate.
    """
    rules = {name: view.recipe.threshold for name, view in project.views.items()}
    takers = {name: rule for name, rule in rules.items() if _takes_rate(rule, host)}
    if project.false_alarms is not None and (without := [name for name in rules if name not in takers]):
        raise ConfigError(
            f"false_alarms: the threshold '{rules[without[0]].id}' of view '{without[0]}' takes no rate; "
            "leave one of the two out"
        )
    own = {name: _stated(rule, host) for name, rule in takers.items() if RATE in rule.options}
    others = [name for name in takers if name not in own]
    asked = FALSE_ALARMS if project.false_alarms is None else project.false_alarms
    left = asked - sum(own.values())
    if (others and left <= 0) or (project.false_alarms is not None and left < -_ROUNDING):
        raise ConfigError(
            f"false_alarms: {asked:g} of the parts is asked for, and the views' own rates sum to "
            f"{sum(own.values()):g}; ask for more, or give the views less"
        )
    return own | {name: left / len(others) for name in others}


def _takes_rate(rule: Choice, host: PluginHost) -> bool:
    return RATE in host.thresholds().load(rule.id).Params.model_fields


def _stated(rule: Choice, host: PluginHost) -> float:
    return float(host.thresholds().load(rule.id).from_options(rule.options).params.false_alarms)


def _at_rate(recipe: Recipe, rate: float | None) -> Recipe:
    if rate is None:
        return recipe
    options = {**recipe.threshold.options, RATE: rate}
    return recipe.model_copy(update={"threshold": Choice(id=recipe.threshold.id, options=options)})

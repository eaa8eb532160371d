"""What every scenario must do: say when to use it, and name a recipe that can be made."""

from __future__ import annotations

from leatherens.configs.checked import require_parts
from leatherens.configs.recipe_file import RecipeFile, read_recipe_file
from leatherens.core.errors import LeatherensError
from leatherens.core.host import PluginHost
from leatherens.testing.bench import Bench
from leatherens.testing.declaration_checks import LOWER_KEBAB


def check_scenario_declares_itself(trial: Bench) -> None:
    """The id is lower-kebab, and the title and what use, avoidance and cost are is said in words."""
    id = type(trial.make()).id
    trial.expect(LOWER_KEBAB.fullmatch(id), f"the id must be lower-kebab like 'one-colour', got {id!r}")
    about = _read(trial).about
    if about is None:
        trial.fail("the file says nothing of itself; write `about` with title, use, avoid and cost")
    for name in ("title", "use", "avoid", "cost"):
        trial.expect(getattr(about, name).strip(), f"about: {name} is empty")


def check_scenario_recipe_can_be_made(trial: Bench) -> None:
    """Every key is a recipe's, and every plugin it names is there and takes its options."""
    found = _read(trial)
    try:
        require_parts(found, PluginHost())
        trial.expect(found.recipe.members, "the recipe has no members")
    except LeatherensError as error:
        trial.fail(f"its recipe cannot be made: {error}")


def check_scenario_measurements_can_be_repeated(trial: Bench) -> None:
    """Whatever was measured names the command that measured it."""
    about = _read(trial).about
    for measured in about.measured if about else ():
        told = "leatherens " in measured.command
        trial.expect(told, f"no command is named that measured it on {measured.data}")


def _read(trial: Bench) -> RecipeFile:
    try:
        return read_recipe_file(type(trial.make()).file, PluginHost())
    except LeatherensError as error:
        trial.fail(f"its file cannot be read: {error}")


CHECKS = (
    check_scenario_declares_itself,
    check_scenario_recipe_can_be_made,
    check_scenario_measurements_can_be_repeated,
)

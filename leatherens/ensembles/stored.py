"""What a later use of a run must find unchanged: its recipe and the weights it learned with."""

from __future__ import annotations

import warnings
from pathlib import Path

from leatherens.configs.recipe import Places, Recipe, read_recipe
from leatherens.core.backbones import BackbonePool
from leatherens.core.errors import ArtifactError, PluginWarning
from leatherens.core.host import PluginHost
from leatherens.ensembles.facts import recipe_fingerprint
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.needs import differences, require_needs
from leatherens.ensembles.parts import resolve


def stored_recipe(folder: RunFolder, host: PluginHost, places: Places) -> Recipe:
    """The recipe a run began with, at the places asked for; plugins it needs and lacks are named."""
    facts = folder.facts()
    require_needs(facts.plugins, host, folder.path)
    for difference in differences(facts.plugins, host):
        warnings.warn(f"{folder.path}: {difference}", PluginWarning, stacklevel=2)
    return recipe_at(folder.recipe, facts.recipe_fingerprint, host, places)


def recipe_at(path: Path, fingerprint: str, host: PluginHost, places: Places) -> Recipe:
    """A stored recipe at the places asked for, unless its fingerprint is another one."""
    recipe = read_recipe(path)
    if recipe_fingerprint(path) != fingerprint:
        raise ArtifactError(
            f"{path}: changed since this run began; put it back, or start a new run with another --out"
        )
    return resolve(recipe.at(places), host)


def require_same_weights(folder: RunFolder, pool: BackbonePool) -> None:
    """Refuse other weights than the members learned with: their scores would mean something else."""
    learned_with = folder.facts().backbones
    for model, found in pool.loaded().items():
        if model not in learned_with:
            raise ArtifactError(f"{folder.path}/run.json: damaged, it does not name the weights of '{model}'")
        first = learned_with[model]
        if found["fingerprint"] != first.get("fingerprint"):
            raise ArtifactError(
                f"{folder.path}: learned with other weights of '{model}' ({first.get('origin')}) than those "
                f"found now ({found['origin']}); give the first ones with --weights"
            )

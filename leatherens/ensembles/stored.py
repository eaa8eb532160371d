"""What a later use of a run must find unchanged: its recipe and the weights it learned with."""

from __future__ import annotations

from pathlib import Path

from leatherens.configs.recipe import Recipe, read_recipe
from leatherens.core.backbones import BackbonePool
from leatherens.core.errors import ArtifactError
from leatherens.core.host import PluginHost
from leatherens.ensembles.facts import recipe_fingerprint
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.parts import resolve


def stored_recipe(
    folder: RunFolder,
    host: PluginHost,
    *,
    device: str | None = None,
    weights: tuple[str, ...] = (),
    allow_download: bool = False,
) -> Recipe:
    """The recipe a run began with, on another device or with weights from elsewhere where that is asked."""
    return recipe_at(
        folder.recipe,
        folder.facts().recipe_fingerprint,
        host,
        device=device,
        weights=weights,
        allow_download=allow_download,
    )


def recipe_at(
    path: Path,
    fingerprint: str,
    host: PluginHost,
    *,
    device: str | None = None,
    weights: tuple[str, ...] = (),
    allow_download: bool = False,
) -> Recipe:
    """A stored recipe, unless its fingerprint is another one; the places as in `stored_recipe`."""
    recipe = read_recipe(path)
    if recipe_fingerprint(path) != fingerprint:
        raise ArtifactError(
            f"{path}: changed since this run began; put it back, or start a new run with another --out"
        )
    asked = {"device": device, "weights": weights, "allow_download": allow_download}
    return resolve(recipe.model_copy(update={key: value for key, value in asked.items() if value}), host)


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

"""How images were prepared whose scores a threshold is for, in words that a threshold keeps and compares.

A score depends on the size an image is brought to, on its tiles and on every step of its preparation. Under
other conditions a threshold is a number without a meaning, and is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from torch import Tensor

from leatherens.configs.recipe import Recipe
from leatherens.core.preparation import Preparation


def conditions_of(recipe: Recipe, steps: Sequence[Preparation]) -> dict[str, str]:
    """Size, tiles and preparation of a recipe, its steps as they were fitted."""
    height, width = recipe.size
    tile = (
        "none" if recipe.tile is None else f"{recipe.tile[0]} x {recipe.tile[1]}, overlap {recipe.overlap:g}"
    )
    prepared = f"{', '.join(step.id for step in steps)} ({_digest(steps)})" if steps else "none"
    return {"size": f"{height} x {width}", "tile": tile, "preparation": prepared}


def _digest(steps: Sequence[Preparation]) -> str:
    """12 hex digits that change with any option of the steps and with anything they learned."""
    found = hashlib.blake2b(digest_size=6)
    for step in steps:
        state = step.state() if step.learns else {}
        plain = {name: value for name, value in state.items() if not isinstance(value, Tensor)}
        said = [step.id, step.params.model_dump(mode="json"), plain]
        found.update(json.dumps(said, sort_keys=True).encode())
        for name, value in sorted(state.items()):
            if isinstance(value, Tensor):
                found.update(name.encode() + value.contiguous().numpy().tobytes())
    return found.hexdigest()

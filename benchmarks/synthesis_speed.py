"""Time the artificial anomalies: how many of each kind one core draws in a second.

    python benchmarks/synthesis_speed.py --textures FOLDER

Counts the processor's time, not the clock's, so that other programs disturb little; the quickest of several
rounds counts. Kinds with a foreign texture are timed with textures made on the spot and, where a folder is
given, with its pictures, which are read and resized before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import cv2
import numpy as np
import torch

from leatherens.core.leather import good_hide
from leatherens.core.synthesis.augment import augmented
from leatherens.core.synthesis.catalogue import KINDS, kind_named
from leatherens.core.synthesis.patterns import ProceduralTextures
from leatherens.core.synthesis.perlin import perlin_mask
from leatherens.core.synthesis.textures import FolderTextures

Draw = Callable[[np.random.Generator], object]


def milliseconds(draw: Draw, samples: int, rounds: int) -> float:
    """Of one draw, in the quickest round; every round draws the same."""
    draw(np.random.default_rng(0))
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        for seed in range(samples):
            draw(np.random.default_rng(seed))
        taken.append((time.process_time() - start) / samples)
    return 1000 * min(taken)


def parts(size: int, folder: FolderTextures | None) -> dict[str, Draw]:
    """What the kinds are made of."""
    shape = size, size
    texture = ProceduralTextures().draw(np.random.default_rng(0), shape)
    found: dict[str, Draw] = {
        "(Perlin mask)": lambda rng: perlin_mask(rng, shape),
        "(texture made on the spot)": lambda rng: ProceduralTextures().draw(rng, shape),
        "(three augmenters)": lambda rng: augmented(texture, rng),
    }
    if folder is not None:
        found["(texture of the folder)"] = lambda rng: folder.draw(rng, shape)
    return found


def kinds(size: int, folder: FolderTextures | None) -> dict[str, Draw]:
    """Every kind by name, on demo leather."""
    hide = good_hide(np.random.default_rng(0), scenario="one-colour", size=size)
    image = hide.astype(np.float32) / 255
    found: dict[str, Draw] = {}
    for id, entry in KINDS.items():
        found[id] = partial(kind_named(id).draw, image, None)
        if entry.textured and folder is not None:
            found[f"{id}, folder"] = partial(kind_named(id, folder).draw, image, None)
    return found


@click.command()
@click.option("--size", default=256, show_default=True, help="Side of the images in pixels.")
@click.option("--samples", default=200, show_default=True, help="Draws in a round.")
@click.option("--rounds", default=3, show_default=True, help="Rounds; the quickest counts.")
@click.option("--textures", type=click.Path(path_type=Path), help="Folder of texture pictures.")
def main(size: int, samples: int, rounds: int, textures: Path | None) -> None:
    """Print milliseconds and samples a second for each kind and what it is made of."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    folder = None if textures is None else FolderTextures(textures)
    click.echo(f"{samples} draws at {size} x {size}, the quickest of {rounds} rounds, processor time")
    for name, draw in (parts(size, folder) | kinds(size, folder)).items():
        taken = milliseconds(draw, samples, rounds)
        click.echo(f"{name:<28} {taken:7.2f} ms {1000 / taken:8.0f} a second")


if __name__ == "__main__":
    main()

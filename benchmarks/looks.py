"""What images look like, over every set there is: real ones, demo leather, and drawn objects.

    python benchmarks/looks.py DATA

DATA holds collections of any layout side by side, and perhaps `textures/images/CLASS`, whose classes are
looked at one by one. Prints, for each set, the number of images, the unevenness that tells a texture from an
object, the likeness in place, the share that can be registered, the width of details and the colours.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leatherens.core.errors import InputError
from leatherens.core.host import PluginHost
from leatherens.core.leather import good_hide
from leatherens.core.looks import look_at
from leatherens.core.reading import Sample
from leatherens.ensembles.data import DataChoice

Picture = NDArray[np.uint8]
IMAGES, SIDE = 24, 256


def bottle(rng: np.random.Generator, moved: float) -> NDArray[np.float32]:
    """A bottle from above on a light table."""
    canvas = np.full((SIDE, SIDE, 3), 200, np.float32)
    centre = [int(SIDE / 2 + d) for d in rng.uniform(-moved, moved, 2)]
    for radius, colour in ((0.38, (60, 70, 40)), (0.25, (110, 90, 60)), (0.12, (30, 30, 30))):
        cv2.circle(canvas, centre, int(SIDE * radius), colour, -1)
    return canvas


def screw(rng: np.random.Generator, moved: float) -> NDArray[np.float32]:
    """A screw at any angle."""
    canvas = np.full((SIDE, SIDE, 3), 200, np.float32)
    centre, angle = SIDE / 2 + rng.uniform(-moved, moved, 2), float(rng.uniform(0, 360))
    towards = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    for middle, size, grey in (
        (centre, (0.7, 0.12), 90),
        (centre + towards * 0.35 * SIDE, (0.1, 0.25), 60),
    ):
        box = cv2.boxPoints((tuple(middle), (size[0] * SIDE, size[1] * SIDE), angle))
        cv2.fillPoly(canvas, [box.astype(np.int32)], (grey, grey, grey))
    return canvas


def label(rng: np.random.Generator, moved: float) -> NDArray[np.float32]:
    """A printed face that fills the picture."""
    canvas = np.full((SIDE, SIDE, 3), (150, 60, 40), np.float32)
    dx, dy = rng.uniform(-moved, moved, 2)
    for x, y, width, height in ((20, 20, 80, 40), (120, 30, 100, 90), (30, 150, 60, 80), (140, 160, 90, 50)):
        corners = (int(x + dx), int(y + dy)), (int(x + dx + width), int(y + dy + height))
        cv2.rectangle(canvas, *corners, (220, 220, 200), -1)
    return canvas


def cut_leather(rng: np.random.Generator, moved: float) -> NDArray[np.float32]:
    """A piece cut out of a hide, on a table."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    corners = np.array([[30, 40], [220, 30], [235, 200], [120, 240], [20, 180]]) + rng.integers(-4, 5, (5, 2))
    cv2.fillPoly(mask, [corners.astype(np.int32)], 1)
    hide = good_hide(rng, scenario="one-colour", size=SIDE)
    return np.where(mask[..., None] > 0, hide, 225).astype(np.float32)


DRAWN: Mapping[str, tuple[Callable[[np.random.Generator, float], NDArray[np.float32]], float]] = {
    "bottle": (bottle, 0),
    "bottle, moved by 8 %": (bottle, 20),
    "screw, turned": (screw, 15),
    "label": (label, 0),
    "label, moved by 5 %": (label, 12),
    "cut leather on a table": (cut_leather, 0),
}


def drawn(name: str) -> list[Picture]:
    """A set of drawn objects, a little soft and noisy."""
    draw, moved = DRAWN[name]
    made = []
    for number in range(IMAGES):
        rng = np.random.default_rng(number)
        soft = cv2.GaussianBlur(draw(rng, moved), (0, 0), 1.2)
        made.append(np.clip(soft + rng.normal(0, 4, soft.shape), 0, 255).astype(np.uint8))
    return made


def demo(scenario: str, size: int) -> list[Picture]:
    """Demo leather."""
    return [good_hide(np.random.default_rng(n), scenario=scenario, size=size) for n in range(IMAGES)]


def real(root: Path) -> Iterator[tuple[str, list[Sample]]]:
    """The good images of every collection below a folder; the others' where there are none."""
    host = PluginHost(installed=False)
    for folder in sorted(path for path in root.glob("*/") if path.name != "textures"):
        several = DataChoice.at(folder).categories(host)
        for one in several.folders if several else (folder,):
            try:
                found = DataChoice.at(one).read(host, learning=False)
            except InputError as error:
                print(f"{one}: {error}", file=sys.stderr)
                continue
            yield one.relative_to(root).as_posix(), list((*found.train, *found.validation) or found.test)
    for folder in sorted((root / "textures" / "images").glob("*/")):
        yield f"textures/{folder.name}", [Sample(path, path.name) for path in sorted(folder.iterdir())]


def main() -> None:
    """Print the table."""
    print("| set | images | unevenness | seen as | likeness in place | registrable | details, px | colours |")
    print("|---|---|---|---|---|---|---|---|")
    for name, samples in real(Path(sys.argv[1])):
        show(name, samples)
    made = {
        f"demo leather, {s}, {n} px": demo(s, n) for s in ("one-colour", "multi-colour") for n in (64, 256)
    }
    for name, pictures in {**made, **{name: drawn(name) for name in DRAWN}}.items():
        with TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{number}.png" for number in range(len(pictures))]
            for path, pixels in zip(paths, pictures, strict=True):
                Image.fromarray(pixels).save(path)
            show(name, [Sample(path, path.name) for path in paths])


def show(name: str, samples: list[Sample]) -> None:
    """One row."""
    look = look_at(samples, size=(256, 256))
    fitting = "" if look.places.fitting is None else f"{look.places.fitting:.2f}"
    cells = (
        name,
        look.images,
        f"{look.unevenness:.2f}",
        look.surface,
        f"{look.places.alike:.2f}",
        fitting,
        f"{look.details.width:.1f}",
        look.colours.sentence,
    )
    print(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()

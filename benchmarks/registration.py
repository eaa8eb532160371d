"""How exactly photographs are laid over one another, what it costs, and what is left as it is.

    OMP_NUM_THREADS=1 python benchmarks/registration.py [--data DIR] [--images 12]

Known homographies: the middle of a real image is the reference, and a nudged camera sees the same image in
0.8 of the light and with a sensor's noise (sigma 2 grey levels); what comes in at the edge is what is there.
The error is the mean distance in pixels between where the corners come to lie and where they should.
Circuit boards: pairs of photographs of one board (`circuit_board_pairs`), then one reference for all boards.
Strangers: photographs of leather over one of another photograph, where nothing may be warped.
Times are a processor's (one thread), so that a busy machine counts as a quiet one.
DIR, or the variable LEATHERENS_DATA, holds the sets; those that are not there are left out.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from leatherens.core.listing import images_under
from leatherens.core.photographs import Photograph, read_photograph, resize_photograph
from leatherens.core.registration import Alignment, Registration, choose_reference
from leatherens.core.registration.homographies import Homography, corner_error, shift_of
from leatherens.core.registration.reference import spread

SETS = {
    "circuit boards": "circuit_board_pairs/train/good",
    "textures": "textures/images",
    "magnetic tiles": "magnetic_tile/train/good",
    "leather": "leather_one_colour/train/good",
}
MARGIN = 0.12
"""Of an image's sides, around the reference, so that a nudged camera sees something there."""
NUDGES = {
    "stands still": {},
    "2 % aside": {"shift": 0.02},
    "turned 2°": {"turn": 2.0},
    "turned 5°, 3 % aside, 4 % nearer": {"turn": 5.0, "shift": 0.03, "nearer": 0.04},
    "tilted 4 %, 2 % aside": {"tilt": 0.04, "shift": 0.02},
}
"""Shift: of the width. Tilt: by how much nearer one side is than the middle."""


def nudge(
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    turn: float = 0,
    shift: float = 0,
    nearer: float = 0,
    tilt: float = 0,
) -> Homography:
    """The homography of such a nudge, its directions drawn."""
    height, width = size
    middle = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])
    angle, towards = np.deg2rad(turn) * rng.choice([-1, 1]), rng.uniform(0, 2 * np.pi)
    scale = 1 + nearer * rng.choice([-1, 1])
    sine, cosine = scale * np.sin(angle), scale * np.cos(angle)
    across, down = shift * width * np.cos(towards), shift * width * np.sin(towards)
    tilts = 2 * tilt * rng.choice([-1, 1], 2) / (width, height)
    return (
        middle
        @ np.array([[cosine, -sine, across], [sine, cosine, down], [*tilts, 1]])
        @ np.linalg.inv(middle)
    )


def seen(scene: Photograph, homography: Homography, rng: np.random.Generator) -> Photograph:
    """What the camera sees of the scene's middle after a nudge."""
    height, width = middle_of(scene)
    margin = [(whole - part) / 2 for whole, part in zip(scene.shape[:2], (height, width), strict=True)]
    cut = np.array([[1, 0, -margin[1]], [0, 1, -margin[0]], [0, 0, 1]])
    view = cv2.warpPerspective(scene, homography @ cut, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    noisy = 0.8 * view + rng.normal(0, 2, view.shape)
    return noisy.clip(0, 255).round().astype(np.uint8)


def middle_of(scene: Photograph) -> tuple[int, int]:
    """Height and width of the reference."""
    height, width = (round(side * (1 - 2 * MARGIN)) for side in scene.shape[:2])
    return height, width


def images(folder: Path, count: int) -> list[Photograph]:
    """So many images from all over a folder."""
    paths = images_under(folder).images
    return [read_photograph(paths[place]) for place in spread(len(paths), count)]


def known(name: str, scenes: Sequence[Photograph]) -> None:
    """A line per nudge: how many are laid over, the errors, and the time, without and with refinement."""
    for title, how in NUDGES.items():
        cells = [name, title]
        for refine in (False, True):
            registration = Registration(refine=refine)
            errors, seconds = [], 0.0
            for number, scene in enumerate(scenes):
                rng = np.random.default_rng(number)
                homography = nudge(middle_of(scene), rng, **how)
                reference = registration.reference(seen(scene, np.eye(3), rng))
                picture = seen(scene, homography, rng)
                started = time.process_time()
                found = registration.align(picture, reference)
                seconds += time.process_time() - started
                if found.homography is not None:
                    errors.append(corner_error(found.homography, np.linalg.inv(homography), middle_of(scene)))
            worst = f"{np.mean(errors):.2f} ({max(errors):.1f})" if errors else "-"
            cells += [f"{len(errors)} of {len(scenes)}", worst, f"{1000 * seconds / len(scenes):.0f}"]
        print("|", " | ".join(cells), "|", flush=True)


def said(alignments: Iterable[Alignment]) -> str:
    """How many are laid over, and why the others are not."""
    reasons = Counter("laid over" if found.why is None else found.why.value for found in alignments)
    return "; ".join(f"{count} {reason}" for reason, count in reasons.most_common())


def boards(root: Path) -> None:
    """Pairs of one board each; then all boards over one of them."""
    registration = Registration()
    good = {path.name: read_photograph(path) for path in images_under(root / "test/good").images}
    mixed = {path.name: read_photograph(path) for path in images_under(root / "test/mixed").images}
    pairs = [registration.align(mixed[name], registration.reference(good[name])) for name in good]
    moves = [shift_of(f.homography, (640, 640), (640, 640)) for f in pairs if f.homography is not None]
    pixels = np.array(moves) * np.hypot(640, 640)
    print(f"{len(pairs)} pairs of one board, registered by the publisher: {said(pairs)}")
    print(f"  furthest corner moves by {np.median(pixels):.1f} px in the median, {pixels.max():.1f} at most")
    wrong = [
        registration.align(picture, registration.reference(good[name]))
        for name in good
        for other, picture in mixed.items()
        if other != name
    ]
    print(f"{len(wrong)} pairs of two boards: {said(wrong)}")
    train = images(root / "train/good", 1000)
    chosen = choose_reference(registration, [train[place] for place in spread(len(train), 12)])
    print(f"reference of {len(train)} boards: {chosen.fits} of {chosen.others} other candidates fit over it")
    print(f"  all {len(train)}: {said(registration.align(picture, chosen.reference) for picture in train)}")


def strangers(name: str, pictures: Sequence[Photograph]) -> None:
    """Each over each other, with and without refinement, and with fainter key points."""
    for settings in (Registration(), Registration(refine=True), Registration(contrast=2)):
        references = [settings.reference(picture) for picture in pictures]
        found = [
            settings.align(picture, reference)
            for i, picture in enumerate(pictures)
            for j, reference in enumerate(references)
            if i != j
        ]
        points = np.median([len(reference.points) for reference in references])
        how = f"contrast {settings.contrast}" + (", refined" if settings.refine else "")
        print(f"{name}, {len(found)} pairs, {points:.0f} key points, {how}: {said(found)}")


def sizes(scene: Photograph) -> None:
    """Milliseconds for photographs of several sizes, looked for in a reduced picture."""
    for side in (640, 1280, 2560, 5120):
        large = resize_photograph(scene, (side, side))
        registration = Registration()
        rng = np.random.default_rng(0)
        reference = registration.reference(seen(large, np.eye(3), rng))
        picture = seen(large, nudge(middle_of(large), rng, turn=2, shift=0.02), rng)
        started = time.process_time()
        for _ in range(3):
            registration.align(picture, reference)
        height, width = middle_of(large)
        print(f"{height} x {width} pixels: {1000 * (time.process_time() - started) / 3:.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("LEATHERENS_DATA"))
    parser.add_argument("--images", type=int, default=12)
    options = parser.parse_args()
    if options.data is None:
        parser.error("give --data DIR, or set LEATHERENS_DATA")
    cv2.setNumThreads(1)
    there = {name: options.data / path for name, path in SETS.items() if (options.data / path).is_dir()}
    print(
        "| images | nudge | laid over | error (worst) px | ms | refined: laid over | error (worst) px | ms |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, folder in there.items():
        known(name, images(folder, options.images))
    if "circuit boards" in there:
        boards(there["circuit boards"].parent.parent)
        sizes(images(there["circuit boards"], 5)[-1])
    for name in ("leather", "magnetic tiles"):
        if name in there:
            strangers(name, images(there[name], options.images))


if __name__ == "__main__":
    main()

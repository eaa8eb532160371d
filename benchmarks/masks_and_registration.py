"""What masks and registration are worth: runs with and without, on real images with a disturbance put in.

    OMP_NUM_THREADS=1 python benchmarks/masks_and_registration.py [--data DIR] [--part label|nudge|grid]

label: leather (`leather_one_colour`) with a label in one corner whose colours and number change from image to
image, defects where they are. Without a mask, with the one `leatherens mask suggest` proposes, and with the
label's own outline, models seeing it (after) or not (before).
nudge: circuit boards (`circuit_board_pairs`). Photographs of one board by a camera nudged each time anew, by
up to 3 degrees and 3 % of the width; the publisher's defective board of the same kind is photographed alike,
its mask moved with it. With the camera standing still, nudged, and nudged with registration.
grid: one nudged board with a label on it that changes, through `leatherens experiment setup`.
Every cell is `leatherens run` at quick effort, seed 0; DIR or the variable LEATHERENS_DATA holds the sets.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from leatherens.core.listing import images_under
from leatherens.core.photographs import Mask, Photograph, read_mask, read_photograph
from leatherens.core.randomness import numpy_generator
from leatherens.core.registration.homographies import Homography

MEMBERS = ("patchcore", "padim")
COLUMNS = ("image_auroc", "image_f1", "false_alarm_rate", "pixel_ap", "au_pro")
LABEL = (196, 160, 44, 80)
"""Top, left, height and width in pixels of images of 256 x 256."""
BOARDS = ("44000022", "77000034")
FRAME = 512
"""Of the 640 pixels of a board, what the camera shows."""
ON_BOARD = (430, 390, 44, 80)
"""The same of a label on a board of 640 x 640."""
MARGIN = 26
"""Pixels around that label in which a nudged camera may see it."""
KINDS = {"train/good": 40, "test/good": 16, "test/mixed": 16}


def leatherens(*arguments: object) -> str:
    """What the command line says; its errors are ours."""
    command = [sys.executable, "-m", "leatherens", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def result(data: Path, out: Path, member: str, *options: object) -> list[float]:
    """The metrics of one run; what is undefined is NaN."""
    leatherens("run", "--members", member, "--data", data, "--out", out, "--effort", "quick", *options)
    row = json.loads((out / "metrics.json").read_text())["ensemble"]
    return [float("nan") if row[column] is None else row[column] for column in COLUMNS]


def line(*cells: object) -> None:
    print("|", " | ".join(f"{c:.3f}" if isinstance(c, float) else str(c) for c in cells), "|", flush=True)


def save(path: Path, pixels: Photograph | Mask) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def labelled(
    picture: Photograph, rng: np.random.Generator, place: tuple[int, int, int, int] = LABEL
) -> Photograph:
    """A picture with the label, stuck on by hand: up to two pixels off."""
    top, left = np.array(place[:2]) + rng.integers(-2, 3, 2)
    height, width = place[2:]
    paper, ink = (tuple(map(int, rng.integers(*levels, 3))) for levels in ((150, 256), (0, 100)))
    picture = np.ascontiguousarray(picture)
    cv2.rectangle(picture, (int(left), int(top)), (int(left + width), int(top + height)), paper, -1)
    number, corner = f"{rng.integers(10**5):05d}", (int(left) + 4, int(top) + 30)
    cv2.putText(picture, number, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.7, ink, 2)
    return picture


def write_labelled(source: Path, out: Path) -> None:
    for path in images_under(source).images:
        place = path.relative_to(source)
        if place.parts[0] == "ground_truth":
            save(out / place, read_mask(path))
        else:
            rng = numpy_generator(0, "label", place.as_posix())
            save(out / place, labelled(read_photograph(path), rng))


def label(data: Path, scratch: Path) -> None:
    """Runs on leather with a changing label."""
    folder = scratch / "labelled"
    write_labelled(data / "leather_one_colour", folder)
    drawn, proposed = scratch / "drawn.png", scratch / "proposed.png"
    outline = np.zeros((256, 256), dtype=np.bool_)
    top, left, height, width = LABEL
    outline[top - 4 : top + height + 5, left - 4 : left + width + 5] = True
    save(drawn, outline)
    print(leatherens("mask", "suggest", "--data", folder, "--out", proposed))
    masks = {
        "none": (),
        "proposed, before": ("--ignore", proposed),
        "proposed, after": ("--ignore", proposed, "--masking", "after"),
        "drawn, before": ("--ignore", drawn),
        "drawn, after": ("--ignore", drawn, "--masking", "after"),
    }
    line("member", "mask", *COLUMNS)
    line(*["---"] * (2 + len(COLUMNS)))
    for member in MEMBERS:
        line(member, "no label", *result(data / "leather_one_colour", scratch / f"{member}-plain", member))
        for number, (title, options) in enumerate(masks.items()):
            line(member, title, *result(folder, scratch / f"{member}-label{number}", member, *options))


def nudges(rng: np.random.Generator, *, still: bool) -> Homography:
    """How a camera sees the middle of a board: turned, aside, nearer; or not at all."""
    cut = (640 - FRAME) / 2
    middle = np.array([[1, 0, 319.5], [0, 1, 319.5], [0, 0, 1]])
    angle, scale = np.deg2rad(rng.uniform(-3, 3)), rng.uniform(0.98, 1.02)
    across, down = rng.uniform(-0.03, 0.03, 2) * FRAME
    sine, cosine = scale * np.sin(angle), scale * np.cos(angle)
    inner = np.array([[cosine, -sine, across], [sine, cosine, down], [0, 0, 1]])
    moved = np.eye(3) if still else middle @ inner @ np.linalg.inv(middle)
    return np.array([[1, 0, -cut], [0, 1, -cut], [0, 0, 1]]) @ moved


def photographs(
    board: Path, kind: str, count: int, *, still: bool, label: bool = False
) -> Iterator[tuple[Photograph, Mask | None]]:
    """Photographs of one board in changing light, with the mask of what is defective."""
    root, name = board.parent.parent.parent, board.name
    scene = read_photograph(root / "test/mixed" / name if kind == "test/mixed" else board)
    found = next(iter((root / "ground_truth/mixed").glob(f"{board.stem}*")))
    marked = read_mask(found).astype(np.uint8) if kind == "test/mixed" else None
    for number in range(count):
        rng = numpy_generator(0, "photograph", name, kind, number)
        homography = nudges(rng, still=still)
        seen = labelled(scene, rng, ON_BOARD) if label else scene
        view = cv2.warpPerspective(seen, homography, (FRAME, FRAME), borderMode=cv2.BORDER_REFLECT_101)
        lit = rng.uniform(0.75, 0.95) * view + 12 + rng.normal(0, 3, view.shape)
        mask = None if marked is None else cv2.warpPerspective(marked, homography, (FRAME, FRAME)) > 0
        yield lit.clip(0, 255).round().astype(np.uint8), mask


def write_photographed(board: Path, out: Path, *, still: bool, label: bool = False) -> None:
    for kind, count in KINDS.items():
        for number, (picture, mask) in enumerate(photographs(board, kind, count, still=still, label=label)):
            save(out / kind / f"{number:03d}.png", picture)
            if mask is not None:
                save(out / "ground_truth/mixed" / f"{number:03d}_mask.png", mask)


def nudge(data: Path, scratch: Path) -> None:
    """Runs on photographs of circuit boards: means over the boards."""
    boards = [data / f"circuit_board_pairs/test/good/{name}.jpg" for name in BOARDS]
    folders = {}
    for still in (True, False):
        for board in boards:
            folders[still, board] = scratch / f"{board.stem}-{'still' if still else 'nudged'}"
            write_photographed(board, folders[still, board], still=still)
    ways: dict[str, tuple[bool, Sequence[str]]] = {
        "stands still": (True, ()),
        "nudged": (False, ()),
        "nudged, registered": (False, ("--prepare", "registration")),
        "nudged, registered and refined": (
            False,
            ("--prepare", "registration", "--set", "registration.refine=true"),
        ),
    }
    line("member", "camera", *COLUMNS)
    line(*["---"] * (2 + len(COLUMNS)))
    for member in MEMBERS:
        for title, (still, options) in ways.items():
            rows = [
                result(folders[still, board], scratch / f"{member}-{title}-{board.stem}", member, *options)
                for board in boards
            ]
            line(member, title, *np.mean(rows, axis=0).tolist())


def grid(data: Path, scratch: Path) -> None:
    """The line-clearance grid on one board: its table."""
    folder, drawn = scratch / "board", scratch / "board-label.png"
    board = data / f"circuit_board_pairs/test/good/{BOARDS[0]}.jpg"
    write_photographed(board, folder, still=False, label=True)
    region = np.zeros((FRAME, FRAME), dtype=np.bool_)
    cut = (640 - FRAME) // 2 + MARGIN
    top, left, height, width = ON_BOARD
    region[top - cut : top - cut + height + 2 * MARGIN, left - cut : left - cut + width + 2 * MARGIN] = True
    save(drawn, region)
    common = ("--members", ",".join(MEMBERS), "--effort", "quick", "--labelled-share", 0.25)
    print(
        leatherens(
            *("experiment", "setup", "--data", folder, "--ignore", drawn),
            *(*common, "--out", scratch / "grid"),
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("LEATHERENS_DATA"))
    parser.add_argument(
        "--scratch", type=Path, help="An empty folder for data and runs; else a temporary one."
    )
    parser.add_argument("--part", choices=["label", "nudge", "grid"], help="One of them only.")
    options = parser.parse_args()
    if options.data is None:
        parser.error("give --data DIR, or set LEATHERENS_DATA")
    data = Path(options.data).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        for part in (label, nudge, grid):
            if options.part in (None, part.__name__):
                part(data, Path(options.scratch or scratch))


if __name__ == "__main__":
    main()

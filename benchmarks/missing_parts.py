"""Boards that lack a part, or have one in a wrong place: logical anomalies made from good boards.

```sh
python benchmarks/missing_parts.py circuit_board_pairs OUT
leatherens evaluate RUN --data OUT
```

Of each good test board the window with the most edges is painted over from its surroundings (Telea, 2004),
which leaves a board that looks right and lacks something (`missing`); or it is copied to the window with
the fewest edges (`misplaced`). The good test boards stay as they are.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SHARE = 6
"""The window is this part of a board's side."""

STEP = 16
"""Pixels between the windows that are compared."""

Picture = NDArray[np.uint8]


def main() -> None:
    """Read the boards in DATA/test/good, write OUT in MVTec AD's layout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    shutil.copytree(asked.data / "test/good", asked.out / "test/good")
    shutil.copytree(asked.data / "train/good", asked.out / "train/good")
    for path in sorted((asked.data / "test/good").iterdir()):
        board = cv2.imread(str(path))
        for kind, (picture, mask) in anomalies(board).items():
            for folder, name, pixels in (
                (asked.out / "test" / kind, f"{path.stem}.png", picture),
                (asked.out / "ground_truth" / kind, f"{path.stem}_mask.png", mask),
            ):
                folder.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / name), pixels)


def anomalies(board: Picture) -> dict[str, tuple[Picture, Picture]]:
    """(H, W, 3) to what is wrong, by kind: the picture and its mask (H, W), 0 and 255."""
    side = min(board.shape[:2]) // SHARE
    busy, plain = windows(board, side)
    hole = masked(board, busy, side)
    moved = board.copy()
    moved[plain[0] : plain[0] + side, plain[1] : plain[1] + side] = board[
        busy[0] : busy[0] + side, busy[1] : busy[1] + side
    ]
    missing = np.asarray(cv2.inpaint(board, hole, 5, cv2.INPAINT_TELEA), dtype=np.uint8)
    return {"missing": (missing, hole), "misplaced": (moved, masked(board, plain, side))}


def windows(board: Picture, side: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Top and left of the windows with the most and the fewest edges, away from the border."""
    edges = cv2.Canny(board, 80, 160)
    height, width = edges.shape
    places = [
        (top, left)
        for top in range(side // 2, height - side - side // 2, STEP)
        for left in range(side // 2, width - side - side // 2, STEP)
    ]
    counts = [int(np.count_nonzero(edges[t : t + side, left : left + side])) for t, left in places]
    return places[int(np.argmax(counts))], places[int(np.argmin(counts))]


def masked(board: Picture, at: tuple[int, int], side: int) -> Picture:
    """The mask of a window."""
    mask = np.zeros(board.shape[:2], dtype=np.uint8)
    mask[at[0] : at[0] + side, at[1] : at[1] + side] = 255
    return mask


if __name__ == "__main__":
    main()

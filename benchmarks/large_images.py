"""Memory and time of hides of many sizes: peak memory must not grow with the picture.

    OMP_NUM_THREADS=1 python benchmarks/large_images.py [--megapixels 6,25,100] [--tile 256]

A run with a cheap member (STFPM on a tiny backbone with random weights) learns from made-up leather in tiles.
Hides of made-up leather, repeated, are written as JPEG and as TIFF; each is judged by `leatherens predict
--out` in a process of its own, map, mask and overview included, and the peak of that process is printed
beside that of one which judges a single tile. A height twice the width keeps the width, by which bands and
rows of tiles grow, apart from the megapixels: `--width` holds it fixed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from leatherens.core.leather import good_hide, write_demo
from leatherens.core.randomness import numpy_generator

PATTERN = 1000
MEMBER = ["--members", "stfpm", "--set", "stfpm.backbone=test_resnet", "--set", "stfpm.weights=random"]


def leatherens(*arguments: object) -> tuple[float, float, str]:
    """Seconds, peak memory in MB and output of a command, in a process of its own."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "leatherens", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 1024, output


def fitted(folder: Path, tile: int) -> Path:
    data = folder / "leather"
    write_demo(data, scenario="one-colour", size=2 * tile, train=12, test=4, seed=0)
    tiles = ["--tile", tile, "--set", "stfpm.steps=3", "--device", "cpu"]
    leatherens("run", *MEMBER, *tiles, "--data", data, "--out", folder / "run")
    return folder / "run"


def hide(path: Path, height: int, width: int) -> Path:
    pattern = good_hide(numpy_generator(0, "hide"), scenario="one-colour", size=(PATTERN, PATTERN))
    rows = np.tile(pattern, (1, -(-width // PATTERN), 1))[:, :width]
    pixels = np.tile(rows, (-(-height // PATTERN), 1, 1))[:height]
    options = {"quality": 92} if path.suffix == ".jpg" else {"compression": "tiff_adobe_deflate"}
    Image.fromarray(pixels).save(path, **options)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--megapixels", default="6,25,100")
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--width", type=int, help="of every hide (default: half its height)")
    given = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = fitted(folder, given.tile)
        small = hide(folder / "tile.jpg", given.tile, given.tile)
        seconds, base, _ = leatherens("predict", run, small, "--out", folder / "out", "--json")
        print(f"{'one tile':>24s}  {base:6.0f} MB                 {seconds:7.1f} s")
        for megapixels in map(float, given.megapixels.split(",")):
            width = given.width or round((megapixels * 1e6 / 2) ** 0.5)
            height = round(megapixels * 1e6 / width)
            for suffix in ("jpg", "tif"):
                path = hide(folder / f"hide.{suffix}", height, width)
                spent, peak, told = leatherens("predict", run, path, "--out", folder / "out", "--json")
                assert json.loads(told)["defective_percent"] is not None
                said = f"{megapixels:g} MP {suffix} {height} x {width}"
                each = (spent - seconds) / megapixels
                print(
                    f"{said:>24s}  {peak:6.0f} MB ({peak - base:+5.0f} MB)   {spent:7.1f} s  {each:.2f} s/MP"
                )
                path.unlink()


if __name__ == "__main__":
    main()

"""Every detector alone on every set: accuracy, seconds to fit, milliseconds an image, peak memory.

    python benchmarks/detectors.py --out RUNS --members patchcore,padim DATA...

One process per run, `leatherens run --members ID --data DIR`, so that memory is the detector's own. Prints a
row of a Markdown table as each run ends; runs that are already there are read, not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

COLUMNS = ("image_auroc", "pixel_ap", "au_pro")
PEAK = "peak_memory.json"
"""Beside the run's own files: the largest resident memory of the process that made it, in MB."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs, one each")
    parser.add_argument("--members", required=True, help="detectors, separated by commas")
    parser.add_argument("data", type=Path, nargs="+", help="folders of photographs")
    options = parser.parse_args()
    print("| set | detector | image AUROC | pixel AP | AU-PRO | fit s | ms/image | peak MB |")
    print("|---|---|---|---|---|---|---|---|")
    for data in options.data:
        for member in options.members.split(","):
            print(row(data, member, options.out / f"{data.name}-{member}"), flush=True)


def row(data: Path, member: str, out: Path) -> str:
    """One run as a row, made now if need be; one that fails says so in its row."""
    if not (out / "DONE").exists():
        failure = make(data, member, out)
        if failure:
            return f"| {data.name} | {member} | {failure} | | | | | |"
    measured: dict[str, Any] = json.loads((out / "metrics.json").read_text())["members"][member]
    fit = json.loads((out / "members" / member / "fit.json").read_text())["seconds"]
    peak = json.loads((out / PEAK).read_text())["mb"]
    values = [f"{measured[c]:.3f}" if measured.get(c) is not None else "–" for c in COLUMNS]
    cells = [data.name, member, *values, f"{fit:.0f}", f"{measured['ms_per_image']:.0f}", f"{peak:.0f}"]
    return f"| {' | '.join(cells)} |"


def make(data: Path, member: str, out: Path) -> str:
    """Run in a process of its own; its last words if it fails."""
    command = [sys.executable, "-m", "leatherens", "run", "--members", member]
    out.parent.mkdir(parents=True, exist_ok=True)
    with (out.parent / f"{out.name}.log").open("w+") as log:
        child = subprocess.Popen(
            [*command, "--data", str(data), "--out", str(out)], stdout=log, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(child.pid, 0)  # the only way to the memory of one child
        log.seek(0)
        last = (log.read().strip().splitlines() or ["no output"])[-1]
    if os.waitstatus_to_exitcode(status):
        return last
    (out / PEAK).write_text(json.dumps({"mb": usage.ru_maxrss / 1024}))
    return ""


if __name__ == "__main__":
    main()

"""What twenty installed plugins cost at start-up: the command in a fresh process, with none and with twenty.

The plugins are real: packages with a dist-info and an entry point in a folder on the path, each of which is
imported and registers one detector. Times are of the whole process, from its start to its end, and of the
processor besides, which a busy machine changes less.

    python benchmarks/startup.py [--plugins 20] [--repeat 15]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODULE = '''"""A plugin of the benchmark."""

from leatherens import hookimpl

leatherens_api = 1


@hookimpl
def register_detectors(register):
    register("stranger-{number}", "{module}.detector:Stranger", summary="stranger number {number}")
'''

COMMANDS = (("--help",), ("plugins", "list"))


def install(site: Path, plugins: int) -> None:
    """Write packages as an installer leaves them."""
    for number in range(plugins):
        name, module = f"leatherens-stranger-{number}", f"leatherens_stranger_{number}"
        (site / module).mkdir()
        (site / module / "__init__.py").write_text(MODULE.format(number=number, module=module))
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[leatherens]\nstranger-{number} = {module}\n")
        (info / "RECORD").write_text("")


def spent_by_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seconds(arguments: tuple[str, ...], site: Path, expected: int) -> tuple[float, float]:
    """One process, on the clock and on the processor; it must list the plugins that there are."""
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    begun, before = time.perf_counter(), spent_by_children()
    done = subprocess.run(
        [sys.executable, "-m", "leatherens", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    spent = time.perf_counter() - begun, spent_by_children() - before
    if arguments == ("plugins", "list") and done.stdout.count("stranger number") != expected:
        raise SystemExit(f"expected {expected} plugins, got:\n{done.stdout}{done.stderr}")
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plugins", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sites = {0: Path(folder, "none"), given.plugins: Path(folder, "many")}
        for count, site in sites.items():
            site.mkdir()
            install(site, count)
        for arguments in COMMANDS:
            times: dict[int, list[tuple[float, float]]] = {count: [] for count in sites}
            for _ in range(given.repeat + 1):  # in turn, so that a busy machine is busy for both
                for count, site in sites.items():
                    times[count].append(seconds(arguments, site, count))
            for clock, what in enumerate(("on the clock", "of the processor")):
                none, many = (  # the first of each writes the bytecode
                    statistics.median(spent[clock] for spent in times[count][1:]) for count in sites
                )
                print(
                    f"leatherens {' '.join(arguments)}: {none:.3f} s {what} with none, {many:.3f} s with "
                    f"{given.plugins} plugins (x {many / none:.2f})"
                )


if __name__ == "__main__":
    main()

"""Several runs side by side, for `leatherens report RUN RUN...`: what the terminal says, and the page."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from leatherens.cli import Session


def report_several(session: Session, runs: Sequence[Path], out: Path | None) -> None:
    """Compare the others with the first; the page lies in `out`, or beside the first run."""
    from leatherens.cli.table import print_table
    from leatherens.core.comparison_words import table, verdicts
    from leatherens.core.terminal_progress import terminal_progress
    from leatherens.ensembles.comparing_runs import (
        compare_runs,
        given_run,
        require_distinct,
        write_comparison,
    )

    require_distinct(runs)
    progress = terminal_progress()
    given = [given_run(run, session.host, progress) for run in runs]
    found = compare_runs(given, progress, shlex.join(["leatherens", *sys.argv[1:]]))
    for sentence in verdicts(found):
        click.echo(sentence)
    print_table(table(found))
    click.echo("note: differences of shares of images are in percentage points")
    for remark in found.remarks:
        click.echo(f"note: {remark}")
    for path in write_comparison(found, out or runs[0].resolve().parent, session.host):
        click.echo(f"report: {path}")

"""`leatherens report`: the report of a finished run anew, several side by side, or figures for papers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leatherens.cli import options
from leatherens.cli.report_figures import figure_options
from leatherens.core.errors import ConfigError

if TYPE_CHECKING:
    from leatherens.cli import Session


@click.command()
@click.argument("runs", type=options.PATH, nargs=-1, required=True, metavar="RUN...")
@click.option("--out", type=options.PATH, help="Write the report there instead of into RUN.")
@figure_options
@options.device
@options.weights_of_run
@click.pass_obj
def report(
    session: Session,
    /,
    runs: tuple[Path, ...],
    *,
    out: Path | None,
    figures: Path | None,
    device: str,
    weights: tuple[Path, ...],
    **drawn: Any,
) -> None:
    """Write the report of the finished run RUN anew; of several, how the others differ from the first."""
    if figures is not None:
        if len(runs) > 1:
            raise ConfigError("--figures: draws those of one run; give one RUN")
        from leatherens.cli.report_figures import report_figures

        report_figures(session, runs[0], figures, device=device, weights=weights, **drawn)
        return
    from leatherens.cli.report_several import report_several

    report_several(session, runs, out)

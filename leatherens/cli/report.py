"""`leatherens report`: the report of a finished run anew, several side by side, or figures for papers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from leatherens.cli import options
from leatherens.cli.report_figures import figure_options
from leatherens.core.errors import ConfigError

if TYPE_CHECKING:
    from leatherens.cli import Session


@click.command()
@click.argument("runs", type=options.PATH, nargs=-1, required=True, metavar="RUN...")
@click.option("--out", type=options.PATH, help="Folder or .html file to write instead of RUN's own.")
@click.option("--data", type=options.PATH, help="Where RUN's photographs are now, if they have moved.")
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
    data: Path | None,
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

        report_figures(session, runs[0], figures, device=device, weights=weights, data=data, **drawn)
        return
    _refuse_idle(click.get_current_context())
    if len(runs) == 1:
        from leatherens.cli.report_one import report_one

        report_one(session, runs[0], out, data)
        return
    if data is not None:
        raise ConfigError("--data: says where the photographs of one run are; give one RUN")
    from leatherens.cli.report_several import report_several

    report_several(session, runs, out)


def _refuse_idle(context: click.Context) -> None:
    """What belongs to figures would be believed to count."""
    for name, option in (("formats", "format"), ("images", "images"), ("most", "most"), ("dpi", "dpi")):
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise ConfigError(
                f"--{option}: belongs to --figures; give --figures DIR as well, or leave it out"
            )

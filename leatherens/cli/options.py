"""Options that several commands have, each written once."""

from __future__ import annotations

from pathlib import Path

import click

FOLDER = click.Path(path_type=Path)

layout = click.option(
    "--layout", metavar="ID", help="Read the folder as this layout instead of recognising it."
)

device = click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")

weights_of_run = click.option(
    "--weights",
    type=FOLDER,
    multiple=True,
    help="File or folder of the weights RUN learned with (repeatable).",
)

"""Options that several commands have, each written once."""

from __future__ import annotations

import re
from pathlib import Path

import click

from leatherens.core.errors import ConfigError

PATH = click.Path(path_type=Path)
"""A file or a folder."""

layout = click.option(
    "--layout", metavar="ID", help="Read the folder as this layout instead of recognising it."
)

device = click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")

weights_of_run = click.option(
    "--weights",
    type=PATH,
    multiple=True,
    help="File or folder of the weights RUN learned with (repeatable).",
)


def sides(text: str, option: str = "--size") -> tuple[int, int]:
    """Height and width from what an option says."""
    found = re.fullmatch(r"([1-9][0-9]*)(?:x([1-9][0-9]*))?", text.lower())
    if not found:
        raise ConfigError(f"{option}: expected one number, or HEIGHTxWIDTH such as 256x320, got '{text}'")
    return int(found[1]), int(found[2] or found[1])

"""Options that several commands have, each written once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from leatherens.core.errors import ConfigError

PATH = click.Path(path_type=Path)
"""A file or a folder."""

layout = click.option(
    "--layout", metavar="ID", help="Read the folder as this layout instead of recognising it."
)

defects = click.option(
    "--defects", type=PATH, help="Defective photographs beside a plain folder of good ones."
)

masks = click.option("--masks", type=PATH, help="Masks of the defective photographs.")

device = click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")

weights_of_run = click.option(
    "--weights",
    type=PATH,
    multiple=True,
    help="File or folder of the weights RUN learned with (repeatable).",
)


config = click.option(
    "--config",
    metavar="NAME|FILE",
    help="A scenario (leatherens config list), a recipe file, or a run whose recipe is taken again.",
)


def setting(text: str, expected: str, *, dotted: bool = False) -> tuple[str, Any]:
    """What one --set says: the path before the first `=`, and the value behind it, read as YAML.

    expected: the form, with an example, for who got it wrong. dotted: whose option it is stands before a dot.
    """
    import yaml

    path, equals, value = text.partition("=")
    if not equals or not path or (dotted and "." not in path.strip(".")):
        raise ConfigError(f"--set: expected {expected}, got '{text}'")
    try:
        return path, yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {text}: the value '{value}' is not YAML; put it in quotes") from None


def sides(text: str, option: str = "--size") -> tuple[int, int]:
    """Height and width from what an option says."""
    found = re.fullmatch(r"([1-9][0-9]*)(?:x([1-9][0-9]*))?", text.lower())
    if not found:
        raise ConfigError(f"{option}: expected one number, or HEIGHTxWIDTH such as 256x320, got '{text}'")
    return int(found[1]), int(found[2] or found[1])

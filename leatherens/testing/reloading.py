"""A part as it comes back from disk."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from leatherens.core.artifact import read_state, write_state
from leatherens.core.component import Component


def reloaded(member: Component) -> Any:
    """Written into a folder and read again."""
    with TemporaryDirectory() as folder:
        write_state(Path(folder), member.state())
        return type(member).from_state(member.params, read_state(Path(folder)))

"""Temporary files for what is too large for memory; each is gone with the object that needs it."""

from __future__ import annotations

import tempfile
import weakref
from typing import IO

from leatherens.core.errors import ArtifactError


def scratch_file(owner: object) -> IO[bytes]:
    """A file without a name, open for writing and reading until its owner is gone."""
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the owner goes
    weakref.finalize(owner, file.close)
    return file


def no_room(what: str, error: OSError) -> ArtifactError:
    """Why something cannot be kept in a temporary file.

    what: that was to be kept, "a score map of 9000 x 8000 pixels".
    """
    folder = tempfile.gettempdir()
    return ArtifactError(
        f"{folder}: no room for {what} ({error.strerror or error}); make room there, or set TMPDIR to "
        "another folder"
    )

"""Textures as an option of detectors: a folder's pictures, or patterns made on the spot."""

from __future__ import annotations

from pathlib import Path

from leatherens.core.progress import Progress
from leatherens.core.synthesis.patterns import ProceduralTextures
from leatherens.core.synthesis.textures import FolderTextures

Textures = ProceduralTextures | FolderTextures


def textures_of(folder: Path | None) -> Textures:
    """Those of a folder, refused if it has none; `None`: made on the spot."""
    return ProceduralTextures() if folder is None else FolderTextures(folder)


def say_what_was_skipped(textures: Textures, owner: str, progress: Progress) -> None:
    """Tell of files that turned out to be no pictures."""
    if isinstance(textures, FolderTextures) and textures.unreadable:
        progress.say(
            f"{owner}: {len(textures.unreadable)} of {len(textures.files)} texture files in "
            f"{textures.folder} could not be read and were skipped"
        )

"""What a detector says it can do, read by the host and tested in both directions by the kit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Flags of a detector class. A size that breaks a flag is refused in words, never crashed on."""

    multiple_of: int = 1
    """Height and width must be divisible by this."""
    min_size: int = 32
    """Smallest height and width, in pixels."""
    min_images: int = 1
    """Fewest good images to learn from."""
    trains: bool = False
    """Learns by gradient steps: has a training log, a checkpoint and can be resumed."""
    updates: bool = False
    """Takes in further good images without learning anew: has `_update`."""
    reconstructs: bool = False
    """Says how each image would look if it were good: observations carry a reconstruction."""

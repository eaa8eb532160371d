"""The set-ups of the line-clearance grid: masked before scoring, after it or never, registered or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Masking = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Setup:
    """How photographs reach a detector. masking: when a region is left out, `None` for never."""

    masking: Masking | None
    registered: bool

    @property
    def name(self) -> str:
        """As in names of files, such as `mask-before-registered`."""
        mask = "no-mask" if self.masking is None else f"mask-{self.masking}"
        return f"{mask}-registered" if self.registered else mask

    @property
    def title(self) -> str:
        """As read, such as `mask before, registered`."""
        mask = "no mask" if self.masking is None else f"mask {self.masking}"
        return f"{mask}, registered" if self.registered else mask


def setups(*, masked: bool) -> tuple[Setup, ...]:
    """All of them; without a region to leave out, registration alone varies."""
    maskings: tuple[Masking | None, ...] = (None, "before", "after") if masked else (None,)
    return tuple(Setup(masking, registered) for masking in maskings for registered in (False, True))

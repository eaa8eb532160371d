"""How figures look in print, and how they are written: Type 42 fonts, colours that all eyes tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from leatherens.core.artifact import written_whole
from leatherens.core.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS: Final = ("pdf", "png", "svg")

COLUMN, PAGE = 3.35, 6.9
"""Widths of one column and of a page in inches, 8.5 and 17.5 cm."""

BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = (
    "#000000",
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
)
"""Okabe and Ito (2008); told apart by all kinds of colour vision."""

LINES: Final = tuple(
    zip((BLACK, BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY), ("-", "--", "-.", ":") * 2, strict=False)
)
"""Colour and dashes of one curve after the other, so that grey print tells them apart, too."""

_LOOK: Final = {
    "font.size": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "grid.linewidth": 0.4,
    "grid.alpha": 0.35,
    "image.interpolation": "none",
    "pdf.fonttype": 42,  # TrueType: letters stay letters, which journals ask for
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "leatherens",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
_NO_DATE: Final = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": "leatherens"},
    "png": {"Software": "leatherens"},
    "svg": {"Date": None},
}


def formats_of(text: str) -> tuple[str, ...]:
    """The formats that an option names, such as "pdf,png"."""
    names = tuple(dict.fromkeys(part.strip().lower().lstrip(".") for part in text.split(",") if part.strip()))
    for name in names:
        if name not in FORMATS:
            hint = did_you_mean(name, FORMATS)
            raise ConfigError(f"--format: no format '{name}'{hint} (formats: {', '.join(FORMATS)})")
    if not names:
        raise ConfigError(f"--format: expected formats, such as pdf,png (formats: {', '.join(FORMATS)})")
    return names


@contextmanager
def in_print() -> Iterator[None]:
    """Within, figures look as in print; whatever the caller set for matplotlib holds again afterwards."""
    import matplotlib.style

    with matplotlib.style.context(["default", dict(_LOOK)]):
        yield


def new_figure(width: float, height: float, *, gap: float = 0.04) -> Figure:
    """A figure in inches, without pyplot and so without a window; gap: around each picture, in inches."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=gap, h_pad=gap, wspace=0, hspace=0)
    return Figure(figsize=(width, height), layout=layout)


def saved(figure: Figure, folder: Path, name: str, formats: Sequence[str], dpi: int) -> list[Path]:
    """Write the figure once in each format, whole; returns the files."""
    paths = []
    for kind in formats:
        path = folder / f"{name}.{kind}"
        options: dict[str, Any] = {"format": kind, "dpi": dpi, "metadata": _NO_DATE[kind]}
        with written_whole(path) as beside:
            figure.savefig(beside, **options)
        paths.append(path)
    return paths

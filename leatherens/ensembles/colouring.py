"""The colours a run learned from, and which of them each test image has: nothing is scored by them.

A model that saw brown leather only calls every grey hide defective, and be it flawless. The report says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leatherens.core.artifact import read_json, write_json
from leatherens.core.colours import Colours, colour_clusters
from leatherens.core.errors import ArtifactError
from leatherens.core.listing import counted, named
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.tiled_photographs import Source


def learn_colours(folder: RunFolder, teaching: Source) -> Colours:
    """The colours of the images that teach, written."""
    colours = colour_clusters(teaching.colours)
    write_json(folder.colours, colours.state())
    return colours


def extend_colours(before: RunFolder, teaching: Source, *, into: RunFolder) -> None:
    """The colours of a run and of further images that teach; nothing for a run whose colours are unknown."""
    colours = load_colours(before)
    if colours is not None:
        write_json(into.colours, colours.with_more(teaching.colours).state())


def load_colours(folder: RunFolder) -> Colours | None:
    """What `learn_colours` wrote; `None` for a run that was made before there were colours."""
    if not folder.colours.exists():
        return None
    content = read_json(folder.colours)
    try:
        return Colours.from_state(content)
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{folder.colours}: damaged ({error!r}); copy the run again, or make it again"
        ) from None


@dataclass(frozen=True, slots=True)
class Colouring:
    """The colours of evaluated images, "" where a run knows none.

    sentence: those it learned from. remarks: on images that have none of them.
    """

    names: Sequence[str]
    sentence: str = ""
    remarks: tuple[str, ...] = ()


def coloured(colours: Colours | None, source: Source) -> Colouring:
    """Which learned colour each image of a source has."""
    if colours is None:
        return Colouring([""] * len(source.ids))
    matches = [colours.match(colour) for colour in source.colours]
    unlike = [id for id, match in zip(source.ids, matches, strict=True) if not match.known]
    remarks: tuple[str, ...] = ()
    if unlike:
        share = f"{len(unlike)} of {counted(len(source.ids), 'image')}"
        remarks = (f"{share} of a colour unlike all that were learned ({colours.sentence}): {named(unlike)}",)
    return Colouring([colours.named(match) for match in matches], colours.sentence, remarks)

"""By what the images of a report can be chosen: what they have, and nothing that would find none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leatherens.core.reporting import ScoredImage
from leatherens.plugins.html_report.card import member_layer
from leatherens.plugins.html_report.verdict import Outcome, outcomes_by_label


@dataclass(frozen=True, slots=True)
class Layer:
    """One of the pictures of an image, or something drawn on it; shown: unless a reader asks otherwise."""

    key: str
    name: str
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Choices:
    """What the form above the images offers.

    outcomes: that images with the labels at hand can meet. kinds: key, heading and values of what tells at
    least two images apart.
    """

    labelled: bool
    outcomes: list[Outcome]
    kinds: list[tuple[str, str, list[str]]]
    layers: list[Layer]


def choices(images: Sequence[ScoredImage], members: Sequence[str] = ()) -> Choices:
    """Of the images that are shown; members: those whose own maps there are."""
    labels = {"good": False, "defective": True, "unlabelled": None}
    present = {name for name, label in labels.items() if any(image.defective is label for image in images)}
    both = outcomes_by_label()
    values = {
        ("defect", "defect type"): sorted({image.defect for image in images}),
        ("view", "view"): sorted({image.view for image in images}),
        ("colour", "colour"): sorted({image.colour for image in images}),
    }
    return Choices(
        labelled=bool(present - {"unlabelled"}),
        outcomes=[outcome for name in labels if name in present for outcome in both[name]],
        kinds=[(key, what, found) for (key, what), found in values.items() if len(found) > 1],
        layers=_layers(members, reconstructed=any(image.reconstructions for image in images)),
    )


def _layers(members: Sequence[str], *, reconstructed: bool) -> list[Layer]:
    """In the order of a card; the maps of members wait until they are asked for."""
    return [
        Layer("photograph", "photograph"),
        *([Layer("reconstruction", "reconstruction")] if reconstructed else []),
        Layer("map", "score map"),
        *(Layer(member_layer(number), f"map of {id}", shown=False) for number, id in enumerate(members)),
        Layer("truth", "ground truth"),
        Layer("predicted", "predicted"),
        Layer("outline", "outline"),
        Layer("veil", "veil"),
    ]

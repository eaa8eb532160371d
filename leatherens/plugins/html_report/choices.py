"""By what the images of a report can be chosen: what they have, and nothing that would find none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leatherens.core.reporting import ScoredImage
from leatherens.plugins.html_report.verdict import Outcome, outcomes_by_label


@dataclass(frozen=True, slots=True)
class Choices:
    """What the form above the images offers.

    outcomes: that images with the labels at hand can meet. kinds: key, heading and values of what tells at
    least two images apart. layers: key and name of the pictures of an image.
    """

    labelled: bool
    outcomes: list[Outcome]
    kinds: list[tuple[str, str, list[str]]]
    layers: list[tuple[str, str]]


def choices(images: Sequence[ScoredImage]) -> Choices:
    """Of the images that are shown."""
    labels = {"good": False, "defective": True, "unlabelled": None}
    present = {name for name, label in labels.items() if any(image.defective is label for image in images)}
    both = outcomes_by_label()
    values = {
        ("defect", "defect type"): sorted({image.defect for image in images}),
        ("colour", "colour"): sorted({image.colour for image in images}),
    }
    layers = {"photograph": "photograph", "reconstruction": "reconstruction", "map": "score map"}
    layers |= {"truth": "ground truth", "predicted": "predicted", "outline": "outline", "veil": "veil"}
    if not any(image.reconstructions for image in images):
        del layers["reconstruction"]
    return Choices(
        labelled=bool(present - {"unlabelled"}),
        outcomes=[outcome for name in labels if name in present for outcome in both[name]],
        kinds=[(key, what, found) for (key, what), found in values.items() if len(found) > 1],
        layers=list(layers.items()),
    )

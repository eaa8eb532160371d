"""Is this leather of one colour or of several, and is a new image of a colour that was seen before?

An image's colour is the median CIELAB of its pixels, which a defect or a bright edge does not move. Distances
between colours are ΔE with lightness halved, as the textile formulas CMC(2:1) and CIE94 (kL = 2) do: the same
leather under more light is lighter, hardly of another hue. Two images are of one colour when a chain of
images leads from one to the other whose neighbours differ by no more than `STEP`, which people just notice;
so a colour may vary as far as its images vary without a gap, and the number of colours is the number of gaps
and one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from typing_extensions import Self

from leatherens.core.listing import counted, named
from leatherens.core.photographs import resize_photograph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leatherens.core.photographs import Mask, Photograph

Lab: TypeAlias = "NDArray[np.float64]"
"""(..., 3) CIELAB of sRGB under D65: lightness 0..100, green to red, blue to yellow."""

STEP = 2.0
"""ΔE that people just notice (about 2.3; Mahy et al., Color Research & Application 1994), a little less: on
leather of eight materials 2.0 found them best."""

REACH = 5.0
"""ΔE to the nearest learned image from which on a colour is unlike all: good test images of nine real sets
stay within 3.3."""

MAIN = 0.95
"""The share of images that one colour must have for the leather to be of one colour."""

_CELL = 0.5  # ΔE; images are gathered in cells of this side, so that any number of them fits
_SIDE = 64  # pixels; averages of a picture's parts stand for its pixels
_LIGHTNESS = 0.5
_NAMES: Mapping[str, tuple[float, float, float]] = {
    "black": (8, 0, 0),
    "dark grey": (30, 0, 0),
    "grey": (52, 0, 0),
    "light grey": (75, 0, 0),
    "white": (95, 0, 0),
    "cream": (86, 2, 14),
    "beige": (74, 4, 20),
    "tan": (60, 14, 30),
    "brown": (40, 16, 22),
    "dark brown": (22, 9, 10),
    "burgundy": (28, 30, 10),
    "red": (46, 58, 36),
    "orange": (66, 42, 60),
    "yellow": (84, 4, 72),
    "olive": (48, -8, 34),
    "dark green": (22, -18, 12),
    "green": (50, -38, 30),
    "teal": (46, -26, -4),
    "dark teal": (24, -16, -4),
    "light blue": (72, -10, -22),
    "blue": (42, 4, -44),
    "navy": (18, 6, -26),
    "slate": (38, -2, -10),
    "violet": (38, 34, -36),
    "pink": (72, 32, 2),
}


def image_colour(pixels: Photograph, valid: Mask | None = None) -> Lab:
    """The colour of a photograph (H, W, 3), as (3,); valid: (H, W), where it shows the product."""
    import cv2

    small = resize_photograph(pixels, (_SIDE, _SIDE))
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    if valid is not None:
        share = cv2.resize(valid.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).ravel()
        wholly = share >= min(1.0, float(share.max()))  # a mixed part has a colour that is nobody's
        lab = lab[wholly]
    return np.asarray(np.median(lab, axis=0), np.float64)


def difference(one: Lab, other: Lab) -> NDArray[np.float64]:
    """ΔE with lightness halved between colours (..., 3) that broadcast.

    >>> float(difference(np.array([50.0, 0, 0]), np.array([58.0, 3, 0])))
    5.0
    """
    return np.asarray(np.linalg.norm(_scaled(one) - _scaled(other), axis=-1))


def colour_name(colour: Lab) -> str:
    """The nearest of some two dozen names.

    >>> colour_name(np.array([33.0, 14, 13])), colour_name(np.array([55.0, 0, 1]))
    ('brown', 'grey')
    """
    names = list(_NAMES)
    apart = np.linalg.norm(np.array(list(_NAMES.values())) - colour, axis=1)
    return names[int(apart.argmin())]


def srgb(colour: Lab) -> tuple[int, int, int]:
    """The same colour as 8-bit sRGB, for a swatch."""
    import cv2

    pixel = cv2.cvtColor(colour.astype(np.float32).reshape(1, 1, 3), cv2.COLOR_LAB2RGB).reshape(3)
    red, green, blue = np.rint(np.clip(pixel, 0, 1) * 255).astype(int).tolist()
    return red, green, blue


@dataclass(frozen=True, slots=True)
class ColourCluster:
    """One colour: its name, unique among the clusters, its mean (3,) and how many images have it."""

    name: str
    colour: Lab
    images: int


@dataclass(frozen=True, slots=True)
class ColourMatch:
    """A new image's colour: the nearest cluster, how far its nearest image is in ΔE, and whether that is
    near."""

    cluster: int
    distance: float

    @property
    def known(self) -> bool:
        """Whether images of this colour were learned."""
        return self.distance <= REACH


@dataclass(frozen=True, slots=True)
class Colours:
    """The colours of a set of images, the most frequent first.

    cells: (K, 3) mean colours of images that look alike; cluster: (K,) the cluster of each.
    """

    clusters: tuple[ColourCluster, ...]
    cells: Lab
    cluster: NDArray[np.intp]

    @property
    def images(self) -> int:
        """How many images there are in all."""
        return sum(cluster.images for cluster in self.clusters)

    @property
    def one(self) -> bool:
        """Whether the leather is of one colour: nearly all of its images are."""
        return not self.clusters or self.clusters[0].images >= MAIN * self.images

    def match(self, colour: Lab) -> ColourMatch:
        """Where a new image's colour (3,) belongs."""
        apart = difference(self.cells, colour)
        nearest = int(apart.argmin())
        return ColourMatch(int(self.cluster[nearest]), float(apart[nearest]))

    def named(self, match: ColourMatch) -> str:
        """The colour of a new image in words."""
        return self.clusters[match.cluster].name if match.known else "unlike any"

    @property
    def sentence(self) -> str:
        """What colours there are.

        >>> colour_clusters(np.array([[34.0, 14, 13], [35, 14, 13]])).sentence
        'one colour: brown'
        """
        if not self.clusters:
            return "no colour"
        main = self.clusters[0]
        if len(self.clusters) == 1:
            return f"one colour: {main.name}"
        if self.one:
            return f"one colour: {main.name}, but for {counted(self.images - main.images, 'image')}"
        if 2 * len(self.clusters) > self.images:
            return f"no common colours: {len(self.clusters)} among {counted(self.images, 'image')}"
        listed = [f"{cluster.name} ({cluster.images})" for cluster in self.clusters]
        return f"{len(listed)} colours: {named(listed)}"

    def state(self) -> dict[str, Any]:
        """Plain values for a file."""
        return {
            "cells": self.cells.tolist(),
            "cluster": self.cluster.tolist(),
            "clusters": [
                {"name": c.name, "lab": c.colour.tolist(), "images": c.images} for c in self.clusters
            ],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """What `state` gave."""
        clusters = tuple(
            ColourCluster(c["name"], np.array(c["lab"], np.float64), int(c["images"]))
            for c in state["clusters"]
        )
        cells = np.array(state["cells"], np.float64).reshape(-1, 3)
        return cls(clusters, cells, np.array(state["cluster"], np.intp))


def colour_clusters(colours: Lab) -> Colours:
    """The colours among images' colours (N, 3); their order does not matter."""
    colours = np.asarray(colours, np.float64).reshape(-1, 3)
    if not len(colours):
        return Colours((), colours, np.zeros(0, np.intp))
    cells, counts = _gathered(colours)
    labels = _chained(cells)
    members = np.bincount(labels, weights=counts)
    means = (
        np.stack([np.bincount(labels, weights=counts * part) for part in cells.T], axis=1) / members[:, None]
    )
    order = np.lexsort((*means.T, -members))
    names = _unique([colour_name(means[i]) for i in order])
    clusters = tuple(
        ColourCluster(name, means[i], int(members[i])) for name, i in zip(names, order, strict=True)
    )
    return Colours(clusters, cells, np.argsort(order)[labels])


def _gathered(colours: Lab) -> tuple[Lab, NDArray[np.intp]]:
    """Mean colour and number of the images in each cell that has some, in the cells' order."""
    places = np.floor(_scaled(colours) / _CELL).astype(np.int64)
    _, inverse, counts = np.unique(places, axis=0, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(-1)  # numpy 2.0 returned it as a column
    ordered = np.lexsort(colours.T)  # sums in one order whatever the images' is
    means = np.stack(
        [np.bincount(inverse[ordered], weights=part[ordered]) / counts for part in colours.T], axis=1
    )
    return means, counts


def _chained(cells: Lab) -> NDArray[np.intp]:
    """(K,) the cluster of each cell: single linkage, cut at `STEP`."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    pairs = cKDTree(_scaled(cells)).query_pairs(STEP, output_type="ndarray")
    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(cells),) * 2)
    return np.asarray(connected_components(links, directed=False)[1], np.intp)


def _scaled(colours: Lab) -> Lab:
    return colours * (_LIGHTNESS, 1.0, 1.0)


def _unique(names: Sequence[str]) -> list[str]:
    """A number behind every name that came before.

    >>> _unique(["grey", "tan", "grey"])
    ['grey', 'tan', 'grey 2']
    """
    return [
        name if name not in names[:place] else f"{name} {names[: place + 1].count(name)}"
        for place, name in enumerate(names)
    ]

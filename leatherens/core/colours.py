"""Is this leather of one colour or of several, and is a new image of a colour that was seen before?

An image's colour is the median CIELAB of its pixels, which a defect or a bright edge does not move.
Distances between colours are ΔE with lightness halved, as the textile formulas CMC(2:1) and CIE94 (kL = 2)
do: the same leather under more light is lighter, hardly of another hue.

Two images are of one colour when a chain of images without a gap leads from one to the other (single
linkage). So a colour may vary as far as it does without a gap, and the number of colours is the number of
gaps and one. A gap is a step that people notice (`STEP`) and that is much wider than the steps of most chains
(`WIDER`), since a few images of one leather leave wider ones than many; beyond `REACH` it always is one.
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

WIDER = 5.0
"""Times the usual step, so that a handful of images of one leather are not taken for several colours."""

REACH = 5.0
"""ΔE to the nearest learned image from which on a colour is unlike all: on eight real sets no good test image
is (`leatherens data inspect`); of circuit boards, which are black and white, two are."""

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

    cells: (K, 3) mean colours of images that look alike; cluster, counts: (K,) the cluster of each, and its
    images. gap: ΔE of the steps that separate clusters.
    """

    clusters: tuple[ColourCluster, ...]
    cells: Lab
    cluster: NDArray[np.intp]
    counts: NDArray[np.intp]
    gap: float = STEP

    @property
    def images(self) -> int:
        """How many images there are in all."""
        return sum(cluster.images for cluster in self.clusters)

    @property
    def one(self) -> bool:
        """Whether the leather is of one colour: nearly all of its images are."""
        return not self.clusters or self.clusters[0].images >= MAIN * self.images

    def with_more(self, colours: Lab) -> Colours:
        """The colours of these images and of further ones (N, 3)."""
        further = np.asarray(colours, np.float64).reshape(-1, 3)
        counts = np.concatenate([self.counts, np.ones(len(further), np.intp)])
        return _clustered(np.concatenate([self.cells, further]), counts)

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
            "counts": self.counts.tolist(),
            "gap": self.gap,
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
        cluster, counts = (np.array(state[name], np.intp) for name in ("cluster", "counts"))
        return cls(clusters, cells, cluster, counts, float(state["gap"]))


def colour_clusters(colours: Lab) -> Colours:
    """The colours among images' colours (N, 3); their order does not matter."""
    colours = np.asarray(colours, np.float64).reshape(-1, 3)
    return _clustered(colours, np.ones(len(colours), np.intp))


def _clustered(colours: Lab, weights: NDArray[np.intp]) -> Colours:
    """The same for colours that stand for so many images each."""
    if not len(colours):
        return Colours((), colours, weights, weights)
    cells, counts = _gathered(colours, weights)
    labels, gap = _chained(cells, int(counts.sum()))
    members, means = _means(cells, labels, counts)
    order = np.lexsort((*means.T, -members))
    names = _unique([colour_name(means[i]) for i in order])
    clusters = tuple(
        ColourCluster(name, means[i], int(members[i])) for name, i in zip(names, order, strict=True)
    )
    return Colours(clusters, cells, np.argsort(order)[labels], counts.astype(np.intp), gap)


def _gathered(colours: Lab, weights: NDArray[np.intp]) -> tuple[Lab, NDArray[np.float64]]:
    """Mean colour and number of the images in each cell that has some, in the cells' order."""
    places = np.floor(_scaled(colours) / _CELL).astype(np.int64)
    _, inverse = np.unique(places, axis=0, return_inverse=True)
    ordered = np.lexsort(colours.T)  # sums in one order whatever the images' is
    counts, means = _means(colours[ordered], inverse.reshape(-1)[ordered], weights[ordered])
    return means, counts


def _means(
    colours: Lab, groups: NDArray[np.intp], weights: NDArray[np.generic]
) -> tuple[NDArray[np.float64], Lab]:
    """(G,) weight and (G, 3) mean colour of each group."""
    totals = np.bincount(groups, weights=weights).astype(np.float64)
    sums = np.stack([np.bincount(groups, weights=weights * part) for part in colours.T], axis=1)
    return totals, sums / totals[:, None]


def _chained(cells: Lab, images: int) -> tuple[NDArray[np.intp], float]:
    """(K,) the cluster of each cell, and the gap that separates them.

    The steps of all chains are the edges of the minimum spanning tree of the images, of which those that
    share a cell have none to speak of.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
    from scipy.spatial import cKDTree

    places = _scaled(cells)
    one, other = cKDTree(places).query_pairs(REACH, output_type="ndarray").T
    apart = np.linalg.norm(places[one] - places[other], axis=1)
    graph = coo_matrix((apart, (one, other)), shape=(len(cells),) * 2)
    tree = minimum_spanning_tree(graph.tocsr()).tocoo()
    steps = np.zeros(max(1, images - 1))
    steps[: len(cells) - 1] = REACH  # wider ones do not matter
    steps[: tree.nnz] = tree.data
    gap = min(max(STEP, WIDER * float(np.median(steps))), REACH)
    near = tree.data <= gap
    links = coo_matrix((tree.data[near], (tree.row[near], tree.col[near])), shape=tree.shape)
    return np.asarray(connected_components(links, directed=False)[1], np.intp), gap


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

"""Where good images score high again and again: a clamp, a label, a reflection, and not the hide.

Pure functions of score maps (n, h, w) of good images that nothing was learned from. In each image the same
share of pixels is called hot, its own highest, so that no unit and no bright image counts more than another.
A place that is hot in more images than chance explains disturbs, if it also draws the images' highest pixels:
these are what false alarms are made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from leatherens.core.calibration import allowed_exceedances
from leatherens.core.errors import InputError
from leatherens.core.photographs import Mask
from leatherens.core.preparation import FloatMap

Maps: TypeAlias = "NDArray[np.float32]"
"""(n, h, w)."""

BLUR = 1 / 128
"""Sigma, as a share of the longest side, by which counts of hot images are smoothed."""

EDGE = 0.01
"""Chance at which a pixel beside a disturbed place belongs to it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What counts as disturbed."""

    hot: float = 0.05
    """Share of each image's pixels that are called hot."""
    doubt: float = 0.05
    """Chance of marking anything where all places are alike."""
    peaks: float = 0.2
    """Share of the images whose highest pixel a piece must draw; silencing others changes next to nothing."""
    smallest: float = 0.001
    """Share of the picture that a piece must have."""
    margin: float = 0.02
    """Around a piece, as a share of the longest side: its rim is not in one place in every image."""
    most: float = 0.5
    """Share of the picture that is proposed at most; what disturbs everywhere is no place to leave out."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What was found in so many images.

    region: (h, w). hot: (h, w) 0..1, share of the images in which a pixel is hot. pieces: of the region.
    peaks: images whose highest pixel lies in it.
    """

    region: Mask
    hot: FloatMap
    images: int
    pieces: int
    peaks: int

    @property
    def share(self) -> float:
        """Of the picture."""
        return float(self.region.mean())


def disturbed(maps: Maps, valid: Mask | None = None, rule: Rule | None = None) -> Disturbance:
    """The places that disturb, from maps (n, h, w); valid (n, h, w): where they count, `None` everywhere.

    Places larger than the share that is hot are found in rounds: what is found no longer counts, and what is
    left is asked again, until nothing more comes. Each round adds a highest pixel that still counted.
    """
    import cv2

    rule = rule or Rule()
    counted = np.ones(maps.shape, dtype=np.bool_) if valid is None else valid
    begin, edge = _bounds(maps.shape, rule)
    region = np.zeros(maps.shape[1:], dtype=np.bool_)
    first = hot = _hot_count(maps, counted, rule.hot)
    while (more := _pieces(hot, _highest(maps, counted & ~region), begin, edge, rule)).any():
        larger = region | _widened(more, rule.margin)
        if larger.mean() > rule.most or not (counted & ~larger).any(axis=(1, 2)).all():
            break
        region = larger
        hot = _hot_count(maps, counted & ~region, rule.hot)
    pieces = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)[0] - 1
    peaks = int(region.ravel()[_highest(maps, counted)].sum())
    return Disturbance(region, first / np.float32(len(maps)), len(maps), pieces, peaks)


def _highest(maps: Maps, valid: Mask) -> NDArray[np.intp]:
    """(n,) where in a flat map each image's highest pixel lies."""
    places: NDArray[np.intp] = np.where(valid, maps, -np.inf).reshape(len(maps), -1).argmax(axis=1)
    return places


def _pieces(hot: FloatMap, highest: NDArray[np.intp], begin: float, edge: float, rule: Rule) -> Mask:
    """(h, w): the 8-connected pieces that begin somewhere, each to its edge, and draw the highest pixels."""
    import cv2

    number, labels = cv2.connectedComponents((hot >= edge).astype(np.uint8), connectivity=8)
    owners = labels.ravel()[highest]  # (n,)
    kept = []
    for piece in range(1, number):
        inside = labels == piece
        share, peaks = float(inside.mean()), int((owners == piece).sum())
        enough = share >= rule.smallest and peaks >= rule.peaks * len(highest)
        by_chance = binom.sf(peaks - 1, len(highest), share)
        if enough and hot[inside].max() >= begin and by_chance <= rule.doubt / (number - 1):
            kept.append(piece)
    pieces: Mask = np.isin(labels, kept)
    return pieces


def _bounds(shape: tuple[int, ...], rule: Rule) -> tuple[float, float]:
    """In how many images a place must be hot to begin a piece, and to belong to one."""
    images, places = shape[0], shape[1] * shape[2]
    fewest = int(np.ceil(np.log(rule.doubt / places) / np.log(rule.hot)))
    if images < fewest:
        raise InputError(
            f"{fewest} held-out good images are needed to tell a disturbed place from chance, got {images}; "
            "give more good photographs"
        )
    begin, edge = (float(binom.isf(chance, images, rule.hot)) + 1 for chance in (rule.doubt / places, EDGE))
    return begin, edge


def _hot_count(maps: Maps, valid: Mask, share: float) -> FloatMap:
    """(h, w): in how many images a pixel is among the highest of those that count, smoothed."""
    import cv2

    count = np.zeros(maps.shape[1:], dtype=np.float32)
    for pixels, inside in zip(maps, valid, strict=True):
        count += inside & (pixels > np.quantile(pixels[inside], 1 - share))
    smoothed: FloatMap = cv2.GaussianBlur(count, (0, 0), BLUR * max(count.shape))
    return smoothed


def _widened(region: Mask, margin: float) -> Mask:
    import cv2

    reach = round(margin * max(region.shape))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    widened: Mask = cv2.dilate(region.astype(np.uint8), disc) > 0
    return widened


@dataclass(frozen=True, slots=True)
class Alarms:
    """What the highest pixels of good images say: a threshold, and how many of other images are above it."""

    threshold: float
    alarms: int
    images: int


def alarms(chosen: Maps, others: Maps, silenced: Mask, *, rate: float) -> Alarms:
    """With a region (h, w) silenced: the threshold that a rate asks of chosen images, others above it.

    It is the conformal one: the k-th highest of the chosen images, k = floor(rate (n + 1)), at least 1.
    """
    known, fresh = (np.where(silenced, -np.inf, maps).max(axis=(1, 2)) for maps in (chosen, others))
    threshold = float(np.sort(known)[-allowed_exceedances(rate, len(known))])
    return Alarms(threshold, int((fresh > threshold).sum()), len(fresh))

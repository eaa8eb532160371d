"""Colours of leather: what colour an image has, how many there are, and whether a new one was seen before."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score

from leatherens.core.colours import (
    REACH,
    STEP,
    WIDER,
    Colours,
    colour_clusters,
    colour_name,
    difference,
    image_colour,
    srgb,
)
from leatherens.core.photographs import read_photograph

LEATHER = os.environ.get("LEATHERENS_DATA")


def cloud(centre: tuple[float, float, float], count: int, spread: float = 0.3, seed: int = 0) -> np.ndarray:
    return np.array(centre) + spread * np.random.default_rng(seed).standard_normal((count, 3))


BROWN, TAN, TEAL = (34.0, 14, 13), (60.0, 14, 30), (42.0, -20, 2)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [  # computed by hand from the sRGB and CIELAB definitions, white D65
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((128, 128, 128), (53.59, 0, 0)),
    ],
)
def test_image_colour__is_cielab_and_back(rgb: tuple[int, int, int], lab: tuple[float, ...]) -> None:
    picture = np.full((20, 30, 3), rgb, np.uint8)

    found = image_colour(picture)

    np.testing.assert_allclose(found, lab, atol=0.15)
    assert np.abs(np.subtract(srgb(found), rgb)).max() <= 1


def test_image_colour__a_defect_does_not_move_it_and_masked_pixels_say_nothing() -> None:
    hide = np.full((128, 128, 3), (110, 70, 50), np.uint8)
    stained = hide.copy()
    stained[20:70, 60:120] = (255, 255, 0)
    valid = np.ones((128, 128), np.bool_)
    valid[:, 64:] = False
    half = hide.copy()
    half[~valid] = 255

    np.testing.assert_allclose(image_colour(stained), image_colour(hide))
    np.testing.assert_allclose(image_colour(half, valid), image_colour(hide))
    assert difference(image_colour(half), image_colour(hide)) > 5


def by_scipy(colours: np.ndarray) -> tuple[list[int], float]:
    """Sizes of the clusters of single linkage, largest first, and where its tree is cut."""
    tree = linkage(colours * (0.5, 1, 1), "single")
    gap = min(max(STEP, WIDER * np.median(tree[:, 2])), REACH)
    return sorted(Counter(fcluster(tree, gap, "distance")).values(), reverse=True), gap


@pytest.mark.parametrize("counts", [(60, 30, 5), (12, 8, 2), (4, 3, 1), (1, 1, 1)], ids=str)
def test_clusters__are_single_linkage_cut_at_a_gap(counts: tuple[int, int, int]) -> None:
    centres, spreads = (BROWN, TAN, TEAL), (1.5, 1.5, 0.5)
    parts = [cloud(centre, n, spread, n) for centre, n, spread in zip(centres, counts, spreads, strict=True)]
    colours = np.concatenate(parts)

    found = colour_clusters(colours)

    sizes, gap = by_scipy(colours)
    assert [cluster.images for cluster in found.clusters] == sizes
    assert found.images == len(colours)
    assert found.gap == pytest.approx(gap, rel=0.2)  # cells join images at next to no distance


def test_clusters__a_chain_without_a_gap_is_one_colour_and_a_gap_makes_two() -> None:
    lightness = np.arange(20.0, 60.0, 1.5)  # 0.75 apart where lightness counts half
    chain = np.stack([lightness, 0 * lightness, 0 * lightness], axis=1)

    assert len(colour_clusters(chain).clusters) == 1
    assert colour_clusters(chain).gap == pytest.approx(WIDER * 0.75)
    assert len(colour_clusters(np.delete(chain, range(5, 8), axis=0)).clusters) == 1  # 3.0, no gap
    assert len(colour_clusters(np.delete(chain, range(5, 10), axis=0)).clusters) == 2  # 4.5


def test_clusters__few_images_of_one_leather_are_of_one_colour() -> None:
    few = cloud(BROWN, 12, 1.5)

    assert colour_clusters(few).one
    assert len(colour_clusters(np.concatenate([few, [TEAL]])).clusters) == 2


def test_clusters__do_not_depend_on_the_order() -> None:
    colours = np.concatenate([cloud(BROWN, 40, 1.5), cloud(TEAL, 20)])
    shuffled = np.random.default_rng(3).permutation(colours)

    one, other = (colour_clusters(order) for order in (colours, shuffled))

    assert one.state() == other.state()


def test_clusters__one_colour_or_several_in_words() -> None:
    brown, teal = cloud(BROWN, 60), cloud(TEAL, 20)

    assert colour_clusters(brown).sentence == "one colour: brown"
    several = colour_clusters(np.concatenate([brown, teal]))
    assert several.sentence == "2 colours: brown (60), teal (20)"
    assert not several.one
    few = colour_clusters(np.concatenate([brown, teal[:2]]))
    assert few.one
    assert few.sentence == "one colour: brown, but for 2 images"
    assert colour_clusters(np.zeros((0, 3))).sentence == "no colour"
    all_apart = colour_clusters(np.array([BROWN, TAN, TEAL]))
    assert all_apart.sentence == "no common colours: 3 among 3 images"
    alike = colour_clusters(np.array([(30.0, 0, 0), (30, 4, 0)] * 3))
    assert [cluster.name for cluster in alike.clusters] == ["dark grey", "dark grey 2"]


def test_match__a_new_image_belongs_to_the_nearest_colour_or_to_none() -> None:
    colours = colour_clusters(np.concatenate([cloud(BROWN, 60), cloud(TEAL, 20)]))

    near, far = colours.match(np.array(TEAL) + 1), colours.match(np.array([80.0, 0, 0]))

    assert near.known
    assert colours.named(near) == "teal"
    assert near.distance < 2
    assert not far.known
    assert far.distance > REACH
    assert colours.named(far) == "unlike any"


def test_match__a_limit_of_the_reach_is_known() -> None:
    colours = colour_clusters(np.array([(50.0, 0, 0)]))

    assert colours.match(np.array([50.0, REACH, 0])).known
    assert not colours.match(np.array([50.0, REACH + 0.01, 0])).known
    assert colours.match(np.array([50 + 2 * REACH, 0, 0])).known  # lightness counts half


def test_state__is_json_and_comes_back() -> None:
    colours = colour_clusters(np.concatenate([cloud(BROWN, 60), cloud(TEAL, 20)]))

    back = Colours.from_state(json.loads(json.dumps(colours.state())))

    assert back.state() == colours.state()
    assert back.match(np.array(TEAL)) == colours.match(np.array(TEAL))


def test_with_more__is_the_clustering_of_all_together() -> None:
    first, further = cloud(BROWN, 60), np.concatenate([cloud(BROWN, 10, seed=5), cloud(TEAL, 20)])

    more = colour_clusters(first).with_more(further)

    together = colour_clusters(np.concatenate([first, further]))
    assert [(c.name, c.images) for c in more.clusters] == [(c.name, c.images) for c in together.clusters]
    assert more.images == 90
    assert colour_clusters(np.zeros((0, 3))).with_more(first).state() == colour_clusters(first).state()


def test_clusters__of_very_many_images_keep_few_cells() -> None:
    colours = colour_clusters(cloud(BROWN, 50_000, 1.0))

    assert len(colours.cells) < 2000
    assert colours.images == 50_000
    assert colours.one


def test_name__every_name_is_its_own() -> None:
    assert colour_name(np.array([95.0, 0, 0])) == "white"
    assert colour_name(np.array([22.0, -18, 12])) == "dark green"
    assert colour_name(np.array([5.0, 1, -1])) == "black"


@pytest.mark.skipif(not LEATHER, reason="LEATHERENS_DATA names no folder of real images")
def test_clusters__real_leather_of_eight_materials() -> None:
    """Tiles are called after their material; one colour of them is shared by two materials."""
    images = sorted((Path(str(LEATHER)) / "leather_multi_colour_tiles" / "train").rglob("*.png"))
    if not images:
        pytest.skip(f"no leather_multi_colour_tiles below {LEATHER}")
    colours = np.stack([image_colour(read_photograph(path)) for path in images])
    materials = [path.stem.rsplit("_", 4)[0] for path in images]

    found = colour_clusters(colours)

    clusters = [found.match(colour).cluster for colour in colours]
    held = defaultdict(Counter)
    for cluster, material in zip(clusters, materials, strict=True):
        held[cluster][material] += 1
    assert not found.one
    assert len(set(materials)) == 8
    assert sum(max(counts.values()) for counts in held.values()) / len(images) > 0.98
    assert sum(len(counts) > 1 for counts in held.values()) == 1
    assert adjusted_rand_score(materials, clusters) > 0.96


@pytest.mark.skipif(not LEATHER, reason="LEATHERENS_DATA names no folder of real images")
def test_clusters__real_leather_of_one_colour() -> None:
    images = sorted((Path(str(LEATHER)) / "leather_one_colour" / "train").rglob("*.png"))[::4]
    if not images:
        pytest.skip(f"no leather_one_colour below {LEATHER}")
    found = colour_clusters(np.stack([image_colour(read_photograph(path)) for path in images]))

    assert len(found.clusters) == 1
    assert found.clusters[0].name in ("brown", "dark brown")

"""Checks of preparations: what a step says of a photograph fits it, and a score map finds the way back.

They are tried on made-up photographs of one thing, wider than high, lit a little differently each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from leatherens.core.photographs import Photograph
from leatherens.core.preparation import Frame, Part, Preparation, Prepared
from leatherens.core.randomness import numpy_generator
from leatherens.testing.bench import Bench
from leatherens.testing.declaration_checks import PART_CHECKS
from leatherens.testing.reloading import expect_unfitted_refused, reloaded

SIZE = (168, 232)
ALIKE = 0.9
"""Correlation of a photograph's greys with the prepared ones taken back; another place has next to none."""


def pictures(count: int = 4, seed: int = 0) -> list[Prepared]:
    """Photographs of one thing: the same squares and grain, another light and noise."""
    thing = numpy_generator(seed, "thing")
    base = thing.integers(90, 130, (*SIZE, 1)).astype(np.float64)
    for _ in range(60):
        top, left = thing.integers(0, SIZE[0] - 12), thing.integers(0, SIZE[1] - 12)
        tall, wide = thing.integers(5, 24, 2)
        base[top : top + tall, left : left + wide] = thing.integers(20, 235)
    return [_photograph(base, number, seed) for number in range(count)]


def _photograph(base: NDArray[np.float64], number: int, seed: int) -> Prepared:
    own = numpy_generator(seed, "photograph", number)
    lit = base * own.uniform(0.9, 1.1) + own.normal(0, 2, (*SIZE, 3))
    return Prepared(f"{number}.png", np.clip(lit, 0, 255).astype(np.uint8))


def fitted(trial: Bench, good: Sequence[Prepared] | None = None) -> Preparation:
    """A part of the maker's, fitted."""
    step: Preparation = trial.make()
    return step.fit(pictures() if good is None else good)


def check_preparation_delivers_a_photograph(trial: Bench) -> None:
    """A prepared picture is 8-bit RGB, of the same name, and not blank."""
    for picture in pictures():
        found = fitted(trial).apply(picture)
        shape, kind = found.pixels.shape, found.pixels.dtype
        trial.expect(
            len(shape) == 3 and shape[2] == 3 and kind == np.uint8,
            f"the picture has shape {shape} and {kind}, expected (H, W, 3) uint8",
        )
        trial.expect(found.name == picture.name, f"the picture of {picture.name} is called {found.name}")
        trial.expect(found.pixels.std() > 1, "the picture is blank")


def check_preparation_leaves_its_input_alone(trial: Bench) -> None:
    """Neither the photograph nor the regions given are written into."""
    step, (picture, *_) = fitted(trial), pictures()
    kept = picture.pixels.copy(), np.zeros(SIZE, np.bool_)
    region = kept[1].copy()
    step.apply(picture.ignoring(region).hiding(region))
    trial.expect(np.array_equal(picture.pixels, kept[0]), "the photograph given was written into")
    trial.expect(np.array_equal(region, kept[1]), "the region given was written into")


def check_preparation_depends_on_the_photograph_alone(trial: Bench) -> None:
    """The same photograph is prepared in the same way, whatever was prepared before."""
    step, (first, *others) = fitted(trial), pictures()
    expected = step.apply(first)
    for other in others:
        step.apply(other)
    trial.expect(_same(step.apply(first), expected), "prepared again after others, a picture is another one")


def check_preparation_keeps_regions(trial: Bench) -> None:
    """What an earlier step left out stays left out, wherever the picture moves."""
    step, (picture, *_) = fitted(trial), pictures()
    region = np.zeros(SIZE, np.bool_)
    region[60:90, 100:150] = True
    for name, given in (("ignored", picture.ignoring(region)), ("hidden", picture.hiding(region))):
        found = step.apply(given)
        left: Any = getattr(found, name)
        left = np.zeros(found.size, np.bool_) if left is None else left
        if found.hidden is not None:  # what is not seen does not count either
            left = left | found.hidden
        back = Frame(SIZE, found.size, found.warp).back_valid(torch.from_numpy(~left))
        lost = float(back[region].mean())
        trial.expect(lost < 0.05, f"{lost:.0%} of the {name} region counts again after this step")


def check_preparation_finds_the_way_back(trial: Bench) -> None:
    """Taken back by its warp, the prepared picture lies on its photograph."""
    step = fitted(trial)
    for picture in pictures():
        found = step.apply(picture)
        frame = Frame(SIZE, found.size, found.warp)
        back = frame.back(torch.from_numpy(_grey(found.pixels)))
        shown = ~found.hidden if found.hidden is not None else np.ones(found.size, np.bool_)
        counted = frame.back_valid(torch.from_numpy(shown))
        trial.expect(counted.mean() > 0.25, f"only {counted.mean():.0%} of {picture.name} is left to see")
        alike = np.corrcoef(back[counted], _grey(picture.pixels)[counted])[0, 1]
        trial.expect(
            alike > ALIKE, f"taken back, {picture.name} has a correlation of {alike:.2f} with its photograph"
        )


def check_preparation_compares_alike(trial: Bench) -> None:
    """What a report shows of a step is two pictures of one size and words to read them by, or nothing."""
    for picture in pictures():
        found = fitted(trial).compare(picture)
        if found is None:
            return
        shapes = {(shown.shape, str(shown.dtype)) for shown in (found.before, found.after)}
        alike = len(shapes) == 1 and all(len(shape) == 3 and kind == "uint8" for shape, kind in shapes)
        trial.expect(alike, f"before and after must be (h, w, 3) uint8 of one size, got {sorted(shapes)}")
        trial.expect(bool(found.caption and found.legend), "the comparison lacks its caption or its legend")


def check_preparation_is_kept(trial: Bench) -> None:
    """Saved, loaded and refitted, a step does the same; unfitted, one that learns does nothing."""
    step, (picture, *_) = trial.make(), pictures()
    if step.learns:
        expect_unfitted_refused(trial, "apply", lambda: step.apply(picture))
    trial.expect(step.fit(pictures()) is step, "fit must return self")
    expected = step.apply(picture)
    if step.learns:
        trial.expect(_same(reloaded(step).apply(picture), expected), "saved and loaded, it does otherwise")
    step.fit(pictures(seed=5)).fit(pictures())
    trial.expect(_same(step.apply(picture), expected), "a second fit remembers the first")


def check_preparation_by_parts(trial: Bench) -> None:
    """One that works by parts does with some rows what it does with all; one that does not refuses them."""
    step = fitted(trial)
    if not step.by_parts:
        some = replace(pictures()[0], part=Part(0, (2 * SIZE[0], SIZE[1])))
        trial.expect_refused(lambda: step.apply(some), "some rows of a photograph")
        return
    for picture in pictures():
        whole = step.apply(picture)
        for top, bottom in ((0, 50), (50, 51), (40, SIZE[0])):
            found = step.apply(replace(picture, pixels=picture.pixels[top:bottom], part=Part(top, SIZE)))
            alike = (
                np.array_equal(found.pixels, whole.pixels[top:bottom]) and found.warp is None is whole.warp
            )
            for name in ("ignored", "hidden"):
                own, region = getattr(found, name), getattr(whole, name)
                alike &= (own is None and region is None) or (
                    own is not None and region is not None and np.array_equal(own, region[top:bottom])
                )
            trial.expect(alike, f"given rows {top} to {bottom} alone, it does otherwise than in the whole")


def _grey(pixels: Photograph) -> NDArray[np.float32]:
    grey: NDArray[np.float32] = pixels.mean(axis=2, dtype=np.float32)
    return grey


def _same(one: Prepared, other: Prepared) -> bool:
    plain = replace(one, pixels=other.pixels, ignored=None, hidden=None, warp=None)
    if plain != replace(other, ignored=None, hidden=None, warp=None):
        return False
    pairs = ((getattr(one, name), getattr(other, name)) for name in ("pixels", "ignored", "hidden", "warp"))
    return all(a is b if a is None or b is None else np.array_equal(a, b) for a, b in pairs)


CHECKS = (
    *PART_CHECKS,
    check_preparation_delivers_a_photograph,
    check_preparation_leaves_its_input_alone,
    check_preparation_depends_on_the_photograph_alone,
    check_preparation_keeps_regions,
    check_preparation_finds_the_way_back,
    check_preparation_compares_alike,
    check_preparation_is_kept,
    check_preparation_by_parts,
)

"""Checks of heads, tried on made-up fused maps in which good channels go together and odd ones do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from leatherens.core.heads import GoodMaps, Head, SpoiltMaps
from leatherens.core.types import ScoreMap
from leatherens.testing.bench import Bench
from leatherens.testing.comparing import separation, snapshot
from leatherens.testing.declaration_checks import PART_CHECKS
from leatherens.testing.fused import (
    CHANNELS,
    SIZE,
    context,
    differ,
    expect_globals_untouched,
    good_maps,
    left_half,
)
from leatherens.testing.reloading import expect_unfitted_refused, reloaded
from leatherens.testing.stand_ins import lent_globals

SEPARATION = 0.8
"""Probability that an odd position scores above a good one; the planted ones are loud, 0.5 is guessing."""
ODD = (slice(1, 3), slice(7, 10))
"""Rows and columns of the odd positions, off the diagonal and the middle."""


def good(seed: int = 0, valid: Tensor | None = None) -> list[GoodMaps]:
    """Two batches of good maps."""
    return [(good_maps(8, seed + i), valid) for i in (1, 2)]


def spoilt(maps: Tensor) -> Tensor:
    """The same maps, loud at `ODD`."""
    changed = maps.clone()
    changed[:, :, ODD[0], ODD[1]] = 6 - 2 * changed[:, :, ODD[0], ODD[1]]
    return changed


def anomalies() -> list[SpoiltMaps]:
    """Spoilt maps and where, in pixels of the images."""
    where = torch.zeros(8, *SIZE, dtype=torch.bool)
    where[:, 8 * ODD[0].start : 8 * ODD[0].stop, 8 * ODD[1].start : 8 * ODD[1].stop] = True
    return [(spoilt(good_maps(8, seed)), where) for seed in (5, 6)]


def fitted(trial: Bench, maps: Sequence[GoodMaps] | None = None, *, seed: int = 0) -> Head:
    """A head of the maker's that has learned."""
    return taught(trial.make(), good() if maps is None else maps, seed=seed)


def taught(head: Head, maps: Sequence[GoodMaps], *, seed: int = 0) -> Head:
    """A head fitted with all that it asks for."""
    shown = anomalies() if head.wants_anomalies else ()
    validation = good(3) if maps else []  # a head may learn from these
    return head.fit(maps, validation=validation, context=context(seed), anomalies=shown)


def check_head_keeps_shapes(trial: Bench) -> None:
    """Scores are float32 and finite, a map of the images' size and one number each."""
    head = fitted(trial)
    for count in (1, 5):
        seen = head.score(good_maps(count), SIZE)
        for name, value, shape in (
            ("map", seen.pixels, (count, *SIZE)),
            ("image score", seen.image, (count,)),
        ):
            found = tuple(value.shape)
            trial.expect(found == shape, f"the score {name} has shape {found}, expected {shape}")
            trial.expect(value.dtype == torch.float32, f"the {name} is {value.dtype}, expected float32")
            trial.expect(bool(value.isfinite().all()), f"the {name} holds NaN or infinite values")


def check_head_points_at_the_odd(trial: Bench) -> None:
    """Odd positions score above good ones, where they are, and so do images that have them."""
    head, clean = fitted(trial), good_maps(6, 9)
    seen, plain = head.score(spoilt(clean), SIZE), head.score(clean, SIZE)
    where = anomalies()[0][1][0]
    inside, outside = seen.pixels[:, where].flatten(), seen.pixels[:, ~where].flatten()
    found = min(separation(inside, outside), separation(seen.image, plain.image))
    trial.expect(
        found >= SEPARATION,
        f"an odd position or image scores above a good one with probability {found:.2f}, "
        f"expected at least {SEPARATION}; is higher more anomalous, and the map the right way round?",
    )


def check_head_scores_each_image_alone(trial: Bench) -> None:
    """An image's scores do not depend on the other images of the batch."""
    head, maps = fitted(trial), spoilt(good_maps(5, 9))
    maps[0] = good_maps(1, 8)[0]
    together, alone = head.score(maps, SIZE), head.score(maps[:1], SIZE)
    first = ScoreMap(together.pixels[:1], together.image[:1])
    _expect_equal(trial, first, alone, "scored one by one and together, scores disagree")


def check_head_leaves_all_else_alone(trial: Bench) -> None:
    """Neither fit nor score writes into the maps or moves anything global; scoring changes no attribute."""
    lessons, given = good(), good_maps(4, 9)
    maps = [*(m for m, _ in lessons), given]
    kept, head = [m.clone() for m in maps], trial.make()
    expect_globals_untouched(trial, lambda: taught(head, lessons).score(given, SIZE))
    same = all(torch.equal(a, b) for a, b in zip(maps, kept, strict=True))
    trial.expect(same, "fused maps are changed in place; work on a copy")
    before = snapshot(head)
    head.score(given[:2], SIZE)
    after = snapshot(head)
    moved = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    trial.expect(not moved, f"scoring changes {', '.join(moved[:4])}")


def check_head_same_seed_same_scores(trial: Bench) -> None:
    """Two fits with one seed agree, whatever state the global random generators are in."""
    found = []
    for state in (1, 2):
        with lent_globals(state):
            found.append(_said(fitted(trial)))
    _expect_equal(trial, found[0], found[1], "two fits with the same seed disagree")


def check_head_keeps_to_valid_positions(trial: Bench) -> None:
    """What lies under `valid=False` teaches nothing and decides no image score."""
    valid, clean = left_half(8), good(valid=left_half(8))
    wild = [(_raised_right(maps), valid) for maps, _ in clean]
    said, again = _said(fitted(trial, clean)), _said(fitted(trial, wild))
    _expect_equal(trial, said, again, "maps of invalid positions change what is learned")
    head = fitted(trial)
    one, other = (head.score(maps, SIZE, left_half(4)) for maps in _pair())
    trial.expect(not differ(one.image, other.image), "the image score comes from invalid positions")


def _pair() -> tuple[Tensor, Tensor]:
    maps = good_maps(4, 9)
    return maps, _raised_right(maps)


def _raised_right(maps: Tensor) -> Tensor:
    wild = maps.clone()
    wild[..., maps.shape[-1] // 2 :] = 6 - 2 * wild[..., maps.shape[-1] // 2 :]
    return wild


def check_head_refuses_in_words(trial: Bench) -> None:
    """Nothing to learn from, other channels than learned from, and NaN are refused in words."""
    head = fitted(trial)
    trial.expect_refused(lambda: taught(trial.make(), []), "learning from nothing")
    other = good_maps(2, channels=CHANNELS + 1)
    trial.expect_refused(
        lambda: head.score(other, SIZE), "maps of other channels", words=(str(CHANNELS), str(CHANNELS + 1))
    )
    broken = good_maps(2)
    broken[0, 0, 0, 0] = torch.nan
    trial.expect_refused(lambda: head.score(broken, SIZE), "NaN in the fused maps")


def check_head_asks_for_anomalies_as_declared(trial: Bench) -> None:
    """With wants_anomalies, a fit without any is refused; else anomalies change nothing."""
    head: Head = trial.make()
    if head.wants_anomalies:
        trial.expect_refused(
            lambda: head.fit(good(), validation=good(3), context=context()), "a fit without anomalies"
        )
        return
    shown = head.fit(good(), validation=good(3), context=context(), anomalies=anomalies())
    _expect_equal(
        trial, _said(fitted(trial)), _said(shown), "wants_anomalies is False, but anomalies change it"
    )


def check_head_updates_as_declared(trial: Bench) -> None:
    """An update lowers the scores of what it took in; without updates, it is refused in words."""
    head, new = fitted(trial), [(-good_maps(8, 4), None)]
    if not head.updates:
        trial.expect_refused(lambda: head.update(new, context=context()), "an update without updates=True")
        return
    before = head.score(new[0][0], SIZE).image.mean()
    trial.expect(head.update(new, context=context()) is head, "update must return self")
    after = head.score(new[0][0], SIZE).image.mean()
    trial.expect(
        bool(after < before), f"maps taken in score no lower than before ({after:.3g}, before {before:.3g})"
    )


def check_head_is_kept(trial: Bench) -> None:
    """Saved, loaded and refitted, a head scores as before; unfitted it says so."""
    expect_unfitted_refused(trial, "score", lambda: trial.make().score(good_maps(2), SIZE))
    head: Head = trial.make()
    trial.expect(taught(head, good()) is head, "fit must return self")
    expected = _said(head)
    _expect_equal(trial, expected, _said(reloaded(head)), "saved and loaded, it scores otherwise")
    again = taught(taught(head, good(6)), good())
    _expect_equal(trial, expected, _said(again), "a second fit remembers the first")


def _said(head: Head) -> ScoreMap:
    return head.score(spoilt(good_maps(4, 9)), SIZE)


def _expect_equal(trial: Bench, one: ScoreMap, other: ScoreMap, sentence: str) -> None:
    for name, first, second in (("map", one.pixels, other.pixels), ("image score", one.image, other.image)):
        trial.expect(not differ(first, second), f"{sentence}: {name}")


CHECKS: tuple[Callable[[Bench], None], ...] = (
    *PART_CHECKS,
    check_head_keeps_shapes,
    check_head_points_at_the_odd,
    check_head_scores_each_image_alone,
    check_head_leaves_all_else_alone,
    check_head_same_seed_same_scores,
    check_head_keeps_to_valid_positions,
    check_head_refuses_in_words,
    check_head_asks_for_anomalies_as_declared,
    check_head_updates_as_declared,
    check_head_is_kept,
)

"""Checks of fusion blocks, tried on made-up feature maps of three members on different grids."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from leatherens.core.fusion import FusionBlock, GoodFeatures, MemberFeatures
from leatherens.core.score_channels import with_score_map
from leatherens.core.types import FeatureMaps, ScoreMap
from leatherens.testing.bench import Bench
from leatherens.testing.declaration_checks import PART_CHECKS
from leatherens.testing.fused import GRID, SIZE, differ, expect_globals_untouched, good_maps, left_half
from leatherens.testing.reloading import expect_unfitted_refused, reloaded

LAYERS = {"first": ((5, GRID),), "second": ((4, (16, 24)), (6, GRID)), "third": ((7, (4, 6)),)}
"""Channels and grids of each member's maps."""


def features(count: int = 6, seed: int = 0, *, members: Sequence[str] = tuple(LAYERS)) -> MemberFeatures:
    """Feature and score maps of some members, of `count` images."""
    return {member: _of_member(member, count, seed) for member in members}


def _of_member(member: str, count: int, seed: int) -> FeatureMaps:
    own = seed + 10 * list(LAYERS).index(member)
    maps = tuple(good_maps(count, own, channels=channels, grid=grid) for channels, grid in LAYERS[member])
    names = tuple(f"{member}/level{i}" for i in range(len(maps)))
    pixels = good_maps(count, own, channels=2, grid=SIZE)[:, 1].abs()
    plain = FeatureMaps(maps, names, tuple(f"{i}.png" for i in range(count)))
    return with_score_map(plain, member, ScoreMap(pixels, pixels.flatten(1).amax(dim=1)))


def lessons(seed: int = 0, valid: Tensor | None = None) -> list[GoodFeatures]:
    """Two batches of good features."""
    return [(features(6, seed + i), valid) for i in (1, 2)]


def fitted(trial: Bench, taught: Sequence[GoodFeatures] | None = None) -> FusionBlock:
    """A block of the maker's that has learned."""
    block: FusionBlock = trial.make()
    return block.fit(lessons() if taught is None else taught)


def check_block_keeps_shapes(trial: Bench) -> None:
    """Fused maps are (B, N, h, w) float32 and finite, with N, h and w that no batch changes."""
    block = fitted(trial)
    for count in (1, 5):
        fused = block.transform(features(count))
        shape = tuple(fused.shape)
        trial.expect(len(shape) == 4 and shape[0] == count, f"{count} images are fused to shape {shape}")
        trial.expect(fused.dtype == torch.float32, f"the fused maps are {fused.dtype}, expected float32")
        trial.expect(bool(fused.isfinite().all()), "the fused maps hold NaN or infinite values")
        trial.expect(
            shape[1:] == block.transform(features(2, 3)).shape[1:],
            "channels and grid of the fused maps depend on the batch",
        )
    trial.expect(shape[2:] <= SIZE, f"the fused grid {shape[2:]} is finer than the images {SIZE}")


def check_block_ignores_order(trial: Bench) -> None:
    """It does not matter in which order the members come, in fit and in transform."""
    turned: list[GoodFeatures] = [
        ({member: taught[member] for member in reversed(LAYERS)}, valid) for taught, valid in lessons()
    ]
    given = features()
    again = fitted(trial, turned).transform({m: given[m] for m in reversed(LAYERS)})
    trial.expect(not differ(fitted(trial).transform(given), again), "fused maps depend on the members' order")


def check_block_takes_one_member(trial: Bench) -> None:
    """One member alone is fused: a feature path of one is allowed."""
    alone = ("second",)
    fused = fitted(trial, [(features(6, 1, members=alone), None)]).transform(features(3, members=alone))
    trial.expect(fused.ndim == 4 and len(fused) == 3, f"one member alone gives shape {tuple(fused.shape)}")


def check_block_fuses_each_image_alone(trial: Bench) -> None:
    """An image's fused maps do not depend on the other images of the batch."""
    block, given = fitted(trial), features()
    first = {m: FeatureMaps(tuple(t[:1] for t in f.maps), f.names) for m, f in given.items()}
    apart = differ(block.transform(given)[:1], block.transform(first))
    trial.expect(not apart, "fused one by one and together, the maps disagree")


def check_block_leaves_its_input_alone(trial: Bench) -> None:
    """Neither fit nor transform writes into the maps, which other parts read, nor moves anything global."""
    taught, given = lessons(), features()
    maps = [t for batch in (*(f for f, _ in taught), given) for f in batch.values() for t in f.maps]
    kept = [t.clone() for t in maps]
    block: FusionBlock = trial.make()
    expect_globals_untouched(trial, lambda: block.fit(taught).transform(given))
    same = all(torch.equal(a, b) for a, b in zip(maps, kept, strict=True))
    trial.expect(same, "feature maps are changed in place; work on a copy")


def check_block_learns_from_valid_positions(trial: Bench) -> None:
    """What lies under `valid=False` teaches nothing, whatever it is."""
    valid = left_half(6)
    wild: list[GoodFeatures] = [
        ({member: _raised_right(maps) for member, maps in taught.items()}, valid) for taught, _ in lessons()
    ]
    found = fitted(trial, lessons(valid=valid)).transform(features())
    again = fitted(trial, wild).transform(features())
    trial.expect(not differ(found, again), "features of invalid positions change what is learned")


def _raised_right(maps: FeatureMaps) -> FeatureMaps:
    """The same maps, wild in the right half less two columns, which resizing may mix into the left."""
    changed = []
    for one in maps.maps:
        wild = one.clone()
        wild[..., wild.shape[-1] // 2 + 2 :] *= -50
        changed.append(wild)
    return FeatureMaps(tuple(changed), maps.names, maps.ids)


def check_block_refuses_in_words(trial: Bench) -> None:
    """No features, features of other members than learned from, and NaN are refused in words."""
    block, given = fitted(trial), features()
    fewer = {m: f for m, f in given.items() if m != "third"}
    trial.expect_refused(lambda: trial.make().fit([]), "learning from nothing")
    trial.expect_refused(lambda: block.transform(fewer), "a missing member", words=("third",))
    given["first"].maps[0][1, 0, 0, 0] = torch.nan
    trial.expect_refused(lambda: block.transform(given), "NaN in a feature map", words=("first", "1.png"))


def check_block_is_kept(trial: Bench) -> None:
    """Saved, loaded and refitted, a block fuses as before; unfitted it says so; fusing changes nothing."""
    expect_unfitted_refused(trial, "transform", lambda: trial.make().transform(features()))
    block: FusionBlock = trial.make()
    trial.expect(block.fit(lessons()) is block, "fit must return self")
    say: Callable[[FusionBlock], Tensor] = lambda fitted: fitted.transform(features())  # noqa: E731
    expected = say(block)
    trial.expect(not differ(expected, say(block)), "fused again, the same maps give others")
    trial.expect(not differ(expected, say(reloaded(block))), "saved and loaded, it fuses otherwise")
    again = say(block.fit(lessons(seed=7)).fit(lessons()))
    trial.expect(not differ(expected, again), "a second fit remembers the first")


CHECKS = (
    *PART_CHECKS,
    check_block_keeps_shapes,
    check_block_ignores_order,
    check_block_takes_one_member,
    check_block_fuses_each_image_alone,
    check_block_leaves_its_input_alone,
    check_block_learns_from_valid_positions,
    check_block_refuses_in_words,
    check_block_is_kept,
)

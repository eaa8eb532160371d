"""Checks of score fusions, tried on made-up scores: heavy-tailed, as detectors' are, and never on images."""

from __future__ import annotations

import torch
from torch import Tensor

from leatherens.core.examples import Examples, Votes, table
from leatherens.core.randomness import numpy_generator, torch_generator
from leatherens.core.scorefusion import Lessons
from leatherens.core.types import ScoreMap
from leatherens.testing.bench import Bench
from leatherens.testing.declaration_checks import PART_CHECKS
from leatherens.testing.reloading import expect_unfitted_refused, reloaded


def voters(count: int = 3, images: int = 5, seed: int = 0) -> dict[str, ScoreMap]:
    """Scores of made-up members on the common scale, by name."""
    generator = torch_generator(seed, "voters")
    maps = [torch.randn(images, 6, 8, generator=generator).exp() for _ in range(count)]
    return {f"member-{i}": ScoreMap(pixels, pixels.flatten(1).amax(dim=1)) for i, pixels in enumerate(maps)}


def lessons_of(good: Votes, spoilt: Votes) -> Examples:
    """What a fusion may learn from these scores, every pixel of both."""
    names, generator = tuple(sorted(good)), numpy_generator(0, "lessons")
    parts = [
        table(names, [(votes, None)], pixels_per_image=48, generator=generator) for votes in (good, spoilt)
    ]
    return Examples(names, *parts)


def lessons(count: int = 3, seed: int = 0) -> Examples:
    """Made-up lessons: anomalies stand out to the first member most, to the last one least."""
    good = voters(count, images=24, seed=seed + 1)
    return lessons_of(good, _raised(voters(count, images=16, seed=seed + 2)))


def _raised(votes: Votes) -> dict[str, ScoreMap]:
    steps = torch.linspace(2, 0.5, len(votes)).tolist()
    return {
        name: ScoreMap(v.pixels + step, v.image + step)
        for (name, v), step in zip(sorted(votes.items()), steps, strict=True)
    }


def check_fusion_keeps_shapes(trial: Bench) -> None:
    """Fused scores are float32 and finite, with the voters' shapes."""
    fused, like = trial.make().fit(lessons()).fuse(voters()), voters()["member-0"]
    for name, value, expected in (
        ("map", fused.pixels, like.pixels),
        ("image score", fused.image, like.image),
    ):
        trial.expect(value.shape == expected.shape, f"the fused {name} has shape {tuple(value.shape)}")
        trial.expect(value.dtype == torch.float32, f"the fused {name} is {value.dtype}, expected float32")
        trial.expect(bool(value.isfinite().all()), f"the fused {name} holds NaN or infinite values")


def check_fusion_ignores_order(trial: Bench) -> None:
    """It does not matter in which order the voters come, nor who is called what, in fit and in fuse."""
    given, taught = voters(), lessons()
    renamed = dict(zip(given, reversed(given.values()), strict=True))
    turned = list(reversed(range(len(given))))
    retaught = Examples(taught.voters, taught.good.columns(turned), taught.spoilt.columns(turned))
    _expect_equal(
        trial,
        trial.make().fit(taught).fuse(given),
        trial.make().fit(retaught).fuse(renamed),
        "fusing depends on the voters' order",
    )


def check_fusion_of_one_is_identity(trial: Bench) -> None:
    """One voter alone is returned as it is: an ensemble of one is its member."""
    alone = voters(1)
    fused = trial.make().fit(lessons(1)).fuse(alone)
    _expect_equal(trial, alone["member-0"], fused, "one voter alone is changed")


def check_fusion_keeps_ranking_beside_a_constant(trial: Bench) -> None:
    """A voter that says the same everywhere, in lessons too, turns no ranking round."""
    (one,) = voters(1).values()
    (good,), (spoilt,) = voters(1, 24, 1).values(), _raised(voters(1, 16, 2)).values()
    for level in (0.0, 1.0):
        taught = lessons_of(
            {"one": good} | _constant(good, level), {"one": spoilt} | _constant(spoilt, level)
        )
        fused = trial.make().fit(taught).fuse({"one": one} | _constant(one, level))
        for before, after in ((one.pixels, fused.pixels), (one.image, fused.image)):
            trial.expect(
                _never_falls(before, after), f"beside a voter that always says {level:g}, rankings turn round"
            )


def _constant(like: ScoreMap, level: float) -> dict[str, ScoreMap]:
    return {"constant": ScoreMap(torch.full_like(like.pixels, level), torch.full_like(like.image, level))}


def check_fusion_rises_with_every_voter(trial: Bench) -> None:
    """No voter's suspicion makes the fused score lower, not even one that lessons showed to be wrong."""
    good, spoilt = voters(3, 24, 1), _raised(voters(3, 16, 2))
    misled = spoilt | {"member-1": ScoreMap(spoilt["member-1"].pixels - 4, spoilt["member-1"].image - 4)}
    fitted, given = trial.make().fit(lessons_of(good, misled)), voters()
    before = fitted.fuse(given)
    for name, votes in given.items():
        after = fitted.fuse(given | {name: ScoreMap(votes.pixels + 1, votes.image + 1)})
        for one, other in ((before.pixels, after.pixels), (before.image, after.image)):
            trial.expect(bool((other - one >= -1e-5).all()), f"with higher scores of {name}, it says less")


def check_fusion_scores_each_image_alone(trial: Bench) -> None:
    """An image's fused scores do not depend on the other images of the batch."""
    fitted = trial.make().fit(lessons())
    together = fitted.fuse(voters())
    first = {name: ScoreMap(v.pixels[:1], v.image[:1]) for name, v in voters().items()}
    one = ScoreMap(together.pixels[:1], together.image[:1])
    _expect_equal(trial, one, fitted.fuse(first), "fused one by one and together, scores disagree")


def check_fusion_is_kept(trial: Bench) -> None:
    """What was learned is saved, loaded and refitted as it was; without it, nothing is fused."""
    member = trial.make()
    trial.expect(member.fit(lessons()) is member, "fit must return self")
    expected = member.fuse(voters())
    if member.lessons is not Lessons.nothing:
        expect_unfitted_refused(trial, "fuse", lambda: trial.make().fuse(voters()))
        again = reloaded(member)
        _expect_equal(trial, expected, again.fuse(voters()), "saved and loaded, it fuses otherwise")
    refitted = member.fit(lessons(seed=5)).fit(lessons())
    _expect_equal(trial, expected, refitted.fuse(voters()), "a second fit remembers the first")


def _expect_equal(trial: Bench, first: ScoreMap, second: ScoreMap, sentence: str) -> None:
    for name, one, other in (
        ("map", first.pixels, second.pixels),
        ("image score", first.image, second.image),
    ):
        close = one.shape == other.shape and torch.allclose(one, other, rtol=1e-5, atol=1e-6)
        trial.expect(close, f"{sentence}: {name}")


def _never_falls(before: Tensor, after: Tensor) -> bool:
    """Whether `after` never falls where `before` rises."""
    ordered = after.flatten()[before.flatten().argsort()]
    return bool((ordered.diff() >= -1e-6).all())


CHECKS = (
    *PART_CHECKS,
    check_fusion_keeps_shapes,
    check_fusion_ignores_order,
    check_fusion_of_one_is_identity,
    check_fusion_keeps_ranking_beside_a_constant,
    check_fusion_rises_with_every_voter,
    check_fusion_scores_each_image_alone,
    check_fusion_is_kept,
)

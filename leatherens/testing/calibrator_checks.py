"""Checks of calibrators: in order, within their promise on fresh good images, and kept."""

from __future__ import annotations

import torch
from torch import Tensor

from leatherens.core.randomness import torch_generator
from leatherens.testing.bench import Bench
from leatherens.testing.declaration_checks import PART_CHECKS
from leatherens.testing.reloading import ERRORS_ALLOWED, expect_kept


def good_scores(count: int, *path: int) -> Tensor:
    """(count,) scores of made-up good images."""
    return torch.randn(count, generator=torch_generator(0, "good", *path)).exp()


def check_calibrator_is_monotone(trial: Bench) -> None:
    """A higher raw score never has a lower calibrated one; all lie in 0..1; the number of normals is told."""
    calibrated = trial.make().fit(good_scores(99)).calibrate(torch.linspace(-1, 50, 400))
    image = calibrated.image
    trial.expect(bool((image.diff() >= 0).all()), "a higher raw score has a lower calibrated one")
    trial.expect(bool(((image >= 0) & (image <= 1)).all()), "calibrated scores leave 0..1")
    trial.expect(calibrated.normals == 99, f"normals is {calibrated.normals}, expected 99")


def check_calibrator_keeps_its_promise(trial: Bench) -> None:
    """On fresh good images, 1 - score is at most a in a share a of cases, within binomial error."""
    runs, member = 2000, trial.make()
    drawn = good_scores(50 * runs).view(runs, 50)
    p = torch.cat([1 - member.fit(row[:49]).calibrate(row[49:]).image for row in drawn])
    for rate in (0.1, 0.3, 0.5):
        share = float((p <= rate + 1e-6).double().mean())
        error = ERRORS_ALLOWED * (rate * (1 - rate) / runs) ** 0.5
        trial.expect(
            abs(share - rate) <= error,
            f"a share {share:.3f} of fresh good images has 1 - score <= {rate:g} (error {error:.3f})",
        )


def check_calibrator_is_kept(trial: Bench) -> None:
    """Saved, loaded and refitted, a calibrator says the same; unfitted it says nothing."""
    fresh, other = good_scores(20, 1), good_scores(60, 2) + 100
    expect_kept(trial, good_scores(99), other, lambda member: member.calibrate(fresh).image.tolist())


CHECKS = (
    *PART_CHECKS,
    check_calibrator_is_monotone,
    check_calibrator_keeps_its_promise,
    check_calibrator_is_kept,
)

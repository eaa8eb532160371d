"""What parts of each kind deliver is checked by their base class, and refused with their name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from leatherens import (
    CalibratedScores,
    Calibrator,
    FeatureMaps,
    FusionBlock,
    InputError,
    Normals,
    Preparation,
    Prepared,
    Threshold,
)


class Wrong(Calibrator):
    id = "wrong"
    answer: Callable[[Tensor], Tensor]

    def _fit(self, normals: Tensor) -> None:
        self.count_ = len(normals)

    def _calibrate(self, scores: Tensor) -> CalibratedScores:
        return CalibratedScores(self.answer(scores), self.count_)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda s: s[:1], "wrong: delivered calibrated scores of shape (1,), expected (2,)"),
        (lambda s: s * float("nan"), "wrong: delivered calibrated scores of NaN or infinite values"),
    ],
)
def test_calibrator__that_delivers_other_than_scores(
    answer: Callable[[Tensor], Tensor], sentence: str
) -> None:
    calibrator = Wrong().fit(torch.arange(5.0))
    calibrator.answer = answer

    with pytest.raises(InputError) as caught:
        calibrator.calibrate(torch.ones(2))

    assert str(caught.value) == sentence


def test_threshold__that_is_no_number() -> None:
    class Nowhere(Threshold):
        id = "nowhere"

        def _value(self, scores: Any) -> float:
            return float("nan")

    with pytest.raises(InputError, match=r"^nowhere: the image threshold it learned is not a number$"):
        Nowhere().fit(Normals(np.ones(2), [np.ones((2, 2))] * 2))


@pytest.mark.parametrize("pixels", [np.zeros((4, 5, 3), np.float32), np.zeros((4, 5), np.uint8)])
def test_preparation__that_delivers_other_than_a_photograph(pixels: Any) -> None:
    class Odd(Preparation):
        id = "odd"

        def _apply(self, picture: Prepared) -> Prepared:
            return Prepared(picture.name, pixels)

    with pytest.raises(InputError) as caught:
        Odd().apply(Prepared("a", np.zeros((4, 5, 3), np.uint8)))

    found = f"{pixels.dtype} {pixels.shape}"
    assert str(caught.value) == f"odd: delivered pixels {found}, expected uint8 (H, W, 3)"


def test_block__that_delivers_another_number_of_images() -> None:
    class Less(FusionBlock):
        id = "less"

        def _fit(self, batches: Any) -> None:
            self.count_ = len(list(batches))

        def _transform(self, members: Any) -> Tensor:
            first: Tensor = members["a"].maps[0][:1]
            return first

    features = {"a": FeatureMaps((torch.rand(2, 3, 4, 5),), ("a/x",))}

    with pytest.raises(
        InputError,
        match=r"^less: fused maps must be \(2, N, h, w\) float32, got torch.float32 \(1, 3, 4, 5\)$",
    ):
        Less().fit([(features, None)]).transform(features)

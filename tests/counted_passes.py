"""How many images pass through the pyramids that pools build."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from leatherens.core import backbones
from leatherens.core.pyramid_models import untrained_pyramid


class Counted:
    """Counts the images that pass through every pyramid a pool builds; students are not counted."""

    def __init__(self) -> None:
        self.images: list[str] = []

    def build(self, model: str, layers: tuple[int, ...], *, stages: bool) -> Any:
        """In place of the pool's own way to make one."""
        pyramid = untrained_pyramid(model, layers, stages=stages)
        pyramid.register_forward_pre_hook(lambda _, inputs: self.images.extend([model] * len(inputs[0])))
        return pyramid

    def by_model(self) -> dict[str, int]:
        """Images by model."""
        return dict(Counter(self.images))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Counts from here on."""
    counter = Counted()
    monkeypatch.setattr(backbones, "untrained_pyramid", counter.build)
    return counter

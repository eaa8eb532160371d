"""What a user meets: the ids, the models, masks, one photograph of one colour."""

from __future__ import annotations

import subprocess
import sys

import leatherens_classic
import numpy as np
import pytest
import torch
from leatherens_classic.glcm import GLCM
from leatherens_classic.histogram import Histogram
from leatherens_classic.one_class import fitted_scores

from leatherens import FitContext, ImageBatch, PluginHost
from leatherens.core.errors import ConfigError
from leatherens.core.types import ImagesInMemory
from leatherens.testing.stand_ins import random_pool


def test_registration__is_complete_and_loads():
    registered = {}
    leatherens_classic.register_detectors(lambda id, target, summary: registered.update({id: target}))

    assert sorted(registered) == ["gabor", "glcm", "histogram", "lbp", "wavelet"]
    detectors = PluginHost(strict=True).detectors()
    if "glcm" in detectors.ids():  # installed, not merely on the path
        assert [detectors.load(id).id for id in registered] == list(registered)


def test_registration__imports_nothing_heavy():
    heavy = "('torch', 'skimage', 'sklearn', 'pywt')"
    code = f"import sys, leatherens_classic; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "model", ["mahalanobis", "one-class-svm", "isolation-forest", "local-outlier-factor"]
)
def test_models__say_more_of_what_is_further_away_and_say_it_again(model):
    rows = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    asked = np.float32([[0] * 4, [3] * 4, [8] * 4])
    first, again = (fitted_scores(model, rows, seed=3)(asked) for _ in range(2))

    assert first[0] < first[1]
    assert first[0] < first[2]
    assert first.tolist() == again.tolist()


def test_unknown_model__is_refused_with_those_there_are():
    with pytest.raises(
        ConfigError, match=r"glcm: option 'model': input should be 'mahalanobis', .* got 'knn'"
    ):
        GLCM.from_options({"model": "knn"})


def test_glcm__levels_are_equally_probable_on_good_images():
    pixels = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.2
    fitted = _fitted(GLCM(), pixels)
    grey = (pixels.permute(0, 2, 3, 1).numpy() @ np.float32([0.299, 0.587, 0.114])).ravel()
    shares = np.histogram(grey, [-1, *fitted.edges_.tolist(), 2])[0] / grey.size

    assert shares == pytest.approx(np.full(8, 1 / 8), abs=0.01)


def test_photographs_of_one_plain_colour__are_learned_from_without_a_warning():
    fitted = _fitted(GLCM(), torch.full((2, 3, 40, 48), 0.5))
    spoilt = torch.full((1, 3, 40, 48), 0.5)
    spoilt[:, :, 10:20, 30:40] = torch.rand(1, 3, 10, 10, generator=torch.Generator().manual_seed(1))
    seen = fitted.observe(
        ImageBatch(spoilt, ("spoilt",)), random_pool().pyramids(ImageBatch(spoilt, ("x",)), ())
    )

    assert seen.scores.pixels[0, 15, 35] > seen.scores.pixels[0, 35, 5]


def test_stain__is_seen_by_its_colour():
    generator = torch.Generator().manual_seed(2)
    good = 0.5 + 0.05 * torch.randn(4, 1, 96, 96, generator=generator).expand(-1, 3, -1, -1)
    stained = good[:1].clone()
    stained[0, 0, 24:40, 40:56] += 0.05  # redder and, so that grey stays, less green
    stained[0, 1, 24:40, 40:56] -= 0.05 * 0.299 / 0.587
    fitted, batch = _fitted(Histogram(), good.clamp(0, 1)), ImageBatch(stained.clamp(0, 1), ("stained",))
    seen = fitted.observe(batch, random_pool().pyramids(batch, ())).scores

    assert divmod(int(seen.pixels[0].argmax()), 96) == (pytest.approx(32, abs=8), pytest.approx(48, abs=8))


def _fitted(detector, pixels):
    images = ImagesInMemory(ImageBatch(pixels.contiguous(), tuple(str(i) for i in range(len(pixels)))))
    return detector.fit(images, validation=images, context=FitContext(random_pool()))

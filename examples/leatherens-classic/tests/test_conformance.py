"""Every detector of the package, and every one-class model behind one of them, passes leatherens' kit."""

from __future__ import annotations

from functools import partial

import pytest
from leatherens_classic.gabor import Gabor
from leatherens_classic.glcm import GLCM
from leatherens_classic.histogram import Histogram
from leatherens_classic.lbp import LBP
from leatherens_classic.wavelet import Wavelet

from leatherens.testing import check_member, parametrize_members

OTHERS = ("one-class-svm", "isolation-forest", "local-outlier-factor")


@parametrize_members(Gabor, GLCM, Histogram, LBP, Wavelet)
def test_conforms(check):
    check()


@pytest.mark.parametrize("model", OTHERS)
def test_conforms_with(model):
    results = check_member(partial(LBP.from_options, {"model": model, "max_rows": 300}))

    assert [result for result in results if not result.passed] == []

"""What is on its way out says so, where users see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from leatherens.core.deprecations import Deprecated, Deprecation

OLD_NAME = Deprecation("Ensemble.raw_scores", use="Ensemble.explain", since="0.4", gone="0.6")
"""Invented: nothing is deprecated."""


def raw_scores() -> int:
    OLD_NAME.warn()
    return 3


def test_deprecated__thing_still_works_and_names_its_replacement_and_its_end() -> None:
    with pytest.warns(Deprecated) as told:
        assert raw_scores() == 3

    (warning,) = told
    assert str(warning.message) == (
        "Ensemble.raw_scores is deprecated since leatherens 0.4 and gone in 0.6; use Ensemble.explain"
    )
    assert Path(warning.filename) == Path(__file__)  # whoever calls it, not the function itself


def test_warning__is_of_those_that_users_see() -> None:
    assert issubclass(Deprecated, FutureWarning)
    assert not issubclass(Deprecated, DeprecationWarning)

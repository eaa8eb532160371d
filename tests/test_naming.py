"""Names in one folder that no file system and no mask takes for the same."""

from __future__ import annotations

import pytest

from leatherens.core.errors import InputError
from leatherens.core.naming import flat_names


def test_own_names__where_they_differ():
    assert flat_names(["a/1.png", "2.png"]) == ["1.png", "2.png"]
    assert flat_names([]) == []


@pytest.mark.parametrize("other", ["b/1.png", "b/1.jpg"])
def test_with_their_folders__where_two_are_the_same(other):
    assert flat_names(["a/1.png", other, "a/2.png"]) == ["a_1.png", other.replace("/", "_"), "a_2.png"]


def test_case_alone__is_no_difference():
    assert flat_names(["a/X.png", "b/x.png"]) == ["a_X.png", "b_x.png"]


@pytest.mark.parametrize("paths", [["1.png", "1.jpg"], ["a/b_1.png", "a_b/1.png", "1.png"]])
def test_that_cannot_be_told_apart(paths):
    with pytest.raises(
        InputError, match=r"^(.*) and (.*) would get the same name in one folder; rename one$"
    ):
        flat_names(paths)

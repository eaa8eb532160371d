"""What happens to a photograph before the working size, and the way back for score maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pictures import grain

from leatherens.core.errors import InputError, NotFittedError
from leatherens.core.preparation import (
    Frame,
    Pictures,
    Preparation,
    Prepared,
    at_working_size,
    prepare,
    stacked,
)
from leatherens.core.progress import Progress


class Darker(Preparation):
    """Halves the light."""

    id = "darker"

    def _apply(self, picture: Prepared) -> Prepared:
        return replace(picture, pixels=picture.pixels // 2)


class LessTheFirst(Preparation):
    """Takes the first photograph's mean off."""

    id = "less-the-first"
    learns = True
    mean_: float

    def _fit(self, good: Pictures, seed: int, progress: Progress) -> None:
        self.mean_ = float(good[0].pixels.mean())

    def _apply(self, picture: Prepared) -> Prepared:
        return replace(picture, pixels=np.maximum(picture.pixels, self.mean_).astype(np.uint8))


def picture(height: int = 24, width: int = 32) -> Prepared:
    return Prepared("a.png", grain(height, width))


def region(*box: slice, size: tuple[int, int] = (24, 32)) -> np.ndarray:
    mask = np.zeros(size, dtype=np.bool_)
    mask[box] = True
    return mask


class TestSteps:
    def test_one_after_the_other(self):
        photograph = grain()
        found = prepare("a.png", photograph, (Darker(), Darker()))
        assert np.array_equal(found.pixels, photograph // 2 // 2)
        assert (found.name, found.size, found.warp) == ("a.png", (24, 32), None)

    def test_one_that_learns_nothing__fits_to_itself(self):
        step = Darker()
        assert step.fit([picture()]) is step
        assert not step.fitted

    def test_unfitted(self):
        with pytest.raises(NotFittedError, match=r"^less-the-first: apply was called before fit"):
            LessTheFirst().apply(picture())

    def test_fit_without_photographs(self):
        with pytest.raises(InputError, match=r"^less-the-first: needs at least one good photograph$"):
            LessTheFirst().fit([])

    def test_regions_of_another_size__are_the_steps_fault(self):
        class Careless(Darker):
            def _apply(self, picture: Prepared) -> Prepared:
                return replace(picture, pixels=picture.pixels[:-1]).ignoring(region(slice(3)))

        with pytest.raises(
            InputError, match=r"^darker: delivered a picture of \(23, 32\) and a region ignored"
        ):
            Careless().apply(picture())

    def test_regions_add_up(self):
        found = picture().ignoring(region(slice(2))).ignoring(region(slice(4, 6)))
        assert np.array_equal(found.ignored, region(slice(2)) | region(slice(4, 6)))


class TestWorkingSize:
    def test_without_regions__everything_counts(self):
        found = at_working_size(picture(), (24, 32), (12, 16))
        assert (found.valid, found.hidden) == (None, None)
        assert found.pixels.shape == (12, 16, 3)
        assert found.nbytes == 12 * 16 * 3

    def test_a_working_pixel_counts_only_if_all_that_is_averaged_in_it_does(self):
        found = at_working_size(picture().ignoring(region(slice(0, 3), slice(0, 2))), (24, 32), (12, 16))
        expected = np.ones((12, 16), dtype=np.bool_)
        expected[:2, :1] = False  # the third row is half of the second working row
        assert np.array_equal(found.valid, expected)
        assert not found.hidden.any()

    def test_what_is_hidden_does_not_count_either(self):
        shown = picture().ignoring(region(slice(0, 2))).hiding(region(slice(0, 24), slice(0, 4)))
        found = at_working_size(shown, (24, 32), (12, 16))
        assert np.array_equal(found.hidden[5], [True] * 2 + [False] * 14)
        assert not found.valid[0].any()
        assert np.array_equal(found.valid[5], ~found.hidden[5])

    def test_enlarged__an_edge_is_drawn_in(self):
        found = at_working_size(picture().hiding(region(slice(0, 12))), (24, 32), (48, 64))
        assert found.hidden[:24].all()
        assert not found.hidden[26:].any()

    def test_nothing_left(self):
        with pytest.raises(
            InputError, match=r"^a\.png: nothing is left to inspect; make the region to ignore"
        ):
            at_working_size(picture().ignoring(region(slice(24))), (24, 32), (12, 16))

    def test_stacked__fills_what_is_not_given(self):
        found = stacked([None, region(slice(2))], elsewhere=True)
        assert found[0].all()
        assert int(found[1].sum()) == 64
        assert stacked([None, None], elsewhere=True) is None


class TestFrame:
    def test_without_a_warp__is_a_resize(self):
        frame = Frame((24, 32), (24, 32))
        assert np.allclose(frame.back(torch.full((6, 8), 3.0)), 3)
        assert frame.back(torch.rand(6, 8)).shape == (24, 32)

    def test_valid__is_the_nearest_working_pixel(self):
        valid = torch.ones(6, 8, dtype=torch.bool)
        valid[0, 0] = False
        found = Frame((24, 32), (24, 32)).back_valid(valid)
        assert np.array_equal(~found, region(slice(0, 4), slice(0, 4)))

    def test_a_shift_comes_back(self):
        warp = np.array([[1.0, 0, 4], [0, 1, -2], [0, 0, 1]])  # 4 to the right, 2 up
        scores = torch.zeros(24, 32)
        scores[6, 14] = 5.0
        frame = Frame((24, 32), (24, 32), warp)
        back = frame.back(scores)
        assert np.unravel_index(back.argmax(), back.shape) == (8, 10)
        assert back.max() == 5

    def test_what_was_not_shown__has_the_lowest_score_and_does_not_count(self):
        warp = np.array([[1.0, 0, 4], [0, 1, 0], [0, 0, 1]])
        frame = Frame((24, 32), (24, 32), warp)
        assert np.allclose(frame.back(torch.full((24, 32), -7.0)), -7)
        valid = frame.back_valid(torch.ones(24, 32, dtype=torch.bool))
        assert np.array_equal(~valid, region(slice(24), slice(28, 32)))

    def test_another_size_of_the_reference(self):
        warp = np.diag([0.5, 0.5, 1.0])  # the prepared picture is half as large
        scores = torch.zeros(12, 16)
        scores[3, 7] = 1.0
        back = Frame((24, 32), (12, 16), warp).back(scores)
        assert back[6, 14] == 1
        assert back.shape == (24, 32)

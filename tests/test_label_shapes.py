"""Which pixels a shape marks, against hand counts and definitions written out pixel by pixel."""

from __future__ import annotations

import itertools
from math import cos, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leatherens.core.labels.shapes import (
    Box,
    Circle,
    Ellipse,
    Line,
    Pixels,
    Point,
    Polygon,
    Rectangle,
    Several,
)

SIZE = 12, 14
coordinate = st.integers(-24, 40).map(lambda halves: halves / 4)
corner = st.tuples(coordinate, coordinate)


def pixels(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


def even_odd(points, size) -> np.ndarray:
    """Each pixel's middle on its own: edges crossed on the way to the left, upper ends counted."""
    mask = np.zeros(size, dtype=bool)
    ends = list(zip(points, [*points[1:], points[0]], strict=True))
    for row, column in np.ndindex(size):
        x, y = column + 0.5, row + 0.5
        crossed = 0
        for one, other in ends:
            (x0, y0), (x1, y1) = sorted([one, other], key=lambda end: end[1])
            if y0 <= y < y1:
                crossed += x0 + (y - y0) * ((x1 - x0) / (y1 - y0)) <= x
        mask[row, column] = crossed % 2
    return mask


class TestPolygon:
    def test_triangle__of_the_table_of_facts(self):
        expected = pixels("###..", "##...", "#....", ".....", ".....")

        assert np.array_equal(Polygon([(0, 0), (4, 0), (0, 4)]).mask((5, 5)), expected)

    def test_crossing_itself__even_odd(self):
        twice_round = [(0, 0), (6, 0), (6, 6), (0, 6), (0, 0), (2, 2), (4, 2), (4, 4), (2, 4), (2, 2)]

        mask = Polygon(twice_round).mask((6, 6))

        assert mask.sum() == 36 - 4
        assert not mask[2:4, 2:4].any()

    def test_either_way_round__the_same(self):
        points = [(1.3, 0.2), (9.7, 3.1), (6, 11), (2, 7.5)]

        assert np.array_equal(Polygon(points).mask(SIZE), Polygon(points[::-1]).mask(SIZE))

    @settings(deadline=None)
    @given(st.lists(corner, min_size=3, max_size=7))
    def test_agrees_with_the_definition(self, points):
        assert np.array_equal(Polygon(points).mask(SIZE), even_odd(points, SIZE))

    @settings(deadline=None)
    @given(st.lists(corner, min_size=4, max_size=4))
    def test_two_halves__share_no_pixel_and_leave_none_out(self, points):
        """A quadrilateral cut along its diagonal: even-odd, halves over each other cancel in the whole."""
        a, b, c, d = points

        halves = Polygon([a, b, c]).mask(SIZE) ^ Polygon([a, c, d]).mask(SIZE)

        assert np.array_equal(halves, Polygon(points).mask(SIZE))

    @pytest.mark.parametrize("points", [[(0, 0), (5, 5), (9, 9)], [(3, 3)] * 3], ids=["flat", "a point"])
    def test_without_area__marks_nothing(self, points):
        assert not Polygon(points).mask(SIZE).any()

    def test_far_outside__is_not_drawn_there(self):
        mask = Polygon([(-1e9, -1e9), (1e9, -1e9), (1e9, 5), (-1e9, 5)]).mask(SIZE)

        assert mask[:5].all()
        assert not mask[5:].any()


class TestRectangle:
    def test_of_the_table_of_facts(self):
        mask = Rectangle.at(2, 3, width=4, height=5).mask((10, 10))

        assert mask.sum() == 20
        assert mask[3:8, 2:6].all()

    def test_fraction__a_pixel_whose_middle_is_inside(self):
        mask = Rectangle.at(1.5, 0.6, width=2, height=1.9).mask((4, 5))

        assert np.array_equal(mask, pixels(".....", ".##..", ".....", "....."))


class TestRound:
    def test_circle__of_the_table_of_facts(self):
        mask = Circle.at(5, 5, radius=2).mask((10, 10))

        assert mask.sum() == 13
        assert np.array_equal(mask[3:8, 3:8], pixels("..#..", ".###.", "#####", ".###.", "..#.."))

    @pytest.mark.parametrize("radius", [0, 1, 2, 2.5, 5, 13])
    def test_circle__agrees_with_the_definition(self, radius):
        rows, columns = np.indices((40, 30))

        mask = Circle.at(11, 17, radius=radius).mask((40, 30))

        assert np.array_equal(mask, (columns - 11) ** 2 + (rows - 17) ** 2 <= radius**2)

    @pytest.mark.parametrize("theta", [0.0, 0.7, -2.0])
    def test_ellipse_with_equal_axes__is_the_circle(self, theta):
        assert np.array_equal(
            Ellipse(10, 9, 5, 5, theta).mask((20, 20)), Circle.at(10, 9, radius=5).mask((20, 20))
        )

    def test_ellipse__agrees_with_the_definition_and_turns_clockwise(self):
        theta = 0.5
        mask = Ellipse(15, 12, 9, 4, theta).mask((25, 30))

        rows, columns = np.indices((25, 30))
        x, y = columns - 15, rows - 12
        along, aside = x * cos(theta) + y * sin(theta), y * cos(theta) - x * sin(theta)
        assert np.array_equal(mask, (along / 9) ** 2 + (aside / 4) ** 2 <= 1)
        assert mask[12 + 3, 15 + 6]  # down to the right, where y grows downwards
        assert not mask[12 - 3, 15 + 6]

    def test_ellipse_without_an_axis__is_a_line(self):
        assert np.flatnonzero(Ellipse(5, 2, 3, 0).mask((5, 10)).ravel()).tolist() == list(range(22, 29))

    def test_point__the_pixel_that_holds_it(self):
        assert np.argwhere(Point.at(3.9, 2.0, radius=0).mask((6, 6))).tolist() == [[2, 3]]

    def test_point__with_a_radius_is_a_disc(self):
        assert Point.at(3, 3, radius=1).mask((6, 6)).sum() == 5


class TestLine:
    def test_one_pixel_wide(self):
        mask = Line([(1, 2), (4, 2)], width=1).mask((5, 7))

        assert np.array_equal(mask, pixels(".......", ".......", ".####..", ".......", "......."))

    @pytest.mark.parametrize("width", [1, 3, 4.5])
    def test_agrees_with_the_definition(self, width):
        points = [(2, 3), (15.5, 9), (4, 17), (4, 17), (30, 17)]
        rows, columns = np.indices((22, 26))
        near = np.full((22, 26), np.inf)
        for (x, y), (far_x, far_y) in itertools.pairwise(points):
            for share in np.linspace(0, 1, 4001):
                distance = np.hypot(columns - x - share * (far_x - x), rows - y - share * (far_y - y))
                near = np.minimum(near, distance)

        mask = Line(points, width).mask((22, 26))

        sure = abs(near - width / 2) > 1e-2  # the reference walks in small steps
        assert np.array_equal(mask[sure], (near <= width / 2)[sure])
        assert mask[17, 25]

    def test_piece_outside__is_passed_over(self):
        mask = Line([(2, 2), (4, 2), (90, 2), (90, 50), (2, 50)], width=1).mask((5, 7))

        assert mask[2].tolist() == [False, False, *[True] * 5]
        assert mask.sum() == 5


class TestCut:
    def test_inside__nothing(self):
        assert Rectangle.at(0, 0, width=14, height=12).cut(SIZE) == ""
        assert Circle.at(2, 2, radius=2).cut(SIZE) == ""

    def test_less_than_half_a_pixel_outside__cuts_no_pixel(self):
        assert Rectangle.at(-0.4, 0, width=14.8, height=12.5).cut(SIZE) == ""

    def test_every_edge(self):
        assert Rectangle.at(-1, -2, width=18, height=18).cut(SIZE) == (
            "1 pixel past the left edge, 3 pixels past the right edge, 2 pixels past the top edge, "
            "4 pixels past the bottom edge"
        )

    @pytest.mark.parametrize(
        "shape",
        [
            Circle.at(0, 0, radius=1),
            Line([(0, 0), (0, 5)], width=2),
            Pixels(np.ones((2, 2), dtype=bool), left=-1, top=-1),
            Several([Polygon([(0, 0), (2, 0), (2, 2)]), Rectangle.at(-1, -1, width=3, height=3)]),
        ],
        ids=lambda shape: shape.name,
    )
    def test_every_shape(self, shape):
        assert shape.cut(SIZE) == "1 pixel past the left edge, 1 pixel past the top edge"

    def test_without_a_pixel__nothing(self):
        assert Rectangle.at(-5, 3, width=0, height=2).cut(SIZE) == ""
        assert Pixels(np.zeros((3, 3), dtype=bool), left=-2).cut(SIZE) == ""


def test_pixels__are_cut_off_at_the_edges():
    marked = np.ones((4, 4), dtype=bool)
    marked[1, 1] = False

    mask = Pixels(marked, left=-1, top=9).mask(SIZE)

    assert mask.sum() == 9 - 1
    assert not mask[10, 0]


def test_several__is_what_any_marks():
    one, other = Rectangle.at(1, 1, width=4, height=4), Circle.at(9, 9, radius=9)

    assert np.array_equal(Several([one, other]).mask(SIZE), one.mask(SIZE) | other.mask(SIZE))


def test_box__empty():
    assert Box(3, 3, 3, 9).empty
    assert Box(0, 0, 20, 20).within(SIZE) == Box(0, 0, 14, 12)

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from leatherens.core.errors import InputError
from leatherens.core.loading import AHEAD, ahead, loaded_ahead


def threads() -> int:
    return sum(thread.name.startswith("leatherens-ahead") for thread in threading.enumerate())


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("length", [0, 1, 20])
def test_items__are_those_of_a_plain_walk(count, length):
    assert list(ahead(iter(range(length)), count)) == list(range(length))
    assert threads() == 0


def test_the_next_is_made_while_this_one_is_used():
    events: list[str] = []

    def making() -> Iterator[int]:
        for number in range(3):
            events.append(f"made {number}")
            yield number

    for number in ahead(making()):
        deadline = time.monotonic() + 5
        while number < 2 and f"made {number + 1}" not in events and time.monotonic() < deadline:
            time.sleep(0.001)
        events.append(f"used {number}")
    assert events.index("made 1") < events.index("used 0")
    assert events.index("made 2") < events.index("used 1")


def test_no_more_than_asked_for_is_made():
    made: list[int] = []

    def making() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    walk = ahead(making(), 3)
    next(walk)
    time.sleep(0.3)
    assert len(made) <= 1 + 3
    walk.close()


def test_error__comes_after_the_items_before_it():
    def failing() -> Iterator[int]:
        yield 1
        raise InputError("2.png: damaged")

    walk = ahead(failing())
    assert next(walk) == 1
    with pytest.raises(InputError, match=r"^2\.png: damaged$"):
        next(walk)
    assert threads() == 0


def test_given_up__the_thread_ends_and_the_source_is_closed():
    closed = threading.Event()

    def making() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    walk = ahead(making())
    next(walk)
    walk.close()
    assert threads() == 0
    assert closed.wait(5)


class TestLoadedAhead:
    @pytest.mark.parametrize("length", [0, 1, 2, 20])
    def test_loaded__in_the_order_of_the_picks(self, length):
        def load(pick: int) -> int:
            time.sleep(0.002 * (pick % 3))  # later ones are ready before earlier ones
            return pick * pick

        assert list(loaded_ahead(load, range(length))) == [n * n for n in range(length)]
        assert threads() == 0

    def test_others_are_loaded_at_the_same_time__and_no_more(self):
        begun: list[int] = []
        together = threading.Barrier(AHEAD, timeout=5)

        def load(pick: int) -> int:
            begun.append(pick)
            if pick < AHEAD:
                together.wait()
            return pick

        walk = loaded_ahead(load, range(100))
        assert next(walk) == 0
        time.sleep(0.2)
        assert len(begun) <= AHEAD + 1
        walk.close()
        assert threads() == 0

    def test_error__comes_after_the_items_before_it(self):
        def load(pick: int) -> int:
            if pick == 2:
                raise InputError("2.png: damaged")
            return pick

        walk = loaded_ahead(load, range(9))
        assert [next(walk), next(walk)] == [0, 1]
        with pytest.raises(InputError, match=r"^2\.png: damaged$"):
            next(walk)
        assert threads() == 0

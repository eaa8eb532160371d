"""What is wrong with a value of an annotation, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from leatherens.core.errors import InputError
from leatherens.core.labels.values import listing, mapping, named_value, number, parse_json

FILE = Path("labels.json")


def test_damaged_json():
    with pytest.raises(InputError) as caught:
        parse_json('{"a": 1,\n "b": [1, 2', FILE)
    assert str(caught.value) == (
        "labels.json: line 2: damaged, not JSON (Expecting ',' delimiter); export the annotations again"
    )
    with pytest.raises(InputError, match="nested too deeply"):
        parse_json("[" * 100_000, FILE)


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (lambda: number("3", "x"), 'x: expected a number, got "3"'),
        (lambda: number(True, "x"), "x: expected a number, got true"),
        (lambda: number(float("nan"), "x"), "x: expected a number, got NaN"),
        (lambda: number(float("inf"), "x"), "x: expected a number, got Infinity"),
        (lambda: number(2e9, "x"), "x: expected a number, got 2000000000.0"),
        (lambda: number(-1, "r", least=0), "r: expected 0 or more, got -1"),
        (lambda: mapping([1], "a"), "a: expected an object with named values, got [1]"),
        (lambda: listing(None, "a"), "a: expected a list, got null"),
        (lambda: named_value({}, "cx", "a"), "a: 'cx' is missing"),
    ],
)
def test_wrong_value__is_shown(check, sentence):
    with pytest.raises(InputError) as caught:
        check()
    assert str(caught.value) == sentence

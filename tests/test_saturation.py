from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pictures import save, spot
from PIL import Image

from leatherens.core.errors import InputError
from leatherens.core.saturation import (
    Saturation,
    read_region,
    read_saturations,
    region_of,
    saturations_from,
)

PUSHPINS = [
    {
        "defect_name": "1_additional_pushpin",
        "pixel_value": 255,
        "saturation_threshold": 6300,
        "relative_saturation": False,
    },
    {
        "defect_name": "2_additional_pushpins",
        "pixel_value": 254,
        "saturation_threshold": 12600,
        "relative_saturation": False,
    },
]
"""Two entries of the published file."""

FASTENING = {
    "defect_name": "fastening",
    "pixel_value": 253,
    "saturation_threshold": 1.0,
    "relative_saturation": True,
}
"""An entry of AutoVI's."""

KEYS = "defect_name, pixel_value, saturation_threshold, relative_saturation"


def refusal(content: object) -> str:
    with pytest.raises(InputError) as caught:
        saturations_from(content, owner="c")
    return str(caught.value)


def entry(**changes: object) -> dict[str, object]:
    return {**PUSHPINS[0], **changes}


def test_config__as_published(tmp_path: Path) -> None:
    path = tmp_path / "defects_config.json"
    path.write_text(json.dumps([*PUSHPINS, FASTENING]), encoding="utf-8")

    assert read_saturations(path) == (
        Saturation("1_additional_pushpin", 255, 6300, relative=False),
        Saturation("2_additional_pushpins", 254, 12600, relative=False),
        Saturation("fastening", 253, 1.0, relative=True),
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "expected a list of defects, got dict"),
        (
            [{"defect_name": "a"}],
            f"1: expected exactly the keys {KEYS}, got defect_name",
        ),
        (
            [entry(colour="red")],
            f"1: expected exactly the keys {KEYS}, got {KEYS}, colour",
        ),
        ([PUSHPINS[0], 7], f"2: expected exactly the keys {KEYS}, got int"),
        ([entry(defect_name="")], '1: defect_name should be a name, got ""'),
        ([entry(pixel_value=0)], "1: pixel_value should be a whole number from 1 to 255, got 0"),
        ([entry(pixel_value=256)], "1: pixel_value should be a whole number from 1 to 255, got 256"),
        ([entry(pixel_value=True)], "1: pixel_value should be a whole number from 1 to 255, got true"),
        ([entry(pixel_value=9.0)], "1: pixel_value should be a whole number from 1 to 255, got 9.0"),
        ([entry(relative_saturation=1)], "1: relative_saturation should be true or false, got 1"),
        (
            [entry(saturation_threshold=0.5)],
            "1: saturation_threshold should be a whole number of pixels, at least 1, got 0.5",
        ),
        (
            [entry(saturation_threshold=0)],
            "1: saturation_threshold should be a whole number of pixels, at least 1, got 0",
        ),
        (
            [entry(saturation_threshold=1, relative_saturation=True)],
            "1: saturation_threshold should be a share up to 1.0, written with a point, got 1",
        ),
        (
            [entry(saturation_threshold=1.5, relative_saturation=True)],
            "1: saturation_threshold should be a share up to 1.0, written with a point, got 1.5",
        ),
        (
            [entry(saturation_threshold=0.0, relative_saturation=True)],
            "1: saturation_threshold should be a share up to 1.0, written with a point, got 0.0",
        ),
        (
            [PUSHPINS[0], entry(defect_name="b")],
            "2: pixel_value 255 stands for '1_additional_pushpin' and 'b'; give each its own value",
        ),
    ],
)
def test_config__is_refused_in_words(content: object, told: str) -> None:
    assert refusal(content).removeprefix("c: ").removeprefix("entry ") == told


def test_config__that_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "defects_config.json"
    path.write_text("[{", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_saturations(path)
    assert str(caught.value).startswith(f"{path}: not JSON (")
    with pytest.raises(InputError) as caught:
        read_saturations(tmp_path)
    assert str(caught.value) == f"{tmp_path}: cannot be read (Is a directory); repair or remove it"


@pytest.mark.parametrize(
    ("saturation", "area", "expected"),
    [
        (Saturation("a", 1, 6300, relative=False), 7000, 6300),
        (Saturation("a", 1, 6300, relative=False), 500, 500),  # never more than there is to find
        (Saturation("a", 1, 1.0, relative=True), 500, 500),
        (Saturation("a", 1, 0.5, relative=True), 501, 250),
        (Saturation("a", 1, 0.001, relative=True), 10, 1),  # a share of nothing could not be divided by
    ],
)
def test_area(saturation: Saturation, area: int, expected: int) -> None:
    assert saturation.area(area) == expected


SATURATIONS = (Saturation("pin", 255, 5, relative=False), Saturation("hole", 254, 0.5, relative=True))


def test_region(tmp_path: Path) -> None:
    path = save(tmp_path / "000.png", (spot() > 0).astype(np.uint8) * 254)

    region = read_region(path, SATURATIONS, (24, 32))

    assert (region.marked == (spot() > 0)).all()
    assert region.marked.dtype == bool
    assert (int(region.marked.sum()), region.saturated, region.defect) == (24, 12, "hole")


def test_region__of_a_low_level_is_whole() -> None:
    """A level under half the scale is a defect as well, and 1 is not taken for black."""
    levels = (spot() > 0).astype(np.uint8)
    region = region_of(levels, (Saturation("dust", 1, 5, relative=False),), owner="m")
    assert (int(region.marked.sum()), region.saturated) == (24, 5)


def test_region__refused(tmp_path: Path) -> None:
    def told(levels: np.ndarray) -> str:
        with pytest.raises(InputError) as caught:
            region_of(levels, SATURATIONS, owner="m.png")
        return str(caught.value)

    two = spot()
    two[20, 20] = 254
    assert told(two) == "m.png: expected one defect, of one grey level above 0, got levels 254, 255"
    assert told(spot() * 0) == "m.png: expected one defect, of one grey level above 0, got none"
    assert (
        told((spot() > 0).astype(np.uint8) * 9)
        == "m.png: the grey level 9 stands for no kind of defect; defects_config.json knows 255, 254"
    )
    soft = np.arange(24 * 32, dtype=np.uint8).reshape(24, 32)
    assert told(soft) == "m.png: expected one defect, of one grey level above 0, got levels 1, 2, 3, 4, 5 ..."


def test_region__of_a_colour_file_or_another_size(tmp_path: Path) -> None:
    path = save(tmp_path / "0.png", Image.fromarray(spot()).convert("RGB"))
    with pytest.raises(InputError) as caught:
        read_region(path, SATURATIONS)
    assert str(caught.value) == (
        f"{path}: the levels of this mask name kinds of defects; expected 8-bit grey, got RGB"
    )
    path = save(tmp_path / "1.png", spot(30, 32))
    with pytest.raises(InputError, match=r"the mask is 30 x 32 pixels and its photograph 24 x 32"):
        read_region(path, SATURATIONS, (24, 32))

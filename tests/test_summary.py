from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import pytest

from leatherens.core.artifact import without_nan
from leatherens.core.errors import CategoriesFailed
from leatherens.core.metrics import DEFINITIONS
from leatherens.ensembles.summary import Summary


def content(**members: float | None) -> dict[str, Any]:
    """A metrics.json: all metrics of a scorer have one value, the ensemble's is 0.5; 12 ms an image."""
    scorers = {"ensemble": 0.5, **members}
    rows = {id: {**dict.fromkeys(DEFINITIONS, value), "ms_per_image": 12.0} for id, value in scorers.items()}
    return {"ensemble": rows.pop("ensemble"), "members": rows}


def of(*failed: str) -> Summary:
    teal, green = content(padim=0.8, stfpm=0.2), content(padim=0.6, stfpm=None)
    green["ensemble"] = {**green["ensemble"], "image_auroc": 0.75, "pixel_ap": None}
    failures = dict.fromkeys(failed, "it is empty")
    return Summary({"teal": teal, "green": green}, failures)


def test_means__are_over_categories_where_a_metric_is_defined() -> None:
    summary = of()
    mean = summary.mean("ensemble")
    assert mean["image_auroc"] == pytest.approx((0.5 + 0.75) / 2)
    assert mean["pixel_ap"] == 0.5
    assert summary.mean("stfpm")["au_pro"] == 0.2
    assert math.isnan(Summary({"teal": content(stfpm=None)}, {}).mean("stfpm")["au_pro"])


def test_table() -> None:
    header, *lines = of("silk").table()
    assert (header[:2], header[-2:]) == (["", "image AUROC"], ["false alarms", "ms/image"])
    assert [line[:4] for line in lines] == [
        ["green", "0.750", "0.500", "-"],
        ["silk", "-", "-", "-"],
        ["teal", "0.500", "0.500", "0.500"],
        ["mean of 2 (of 3)", "0.625", "0.500", "0.500"],
        ["mean, padim alone", "0.700", "0.700", "0.700"],
        ["mean, stfpm alone", "0.200", "0.200", "0.200"],
    ]
    assert of("silk").notes() == [
        "pixel AP: the mean is over the 1 categories where it is defined",
        "silk was not made: it is empty",
    ]


def test_table__of_a_single_member_has_one_mean() -> None:
    alone = Summary({"teal": content(padim=0.5), "green": content(padim=0.5)}, {})
    assert [line[0] for line in alone.table()] == ["", "green", "teal", "mean of 2"]
    assert alone.notes() == []


def test_table__where_nothing_was_made() -> None:
    assert [line[0] for line in Summary({}, {"teal": "why"}).table()] == ["", "teal"]


def test_markdown() -> None:
    lines = of("silk").as_markdown().splitlines()
    assert lines[:3] == [
        "|  | image AUROC | pixel AUROC | pixel AP | AU-PRO | F1 | false alarms | ms/image |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| green | 0.750 | 0.500 | - | 0.500 | 0.500 | 0.500 | 12 |",
    ]
    assert lines[-1] == "silk was not made: it is empty"


def test_csv__has_a_line_for_each_category_and_scorer() -> None:
    rows = list(csv.DictReader(io.StringIO(of().as_csv())))
    assert [(row["category"], row["scorer"]) for row in rows] == [
        (category, scorer)
        for category in ("teal", "green", "mean")
        for scorer in ("ensemble", "padim", "stfpm")
    ]
    assert list(rows[0])[2:] == list(DEFINITIONS)
    assert (rows[3]["image_auroc"], rows[3]["pixel_ap"], rows[6]["image_auroc"]) == ("0.75", "", "0.625")


def test_json__is_json() -> None:
    told = json.loads(json.dumps(without_nan(of("silk").as_json()), allow_nan=False))
    assert sorted(told) == ["categories", "definitions", "failures", "mean"]
    assert told["mean"]["ensemble"]["image_auroc"] == 0.625
    assert told["failures"] == {"silk": "it is empty"}


def test_failures__are_one_error_with_each_reason_once() -> None:
    of().require_whole("x")
    with pytest.raises(CategoriesFailed) as caught:
        of("silk", "linen").require_whole("start again")
    assert str(caught.value) == (
        "2 of 4 categories were not made: silk, linen: it is empty. When the cause is mended, start again"
    )
    assert caught.value.failures == {"silk": "it is empty", "linen": "it is empty"}

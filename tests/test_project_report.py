"""What is measured of a project, and its page, from parts made by hand."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from leatherens.core.reporting import Decision, ProjectView, ScoredImage, ScoredPart, ScoredView
from leatherens.core.views import Severities
from leatherens.ensembles.project.measuring import (
    DEFINITIONS,
    content,
    parts_table,
    promise_of,
    promise_remarks,
)
from leatherens.plugins.html_report import HtmlReport
from leatherens.plugins.html_report.project import chosen_parts, ranked_parts


def image(id: str, severity: float) -> ScoredImage:
    return ScoredImage(
        id=id,
        defect="cut",
        defective=None,
        scores={"ensemble": severity},
        flagged=severity > 1,
        photograph=lambda: np.full((8, 16, 3), 90, np.uint8),
        score_map=lambda: np.eye(8, 16, dtype=np.float32) * severity,
        truth=lambda: np.eye(8, 16) > 0,
    )


def part(id: str, defective: bool | None, **severities: float) -> ScoredPart:
    missing = tuple(view for view in "AB" if view not in severities)
    images = {view: image(f"{id}_{view}.png", value) for view, value in severities.items()}
    return ScoredPart(id, defective, Severities(severities, missing), images)


def view(name: str, promise: float | None = 0.1, normals: int = 9) -> ScoredView:
    return ScoredView(
        name,
        "read as photographs",
        Decision("conformal", 3.0, 0.5, promise, normals),
        f"views/{name}/report.html",
    )


PARTS = (
    part("good", False, A=0.1, B=0.9),
    part("lost", False, A=0.1, B=1.9),
    part("found", True, A=5.0, B=0.2),
    part("missed", True, A=0.5, B=0.3),
    part("half", True, A=0.5),
    part("half but bad", True, B=7.0),
)
ROWS = {name: {"image_auroc": 0.5, "pixel_auroc": math.nan} for name in "AB"}


class TestMetrics:
    def test_are_over_the_parts_that_all_views_saw(self):
        found = content(PARTS, ROWS)
        assert found["counts"] == {"good": 2, "defective": 2, "unlabelled": 0, "lacking_a_view": 2}
        assert found["parts"] == {
            "part_auroc": 0.5,  # found > lost, found > good, missed < both
            "part_ap": pytest.approx((1 / 1 + 2 / 4) / 2),
            "part_f1": pytest.approx(2 * 1 / (2 * 1 + 1 + 1)),
            "false_alarm_rate": 0.5,
            "missed_rate": 0.5,
        }

    def test_of_a_view_alone(self):
        found = content(PARTS, ROWS)["views"]
        assert found["A"]["images"] is ROWS["A"]
        assert found["A"]["parts"]["part_auroc"] == 1.0
        assert found["B"]["parts"]["missed_rate"] == 1.0

    def test_are_undefined_without_labels(self):
        found = content([part("x", None, A=1.0, B=2.0)], ROWS)
        assert all(math.isnan(value) for value in found["parts"].values())
        assert found["counts"]["unlabelled"] == 1
        assert set(found["parts"]) | {"severity"} == set(DEFINITIONS)

    def test_table__holds_what_is_known(self):
        lines = parts_table(PARTS[2:5], ["A", "B"]).splitlines()
        assert lines == [
            "part,defective,verdict,severity,flagged by,severity A,severity B,image A,image B",
            "found,1,defective,5,A,5,0.2,found_A.png,found_B.png",
            "missed,1,good,0.5,,0.5,0.3,missed_A.png,missed_B.png",
            "half,1,incomplete,0.5,,0.5,,half_A.png,",
        ]


class TestPromise:
    def test_is_the_sum__at_most_everything(self):
        assert promise_of([view("A", 0.1), view("B", 0.3)]) == pytest.approx(0.4)
        assert promise_of([view("A", 0.7), view("B", 0.7)]) == 1.0

    def test_is_none__where_a_view_makes_none(self):
        assert promise_of([view("A"), view("B", None)]) is None

    def test_says_how_many_are_needed(self):
        views = [view("A", 0.1, 9), view("B", 0.05, 19)]
        assert promise_remarks(0.02, views) == (
            "a false-alarm rate of 0.02 of the parts was asked for; with 9 held-out good images in a view, "
            "2 views together can promise 0.15 at best (99 in every view are needed for the one asked)",
        )
        assert promise_remarks(0.15, views) == promise_remarks(None, views) == ()


def page(tmp_path: Path, promise: float | None, **params: int) -> str:
    found = ProjectView(
        name="<machine>",
        data="6 parts seen from 2 views: A, B",
        views=(view("A"), view("B")),
        parts=PARTS,
        metrics={**content(PARTS, {name: dict.fromkeys(KEYS, 0.5) for name in "AB"})},
        promise=promise,
        remarks=("a & b",),
        command="leatherens run --project machine.yaml",
        project="views: {}",
        versions={"python": "3"},
    )
    path = HtmlReport(HtmlReport.Params(**params)).write_project(found, tmp_path)
    return path.read_text(encoding="utf-8")


KEYS = ("image_auroc", "pixel_auroc", "au_pro", "image_f1", "false_alarm_rate")


class TestPage:
    def test_tells_found_missed_lost_and_incomplete(self, tmp_path):
        text = page(tmp_path, 0.2)
        assert "1 of 2 defective parts found, 1 missed. 1 of 2 good parts lost to a false alarm." in text
        assert "2 that lack a view" in text
        assert re.findall(r'<h3 id="name-\d"><span class="rank">(\d)</span> ([^<]+)</h3>', text) == [
            ("1", "half but bad"),
            ("2", "found"),
            ("3", "lost"),
            ("4", "good"),
            ("5", "half"),
            ("6", "missed"),
        ]
        assert text.count("no image</span>") == 2
        assert text.count("? a view is missing") == 2  # in the table and on its card
        assert "&lt;machine&gt;" in text
        assert "a &amp; b" in text

    def test_without_a_promise__says_so(self, tmp_path):
        assert "nothing is promised about fresh good parts" in " ".join(page(tmp_path, None).split())

    def test_shows_mistakes_first__and_lists_all(self, tmp_path):
        assert [one.part.id for one in chosen_parts(ranked_parts(PARTS), 3)] == [
            "half but bad",
            "lost",
            "missed",
        ]
        text = page(tmp_path, 0.2, parts=3)
        assert text.count("<article") == 3
        assert text.count('<tr id="row-') == 6
        links, targets = (
            set(re.findall(pattern, text)) for pattern in (r'href="#([\w-]+)"', r'id="([\w-]+)"')
        )
        assert links <= targets

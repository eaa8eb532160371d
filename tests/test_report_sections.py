"""What a report tells beside the metrics: where its numbers come from, and how the page shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from test_details import maps_and_masks
from test_html_report import Reader, run_of, scored, set_of, words
from test_report_in_browser import browser, slide  # noqa: F401 - browser is a fixture

from leatherens.core.artifact import write_json
from leatherens.core.details import (
    BackboneCost,
    Costs,
    Details,
    DropOne,
    Inspected,
    PartCost,
    PixelCurves,
    Unusual,
    Without,
)
from leatherens.core.errors import ConfigError
from leatherens.core.pixel_curves import pixel_curves
from leatherens.core.pixel_pool import PixelPool
from leatherens.core.reporting import Decision, Reproduction, RunView
from leatherens.ensembles.detailing import read_details
from leatherens.plugins.html_report import HtmlReport
from leatherens.plugins.html_report.by_type import strips
from leatherens.plugins.html_report.calibration_plot import band, calibration_plot, observed_at, shift
from leatherens.plugins.html_report.cost_table import cost_table
from leatherens.plugins.html_report.curve_tables import found_at, precision_at
from leatherens.plugins.html_report.drop_one import drop_one_table
from leatherens.plugins.html_report.histogram import histogram, histogram_numbers
from leatherens.plugins.html_report.pixel_charts import pixel_charts

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVIL = '<img src=x onerror="document.title=1">'
CONFORMAL = Decision("conformal", 1.0, 0.9, 0.05, 99)


# calibration


def test_band__holds_what_chance_does() -> None:
    normals, tested, rng = 20, 30, np.random.default_rng(0)
    asked = np.array([1, 2, 5, 10, 20]) / (normals + 1)
    low, high = band(asked, normals, tested)
    scores = rng.random((20_000, normals + tested))
    as_high = (scores[:, normals:, None] <= scores[:, None, :normals]).sum(axis=2)  # (R, tested)
    rates = (1 + as_high) / (normals + 1)
    for k, rate in enumerate(asked):
        seen = (rates <= rate + 1e-9).mean(axis=1)
        inside = ((seen >= low[k] - 1e-9) & (seen <= high[k] + 1e-9)).mean()
        assert inside >= 0.945  # of 20,000: a tenth of a percent of noise
        narrower = ((seen > low[k] + 1e-9) & (seen < high[k] - 1e-9)).mean()
        assert narrower < 0.975  # it is not all there is


def test_band__ends_where_everything_and_nothing_is_flagged() -> None:
    low, high = band(np.array([0.0, 1.0]), 9, 7)

    assert (low.tolist(), high.tolist()) == ([0, 1], [0, 1])


def evenly(count: int, normals: int) -> tuple[float, ...]:
    """Rates of test images that lie among the held-out ones as evenly as can be."""
    return tuple((1 + i * (normals + 1) // count) / (normals + 1) for i in range(count))


def test_calibration__of_images_alike_says_so_and_how_little_few_of_them_show() -> None:
    plot = calibration_plot(Unusual(normals=19, rates={"ensemble": evenly(20, 19)}), CONFORMAL)

    assert plot is not None
    assert plot.reading.startswith(
        "Where 5.0\xa0% of good images may be called defective, the ensemble calls 1 of 20 good test images "
        "so (5.0\xa0%), which agrees with what was asked; by chance alone it would be 0 to "
    )
    assert "With 19 held-out and 20 tested good images the band is wide" in plot.reading
    assert "Over all rates, nothing more than chance shows" in plot.reading


def test_calibration__of_many_images_alike_does_not_call_them_few() -> None:
    plot = calibration_plot(Unusual(normals=1999, rates={"ensemble": evenly(2000, 1999)}), CONFORMAL)

    assert plot is not None
    assert "wide" not in plot.reading
    assert len(plot.lines[0][1].split()) < 450


def test_calibration__of_odd_images_says_more_than_chance_explains() -> None:
    odd = tuple(sorted([0.01] * 30 + [0.5] * 20))
    plot = calibration_plot(Unusual(normals=99, rates={"ensemble": odd, "padim": evenly(50, 99)}), CONFORMAL)

    assert plot is not None
    assert "30 of 50 good test images so (60.0\xa0%), more than chance explains" in plot.reading
    assert (
        "good test images score higher than the held-out ones by ensemble, by more than chance"
        in plot.reading
    )
    assert [scorer for scorer, _ in plot.lines] == ["ensemble", "padim"]
    assert plot.numbers.head == (
        "scorer",
        "1.0\xa0%",
        "2.0\xa0%",
        "5.0\xa0%",
        "10.0\xa0%",
        "20.0\xa0%",
        "50.0\xa0%",
    )
    assert plot.numbers.rows[0] == ("ensemble", *["60.0\xa0%"] * 5, "100.0\xa0%")


def test_calibration__of_calm_images_says_fewer() -> None:
    calm = tuple([0.9] * 400)
    plot = calibration_plot(Unusual(normals=999, rates={"ensemble": calm}), CONFORMAL)

    assert plot is not None
    assert "0 of 400 good test images so (0.0\xa0%), fewer than chance explains" in plot.reading
    assert shift(calm, 999) == "lower"
    assert shift((0.001,) * 50, 999) == "higher"
    assert shift(evenly(50, 999), 999) == ""


def test_calibration__asks_what_the_held_out_images_can_show() -> None:
    plot = calibration_plot(Unusual(normals=9, rates={"ensemble": (0.1, 0.3, 1.0)}), CONFORMAL)

    assert plot is not None
    assert plot.reading.startswith("Where 10.0\xa0% of good images may")
    assert plot.numbers.head == ("scorer", "10.0\xa0%", "20.0\xa0%", "50.0\xa0%")
    assert observed_at(0.1, (0.1, 0.3, 1.0)) == pytest.approx(1 / 3)
    assert calibration_plot(None, CONFORMAL) is None


# types of defects


def typed(names: Sequence[str]) -> list:
    """Four good images, and one of each type; the later ones score higher."""
    good = [scored(n, False, scores={"ensemble": 0.1 * n}, flagged=False) for n in range(4)]
    bad = [
        scored(10 + n, True, defect=name, scores={"ensemble": 1.0 + n}, flagged=n > 0)
        for n, name in enumerate(names)
    ]
    return good + bad


def test_strips__stand_good_first_then_the_hardest_type() -> None:
    images = typed(["cut", "hole", "cut"])
    found = strips(images, histogram(images, 1.5))

    assert found is not None
    assert [(s.name, s.flagged, s.total) for s in found.strips] == [
        ("good", 0, 4),
        ("cut", 1, 2),
        ("hole", 1, 1),
    ]
    assert [sum(bar.count for bar in s.bars) for s in found.strips] == [4, 2, 1]
    assert found.numbers.rows[1] == ("cut", "2", "1", "1", "2", "3")


def test_strips__of_one_type_are_left_to_the_histogram() -> None:
    images = typed(["cut", "cut"])

    assert strips(images, histogram(images, 1.5)) is None
    assert strips([], None) is None


def test_strips__tell_images_without_a_type_or_a_label() -> None:
    images = [*typed(["", "cut"]), scored(50, None, scores={"ensemble": 0.2}, flagged=False)]
    found = strips(images, histogram(images, 1.5))

    assert found is not None
    names = [s.name for s in found.strips]
    assert names == ["good", "defective, type not told", "cut", "without a label"]


def test_histogram_numbers__count_every_image_once() -> None:
    images = set_of(12, 8, 3)
    drawn = histogram(images, 1.0)

    assert drawn is not None
    table = histogram_numbers(drawn)
    assert table.head == ("score", "good, 12", "defective, 8", "unlabelled, 3")
    assert [sum(int(row[i]) for row in table.rows) for i in (1, 2, 3)] == [12, 8, 3]


# tables of curves


def test_curve_tables__tell_what_a_threshold_can_reach() -> None:
    scores = np.array([9.0, 8.0, 7.0, 6.0, 5.0, 4.0])
    labels = np.array([True, False, True, True, False, False])

    assert found_at(scores, labels)[0.0] == pytest.approx(1 / 3)
    assert found_at(scores, labels)[0.5] == 1
    assert precision_at(scores, labels)[0.5] == pytest.approx(3 / 4)
    assert precision_at(scores, labels)[1.0] == pytest.approx(3 / 4)


# one voter left out, and costs


def test_drop_one_table__writes_differences_and_says_why_there_is_none() -> None:
    rows = (
        Without(voter="a", image_auroc=0.95, pixel_auroc=None, au_pro=0.7),
        Without(voter="fused-features", image_auroc=0.9, pixel_auroc=0.8, au_pro=0.71),
    )
    whole = {"ensemble": {"image_auroc": 0.9, "pixel_auroc": 0.85, "au_pro": None}}
    found = drop_one_table(DropOne(rows=rows, head=True), whole)

    assert found is not None
    assert found.table is not None
    assert found.table.rows == (
        ("ensemble", "0.900", "", "0.850", "", "–", ""),
        ("without a", "0.950", "+0.050", "–", "–", "0.700", "–"),
        ("without the head", "0.900", "0.000", "0.800", "\N{MINUS SIGN}0.050", "0.710", "–"),
    )
    alone = drop_one_table(DropOne(head=True, why_none="Only the head votes."), whole)
    assert alone is not None
    assert (alone.table, alone.why_none) == (None, "Only the head votes.")
    assert drop_one_table(None, whole) is None


def priced(**over: object) -> Costs:
    """Two members that share a backbone, one that has none."""
    given: dict = {
        "members": {
            "padim": PartCost(parameters=2_000_000, disk_mb=8.0, backbones=("wide",), seconds=10),
            "patchcore": PartCost(parameters=1_000_000, disk_mb=4.0, backbones=("wide",), seconds=100),
            "mse": PartCost(parameters=400, disk_mb=0.5, seconds=20),
        },
        "joint": PartCost(parameters=100, disk_mb=0.25, seconds=5),
        "backbones": {"wide": BackboneCost(parameters=66_000_000, mb=252.0)},
        "machine": "a <b>fast</b> one",
    }
    return Costs(**(given | over))


def test_cost_table__counts_a_shared_backbone_once_and_says_who_shares_it() -> None:
    rows = {"ms_per_image": 30.0}
    found = cost_table(priced(), {"ensemble": rows, "members": {"padim": {"ms_per_image": 12.34}}})

    assert found is not None
    by_name = {row[0]: row[1:] for row in found.table.rows}
    assert by_name["ensemble"] == ("30.0", "69 M", "12.8", "wide", "252", "2 min 15 s")
    assert by_name["padim"] == ("12.3", "68 M", "8", "wide", "252", "10.0 s")
    assert by_name["mse"] == ("–", "400", "0.5", "none", "0", "20.0 s")
    assert found.shared == (
        "padim, patchcore share wide (66 M parameters, 252 MB): it is held once and runs once per image, so "
        "that their rows add up to more than the whole.",
    )


def test_cost_table__without_a_time_tells_no_sum_of_times() -> None:
    found = cost_table(priced(joint=PartCost(parameters=1, disk_mb=1)), {"ensemble": {}, "members": {}})

    assert found is not None
    assert found.table.rows[0][-1] == "–"
    assert cost_table(None, {}) is None


# the page


def full_details() -> Details:
    """Something of everything, with names that would break a page."""
    maps, masks = maps_and_masks(4)
    found = pixel_curves(PixelPool.of(maps, masks), 0.9)
    assert isinstance(found, PixelCurves)
    rows = tuple(Without(voter=v, image_auroc=0.9, pixel_auroc=0.9, au_pro=0.5) for v in ("draem", EVIL, "b"))
    scorers = ("ensemble", "draem", "stfpm")
    return Details(
        curves=dict.fromkeys(scorers, found),
        unusual=Unusual(normals=32, rates=dict.fromkeys(scorers, evenly(12, 32))),
        drop_one=DropOne(rows=rows, head=True),
        costs=priced(),
        inspected=Inspected(looked=3, images=25, findings=(f"blank: {EVIL}",)),
    )


def full_run() -> RunView:
    kinds = [f"type {n} of {12}" for n in range(12)]
    images = [*set_of(12, 0), *(scored(20 + n, True, defect=kind) for n, kind in enumerate(kinds))]
    made = Reproduction(
        (("Again:", f"leatherens run {EVIL}"),), (("seed", "7"),), (("leatherens", ("padim",)),)
    )
    return run_of(images, details=full_details(), reproduction=made)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return HtmlReport().write(full_run(), tmp_path_factory.mktemp("sections"))


def test_page__shows_every_section_and_leads_to_it(report: Path) -> None:
    reader = Reader(report.read_text(encoding="utf-8"))
    targets = {a["href"] for a in reader.all("a")}
    sections = {f"#{section['id']}" for section in reader.all("section")}

    assert reader.open == []
    assert {"#calibration", "#drop-one", "#costs", "#inspected", "#reproduce"} <= sections <= targets


def test_page__says_what_the_numbers_may_be_used_for(report: Path) -> None:
    text = words(report.read_text(encoding="utf-8"))

    assert "must not be used to choose members" in text
    assert "leatherens ablate --data DIR --from RUN" in text
    assert "a member left out still speaks through it" in text
    assert "The peak of a curve was found with the truth: it is no threshold to take over." in text
    assert "3 of 25 images were looked at; then time ran out." in text
    assert "Milliseconds were measured with these images on a <b>fast</b> one;" in text


def test_page__describes_every_figure_and_gives_its_numbers(report: Path) -> None:
    page = report.read_text(encoding="utf-8")
    reader = Reader(page)
    labels = [str(svg["aria-label"]) for svg in reader.all("svg") if svg.get("role") == "img"]

    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in reader.all("svg"))
    assert any(label.startswith("PRO curves; ensemble: AU-PRO 0.") for label in labels)
    assert sum(label.startswith("IoU of ") for label in labels) == 3
    assert any(label.startswith("Observed against asked false-alarm rates. Where 3.0") for label in labels)
    (types,) = [label for label in labels if label.startswith("Scores of the ensemble by type; good: ")]
    assert all(f"type {n} of 12: " in types for n in range(12))
    assert page.count('<details class="numbers">') == 7  # ROC, PR, PRO, IoU, histogram, types, calibration
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_page__escapes_what_others_named(report: Path) -> None:
    page = report.read_text(encoding="utf-8")

    assert EVIL not in page
    assert page.count("&lt;img src=x") >= 3


def test_page__of_an_older_run_has_none_of_it(tmp_path: Path) -> None:
    page = HtmlReport().write(run_of(set_of(3, 2)), tmp_path).read_text(encoding="utf-8")

    for section in ("calibration", "drop-one", "costs", "inspected"):
        assert section not in {s.get("id") for s in Reader(page).all("section")}
        assert f"#{section}" not in page
    assert "leatherens run --members stfpm,draem --seed 7" in words(page)


def test_page__says_in_a_line_that_the_images_are_sound(tmp_path: Path) -> None:
    sound = Details(inspected=Inspected(looked=5, images=5, findings=()))
    text = words(
        HtmlReport().write(run_of(set_of(3, 2), details=sound), tmp_path).read_text(encoding="utf-8")
    )

    assert "Nothing to remark: no duplicates, no leak between splits" in text
    assert "5 of 5 images were looked at ." in text or "5 of 5 images were looked at." in text


def test_pixel_charts__give_every_scorer_an_axis_of_its_own() -> None:
    charts = pixel_charts(full_details().curves)

    assert charts is not None
    assert [chart.scorer for chart in charts.ious] == ["ensemble", "draem", "stfpm"]
    for chart in charts.ious:
        assert chart.at is not None
        assert chart.axis.place(chart.at[1]) == chart.at[0]
        assert 0 <= chart.at[2] <= chart.top
    assert pixel_charts({}) is None


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:  # noqa: F811
    """The report on a phone; whatever the console complains of fails the test."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(report.as_uri())
    yield page
    context.close()
    assert complaints == []


def test_browser__opens_numbers_by_keyboard_and_stays_narrow(page: Page) -> None:
    page.locator("#calibration summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("#calibration td").first.is_visible()

    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_browser__the_slider_moves_the_line_through_the_types(page: Page) -> None:
    lines = page.locator(".tried-line")
    assert lines.count() == 2
    assert not lines.nth(1).is_visible()
    slide(page, "image", 500)
    moved = lines.evaluate_all("all => all.map((one) => one.getAttribute('transform'))")
    assert moved == ["translate(240 0)"] * 2


def test_details__are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "details.json"
    assert read_details(file) == Details()

    told = full_details()
    write_json(file, told.model_dump(mode="json"))
    assert read_details(file) == told

    file.write_text('{"curve": {}}')
    with pytest.raises(ConfigError, match="unknown option 'curve'; did you mean 'curves'"):
        read_details(file)

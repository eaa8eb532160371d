"""Several runs side by side: which images are compared, what the page says in words, and what it shows."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from test_html_report import Reader, run_of, scored, set_of
from test_report_in_browser import EVIL, browser  # noqa: F401 - a fixture
from tiny_runs import call, metrics

from leatherens.core.comparison import COMPARED, ComparisonView, agreement
from leatherens.core.comparison_words import table, verdicts, with_interval
from leatherens.core.details import BackboneCost, Costs, Details, PartCost
from leatherens.core.errors import ArtifactError, InputError
from leatherens.core.judged_run import judged_run
from leatherens.core.metrics import image_auroc
from leatherens.core.progress import Silent
from leatherens.core.reporting import Reporter, RunView, ScoredImage
from leatherens.ensembles.comparing_runs import Given, changed_keys, compare_runs
from leatherens.plugins.html_report import HtmlReport
from leatherens.plugins.html_report.comparison import charts, forest

GOOD = np.zeros((120, 180), np.bool_)


def judged(images: Sequence[ScoredImage], flagged: Sequence[int], shift: float = 0.0) -> list[ScoredImage]:
    """The images with verdicts by number, good ones with an empty mask. shift: added to scores of defects."""
    return [
        dataclasses.replace(
            image,
            flagged=number in flagged,
            scores={"ensemble": image.scores["ensemble"] + shift * bool(image.defective)},
            truth=image.truth if image.defective else lambda: GOOD,
        )
        for number, image in enumerate(images)
    ]


def two(
    images: Sequence[ScoredImage], first: Sequence[int], other: Sequence[int], shift: float = 1.0
) -> list[RunView]:
    """Two runs on the same images: A and B flag these; shift: how much better B tells defects apart."""
    return [
        run_of(judged(images, first, -0.8 * shift), name="A"),
        run_of(
            judged(images, other, shift),
            name="B",
            recipe={"members": ["padim"], "seed": 7, "size": (256, 256)},
        ),
    ]


def compare(views: Sequence[RunView], **over: object) -> ComparisonView:
    return compare_runs(
        [Given(view, **over) for view in views], Silent(), "leatherens report A B", resamplings=200
    )


@pytest.fixture(scope="module")
def comparison() -> ComparisonView:
    """Of twelve good and ten defective images, A finds four and B seven; both lose two good ones."""
    return compare(two(set_of(12, 10), [0, 1, 12, 13, 14, 15], [1, 2, *range(13, 20)]))


@pytest.fixture(scope="module")
def page(comparison: ComparisonView, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = HtmlReport().write_comparison(comparison, tmp_path_factory.mktemp("comparison"))
    assert path.name == "comparison.html"
    return path.read_text(encoding="utf-8")


# in words


def test_verdict__says_what_is_found_more_at_which_price_and_how_surely(comparison: ComparisonView) -> None:
    (sentence,) = verdicts(comparison)
    found = comparison.runs[1].differences["image_auroc"]

    assert sentence == (
        "B finds 3 more of 10 defective images than A (7 against 4) at the same false-alarm rate "
        f"(2 of 12 good images); the difference in image AUROC is {with_interval('image_auroc', found)}."
    )


@pytest.mark.parametrize(
    ("good", "defective", "first", "other", "said"),
    [
        (
            3,
            2,
            [3],
            [3],
            "B finds as many defective images as A (1 of 2) at the same false-alarm rate (0 of 3 good",
        ),
        (
            3,
            2,
            [3, 4],
            [0, 4],
            "B finds 1 fewer of 2 defective images than A (1 against 2) and flags 1 more of 3 good",
        ),
        (3, 0, [0, 1], [], "B flags 2 fewer of 3 good images (0 against 2)."),
        (3, 0, [0], [0], "B flags as many good images as A (1 of 3 good images)."),
        (0, 1, [], [0], "B finds 1 more of 1 defective image than A (1 against 0)."),
    ],
)
def test_verdict__names_only_what_there_is(
    good: int, defective: int, first: list[int], other: list[int], said: str
) -> None:
    assert verdicts(compare(two(set_of(good, defective), first, other)))[0].startswith(said)


def test_verdict__without_labels_says_so() -> None:
    assert verdicts(compare(two(set_of(0, 0, 3), [0], [1]))) == [
        "No image in common has a label: B and A cannot be compared."
    ]


def test_verdict__of_runs_that_rank_alike_tells_no_interval() -> None:
    sentence = verdicts(compare(two(set_of(6, 6), [6], [6], shift=0.0)))[0]

    assert "is 0.000, of which resampling these images tells no interval" in sentence


def test_table__has_a_line_for_every_metric(comparison: ComparisonView) -> None:
    rows = {row[0]: row[1:] for row in table(comparison)}

    assert rows[""] == ["A", "B", "difference [95 %]"]
    assert list(rows)[1:] == list(COMPARED.values())
    assert rows["defective images missed"][:2] == ["60.0 %", "30.0 %"]
    assert rows["defective images missed"][2].startswith("−30.0 [")


# the numbers


def test_values__are_those_of_each_run_on_its_own(comparison: ComparisonView) -> None:
    for run in comparison.runs:
        labels = [image.defective for image in run.view.images]
        assert run.judged.values["image_auroc"] == image_auroc(
            [image.scores["ensemble"] for image in run.view.images], labels
        )
    other = comparison.runs[1]
    assert other.differences["pixel_auroc"].value == 0
    assert np.isnan(other.differences["pixel_auroc"].low)
    assert not comparison.first.differences


def test_differences__are_the_same_each_time_and_turned_round_with_the_runs(
    comparison: ComparisonView,
) -> None:
    views = two(set_of(12, 10), [0, 1, 12, 13, 14, 15], [1, 2, *range(13, 20)])
    again, turned = compare(views), compare(views[::-1])

    for metric, found in comparison.runs[1].differences.items():
        same, back = again.runs[1].differences[metric], turned.runs[1].differences[metric]
        assert (same.low, same.high) == pytest.approx((found.low, found.high), nan_ok=True)
        assert (back.value, back.low, back.high) == pytest.approx(
            (-found.value, -found.high, -found.low), nan_ok=True
        )


def test_agreement__counts_images_by_who_is_right() -> None:
    views = two(set_of(4, 5), [0, 4, 5, 6], [0, 1, 6, 7])

    defects, goods = (agreement(*views, defective=label) for label in (True, False))
    assert (defects.both, defects.first, defects.other, defects.neither) == (1, 2, 1, 1)
    assert (goods.both, goods.first, goods.other, goods.neither) == (2, 1, 0, 1)


def test_a_threshold_of_an_image_s_own__marks_its_pixels() -> None:
    images = judged(set_of(2, 2), [2])
    strict = [dataclasses.replace(image, pixel_threshold=1e9) for image in images]

    assert judged_run(run_of(images)).values["iou"] > 0
    assert judged_run(run_of(strict)).values["iou"] == 0


# which images


def test_images__that_not_all_runs_tested_are_left_out_and_named() -> None:
    views = two(set_of(5, 5), [5], [5, 6])
    fewer = dataclasses.replace(views[1], images=views[1].images[:8])
    found = compare([views[0], fewer])

    assert [len(run.view.images) for run in found.runs] == [8, 8]
    assert found.remarks == (
        "Compared on the 8 images that all runs were tested on. Not in all runs: 2 images of A "
        "(test/008.png, test/009.png).",
    )


def test_images__of_another_order_are_matched_by_name() -> None:
    views = two(set_of(5, 5), [5], [5, 6])
    turned = dataclasses.replace(views[1], images=views[1].images[::-1])
    found = compare([views[0], turned])

    assert [i.id for i in found.runs[1].view.images] == [i.id for i in found.first.view.images]
    assert found.remarks == ()


def test_images__of_one_name_but_other_content_or_label_are_left_out() -> None:
    views = two(set_of(4, 4), [5], [5, 6])
    relabelled = dataclasses.replace(views[1].images[0], defective=True)
    views[1] = dataclasses.replace(views[1], images=(relabelled, *views[1].images[1:]))
    digests = [{image.id: image.id for image in views[0].images} for _ in views]
    digests[1]["test/003.png"] = "other"
    found = compare_runs([Given(v, d) for v, d in zip(views, digests, strict=True)], Silent(), "", 50)

    assert len(found.first.view.images) == 6
    assert "One name, different content: 1 image (test/003.png)." in found.remarks[0]
    assert "Labelled differently: 1 image (test/000.png)." in found.remarks[0]


def test_images__of_which_one_run_lost_the_mask_count_for_no_pixel_metric() -> None:
    views = two(set_of(4, 4), [5], [5, 6])
    lost = dataclasses.replace(views[1].images[7], truth=lambda: None)
    found = compare([views[0], dataclasses.replace(views[1], images=(*views[1].images[:7], lost))])

    assert [run.judged.known.tolist() for run in found.runs] == [[True] * 7 + [False]] * 2
    assert "Pixel metrics leave out 1 image" in found.remarks[-1]


def test_runs__without_an_image_in_common_are_refused() -> None:
    first = run_of(set_of(2, 2), name="A")
    other = run_of([scored(9, False, name="cloth.png")], name="B")
    with pytest.raises(InputError, match=r"A and B have no test image in common.*1 image of B \(cloth.png\)"):
        compare([first, other])


def test_runs__of_one_name_are_numbered() -> None:
    view = run_of(judged(set_of(2, 2), []), name="run")
    found = compare([view, view, dataclasses.replace(view, name="other")])

    assert [run.name for run in found.runs] == ["run (1)", "run (2)", "other"]


def test_changed_keys__are_those_that_not_all_recipes_agree_on() -> None:
    first = {"seed": 0, "members": {"padim": {"options": {"smoothing": 4}}}, "size": [64, 64]}
    other = {"seed": 1, "members": {"stfpm": {"options": {}}}, "size": [64, 64]}

    found = {row.key: row.said for row in changed_keys([first, other, other])}
    assert found == {
        "seed": ("0", "1", "1"),
        "members.padim": ("options: smoothing: 4", "", ""),
        "members.stfpm": ("", "options: {}", "options: {}"),
    }


# the page


def test_page__is_one_closed_page_that_asks_nothing_of_the_network(page: str) -> None:
    reader = Reader(page)

    assert reader.open == []
    sources = [
        value
        for _, attributes in reader.elements
        for key, value in attributes.items()
        if key in ("src", "href")
    ]
    assert all(source.startswith(("data:", "#")) for source in sources if source)
    assert "<script" not in page


def test_page__begins_with_the_verdict_and_says_better_or_worse(page: str) -> None:
    assert page.index("B finds 3 more of 10 defective images than A") < page.index("<table")
    assert 'class="word better">better' in page
    assert "not certain" in page


def test_page__shows_the_images_on_which_verdicts_differ_side_by_side(
    page: str, comparison: ComparisonView
) -> None:
    articles = page.split("<article")[1:]
    names = [image.id for image, _ in comparison.disputed]

    assert len(articles) == len(names) == 7
    assert all(article.count("<svg") == 3 for article in articles)
    first = articles[0]
    assert "test/012.png" in first
    assert "defect found" in first
    assert "defect missed" in first


def test_page__shows_at_most_so_many_and_says_so(comparison: ComparisonView, tmp_path: Path) -> None:
    path = HtmlReport(HtmlReport.Params(disputed=3)).write_comparison(comparison, tmp_path)
    text = path.read_text(encoding="utf-8")

    assert text.count("<article") == 3
    assert "7 of 22 images; shown are the first 3, defective ones first." in text


def test_page__of_runs_that_agree_says_so(tmp_path: Path) -> None:
    view = run_of(judged(set_of(3, 3), [3]), name="A")
    text = HtmlReport().write_comparison(compare([view, view]), tmp_path).read_text(encoding="utf-8")

    assert "All runs give the same verdict on each of the 6 images." in text
    assert "They do not: the runs differ in nothing that a recipe says." in text


def test_page__of_unlabelled_images_and_of_three_runs_is_written(tmp_path: Path) -> None:
    views = [
        run_of(judged(set_of(0, 0, 3), flagged), name=name)
        for name, flagged in (("A", [0]), ("B", [1]), ("C", []))
    ]
    text = HtmlReport().write_comparison(compare(views), tmp_path).read_text(encoding="utf-8")

    assert "No image in common has a label: C and A cannot be compared." in text
    assert text.count("<article") == 2


def test_page__names_of_an_enemy_stay_text(tmp_path: Path) -> None:
    images = judged([*set_of(2, 2), scored(9, True, name=EVIL, defect="<b>cut</b>")], [4])
    views = [
        run_of(images, name="<em>A</em>"),
        run_of(judged(images, []), name=EVIL, recipe={"<u>k</u>": "<s>v</s>"}),
    ]
    text = HtmlReport().write_comparison(compare(views), tmp_path).read_text(encoding="utf-8")

    assert not {"em", "u", "s", "img"} & {name for name, _ in Reader(text).elements}
    assert "<b>cut" not in text
    assert "<img" not in text


def test_page__is_left_as_it_was_when_writing_fails(
    comparison: ComparisonView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = HtmlReport().write_comparison(comparison, tmp_path)
    before = path.read_bytes()

    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("leatherens.plugins.html_report.comparison.jpeg_uri", full)
    with pytest.raises(ArtifactError, match=r"cannot be written \(No space left on device\)"):
        HtmlReport().write_comparison(comparison, tmp_path)

    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["comparison.html"]


def test_page__of_what_is_gone_says_so(tmp_path: Path) -> None:
    def gone() -> np.ndarray:
        raise InputError("its file is gone")

    views = two(set_of(3, 3), [3], [4])
    lost = [
        dataclasses.replace(
            view, images=tuple(dataclasses.replace(i, photograph=gone, truth=gone) for i in view.images)
        )
        for view in views
    ]
    lost[1] = dataclasses.replace(
        lost[1], images=tuple(dataclasses.replace(image, score_map=gone) for image in lost[1].images)
    )
    text = HtmlReport().write_comparison(compare(lost), tmp_path).read_text(encoding="utf-8")

    assert text.count(">photograph gone<") == text.count(">score map gone<") == 2
    assert "AU-PRO" not in text


def test_forest__is_turned_so_that_right_is_better(comparison: ComparisonView) -> None:
    drawn = {whisker.title: whisker for whisker in forest(comparison.runs[1]).whiskers}

    assert drawn["defective images missed"].at > 0.5
    assert drawn["image AUROC"].at > 0.5
    assert all(0 <= whisker.low <= whisker.at <= whisker.high <= 1 for whisker in drawn.values())


def test_charts__end_where_their_curves_do(comparison: ComparisonView) -> None:
    found = {chart.title: chart for chart in charts(comparison.runs)}

    assert list(found) == ["ROC", "Precision and recall", "PRO"]
    assert [curve.name for curve in found["PRO"].curves] == ["A", "B"]
    assert all(curve.points.rpartition(" ")[2].startswith("300.0,") for curve in found["PRO"].curves)
    assert found["PRO"].x_end == 0.3


def test_reporters__of_single_runs_need_not_compare(comparison: ComparisonView, tmp_path: Path) -> None:
    class Plain(Reporter):
        id = "plain"

        def write(self, run: RunView, folder: Path) -> Path:
            return folder

    assert Plain().write_comparison(comparison, tmp_path) is None


def test_page__looks_as_the_screenshots_show(browser, comparison: ComparisonView, tmp_path: Path) -> None:  # noqa: F811
    """Kept where LEATHERENS_SCREENSHOTS names a folder, to be looked at."""
    path = HtmlReport().write_comparison(comparison, tmp_path)
    folder = Path(os.environ.get("LEATHERENS_SCREENSHOTS", tmp_path))
    for name, width, scheme in (("light", 1200, "light"), ("dark", 1200, "dark"), ("phone", 390, "light")):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        opened, complaints = context.new_page(), []
        opened.on("console", lambda message, complaints=complaints: complaints.append(message.text))
        opened.goto(path.as_uri())
        opened.screenshot(path=folder / f"comparison-{name}.png", full_page=True)

        assert opened.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways"
        assert opened.locator("article").count() == 7
        assert complaints == []
        context.close()


def test_costs__are_those_measured_and_those_the_run_keeps() -> None:
    part = PartCost(parameters=5, disk_mb=1, seconds=2.5)
    backbone = {"resnet": BackboneCost(parameters=1000, mb=4)}
    kept = Details(costs=Costs(members={"a": part, "b": part}, joint=None, backbones=backbone))
    known = Given(run_of(set_of(1, 1), details=kept), costs={"megabytes learned": 2.0}).all_costs

    assert known == {
        "milliseconds per image": 12.34,
        "megabytes learned": 2.0,
        "megabytes of backbones": 4.0,
        "numbers of backbones": 1000.0,
        "seconds to learn": 5.0,
    }
    assert Given(run_of(set_of(1, 1))).all_costs == {"milliseconds per image": 12.34}


# the command


def test_command__compares_runs_and_writes_the_page_beside_them(
    alone: Path, pair: Path, tmp_path: Path
) -> None:
    runs = [Path(shutil.copytree(run, tmp_path / "runs" / run.name)) for run in (alone, pair)]
    done = call("report", *runs)

    assert done.exit_code == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].startswith("pair finds ")
    row = next(line.split() for line in said if line.startswith("image AUROC"))
    assert row[2:4] == [f"{metrics(run)['ensemble']['image_auroc']:.3f}" for run in runs]
    assert said[-1] == f"report: {tmp_path / 'runs' / 'comparison.html'}"
    page = (tmp_path / "runs" / "comparison.html").read_text(encoding="utf-8")
    learned = sum(file.stat().st_size for file in runs[0].rglob("*.safetensors")) / 2**20
    assert f"megabytes learned</th><td>{learned:.3g}</td>" in page


def test_command__writes_where_it_is_told(alone: Path, banked: Path, tmp_path: Path) -> None:
    done = call("report", alone, banked, "--out", tmp_path / "there")

    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "there" / "comparison.html").is_file()
    assert not (alone.parent / "comparison.html").exists()


def test_command__tells_a_file_of_other_content_by_its_digest(
    alone: Path, banked: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(banked, tmp_path / "banked"))
    digests = json.loads((run / "images.json").read_text(encoding="utf-8"))
    id = next(id for id in digests if id.startswith("test/"))
    (run / "images.json").write_text(json.dumps({**digests, id: "0" * 32}), encoding="utf-8")
    done = call("report", alone, run, "--out", tmp_path)

    assert f"One name, different content: 1 image ({id})." in done.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["{run}", "{run}"], "{run}: given twice; give different runs to compare"),
        (["{run}", "nothing"], "nothing: no such run folder"),
        (["{run}", "{other}", "--figures", "there"], "--figures: draws those of one run; give one RUN"),
    ],
)
def test_command__refuses_what_it_cannot_compare(
    given: list[str], said: str, alone: Path, banked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("report", *(text.format(run=alone, other=banked) for text in given))

    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == f"Error: {said.format(run=alone)}"
    assert list(tmp_path.iterdir()) == []

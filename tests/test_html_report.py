"""The HTML report: what it says, what it shows, and that it asks nothing of the network."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import itertools
import math
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, roc_auc_score

from leatherens.core.errors import ConfigError
from leatherens.core.metrics import DEFINITIONS
from leatherens.core.pca import Explained
from leatherens.core.preparation import Comparison
from leatherens.core.reporting import Decision, PreparedImage, RunView, ScoredImage
from leatherens.plugins.html_report import HtmlReport, _environment
from leatherens.plugins.html_report.card import Studio, room_for
from leatherens.plugins.html_report.choices import choices
from leatherens.plugins.html_report.colours import ColourScale, colour_scale, member_scales, palette
from leatherens.plugins.html_report.curves import curves, operating_point, points, staircase
from leatherens.plugins.html_report.explained import MOST_BARS, explained_figure, round_counts
from leatherens.plugins.html_report.gallery import cards, chosen, close_calls, ranked
from leatherens.plugins.html_report.histogram import Axis, histogram, round_numbers
from leatherens.plugins.html_report.level_maps import level_map_uri, png
from leatherens.plugins.html_report.pictures import jpeg_uri, regions, shrink_keeping_peaks
from leatherens.plugins.html_report.ranking import Ranking, ranking
from leatherens.plugins.html_report.table import scorers_table
from leatherens.plugins.html_report.verdict import observed, tally

HEIGHT, WIDTH = 120, 180  # not square, so that a swapped axis shows
THRESHOLD = 1.0


def texture(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Brown leather, roughly: (H, W, 3) uint8."""
    grain = sum(cv2.GaussianBlur(rng.normal(size=shape), (0, 0), s) * s for s in (1, 3, 12))
    brown = np.array([150, 95, 55]) + 18 * grain[..., None] / grain.std()
    return brown.clip(0, 255).astype(np.uint8)


def blob(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A filled ellipse off the centre: (H, W) bool."""
    height, width = shape
    centre = (int(rng.uniform(0.2, 0.8) * width), int(rng.uniform(0.2, 0.8) * height))
    axes = (int(rng.uniform(0.04, 0.14) * width), int(rng.uniform(0.04, 0.1) * height))
    mask = cv2.ellipse(np.zeros(shape, np.uint8), centre, axes, rng.uniform(0, 180), 0, 360, 1, -1)
    return mask.astype(bool)


def scored(
    number: int,
    defective: bool | None,
    *,
    name: str = "",
    shape: tuple[int, int] = (HEIGHT, WIDTH),
    **over: object,
) -> ScoredImage:
    """One image whose pixels are drawn anew, and alike, each time they are read."""

    def mask() -> np.ndarray:
        return blob(np.random.default_rng(number), shape) & bool(defective)

    def photograph() -> np.ndarray:
        picture = texture(np.random.default_rng(1000 + number), shape)
        return np.where(mask()[..., None], picture // 3, picture)

    def score_map() -> np.ndarray:
        noise = cv2.GaussianBlur(np.random.default_rng(2000 + number).normal(size=shape), (0, 0), 5)
        hot = cv2.GaussianBlur(mask().astype(np.float64), (0, 0), 3) * (0.6 + number % 5 / 2)
        return (0.4 + 0.5 * noise + hot).astype(np.float32)

    rng = np.random.default_rng(3000 + number)
    scores = {who: rng.normal(0.5 + 0.8 * bool(defective), 0.4) for who in ("ensemble", "draem", "stfpm")}
    image = ScoredImage(
        id=name or f"test/{number:03}.png",
        defect="scratch" if defective else "",
        defective=defective,
        scores=scores,
        flagged=scores["ensemble"] > THRESHOLD,
        photograph=photograph,
        score_map=score_map,
        truth=lambda: mask() if defective else None,
    )
    return dataclasses.replace(image, **over)


def run_of(images: Sequence[ScoredImage], **over: object) -> RunView:
    scorers = ("ensemble", "draem", "stfpm")
    metrics = {
        "image_auroc": 0.9876,
        "pixel_auroc": 0.9512,
        "pixel_ap": math.nan,
        "au_pro": None,
        "image_f1": 0.91,
        "false_alarm_rate": 0.05,
        "ms_per_image": 12.34,
    }
    run = RunView(
        name="brown hide",
        data="leather, one colour",
        recipe={"members": ["draem", "stfpm"], "seed": 7, "size": (256, 256)},
        metrics={
            "ensemble": metrics,
            "members": {s: metrics | {"image_auroc": 0.9} for s in scorers[1:]},
            "definitions": DEFINITIONS,
        },
        decisions={s: Decision("conformal", THRESHOLD, 0.9, 0.01, 120) for s in scorers},
        images=tuple(images),
        remarks=("Trained on 40 images only.",),
        command="leatherens run --members stfpm,draem --seed 7",
        versions={"leatherens": "0.1.0", "torch": "2.15.0"},
    )
    return dataclasses.replace(run, **over)


def set_of(good: int, defective: int, unlabelled: int = 0) -> list[ScoredImage]:
    labels = [False] * good + [True] * defective + [None] * unlabelled
    return [scored(number, label) for number, label in enumerate(labels)]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of twelve good and eight defective images."""
    path = HtmlReport().write(run_of(set_of(12, 8)), tmp_path_factory.mktemp("report"))
    return path.read_text(encoding="utf-8")


class Reader(HTMLParser):
    """Elements, their attributes, and whether every element that opens is closed in order."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def words(page: str) -> str:
    """The text a person reads, white space evened out."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


# The page


def test_page__is_well_formed_with_unique_ids(page: str) -> None:
    reader = Reader(page)
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]

    assert reader.open == []
    assert len(ids) == len(set(ids))
    targets = [a["href"] for tag, a in reader.elements if tag in {"a", "use"} and a["href"].startswith("#")]
    assert {target[1:] for target in targets} <= set(ids)


def test_page__asks_nothing_of_the_network(page: str) -> None:
    loads = [
        value
        for _, attributes in Reader(page).elements
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action", "data", "poster", "xlink:href"}
    ]

    assert loads
    assert [
        load
        for load in loads
        if not load.startswith(("data:image/jpeg;base64,", "data:image/png;base64,", "#"))
    ] == []
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttp|import\(", page)
    assert "default-src 'none'" in page


def test_page__allows_its_own_script_alone(page: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")

    assert page.count("<script") == 1
    (policy,) = [m["content"] for m in Reader(page).all("meta") if "http-equiv" in m]
    assert str(policy).endswith(f"; script-src 'sha256-{digest}'")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


def test_page__says_the_verdict_first(page: str) -> None:
    counts = tally(set_of(12, 8))
    text = words(page)

    assert counts.defective == 8
    assert f"{counts.found} of 8 defective images found, {counts.missed} missed." in text
    assert text.index("defective images found, ") < text.index("Ensemble and members")
    assert "rule conformal , learned from 120 held-out good images" in text
    assert "no more than 1.0 % of fresh good images" in text
    assert "Trained on 40 images only." in text


def test_page__says_how_sure_the_verdict_is(page: str) -> None:
    images, text = set_of(12, 8), words(page)
    counts, found = tally(images), ranking(images)
    missed = binomtest(counts.missed, 8).proportion_ci(0.95, method="wilson")

    assert found is not None
    assert found.interval is not None
    assert found.interval[0] < found.auroc < found.interval[1]
    assert f"Of the defective images, {counts.missed} of 8 are missed" in text
    assert f"(95 % interval {100 * missed.low:.1f} % to {100 * missed.high:.1f} %)" in text
    low, high = found.interval
    assert f"image AUROC {found.auroc:.3f} (95 % interval {low:.3f} to {high:.3f}, images resampled)" in text


def test_ranking__of_images_told_apart_has_no_interval() -> None:
    images = [scored(n, n > 3, scores={"ensemble": float(n)}) for n in range(8)]

    assert ranking(images) == Ranking(1.0, 16, None)
    assert ranking(images[:3]) is None


def test_close_calls__are_right_verdicts_nearest_first() -> None:
    values = {"a": 9.0, "b": 5.2, "c": 4.9, "d": 1.0, "missed": 4.99}
    images = [
        scored(n, name == "missed" or value > 5, name=name, scores={"ensemble": value}, flagged=value > 5)
        for n, (name, value) in enumerate(values.items())
    ]

    assert [image.id for _, image in close_calls(ranked(images), 5.0, 2)] == ["c", "b"]
    assert close_calls(ranked(images), math.inf) == []


def test_choices__offer_what_the_images_have() -> None:
    found = choices([scored(1, True), scored(2, False, colour="brown"), scored(3, True, colour="brown")])

    assert [outcome.key for outcome in found.outcomes] == ["passed", "false-alarm", "missed", "found"]
    assert found.kinds == [("defect", "defect type", ["", "scratch"]), ("colour", "colour", ["", "brown"])]
    assert "reconstruction" not in [layer.key for layer in found.layers]
    assert choices([scored(4, None)]).kinds == []


def test_page__shows_table_definitions_recipe_versions_and_command(page: str) -> None:
    text = words(page)

    for heading in (
        "image AUROC",
        "pixel AUROC",
        "pixel AP",
        "AU-PRO",
        "F1 at the threshold",
        "false-alarm rate",
    ):
        assert heading in text
    assert "ensemble 0.988 0.951 – – 0.910 5.0 % 12.3" in text
    assert DEFINITIONS["au_pro"] in text
    assert "members: - draem - stfpm seed: 7" in text
    assert "torch 2.15.0" in text
    assert "leatherens run --members stfpm,draem --seed 7" in text
    assert page.count('title="undefined for this run"') == 6


def test_page__shows_every_image_by_falling_score_with_four_panels(page: str) -> None:
    articles = Reader(page).all("article")
    values = [float(a["data-score"]) for a in articles]

    assert len(articles) == 20
    assert values == sorted(values, reverse=True)
    for article in page.split("<article")[1:]:
        assert article.count("<figure") == 4
    assert page.count(">no mask<") == 12
    assert all(a["tabindex"] == "0" for a in articles)


def test_page__shows_reconstructions_beside_the_photograph(tmp_path: Path) -> None:
    grey = {"draem": lambda: np.full((2 * HEIGHT, 2 * WIDTH, 3), 77, np.uint8)}
    images = [scored(1, True, reconstructions=grey), scored(2, False)]

    text = HtmlReport().write(run_of(images), tmp_path).read_text(encoding="utf-8")
    with_one, without = sorted(text.split("<article")[1:], key=lambda part: "reconstructs" not in part)

    assert (with_one.count("<figure"), without.count("<figure")) == (5, 4)
    assert with_one.index("photograph</figcaption>") < with_one.index("as draem reconstructs it</figcaption>")
    assert with_one.index("as draem reconstructs it</figcaption>") < with_one.index("score map")
    uri = re.search(r'src="data:image/jpeg;base64,([^"]+)"[^>]*alt="\S+ as draem reconstructs it"', with_one)
    assert uri
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(uri[1]), np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (213, 320, 3)  # as small as a photograph of its size is shown
    assert np.abs(shown.astype(int) - 77).max() <= 2


def test_page__tells_right_from_wrong_in_words_not_only_in_colour(page: str) -> None:
    text, counts = words(page.partition('id="gallery"')[2]), tally(set_of(12, 8))

    assert text.count("✓ defect found") == counts.found
    assert text.count("✗ defect missed") == counts.missed
    assert text.count("! false alarm") == counts.false_alarms
    assert counts.missed
    assert counts.false_alarms


def test_page__describes_each_picture(page: str) -> None:
    reader = Reader(page)

    assert all(image["alt"] for image in reader.all("img"))
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in reader.all("svg"))


def test_page__follows_dark_light_and_paper(page: str) -> None:
    assert "@media screen and (prefers-color-scheme: dark)" in page
    assert "@media print" in page
    assert 'name="viewport"' in page


def test_page__is_the_same_for_the_same_run(page: str, tmp_path: Path) -> None:
    again = HtmlReport().write(run_of(set_of(12, 8)), tmp_path)

    assert again.read_text(encoding="utf-8") == page


def test_page__veils_what_is_not_inspected_and_outlines_nothing_there(tmp_path: Path) -> None:
    valid = np.ones((HEIGHT, WIDTH), dtype=np.bool_)
    valid[:, : WIDTH // 4] = False
    hot = np.full((HEIGHT, WIDTH), THRESHOLD + 1, dtype=np.float32)
    image = scored(3, False, score_map=lambda: hot, valid=lambda: valid)
    page = HtmlReport().write(run_of([image]), tmp_path).read_text(encoding="utf-8")

    assert "predicted, 1 region, 75.0 % ; 25.0 % not inspected, veiled" in words(page)
    assert page.count('class="ignored"') == 1
    plain = HtmlReport().write(run_of([scored(3, False)]), tmp_path / "plain")
    assert 'class="ignored"' not in plain.read_text(encoding="utf-8")


def test_page__escapes_what_others_named(tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>&\'.png'
    run = run_of(
        [scored(1, True, name=evil, defect="<b>"), scored(2, False)],
        name="<i>run</i>",
        remarks=("a < b",),
        command="run 'a&b'",
    )
    page = HtmlReport().write(run, tmp_path).read_text(encoding="utf-8")

    assert page.count("<script") == 1  # our own
    assert "<i>run" not in page
    assert evil in words(page)
    assert "a < b" in words(page)
    assert Reader(page).open == []


@pytest.mark.parametrize(
    ("images", "sentence", "reason"),
    [
        (
            set_of(0, 3),
            "No image is labelled good: false alarms cannot be measured.",
            "of 3 images, 0 are labelled good and 3 defective.",
        ),
        (
            set_of(3, 0),
            "No image is labelled defective: what is missed cannot be measured.",
            "of 3 images, 3 are labelled good and 0 defective.",
        ),
        (
            set_of(0, 0, 3),
            "of 3 unlabelled images flagged; right or wrong cannot be told.",
            "of 3 images, 0 are labelled good and 0 defective.",
        ),
        ([], "No image was evaluated.", "of 0 images, 0 are labelled good and 0 defective."),
    ],
    ids=["defective only", "good only", "no labels", "nothing"],
)
def test_page__says_what_one_class_cannot_show(
    images: list[ScoredImage], sentence: str, reason: str, tmp_path: Path
) -> None:
    page = HtmlReport().write(run_of(images), tmp_path).read_text(encoding="utf-8")

    assert sentence in words(page)
    assert f"Curves need good and defective images; {reason}" in words(page)
    assert page.count("<article") == len(images)
    assert Reader(page).open == []


def test_page__makes_no_promise_where_the_rule_makes_none(tmp_path: Path) -> None:
    run = run_of(set_of(2, 2), decisions={"ensemble": Decision("maximum", THRESHOLD, math.inf, None, 40)})
    page = HtmlReport().write(run, tmp_path).read_text(encoding="utf-8")

    assert "This rule promises nothing about fresh good images." in words(page)
    assert '" d=""/></g><use class="outline"' in page


def test_page__says_when_a_promise_is_broken(tmp_path: Path) -> None:
    alarms = [scored(n, False, flagged=True) for n in range(10)]
    page = HtmlReport().write(run_of(alarms), tmp_path).read_text(encoding="utf-8")

    assert "The promise is not kept here:" in words(page)
    assert "10 of 10, that is 100.0 % (95 % interval 72.2 % to 100.0 %)" in words(page)


def test_page__leaves_no_part_behind_when_making_it_fails(tmp_path: Path) -> None:
    def gone() -> np.ndarray:
        raise RuntimeError("no memory for map 2")

    (tmp_path / "report.html").write_text("the one before")
    with pytest.raises(RuntimeError, match=r"^no memory for map 2$"):
        HtmlReport().write(run_of([scored(1, True), scored(2, False, score_map=gone)]), tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "the one before"


def test_page__holds_one_image_at_a_time() -> None:
    read: list[int] = []

    def noting(number: int, photograph: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
        return lambda: (read.append(number), photograph())[1]

    images = [dataclasses.replace(i, photograph=noting(n, i.photograph)) for n, i in enumerate(set_of(2, 2))]
    studio = Studio(colour_scale(images, 0.9), 0.9, 64, 80, Path(), members={}, detail=64, room=50_000)
    made = cards(ranked(images), studio)

    assert read == []
    next(made)
    assert len(read) == 1


def test_cards__of_200_images_with_three_members_stay_under_150_kilobytes() -> None:
    rng = np.random.default_rng(0)
    grain = rng.integers(0, 256, (1024, 1024, 3), dtype=np.uint8)  # white noise: nothing compresses worse
    noise = rng.normal(size=(1024, 1024)).astype(np.float32)
    rough = cv2.GaussianBlur(noise, (0, 0), 4)
    members = {member: lambda: noise for member in ("a", "b", "c")}
    image = scored(
        0,
        True,
        photograph=lambda: grain,
        score_map=lambda: rough,
        truth=lambda: rough > 1,
        member_maps=members,
        reconstructions={"a": lambda: grain},
    )
    run = run_of([image], decisions={"ensemble": Decision("maximum", THRESHOLD, 0.0, None, 40)})
    studio = Studio(
        colour_scale(run.images, 0.0),
        0.0,
        320,
        80,
        Path(),
        member_scales(run),
        detail=512,
        room=room_for(200),
    )
    environment, card = _environment(), studio.card(1, image)
    macro = environment.get_template("card.html").module.card_of  # type: ignore[attr-defined]

    assert [map.member for map in card.member_maps] == ["a", "b", "c"]
    assert len(macro(card, run.decisions["ensemble"]).encode()) < 150_000
    assert 200 * 150_000 <= 30e6


def test_options__are_checked() -> None:
    with pytest.raises(ConfigError, match=r"^html: unknown option 'thumbnails'; did you mean 'thumbnail'\?"):
        HtmlReport.from_options({"thumbnails": 100})


# The verdict


def test_observed__is_the_wilson_interval() -> None:
    images = [scored(n, False, flagged=n < 3) for n in range(60)]
    rate = observed(images, promise=0.05)

    # Wilson (1927) by hand: centre (p + z²/2n) / (1 + z²/n), half width z/(1 + z²/n) √(p(1-p)/n + z²/4n²)
    z, n, p = 1.959964, 60, 0.05
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert rate is not None
    assert rate.value == p
    assert rate.low == pytest.approx((centre - half) / (1 + z * z / n), abs=1e-6)
    assert rate.high == pytest.approx((centre + half) / (1 + z * z / n), abs=1e-6)
    assert not rate.broken
    assert observed(images, promise=0.01).broken  # type: ignore[union-attr]


def test_rows__marks_the_best_as_written_and_the_undefined() -> None:
    metrics = {
        "ensemble": {"image_auroc": 0.98761, "false_alarm_rate": 0.02},
        "members": {
            "b": {"image_auroc": 0.98759, "false_alarm_rate": 0.01},
            "a": {"image_auroc": None, "false_alarm_rate": math.nan, "pixel_ap": 0.5},
            "c": {"image_auroc": 0.9, "false_alarm_rate": 0.02, "pixel_ap": 0.5},
        },
    }
    table = dict(scorers_table(metrics).rows)

    assert list(table) == ["ensemble", "a", "b", "c"]
    assert [cells[0].best for cells in table.values()] == [True, False, True, False]
    assert [cells[5].best for cells in table.values()] == [False, False, True, False]
    assert [(cells[0].text, cells[0].undefined) for cells in table.values()][1] == ("–", True)
    assert not any(cell.best for cells in table.values() for cell in cells[1:5])


# The curves and the histogram


def test_curves__have_the_areas_scikit_learn_finds() -> None:
    images = set_of(12, 8)
    labels = [i.defective for i in images]
    drawn = {curve.scorer: curve for curve in curves(images, {})}

    assert list(drawn) == ["ensemble", "draem", "stfpm"]
    for scorer, curve in drawn.items():
        scores = [i.scores[scorer] for i in images]
        assert area_under(curve.roc) == pytest.approx(roc_auc_score(labels, scores), abs=1e-3)
        assert area_under(curve.precision_recall) == pytest.approx(
            average_precision_score(labels, scores), abs=1e-3
        )


def area_under(polyline: str) -> float:
    """The trapezoidal area under SVG points in a square of 300 with y downwards."""
    xy = np.array([[float(v) for v in point.split(",")] for point in polyline.split()]) / 300
    height = 1 - xy[:, 1]
    return float((np.diff(xy[:, 0]) * (height[1:] + height[:-1]) / 2).sum())


def test_operating_point__is_strictly_above_the_threshold() -> None:
    scores, labels = np.array([0.9, 0.7, 0.5, 0.5, 0.1]), np.array([True, False, True, True, False])

    assert operating_point(scores, labels, 0.5) == ((150.0, 200.0), (100.0, 150.0))
    assert operating_point(scores, labels, 0.9) == ((0.0, 300.0), None)


def test_points__of_a_long_curve_stay_few() -> None:
    straight = np.linspace(0, 1, 100_000)

    assert len(points(straight, np.zeros_like(straight)).split()) <= 3001


def test_staircase__goes_right_at_the_new_precision() -> None:
    x, y = staircase(np.array([0.0, 0.5, 1.0]), np.array([1.0, 1.0, 0.6]))

    assert x.tolist() == [0, 0, 0.5, 0.5, 1]
    assert y.tolist() == [1, 1, 1, 0.6, 0.6]


def test_histogram__counts_each_image_once_and_places_the_threshold() -> None:
    images = [scored(n, n >= 6, scores={"ensemble": float(n)}) for n in range(11)]
    drawn = histogram(images, 5.0)

    assert drawn is not None
    good, defective = drawn.groups
    assert (good.key, good.total, sum(b.count for b in good.bars)) == ("good", 6, 6)
    assert (defective.key, defective.total, sum(b.count for b in defective.bars)) == ("defective", 5, 5)
    assert drawn.threshold == 0.5
    assert not drawn.axis.logarithmic
    for group in drawn.groups:
        assert sum(b.share for b in group.bars) == pytest.approx(1)


def test_axis__turns_logarithmic_for_a_long_tail_only() -> None:
    tail = Axis.around(np.array([1.0, 2.0, 2.0, 1000.0]))

    assert tail.logarithmic
    assert tail.place(math.sqrt(1000)) == pytest.approx(0.5)
    assert tail.value(0.5) == pytest.approx(math.sqrt(1000))
    assert tail.ticks() == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    assert not Axis.around(np.array([-1.0, 2.0, 2.0, 1000.0])).logarithmic
    assert Axis.around(np.array([3.0, 3.0])).place(3.0) == 0.5


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3e-7, 8e-7), (99.5, 100.5), (-4000, 12345)])
def test_round_numbers__are_a_few_within_the_range(low: float, high: float) -> None:
    numbers = round_numbers(low, high)

    assert 3 <= len(numbers) <= 7
    assert all(low <= n <= high for n in numbers)


# The gallery


def test_chosen__keeps_mistakes_then_what_is_nearest_to_the_threshold() -> None:
    values = {"a": 9.0, "b": 5.2, "c": 4.9, "d": 1.0, "missed": 0.5}
    images = [
        scored(n, name == "missed" or value > 5, name=name, scores={"ensemble": value}, flagged=value > 5)
        for n, (name, value) in enumerate(values.items())
    ]

    shown = chosen(ranked(images), 5.0, 3)

    assert [(rank, image.id) for rank, image in shown] == [(2, "b"), (3, "c"), (5, "missed")]


def test_page__says_how_many_images_it_leaves_out(tmp_path: Path) -> None:
    page = HtmlReport(HtmlReport.Params(gallery=3)).write(run_of(set_of(4, 4)), tmp_path).read_text("utf-8")

    assert "Shown are 3 of 8 images" in words(page)
    assert page.count("<article") == 3
    assert {a["href"] for a in Reader(page).all("a") if a["href"].startswith("#image-")} <= {
        f"#{a['id']}" for a in Reader(page).all("article")
    }


def test_colour_scale__is_fixed_by_the_run_not_by_an_image() -> None:
    def flat(value: float) -> Callable[[], np.ndarray]:
        return lambda: np.full((4, 6), value, np.float32)

    images = [scored(n, v > 3, score_map=flat(v)) for n, v in enumerate((1.0, 2.0, 3.0, 8.0, 8.0))]
    scale = colour_scale(images, 4.0)

    assert (scale.low, scale.high, scale.threshold) == (2.0, 8.0, 4.0)
    assert (scale.low_from, scale.high_from) == ("good", "defective")
    first, middle, last = palette()[scale.levels(np.array([[-9.0, 4.0, 99.0]], np.float32))[0]]
    assert first.tolist() == [68, 1, 84]  # viridis from dark violet
    assert last.tolist() == [253, 231, 37] or last.tolist() == [253, 231, 36]  # to yellow
    assert middle == pytest.approx([33, 145, 140], abs=3)


@pytest.mark.parametrize(("threshold", "ends"), [(10.0, (2.0, 18.0)), (1.0, (-6.0, 8.0)), (5.0, (2.0, 8.0))])
def test_colour_scale__always_has_the_threshold_in_the_middle(
    threshold: float, ends: tuple[float, float]
) -> None:
    images = [
        scored(n, v > 3, score_map=lambda v=v: np.full((4, 6), v, np.float32))
        for n, v in enumerate((2.0, 8.0))
    ]
    scale = colour_scale(images, threshold)

    assert (scale.low, scale.high) == ends
    at, above = scale.levels(np.array([[threshold, np.nextafter(np.float32(threshold), 99)]], np.float32))[0]
    assert (at, above) == (128, 128)
    low, high = (scale.low + threshold) / 2, (scale.high + threshold) / 2
    assert scale.levels(np.array([[low, high]], np.float32))[0].tolist() == [64, 192]


def test_colour_scale__stands_on_a_flat_run() -> None:
    images = [scored(n, None, score_map=lambda: np.zeros((4, 6), np.float32)) for n in range(2)]
    scale = colour_scale(images, math.inf)

    assert (scale.low, scale.high, scale.low_from, scale.high_from) == (0.0, 1.0, "all", "all")
    assert scale.threshold is None


def test_levels__are_above_a_step_exactly_when_the_score_is() -> None:
    scale = ColourScale(-1.0, 4.1, "good", "defective", None)
    scores = np.random.default_rng(0).uniform(-2, 5, (40, 50)).astype(np.float32)
    levels = scale.levels(scores)

    for step in (0, 1, 100, 254):
        assert ((levels > step) == (scores > -1.0 + step * 5.1 / 255)).all()
    assert len({tuple(colour) for colour in palette().tolist()}) == 256


def test_level_maps__are_read_back_as_they_were() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)
    shown = cv2.imdecode(np.frombuffer(png(levels, palette()), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]

    assert (shown == palette()[levels]).all()


EVEN = ColourScale(0.0, 255.0, "all", "all", None)
"""A score is its own level."""


def read_levels(uri: str) -> np.ndarray:
    """(H, W) levels of a map, told by its colours."""
    file = base64.b64decode(uri.partition(",")[2])
    shown = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    level = {tuple(colour): place for place, colour in enumerate(palette().tolist())}
    return np.array([level[tuple(c)] for c in shown.reshape(-1, 3).tolist()]).reshape(shown.shape[:2])


def test_level_maps__of_mere_noise_are_coarsened_upwards() -> None:
    scores = np.random.default_rng(0).integers(0, 256, (220, 220)).astype(np.float32)
    uri = level_map_uri(scores, EVEN, (220,), 48_000)
    read = read_levels(uri)

    assert len(uri) <= 48_000
    assert (read >= scores).all()
    assert (read - scores).max() in range(1, 16)


def test_level_maps__are_as_detailed_as_there_is_room_for() -> None:
    rng = np.random.default_rng(0)
    smooth = 127 + 60 * cv2.GaussianBlur(rng.normal(size=(400, 600)), (0, 0), 20).astype(np.float32)
    noise = rng.integers(0, 256, (400, 600)).astype(np.float32)

    assert read_levels(level_map_uri(smooth, EVEN, (600, 300), 200_000)).shape == (400, 600)
    assert read_levels(level_map_uri(noise, EVEN, (600, 300), 200_000)).shape == (200, 300)
    for most in (30_000, 8_000, 4_000):
        uri = level_map_uri(noise, EVEN, (600, 300), most)
        assert len(uri) <= most
        assert read_levels(uri).max() == 255  # its peaks stay


def test_shrinking__keeps_a_single_hot_pixel_wherever_it_is() -> None:
    for row, column in ((0, 0), (522, 1023), (521, 7), (300, 640)):
        scores = np.zeros((523, 1024), np.float32)
        scores[row, column] = 7
        small = shrink_keeping_peaks(scores, 320)

        assert small.shape == (163, 320)
        assert np.count_nonzero(small) == 1
        where = np.argwhere(small)[0]
        assert np.abs(where - np.array([row, column]) * 320 / 1024).max() < 1.5


def test_regions__are_counted_at_full_size_and_drawn_where_they_are() -> None:
    mask = np.zeros((100, 200), bool)
    mask[10:20, 100:140] = True
    mask[90, 3] = True
    marked = regions(mask, 100)

    assert (marked.count, marked.share) == (2, 401 / 20000)
    subpaths = [
        np.array(re.findall(r"-?\d+", s), int).reshape(-1, 2).cumsum(axis=0)
        for s in marked.path.split("M")[1:]
    ]
    boxes = sorted((s.min(axis=0).tolist(), s.max(axis=0).tolist()) for s in subpaths)
    assert boxes == [([1, 45], [1, 45]), ([50, 5], [69, 9])]  # x, y at half size


def test_regions__of_nothing_have_no_path() -> None:
    assert regions(np.zeros((9, 9), bool), 100).path == ""


def test_jpeg_uri__becomes_coarser_and_then_smaller_to_fit() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    sizes = []
    for most in (None, 40_000, 5_000):
        uri = jpeg_uri(noise, 80, most)
        assert most is None or len(uri) <= most
        data = np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8)
        sizes.append(cv2.imdecode(data, cv2.IMREAD_COLOR).shape)

    assert sizes[:2] == [(200, 300, 3)] * 2
    assert sizes[2] < sizes[1]


def test_jpeg_uri__keeps_red_red() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    data = base64.b64decode(jpeg_uri(red, 90).partition(",")[2])
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]

    assert shown[8, 8] == pytest.approx([200, 0, 0], abs=6)


# In a browser


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium to lay the page out")
def test_page__is_laid_out_by_a_browser_with_a_red_outline(tmp_path: Path) -> None:
    shape = (200, 300)
    square = np.zeros(shape, np.float32)
    square[60:140, 90:210] = 5
    square[180, 20] = 5  # a lone pixel must be seen too
    grey = np.full((*shape, 3), 128, np.uint8)
    image = scored(1, True, photograph=lambda: grey, score_map=lambda: square, truth=lambda: square > 0)
    path = HtmlReport().write(run_of([image]), tmp_path)
    picture = screenshot(path, tmp_path / "shot.png")

    red = np.abs(picture.astype(int) - [0xE3, 0x00, 0x1B]).max(axis=2) < 8
    pieces = cv2.connectedComponentsWithStats(red.astype(np.uint8))[2][1:]
    largest = pieces[pieces[:, cv2.CC_STAT_AREA].argmax()]
    left, top, width, height = (int(v) for v in largest[:4])
    assert width > 60
    assert width / height == pytest.approx(120 / 80, rel=0.05)
    x, y = left + (20 - 90) * width // 120, top + (180 - 60) * width // 120
    dot = picture[y - 3 : y + 4, x - 3 : x + 4].astype(int)
    assert (dot[..., 0] - dot[..., 1]).max() > 100


def screenshot(page: Path, target: Path) -> np.ndarray:
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-sync",
    ]
    options += ["--disable-background-networking", "--disable-component-update", "--window-size=1200,2600"]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    subprocess.run(
        ["chromium", *options, profile, f"--screenshot={target}", page.as_uri()],
        check=True,
        capture_output=True,
        timeout=90,
    )
    return cv2.imread(str(target))[..., ::-1]


# What the block's components explain


def falling(count: int, total: float) -> tuple[float, ...]:
    """Shares that halve from one component to the next and sum to `total`."""
    shares = 0.5 ** np.arange(count)
    return tuple(float(share) for share in total * shares / shares.sum())


def each(**counts: int) -> tuple[Explained, ...]:
    """The spectra of an independent block."""
    return tuple(
        Explained(member, 100, falling(count, 0.9), {member: (1.0,) * count})
        for member, count in counts.items()
    )


def together(count: int) -> tuple[Explained, ...]:
    """The spectrum of a global block over two members."""
    own = tuple(np.linspace(0.8, 0.2, count).tolist())
    others = tuple(1 - share for share in own)
    return (Explained("all members", 100, falling(count, 0.95), {"draem": own, "stfpm": others}),)


def test_explained__the_line_climbs_to_what_is_kept() -> None:
    figure = explained_figure((Explained("stfpm", 3, (0.5, 0.3, 0.1), {"stfpm": (1.0, 1.0, 1.0)}),))

    assert figure is not None
    (spectrum,) = figure.spectra
    assert spectrum.points == "0.0,300.0 100.0,150.0 200.0,60.0 300.0,30.0"
    assert spectrum.end == (300.0, 30.0)
    assert (spectrum.kept, spectrum.channels) == (3, 3)
    assert spectrum.total == pytest.approx(0.9)
    assert figure.ticks == ((100.0, 1), (200.0, 2), (300.0, 3))
    assert figure.shares is None


def test_explained__a_shorter_line_ends_earlier_on_the_same_axis() -> None:
    figure = explained_figure(each(draem=5, stfpm=20))

    assert figure is not None
    assert [s.end[0] for s in figure.spectra] == [75.0, 300.0]
    assert [s.colour for s in figure.spectra] == [1, 2]  # as members in the curves, after the ensemble


def test_explained__bars_are_stacked_to_the_top() -> None:
    figure = explained_figure(together(4))

    assert figure is not None
    assert figure.shares is not None
    assert figure.spectra[0].colour == 0
    first = figure.shares.bars[0]
    assert [(p.member, p.colour, p.y, p.height) for p in first.parts] == [
        ("draem", 1, pytest.approx(60), pytest.approx(240)),
        ("stfpm", 2, pytest.approx(0, abs=1e-9), pytest.approx(60)),
    ]
    assert [(bar.number, bar.x, bar.width) for bar in figure.shares.bars] == [
        (i + 1, 75.0 * i, 75.0) for i in range(4)
    ]


def test_explained__many_components_are_cut_off_and_said_so(tmp_path: Path) -> None:
    run = run_of(set_of(2, 2), explained=together(MOST_BARS + 6))
    figure = explained_figure(run.explained)

    assert figure is not None
    assert figure.shares is not None
    assert (len(figure.shares.bars), figure.shares.hidden) == (MOST_BARS, 6)
    page = HtmlReport().write(run, tmp_path).read_text(encoding="utf-8")
    assert "The last 6 components are not drawn." in words(page)


@pytest.mark.parametrize("most", [1, 2, 6, 7, 64, 100, 999])
def test_round_counts__are_few_and_within(most: int) -> None:
    counts = round_counts(most)

    assert 1 <= len(counts) <= 6
    assert len({b - a for a, b in itertools.pairwise(counts)}) <= 1
    assert counts[-1] <= most < 2 * counts[-1] + counts[0]


def test_page__shows_what_components_explain_in_words_too(tmp_path: Path) -> None:
    run = run_of(set_of(3, 2), explained=each(draem=5, stfpm=20))
    page = HtmlReport().write(run, tmp_path).read_text(encoding="utf-8")
    reader = Reader(page)

    labels = [str(svg.get("aria-label")) for svg in reader.all("svg")]
    expected = (
        "Cumulative explained variance; draem: 5 of 100 components explain 90.0\xa0%; "
        "stfpm: 20 of 100 components explain 90.0\xa0%"
    )
    assert expected in labels
    assert not any(label.startswith("Shares of") for label in labels)
    assert reader.open == []
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in reader.all("svg"))
    assert "#explained" in [a["href"] for a in reader.all("a")]


def test_page__shows_whose_channels_a_shared_component_is_made_of(tmp_path: Path) -> None:
    page = (
        HtmlReport().write(run_of(set_of(3, 2), explained=together(8)), tmp_path).read_text(encoding="utf-8")
    )

    assert "Shares of draem, stfpm in the first 8 components" in page
    assert "<title>component 1 (47.7\xa0% of the variance): draem 80.0\xa0%</title>" in page
    assert Reader(page).open == []


def test_page__without_components_has_no_such_section(page: str) -> None:
    assert "explained" not in page


def prepared_by(*steps: str) -> Callable[[], Iterator[PreparedImage]]:
    """An image before and after each of some steps."""

    def images() -> Iterator[PreparedImage]:
        for number, step in enumerate(steps):
            before = texture(np.random.default_rng(number), (HEIGHT, WIDTH))
            comparison = Comparison(before, before // 2, f"{number} < 7 moved", f"How {step} is read.")
            yield PreparedImage(step, f"hide {number}.png", comparison)

    return images


def test_prepared__shows_each_pair_and_how_to_read_it(tmp_path: Path) -> None:
    run = run_of(set_of(2, 2), prepared=prepared_by("registration", "light", "light"))
    text = HtmlReport().write(run, tmp_path).read_text(encoding="utf-8")

    section = text[text.index('<section id="prepared"') : text.index('<section id="images"')]
    pictures = re.findall(r'<img src="(data:image/jpeg;base64,[^"]+)" width="180" height="120"', section)
    assert len(pictures) == 6
    assert "How registration is read. How light is read.</p>" in section
    assert "<b>hide 1.png</b>, before and after light: 1 &lt; 7 moved" in section
    assert '<a href="#prepared">Preparation</a>' in text


def test_prepared__without_a_preparation_there_is_no_section(page: str) -> None:
    assert "#prepared" not in page
    assert 'id="prepared"' not in page

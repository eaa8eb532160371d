"""The report's gallery in a real browser: members' maps, zoom and pan, full size, filters and the address."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
from test_html_report import Reader, run_of, scored, words
from test_report_in_browser import browser, shown  # noqa: F401 - browser is a fixture

from leatherens.core.errors import InputError
from leatherens.core.photographs import read_photograph
from leatherens.core.reporting import Decision, RunView, ScoredImage
from leatherens.plugins.html_report import HtmlReport
from leatherens.plugins.html_report.card import Studio, room_for
from leatherens.plugins.html_report.choices import choices
from leatherens.plugins.html_report.colours import colour_scale, member_scales
from leatherens.plugins.html_report.full_size import FullSize, full_size

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVIL = "<script>document.title='lost'</script>\"&'#%"
MEMBERS = ("draem", "stfpm", f"x:{EVIL}")
UNITS = {member: 4.0**power for power, member in enumerate(MEMBERS)}
"""Members count in units of their own."""
NAMES = ("hide #1 100%20?.png", "a & \"b\" <i>'c'.png", "plain.png", "gone.png", "broken.png", "large.tif")
VIEWS = ("top", "left & right", EVIL)
SIZE = (60, 90)
LARGE = (240, 360)
GREEN = (20, 200, 30)


def heat(number: int, unit: float) -> np.ndarray:
    """A hot square on a little noise, in some unit."""
    scores = np.random.default_rng(number).normal(1, 0.1, SIZE)
    scores[20:40, 30:60] += 2 * (number % 2)
    return (unit * scores).astype(np.float32)


def image(folder: Path, number: int, name: str) -> ScoredImage:
    """A green photograph on disk; every second image is defective."""
    path = folder / name
    if not path.exists():
        cv2.imencode(path.suffix, np.full((*LARGE, 3), GREEN[::-1], np.uint8))[1].tofile(path)
    value = 0.5 + 0.2 * number
    return scored(
        number,
        number % 2 == 1,
        name=name,
        shape=SIZE,
        defect=("good", f"hole {EVIL}")[number % 2],
        scores={"ensemble": value, **{member: value * unit for member, unit in UNITS.items()}},
        flagged=value > 1,
        photograph=partial(read_photograph, path),
        score_map=partial(heat, number, 1.0),
        member_maps={member: partial(heat, number, unit) for member, unit in UNITS.items()},
        view=VIEWS[number % 3],
        path=path,
    )


def run_on(folder: Path) -> RunView:
    """Six images of three views by three members."""
    decisions = {"ensemble": Decision("conformal", 1.0, 1.5, 0.1, 9)}
    decisions |= {member: Decision("conformal", unit, 2 * unit, 0.1, 9) for member, unit in UNITS.items()}
    metrics = {"ensemble": {"image_auroc": 0.9}, "members": {m: {"image_auroc": 0.8} for m in MEMBERS}}
    images = [image(folder, number, name) for number, name in enumerate(NAMES)]
    return run_of(images, decisions=decisions, metrics={**metrics, "definitions": {}})


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Beside its photographs, two of which were spoilt after they were scored."""
    root = tmp_path_factory.mktemp("gallery")
    for name in ("data & more", "run"):
        (root / name).mkdir()
    run = run_on(root / "data & more")
    (root / "data & more" / "gone.png").unlink()
    (root / "data & more" / "broken.png").write_bytes(b"no picture")
    return HtmlReport().write(run, root / "run")


@pytest.fixture
def opened(browser: Browser, report: Path) -> Iterator[Callable[..., Page]]:  # noqa: F811
    """Opens the report, also with an address; whatever the console complains of fails the test."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    complaints: list[str] = []

    def open_page(address: str = "", path: Path = report) -> Page:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri() + address)
        return page

    yield open_page
    context.close()
    assert complaints == []


def enlarge(page: Page, name: str) -> None:
    page.locator("#gallery article", has=page.locator("h3", has_text=name)).locator(".enlarge").click()
    page.wait_for_selector("#lightbox[open]")


def lie(page: Page) -> list[float]:
    """How all pictures that are shown side by side lie: moved in percent to the right and down, scale."""
    every = page.locator("#stage .frame > *").evaluate_all("all => all.map((one) => one.style.transform)")
    assert len(every) >= 4
    (only,) = set(every)
    return [float(number) for number in re.findall(r"-?[\d.]+(?:e-?\d+)?", only)]


# Members' maps


def test_members_maps__are_asked_for_and_hold_for_the_whole_gallery(opened: Callable[..., Page]) -> None:
    page = opened()
    first = page.locator("#gallery article").first
    visible = "figures => figures.filter((one) => one.getClientRects().length).length"

    assert first.locator("figure").evaluate_all(visible) == 4
    assert page.locator("#filters .layers label").all_inner_texts()[2:5] == [f"map of {m}" for m in MEMBERS]
    page.locator("#filters [value=member-0]").check()
    page.locator("#filters [value=member-2]").check()
    assert page.locator("#gallery figure:visible", has_text="draem alone").count() == len(NAMES)
    assert page.locator("#gallery figure:visible", has_text="stfpm alone").count() == 0
    assert first.locator("figure").evaluate_all(visible) == 6

    enlarge(page, "plain.png")
    assert page.locator("#stage figure:visible").count() == 6
    page.locator("#lightbox [value=member-1]").check()
    page.locator("#lightbox [value=truth]").uncheck()
    assert page.locator("#stage figure:visible", has_text="stfpm alone").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("#gallery figure:visible", has_text="stfpm alone").count() == len(NAMES)
    assert not page.locator("#filters [value=truth]").is_checked()


def test_members_maps__have_the_same_colours_in_units_of_their_own(tmp_path: Path) -> None:
    run = run_on(tmp_path)
    scales = member_scales(run)
    studio = Studio(
        colour_scale(run.images, 1.5), 1.5, 320, 80, tmp_path, scales, detail=320, room=room_for(6)
    )
    card = studio.card(1, run.images[1])

    assert [(m.member, m.key) for m in card.member_maps] == [
        (member, f"member-{number}") for number, member in enumerate(MEMBERS)
    ]
    assert [scales[member].threshold for member in MEMBERS] == [2.0, 8.0, 32.0]
    assert card.member_maps[0].uri == card.member_maps[2].uri != card.score_map.uri
    assert card.member_maps[2].peak == pytest.approx(16 * card.member_maps[0].peak)


def test_members_maps__of_one_without_a_decision_or_a_map_are_shown_as_far_as_there_are_any() -> None:
    one = scored(1, True, member_maps={"draem": partial(heat, 1, 1.0)})
    run = run_of([one, scored(2, False)], decisions={"ensemble": Decision("maximum", 1.0, 0.9, None, 9)})
    scales = member_scales(run)

    assert {member: found.threshold for member, found in scales.items()} == {"draem": None}
    assert [layer.key for layer in choices(run.images, list(scales)).layers if not layer.shown] == [
        "member-0"
    ]


def test_members_maps__are_all_shown_without_script(browser: Browser, report: Path) -> None:  # noqa: F811
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())

    assert page.locator("#gallery figure:visible", has_text="draem alone").count() == len(NAMES)
    context.close()


def test_members_maps__of_a_run_are_there_where_several_members_were_fused(pair: Path, alone: Path) -> None:
    text, single = ((run / "report.html").read_text(encoding="utf-8") for run in (pair, alone))
    cards = text.split("<article")[1:]

    assert cards
    for member in ("stfpm", "draem"):
        assert all(card.count(f"<figcaption>{member} alone, up to ") == 1 for card in cards)
    assert " alone, up to " not in single
    links = [article["data-full"] for article in Reader(text).all("article")]
    assert all((pair / unquote(str(link))).is_file() for link in links)


# Zoom, pan and full size


def test_zoom__moves_all_pictures_together(opened: Callable[..., Page]) -> None:
    page = opened()
    enlarge(page, "plain.png")
    box = page.locator("#stage .frame").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 4

    page.mouse.dblclick(x, y)
    assert lie(page) == pytest.approx([-50, -50, 3], abs=1)  # what was pointed at stays there
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - box["width"] / 10, y - box["height"] / 5)
    page.mouse.up()
    assert lie(page) == pytest.approx([-60, -70, 3], abs=1)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    assert lie(page) == pytest.approx([-50, -60, 3], abs=1)
    page.mouse.wheel(0, -300)
    page.wait_for_function("() => document.querySelector('.frame > *').style.transform.includes('scale(8')")
    assert lie(page)[2] == pytest.approx(3 * np.e, abs=1e-3)
    page.keyboard.press("-")
    assert lie(page)[2] == pytest.approx(2 * np.e, abs=1e-3)
    page.mouse.dblclick(x, y)
    assert lie(page) == pytest.approx([0, 0, 1], abs=1)

    page.keyboard.press("ArrowRight")  # not zoomed: the next image
    page.wait_for_function("() => !document.getElementById('lightbox-title').textContent.includes('plain')")
    assert page.evaluate("getSelection().toString()") == ""


def test_zoom__follows_two_fingers(browser: Browser, report: Path) -> None:  # noqa: F811
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(report.as_uri())
    enlarge(page, "plain.png")
    box = page.locator("#stage .frame").first.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    touch = context.new_cdp_session(page)

    def fingers(kind: str, *shares: float) -> None:
        points = [
            {"x": box["x"] + share * box["width"], "y": middle, "id": n} for n, share in enumerate(shares)
        ]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", 0.4)
    fingers("touchStart", 0.4, 0.6)
    for apart in (0.15, 0.2):
        fingers("touchMove", 0.5 - apart, 0.5 + apart)
    fingers("touchEnd")
    page.wait_for_function("() => document.querySelector('.frame > *').style.transform.includes('scale(2')")
    assert lie(page)[2] == pytest.approx(2, abs=0.02)
    assert lie(page)[0] == pytest.approx(-50, abs=2)
    context.close()


def test_full_size__is_fetched_when_asked_for_and_drawn_in_both_places(opened: Callable[..., Page]) -> None:
    page = opened()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for name in NAMES[:3]:
        enlarge(page, name)
        assert not any(url.startswith("file:") for url in asked)
        page.keyboard.press("f")
        page.wait_for_function("() => document.getElementById('full-told').textContent.includes('pixels')")
        assert page.locator("#full-told").inner_text() == f"../data & more/{name}, 360 × 240 pixels."
        drawn = page.locator("#stage image")
        assert drawn.count() == 1
        assert unquote(str(drawn.get_attribute("href"))).endswith(f"data & more/{name}")
        assert page.locator("#stage use").first.get_attribute("href") == "#" + str(drawn.get_attribute("id"))
        page.keyboard.press("Escape")
        asked.clear()


def test_full_size__comes_with_zooming_and_stays_for_the_next_image(opened: Callable[..., Page]) -> None:
    page = opened("#images?order=name&text=e+%231")
    enlarge(page, NAMES[0])
    assert "F fetches the photograph" in page.locator("#full-told").inner_text()
    page.keyboard.press("+")
    page.wait_for_function("() => document.getElementById('full-told').textContent.includes('pixels')")


def test_full_size__of_a_photograph_that_moved_leaves_the_small_one(
    browser: Browser,  # noqa: F811
    report: Path,
    tmp_path: Path,
) -> None:
    moved = tmp_path / "mailed.html"
    shutil.copy(report, moved)
    page = browser.new_page()
    page.goto(moved.as_uri())
    enlarge(page, "plain.png")
    small = page.locator("#stage image").get_attribute("href")
    page.keyboard.press("f")
    page.wait_for_function("() => document.getElementById('full-told').textContent.includes('looked for')")

    assert (
        "looked for at ../data & more/plain.png and is not there" in page.locator("#full-told").inner_text()
    )
    assert page.locator("#stage image").get_attribute("href") == small
    assert str(small).startswith("data:image/jpeg")
    page.close()


def test_full_size__of_a_tiff_is_not_tried(opened: Callable[..., Page]) -> None:
    page = opened()
    enlarge(page, "large.tif")
    page.locator("#full-size").click()

    assert page.locator("#full-told").inner_text() == (
        "No browser shows files like ../data & more/large.tif; the small picture remains."
    )


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/a/b/x.png", FullSize("x.png", "x.png")),
        (
            "/a/c d/x#%?\"'<>&.JPG",
            FullSize("../c%20d/x%23%25%3F%22%27%3C%3E%26.JPG", "../c d/x#%?\"'<>&.JPG"),
        ),
        ("/a/b/javascript:1.png", FullSize("javascript%3A1.png", "javascript:1.png")),
        ("/a/b/ü.webp", FullSize("%C3%BC.webp", "ü.webp")),
        ("/a/b/x.tiff", FullSize("", "x.tiff")),
    ],
)
def test_full_size__is_a_relative_link_that_holds_any_name(path: str, found: FullSize) -> None:
    assert full_size(Path(path), Path("/a/b")) == found
    assert full_size(None, Path("/a/b")) is None


def test_full_size__of_a_name_that_is_no_text_can_be_written() -> None:
    found = full_size(Path("/a/b/\udcff.png"), Path("/a/b"))

    assert found == FullSize("%FF.png", "�.png")


# Filters and the address


def test_filters__combine_and_survive_in_the_address(opened: Callable[..., Page]) -> None:
    page = opened()
    page.select_option("#view", label=EVIL)
    assert shown(page) == ["large.tif", NAMES[2]]
    page.select_option("#defect", label=f"hole {EVIL}")
    assert shown(page) == ["large.tif"]
    page.fill("#score-from", "1.2")
    page.select_option("#outcome", "found")
    page.locator("#filters [value=member-1]").check()
    page.locator("#filters [value=veil]").uncheck()
    page.wait_for_function("() => location.hash.includes('without=veil')")
    assert page.locator("#count").inner_text() == "1 of 6 images shown."
    chosen = page.evaluate("location.hash")

    again = opened(chosen)
    assert shown(again) == ["large.tif"]
    assert again.locator("#view").input_value() == f"is {EVIL}"
    assert again.locator("#filters [value=member-1]").is_checked()
    assert not again.locator("#filters [value=veil]").is_checked()
    again.fill("#score-to", "1.3")
    assert again.locator("#count").inner_text() == "0 of 6 images shown. None is as chosen; Clear shows all."
    again.locator("#filters [type=reset]").click()
    again.wait_for_function("() => !location.hash.includes('?')")
    assert len(shown(again)) == 6


def test_address__keeps_its_place_and_its_choice(opened: Callable[..., Page]) -> None:
    page = opened("#images?view=is+top")
    assert len(shown(page)) == 2
    page.locator("nav a", has_text="Table").click()
    page.wait_for_function("() => location.hash === '#table?view=is+top'")
    page.reload()
    assert len(shown(page)) == 2
    page.evaluate("location.hash = '#images?outcome=missed'")
    page.wait_for_function("() => document.getElementById('outcome').value === 'missed'")
    assert page.locator("#view").input_value() == "any"


def test_address__of_nonsense_is_let_be(opened: Callable[..., Page]) -> None:
    page = opened("#nowhere?order=up&view=is+none&score-from=x&with=member-9&?&%zz=%")

    assert len(shown(page)) == 6
    assert page.locator("#order").input_value() == "falling"


def test_choices__offer_views_where_there_are_several() -> None:
    both = choices([scored(1, True, view="A"), scored(2, True, view="B")])

    assert ("view", "view", ["A", "B"]) in both.kinds
    assert choices([scored(1, True, view="A"), scored(2, True, view="A")]).kinds == []


# Photographs and masks that are gone, and names of any kind


def test_card__of_a_photograph_that_cannot_be_read_says_so_and_shows_the_rest(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    told = words(text)

    for name in ("gone.png", "broken.png"):
        (card,) = [part for part in text.split("<article")[1:] if f"</span> {name}</h3>" in part]
        assert "The photograph could not be read when this report was written: " in card
        assert card.count("<figure") == 4 + len(MEMBERS)
        assert 'class="absent"' in card
    assert "gone.png: no such file" in told
    assert told.count("could not be read") == 2
    assert Reader(text).open == []


def test_card__of_a_mask_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    def gone() -> np.ndarray:
        raise InputError("mask <7>.png: no such file")

    text = HtmlReport().write(run_of([scored(1, True, truth=gone)]), tmp_path).read_text(encoding="utf-8")

    assert "The mask could not be read when this report was written: mask <7>.png: no such file" in words(
        text
    )
    assert ">mask not readable<" in text


def test_names__of_any_kind_stay_text_and_links(opened: Callable[..., Page], report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    assert text.count("<script") == 1  # our own
    assert EVIL not in text.partition("<body>")[2].partition("<script>")[0]

    page = opened()
    assert page.title() == "brown hide: leatherens report"
    for member in MEMBERS:
        assert page.locator("#gallery figcaption", has_text=f"{member} alone").count() == len(NAMES)
    links = page.locator("#gallery article").evaluate_all("all => all.map((one) => one.dataset.full)")
    assert sorted(unquote(link) for link in links) == sorted(
        ["", *(f"../data & more/{name}" for name in NAMES[:5])]
    )
    facts = page.evaluate("document.getElementById('controls').dataset.facts")
    assert "draem" not in json.dumps(json.loads(facts))


def test_outlines__of_a_map_with_more_detail_are_drawn_in_small_pixels(
    browser: Browser,  # noqa: F811
    tmp_path: Path,
) -> None:
    scores = np.full((640, 960), 0.2, np.float32)
    scores[160:320, 240:480] = 5.0
    one = scored(1, True, shape=scores.shape, name="square.png", score_map=lambda: scores)
    path = HtmlReport().write(run_of([one], recipe={"size": [640, 640]}), tmp_path)
    page = browser.new_page()
    page.goto(path.as_uri())
    picture = page.locator("#gallery [data-layer=map] img")
    page.locator("#gallery article").scroll_into_view_if_needed()
    assert picture.evaluate("(one) => one.decode().then(() => [one.naturalWidth, one.width > 0])") == [
        640,
        True,
    ]
    page.locator("#pixel-threshold").evaluate(
        "(input) => { input.value = 100; input.dispatchEvent(new Event('input')); }"
    )
    page.wait_for_function("() => document.querySelector('.told').textContent.includes('small picture')")

    outline = page.locator("path.predicted")
    box = outline.evaluate("(path) => { const b = path.getBBox(); return [b.x, b.y, b.width, b.height]; }")
    assert box == pytest.approx([79.5, 52.75, 80, 53.3], abs=0.7)  # 320 x 213 small pixels
    page.close()


def test_gallery__looks_well_with_many_maps_on_a_phone(browser: Browser, report: Path) -> None:  # noqa: F811
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(report.as_uri() + "#images?with=member-0&with=member-1&with=member-2")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    enlarge(page, "plain.png")

    assert page.locator("#stage figure:visible").count() == 7
    assert page.evaluate("document.getElementById('lightbox').scrollWidth") <= 390
    widths = page.locator("#stage .frame").evaluate_all("all => all.map((one) => one.clientWidth)")
    assert min(widths) > 150
    context.close()

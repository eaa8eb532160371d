"""The report's script in a real browser: sliders, gallery and keyboard do what they say, without an error."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from test_html_report import run_of, scored, set_of

from leatherens.core.reporting import ScoredImage
from leatherens.plugins.html_report import HtmlReport
from leatherens.plugins.html_report.verdict import rate

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
EVIL = '<img src=x onerror="document.title=1">&\'.png'
SHAPE = (120, 180)
SURE = {"ensemble": 9.0, "draem": 9.0, "stfpm": 9.0}


def square() -> np.ndarray:
    """A hot square, twice its surroundings' score and more: (H, W) float32."""
    scores = np.full(SHAPE, 0.2, np.float32)
    scores[30:70, 60:120] = 3.0
    scores[40:60, 70:90] = 6.0
    return scores


def images() -> list[ScoredImage]:
    """Twelve good, seven defective, one of them named by an enemy, and one with a known square."""
    plain = set_of(12, 6)
    evil = scored(18, True, name=EVIL, defect="<b>hole</b>", scores=SURE, flagged=True)
    known = scored(19, True, name="square.png", defect="cut", scores=SURE, flagged=True, score_map=square)
    return [*plain, evil, known]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium, as the system has it."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright to drive Chromium")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return HtmlReport().write(run_of(images()), tmp_path_factory.mktemp("browser"))


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    """The report just opened; whatever the console complains of fails the test."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(report.as_uri())
    yield page
    context.close()
    assert complaints == []


def slide(page: Page, which: str, value: float) -> None:
    page.locator(f"#{which}-threshold").evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", value
    )
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def cells(page: Page, label: str) -> list[str]:
    return page.locator(f"#outcomes-{label} td").all_inner_texts()


def test_image_slider__recounts_as_python_does(page: Page) -> None:
    before = {label: cells(page, label) for label in ("good", "defective")}
    slide(page, "image", 60)
    threshold = page.evaluate("JSON.parse(document.getElementById('controls').dataset.facts).axis")
    value = threshold["low"] + 0.06 * (threshold["high"] - threshold["low"])
    scores = {
        label: [i.scores["ensemble"] for i in images() if i.defective is label] for label in (False, True)
    }
    alarms, found = (sum(score > value for score in scores[label]) for label in (False, True))
    wrong = rate(alarms, 12)

    assert wrong is not None
    assert cells(page, "good") == [
        str(12 - alarms),
        str(alarms),
        f"{100 * wrong.value:.1f}\xa0%",
        f"{100 * wrong.low:.1f}\xa0% to {100 * wrong.high:.1f}\xa0%",
    ]
    assert cells(page, "defective")[:2] == [str(8 - found), str(found)]
    assert {label: cells(page, label) for label in before} != before
    assert page.locator("article.false-alarm .badge").all_text_contents() == ["! false alarm"] * alarms
    assert page.locator("#moved").is_visible()
    assert page.locator("#tried-roc").is_visible()
    assert page.locator("#tried-line").get_attribute("transform") == "translate(28.8 0)"

    page.locator("#reset").click()
    assert {label: cells(page, label) for label in before} == before
    assert not page.locator("#moved").is_visible()
    assert not page.locator("#tried-roc").is_visible()


def test_pixel_slider__draws_the_pixels_above_and_goes_back(page: Page) -> None:
    card = page.locator("article", has=page.locator("h3", has_text="square.png"))
    card.scroll_into_view_if_needed()
    outline, told = card.locator("path.predicted"), card.locator(".told")
    own = outline.get_attribute("d"), told.text_content()
    page.evaluate(
        """() => {
        document.getElementById('image-threshold').dispatchEvent(new Event('input'));
        const pixel = document.getElementById('pixel-threshold');
        pixel.value = 200;
        pixel.dispatchEvent(new Event('input'));
        }"""  # both before the screen shows either
    )
    page.wait_for_function("(told) => told.textContent.includes('small picture')", arg=told.element_handle())

    assert told.text_content() == f"{100 * 60 * 40 / (120 * 180):.1f}\xa0% of the small picture"
    box = outline.evaluate("(path) => { const b = path.getBBox(); return [b.x, b.y, b.width, b.height]; }")
    assert box == [59.5, 29.5, 60, 40]

    page.locator("#pixel-threshold").focus()
    page.keyboard.press("End")
    page.locator("#reset").click()
    page.wait_for_function("(path) => !path.closest('article').dataset.level", arg=outline.element_handle())
    assert (outline.get_attribute("d"), told.text_content()) == own


def shown(page: Page) -> list[str]:
    """Names of the images shown, in order."""
    names = page.locator("#gallery article:not([hidden]) h3").all_text_contents()
    return [name.partition(" ")[2].strip() for name in names]


def test_filters__choose_and_order_the_images(page: Page) -> None:
    assert page.locator("#count").inner_text() == "20 of 20 images shown."
    page.select_option("#defect", label="cut")
    assert shown(page) == ["square.png"]
    assert page.locator("#count").inner_text() == "1 of 20 images shown."

    page.locator("#filters [type=reset]").click()
    page.select_option("#order", "name")
    page.fill("#text", "TEST/01")
    assert shown(page) == [f"test/{number:03}.png" for number in range(10, 18)]
    page.fill("#score-from", "1.2")
    scores = {image.id: image.scores["ensemble"] for image in images()}
    assert shown(page) == [f"test/{n:03}.png" for n in range(10, 18) if scores[f"test/{n:03}.png"] >= 1.2]

    page.locator("#filters [type=reset]").click()
    page.select_option("#order", "near")
    page.select_option("#outcome", label="mistakes")
    slide(page, "image", 60)
    limit = page.evaluate("JSON.parse(document.getElementById('controls').dataset.facts).axis")
    limit = limit["low"] + 0.06 * (limit["high"] - limit["low"])
    alarms = [i.id for i in images() if not i.defective and i.scores["ensemble"] > limit]
    assert shown(page) == sorted(alarms, key=lambda name: abs(scores[name] - limit))

    page.locator("#filters [name=layer][value=truth]").uncheck()
    assert not page.locator("#gallery article:not([hidden]) [data-layer=truth]").first.is_visible()


def test_keyboard__goes_from_image_to_image_and_enlarges(page: Page) -> None:
    names = shown(page)
    title = page.locator("#lightbox-title")
    page.locator("#image-1").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "image-2"
    page.keyboard.press("Enter")
    page.wait_for_selector("#lightbox[open]")
    assert title.inner_text() == f"{names[1]} (2 of 20)"

    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.getElementById('lightbox-title').textContent.includes('(3 of 20)')")
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    moved = page.locator("#stage .frame > *").evaluate_all("all => all.map((one) => one.style.transform)")
    assert moved == ["translate(-35%, -25%) scale(1.5)"] * 4
    page.keyboard.press("Escape")
    assert not page.locator("#lightbox").is_visible()
    assert page.evaluate("document.activeElement.id") == "image-3"


def test_sliders__stay_hidden_and_all_is_readable_without_script(browser: Browser, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())

    assert not page.locator("#controls").is_visible()
    assert cells(page, "good")[0].isdigit()
    assert page.locator("article").count() == 20
    context.close()


def test_names__of_an_enemy_stay_text(page: Page) -> None:
    slide(page, "image", 900)

    assert page.locator("h3", has_text=EVIL).count() == 1
    assert page.locator("img[src=x]").count() == 0


def test_page__looks_as_the_screenshots_show(browser: Browser, report: Path, tmp_path: Path) -> None:
    """Kept where LEATHERENS_SCREENSHOTS names a folder, to be looked at."""
    folder = Path(os.environ.get("LEATHERENS_SCREENSHOTS", tmp_path))
    for name, width, scheme in (("light", 1200, "light"), ("dark", 1200, "dark"), ("phone", 390, "light")):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        page.goto(report.as_uri())
        slide(page, "image", 60)
        page.screenshot(path=folder / f"{name}.png", full_page=True)
        page.locator("#images").scroll_into_view_if_needed()
        page.locator("#filters").evaluate("(form) => form.scrollIntoView()")
        page.screenshot(path=folder / f"{name}-images.png")
        page.locator("#gallery .enlarge").first.click()
        page.screenshot(path=folder / f"{name}-enlarged.png")

        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways"
        assert (folder / f"{name}.png").stat().st_size > 50_000
        context.close()

"""Figures for papers: what is drawn, at which thresholds, of which images, and what the captions say."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import zlib
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from test_html_report import run_of, scored, set_of
from tiny_runs import call, make

from leatherens.cli import cli
from leatherens.core.errors import ArtifactError, ConfigError, InputError
from leatherens.core.host import PluginHost
from leatherens.core.judged_run import judged_run
from leatherens.core.leather import write_demo
from leatherens.core.metrics import iou, pixel_metrics
from leatherens.core.progress import Silent
from leatherens.core.reporting import ScoredImage
from leatherens.ensembles.figures.choosing import asked_for, telling
from leatherens.ensembles.figures.limits import Limit, learned_limits, own_limit
from leatherens.ensembles.figures.panels import Scale, highest_of_blocks, panels, scale_of
from leatherens.ensembles.figures.style import PAGE, formats_of, in_print
from leatherens.ensembles.figures.writing import Figures, write_figures

LIMITS = (
    Limit("T1", "the quantile", 0.8),
    Limit("T2", "the labels", missing="the run kept no labelled images apart"),
)


def known(images: list[ScoredImage]) -> list[ScoredImage]:
    """The same, good ones with a mask that marks nothing, as runs give them."""
    return [
        image
        if image.defective is not False
        else dataclasses.replace(image, truth=lambda: np.zeros((120, 180), np.bool_))
        for image in images
    ]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of figures of six good and four defective images."""
    folder = tmp_path_factory.mktemp("figures")
    write_figures(
        run_of(known(set_of(6, 4))), LIMITS, Figures(folder, ("pdf", "png"), dpi=100), Silent(), most=3
    )
    return folder


def fonts(path: Path) -> set[bytes]:
    """The kinds of font in a PDF, streams unpacked."""
    content = path.read_bytes()
    streams = re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL)
    unpacked = [content]
    for stream in streams:
        try:
            unpacked.append(zlib.decompress(stream))
        except zlib.error:
            continue
    return {
        kind for part in unpacked for kind in re.findall(rb"/Subtype\s*/(Type3|TrueType|CIDFontType2)", part)
    }


# what is written


def test_figures__are_one_file_each_in_every_format_and_a_caption(drawn: Path) -> None:
    names = ("panels", "roc", "precision-recall", "pro", "iou-over-threshold", "score-histogram")

    assert {path.name for path in drawn.iterdir()} == {
        *(f"{name}.{kind}" for name in names for kind in ("pdf", "png")),
        "captions.md",
    }
    captions = (drawn / "captions.md").read_text(encoding="utf-8")
    assert all(f"## {name}\n" in captions for name in names)


def test_figures__hold_letters_as_type_42(drawn: Path) -> None:
    for path in drawn.glob("*.pdf"):
        assert fonts(path) == {b"CIDFontType2"}, path.name


def test_figures__are_as_wide_as_a_column_or_fit_on_a_page(drawn: Path) -> None:
    with Image.open(drawn / "roc.png") as picture:
        assert picture.size == (335, 270)
    with Image.open(drawn / "panels.png") as picture:
        assert picture.width <= 100 * PAGE


def test_figures__of_the_same_run_are_the_same_files(drawn: Path, tmp_path: Path) -> None:
    view = run_of(known(set_of(6, 4)))
    write_figures(view, LIMITS, Figures(tmp_path, ("pdf", "png"), dpi=100), Silent(), most=3)

    for path in drawn.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_captions__say_what_is_drawn_and_what_is_left_out_and_why(drawn: Path) -> None:
    captions = (drawn / "captions.md").read_text(encoding="utf-8")

    assert "T1: the quantile (0.8)" in captions
    assert "T2 (the labels) is left out: the run kept no labelled images apart." in captions
    assert "6 good images and 4 defective" in captions
    assert "nearest to the kind's median" in captions


def test_figures__without_labels_draw_what_there_is_and_say_the_rest(tmp_path: Path) -> None:
    bare = [dataclasses.replace(image, truth=lambda: None) for image in set_of(0, 0, 3)]
    write_figures(run_of(bare), LIMITS[:1], Figures(tmp_path, ("png",), dpi=60), Silent())

    assert {path.name for path in tmp_path.iterdir()} == {"panels.png", "score-histogram.png", "captions.md"}
    captions = (tmp_path / "captions.md").read_text(encoding="utf-8")
    assert "Not drawn: it needs good and defective images, and there are 0 and 0." in captions
    assert "Not drawn: it needs marked defects and good pixels." in captions


def test_figures__more_images_than_a_page_holds_make_another(tmp_path: Path) -> None:
    images = known(set_of(6, 4))
    ids = [image.id for image in images[:9]]
    write_figures(run_of(images), LIMITS[:1], Figures(tmp_path, ("png",), dpi=60), Silent(), ids=ids)

    assert (tmp_path / "panels-2.png").is_file()
    captions = (tmp_path / "captions.md").read_text(encoding="utf-8")
    assert f"`{ids[8]}`" in captions.partition("## panels-2")[2].partition("##")[0]
    assert "named by hand" in captions


def gone() -> np.ndarray:
    raise InputError("its file is gone")


def test_figures__whose_maps_are_gone_have_no_panels(tmp_path: Path) -> None:
    images = [dataclasses.replace(image, truth=lambda: None, score_map=gone) for image in set_of(3, 3)]
    write_figures(run_of(images), LIMITS[:1], Figures(tmp_path, ("png",), dpi=60), Silent())

    assert not list(tmp_path.glob("panels*"))
    assert "the score maps of these images are gone" in (tmp_path / "captions.md").read_text(encoding="utf-8")
    assert (tmp_path / "roc.png").is_file()


def test_figures__whose_photographs_are_gone_are_grey_and_told(tmp_path: Path) -> None:
    images = [dataclasses.replace(image, photograph=gone, truth=gone) for image in set_of(1, 1)]
    write_figures(run_of(images), LIMITS[:1], Figures(tmp_path, ("png",), dpi=60), Silent())

    captions = (tmp_path / "captions.md").read_text(encoding="utf-8")
    assert "Photographs that are gone are left grey: test/001.png, test/000.png." in captions
    assert (tmp_path / "panels.png").is_file()


# panels


def test_panels__outline_what_is_above_the_threshold_and_the_defect() -> None:
    scores, truth = np.zeros((40, 60), np.float32), np.zeros((40, 60), np.bool_)
    scores[10:20, 30:50] = 2.0
    truth[5:15, 5:15] = True
    image = scored(1, True, score_map=lambda: scores, truth=lambda: truth, shape=(40, 60))
    with in_print():
        figure = panels([image], [Limit("T1", "", 1.0), Limit("T3", "", 5.0)], Scale(0, 2), 100)
    titles = [axes.get_title() for axes in figure.axes]
    outlines = [
        [path.get_extents().bounds for c in axes.collections for path in c.get_paths()]
        for axes in figure.axes
    ]

    assert titles[:4] == ["photograph", "score map", "T1", "T3"]
    assert [len(found) for found in outlines[:4]] == [0, 0, 2, 1]
    assert outlines[2][0] == pytest.approx((5, 5, 10, 10), abs=1.1)  # the defect, x y width height
    assert outlines[2][1] == pytest.approx((30, 10, 20, 10), abs=1.1)  # above the threshold


def test_panels__leave_out_what_is_not_inspected() -> None:
    scores, valid = np.full((40, 60), 2.0, np.float32), np.zeros((40, 60), np.bool_)
    image = scored(
        1, False, score_map=lambda: scores, truth=lambda: None, valid=lambda: valid, shape=(40, 60)
    )
    with in_print():
        figure = panels([image], [Limit("T1", "", 1.0)], Scale(0, 2), 100)

    assert not figure.axes[2].collections


def test_scale__holds_all_but_the_highest_pixels_of_the_images_shown() -> None:
    one, other = (scored(n, False, score_map=lambda n=n: np.full((10, 10), n, np.float32)) for n in (1, 3))
    scale = scale_of([one, other])

    assert (scale.low, scale.high) == (2.0, 3.0)
    assert scale_of([one]).high > scale_of([one]).low


def test_highest_of_blocks__keeps_a_single_pixel() -> None:
    mask = np.zeros((500, 300), np.bool_)
    mask[321, 123] = True
    small = highest_of_blocks(mask, 50)

    assert small.shape == (50, 30)
    assert small.sum() == 1


# which images


def test_telling__takes_the_kinds_in_turn_and_of_each_the_median_first() -> None:
    scores = {"cut": [1, 2, 9], "hole": [5, 6], "good": [0.1, 0.2, 0.3, 0.4, 0.5]}
    images = [
        scored(n, kind != "good", name=f"{kind}/{n}", defect=kind, scores={"ensemble": value})
        for kind, values in scores.items()
        for n, value in enumerate(values)
    ]

    assert [image.id for image in telling(images, 3)] == ["cut/1", "hole/0", "good/2"]
    assert [image.id for image in telling(images, 5)] == ["cut/0", "cut/1", "hole/0", "hole/1", "good/2"]
    assert len(telling(images, 50)) == 10


def test_asked_for__takes_the_end_of_a_name_and_offers_the_nearest() -> None:
    images = set_of(3, 0)

    assert [image.id for image in asked_for(images, ["002.png", "test/000.png"])] == [
        "test/002.png",
        "test/000.png",
    ]
    with pytest.raises(
        InputError, match=re.escape("--images: no image 'test/00.png' among the 3 test images")
    ):
        asked_for(images, ["test/00.png"])
    with pytest.raises(InputError, match="did you mean 'test/00"):
        asked_for(images, ["test/0001.png"])
    twice = [*images, scored(9, False, name="other/000.png")]
    with pytest.raises(InputError, match="2 images end like it"):
        asked_for(twice, ["000.png"])


# what figures rest on


def test_pixel_curves__are_the_metrics_at_every_threshold() -> None:
    images = known(set_of(4, 4))
    judged = judged_run(run_of(images))
    maps, masks = [image.score_map() for image in images], [image.truth() for image in images]
    thresholds, values = judged.iou_curve
    rate, overlap = judged.pro_curve

    for place in (10, thresholds.size // 2, thresholds.size - 2):
        below = float(np.nextafter(np.float32(thresholds[place]), np.float32(-np.inf)))
        assert values[place] == pytest.approx(iou(maps, masks, below))  # strictly above `below`
    inside = rate <= 0.3
    assert np.trapezoid(
        np.append(overlap[inside], np.interp(0.3, rate, overlap)), np.append(rate[inside], 0.3)
    ) / 0.3 == (pytest.approx(pixel_metrics(maps, masks).au_pro, abs=2e-3))
    assert judged.values["au_pro"] == pixel_metrics(maps, masks).au_pro


def test_judged_run__of_a_run_gives_the_metrics_that_the_run_wrote(alone: Path) -> None:
    from leatherens.ensembles.reopening import view_of_run

    view = view_of_run(alone, PluginHost(installed=False))
    found, written = judged_run(view).values, view.metrics["ensemble"]

    names = (
        "image_auroc",
        "image_ap",
        "image_f1",
        "false_alarm_rate",
        "pixel_auroc",
        "pixel_ap",
        "au_pro",
        "iou",
    )
    assert {n: found[n] for n in names} == pytest.approx({n: written[n] for n in names}, nan_ok=True)


# thresholds


def test_limits__are_those_that_the_threshold_rules_learn(tmp_path: Path) -> None:
    write_demo(tmp_path / "hides", scenario="one-colour", size=64, train=16, test=22, seed=0)
    run = make(tmp_path / "run", tmp_path / "hides", "patchcore", "--labelled-share", "0.5")
    compared = call("thresholds", run, "--json", "--device", "cpu")
    rows = json.loads(compared.stdout)["rules"]
    found = {
        limit.name: limit
        for limit in learned_limits(run, PluginHost(installed=False), Silent(), device="cpu")
    }

    assert found["T1"].value == pytest.approx(rows["p-quantile"]["pixel"])
    assert found["T2"].value == pytest.approx(rows["f1"]["pixel"])
    assert not math.isnan(found["T3"].value)
    assert "no number of the run is measured on" in found["T2"].about


def test_limits__without_labels_are_left_out_with_a_reason(alone: Path) -> None:
    first, second, third = learned_limits(alone, PluginHost(installed=False), Silent(), device="cpu")

    assert first.known
    assert [second.known, third.known] == [False, False]
    assert "--labelled-share" in second.missing


def test_limits__of_a_run_that_cannot_be_opened_say_why(tmp_path: Path) -> None:
    for limit in learned_limits(tmp_path / "nothing", PluginHost(installed=False), Silent()):
        assert not limit.known
        assert "no such run folder" in limit.missing


def test_own_limit__is_the_run_s_pixel_threshold() -> None:
    view = run_of(set_of(1, 1))
    nothing = dataclasses.replace(view.decisions["ensemble"], pixel=math.inf)

    assert own_limit(view).value == 0.9
    assert not own_limit(dataclasses.replace(view, decisions={"ensemble": nothing})).known


# the command


def test_command__draws_figures_and_says_what_is_left_out(alone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    done = call(
        "report", alone, "--figures", folder, "--format", "svg", "--most", 2, "--dpi", 60, "--device", "cpu"
    )

    assert done.exit_code == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].startswith("note: T2 is left out: the run kept no labelled images apart")
    assert said[-1] == f"figures: 6 in {folder}, described in {folder / 'captions.md'}"
    assert len(list(folder.glob("*.svg"))) == 6
    captions = (folder / "captions.md").read_text(encoding="utf-8")
    assert "T1: the 99 % quantile of the pixels of held-out good images" in captions
    assert "own: the run's own, by the rule 'conformal'" in captions


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--format", "tif"], "--format: no format 'tif' (formats: pdf, png, svg)"),
        (
            ["--images", "test/nothing"],
            "--images: no image 'test/nothing' among the 9 test images of this run",
        ),
        (["--images", ","], "--images: expected names of images, with commas between, got ','"),
    ],
)
def test_command__refuses_before_it_makes_a_folder(
    given: list[str], said: str, alone: Path, tmp_path: Path
) -> None:
    done = call("report", alone, "--figures", tmp_path / "figures", *given)

    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith(f"Error: {said}")
    assert list(tmp_path.iterdir()) == []


# bad input, and what is left as it was


def test_formats__are_named_and_an_unknown_one_is_refused() -> None:
    assert formats_of("PDF, .png,pdf") == ("pdf", "png")
    with pytest.raises(
        ConfigError,
        match=re.escape("--format: no format 'pngg'; did you mean 'png'? (formats: pdf, png, svg)"),
    ):
        formats_of("pdf,pngg")
    with pytest.raises(ConfigError, match="expected formats"):
        formats_of(" , ")


def test_figures__into_what_is_no_folder_are_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"cannot be written to .*give --figures another folder"):
        write_figures(run_of(set_of(1, 1)), LIMITS, Figures(tmp_path / "file", ("pdf",)), Silent())


def test_figures__leave_matplotlib_as_the_caller_set_it(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"font.size": 31, "axes.labelsize": 30}):
        write_figures(run_of(set_of(2, 0)), LIMITS[:1], Figures(tmp_path, ("png",), dpi=60), Silent())
        assert matplotlib.rcParams["font.size"] == 31
    with Image.open(tmp_path / "score-histogram.png") as picture:
        assert picture.size == (201, 162)
    assert dict(matplotlib.rcParams) == before


def test_format__without_figures_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["report", str(tmp_path), "--format", "png"])

    assert done.exit_code == 2
    assert done.output.startswith("Error: --format: belongs to --figures")

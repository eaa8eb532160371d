"""What a run keeps for its report: pixel curves, one voter left out, costs, findings, how to repeat it."""

from __future__ import annotations

import itertools
import json
import math
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from test_html_report import words
from test_report_in_browser import browser, slide  # noqa: F401 - browser is a fixture
from tiny_runs import call, make, metrics

from leatherens.configs.recipe import MemberChoice, Recipe, read_recipe
from leatherens.core.artifact import write_json
from leatherens.core.backbones import BackbonePool
from leatherens.core.details import (
    DropOne,
)
from leatherens.core.inspection import inspect, stock_of
from leatherens.core.inspection.inspection import spread
from leatherens.core.machine import machine_of
from leatherens.core.metrics import au_pro, iou, iou_at, overlap_curve
from leatherens.core.pixel_curves import pixel_curves
from leatherens.core.pixel_pool import PixelPool
from leatherens.core.progress import Silent
from leatherens.core.reading import Collection, Sample
from leatherens.core.scale import fit_scale
from leatherens.core.types import ScoreMap
from leatherens.core.weights import WeightFinder
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.detailing import read_details
from leatherens.ensembles.dropping import MEDIAN_IMAGE, MEDIAN_PIXEL, drop_one
from leatherens.ensembles.ensemble import FittedEnsemble
from leatherens.ensembles.facts import Facts
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.inspecting import inspected
from leatherens.ensembles.reproducing import reproduction_of
from leatherens.ensembles.scoring import Scores, WholeScores
from leatherens.ensembles.sources import FileSource
from leatherens.ensembles.timing import seconds_in, timed
from leatherens.plugins.html_report.pixel_charts import overlap_at
from leatherens.plugins.score_fusions import Mean

if TYPE_CHECKING:
    pass


# pixel curves


def maps_and_masks(seed: int, ties: int = 40) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Three maps (12, 17) with tied scores, and masks of two regions, one and none."""
    rng = np.random.default_rng(seed)
    masks = [np.zeros((12, 17), np.bool_) for _ in range(3)]
    masks[0][1:4, 2:5] = masks[0][7:9, 10:16] = masks[1][5:11, 3:4] = True
    maps = [np.round(ties * (rng.random(m.shape) + 0.3 * m)).astype(np.float32) / ties for m in masks]
    return maps, masks


def test_overlap_curve__passes_through_what_every_threshold_gives() -> None:
    maps, masks = maps_and_masks(0)
    rates, overlaps = overlap_curve(PixelPool.of(maps, masks).sweep(), limit=1.0)
    regions = [(0, np.s_[1:4, 2:5]), (0, np.s_[7:9, 10:16]), (1, np.s_[5:11, 3:4])]

    good = np.concatenate([m[~mask] for m, mask in zip(maps, masks, strict=True)])
    for limit in np.unique(maps):
        rate = (good >= limit).mean()
        overlap = np.mean([(maps[i][where] >= limit).mean() for i, where in regions])
        near = np.interp(rate, rates, overlaps) if rate not in rates else overlaps[rates == rate]
        assert np.abs(near - overlap).min() < 1e-12


def test_iou_at__is_the_iou_of_the_pixels_above() -> None:
    maps, masks = maps_and_masks(1)
    limits = np.unique(np.concatenate([np.unique(maps)[::5], [-1.0, 2.0, 0.61803]])).astype(np.float32)

    found = iou_at(PixelPool.of(maps, masks), limits)
    assert found.tolist() == [iou(maps, masks, float(limit)) for limit in limits]


def test_iou_at__where_nothing_is_marked_is_undefined() -> None:
    maps, masks = [np.zeros((3, 4), np.float32)], [np.zeros((3, 4), np.bool_)]
    found = iou_at(PixelPool.of(maps, masks), np.array([-1.0, 0.5], np.float32))

    assert found[0] == 0
    assert math.isnan(found[1])


def test_pixel_curves__mark_the_threshold_and_the_best_one() -> None:
    maps, masks = maps_and_masks(2)
    curves = pixel_curves(PixelPool.of(maps, masks), 0.9)

    assert curves is not None
    assert curves.au_pro == au_pro(maps, masks)
    assert curves.at == (0.9, iou(maps, masks, 0.9))
    candidates = [float(limit) for limit in np.unique(maps)]
    best = max(iou(maps, masks, limit) for limit in [-1.0, *candidates])
    assert curves.best[1] == pytest.approx(best)
    assert iou(maps, masks, curves.best[0]) == pytest.approx(best)
    limits, values = curves.iou
    assert list(limits) == sorted(set(limits))
    assert np.interp(0.9, limits, values) == pytest.approx(curves.at[1])
    assert max(values) <= best + 1e-6
    rates, overlaps = map(np.array, curves.overlap)
    assert (rates[0], rates[-1]) == (0, 0.3)
    assert np.trapezoid(overlaps, rates) / 0.3 == pytest.approx(curves.au_pro, abs=0.01)


def test_pixel_curves__of_many_pixels_are_thinned_and_still_right() -> None:
    rng = np.random.default_rng(3)
    mask = np.zeros((300, 400), np.bool_)
    mask[20:150, 30:200] = True
    scores = (rng.normal(size=mask.shape) + 1.5 * mask).astype(np.float32)
    curves = pixel_curves(PixelPool.of([scores], [mask]), math.inf)

    assert curves is not None
    assert curves.at is None
    rates, overlaps = map(np.array, curves.overlap)
    assert len(rates) < 900
    assert np.trapezoid(overlaps, rates) / 0.3 == pytest.approx(curves.au_pro, abs=0.002)
    exact, values = overlap_curve(PixelPool.of([scores], [mask]).sweep())
    for rate in (0.01, 0.1, 0.25):
        assert overlap_at(curves, rate) == pytest.approx(np.interp(rate, exact, values), abs=0.005)


def test_pixel_curves__without_a_marked_defect_there_are_none() -> None:
    assert pixel_curves(PixelPool.of([np.ones((3, 4), np.float32)], [np.zeros((3, 4), np.bool_)]), 1) is None


# the ensemble without one voter


class Voting:
    """An ensemble of made-up voters by the mean, and what they said of images on disk."""

    def __init__(self, folder: Path, voters: Sequence[str], seed: int = 0) -> None:
        from PIL import Image

        rng = np.random.default_rng(seed)
        self.labels = [False] * 6 + [True] * 6
        samples, self.masks = [], []
        for n, defective in enumerate(self.labels):
            path = folder / f"{n:02}.png"
            Image.fromarray(np.zeros((20, 28, 3), np.uint8)).save(path)
            samples.append(Sample(path, path.name, defective=defective, defect="cut" if defective else ""))
            mask = np.zeros((20, 28), np.bool_)
            mask[4:9, 6:12] = defective
            self.masks.append(mask)
        self.source = FileSource(samples, size=(20, 28))
        self.found = {name: self._said(name, rng) for name in voters}
        good = slice(0, 6)
        scales = {
            name: fit_scale([ScoreMap(torch.stack(list(w.maps[good])), torch.from_numpy(w.images[good]))])
            for name, w in self.found.items()
        }
        members = {name: object() for name in voters}
        self.ensemble = FittedEnsemble(
            BackbonePool(WeightFinder()),
            members,  # type: ignore[arg-type] - nobody is asked anew
            {},
            Mean(),
            scales=scales,
        )

    def _said(self, name: str, rng: np.random.Generator) -> WholeScores:
        """Maps in a unit of the voter's own; "noise" sees nothing."""
        unit, sees = rng.uniform(0.1, 30), name != "noise"
        maps = [unit * (rng.random((20, 28)) + 0.3 * sees * mask) for mask in self.masks]
        blurred = [m.max() * sees + unit * rng.normal(0, 0.3) for m in maps]
        images = np.array(blurred, np.float32)
        tensors = [torch.from_numpy(m.astype(np.float32)) for m in maps]
        return WholeScores(images, tensors, [None] * 12, self.source.frames)

    def scores(self) -> Scores:
        return Scores(self.source.ids, self.found, {})

    def without(self) -> DropOne:
        found = drop_one(self.ensemble, self.source, self.scores(), self.masks, 5, Silent())
        assert found is not None
        return found


def test_drop_one__of_a_mean_is_the_mean_of_the_others(tmp_path: Path) -> None:
    """A constant moves no ranking of images, and of pixels only by each photograph's own level."""
    voting = Voting(tmp_path, ["a", "b", "noise"])
    rows = {row.voter: row for row in voting.without().rows}

    for name, row in rows.items():
        others = [
            voting.ensemble.scales[other](ScoreMap(torch.stack(list(w.maps)), torch.from_numpy(w.images)))
            for other, w in voting.found.items()
            if other != name
        ]
        image = torch.stack([one.image for one in others]).mean(dim=0).numpy()
        wins = (image[6:, None] > image[:6]).mean() + 0.5 * (image[6:, None] == image[:6]).mean()
        assert row.image_auroc == pytest.approx(wins)
    assert {row.image_auroc for row in rows.values()} != {1.0}
    assert rows["noise"].au_pro > max(rows["a"].au_pro, rows["b"].au_pro)


def test_drop_one__of_two_leaves_the_other_as_it_is(tmp_path: Path) -> None:
    voting = Voting(tmp_path, ["a", "noise"])
    rows = {row.voter: row for row in voting.without().rows}

    maps = [m.numpy() for m in voting.found["a"].maps]
    assert rows["noise"].au_pro == pytest.approx(au_pro(maps, voting.masks))


def test_drop_one__silences_a_voter_at_the_median_good_pixel_and_image() -> None:
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.gamma(2.0, size=(9, 30, 40)).astype(np.float32))
    image = torch.from_numpy(rng.gamma(3.0, size=9).astype(np.float32))
    scale = fit_scale([ScoreMap(pixels, image)])
    middle = scale(ScoreMap(pixels.median().view(1, 1, 1), image.median().view(1)))

    assert float(middle.pixels) == pytest.approx(MEDIAN_PIXEL, abs=0.01)
    assert float(middle.image) == pytest.approx(MEDIAN_IMAGE, abs=1e-6)


def test_drop_one__of_a_single_member_is_not_told(tmp_path: Path) -> None:
    voting = Voting(tmp_path, ["a"])

    assert drop_one(voting.ensemble, voting.source, voting.scores(), voting.masks, 4, Silent()) is None


# how long it took


def test_timed__adds_what_work_took_before_it_was_interrupted(tmp_path: Path) -> None:
    file = tmp_path / "fit.json"
    write_json(file, {"seconds": 100.0, "images": 3})
    with pytest.raises(KeyboardInterrupt), timed(file, going_on=True, images=4):
        raise KeyboardInterrupt
    kept = seconds_in(file)
    assert kept is not None
    assert 100 <= kept < 110
    assert json.loads(file.read_text())["images"] == 4

    with timed(file, going_on=False):
        pass
    again = seconds_in(file)
    assert again is not None
    assert again < 10


def test_seconds_in__of_a_damaged_file_are_unknown(tmp_path: Path) -> None:
    file = tmp_path / "fit.json"
    assert seconds_in(file) is None
    for text in ("{", "[]", '{"seconds": "long"}'):
        file.write_text(text)
        assert seconds_in(file) is None


def test_machine__names_processor_and_threads() -> None:
    assert machine_of("cpu").endswith(
        f", {torch.get_num_threads()} thread" + "s" * (torch.get_num_threads() > 1)
    )


# looking at the images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten good photographs of which one is there twice and one is blank, one defective one, 64 x 64."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for n in range(10):
        path = tmp_path / "train" / "good" / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(60, 200, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels if n else np.full_like(pixels, 128)).save(path)
    shutil.copy(tmp_path / "train/good/9.png", tmp_path / "train/good/twin.png")
    for name in ("good", "cut"):
        (tmp_path / "test" / name).mkdir(parents=True)
        Image.fromarray(rng.integers(60, 200, (64, 64, 3), dtype=np.uint8)).save(
            tmp_path / "test" / name / "0.png"
        )
    return tmp_path


def collected(folder: Path) -> Collection:
    from leatherens.core.host import PluginHost

    return DataChoice.at(folder).read(PluginHost(installed=False))


TINY = Recipe(members={"stfpm": MemberChoice()}, size=(64, 64))


def test_inspected__tells_twins_and_blank_images(folder: Path) -> None:
    found = inspected(collected(folder), TINY, 40, Silent())

    assert (found.looked, found.images) == (13, 13)
    assert any(
        "shown before in the same part: 1 image in train" in finding and "twin.png" in finding
        for finding in found.findings
    )
    assert any(finding.startswith("one even colour and nothing else: 1 image") for finding in found.findings)


def test_inspected__stops_in_time_and_says_how_many_it_saw(folder: Path) -> None:
    found = inspected(collected(folder), TINY, 40, Silent(), seconds=0)

    assert (found.looked, found.images) == (0, 13)
    assert not [finding for finding in found.findings if "shown before" in finding]


def test_inspected__of_tiles_says_nothing_of_the_working_size(folder: Path) -> None:
    large = TINY.model_copy(update={"size": (128, 128)})
    told = "smaller than 128x128"
    assert [f for f in inspected(collected(folder), large, 40, Silent()).findings if f.startswith(told)]

    tiled = large.model_copy(update={"tile": (32, 32)})
    assert not [f for f in inspected(collected(folder), tiled, 40, Silent()).findings if f.startswith(told)]


def test_inspect__with_time_enough_sees_what_it_sees_without_a_limit(folder: Path) -> None:
    stock = stock_of(collected(folder))
    unhurried, hurried = inspect(stock), inspect(stock, seconds=60)

    assert [picture.id for picture in hurried.pictures] == [picture.id for picture in unhurried.pictures]
    assert (hurried.unseen, hurried.identical) == (0, unhurried.identical)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
def test_spread__begins_evenly_and_leaves_nothing_out(count: int) -> None:
    order = spread(count)

    assert sorted(order) == list(range(count))
    beginning = sorted(order[: count // 4])
    assert all(b - a < 9 for a, b in itertools.pairwise(beginning))


# how to repeat a run


def facts(**over: object) -> Facts:
    given: dict = {
        "name": "run",
        "command": "leatherens run --members stfpm --data hides",
        "data": DataChoice(root="/hides here", layout="mvtec"),
        "data_sentence": "",
        "data_fingerprint": "0123456789abcdef",
        "recipe_fingerprint": "fedcba9876543210",
        "backbones": {"wide": {"origin": "package wide", "fingerprint": "aa" * 8, "weights": "pretrained"}},
        "machine": "A processor, 2 threads",
    }
    return Facts(**(given | over))


def test_reproduction__names_commands_seed_fingerprints_and_machine() -> None:
    found = reproduction_of(facts(), TINY.model_copy(update={"seed": 7, "device": "cpu"}), Path("runs/a b"))

    assert [command for _, command in found.commands] == [
        "leatherens run --members stfpm --data hides",
        "leatherens run --config 'runs/a b/recipe.yaml' --data '/hides here' --layout mvtec "
        "--out 'runs/a b-again'",
        "leatherens evaluate 'runs/a b' --data '/hides here' --layout mvtec",
    ]
    assert found.facts == (
        ("seed", "7"),
        ("data fingerprint", "0123456789ab"),
        ("recipe fingerprint", "fedcba987654"),
        ("machine", "A processor, 2 threads"),
        ("computed on", "cpu"),
        ("weights of wide", "package wide, fingerprint aaaaaaaaaaaa"),
    )


def test_reproduction__gives_the_splits_that_were_given() -> None:
    command = "leatherens run --members stfpm --splits old/splits.json"
    found = reproduction_of(facts(command=command), TINY, Path("new"))

    assert "--splits new/splits.json" in found.commands[1][1]


def test_reproduction__gives_a_command_that_repeats_the_run(alone: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(alone, run)
    found = reproduction_of(RunFolder(run).facts(), read_recipe(run / "recipe.yaml"), run)
    result = call(*shlex.split(found.commands[1][1])[1:])

    assert result.exit_code == 0, result.stderr
    again = tmp_path / "run-again"
    assert (again / "scores.csv").read_bytes() == (run / "scores.csv").read_bytes()
    assert read_details(again / "details.json").curves == read_details(run / "details.json").curves


def test_reproduction__of_what_no_single_run_makes_has_the_command_alone() -> None:
    joined = DataChoice(root="/hides", joined={"a": DataChoice(root="/hides/a")})

    assert len(reproduction_of(facts(data=joined), TINY, Path("new")).commands) == 1
    assert len(reproduction_of(facts(), TINY, None).commands) == 1


# what a run keeps


def test_run__keeps_curves_costs_and_what_each_voter_adds(pair: Path) -> None:
    details, found = read_details(pair / "details.json"), metrics(pair)

    assert set(details.curves) == {"ensemble", "draem", "stfpm"}
    for scorer, curves in details.curves.items():
        row = found["ensemble"] if scorer == "ensemble" else found["members"][scorer]
        assert curves.au_pro == pytest.approx(row["au_pro"])
        assert curves.at is not None
        assert curves.at[1] == pytest.approx(row["iou"])
    assert details.unusual is not None
    assert {scorer: len(rates) for scorer, rates in details.unusual.rates.items()} == {
        "ensemble": 5,
        "draem": 5,
        "stfpm": 5,
    }
    assert details.drop_one is not None
    assert details.drop_one.head
    assert {row.voter for row in details.drop_one.rows} == {"draem", "stfpm", "fused-features"}
    assert details.inspected is not None
    assert details.inspected.looked == details.inspected.images == 25


def test_run__without_one_of_two_voters_scores_as_the_other(leather: Path, tmp_path: Path) -> None:
    run = make(tmp_path / "run", leather, "stfpm,draem", "--mode", "score", "--score-fusion", "mean")
    details, found = read_details(run / "details.json"), metrics(run)

    assert details.drop_one is not None
    assert {row.voter for row in details.drop_one.rows} == {"draem", "stfpm"}
    for row in details.drop_one.rows:
        (other,) = {"draem", "stfpm"} - {row.voter}
        for name in ("image_auroc", "pixel_auroc", "au_pro"):
            assert getattr(row, name) == pytest.approx(found["members"][other][name])


def test_run__counts_what_it_learned_and_how_long(pair: Path) -> None:
    from safetensors.torch import load_file

    costs = read_details(pair / "details.json").costs

    assert costs is not None
    assert set(costs.members) == {"draem", "stfpm"}
    for id, cost in costs.members.items():
        state = load_file(pair / "members" / id / "state.safetensors")
        assert cost.parameters == sum(tensor.numel() for tensor in state.values())
        assert cost.seconds == json.loads((pair / "members" / id / "fit.json").read_text())["seconds"]
    assert costs.members["stfpm"].backbones == ("test_resnet",)
    assert costs.members["draem"].backbones == ()
    assert costs.backbones["test_resnet"].parameters > 0
    assert costs.joint is not None
    assert costs.joint.seconds == json.loads((pair / "ensemble/fit.json").read_text())["seconds"]
    assert costs.joint.parameters > sum(
        tensor.numel() for tensor in load_file(pair / "ensemble/head/state.safetensors").values()
    )


def test_run__of_one_member_joins_and_drops_nothing(alone: Path) -> None:
    details = read_details(alone / "details.json")

    assert details.drop_one is None
    assert details.costs is not None
    assert details.costs.joint is None
    assert not (alone / "ensemble/fit.json").exists()
    assert 'id="drop-one"' not in (alone / "report.html").read_text(encoding="utf-8")


def test_run__of_a_head_alone_says_why_no_voter_is_left_out(leather: Path, tmp_path: Path) -> None:
    run = make(tmp_path / "run", leather, "stfpm,draem", "--mode", "feature")
    text = words((run / "report.html").read_text(encoding="utf-8"))

    assert "Only the head of the fused features votes, and it learned from all members at once." in text


def test_evaluate__tells_the_same_of_the_same_images(pair: Path, leather: Path, tmp_path: Path) -> None:
    result = call("evaluate", pair, "--data", leather, "--out", tmp_path / "again")
    assert result.exit_code == 0, result.stderr
    then, now = (read_details(run / "details.json") for run in (pair, tmp_path / "again"))

    assert now.curves == then.curves
    assert now.unusual == then.unusual
    assert now.drop_one == then.drop_one

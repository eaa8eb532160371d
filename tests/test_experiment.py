"""`leatherens experiment` on two tiny data sets: what is measured, what is kept, what is refused."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pictures import grain, save
from tiny_runs import TINY, call

from leatherens.cli.experiment import _named_sets
from leatherens.core.errors import ConfigError
from leatherens.core.host import PluginHost
from leatherens.core.reading import Sample
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.experiments.cuts import Cuts, Seen
from leatherens.ensembles.experiments.plan import Kind
from leatherens.ensembles.experiments.results import Result
from leatherens.ensembles.experiments.tables import as_csv, markdown
from leatherens.ensembles.splits import Splits

PATCHCORE = [part for k, v in TINY["patchcore"].items() for part in ("--set", f"patchcore.{k}={v}")]
STFPM = [part for k, v in TINY["stfpm"].items() for part in ("--set", f"stfpm.{k}={v}")]


def hide(root: Path, shade: int) -> Path:
    """Good images of one shade of noise, tested ones with a bright square, in the layout of MVTec AD."""
    for number in range(12):
        save(root / f"train/good/{number:03d}.png", grain(64, 64, seed=shade + number) // 4 + shade)
    for number in range(4):
        save(root / f"test/good/{number:03d}.png", grain(64, 64, seed=50 + shade + number) // 4 + shade)
        pixels = grain(64, 64, seed=90 + shade + number) // 4 + shade
        pixels[8:24, 36:52] = 255 - pixels[8:24, 36:52]
        mask = np.zeros((64, 64), np.uint8)
        mask[8:24, 36:52] = 255
        save(root / f"test/cut/{number:03d}.png", pixels)
        save(root / f"ground_truth/cut/{number:03d}_mask.png", mask)
    return root


@pytest.fixture(scope="module")
def hides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("hides")
    return hide(root / "brown", 20), hide(root / "grey", 120)


@pytest.fixture(scope="module")
def made(hides: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Experiments 1 to 3 with one member."""
    out = tmp_path_factory.mktemp("experiment") / "out"
    for kind in ("within", "cross", "joint"):
        assert experiment(kind, hides, out).exit_code == 0
    return out


def experiment(kind: str, hides: tuple[Path, ...], out: Path, *more: object) -> object:
    sets = [part for path in hides for part in ("--data", path)]
    common = ("--size", 64, "--device", "cpu", "--no-timing", "--out", out, *PATCHCORE, *STFPM)
    members = () if "--members" in more else ("--members", "patchcore")
    return call("experiment", kind, *sets, *members, *common, *more)


def rows(out: Path, kind: str) -> list[dict[str, str]]:
    with (out / f"{kind}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_kind__measures_each_pair(made: Path) -> None:
    kinds = ("within", "cross", "joint")
    pairs = {kind: [(r["learned_from"], r["tested_on"]) for r in rows(made, kind)] for kind in kinds}
    assert pairs == {
        "within": [("brown", "brown"), ("grey", "grey")],
        "cross": [("brown", "grey"), ("grey", "brown")],
        "joint": [("brown+grey", "brown"), ("brown+grey", "grey")],
    }
    assert sorted(path.parent.name + "/" + path.name for path in (made / "runs").glob("*/*")) == [
        "brown+grey/patchcore",
        "brown/patchcore",
        "grey/patchcore",
    ]


def test_a_run__is_tested_on_what_it_never_saw(made: Path) -> None:
    splits = Splits.read(made / "runs/brown/patchcore/splits.json")
    assert len(splits.threshold_labelled) == 2
    cell = json.loads((made / "cells/brown/brown/patchcore.json").read_text())
    assert cell["images"] == {"good": 3, "defective": 3}
    joint = Splits.read(made / "runs/brown+grey/patchcore/splits.json")
    own = {f"brown/{id}" for id in splits.fit}
    assert own == {id for id in joint.fit if id.startswith("brown/")}


def test_within__finds_the_squares_and_the_own_thresholds_are_the_tested_ones(made: Path) -> None:
    for row in rows(made, "within"):
        assert float(row["image_auroc"]) == 1
        assert float(row["f1_t3"]) >= 0.5  # of one defective image that the threshold was learned from
        for key in ("iou_t1", "iou_t2", "pro_t1", "pro_t2", "f1_t1", "f1_t3"):
            assert row[key] == row[f"{key}_tested"]


def test_cross__other_thresholds_give_other_masks_but_the_same_ranking(made: Path) -> None:
    for row in rows(made, "cross"):
        assert row["iou_t1"] != row["iou_t1_tested"]
    cell = json.loads((made / "cells/brown/grey/patchcore.json").read_text())
    assert cell["own"]["cuts"] != cell["tested"]["cuts"]
    home = json.loads((made / "cells/brown/brown/patchcore.json").read_text())
    assert cell["own"]["cuts"] == home["own"]["cuts"]


def test_the_tables__have_the_columns_of_the_thesis(made: Path) -> None:
    text = (made / "within.md").read_text()
    header = "| | IoU T1 | IoU T2 | PRO T1 | PRO T2 | pixel AUROC | F1 T1 | F1 T3 | image AUROC |"
    assert text.count(header) == 2
    assert text.startswith("# Learned from and tested on the same set\n\n```sh\nleatherens ")
    assert (made / "cross.md").read_text().count("thresholds learned anew from the set tested on") == 2
    assert "patchcore" in (made / "joint.svg").read_text()


def test_typed_again__nothing_is_made_again(made: Path, hides: tuple[Path, Path]) -> None:
    paths = [*made.glob("cells/*/*/*.json"), *made.glob("runs/*/*/DONE")]
    before = {path: path.stat().st_mtime_ns for path in paths}
    table = (made / "within.csv").read_text()
    result = experiment("within", hides, made)
    assert result.exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in paths} == before
    assert (made / "within.csv").read_text() == table


def test_an_ensemble__takes_its_members_over_and_one_that_fails_spoils_only_itself(
    made: Path, hides: tuple[Path, Path], tmp_path: Path
) -> None:
    out = shutil.copytree(made, tmp_path / "out")
    more = (
        "--members",
        "patchcore,padim",
        "--ensembles",
        "patchcore+stfpm",
        "--set",
        "padim.dimensions=9999",
        "--set",
        "stfpm.layers=[1]",
    )
    result = experiment("within", hides[:1], out, *more)
    assert result.exit_code == 2
    assert result.stderr.strip().endswith(
        "Error: 1 of 3 entrants could not be made, see above: padim; when the cause is mended, give the same "
        "command again"
    )
    assert "patchcore: taken from" in result.stderr
    found = {row["entrant"]: row for row in rows(out, "within")}
    assert found["padim"]["problem"].startswith("dimensions")
    assert found["padim"]["image_auroc"] == ""
    assert float(found["patchcore+stfpm"]["image_auroc"]) > 0.5
    assert "### Not made" in result.stdout


def test_members__with_what_each_costs(made: Path, hides: tuple[Path, Path], tmp_path: Path) -> None:
    out = shutil.copytree(made, tmp_path / "out")
    arguments = ["--data", hides[0], "--members", "patchcore", "--size", 64, "--device", "cpu", "--out", out]
    result = call("experiment", "members", *arguments, *PATCHCORE)
    assert result.exit_code == 0, result.stderr
    [row] = rows(out, "members")
    for key in ("ms_per_image", "images_per_second", "peak_mb", "parameters", "disk_mb"):
        assert float(row[key]) > 0
    assert float(row["peak_mb"]) < 2000
    assert "on disk MB" in result.stdout


def test_other_options_in_the_same_folder__are_refused(made: Path, hides: tuple[Path, Path]) -> None:
    result = experiment("within", hides, made, "--seed", 5)
    assert result.exit_code == 2
    assert result.stderr.strip().endswith(
        f"Error: {made}/runs/brown/patchcore: made with other options than are given now; give the same, or "
        "another --out"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["within", "--out", "o"], "which photographs? give --data with a folder of them, once"),
        (["within", "--data", "{0}"], "where to? give --out with a folder for the results"),
        (["cross", "--data", "{0}", "--out", "o"], "cross: needs at least two data sets; give --data"),
        (["joint", "--data", "{0}", "--data", "{0}", "--out", "o"], "two data sets are called 'brown'"),
        (["within", "--data", "{0}", "--out", "o", "--members", "none"], "there is nothing to measure"),
        (["within", "--data", "{0}", "--out", "o", "--ensembles", "stfpm"], "expected members joined by +"),
        (["within", "--data", "{0}", "--out", "o", "--members", "stfmp"], "did you mean 'stfpm'"),
        (["within", "--data", "{0}", "--out", "o", "--group-by", "red=x"], "with one of the data sets brown"),
        (["within", "--data", "{0}", "--out", "o", "--labelled-share", "2"], "expected a share between"),
        (["wihtin"], "no command 'wihtin'; did you mean 'within'?"),
    ],
)
def test_mistakes__in_words(
    hides: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    brief = () if "--members" in arguments or arguments == ["wihtin"] else ("--members", "patchcore")
    result = call("experiment", *(text.format(*hides) for text in arguments), *brief)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not (tmp_path / "o").exists()


def test_a_set_without_defects__cannot_be_an_experiment(tmp_path: Path) -> None:
    for number in range(9):
        save(tmp_path / f"good/{number}.png", grain(seed=number))
    result = call("experiment", "within", "--data", tmp_path / "good", "--members", "patchcore", "--out", "o")
    assert result.stderr.strip().endswith("no defective images to test on; an experiment needs some")


def test_data__may_be_named(tmp_path: Path) -> None:
    (tmp_path / "a=b").mkdir()
    given = ["hide=/somewhere/else", str(tmp_path / "a=b")]
    assert _named_sets(given) == {"hide": Path("/somewhere/else"), "a=b": tmp_path / "a=b"}
    with pytest.raises(ConfigError, match="two data sets are called 'x'"):
        _named_sets(["x=/a", "x=/b"])


# --- thresholds and tables by hand -----------------------------------------------------------------------


class ByHand:
    """Scores of images of one row."""

    def __init__(self, maps: list[list[float]]) -> None:
        self.maps = [np.array([one], dtype=np.float32) for one in maps]
        self.images = np.array([one.max() for one in self.maps], dtype=np.float32)

    def map(self, index: int) -> np.ndarray:
        return self.maps[index]

    def valid(self, index: int) -> None:
        return None

    def normals(self) -> object:
        from leatherens.core.thresholds import Normals

        return Normals(self.images, self.maps)


def seen(maps: list[list[float]], truth: list[list[int] | None]) -> Seen:
    masks = [None if one is None else np.array([one], dtype=bool) for one in truth]
    samples = [Sample(Path(f"{i}.png"), f"{i}.png", one is None or any(one)) for i, one in enumerate(truth)]
    return Seen(samples, ByHand(maps), masks)  # type: ignore[arg-type]


def test_cuts__by_hand() -> None:
    good = seen([list(range(50)), list(range(50, 100))], [[0] * 50, [0] * 50])
    labelled = seen([[1, 9, 8], [7, 2, 3], [1, 1, 2]], [[0, 1, 1], [1, 0, 0], [0, 0, 0]])
    cuts = Cuts.learned(PluginHost(installed=False), good, labelled)
    assert cuts.t1 == pytest.approx(98.01)
    assert cuts.t2 == pytest.approx(7, abs=1e-5)  # all three defect pixels, nothing else: score >= 7
    assert cuts.t2 < 7
    assert cuts.t3 == pytest.approx(7, abs=1e-5)


def test_worth__by_hand() -> None:
    test = seen([[1, 9, 8], [7, 2, 9], [1, 1, 7]], [[0, 1, 1], [1, 0, 0], [0, 0, 0]])
    worth = Cuts(t1=8.5, t2=6.5, t3=8).worth(test)
    assert worth["iou_t1"] == pytest.approx(1 / 4)  # 9 found of three, one 9 beside
    assert worth["pro_t1"] == pytest.approx((1 / 2 + 0) / 2)
    assert worth["iou_t2"] == pytest.approx(3 / 5)
    assert worth["pro_t2"] == 1
    assert worth["f1_t1"] == 1  # both defective images have a pixel above 8.5
    assert worth["f1_t3"] == 1


def test_without_marks__pixel_figures_are_undefined_and_not_zero() -> None:
    labelled = seen([[1, 9], [1, 1]], [None, [0, 0]])
    cuts = Cuts.learned(PluginHost(installed=False), seen([[1, 2]], [[0, 0]]), labelled)
    worth = cuts.worth(labelled)
    assert np.isnan(cuts.t2)
    assert np.isnan([worth[key] for key in ("iou_t1", "iou_t2", "pro_t1", "pro_t2")]).all()
    assert worth["f1_t3"] == 1


def test_the_table__has_a_dash_for_what_is_undefined_and_bold_for_the_best() -> None:
    def result(name: str, auroc: float | None) -> Result:
        trained, tested, entrant = (SimpleNamespace(name=text) for text in ("a", "b", name))
        cell = SimpleNamespace(trained=trained, tested=tested, entrant=entrant)
        return Result(cell, {"metrics": {"image_auroc": auroc}, "own": {"iou_t1": None}})  # type: ignore[arg-type]

    results = [result("x", 0.9), result("y", 0.8)]
    text = markdown(Kind.within, results)
    assert "| x | – | – | – | – | – | – | – | **90.0** |" in text
    assert "| y | – | – | – | – | – | – | – | 80.0 |" in text
    assert as_csv(results).splitlines()[1].startswith("a,b,x,,")


def test_joined_data__keep_names_and_groups_apart(hides: tuple[Path, Path]) -> None:
    choices = {path.name: DataChoice.at(path, group_by=r"\w+/\w+") for path in hides}
    joint = DataChoice(root=str(hides[0].parent), joined=choices)
    assert DataChoice.model_validate_json(joint.model_dump_json()) == joint
    collection = joint.read(PluginHost(installed=False))
    assert len(collection.train) == 24
    assert {sample.group for sample in collection.train} == {"brown/train/good", "grey/train/good"}
    assert collection.title == "2 collections joined (brown, grey)"

"""`leatherens thresholds`, and runs whose thresholds learn from labels: honest figures, and ways back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from changed_runs import digests, done, images_of, judged, listed, some
from tiny_runs import array, call, evaluated, make, table

from leatherens.core.leather import write_demo


@pytest.fixture(scope="module")
def hides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 x 64 pixels; 20 good to learn from, 12 good and 12 defective to test. Not to be written to."""
    folder = tmp_path_factory.mktemp("data") / "hides"
    write_demo(folder, scenario="one-colour", size=64, train=20, test=24, seed=3)
    return folder


@pytest.fixture(scope="module")
def labelled_run(hides: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images by f1, pixels by max-area: 8 calibrate, half of the test images label. Not to be written to."""
    rules = ("--threshold", "f1", "--pixel-threshold", "max-area", "--set", "pixel_threshold.area=20")
    shares = ("--shares", "0.4,0.2,0.4", "--labelled-share", "0.5")
    return make(tmp_path_factory.mktemp("runs") / "labelled", hides, "patchcore", *rules, *shares)


@pytest.fixture
def run(labelled_run: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(labelled_run, tmp_path / "run"))


def compared(run: Path, *more: object) -> Any:
    """What `leatherens thresholds --json` prints."""
    result = call("thresholds", run, "--json", "--device", "cpu", *more)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def stored(run: Path, part: str, entry: str = "") -> Any:
    """The state of the ensemble's thresholds in a run or in one of its entries."""
    return json.loads((run / entry / "ensemble" / part / "ensemble/state.json").read_text(encoding="utf-8"))


# runs whose thresholds learn from labels


def test_run__with_f1_evaluates_none_of_the_images_it_learned_from(labelled_run: Path) -> None:
    splits = json.loads((labelled_run / "splits.json").read_text(encoding="utf-8"))
    learned, tested = set(splits["threshold_labelled"]), set(table(labelled_run))

    assert len(learned) == 11
    assert not learned & tested
    assert len(learned | tested) == 24
    assert stored(labelled_run, "thresholds")["labelled_"] == 11


def test_run__keeps_image_and_pixel_thresholds_apart_with_what_they_belong_to(labelled_run: Path) -> None:
    images, pixels = stored(labelled_run, "thresholds"), stored(labelled_run, "pixel-thresholds")

    assert "pixel_" not in images
    assert "image_" not in pixels
    assert images["belongs_to_"] == pixels["belongs_to_"]
    assert images["belongs_to_"] == {"size": "64 x 64", "tile": "none", "preparation": "none"}
    line = next(iter(table(labelled_run).items()))
    score_map = array(labelled_run / "maps" / f"{line[0]}.tiff")
    share = 100 * float((score_map.astype(np.float64) > pixels["pixel_"]).mean())
    assert float(line[1]["defective_percent"]) == pytest.approx(share, rel=1e-3)


def test_a_threshold_for_other_images__is_refused_in_words(run: Path, leather: Path) -> None:
    for part in (run / "ensemble/thresholds").iterdir():
        state = json.loads((part / "state.json").read_text(encoding="utf-8"))
        state["belongs_to_"]["size"] = "128 x 128"
        rewrite(part, state)
    result = call("predict", run, leather / "test/good")

    assert result.exit_code == 2
    assert "f1: a threshold for images of size 128 x 128, but these have size 64 x 64" in result.stderr


def rewrite(part: Path, state: Any) -> None:
    """A part's state as another program would have written it, digest included."""
    import hashlib

    (part / "state.json").write_text(json.dumps(state), encoding="utf-8")
    component = json.loads((part / "component.json").read_text(encoding="utf-8"))
    digest = hashlib.blake2b((part / "state.json").read_bytes(), digest_size=16).hexdigest()
    component["files"]["state.json"] = digest
    (part / "component.json").write_text(json.dumps(component), encoding="utf-8")


def test_thresholds_of_the_first_version__still_judge(banked: Path, leather: Path, tmp_path: Path) -> None:
    old = Path(shutil.copytree(banked, tmp_path / "old"))
    for part in (old / "ensemble/thresholds").iterdir():
        state = json.loads((part / "state.json").read_text(encoding="utf-8"))
        rewrite(part, {k: v for k, v in state.items() if k not in ("belongs_to_", "typical_")})
    recipe = (old / "recipe.yaml").read_text(encoding="utf-8")
    assert "pixel_threshold: null" in recipe

    assert judged(old, leather / "test/good") == judged(banked, leather / "test/good")


def test_run__of_too_few_labels_is_refused_before_it_learns(leather: Path, tmp_path: Path) -> None:
    result = call(
        *("run", "--members", "patchcore", "--data", leather, "--out", tmp_path / "run"),
        *("--threshold", "f1", "--size", "64"),
    )

    assert result.exit_code == 2
    assert "labelled test images" in result.stderr
    assert not (tmp_path / "run").exists()


# side by side


def test_thresholds__side_by_side(labelled_run: Path) -> None:
    before = digests(labelled_run)
    found = compared(labelled_run)
    rules, images = found["rules"], found["images"]

    assert found["in_force"] == {"images": "f1", "pixels": "max-area"}
    assert images == {"held_out_good": 8, "test_good": 6, "labelled": 11, "labelled_defective": 5}
    assert rules["f1"]["image"] == stored(labelled_run, "thresholds")["image_"]
    assert rules["max-area"]["pixel"] == stored(labelled_run, "pixel-thresholds")["pixel_"]
    assert rules["max-area"]["options"] == {"area": 20}
    assert rules["maximum"]["held_out"] == 1 / 8  # only the highest of 8 lies above all others
    assert rules["conformal"]["promise"] == pytest.approx(1 / 9)
    assert 0 < rules["k-sigma"]["good_pixels"] < rules["p-quantile"]["good_pixels"] < 0.1
    assert all(0 <= rules[id][key] <= 1 for id in rules for key in ("recall", "f1", "iou", "tested"))
    assert digests(labelled_run) == before


def test_thresholds__asked_for_a_rate_and_options(labelled_run: Path) -> None:
    rules = compared(labelled_run, "--false-alarms", "0.25", "--set", "k-sigma.k=1")["rules"]

    assert rules["conformal"]["promise"] == rules["mondrian"]["promise"] == pytest.approx(2 / 9)
    assert rules["k-sigma"]["options"] == {"k": 1}


def test_thresholds__without_labels_tell_what_is_missing(banked: Path) -> None:
    shown = done("thresholds", banked)
    line = next(line for line in shown.splitlines() if line.strip().startswith("f1"))

    assert line.split()[1:] == ["-"] * 6
    assert "in force (*): conformal\n" in shown
    assert "note: no labelled images: recall, F1 and IoU need --labelled DIR\n" in shown
    assert "note: f1: needs labelled images (--labelled DIR)\n" in shown


def test_thresholds__measured_on_a_folder_leave_out_what_taught(banked: Path, hides: Path) -> None:
    found = compared(banked, "--labelled", hides)

    assert found["images"]["labelled"] == 24
    assert found["rules"]["f1"]["f1"] > 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--false-alarms", "0"), "--false-alarms: expected a share between 0 and 1, such as 0.01, got 0"),
        (("--false-alarms", "1"), "--false-alarms: expected a share between 0 and 1, such as 0.01, got 1"),
        (("--use", "f1"), "f1: learns from labelled images, good and defective ones, and there are none"),
        (("--use", "k-sgima"), "did you mean 'k-sigma'?"),
        (("--use", "conformal"), "the threshold 'conformal' is the run's own already, with these options"),
        (
            ("--use", "maximum", "--false-alarms", "0.1"),
            "the threshold 'maximum' takes no rate; leave it out",
        ),
        (("--set", "k-sigma.q=2"), "k-sigma: unknown option 'q' (options: k)"),
        (("--set", "k=2"), "--set: expected RULE.KEY=VALUE, such as k-sigma.k=2, got 'k=2'"),
        (("--masks", "."), "--layout, --defects and --masks belong to --labelled; give that too"),
    ],
)
def test_thresholds__refuse_in_words(options: tuple[str, ...], sentence: str, banked: Path) -> None:
    result = call("thresholds", banked, *options)

    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not (banked / "history").exists()


def test_labels_of_one_kind__are_refused(banked: Path, hides: Path, tmp_path: Path) -> None:
    bad = some(hides / "test/cut", tmp_path / "bad/test/cut", 0, 2)
    some(hides / "train/good", tmp_path / "bad/train/good", 0, 0)
    result = call("thresholds", banked, "--labelled", bad.parent.parent)

    assert result.exit_code == 2
    assert "labelled images of both kinds are needed, got 0 good and 2 defective" in result.stderr


def test_photographs_that_are_gone__are_told(run: Path, tmp_path: Path) -> None:
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    facts["data"]["root"] = str(tmp_path / "nowhere")
    (run / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    result = call("thresholds", run)

    assert result.exit_code == 2
    assert "the 8 held-out good images that thresholds are learned from cannot be found" in result.stderr


# another rule


def test_use__makes_a_rule_the_runs_own_and_rollback_undoes_it(run: Path, hides: Path) -> None:
    before = judged(run, hides / "test/good")
    said = done("thresholds", run, "--use", "k-sigma", "--set", "k-sigma.k=2", "--use-pixel", "maximum")
    after = judged(run, hides / "test/good")

    assert "threshold of images: f1 -> k-sigma (k 2.0)\n" in said
    assert "threshold of pixels: max-area (area 20) -> maximum\n" in said
    assert {name: score for name, (score, *_) in after.items()} == {n: s for n, (s, *_) in before.items()}
    rules = compared(run)["rules"]
    assert {threshold for _, threshold, _ in after.values()} == {rules["k-sigma"]["image"]}
    assert stored(run, "pixel-thresholds", "history/0001")["pixel_"] == rules["maximum"]["pixel"]
    assert [entry["kind"] for entry in listed(run)["entries"]] == ["thresholds"]

    done("thresholds", run, "--use-pixel", "k-sigma", "--set", "k-sigma.k=2")  # one rule for both again
    assert compared(run)["in_force"] == {"images": "k-sigma", "pixels": "k-sigma"}
    done("rollback", run, "--to", "0")
    assert judged(run, hides / "test/good") == before


def test_use__from_labels_leaves_those_out_of_evaluation(banked: Path, hides: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(banked, tmp_path / "run"))
    done("thresholds", run, "--use", "f1", "--labelled", hides)

    assert {image["job"] for image in images_of(run, 1)} == {"label"}
    assert sum(image["defective"] for image in images_of(run, 1)) == 12
    result = call("evaluate", run, "--data", hides)
    assert result.exit_code == 2
    assert "no test images" in result.stderr
    # images it learns from again are those of the entry
    said = done("thresholds", run, "--use", "line-clearance")
    assert "line-clearance chose the rule '" in said
    assert evaluated(run, hides.parent / "hides" / "train")["images"]["good"] == 20


def test_f1__survives_an_update_and_is_not_recalibrated(run: Path, darker: Path, tmp_path: Path) -> None:
    new = some(darker, tmp_path / "new", 0, 10)
    result = call("recalibrate", run, "--good", new)
    assert result.exit_code == 2
    assert "this run's threshold learns from labelled images, and those given are all good" in result.stderr

    done("update", run, "--good", new)
    assert stored(run, "thresholds", "history/0001")["labelled_"] == 11

"""`leatherens update` and `recalibrate`: what they change, what they promise, what they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from changed_runs import digests, done, images_of, judged, listed, some
from tiny_runs import call, evaluated, make


@pytest.fixture(scope="module")
def fused(leather: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of patchcore and stfpm, fused both ways. Not to be written to."""
    return make(tmp_path_factory.mktemp("runs") / "fused", leather, "patchcore,stfpm")


@pytest.fixture
def run(banked: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(banked, tmp_path / "run"))


# update


def test_update__lowers_the_scores_of_what_it_took_in(run: Path, darker: Path, tmp_path: Path) -> None:
    new = some(darker, tmp_path / "new", 0, 20)
    before = judged(run, new)
    said = done("update", run, "--good", new)
    after = judged(run, new)

    taught = {Path(image["path"]).name for image in images_of(run, 1) if image["job"] == "teach"}
    assert len(taught) == 14
    assert all(after[name][0] < before[name][0] for name in taught)
    assert (
        "new images: 14 teach, 3 validate and 3 calibrate, beside 2 and 2 the run held out before\n" in said
    )
    assert "patchcore: took in 14 images\n" in said
    assert "held-out good images: 2 -> 5\n" in said
    assert "promise: at most 0.167 of fresh good images like these are flagged (before: 0.333)\n" in said
    assert f"entry 1 of {run}; back with: leatherens rollback {run}\n" in said


def test_update__of_an_ensemble_moves_bank_head_and_scale_and_no_network(
    fused: Path, darker: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(fused, tmp_path / "run"))
    said = done("update", run, "--good", some(darker, tmp_path / "new", 0, 10))

    assert "stfpm: learned by gradient steps and stays as it is\n" in said
    assert "head memory-bank: took in 6 images; the block independent stays as it is\n" in said
    assert "scales, score fusion and agreement: set anew by 4 held-out images\n" in said
    changed = {
        path.relative_to(run / "history/0001").as_posix() for path in (run / "history/0001").rglob("*")
    }
    assert {"members/patchcore", "ensemble/head", "ensemble/scales/stfpm.safetensors"} <= changed
    assert not {"members/stfpm", "ensemble/block"} & changed
    assert len(judged(run, tmp_path / "new")) == 10


def test_update__the_same_images_and_seed_give_the_same_run(
    banked: Path, darker: Path, tmp_path: Path
) -> None:
    new = some(darker, tmp_path / "new", 0, 10)
    states = []
    for name in ("one", "two"):
        run = Path(shutil.copytree(banked, tmp_path / name))
        done("update", run, "--good", new)
        states.append((run / "history/0001/members/patchcore/state.safetensors").read_bytes())

    assert states[0] == states[1]


def test_updates__keep_what_earlier_ones_held_out(run: Path, darker: Path, tmp_path: Path) -> None:
    done("update", run, "--good", some(darker, tmp_path / "first", 0, 20))
    said = done("update", run, "--good", some(darker, tmp_path / "second", 20, 40))

    assert "beside 5 and 5 the run held out before\n" in said
    assert [entry["parent"] for entry in listed(run)["entries"]] == [0, 1]


@pytest.mark.parametrize(
    ("count", "options", "sentence"),
    [
        (2, (), "at least 3 new good images (of 3 groups) are needed, one to teach, one to validate"),
        (5, ("--teach", "1.5"), "--teach: expected a share between 0 and 1, such as 0.7, got 1.5"),
    ],
)
def test_update__refuses_what_it_cannot_deal_out(
    count: int, options: tuple[str, ...], sentence: str, run: Path, darker: Path, tmp_path: Path
) -> None:
    result = call("update", run, "--good", some(darker, tmp_path / "new", 0, count), *options)

    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not (run / "history").exists()


def test_update__of_networks_only_is_refused(alone: Path, darker: Path) -> None:
    before = digests(alone)
    result = call("update", alone, "--good", darker)

    assert result.exit_code == 2
    assert result.stderr == (
        "Error: nothing in this run takes in further images (stfpm learned by gradient steps and stays as it "
        "is); move only calibration and threshold with leatherens recalibrate, or make a new run\n"
    )
    assert digests(alone) == before


# images the run knows


def test_known_images__are_skipped_whatever_their_name(
    run: Path, leather: Path, darker: Path, tmp_path: Path
) -> None:
    new = some(darker, tmp_path / "new", 0, 10)
    shutil.copy(leather / "train/good/000.png", new / "known.png")
    shutil.copy(new / "000.png", new / "twin.png")
    said = done("update", run, "--good", new)

    assert "read as a plain folder: 12 good images\n" in said
    assert "skipped 1 image known to the run already: known.png\n" in said
    assert "skipped 1 image the same as another: twin.png\n" in said


def test_known_images__alone_are_refused(run: Path, leather: Path) -> None:
    result = call("recalibrate", run, "--good", leather / "train/good")

    # The two that calibrated may do so again.
    assert "skipped 14 images known to the run already: 001.png" in result.stderr
    assert "at least 8 good images are needed to calibrate, got 2" in result.stderr
    sentence = f"{leather / 'train/good'}: no new good images: all 16 are known to the run already; an image "
    assert sentence in call("update", run, "--good", leather / "train/good").stderr


def test_known_images__of_an_older_run_are_found_by_its_photographs(run: Path, leather: Path) -> None:
    (run / "images.json").unlink()

    assert "all 16 are known" in call("update", run, "--good", leather / "train/good").stderr


def test_lost_photographs__leave_the_promise_to_the_new_ones(run: Path, darker: Path, tmp_path: Path) -> None:
    moved(run, tmp_path / "gone")
    new = some(darker, tmp_path / "new", 0, 20)
    refused = call("update", run, "--good", new)
    said = done("update", run, "--good", new, "--teach", "0.2")

    assert (
        "4 held-out images of the run cannot be found as they were, and 3 to calibrate on are too few (at "
        "least 8): put the photographs back, give more new ones, or hold more of them out with a smaller "
        "--teach"
    ) in refused.stderr
    assert (
        "4 held-out images of the run cannot be found as they were: the promise rests on the 8 that are "
        "left, and holds for images like these\n"
    ) in said


def test_lost_photographs__of_an_older_run_cannot_be_told_from_new_ones(
    run: Path, darker: Path, tmp_path: Path
) -> None:
    moved(run, tmp_path / "gone")
    (run / "images.json").unlink()
    said = done("recalibrate", run, "--good", some(darker, tmp_path / "new", 0, 10))

    assert "this run did not write down which images it learned from, and its photographs are gone" in said


def test_changed_photographs__of_an_older_run_are_no_longer_known(
    banked: Path, leather: Path, darker: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(banked, tmp_path / "run"))
    data = Path(shutil.copytree(leather, tmp_path / "leather"))
    moved(run, data)
    (run / "images.json").unlink()
    shutil.copy(darker / "000.png", data / "train/good/000.png")
    said = call("update", run, "--good", darker, "--teach", "0.5").stderr

    assert "this run did not write down which images it learned from" in said
    assert "4 held-out images of the run cannot be found as they were" in said


def test_a_whole_data_set__gives_its_good_images_to_learn_from(
    run: Path, darker: Path, tmp_path: Path
) -> None:
    some(darker, tmp_path / "set/train/good", 0, 10)
    some(darker, tmp_path / "set/test/cut", 10, 12)
    said = done("recalibrate", run, "--good", tmp_path / "set")

    assert "read as MVTec AD: 10 good images\nleft out 2 images that are there to test on\n" in said


def moved(run: Path, to: Path) -> None:
    """Let the run look for its photographs where there are none."""
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    facts["data"]["root"] = str(to)
    (run / "run.json").write_text(json.dumps(facts), encoding="utf-8")


def test_a_broken_image__is_named_and_nothing_changes(run: Path, darker: Path, tmp_path: Path) -> None:
    new = some(darker, tmp_path / "new", 0, 10)
    (new / "002.png").write_bytes((new / "002.png").read_bytes()[:200])
    before = digests(run)
    result = call("update", run, "--good", new)

    assert result.exit_code == 2
    assert f"{new / '002.png'}: " in result.stderr
    assert digests(run) == before
    assert not (run / "history").exists()


# recalibrate


def test_recalibrate__leaves_scores_and_maps_bit_for_bit(
    run: Path, darker: Path, leather: Path, tmp_path: Path
) -> None:
    new = some(darker, tmp_path / "new", 0, 10)
    call("predict", run, leather / "test/good", "--out", tmp_path / "before", "--device", "cpu")
    before = judged(run, leather / "test/good")
    done("recalibrate", run, "--good", new)
    call("predict", run, leather / "test/good", "--out", tmp_path / "after", "--device", "cpu")
    after = judged(run, leather / "test/good")

    assert {name: score for name, (score, *_) in after.items()} == {n: s for n, (s, *_) in before.items()}
    assert after["000.png"][1] != before["000.png"][1]
    for image in before:
        one, other = (tmp_path / when / f"{image}.map.tiff" for when in ("before", "after"))
        assert one.read_bytes() == other.read_bytes()
    changed = {path.name for path in (run / "history/0001/ensemble").iterdir()}
    assert changed == {"calibrators", "thresholds"}
    assert not (run / "history/0001/members").exists()


def test_recalibrate__keeps_its_promise_on_a_shifted_line(run: Path, darker: Path, tmp_path: Path) -> None:
    fresh = some(darker, tmp_path / "fresh", 39, 60)
    flagged_before = [verdict for *_, verdict in judged(run, fresh).values()]
    said = done("recalibrate", run, "--good", some(darker, tmp_path / "new", 0, 39), "--false-alarms", "0.1")
    flagged = [verdict for *_, verdict in judged(run, fresh).values()]

    assert "promise: at most 0.1 of fresh good images like these are flagged (before: 0.333)\n" in said
    assert sum(flagged_before) == 21  # without it, everything on this line is defective
    assert sum(flagged) <= 6  # 21 at a rate of 0.1: more in one of 200 draws


def test_recalibrate__asks_for_a_rate_that_stays(
    run: Path, darker: Path, leather: Path, tmp_path: Path
) -> None:
    done("recalibrate", run, "--good", some(darker, tmp_path / "new", 0, 19), "--false-alarms", "0.2")
    shown = call("evaluate", run, "--data", leather).stdout
    said = done("update", run, "--good", some(darker, tmp_path / "more", 19, 29))

    assert "promise: at most 0.2 of fresh good images are flagged (guaranteed on average)\n" in shown
    assert "was asked for" not in shown
    # 19 that calibrate since, and 2 new ones; the two of the run's own line no longer do.
    assert "beside 2 and 19 the run held out before\n" in said
    assert "promise: at most 0.182 of fresh good images like these are flagged (before: 0.2)\n" in said


@pytest.mark.parametrize("rate", ["0", "1.5"])
def test_recalibrate__refuses_a_rate_that_is_none(rate: str, run: Path, darker: Path) -> None:
    result = call("recalibrate", run, "--good", darker, "--false-alarms", rate)

    assert result.exit_code == 2
    assert f"--false-alarms: expected a share between 0 and 1, such as 0.01, got {rate}\n" in result.stderr


# evaluate and the notices


def test_evaluate__leaves_out_what_was_taken_in_and_says_what_changed(
    run: Path, leather: Path, tmp_path: Path
) -> None:
    done("update", run, "--good", some(leather / "test/good", tmp_path / "new", 0, 3))
    shown = call("evaluate", run, "--data", leather).stdout

    assert evaluated(run, leather)["images"] == {"good": 2, "defective": 4, "with_truth": 6}
    assert "note: left out 3 images that the run took in since it was made\n" in shown
    assert "note: changed since it was made: update of 2" in shown
    assert "with 3 good images\n" in shown


def test_results_of_the_run__say_that_it_was_changed_since(run: Path, darker: Path, tmp_path: Path) -> None:
    before = digests(run)
    done("update", run, "--good", some(darker, tmp_path / "new", 0, 10))
    sentence = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["changed_since"]
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))

    assert sentence.startswith("The run was changed since these results: update of ")
    assert "with 10 good images, entry 1. They are those of the run as it was made" in sentence
    assert f'<p role="note" style="padding:1em;border:2px solid currentColor">{sentence}</p>' in (
        run / "report.html"
    ).read_text(encoding="utf-8")
    assert (facts["format"], facts["remarks"][0]) == (2, sentence)
    changed = {name for name, digest in digests(run).items() if before[name] != digest}
    assert changed == {"metrics.json", "run.json", "report.html"}

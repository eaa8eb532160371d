"""Ablations from end to end through the command line: the table, its worth against a run, going on."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from tiny_runs import at_step, call, files, metrics, options, press_ctrl_c, untimed

QUICK = (
    *("--heads", "memory-bank", "--blocks", "independent", "--fusions", "weighted,maximum"),
    *("--resamplings", "40"),
)
PATCHCORE = ("backbone=test_resnet", "weights=random", "layers=[1]", "core_set=0.05")


def patchcore() -> list[str]:
    """What makes a third member tiny."""
    return [part for setting in PATCHCORE for part in ("--set", f"patchcore.{setting}")]


def tiny(members: str) -> list[str]:
    """The options of tiny members, patchcore among them if it is named."""
    others = [id for id in members.split(",") if id != "patchcore"]
    given = options(",".join(others))
    given[given.index("--members") + 1] = members
    return [*given, *(patchcore() if "patchcore" in members else ())]


def ablated(out: Path, data: Path, members: str, *more: object) -> Path:
    """A finished ablation's folder."""
    result = call("ablate", *tiny(members), "--data", data, "--out", out, *QUICK, *more)
    assert result.exit_code == 0, result.stderr
    return out


def content(folder: Path) -> dict[str, Any]:
    """ablation.json."""
    found: dict[str, Any] = json.loads((folder / "ablation.json").read_text(encoding="utf-8"))
    return found


def rows(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows by what varies and the variant's name."""
    return {(row["varies"], row["variant"]): row for row in content(folder)["rows"]}


def measured(row: dict[str, Any]) -> dict[str, Any]:
    """What does not change from one time to the next."""
    return {key: value for key, value in row.items() if key != "ms_per_image"}


@pytest.fixture(scope="module")
def three(leather: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished ablation of three members. Not to be written to."""
    out = tmp_path_factory.mktemp("ablations") / "three"
    return ablated(out, leather, "stfpm,draem,patchcore", "--components", "2,999")


# the table


def test_ablate__varies_one_thing_at_a_time(three: Path) -> None:
    assert list(rows(three)) == [
        ("member", "draem"),
        ("member", "patchcore"),
        ("member", "stfpm"),
        ("whole", "as a run does it"),
        ("mode", "score"),
        ("mode", "feature"),
        ("fusion", "maximum"),
        ("block", "independent, N 2"),
        ("block", "independent, N 999"),
        ("without", "draem"),
        ("without", "patchcore"),
        ("without", "stfpm"),
    ]


def test_ablate__the_recipe_s_row_is_what_a_run_measures(pair: Path, leather: Path, tmp_path: Path) -> None:
    folder = ablated(tmp_path / "pair", leather, "stfpm,draem")
    found, run = rows(folder), metrics(pair)
    expected = {
        ("whole", "as a run does it"): run["ensemble"],
        ("member", "stfpm"): run["members"]["stfpm"],
        ("member", "draem"): run["members"]["draem"],
    }

    for row, wanted in expected.items():
        shared = {key: value for key, value in untimed(wanted).items() if key in found[row]}
        assert {key: found[row][key] for key in shared} == pytest.approx(shared, abs=1e-6, nan_ok=True)
        assert set(shared) == {"image_auroc", "pixel_ap", "au_pro", "false_alarm_rate"}


def test_ablate__every_metric_lies_in_its_interval_and_costs_add_up(three: Path) -> None:
    found = rows(three)
    for row in found.values():
        for metric, (low, high) in row["intervals"].items():
            assert low - 0.02 <= row[metric] <= high + 0.02, (row["variant"], metric)
    alone = sum(found["member", id]["ms_per_image"] for id in ("draem", "patchcore", "stfpm"))
    without = found["without", "draem"]["ms_per_image"]

    assert all(row["ms_per_image"] > 0 for row in found.values() if not row["problem"])
    assert found["mode", "score"]["ms_per_image"] < found["whole", "as a run does it"]["ms_per_image"]
    assert found["mode", "score"]["ms_per_image"] < alone + 100  # the backbone they share counts once
    assert without < found["whole", "as a run does it"]["ms_per_image"]


def test_ablate__a_variant_that_cannot_be_made_is_a_row_with_its_reason(three: Path) -> None:
    row = rows(three)["block", "independent, N 999"]

    assert "999" in row["problem"]
    assert row["image_auroc"] is None


def test_ablate__says_how_everything_was_found(three: Path, leather: Path) -> None:
    found = content(three)

    assert {"image_auroc", "pixel_ap", "au_pro", "false_alarm_rate", "ms_per_image", "intervals"} < set(
        found["definitions"]
    )
    assert found["seed"] == 0
    assert found["command"].startswith("leatherens ablate --members stfpm,draem,patchcore ")
    assert set(found["recipe"]["members"]) == {"draem", "patchcore", "stfpm"}
    assert set(found["versions"]) >= {"python", "torch", "leatherens"}
    assert {job: len(ids) for job, ids in found["splits"].items()} == {
        "fit": 12,
        "validate": 2,
        "calibrate": 2,
        "threshold_labelled": 0,
        "test": 9,
    }


def test_ablate__compares_the_recipe_with_the_best_members(three: Path) -> None:
    found, table = content(three)["conclusions"], rows(three)
    whole = table["whole", "as a run does it"]
    fair, hindsight = found["by_validation"], found["with_hindsight"]
    chosen = table["member", fair["member"]]

    assert fair["member"] == max(found["separations"], key=lambda id: found["separations"][id])
    for metric in ("image_auroc", "pixel_ap", "au_pro"):
        best = max(row[metric] for (varies, _), row in table.items() if varies == "member")
        assert hindsight[metric]["alone"] == best
        assert hindsight[metric]["difference"] == pytest.approx(whole[metric] - best)
        assert fair["differences"][metric]["difference"] == pytest.approx(whole[metric] - chosen[metric])
        assert fair["differences"][metric]["low"] <= fair["differences"][metric]["high"]


def test_ablate__csv_has_the_rows_of_the_json(three: Path) -> None:
    with (three / "ablation.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))

    assert [(line["varies"], line["variant"]) for line in lines] == list(rows(three))
    for line, row in zip(lines, rows(three).values(), strict=True):
        assert line["members"].split("+") == row["members"]
        assert line["au_pro"] == ("" if row["au_pro"] is None else f"{row['au_pro']:.6g}")
    assert lines[3]["block"] == "independent"
    assert (lines[4]["block"], lines[4]["score_fusion"]) == ("", "weighted")
    assert (lines[5]["head"], lines[5]["score_fusion"]) == ("memory-bank", "")


def test_ablate__leaves_the_documented_folder(three: Path) -> None:
    own = {name for name in files(three) if not name.startswith("run/")}

    assert own == {
        "ablation.csv",
        "ablation.json",
        "ablation.svg",
        "costs.json",
        "settings.json",
        "variants.jsonl",
    }
    assert "<svg" in (three / "ablation.svg").read_text(encoding="utf-8")


def test_ablate__its_members_serve_a_run(three: Path, leather: Path, tmp_path: Path) -> None:
    shutil.copytree(three / "run", tmp_path / "run")
    result = call("run", "--resume", "--out", tmp_path / "run")

    assert result.exit_code == 0, result.stderr
    assert "draem: already learned" in result.stderr
    whole = rows(three)["whole", "as a run does it"]
    assert metrics(tmp_path / "run")["ensemble"]["au_pro"] == pytest.approx(whole["au_pro"], abs=1e-6)


def test_ablate__prints_table_and_conclusions(pair: Path, leather: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    more = ("--from", pair, "--fusions", "weighted", "--components", "2", "--subset-mode", "score")
    result = call("ablate", "--data", leather, "--out", out, "--device", "cpu", *QUICK, *more)

    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == (
        [
            "varies",
            "variant",
            "mode",
            "image",
            "AUROC",
            "pixel",
            "AP",
            "AU-PRO",
            "false",
            "alarms",
            "ms/image",
        ]
    )
    assert [line.split()[0] for line in lines[1:8]] == [
        "member",
        "member",
        "whole",
        "mode",
        "mode",
        "block",
        "best",
    ]
    assert "best member by artificial anomalies on validate (no test image seen): " in result.stdout
    assert "best member with hindsight by AU-PRO: " in result.stdout
    assert f"written: {out / 'ablation.svg'}\n" in result.stdout


# from finished runs


def test_from__takes_members_over_and_measures_the_same(
    pair: Path, alone: Path, leather: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    more = ("--from", pair, "--components", "0.99")
    result = call("ablate", "--data", leather, "--out", out, "--device", "cpu", *QUICK, *more)

    assert result.exit_code == 0, result.stderr
    assert f"stfpm: taken from {pair}\n" in result.stderr
    assert "learning" not in result.stderr
    whole = rows(out)["whole", "as a run does it"]
    assert whole["image_auroc"] == pytest.approx(metrics(pair)["ensemble"]["image_auroc"])
    state = "members/stfpm/state.safetensors"
    assert (out / "run" / state).read_bytes() == (pair / state).read_bytes()


def test_from__fits_what_no_run_has(alone: Path, leather: Path, tmp_path: Path) -> None:
    given = [*options("draem"), "--from", alone, "--data", leather, *QUICK, "--subsets", "0"]
    given[given.index("--members") + 1] = "stfpm,draem"
    result = call("ablate", *given, "--components", "0.99", "--out", tmp_path / "out")

    assert result.exit_code == 0, result.stderr
    assert f"stfpm: taken from {alone}\n" in result.stderr
    assert "draem: learning: 2 of 2" in result.stderr


def refused(leather: Path, out: Path, *more: object) -> str:
    """What is said, on standard error, of an ablation that is refused; it leaves no folder."""
    before = out.exists()
    result = call("ablate", "--data", leather, "--out", out, "--device", "cpu", *more)
    assert result.exit_code == 2, result.stderr
    assert out.exists() == before
    return result.stderr


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--seed", "5", "learned with seed 0, here it is 5"), ("--size", "32", "learned with size (64, 64)")],
)
def test_from__another_seed_or_size_is_refused(
    option: str, value: str, said: str, alone: Path, leather: Path, tmp_path: Path
) -> None:
    error = refused(leather, tmp_path / "out", "--from", alone, option, value)

    assert f"Error: {alone}: 'stfpm' {said}" in error
    assert "fit it anew" in error


def test_from__other_images_are_refused(alone: Path, leather: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(leather, data)
    next((data / "train" / "good").iterdir()).unlink()

    said = f"'stfpm' learned from other images than those in {data}; fit it anew"
    assert said in refused(data, tmp_path / "out", "--from", alone)


def test_from__another_part_of_the_images_is_refused(alone: Path, leather: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(alone, run)
    splits = json.loads((run / "splits.json").read_text(encoding="utf-8"))
    splits["fit"], splits["validate"] = splits["validate"], splits["fit"]
    (run / "splits.json").write_text(json.dumps(splits), encoding="utf-8")

    said = "'stfpm' learned from another part of the images than is dealt out now"
    assert said in refused(leather, tmp_path / "out", "--from", run)


def test_from__other_weights_are_refused(three: Path, leather: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(three / "run", run)
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    facts["backbones"]["test_resnet"]["fingerprint"] = "another"
    (run / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    (run / "DONE").touch()
    result = call("ablate", "--data", leather, "--out", tmp_path / "out", "--device", "cpu", "--from", run)

    assert result.exit_code == 2
    assert "learned with other weights of 'test_resnet'" in result.stderr


def test_from__a_member_of_two_runs_an_unfinished_run_and_an_option_are_refused(
    pair: Path, alone: Path, leather: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    unfinished = tmp_path / "unfinished"
    shutil.copytree(alone, unfinished)
    (unfinished / "DONE").unlink()

    assert f"'stfpm' is a member of {pair} and of {alone}; leave one of the two out" in refused(
        leather, out, "--from", f"{pair},{alone}"
    )
    assert "this run is not finished" in refused(leather, out, "--from", unfinished)
    assert f"--set stfpm.steps=9: 'stfpm' is taken from {alone}" in refused(
        leather, out, "--from", alone, "--set", "stfpm.steps=9"
    )


# going on


def test_resume__goes_on_after_ctrl_c_and_finds_the_same(
    three: Path, leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "an ablation"
    given = [*tiny("stfpm,draem,patchcore"), "--data", leather, *QUICK, "--components", "2,999"]
    with monkeypatch.context() as patch:
        at_step(patch, "variants", press_ctrl_c, after=6)
        result = call("ablate", *given, "--out", out)

    assert result.exit_code == 130
    assert result.stderr.endswith(
        "\nInterrupted; what was learned and measured is kept. Go on with: leatherens ablate --resume --out "
        f"'{out}'\n"
    )
    finished = (out / "variants.jsonl").read_text(encoding="utf-8")
    assert len(finished.splitlines()) == 6
    (out / "variants.jsonl").write_text(finished + '{"key": "cut sho', encoding="utf-8")

    resumed = call("ablate", "--resume", "--out", out)

    assert resumed.exit_code == 0, resumed.stderr
    assert "member: draem" not in resumed.stderr
    assert "without: stfpm: image AUROC" in resumed.stderr
    assert [measured(row) for row in content(out)["rows"]] == [
        measured(row) for row in content(three)["rows"]
    ]


@pytest.mark.parametrize("title", ["draem: learning", "timing the members", "looking at every image"])
def test_resume__goes_on_from_before_the_first_variant(
    title: str, leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    given = [*tiny("draem"), "--data", leather, *QUICK, "--components", "2", "--out", out]
    with monkeypatch.context() as patch:
        at_step(patch, title, press_ctrl_c)
        assert call("ablate", *given).exit_code == 130

    assert call("ablate", "--resume", "--out", out).exit_code == 0
    assert content(out)["rows"]


def test_resume__of_a_finished_one_says_so(three: Path) -> None:
    result = call("ablate", "--resume", "--out", three)

    assert (result.exit_code, result.stdout) == (
        0,
        f"{three}: this ablation is finished already; its table is {three / 'ablation.csv'}\n",
    )


def test_resume__without_a_beginning_or_with_other_options_is_refused(tmp_path: Path) -> None:
    nothing = call("ablate", "--resume", "--out", tmp_path)
    other = call("ablate", "--resume", "--out", tmp_path, "--subsets", "3", "--from", "x")

    assert (nothing.exit_code, other.exit_code) == (2, 2)
    assert nothing.stderr == (f"Error: {tmp_path}: no ablation was begun here; start one without --resume\n")
    assert other.stderr == "Error: --resume goes on as the run was begun; leave out --from, --subsets\n"


# few members, few images


def test_ablate__one_member_varies_block_and_head_only(leather: Path, tmp_path: Path) -> None:
    folder = ablated(tmp_path / "out", leather, "draem", "--components", "1,2")

    assert list(rows(folder)) == [
        ("member", "draem"),
        ("whole", "as a run does it"),
        ("mode", "feature"),
        ("block", "independent, N 1"),
        ("block", "independent, N 2"),
    ]
    assert rows(folder)["whole", "as a run does it"]["mode"] == "hybrid"


def test_ablate__without_defective_test_images_shows_dashes(leather: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(leather, data)
    for kind in (data / "test").iterdir():
        if kind.name != "good":
            shutil.rmtree(kind)
    shutil.rmtree(data / "ground_truth")
    result = result_of(data, tmp_path / "out")

    assert result.exit_code == 0, result.stderr
    assert "no metric of images or pixels is defined on these test images" in result.stdout
    row = rows(tmp_path / "out")["member", "draem"]
    assert (row["image_auroc"], row["au_pro"]) == (None, None)
    assert row["false_alarm_rate"] is not None
    assert not (tmp_path / "out" / "ablation.svg").exists()


def test_ablate__without_masks_measures_images(leather: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(leather, data)
    shutil.rmtree(data / "ground_truth")
    result = result_of(data, tmp_path / "out")

    assert result.exit_code == 0, result.stderr
    row = rows(tmp_path / "out")["member", "draem"]
    assert row["image_auroc"] is not None
    assert (row["au_pro"], row["intervals"]["au_pro"]) == (None, [None, None])
    assert set(content(tmp_path / "out")["conclusions"]["with_hindsight"]) == {"image_auroc"}


def result_of(data: Path, out: Path) -> Result:
    """An ablation of one member."""
    given = [*tiny("draem"), "--data", data, *QUICK, "--components", "2"]
    return call("ablate", *given, "--out", out)


# refusals


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--members", "stfmp"), "stfmp"),
        ((), "which detectors? give --members"),
        (("--members", "stfpm", "--heads", "memory-bnak"), "memory-bank"),
        (("--members", "stfpm", "--blocks", "globl"), "global"),
        (("--members", "stfpm,draem", "--fusions", "meen"), "mean"),
        (("--members", "stfpm", "--components", "16,many"), "--components: expected counts (16) or shares"),
        (("--members", "stfpm", "--components", "1.5"), "got '1.5'"),
        (("--members", "stfpm", "--resamplings", "1"), "resamplings"),
        (("--members", "stfpm", "--subsets", "-1"), "subsets"),
    ],
)
def test_ablate__mistakes_are_told_before_anything_is_learned(
    given: tuple[str, ...], said: str, leather: Path, tmp_path: Path
) -> None:
    assert said in refused(leather, tmp_path / "out", *given)


def test_ablate__needs_data_and_a_place(leather: Path, tmp_path: Path) -> None:
    no_place = call("ablate", "--members", "stfpm", "--data", leather)
    no_data = call("ablate", "--members", "stfpm", "--out", tmp_path / "out")

    assert (no_place.exit_code, no_data.exit_code) == (2, 2)
    assert "give --out with a folder for the results" in no_place.stderr
    assert "give --data with a folder" in no_data.stderr


def test_ablate__a_taken_folder_is_refused(three: Path, alone: Path, leather: Path, tmp_path: Path) -> None:
    assert f"{three}: holds a finished ablation; choose another --out" in refused(
        leather, three, "--members", "stfpm"
    )
    begun = tmp_path / "begun"
    shutil.copytree(three, begun)
    (begun / "ablation.json").unlink()
    assert f"{begun}: an ablation was begun here; go on with leatherens ablate --resume" in refused(
        leather, begun, "--members", "stfpm"
    )


def test_full_disk__is_a_sentence_and_the_ablation_can_go_on(
    leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leatherens.ensembles.ablation.recording import Recordings

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Recordings, "_append", fail)
        result = result_of(leather, out)

    assert result.exit_code == 2
    assert (
        f"{out / 'observations'}: cannot be written or read (No space left on device); free some space or "
        f"choose another --out. What was learned is kept; go on with: leatherens ablate --resume --out {out}"
    ) in result.stderr
    assert call("ablate", "--resume", "--out", out).exit_code == 0

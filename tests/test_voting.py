"""How a run learns to fuse: what is drawn and kept, resumed and opened, and what a wrong option is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny_runs import at_step, call, files, make, metrics, options, own_scores, predicted, press_ctrl_c

from leatherens.core.artifact import read_state
from leatherens.core.examples import Of
from leatherens.core.host import PluginHost
from leatherens.core.leather import write_demo
from leatherens.ensembles.ensemble import FUSED_FEATURES
from leatherens.ensembles.opening import open_run

LEARNED = {"ensemble/score-fusion/component.json", "ensemble/score-fusion/state.safetensors"}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The fusions that had artificial anomalies drawn."""
    found: list[str] = []
    for fusion in ("weighted", "vote"):
        at_step(monkeypatch, f"{fusion}: artificial anomalies", lambda fusion=fusion: found.append(fusion))
    return found


def refused(leather: Path, out: Path, *more: str, members: str = "stfpm,draem") -> str:
    result = call("run", *options(members), "--data", leather, "--out", out, *more)
    assert result.exit_code == 2
    assert not out.exists()
    return result.stderr


def test_run__keeps_what_its_fusion_learned_and_opens_with_it(pair: Path, leather: Path) -> None:
    assert files(pair) >= LEARNED
    assert predicted(pair, leather / "test") == own_scores(pair)
    opened = open_run(pair, PluginHost(installed=False), device="cpu")
    assert opened.ensemble.score_fusion.voters_ == ["draem", FUSED_FEATURES, "stfpm"]


def test_run__learns_weights_for_every_voter(pair: Path) -> None:
    weights = read_state(pair / "ensemble/score-fusion")["weights_"]
    assert weights.shape == (len(Of), 3)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))
    assert bool((weights > 0).all())


def test_run__with_a_fixed_rule_draws_no_anomalies_and_keeps_no_fusion(
    leather: Path, tmp_path: Path, drawn: list[str]
) -> None:
    averaged = make(tmp_path / "run", leather, "stfpm,draem", "--score-fusion", "mean", "--mode", "score")
    assert not [name for name in files(averaged) if "score-fusion" in name]
    assert drawn == []


def test_open__without_the_agreement_says_what_is_missing(pair: Path, tmp_path: Path) -> None:
    shutil.copytree(pair, tmp_path / "run")
    (tmp_path / "run/ensemble/agreement.safetensors").unlink()
    result = call("predict", tmp_path / "run", pair / "maps", "--device", "cpu")
    assert result.exit_code == 2
    assert "agreement.safetensors: missing" in result.stderr


def test_resume__keeps_scales_and_learns_the_fusion_that_was_interrupted(
    pair: Path, leather: Path, tmp_path: Path, drawn: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        at_step(patch, "weighted: artificial anomalies", press_ctrl_c)
        result = call(
            "run", *options("stfpm,draem"), "--data", leather, "--out", out, "--score-fusion", "weighted"
        )
    assert result.exit_code == 130
    scale = out / "ensemble/scales/stfpm.safetensors"
    written = scale.stat().st_mtime_ns

    assert call("run", "--resume", "--out", out).exit_code == 0
    assert drawn == ["weighted"] * 2, "what Ctrl-C broke off, and whole"
    assert scale.stat().st_mtime_ns == written
    assert (out / "scores.csv").read_bytes() == (pair / "scores.csv").read_bytes()


def test_resume__does_not_learn_a_fusion_again(pair: Path, tmp_path: Path, drawn: list[str]) -> None:
    out = tmp_path / "run"
    shutil.copytree(pair, out)
    (out / "DONE").unlink()
    kept = (out / "ensemble/score-fusion/component.json").stat().st_mtime_ns

    assert call("run", "--resume", "--out", out).exit_code == 0
    assert drawn == []
    assert (out / "ensemble/score-fusion/component.json").stat().st_mtime_ns == kept
    assert (out / "scores.csv").read_bytes() == (pair / "scores.csv").read_bytes()


def test_open__without_what_the_fusion_learned_says_what_is_missing(pair: Path, tmp_path: Path) -> None:
    shutil.copytree(pair, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/ensemble/score-fusion")
    result = call("predict", tmp_path / "run", pair / "maps", "--device", "cpu")
    assert result.exit_code == 2
    assert "ensemble/score-fusion/component.json: missing; the run is incomplete" in result.stderr


def test_hand_set_weights__count_and_nothing_is_learned(
    leather: Path, tmp_path: Path, drawn: list[str]
) -> None:
    weights = "score_fusion.weights={stfpm: 1, draem: 0, fused-features: 0}"
    run = make(tmp_path / "run", leather, "stfpm,draem", "--score-fusion", "weighted", "--set", weights)
    assert not files(run) & LEARNED
    assert drawn == []
    found = metrics(run)
    assert found["ensemble"]["image_auroc"] == found["members"]["stfpm"]["image_auroc"]
    assert predicted(run, leather / "test") == own_scores(run)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (
            "{stfmp: 1, draem: 1}",
            "weighted: a weight is given for 'stfmp', who is no voter; did you mean 'stfpm'? "
            "(voters: draem, fused-features, stfpm)",
        ),
        (
            "{stfpm: 1, draem: 1}",
            "weighted: 'fused-features' has no weight; give it one, 0 silences it "
            "(voters: draem, fused-features, stfpm)",
        ),
        ("{stfpm: 0}", "weighted: option 'weights': at least one weight must be above 0, got {'stfpm': 0}"),
    ],
)
def test_hand_set_weights__that_do_not_fit_are_told_before_anything_begins(
    weights: str, sentence: str, leather: Path, tmp_path: Path
) -> None:
    given = ["--score-fusion", "weighted", "--set", f"score_fusion.weights={weights}"]
    assert refused(leather, tmp_path / "run", *given) == f"Error: {sentence}\n"


def test_hand_set_weights__know_which_voters_a_mode_has(leather: Path, tmp_path: Path) -> None:
    given = ["--score-fusion", "weighted", "--mode", "score", "--set"]
    said = refused(leather, tmp_path / "run", *given, "score_fusion.weights={stfpm: 1, fused-features: 1}")
    assert "'fused-features', who is no voter (voters: draem, stfpm)" in said


def test_one_validate_image_and_a_fusion_of_good_ones_need_no_anomalies(
    tmp_path: Path, drawn: list[str]
) -> None:
    write_demo(tmp_path / "few", scenario="one-colour", size=64, train=8, test=4, seed=1)
    run = make(tmp_path / "run", tmp_path / "few", "stfpm,draem", "--score-fusion", "vote")
    splits = json.loads((run / "splits.json").read_text(encoding="utf-8"))
    assert (len(splits["validate"]), len(splits["calibrate"])) == (1, 1)
    assert 0 <= metrics(run)["ensemble"]["image_auroc"] <= 1
    assert drawn == []


def test_discriminator__is_shown_artificial_anomalies_of_held_out_images(
    leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    at_step(monkeypatch, "fusion: artificial anomalies", lambda: seen.append(1))
    given = ["--head", "discriminator", "--set", "head.steps=4", "--set", "head.anomalies=0.5"]
    run = make(tmp_path / "run", leather, "stfpm,draem", *given)
    assert seen == [1]
    assert predicted(run, leather / "test") == own_scores(run)

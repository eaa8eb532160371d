"""`leatherens plugins check`: which class is meant, what is told, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from pictures import grain, save
from tiny_runs import call

from leatherens.cli.kinds import Kind
from leatherens.core.host import KINDS

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def beside_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that is not registered is looked for where the command is called."""
    monkeypatch.chdir(HERE)


def check(*arguments: object) -> Result:
    return call("plugins", "check", *arguments)


def test_check__prints_a_line_per_check_and_a_summary() -> None:
    result = check("f1")

    first, *lines, last = result.output.splitlines()
    assert result.exit_code == 0
    assert first == "Checking threshold f1 of plugin leatherens"
    assert all(line.startswith("✓ ") and line.endswith(" s") for line in lines)
    assert last.startswith(f"{len(lines)} of {len(lines)} checks passed in ")


def test_check__says_what_is_wrong_and_what_is_wanted() -> None:
    result = check("broken_parts:FixedMargin")

    lines = result.output.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("✗ threshold_follows_the_scores"))
    assert result.exit_code == 1
    assert "FixedMargin: scores times 2 plus 5" in lines[at + 1]
    assert lines[at + 2].strip() == (
        "Wanted: Scores in another unit, twice as large and shifted, give the same decisions."
    )
    assert "Failed: threshold_follows_the_scores" in lines[-1]


def test_check__stops_at_the_first_failure() -> None:
    result = check("broken_parts:NeedsTwoScores", "--stop")

    assert result.output.splitlines()[-4].startswith("✗ threshold_is_finite")


def test_check__prints_json() -> None:
    result = check("broken_backbones:FromNowhere", "--json")

    said = json.loads(result.output)
    assert (said["kind"], said["passed"], result.exit_code) == ("backbones", False, 1)
    failed = [one for one in said["checks"] if not one["passed"]]
    assert [one["name"] for one in failed] == ["backbone_weights_fit_the_model"]
    assert "origin must say where" in failed[0]["message"]


def test_check__declared_failures_need_a_reason_and_are_strict() -> None:
    name = "broken_backbones:FromNowhere"
    declared = check(name, "--expect", "backbone_weights_fit_the_model=issue 12")
    strict = check(name, "--expect", "backbone_names_a_timm_model=issue 12")
    bare = check(name, "--expect", "backbone_weights_fit_the_model")

    assert declared.exit_code == 0
    assert "○ backbone_weights_fit_the_model" in declared.output
    assert strict.exit_code == 1
    assert "declared failing (issue 12), but passes; delete the entry" in strict.output
    assert "--expect: expected CHECK=REASON" in bare.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["conformal"],
            "'conformal' is a calibrator and a threshold; say which is meant: --kind",
        ),
        (["pdim"], "no plugin of any kind is called 'pdim'; did you mean 'padim'?"),
        (["maximum", "--kind", "head"], "no head is called 'maximum'"),
        (["no_such_module:Grain"], "no_such_module:Grain cannot be imported: ModuleNotFoundError"),
        (["broken_parts:np.pi"], "broken_parts:np.pi: expected a class, got float"),
        (["pathlib:Path"], "pathlib:Path derives from no base class of leatherens; say what it is"),
        (["k-sigma", "--set", "kk=3"], "k-sigma: unknown option 'kk'; did you mean 'k'?"),
        (["k-sigma", "--set", "k"], "--set: expected KEY=VALUE, such as steps=20, got 'k'"),
        (
            ["k-sigma", "--folder", "."],
            "--folder is for readers; threshold k-sigma of plugin",
        ),
        (["folder", "--folder", "nowhere"], "--folder nowhere: there is no such folder"),
    ],
)
def test_check__refuses_in_words(arguments: list[str], sentence: str) -> None:
    result = check(*arguments)

    assert result.exit_code == 2
    assert sentence in result.stderr


def test_check__takes_options_of_the_class() -> None:
    assert "with k=5" in check("k-sigma", "--set", "k=5").output.splitlines()[0]


def test_check__uses_the_options_a_class_names_for_checks__unless_told_otherwise() -> None:
    usual, defaults = check("mask", "--stop"), check("mask", "--stop", "--defaults")

    assert "with polygons=" in usual.output.splitlines()[0]
    assert defaults.output.splitlines()[0] == "Checking preparation mask of plugin leatherens"


def test_check__of_a_reader_wants_a_folder(tmp_path: Path) -> None:
    save(tmp_path / "good/0.png", grain())
    save(tmp_path / "bad/1.png", grain(seed=1))
    without, with_folder = check("folder"), check("folder", "--folder", tmp_path)

    assert "give a folder of its layout with --folder" in without.output
    assert with_folder.exit_code == 0
    assert "--folder" not in with_folder.output


def test_kind__is_typed_in_several_ways() -> None:
    kind = Kind()

    for said in ("score-fusion", "score_fusions", "score-fusions", "Score-Fusion"):
        assert kind.convert(said, None, None) == "score_fusions"
    assert {kind.convert(name, None, None) for name in KINDS} == set(KINDS)

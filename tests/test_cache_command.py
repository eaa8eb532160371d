"""`leatherens cache`, and that runs fill it, use it, and score the same to the bit with and without."""

from __future__ import annotations

from pathlib import Path

import pytest
from counted_passes import Counted
from tiny_runs import call, files

FITTED = "0.00"


def run(out: Path, leather: Path, *more: str) -> Path:
    """SimpleNet and PatchCore on one tiny backbone."""
    tiny = {"backbone": "test_resnet", "weights": "random", "layers": "[1,2]"}
    settings = [f"{id}.{key}={value}" for id in ("simplenet", "patchcore") for key, value in tiny.items()]
    sets = [part for setting in [*settings, "simplenet.steps=3"] for part in ("--set", setting)]
    given = ["--members", "simplenet,patchcore", "--mode", "score", "--size", "64", "--device", "cpu"]
    given += ["--calibration", "split"]
    given += ["--score-fusion", "mean"]  # artificial anomalies are never remembered
    result = call("run", *given, *sets, "--data", leather, "--out", out, *more)
    assert result.exit_code == 0, result.stderr
    return out


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, switched on."""
    monkeypatch.setenv("LEATHERENS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LEATHERENS_CACHE_MB", "64")
    return tmp_path / "cache/features"


def test_runs__remember_and_score_the_same_with_and_without(
    place: Path, leather: Path, tmp_path: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path / "first", leather)
    passed = len(counted.images)
    counted.images.clear()
    again = run(tmp_path / "again", leather)
    saved = passed - len(counted.images)
    monkeypatch.setenv("LEATHERENS_CACHE_MB", "0")
    without = run(tmp_path / "without", leather)

    fit_and_validate = passed - len(counted.images) + saved  # what is left are calibrated and tested images
    assert saved > 0
    assert fit_and_validate > 0
    scores = [(path / "scores.csv").read_bytes() for path in (first, again, without)]
    assert scores[0] == scores[1] == scores[2]
    entries = list(place.rglob("*.features"))
    assert len(entries) == 2 * saved  # two levels of each image
    states = [(path / "members/patchcore/state.safetensors").read_bytes() for path in (first, again, without)]
    assert states[0] == states[1] == states[2]


def test_run__with_an_unwritable_cache_goes_on(place: Path, leather: Path, tmp_path: Path) -> None:
    place.parent.write_text("a file where the folder should be")
    out = run(tmp_path / "run", leather)
    assert "DONE" in files(out)


def test_cache__says_where_it_is_and_what_lies_in_it(place: Path, leather: Path, tmp_path: Path) -> None:
    assert call("cache").output == f"{place}: 0 entries, 0 MB (at most 64 MB)\n"
    run(tmp_path / "run", leather)
    count = len(list(place.rglob("*.features")))
    assert call("cache", "show").output.startswith(f"{place}: {count} entries, ")


def test_clear__removes_every_entry(place: Path, leather: Path, tmp_path: Path) -> None:
    run(tmp_path / "run", leather)
    count = len(list(place.rglob("*.features")))

    cleared = call("cache", "clear")

    assert cleared.output.startswith(f"{place}: removed {count} entries, ")
    assert call("cache").output == f"{place}: 0 entries, 0 MB (at most 64 MB)\n"
    assert not list(place.rglob("*"))


def test_cache__that_is_switched_off_says_so(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEATHERENS_CACHE_MB", "0")
    assert call("cache").output == f"{place}: 0 entries, 0 MB (switched off by LEATHERENS_CACHE_MB=0)\n"


@pytest.mark.parametrize("command", [("cache",), ("cache", "clear")])
def test_cache__of_a_user_without_a_home(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leatherens.cli.cache.store_folder", lambda: None)
    assert call(*command).output == (
        "there is no cache: this user has no home folder; name one with LEATHERENS_CACHE\n"
    )


def test_cache__mistakes_are_sentences(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no command 'claer'; did you mean 'clear'?" in call("cache", "claer").stderr
    monkeypatch.setenv("LEATHERENS_CACHE_MB", "many")
    result = call("cache")
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: LEATHERENS_CACHE_MB: expected a whole number of MB, or 0 for no cache, got 'many'\n",
    )

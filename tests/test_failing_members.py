"""A member that cannot be learned: the others are learned and kept, and the end says what to type."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from tiny_runs import call, files, options, table

PLUGIN = '''
from pathlib import Path

import torch
from leatherens.core.errors import ConfigError, TrainingError
from leatherens.core.hookspecs import hookimpl
from reference_members import PatchGaussian

ERRORS = {
    "key": KeyError("grain"),
    "memory": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    "diverged": TrainingError("fragile: NaN at step 3. Try a smaller rate.", member="fragile", step=3),
    "interrupted": KeyboardInterrupt(),
    "option": ConfigError("fragile: more rows asked than there are; take fewer"),
}

class Fragile(PatchGaussian):
    """Fails as a file beside this one says."""

    id = "fragile"

    def _fit(self, images, validation, context):
        how = Path(__file__).with_name("how").read_text()
        if how in ERRORS:
            raise ERRORS[how]
        super()._fit(images, validation, context)

@hookimpl
def register_detectors(register):
    register("fragile", "fragile:Fragile", summary="fails at will")
'''


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    folder = tmp_path / "plugin"
    folder.mkdir()
    path = folder / "fragile.py"
    path.write_text(PLUGIN, encoding="utf-8")
    return path


def run(plugin: Path, how: str, *more: object) -> Result:
    """`leatherens run`, the plugin failing in this way."""
    plugin.with_name("how").write_text(how)
    return call("--plugin", plugin, "run", *more)


def begun(plugin: Path, how: str, leather: Path, out: Path, *, members: str = "fragile,stfpm") -> Result:
    """A new run in which the plugin's member comes first."""
    given = options("stfpm")
    given[1] = members
    given = given if "stfpm" in members else given[: given.index("--set")]
    return run(plugin, how, *given, "--data", leather, "--out", out)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("key", "KeyError: 'grain' (the traceback is in {out}/members/fragile/error.txt)"),
        (
            "memory",
            "memory ran out while learning from images of 64 x 64; images of 45 x 45 should fit, or "
            "smaller options",
        ),
        ("diverged", "NaN at step 3. Try a smaller rate"),
    ],
)
def test_failing__member_leaves_the_others_learned_and_says_how_to_go_on(
    how: str, reason: str, plugin: Path, leather: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    result = begun(plugin, how, leather, out)

    told = reason.format(out=out)
    assert result.exit_code == 2
    assert f"fragile: could not be learned ({told})\n" in result.stderr  # at once, before the others go on
    assert result.stderr.endswith(
        f"Error: fragile could not be learned: {told}. Learned and kept: stfpm. When the cause is mended, "
        f"go on with: leatherens run --resume --out {out}; or start a run without fragile: --members stfpm\n"
    )
    assert "Traceback" not in result.stderr
    learned = out / "members/stfpm/state.safetensors"
    before = learned.stat().st_mtime_ns

    resumed = run(plugin, "not at all", "--resume", "--out", out)

    assert resumed.exit_code == 0, resumed.stderr
    assert "stfpm: already learned\n" in resumed.stderr
    assert learned.stat().st_mtime_ns == before
    assert (out / "DONE").exists()
    assert "members/fragile/error.txt" not in files(out)


def test_failing__member_changes_nothing_in_the_result(plugin: Path, leather: Path, tmp_path: Path) -> None:
    begun(plugin, "key", leather, tmp_path / "mended")
    run(plugin, "not at all", "--resume", "--out", tmp_path / "mended")
    begun(plugin, "not at all", leather, tmp_path / "at-once")

    assert table(tmp_path / "mended") == table(tmp_path / "at-once")


def test_traceback__of_a_fault_in_the_code_is_kept(plugin: Path, leather: Path, tmp_path: Path) -> None:
    begun(plugin, "key", leather, tmp_path / "run")

    kept = (tmp_path / "run/members/fragile/error.txt").read_text()
    assert kept.startswith("Traceback (most recent call last):\n")
    assert kept.endswith("KeyError: 'grain'\n")
    assert "fragile.py" in kept


def test_only__member_that_fails_by_a_fault_in_its_code_is_told_in_words(
    plugin: Path, leather: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    result = begun(plugin, "key", leather, out, members="fragile")

    assert result.exit_code == 2
    assert result.stderr.endswith(
        "Error: fragile could not be learned: KeyError: 'grain' (the traceback is in "
        f"{out}/members/fragile/error.txt). When the cause is mended, go on with: leatherens run "
        f"--resume --out {out}\n"
    )


def test_only__member_that_runs_out_of_memory_leaves_no_run_behind(
    plugin: Path, leather: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"  # so that the same command with a smaller size can be given
    result = begun(plugin, "memory", leather, out, members="fragile")

    assert result.exit_code == 2
    assert result.stderr.endswith(
        "Error: fragile: memory ran out while learning from images of 64 x 64; images of 45 x 45 should fit, "
        "or smaller options\n"
    )
    assert not out.exists()


def test_ctrl_c__stops_at_once(plugin: Path, leather: Path, tmp_path: Path) -> None:
    result = begun(plugin, "interrupted", leather, tmp_path / "run")

    assert result.exit_code == 130
    assert "stfpm: learning" not in result.stderr
    assert not (tmp_path / "run/members/stfpm").exists()


def test_only__member_whose_options_are_refused_while_learning_leaves_no_folder(
    plugin: Path, leather: Path, tmp_path: Path
) -> None:
    result = begun(plugin, "option", leather, tmp_path / "run", members="fragile")

    assert result.exit_code == 2
    assert result.stderr.endswith("Error: fragile: more rows asked than there are; take fewer\n")
    assert not (tmp_path / "run").exists()


def test_refused__while_going_on_the_folder_stays(plugin: Path, leather: Path, tmp_path: Path) -> None:
    begun(plugin, "key", leather, tmp_path / "run", members="fragile")

    result = run(plugin, "option", "--resume", "--out", tmp_path / "run")

    assert result.exit_code == 2
    assert (tmp_path / "run/run.json").exists()


@pytest.mark.parametrize(
    ("member", "settings", "sentence"),
    [
        (
            "padim",
            ["layers=[1]", "dimensions=500"],
            "padim: dimensions: 500 asked of 32 channels (test_resnet has 32 at layers (1,)); take "
            "at most 32",
        ),
        ("cfa", ["layers=[1]", "gamma_d=99"], "cfa: gamma_d 99 leaves none of 32 channels; take at most 32"),
        (
            "reverse-distillation",
            ["layers=[1,3]"],
            "reverse-distillation: expected levels of which each has half the height and width of the one "
            "before, test_resnet gives strides (4, 16) at layers (1, 3)",
        ),
        (
            "cse",
            ["layers=[1,3]"],
            "cse: levels (1, 3) of test_resnet have strides 4 and 16, expected the second to be twice the "
            "first and a divisor of 32; take neighbouring levels, such as (3, 4) of an EfficientNet",
        ),
    ],
)
def test_options__that_do_not_fit_the_backbone_are_refused_before_anything_is_written(
    member: str, settings: list[str], sentence: str, leather: Path, tmp_path: Path
) -> None:
    given = ["backbone=test_resnet", "weights=random", *settings]
    sets = [part for setting in given for part in ("--set", f"{member}.{setting}")]
    out = tmp_path / "run"
    result = call(
        "run", "--members", member, "--size", 64, "--device", "cpu", "--data", leather, "--out", out, *sets
    )

    assert result.exit_code == 2
    assert result.stderr.endswith(f"Error: {sentence}\n")
    assert "checking the photographs" not in result.stderr
    assert not out.exists()

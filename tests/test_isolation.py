"""What one part of an ensemble does wrong is told with its name, and spoils nothing of the others."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
import torch
from click.testing import Result
from tiny_runs import call, options, table

from leatherens.core.errors import PluginWarning

PLUGIN = '''
from pathlib import Path

import torch
from reference_members import PatchGaussian
from leatherens import FeatureMaps, Head, Observation, Reader, Reporter, ScoreFusion, ScoreMap, hookimpl

leatherens_api = 1
HOW = Path(__file__).with_name("how").read_text()

if HOW == "target":
    raise RuntimeError("no licence")

class Fragile(PatchGaussian):
    """Does what a file beside this one says, while it scores."""

    id = "fragile"

    def _observe(self, batch, pyramids):
        seen = super()._observe(batch, pyramids)
        scores = seen.scores
        if HOW == "raise":
            raise KeyError("grain")
        if HOW == "nan":
            scores.pixels[0, 3, 3] = float("nan")
        if HOW == "shape":
            scores = ScoreMap(scores.pixels[:, :9], scores.image)
        if HOW == "batch":
            scores = ScoreMap(scores.pixels[:1], scores.image[:1])
        if HOW == "write":
            batch.pixels.mul_(0.5)
        if HOW == "kept":
            for kept in getattr(Fragile, "seen", []):
                kept.mul_(0)
            Fragile.seen = [batch.pixels]
        if HOW == "state":
            torch.set_default_dtype(torch.float64)
            torch.manual_seed(3)
        return Observation(seen.features, scores)

class Blank(Head):
    """Scores nothing but NaN."""

    id = "blank"

    def _fit(self, maps, validation, context):
        self.channels_ = next(iter(maps))[0].shape[1]

    def _score(self, maps):
        return maps.mean(dim=1) * float("nan")

class Wrong(ScoreFusion):
    """Fuses to NaN."""

    id = "wrong"

    def _combine(self, stacked, of):
        return stacked.mean(dim=0) * float("nan")

class Curious(Reader):
    """Fails on every folder."""

    id, title, shape = "curious", "curious", "anything"

    def recognises(self, root):
        raise OSError("no such drive")

    def _read(self, folders): ...

class Pdf(Reporter):
    """Fails to write."""

    id = "pdf"

    def write(self, run, folder):
        raise RuntimeError("no font")

@hookimpl
def register_detectors(register):
    register("fragile", "fragile_parts:Fragile")

@hookimpl
def register_heads(register):
    register("blank", "fragile_parts:Blank")

@hookimpl
def register_score_fusions(register):
    register("wrong", "fragile_parts:Wrong")

@hookimpl
def register_readers(register):
    register("curious", "fragile_parts:Curious")

@hookimpl
def register_reporters(register):
    register("pdf", "fragile_parts:Pdf")
'''
EXTRAS = ("register_readers", "register_reporters")


def plugin(folder: Path, how: str, *, extras: bool = False) -> Path:
    """The plugin, doing wrong in this way. extras: also the reader and the reporter, which always fail."""
    folder.mkdir()
    text = (
        PLUGIN
        if extras
        else PLUGIN.replace(f"@hookimpl\ndef {EXTRAS[0]}", "def _unused").replace(
            f"@hookimpl\ndef {EXTRAS[1]}", "def _unused_either"
        )
    )
    (folder / "how").write_text(how)
    (folder / "fragile_parts.py").write_text(text, encoding="utf-8")
    return folder / "fragile_parts.py"


def run(file: Path, leather: Path, out: Path, *more: object) -> Result:
    """A run of the plugin's detector and stfpm."""
    given = options("stfpm")
    given[1] = "fragile,stfpm"
    with warnings.catch_warnings():
        warnings.simplefilter("always", PluginWarning)
        return call("--plugin", file, "run", *given, "--data", leather, "--out", out, *more)


def ending(result: Result) -> str:
    """The last line of stderr; which image validates is chance."""
    return re.sub(r"train/good/\d+.png", "IMAGE", result.stderr.splitlines(keepends=True)[-1])


SCORE_ONLY = ("--mode", "score", "--score-fusion", "mean")
"""The quickest fusion."""

REFUSED = {
    "raise": (
        "detector 'fragile' failed while scoring: KeyError: 'grain'; LEATHERENS_TRACE_PLUGINS=1 shows where"
    ),
    "nan": "fragile: score map of IMAGE holds NaN or infinite values",
    "shape": "fragile: delivered scores of shapes ((2, 9, 64), (2,)), expected ((2, 64, 64), (2,))",
    "batch": "fragile: delivered scores of shapes ((1, 64, 64), (1,)), expected ((2, 64, 64), (2,))",
    "write": (
        "detector 'fragile' changed the images or feature maps it was given, which others read as well; it "
        "must work on copies"
    ),
}


@pytest.mark.parametrize("how", REFUSED)
def test_detector__that_scores_wrongly_is_named_and_the_others_are_kept(
    how: str, leather: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    result = run(plugin(tmp_path / "plugin", how), leather, out, *SCORE_ONLY)

    assert result.exit_code == 2
    assert ending(result) == f"Error: {REFUSED[how]}\n"
    assert (out / "members/stfpm/component.json").exists()


def test_detector__that_changes_what_is_shared_is_named_and_changes_no_result(
    leather: Path, tmp_path: Path
) -> None:
    dtype, seeded = torch.get_default_dtype(), torch.get_rng_state()
    changing = run(plugin(tmp_path / "a", "state"), leather, tmp_path / "changing", *SCORE_ONLY)
    decent = run(plugin(tmp_path / "b", "nothing"), leather, tmp_path / "decent", *SCORE_ONLY)

    told = (
        "Warning: detector 'fragile' changed torch's random generator and torch's default dtype while "
        "scoring; put back\n"
    )
    assert told in changing.stderr
    assert "Warning" not in decent.stderr
    assert (torch.get_default_dtype(), torch.equal(torch.get_rng_state(), seeded)) == (dtype, True)
    assert table(tmp_path / "changing") == table(tmp_path / "decent")


def test_detector__that_keeps_images_and_writes_into_them_later_spoils_nobody(
    leather: Path, tmp_path: Path
) -> None:
    """Images of a batch that was scored are nobody's any more."""
    run(plugin(tmp_path / "a", "kept"), leather, tmp_path / "keeping", *SCORE_ONLY)
    run(plugin(tmp_path / "b", "nothing"), leather, tmp_path / "decent", *SCORE_ONLY)

    assert table(tmp_path / "keeping") == table(tmp_path / "decent")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            ("--mode", "hybrid", "--head", "blank"),
            "head 'blank' delivered NaN or infinite values in the score map of IMAGE",
        ),
        (
            ("--mode", "score", "--score-fusion", "wrong"),
            "score fusion 'wrong' delivered NaN or infinite values in the score map of image 1 of the batch",
        ),
    ],
)
def test_head_and_fusion__that_give_nan_are_named(
    given: tuple[str, ...], sentence: str, leather: Path, tmp_path: Path
) -> None:
    result = run(plugin(tmp_path / "plugin", "nothing"), leather, tmp_path / "run", *given)

    assert result.exit_code == 2
    assert ending(result) == f"Error: {sentence}\n"


def test_reader_and_reporter__that_fail_are_told_and_done_without(leather: Path, tmp_path: Path) -> None:
    file, out = plugin(tmp_path / "plugin", "nothing", extras=True), tmp_path / "run"
    result = run(file, leather, out, *SCORE_ONLY)

    assert result.exit_code == 0, result.stderr
    for told in (
        f"Warning: reader 'curious' failed while looking at {leather}: OSError: no such drive; ",
        "Warning: reporter 'pdf' failed while writing its report: RuntimeError: no font; ",
    ):
        assert told in result.stderr
    assert (out / "report.html").exists()
    assert (out / "DONE").exists()


def test_module__that_fails_when_it_is_first_needed_spoils_only_what_is_in_it(
    leather: Path, tmp_path: Path
) -> None:
    """The hooks of a package are imported at once, its classes when they are asked for."""
    file = plugin(tmp_path / "plugin", "target", extras=True)
    hooks = file.with_name("strange.py")
    text = PLUGIN[PLUGIN.index("@hookimpl") :]
    hooks.write_text(f"from leatherens import hookimpl\nleatherens_api = 1\n\n{text}", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("always", PluginWarning)
        patch.syspath_prepend(str(file.parent))
        given = (*options("stfpm"), "--data", leather, "--out", tmp_path / "run")
        others = call("--plugin", hooks, "run", *given)
        itself = call("--plugin", hooks, "run", "--members", "fragile", "--data", leather)

    assert others.exit_code == 0, others.stderr
    for id, kind in (("curious", "reader"), ("pdf", "reporter")):
        told = f"Warning: {kind} '{id}' of plugin strange cannot be used: fragile_parts:{id.title()}: "
        assert f"{told}RuntimeError: no licence; done without it\n" in others.stderr
    assert itself.exit_code == 2
    assert itself.stderr == (
        "Error: detector 'fragile' of plugin strange cannot be used: fragile_parts:Fragile: RuntimeError: no "
        "licence\n"
    )

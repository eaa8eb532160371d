"""The plugins a run needs: written down when it begins, named where one is missing or another."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from pathlib import Path

import pytest
from tiny_runs import call

from leatherens.core.errors import ArtifactError, PluginWarning
from leatherens.core.host import PluginHost
from leatherens.ensembles.needs import Need, differences, require_needs

MODULE = '''
from reference_members import PatchGaussian
from leatherens import hookimpl

leatherens_api = 1

class Grain(PatchGaussian):
    """A detector of a stranger."""

    id = "grain"

@hookimpl
def register_detectors(register):
    register("grain", "{module}:Grain", summary="a detector")
'''


def run_on(leather: Path, out: Path, *before: object) -> None:
    given = ("--members", "grain", "--size", 64, "--device", "cpu", "--data", leather, "--out", out)
    result = call(*before, "run", *given)
    assert result.exit_code == 0, result.stderr


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "grain.py"
    path.write_text(MODULE.format(module="grain"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(file: Path, leather: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a plugin file. Not to be written to."""
    out = tmp_path_factory.mktemp("runs") / "made"
    run_on(leather, out, "--plugin", file)
    return out


def judged(run: Path, leather: Path, *before: object) -> tuple[int, str]:
    """The exit code of judging a good image, and what stderr says."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", PluginWarning)
        result = call(*before, "predict", run, leather / "test/good/000.png")
    return result.exit_code, result.stderr


def test_run__names_everything_it_uses_and_whose_it_is(made: Path, file: Path) -> None:
    needs = json.loads((made / "run.json").read_text())["plugins"]

    assert [(need["kind"], need["id"], need["plugin"]) for need in needs] == [
        ("detectors", "grain", "grain"),
        ("score_fusions", "weighted", "leatherens"),
        ("calibrators", "conformal", "leatherens"),
        ("thresholds", "conformal", "leatherens"),
        ("readers", "mvtec-ad", "leatherens"),
    ]
    assert (needs[0]["file"], needs[0]["distribution"], needs[0]["version"]) == (str(file), "", "")
    assert needs[1]["version"]


def test_run__opened_with_its_plugin_says_nothing(made: Path, file: Path, leather: Path) -> None:
    code, told = judged(made, leather, "--plugin", file)

    assert code in (0, 1)
    assert told == ""


def test_run__opened_without_its_file_says_how_to_give_it(made: Path, file: Path, leather: Path) -> None:
    assert judged(made, leather) == (
        2,
        f"Error: {made}: needs detector 'grain' of the plugin file grain.py, not here: give the file with "
        f"leatherens --plugin FILE; it was {file}\n",
    )


def test_run__opened_with_another_file_is_judged_and_told(
    made: Path, file: Path, leather: Path, tmp_path: Path
) -> None:
    changed, renamed = tmp_path / "grain.py", tmp_path / "other.py"
    changed.write_text(file.read_text() + "# changed\n")
    renamed.write_text(MODULE.format(module="other"))

    for given, sentence in (
        (changed, "the plugin file grain.py has changed since the run was made"),
        (renamed, "made with detector 'grain' of the plugin file grain.py, here it is that of other"),
    ):
        code, told = judged(made, leather, "--plugin", given)
        assert code in (0, 1)
        assert told == f"Warning: {made}: {sentence}\n"


def test_run__of_a_broken_plugin_says_why(made: Path, leather: Path, tmp_path: Path) -> None:
    broken = tmp_path / "grain.py"
    broken.write_text("import gone")

    code, told = judged(made, leather, "--plugin", broken)

    assert code == 2
    assert told.endswith(
        "detector 'grain' of the plugin file grain.py, not here: plugin grain is broken: "
        "ModuleNotFoundError: No module named 'gone'\n"
    )


def test_run__of_a_version_that_wrote_no_plugins_is_opened(
    made: Path, file: Path, leather: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(made, old)
    facts = json.loads((old / "run.json").read_text())
    del facts["plugins"]
    (old / "run.json").write_text(json.dumps(facts))

    assert judged(old, leather, "--plugin", file)[0] in (0, 1)


# what is said of packages


GRAIN = Need(kind="detectors", id="grain", plugin="grain", distribution="leatherens-grain", version="1.2")


def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, *, offers: str = "grain") -> None:
    """leatherens-grain of this version, as an installer leaves it."""
    info = tmp_path / f"leatherens_grain-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: leatherens-grain\nVersion: {version}\n")
    (info / "entry_points.txt").write_text("[leatherens]\ngrain = needed_grain\n")
    (tmp_path / "needed_grain.py").write_text(
        "from leatherens import hookimpl\n@hookimpl\ndef register_detectors(register):\n"
        f"    register('{offers}', 'nowhere:Grain')\n"
    )
    monkeypatch.delitem(sys.modules, "needed_grain", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))


def refused(host: PluginHost, *needs: Need) -> str:
    with pytest.raises(ArtifactError) as caught:
        require_needs(needs or (GRAIN,), host, Path("runs/a"))
    return str(caught.value)


def test_missing__package_is_told_how_to_get() -> None:
    more = GRAIN.model_copy(update={"kind": "heads", "id": "edge"})

    assert refused(PluginHost(installed=False), GRAIN, more) == (
        "runs/a: needs detector 'grain', head 'edge' of grain (leatherens-grain 1.2), not here: "
        "pip install leatherens-grain==1.2"
    )


def test_missing__package_that_is_left_out_is_not_to_be_installed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site(tmp_path, monkeypatch, "1.2")

    assert refused(PluginHost(installed=False)).endswith(
        "not here: leatherens-grain 1.2 is installed, but left out by --no-plugins"
    )
    assert refused(PluginHost(builtins=False, blocked=["grain"])).endswith(
        "not here: plugin grain (leatherens-grain 1.2) is blocked"
    )


def test_missing__from_another_version_names_the_one_that_had_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site(tmp_path, monkeypatch, "2.0", offers="coarse")

    assert refused(PluginHost(builtins=False)).endswith(
        "not here: leatherens-grain 2.0 is installed and does not offer it; install 1.2"
    )


def test_other__version_is_a_remark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site(tmp_path, monkeypatch, "1.3")
    host = PluginHost(builtins=False)

    require_needs([GRAIN], host, Path("runs/a"))

    assert differences([GRAIN, GRAIN.model_copy(update={"version": "1.3"})], host) == (
        "made with plugin grain (leatherens-grain 1.2), here it is grain (leatherens-grain 1.3)",
    )


def test_reader__that_is_gone_keeps_no_run_closed() -> None:
    reader = GRAIN.model_copy(update={"kind": "readers"})

    require_needs([reader], PluginHost(installed=False), Path("runs/a"))

"""The colours of a run: told of every test image, kept with the run, extended by an update."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pictures import save
from PIL import Image
from tiny_runs import call, table

from leatherens.core.colours import Colours
from leatherens.core.errors import ArtifactError
from leatherens.core.reading import Sample
from leatherens.ensembles.colouring import coloured, extend_colours, learn_colours, load_colours
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.sources import FileSource


def hides(folder: Path, colour: tuple[int, int, int], count: int, seed: int = 0) -> FileSource:
    rng = np.random.default_rng(seed)
    samples = []
    for number in range(count):
        pixels = np.clip(np.array(colour) + rng.normal(0, 8, (32, 40, 1)), 0, 255).astype(np.uint8)
        path = save(folder / f"{number}.png", pixels)
        samples.append(Sample(path, f"{folder.name}/{number}.png", defective=False))
    return FileSource(samples, size=(16, 16))


BROWN, WHITE = (110, 70, 50), (230, 230, 230)


def test_colours__are_learned_kept_and_told(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    learned = learn_colours(run, hides(tmp_path / "brown", BROWN, 6))

    kept = load_colours(run)
    assert kept is not None
    assert kept.state() == learned.state()
    told = coloured(kept, hides(tmp_path / "new", BROWN, 2, seed=5))
    assert (told.names, told.remarks) == ([kept.clusters[0].name] * 2, ())
    other = coloured(kept, hides(tmp_path / "white", WHITE, 1))
    assert other.names == ["unlike any"]
    assert other.remarks == (
        f"1 of 1 image of a colour unlike all that were learned ({kept.sentence}): white/0.png",
    )


def test_colours__of_an_older_run_are_unknown(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")

    assert load_colours(run) is None
    told = coloured(None, hides(tmp_path / "brown", BROWN, 2))
    assert (told.names, told.sentence, told.remarks) == (["", ""], "", ())
    extend_colours(run, hides(tmp_path / "more", BROWN, 1), into=run)
    assert load_colours(run) is None


def test_colours__damaged_are_one_sentence(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    learn_colours(run, hides(tmp_path / "brown", BROWN, 2))
    run.colours.write_text('{"cells": 3}')

    with pytest.raises(
        ArtifactError, match=r"colours.json: damaged .*; copy the run again, or make it again"
    ):
        load_colours(run)


def test_colours__are_those_on_disk_whatever_happens_to_the_photographs(tmp_path: Path) -> None:
    from leatherens.plugins.colour_constancy import ColourConstancy

    plain = hides(tmp_path / "brown", BROWN, 2)
    grey = FileSource(plain.samples, size=(16, 16), preparation=(ColourConstancy(),))

    np.testing.assert_array_equal(grey.colours, plain.colours)


def test_run__writes_the_colour_of_every_test_image(alone: Path) -> None:
    lines = table(alone)

    colours = Colours.from_state(json.loads((alone / "ensemble" / "colours.json").read_text()))
    assert {line["colour"] for line in lines.values()} <= {c.name for c in colours.clusters} | {"unlike any"}
    page = (alone / "report.html").read_text(encoding="utf-8")
    assert f"learned from {colours.sentence}" in page
    assert "colour " + next(iter(lines.values()))["colour"] in page


def test_evaluate__tells_images_of_a_colour_that_was_not_learned(
    alone: Path, leather: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(leather / "test" / "good", data / "test" / "good")
    first = sorted((data / "test" / "good").iterdir())[0]
    Image.fromarray(255 - np.asarray(Image.open(first)) // 8).save(first)

    result = call("evaluate", alone, "--data", data, "--device", "cpu", "--out", tmp_path / "out")

    assert result.exit_code == 0, result.stderr
    assert table(tmp_path / "out")[f"test/good/{first.name}"]["colour"] == "unlike any"
    assert "of a colour unlike all that were learned (" in result.stdout
    assert result.stdout.count(f"test/good/{first.name}") == 1


def test_update__adds_the_colours_that_it_takes_in(banked: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(banked, tmp_path / "run"))
    before = json.loads((run / "ensemble" / "colours.json").read_text())
    hides(tmp_path / "white", WHITE, 12)

    result = call("update", run, "--good", tmp_path / "white", "--device", "cpu")

    assert result.exit_code == 0, result.stderr
    (changed,) = run.glob("history/*/ensemble/colours.json")
    after = Colours.from_state(json.loads(changed.read_text()))
    assert after.images == sum(before["counts"]) + 8  # 70 % of 12 teach
    assert "white" in {cluster.name for cluster in after.clusters}
    assert json.loads((run / "ensemble" / "colours.json").read_text()) == before

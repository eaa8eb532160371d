"""Projects of two views, made, gone on with, and judging new parts; a second each."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from pictures import save
from tiny_runs import array, at_step, call, files, metrics, press_ctrl_c, table
from two_views import left_margin, make_project, options, parts, photograph, project_file

from leatherens.core.artifact import read_json
from leatherens.core.metrics import image_auroc
from leatherens.ensembles.splits import Splits

WIDE = {"threshold": {"id": "k-sigma", "options": {"k": 15}}, "false_alarms": None}
"""So few held-out good images tell little of fresh ones; loud defects lie far beyond."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photographs of both views and a project file. Not to be written to."""
    folder = tmp_path_factory.mktemp("machine")
    photograph(folder / "photographs")
    left_margin(folder / "margin.png")
    views = {"A": {}, "B": {"ignore": "margin.png", "size": [48, 64]}}
    project_file(folder, views=views, **WIDE)
    return folder


@pytest.fixture(scope="module")
def made(machine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished project. Not to be written to."""
    return make_project(machine / "machine.yaml", tmp_path_factory.mktemp("projects") / "made")


class TestMade:
    def test_a_defect_in_one_view__makes_the_part_defective(self, made):
        found = parts(made)
        assert {
            name: line["flagged by"] for name, line in found.items() if line["verdict"] == "defective"
        } == {
            "test/in-a/000": "A",
            "test/in-a/001": "A",
            "test/in-b/000": "B",
            "test/in-b/001": "B",
        }

    def test_what_a_view_s_mask_hides__is_not_found(self, made):
        line = parts(made)["test/hidden/000"]
        assert (line["defective"], line["verdict"]) == ("1", "good")

    def test_no_part_is_on_two_sides(self, made):
        splits = {view: Splits.read(made / "views" / view / "splits.json").jobs() for view in "AB"}
        for job, ids in splits["A"].items():
            assert [id.replace("_A", "_B") for id in ids] == list(splits["B"][job])

    def test_every_view_is_a_run_of_its_own(self, made):
        recipes = {view: yaml.safe_load((made / f"views/{view}/recipe.yaml").read_text()) for view in "AB"}
        assert [recipes[view]["size"] for view in "AB"] == [[64, 64], [48, 64]]
        assert [len(recipes[view]["preparation"]) for view in "AB"] == [0, 1]

    def test_severities__come_from_scores_threshold_and_median(self, made):
        state = read_json(made / "views/A/ensemble/thresholds/ensemble/state.json")
        threshold, typical = state["image_"], state["typical_"]
        for line in parts(made).values():
            score = float(table(made / "views/A")[line["image A"]]["ensemble"])
            assert float(line["severity A"]) == pytest.approx(
                (score - typical) / (threshold - typical), rel=1e-4
            )
            assert float(line["severity"]) == max(float(line["severity A"]), float(line["severity B"]))

    def test_metrics__are_those_of_parts(self, made):
        found, lines = metrics(made), parts(made).values()
        labels = [line["defective"] == "1" for line in lines]
        assert found["parts"]["part_auroc"] == image_auroc(
            [float(line["severity"]) for line in lines], labels
        )
        assert found["parts"]["missed_rate"] == pytest.approx(1 / 5)
        assert found["views"]["A"]["parts"]["missed_rate"] == pytest.approx(3 / 5)
        assert found["views"]["A"]["images"] == metrics(made / "views/A")["ensemble"]
        assert found["counts"] == {"good": 3, "defective": 5, "unlabelled": 0, "lacking_a_view": 0}

    def test_report__is_one_page_that_leads_to_the_views(self, made):
        page = (made / "report.html").read_text(encoding="utf-8")
        assert "4 of 5 defective parts found, 1 missed." in page
        assert page.count("<article") == 8
        links = set(re.findall(r'href="(views/[^"]+)"', page))
        assert links == {"views/A/report.html", "views/B/report.html"}
        assert all((made / link).exists() for link in links)
        assert not re.search(r"(src|href)=\"(http|//)", page)

    def test_promise__is_the_sum_of_the_views(self, machine, tmp_path):
        """2 held-out good images promise 1/3 in a view; a quarter was asked for."""
        (tmp_path / "photographs").symlink_to(machine / "photographs")
        result = call("run", "--project", project_file(tmp_path), "--out", tmp_path / "out")
        for view in "AB":
            recipe = yaml.safe_load((tmp_path / f"out/views/{view}/recipe.yaml").read_text())
            assert recipe["threshold"]["options"]["false_alarms"] == 0.25
        assert "promise: at most 0.667 of fresh good parts are flagged (A 0.333 + B 0.333)" in result.stdout
        assert (
            "note: a false-alarm rate of 0.5 of the parts was asked for; with 2 held-out good images in a "
            "view, 2 views together can promise 0.667 at best (3 in every view are needed for the one asked)"
        ) in result.stdout

    def test_the_project_it_wrote__makes_the_same_again(self, made, tmp_path):
        again = make_project(made / "project.yaml", tmp_path / "again")
        assert (again / "parts.csv").read_bytes() == (made / "parts.csv").read_bytes()
        assert (again / "project.yaml").read_bytes() == (made / "project.yaml").read_bytes()


def judged(out: Path, *arguments: object) -> tuple[int, dict[str, dict]]:
    """The exit code and what was said of each part."""
    result = call("predict", out, *arguments, "--json", "--device", "cpu")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return result.exit_code, {line["part"]: line for line in lines}


class TestPredict:
    def test_gives_the_severities_of_the_project_s_own_test(self, made, machine):
        code, found = judged(made, machine / "photographs/test")
        assert code == 1
        for name, line in parts(made).items():
            seen = found[name.removeprefix("test/")]
            assert seen["verdict"] == line["verdict"]
            for view in "AB":
                assert seen["views"][view]["severity"] == pytest.approx(
                    float(line[f"severity {view}"]), rel=1e-5
                )

    def test_a_line_says_which_view__and_the_code_what(self, made, machine):
        test = machine / "photographs/test"
        result = call("predict", made, test / "good", test / "in-b")
        lines = {line.split("  ")[0]: line.split("  ")[2:] for line in result.stdout.splitlines()}
        assert lines["in-b/000"][0] == "defective (B)"
        assert lines["good/000"][0] == "good"
        assert [view.split()[0] for view in lines["good/000"][1:]] == ["A", "B"]
        assert result.exit_code == 1
        assert call("predict", made, test / "good").exit_code == 0

    def test_a_missing_view__is_incomplete__unless_another_flags_the_part(self, made, machine):
        test = machine / "photographs/test"
        code, found = judged(made, test / "in-a/000_B.png")
        assert (code, found["000"]["verdict"], found["000"]["missing"]) == (2, "incomplete", ["A"])
        code, found = judged(made, test / "in-a/000_A.png")
        assert (code, found["000"]["verdict"], found["000"]["missing"]) == (1, "defective", ["B"])
        assert "(A) (no B)" in call("predict", made, test / "in-a/000_A.png").stdout

    def test_an_image_that_cannot_be_read__is_missing_and_told(self, made, machine, tmp_path):
        shutil.copy(machine / "photographs/test/in-a/000_A.png", tmp_path / "7_A.png")
        (tmp_path / "7_B.png").write_text("no picture", encoding="utf-8")
        code, found = judged(made, tmp_path)
        assert (code, found["7"]["verdict"], found["7"]["missing"]) == (2, "defective", ["B"])
        assert "7_B.png" in found["7"]["views"]["B"]["problem"]
        assert call("predict", made, tmp_path).stderr.startswith("skipped: ")

    def test_view_and_path__for_images_that_are_not_named_so(self, made, machine, tmp_path):
        for view, folder in (("A", "links"), ("B", "rechts")):
            source = machine / f"photographs/test/in-b/001_{view}.png"
            (tmp_path / folder).mkdir()
            shutil.copy(source, tmp_path / folder / "1.png")
        code, found = judged(made, f"A={tmp_path / 'links'}", f"B={tmp_path / 'rechts'}/*.png")
        assert (code, found["1"]["flagged_by"]) == (1, ["B"])
        unnamed = call("predict", made, tmp_path / "links")
        assert unnamed.exit_code == 2
        assert "1.png: of which view?" in unnamed.stderr

    def test_maps_and_masks__by_view(self, made, machine, tmp_path):
        _, found = judged(made, machine / "photographs/test/in-a", "--out", tmp_path / "out")
        assert found["000"]["views"]["A"]["mask"] == str(tmp_path / "out/A/000_A.png.mask.png")
        assert all(Path(view["map"]).exists() for line in found.values() for view in line["views"].values())

    def test_a_project_whose_threshold_lacks_the_median__says_what_to_do(self, made, machine, tmp_path):
        old = shutil.copytree(made, tmp_path / "old")
        folder = old / "views/B/ensemble/thresholds/ensemble"
        state = read_json(folder / "state.json")
        del state["typical_"]
        (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
        saved = read_json(folder / "component.json")
        (folder / "component.json").write_text(json.dumps({**saved, "files": {}}), encoding="utf-8")
        result = call("predict", old, machine / "photographs/test")
        assert result.exit_code == 2
        assert result.stderr.startswith(f"Error: {old}/views/B: k-sigma: stored without the typical score")


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "--data", "x"),
        ("update", "--good", "x"),
        ("recalibrate", "--good", "x"),
        ("rollback",),
        ("history",),
    ],
)
def test_commands_for_runs__name_the_run_of_a_view(made, arguments):
    command, *rest = arguments
    result = call(command, made, *rest)
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: {made}: a project of several views, not a run; give the run of one of them, such as "
        f"{made}/views/A\n"
    )


class TestViewAsRun:
    def test_is_measured_on_its_own_images__also_where_those_of_others_lie(self, made, machine):
        found = call("evaluate", made / "views/B", "--data", machine / "photographs", "--json")
        assert found.exit_code == 0, found.stderr
        assert json.loads(found.stdout)["images"] == metrics(made / "views/B")["images"]

    def test_is_recalibrated__and_the_project_judges_by_it(self, made, machine, tmp_path):
        changed = shutil.copytree(made, tmp_path / "changed")
        good = tmp_path / "good"
        for number, path in enumerate(sorted((machine / "photographs/train/good").glob("*_B.png"))):
            pixels = array(path)
            pixels[:12, 20:32] = (250, 0, 250)  # a sticker that all parts have from now on
            save(good / f"{number}_B.png", pixels)
            shutil.copy(path.with_name(path.name.replace("_B", "_A")), good / f"{number}_A.png")
        result = call("recalibrate", changed / "views/B", "--good", good)
        assert result.exit_code == 0, result.stderr
        assert "held-out good images: 2 -> 16" in result.stdout
        for out, flagged_by in ((made, ["B"]), (changed, [])):
            assert judged(out, good)[1]["0"]["flagged_by"] == flagged_by


class TestResume:
    def test_goes_on_where_it_was_interrupted__with_the_same_result(
        self, made, machine, tmp_path, monkeypatch
    ):
        out = tmp_path / "out"
        at_step(monkeypatch, "calibrating on held-out good images", press_ctrl_c)
        result = call("run", "--project", machine / "machine.yaml", "--out", out)
        assert result.exit_code == 130
        assert f"Go on with: leatherens run --resume --out {out}" in result.stderr
        assert not (out / "DONE").exists()
        assert call("predict", out, machine).stderr.startswith(
            f"Error: {out}: this project is not finished; go on"
        )
        monkeypatch.undo()
        assert call("run", "--resume", "--out", out).exit_code == 0
        assert (out / "parts.csv").read_bytes() == (made / "parts.csv").read_bytes()
        again = call("run", "--resume", "--out", out)
        assert again.stdout == f"{out}: this project is finished already; its report is {out}/report.html\n"

    def test_finished_views_are_not_made_again(self, made, tmp_path):
        out = shutil.copytree(made, tmp_path / "out")
        (out / "DONE").unlink()
        (out / "views/B/DONE").unlink()
        before = (out / "views/A/metrics.json").stat().st_mtime_ns
        result = call("run", "--resume", "--out", out)
        assert result.exit_code == 0, result.stderr
        assert "already finished" in result.stderr
        assert (out / "views/A/metrics.json").stat().st_mtime_ns == before
        assert (out / "parts.csv").read_bytes() == (made / "parts.csv").read_bytes()

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: text.replace("seed: 0", "seed: 1"),
            lambda text: "views: 3\n",
            lambda text: "views: {A: 3}\n",
        ],
        ids=["another seed", "no views", "no view"],
    )
    def test_a_changed_project_is_refused(self, made, tmp_path, change):
        out = shutil.copytree(made, tmp_path / "out")
        (out / "DONE").unlink()
        text = (out / "project.yaml").read_text(encoding="utf-8")
        (out / "project.yaml").write_text(change(text), encoding="utf-8")
        result = call("run", "--resume", "--out", out)
        assert result.exit_code == 2
        assert result.stderr.startswith(
            f"Error: {out}/project.yaml: changed since this project began; put it"
        )

    @pytest.mark.parametrize(
        ("file", "content", "sentence"),
        [
            ("project.json", "[]", "project.json: damaged, expected keys and values, got list"),
            (
                "project.json",
                '{"format": 9}',
                ": a project of format 9, this leatherens reads up to 1; update it",
            ),
            (
                "views/A/scores.csv",
                "image\nx\n",
                "views/A/scores.csv: damaged, expected a line per image with",
            ),
            ("views/A/scores.csv", None, "views/A/scores.csv: cannot be read (No such file or directory)"),
            (
                "views/B/maps/test/in-b/000_B.png.tiff",
                "no map",
                "000_B.png.tiff: cannot be read (cannot identify",
            ),
        ],
    )
    def test_what_is_damaged_is_named(self, made, tmp_path, file, content, sentence):
        out = shutil.copytree(made, tmp_path / "out")
        (out / "DONE").unlink()
        (out / file).unlink()
        if content is not None:
            (out / file).write_text(content, encoding="utf-8")
        result = call("run", "--resume", "--out", out)
        assert result.exit_code == 2
        assert sentence in result.stderr
        assert not (out / "DONE").exists()

    def test_parts_that_came_since_are_refused(self, machine, tmp_path):
        folder = shutil.copytree(machine, tmp_path / "machine")
        out = make_begun(folder, tmp_path / "out")
        for view in "AB":
            shutil.copy(
                folder / f"photographs/test/good/000_{view}.png",
                folder / f"photographs/train/good/n_{view}.png",
            )
        result = call("run", "--resume", "--out", out)
        assert result.exit_code == 2
        assert "the images changed since this project began; put them back" in result.stderr


def make_begun(folder: Path, out: Path) -> Path:
    """A project of which nothing is learned yet."""
    with pytest.MonkeyPatch.context() as patch:
        at_step(patch, "checking the photographs", press_ctrl_c)
        assert call("run", "--project", folder / "machine.yaml", "--out", out).exit_code == 130
    return out


class TestRefused:
    """Each in a sentence, and nothing is left behind."""

    @pytest.fixture
    def folder(self, tmp_path: Path, machine: Path) -> Path:
        shutil.copytree(machine / "photographs", tmp_path / "photographs")
        return tmp_path

    def refused(self, folder: Path, *more: object, **keys: object) -> str:
        out = folder / "out"
        result = call("run", "--project", project_file(folder, **keys), "--out", out, *more)
        assert result.exit_code == 2
        assert not out.exists()
        return result.stderr.replace(str(folder), "FOLDER").split("Error: ")[-1].strip()

    def test_a_view_without_images(self, folder):
        assert self.refused(folder, views={"A": {}, "C": {}}) == (
            "FOLDER/photographs: view 'C' has none of its 48 images: they are of A, and no folder and no "
            "word of a name is called so; correct that, or give the view data of its own"
        )

    def test_views_without_a_part_in_common(self, folder):
        stderr = self.refused(folder, parts=r"(test|train)/([^/]+/\d+_[AB])")
        assert stderr.startswith(
            "no part was seen from two views (A has train/good/000_A, train/good/001_A; B has train/good/"
        )

    def test_two_images_of_one_part(self, folder):
        assert "two images of part '000' in view 'A': " in self.refused(folder, parts=r"(\d+)_[AB]")

    def test_an_unknown_member(self, folder):
        stderr = self.refused(folder, views={"A": {}, "B": {"members": ["stfmp"]}})
        assert stderr.startswith("no detector 'stfmp'; did you mean 'stfpm'?")

    def test_a_mask_that_does_not_fit__of_the_last_view__before_anything_is_learned(self, folder):
        save(folder / "small.png", np.full((8, 8), 255, np.uint8))
        stderr = self.refused(folder, views={"A": {}, "B": {"ignore": "small.png"}})
        assert stderr.startswith(
            "view 'B': FOLDER/small.png: the region to ignore is 8 x 8 pixels and the photographs are 64"
        )

    def test_options_that_do_not_fit__name_the_view(self, folder):
        assert self.refused(folder, views={"A": {}, "B": {"size": 7}}).startswith(
            "view 'B': patchcore: expected images of height and width at least 32, got 7 x 7"
        )
        own = {"members": {"stfpm": {"options": {"stps": 3}}}}
        assert self.refused(folder, views={"A": {}, "B": own}).startswith(
            "view 'B': stfpm: unknown option 'stps'; did you mean 'steps'?"
        )

    def test_options_beside_the_project(self, folder):
        stderr = self.refused(folder, "--members", "stfpm", "--size", "64")
        assert stderr == "FOLDER/machine.yaml says what is done; leave out --members, --size"

    def test_a_folder_that_is_taken(self, made, machine, leather):
        assert (
            "holds a finished run; choose another --out"
            in call("run", "--project", machine / "machine.yaml", "--out", made).stderr
        )
        given = ("--members", "patchcore", "--data", leather)
        assert "holds a finished run; choose another --out" in call("run", *given, "--out", made).stderr


def test_views_with_data_of_their_own(machine, tmp_path):
    """Two folders, the same names in both; one part lacks a view, and counts in no metric."""
    for path in (machine / "photographs").rglob("*.png"):
        number, view = path.stem.split("_")
        target = tmp_path / view / path.parent.relative_to(machine / "photographs") / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (tmp_path / "B/test/good/002.png").unlink()
    views = {
        "left": {"data": "A"},
        "right": {"data": "B", "members": {"stfpm": {"options": options("stfpm")}}},
    }
    out = make_project(project_file(tmp_path, data=None, views=views, **WIDE), tmp_path / "out")

    line = parts(out)["test/good/002"]
    assert (line["verdict"], line["severity right"], line["image right"]) == ("incomplete", "", "")
    assert metrics(out)["counts"]["lacking_a_view"] == 1
    assert metrics(out)["counts"]["good"] == 2
    assert "no image" in (out / "report.html").read_text(encoding="utf-8")
    assert {"views/left/members/patchcore/state.json", "views/right/members/stfpm/state.json"} <= files(out)
    _, found = judged(out, tmp_path / "A/test/in-a", tmp_path / "B/test/in-a")
    assert {name: line["flagged_by"] for name, line in found.items()} == {
        "test/in-a/000": ["left"],
        "test/in-a/001": ["left"],
    }

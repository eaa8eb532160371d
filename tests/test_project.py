"""A project file: what holds for all views, what a view changes, what is said in short, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pictures import grain, save

from leatherens.configs.project import Project, read_project, write_project
from leatherens.configs.recipe import Choice, MemberChoice
from leatherens.core.errors import ConfigError
from leatherens.core.host import PluginHost
from leatherens.ensembles.project.resolving import resolved, shared_rates


def written(folder: Path, text: str) -> Path:
    path = folder / "machine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str) -> Project:
    return read_project(written(folder, text))


class TestViews:
    def test_have_what_holds_for_all__less_what_they_change(self, tmp_path):
        project = read(
            tmp_path,
            """
            data: photographs
            members: [stfpm, padim]
            size: 128
            threshold: k-sigma
            views:
              A:
              B: {members: {patchcore: {options: {core_set: 0.2}}}, size: [64, 96], threshold: null}
            """,
        )
        first, second = (project.views[name].recipe for name in "AB")
        assert first.members == {"stfpm": MemberChoice(), "padim": MemberChoice()}
        assert (first.size, first.threshold.id) == ((128, 128), "k-sigma")
        assert second.members == {"patchcore": MemberChoice(options={"core_set": 0.2})}
        assert (second.size, second.threshold.id) == ((64, 96), "conformal")

    def test_may_be_numbered(self, tmp_path):
        project = read(tmp_path, "data: d\nmembers: {stfpm: }\nviews: {1: {}, 2: {}}")
        assert tuple(project.views) == project.told_by.names == ("1", "2")

    def test_have_data_of_their_own__all_of_which_is_theirs_unless_files_says_which(self, tmp_path):
        project = read(
            tmp_path,
            """
            data: all
            members: [stfpm]
            parts: (\\d+)
            views: {A: {data: left}, B: {}, C: {data: /right, files: 'cam3/*'}}
            """,
        )
        assert project.data == str(tmp_path / "all")
        assert [view.data for view in project.views.values()] == [str(tmp_path / "left"), None, "/right"]
        assert [project.share(name).own for name in "ABC"] == [True, False, False]
        assert project.told_by.files == {"C": "cam3/*"}
        assert project.told_by.parts == "(\\d+)"


class TestPaths:
    def test_mean_the_file_s_folder(self, tmp_path):
        for name in ("mask.png", "textures/one.png", "w.pth"):
            save(tmp_path / name, grain(), format="PNG")
        project = read(
            tmp_path,
            """
            data: d
            members: {draem: {options: {textures: ./textures}}}
            weights: w.pth
            ignore: mask.png
            views: {A: {}}
            """,
        )
        recipe = project.views["A"].recipe
        assert recipe.members["draem"].options == {"textures": str(tmp_path / "textures")}
        assert recipe.weights == (str(tmp_path / "w.pth"),)
        assert recipe.preparation == (Choice(id="mask", options={"ignore": str(tmp_path / "mask.png")}),)

    def test_words_are_no_paths(self, tmp_path):
        (tmp_path / "random").mkdir()
        project = read(tmp_path, "data: d\nmembers: {stfpm: {options: {weights: random}}}\nviews: {A: {}}")
        assert project.views["A"].recipe.members["stfpm"].options == {"weights": "random"}


class TestIgnore:
    @pytest.fixture(autouse=True)
    def mask(self, tmp_path: Path) -> str:
        return str(save(tmp_path / "mask.png", grain()))

    def test_is_a_step_at_the_end(self, tmp_path, mask):
        project = read(
            tmp_path,
            "data: d\nmembers: [stfpm]\nviews: {A: {ignore: mask.png, masking: after}, B: {}}",
        )
        assert project.views["A"].recipe.preparation == (
            Choice(id="mask", options={"ignore": mask, "when": "after"}),
        )
        assert project.views["B"].recipe.preparation == ()

    def test_fills_the_step_that_is_there__and_a_view_may_do_without(self, tmp_path, mask):
        project = read(
            tmp_path,
            """
            data: d
            members: [stfpm]
            preparation: [{id: mask, options: {when: after}}, other]
            ignore: mask.png
            views: {A: {}, B: {ignore: null, preparation: null}}
            """,
        )
        assert project.views["A"].recipe.preparation == (
            Choice(id="mask", options={"ignore": mask, "when": "after"}),
            Choice(id="other"),
        )
        assert project.views["B"].recipe.preparation == ()


def test_project__comes_back_from_its_file(tmp_path):
    project = resolved(
        read(
            tmp_path, "data: d\nmembers: [stfpm]\nparts: (\\d)\nseed: 3\nviews: {A: {}, B: {layout: folder}}"
        ),
        PluginHost(installed=False),
    )
    write_project(tmp_path / "project.yaml", project)

    assert read_project(tmp_path / "project.yaml") == project
    assert project.views["A"].recipe.seed == project.seed == 3
    assert resolved(project, PluginHost(installed=False)) == project


def test_the_file_of_the_page__is_one(tmp_path):
    page = Path(__file__).parent.parent / "docs/views.md"
    if not page.exists():
        pytest.skip("the tests run without the docs folder")
    save(tmp_path / "masks/B.png", grain())
    text = page.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    project = resolved(read(tmp_path, text), PluginHost(installed=False))
    assert list(project.views) == ["A", "B", "C"]
    assert [step.id for step in project.views["B"].recipe.preparation] == ["mask"]
    assert project.share("C").own


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- a", "FILE: expected keys and values, got list"),
        ("views: {}", "FILE: option 'views': dictionary should have at least 1 item"),
        ("data: d\nmembers: [stfpm]", "FILE: option 'views' is required"),
        ("vews: {A: {}}", "FILE: unknown key 'vews'; did you mean 'views'? (keys: "),
        ("views: {A: {sise: 3}}", "FILE: view 'A': unknown key 'sise'; did you mean 'size'? (keys: "),
        ("views: {A: 3}\ndata: d", "FILE: option 'views.A': input should be a valid dictionary, got 3"),
        ("views: {A: {}}\ndata: d", "FILE: view 'A' has no members; give members for all views, or its own"),
        (
            "views: {A: {data: d}, B: {}}\nmembers: [stfpm]",
            "FILE: view 'B' has no data; give data for all views, or its own",
        ),
        (
            "views: {A: {}}\nsize: big\ndata: d",
            "FILE: option 'size': input should be a valid tuple, got 'big'",
        ),
        (
            "views: {A: {size: [0, 4]}}\nmembers: [stfpm]\ndata: d",
            "FILE: view 'A': option 'size.0': input should be greater than or equal to 1, got 0",
        ),
        (
            "views: {A: {}}\nmembers: [stfpm, stfpm]\ndata: d",
            "FILE: option 'members': 'stfpm' is named twice; name each detector once",
        ),
        (
            "views: {A: {}}\nmembers: [{stfpm: {}}]\ndata: d",
            "FILE: option 'members': expected ids, got {'stfpm': {}}; options need 'ID: {...}'",
        ),
        (
            "views: {A: {masking: after}}\nmembers: [stfpm]\ndata: d",
            "FILE: view 'A': masking: there is no mask to apply; give ignore as well",
        ),
        (
            "views: {A: {ignore: m.png}}\nmembers: [stfpm]\ndata: d",
            "FILE: view 'A': ignore: FOLDER/m.png: no such file; check the name",
        ),
        (
            "views: {A: {}}\nmembers: [stfpm]\nmasking: during\ndata: d",
            "FILE: option 'masking': input should be 'before' or 'after', got 'during'",
        ),
        (
            "views: {A: {}}\nmembers: [stfpm]\ndata: d\nweights: w.pth",
            "FILE: weights: w.pth: no such file or folder; check the name",
        ),
        (
            "views: {A/B: {}}\nmembers: [stfpm]\ndata: d",
            "FILE: views: option 'names': expected names of letters, digits, spaces, dots, - and _",
        ),
        (
            "views: {A: {}}\nmembers: [stfpm]\ndata: d\nparts: '['",
            "FILE: views: option 'parts': not a regular expression",
        ),
        (
            "views: {A: {}}\nmembers: [stfpm]\ndata: d\nfalse_alarms: 2",
            "FILE: option 'false_alarms': input should be less than 1, got 2",
        ),
    ],
)
def test_mistakes__name_the_file_the_view_and_the_key(tmp_path, text, sentence):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_project(path)
    assert str(caught.value).startswith(sentence.replace("FILE", str(path)).replace("FOLDER", str(tmp_path)))


def test_options_that_no_path_can_be__are_no_paths(tmp_path):
    long = "a/" * 3000
    project = read(tmp_path, f"data: d\nmembers: {{stfpm: {{options: {{x: {long}}}}}}}\nviews: {{A: {{}}}}")
    assert project.views["A"].recipe.members["stfpm"].options == {"x": long}


def test_no_such_file(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such project file; check the name$"):
        read_project(tmp_path / "nowhere.yaml")


class TestRates:
    @staticmethod
    def rates(tmp_path: Path, views: dict[str, object], rate: float | None) -> dict[str, float]:
        content = {"data": "d", "members": ["stfpm"], "views": views}
        content |= {} if rate is None else {"false_alarms": rate}
        return shared_rates(read(tmp_path, yaml.safe_dump(content)), PluginHost(installed=False))

    @staticmethod
    def own(rate: float) -> dict[str, object]:
        return {"threshold": {"id": "conformal", "options": {"false_alarms": rate}}}

    def test_are_shared_out_equally(self, tmp_path):
        assert self.rates(tmp_path, {"A": {}, "B": {}}, 0.04) == {"A": 0.02, "B": 0.02}
        assert self.rates(tmp_path, {"A": {}, "B": {}, "C": {}, "D": {}}, None) == dict.fromkeys(
            "ABCD", 0.0025
        )

    def test_a_view_s_own_is_kept__and_the_others_share_what_is_left(self, tmp_path):
        found = self.rates(tmp_path, {"A": self.own(0.03), "B": {}, "C": {}}, 0.05)
        assert found == pytest.approx({"A": 0.03, "B": 0.01, "C": 0.01})

    def test_all_views_state_their_own(self, tmp_path):
        assert self.rates(tmp_path, {"A": self.own(0.03), "B": self.own(0.2)}, None) == {"A": 0.03, "B": 0.2}

    def test_views_state_more_than_is_asked(self, tmp_path):
        with pytest.raises(ConfigError) as caught:
            self.rates(tmp_path, {"A": self.own(0.03), "B": {}}, 0.02)
        assert str(caught.value) == (
            "false_alarms: 0.02 of the parts is asked for, and the views' own rates sum to 0.03; ask for "
            "more, or give the views less"
        )

    def test_a_threshold_without_a_rate(self, tmp_path):
        views = {"A": {}, "B": {"threshold": "maximum"}}
        assert self.rates(tmp_path, views, None) == {"A": 0.01}
        with pytest.raises(ConfigError) as caught:
            self.rates(tmp_path, views, 0.02)
        assert str(caught.value) == (
            "false_alarms: the threshold 'maximum' of view 'B' takes no rate; leave one of the two out"
        )

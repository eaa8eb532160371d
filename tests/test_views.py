"""Which view and which part an image shows, and what its views together say of a part."""

from __future__ import annotations

from pathlib import Path

import pytest

from leatherens.core.errors import ConfigError, InputError
from leatherens.core.params import parse_params
from leatherens.core.reading import Collection, Sample
from leatherens.core.views import Severities, Verdict, ViewOf, Views, parts_of

ROOT = Path("/photographs")
AB = Views(names=("A", "B"))


def sample(id: str, **known: str) -> Sample:
    return Sample(ROOT / id, id, False, **known)


def seen(views: Views, id: str, **known: str) -> tuple[str, str]:
    """View and part."""
    found = sample(id, **known)
    view = views.view_of(found)
    return view, views.part_of(found, view)


class TestNames:
    @pytest.mark.parametrize(
        ("id", "view", "part"),
        [
            ("test/cut/003_A.png", "A", "test/cut/003"),
            ("test/cut/B-003.png", "B", "test/cut/003"),
            ("A/test/cut/003.png", "A", "test/cut/003"),
            ("test/cut/003/B.png", "B", "test/cut/003"),
            ("part 7.A.png", "A", "part 7"),
            ("A/003_A.png", "A", "003"),
            ("AA/BAD_3_B_low.png", "B", "AA/BAD_3_low"),
        ],
    )
    def test_a_folder_or_a_word_of_the_name_tells_the_view__and_the_rest_is_the_part(self, id, view, part):
        assert seen(AB, id) == (view, part)

    def test_the_longer_of_two_names_counts(self):
        views = Views(names=("left", "left_low"))
        assert seen(views, "003_left_low.png") == ("left_low", "003")
        assert seen(views, "003_left.png") == ("left", "003")

    def test_a_folder_around_the_images_tells_it_too__the_nearest(self):
        found = Sample(Path("/A/new/B/003.png"), "003.png")
        assert AB.view_of(found) == "B"
        assert AB.told(found) is None  # a collection that lies in a folder called B is not all of view B

    def test_what_the_reader_says_comes_first(self):
        assert seen(AB, "003_A.png", view="B", part="seventeen") == ("B", "seventeen")

    def test_nothing_tells_it(self):
        with pytest.raises(InputError) as caught:
            AB.view_of(sample("test/cut/003.png"))
        assert str(caught.value) == (
            "test/cut/003.png: of which view? Tried its folders and the words of its name (views: A, B)"
        )

    def test_two_views_in_one_name(self):
        with pytest.raises(InputError, match=r"^A/003_B\.png: is named after the views A and B; say which"):
            AB.view_of(sample("A/003_B.png"))

    def test_a_view_that_the_project_does_not_have(self):
        views = Views(names=("front", "back"))
        with pytest.raises(InputError) as caught:
            views.view_of(sample("003.png", view="frnt"))
        assert str(caught.value) == (
            "003.png: said to be of view 'frnt', which the project does not have; did you mean 'front'? "
            "(views: front, back)"
        )

    def test_only_the_view_names_the_image(self):
        with pytest.raises(InputError, match=r"^A\.png: nothing but the view names it"):
            AB.part_of(sample("A.png"), "A")


class TestFiles:
    GLOBS = Views(names=("A", "B"), files={"A": "*/cam1*.png", "B": "cam2/*"}, parts=r"(\d+)\.png$")

    @pytest.mark.parametrize(
        ("id", "view"), [("x/cam1-003.png", "A"), ("cam2/003.png", "B"), ("y/cam2/z/003.png", "B")]
    )
    def test_a_glob_fits_the_path_or_its_end(self, id, view):
        assert seen(self.GLOBS, id) == (view, "003")

    def test_a_glob_fits_the_folders_around_new_images_only(self):
        found = Sample(Path("/new/cam2/003.png"), "003.png")
        assert self.GLOBS.view_of(found) == "B"
        assert self.GLOBS.told(found) is None

    def test_globs_come_before_names(self):
        assert self.GLOBS.view_of(sample("cam2/003_A.png")) == "B"

    def test_two_globs_fit(self):
        views = Views(names=("A", "B"), files={"A": "*.png", "B": "*1.png"})
        with pytest.raises(InputError, match=r"^01\.png: fits the files A and B; say which one it is of$"):
            views.view_of(sample("01.png"))


class TestParts:
    def test_groups_are_joined__and_empty_ones_left_out(self):
        views = Views(names=("A", "B"), parts=r"(train|test)/[^/]+/(x)?(\d+)")
        assert seen(views, "test/cut/003_A.png") == ("A", "test/003")

    def test_is_looked_for_in_the_whole_path__where_the_name_alone_does_not_have_it(self):
        views = Views(names=("A", "B"), parts=r"(lot\d+)/.*?(\d+)_[AB]")
        assert views.part_of(Sample(Path("/new/lot7/003_A.png"), "003_A.png"), "A") == "lot7/003"

    def test_finds_nothing(self):
        views = Views(names=("A", "B"), parts=r"(\d+)")
        with pytest.raises(InputError, match=r"^x_A\.png: parts, the regular expression \(\\d\+\), finds no"):
            views.part_of(sample("x_A.png"), "A")

    def test_two_images_of_one_view(self):
        twice = [sample(f"{folder}/003_A.png", view="A", part="003") for folder in ("train", "test")]
        with pytest.raises(InputError) as caught:
            parts_of(twice)
        assert str(caught.value) == (
            "two images of part '003' in view 'A': train/003_A.png and test/003_A.png; name parts so that "
            "they differ, with parts, a regular expression"
        )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"names": ()}, "views: option 'names': tuple should have at least 1 item"),
        ({"names": ("a/b",)}, "views: option 'names': expected names of letters, digits"),
        ({"names": ("a", "A")}, "views: option 'names': expected names that differ by more than capitals"),
        ({"names": ("a",), "parts": "("}, "views: option 'parts': not a regular expression (missing )"),
        ({"names": ("a",), "parts": "x"}, "views: option 'parts': expected a group in brackets"),
        ({"names": ("a",), "files": {"b": "*"}}, "views: files: no view is called 'b'"),
    ],
)
def test_wrong_options(options, sentence):
    with pytest.raises(ConfigError) as caught:
        parse_params(Views, options, owner="views")
    assert str(caught.value).startswith(sentence)


def collection(*ids: str) -> Collection:
    train, test = (tuple(sample(id) for id in ids if id.startswith(split)) for split in ("train", "test"))
    return Collection(ROOT, "mvtec-ad", "MVTec AD", train, test, ("a remark",))


class TestShare:
    def test_holds_the_images_of_one_view__and_tells_of_those_of_none(self):
        found = ViewOf(name="B", own=False, among=AB).of(
            collection("train/1_A.png", "train/1_B.png", "test/2_B.png", "test/2_C.png")
        )
        assert [(s.id, s.view, s.part) for s in found.samples] == [
            ("train/1_B.png", "B", "train/1"),
            ("test/2_B.png", "B", "test/2"),
        ]
        assert found.remarks == ("a remark", "left out 1 image of no view: test/2_C.png")

    def test_of_own_data__is_all_of_it(self):
        found = ViewOf(name="B", own=True, among=AB).of(collection("train/1.png", "test/2.png"))
        assert [(s.view, s.part) for s in found.samples] == [("B", "train/1"), ("B", "test/2")]

    def test_of_what_is_given_for_one_view__is_all_but_what_is_known_to_be_of_another(self):
        given = collection("train/1_A.png", "train/1_B.png", "test/2.png")
        found = ViewOf(name="B", own=False, among=AB).less_others(given)
        assert [s.id for s in found.samples] == ["train/1_B.png", "test/2.png"]
        assert found.remarks == ("a remark", "left out 1 image of other views than B")
        assert ViewOf(name="B", own=True, among=AB).less_others(given) is given

    def test_is_empty(self):
        with pytest.raises(InputError) as caught:
            ViewOf(name="B", own=False, among=AB).of(collection("train/1_A.png", "test/2_A.png"))
        assert str(caught.value) == (
            "/photographs: view 'B' has none of its 2 images: they are of A, and no folder and no word of a "
            "name is called so; correct that, or give the view data of its own"
        )

    def test_is_empty__with_a_glob(self):
        views = Views(names=("A", "B"), files={"B": "cam2/*"})
        with pytest.raises(
            InputError, match=r"they are of no view, and none fits its files, cam2/\*; correct"
        ):
            ViewOf(name="B", own=False, among=views).of(collection("train/1.png"))


@pytest.mark.parametrize(
    ("by_view", "missing", "verdict", "flagged_by", "worst"),
    [
        ({"A": 0.2, "B": 0.9}, (), Verdict.good, (), 0.9),
        ({"A": 0.2, "B": 1.0}, (), Verdict.good, (), 1.0),
        ({"A": 3.0, "B": 1.1}, (), Verdict.defective, ("A", "B"), 3.0),
        ({"A": 0.2}, ("B",), Verdict.incomplete, (), 0.2),
        ({"A": 1.5}, ("B",), Verdict.defective, ("A",), 1.5),
    ],
)
def test_verdict__any_view_makes_it_defective__and_all_views_make_it_good(
    by_view, missing, verdict, flagged_by, worst
):
    found = Severities(by_view, missing)
    assert (found.verdict, found.flagged_by, found.worst) == (verdict, flagged_by, worst)


def test_verdict__nobody_saw_it():
    found = Severities({}, ("A",))
    assert found.verdict is Verdict.incomplete
    assert found.worst != found.worst

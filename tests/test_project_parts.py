"""Parts put together from their views, and dealt out so that none is ever on two sides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pictures import grain, mvtec, save

from leatherens.configs.project import Project, read_project
from leatherens.core.errors import InputError
from leatherens.core.host import PluginHost
from leatherens.core.reading import Collection, Sample
from leatherens.ensembles.project.assembling import Assembly, Part, assemble
from leatherens.ensembles.project.dealing import deal, joined_groups
from leatherens.ensembles.project.resolving import resolved

ROOT = Path("/photographs")


def sample(view: str, part: str, *, defective: bool | None = False, group: str | None = None) -> Sample:
    id = f"{part}_{view}.png"
    return Sample(ROOT / id, id, defective, group=group, view=view, part=part)


def collection(train: list[Sample], test: list[Sample], kept: list[Sample] | None = None) -> Collection:
    return Collection(ROOT, "mvtec-ad", "MVTec AD", tuple(train), tuple(test), validation=tuple(kept or ()))


def assembly(**views: Collection) -> Assembly:
    return Assembly({}, views)


def numbered(view: str, count: int, split: str = "train", **known: object) -> list[Sample]:
    return [sample(view, f"{split}/{number:02d}", **known) for number in range(count)]


def jobs_of(splits: dict) -> dict[str, set[str]]:
    """By part its jobs in all views."""
    found: dict[str, set[str]] = {}
    for view, split in splits.items():
        for job, ids in split.jobs().items():
            for id in ids:
                found.setdefault(id.removesuffix(f"_{view}.png"), set()).add(job)
    return found


TWO = assembly(
    A=collection(numbered("A", 20), [*numbered("A", 3, "test"), sample("A", "test/bad", defective=True)]),
    B=collection(numbered("B", 20), [*numbered("B", 3, "test"), sample("B", "test/bad")]),
)


class TestAssembly:
    def test_a_part_is_defective_if_it_is_in_any_view(self):
        assert TWO.parts["test/bad"].defective is True
        assert TWO.parts["test/00"].defective is False
        assert TWO.remarks == ("1 part defective in some views only, and so defective: test/bad",)

    def test_a_part_without_a_label_in_a_view__has_none(self):
        assert Part("p", {"A": sample("A", "p", defective=None), "B": sample("B", "p")}).defective is None

    def test_parts_that_lack_a_view__are_told(self):
        found = assembly(A=collection(numbered("A", 3), []), B=collection(numbered("B", 2), []))
        assert found.missing(found.parts["train/02"]) == ("B",)
        assert found.remarks == ("1 of 3 parts lack an image of a view: train/02",)
        assert found.sentence == "3 parts seen from 2 views: A, B"

    def test_a_part_is_tested__if_it_is_in_any_view(self):
        torn = assembly(
            A=collection([sample("A", "1")], [sample("A", "2"), sample("A", "3")]),
            B=collection([sample("B", "1"), sample("B", "2")], [], [sample("B", "3"), sample("B", "4")]),
        )
        train, kept, tested = ([part.name for part in parts] for parts in torn.teaching())
        assert (train, kept, tested) == (["1"], ["4"], ["2", "3"])


class TestDealing:
    def test_a_part_has_one_job__the_same_in_all_views(self):
        splits = deal(TWO, seed=0)
        assert all(len(jobs) == 1 for jobs in jobs_of(splits).values())
        assert [len(ids) for ids in splits["A"].jobs().values()] == [14, 3, 3, 0, 4]
        assert len(splits["B"].fit) == 14

    def test_depends_on_the_seed_only(self):
        assert deal(TWO, seed=0) == deal(TWO, seed=0) != deal(TWO, seed=1)

    def test_good_parts_are_held_out__where_the_test_has_none(self):
        bad = [sample("A", "test/bad", defective=True)]
        found = assembly(
            A=collection(numbered("A", 20), [*bad, sample("A", "test/half")]),
            B=collection(numbered("B", 20), [sample("B", "test/half", defective=True)]),
        )
        assert len(deal(found, seed=0)["A"].test) == 4 + 2

    def test_images_kept_to_validate_on__validate_and_calibrate(self):
        kept = {view: numbered(view, 6, "kept") for view in "AB"}
        found = assembly(**{v: collection(numbered(v, 9), numbered(v, 2, "test"), kept[v]) for v in "AB"})
        splits = deal(found, seed=0)["B"]
        assert sorted((*splits.validate, *splits.calibrate)) == [s.id for s in kept["B"]]
        assert len(splits.fit) == 9

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=16, max_size=24),
        st.integers(0, 9),
    )
    def test_groups_of_any_view__are_never_split(self, groups, seed):
        """Hides in A, lots in B: parts that hang together by either have one job."""
        views = {
            view: collection(
                [
                    replace(one, group=f"{view}{groups[number][side]}")
                    for number, one in enumerate(numbered(view, len(groups)))
                ],
                numbered(view, 2, "test"),
            )
            for side, view in enumerate("AB")
        }
        try:
            found = jobs_of(deal(assembly(**views), seed=seed))
        except InputError:  # all parts hang together
            assume(False)
        by_group: dict[str, set[str]] = {}
        for one in (*views["A"].train, *views["B"].train):
            by_group.setdefault(str(one.group), set()).update(found[one.part])
        assert all(len(jobs) == 1 for jobs in by_group.values())

    def test_groups_that_one_part_joins(self):
        parts = [
            Part("1", {"A": sample("A", "1", group="x"), "B": sample("B", "1", group="y")}),
            Part("2", {"A": sample("A", "2", group="z"), "B": sample("B", "2", group="y")}),
            Part("3", {"A": sample("A", "3", group="w")}),
            Part("4", {"A": sample("A", "4")}),
        ]
        leaders = joined_groups(parts)
        assert leaders["x"] == leaders["y"] == leaders["z"] != leaders["w"]

    def test_too_few_good_parts_in_a_view(self):
        found = assembly(A=collection(numbered("A", 20), []), B=collection(numbered("B", 7), []))
        with pytest.raises(InputError) as caught:
            deal(found, seed=0)
        assert str(caught.value) == (
            "view 'B': at least 8 good parts are needed to learn, validate and calibrate, it saw 7 parts "
            "that may teach; add photographs of good parts"
        )

    def test_a_view_that_sees_no_part_of_a_job(self):
        found = assembly(
            A=collection(numbered("A", 20), numbered("A", 2, "test")), B=collection(numbered("B", 20), [])
        )
        with pytest.raises(InputError) as caught:
            deal(found, seed=0)
        assert str(caught.value) == (
            "view 'B': none of the parts dealt out to test has an image of it; add images, or leave out "
            "parts that lack them"
        )


class TestRead:
    """From files on disk; pictures are not opened."""

    @staticmethod
    def project(folder: Path, views: str = "{A: {}, B: {}}", **keys: str) -> Project:
        lines = {"data": "photographs", "members": "[stfpm]", "views": views, **keys}
        path = folder / "machine.yaml"
        path.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()), encoding="utf-8")
        return resolved(read_project(path), PluginHost(installed=False))

    @staticmethod
    def manifest(folder: Path, view: str = "B") -> None:
        lines = ["path,split,label,view,part"]
        for number in range(3):
            for name in ("A", view):
                save(folder / f"photographs/{name}{number}.png", grain())
                label = "bad" if (number, name) == (2, "A") else "good"
                split = "train" if number < 2 else "test"
                lines.append(f"{name}{number}.png,{split},{label},{name},piece {number}")
        (folder / "photographs/manifest.csv").write_text("\n".join(lines), encoding="utf-8")

    def test_a_manifest_names_views_and_parts(self, tmp_path):
        self.manifest(tmp_path)
        found = assemble(self.project(tmp_path), PluginHost(installed=False))
        assert {name: list(part.images) for name, part in found.parts.items()} == {
            f"piece {number}": ["A", "B"] for number in range(3)
        }
        assert found.parts["piece 2"].defective is True
        assert [s.id for s in found.collections["B"].test] == ["B2.png"]

    def test_a_view_in_a_manifest_that_the_project_does_not_have(self, tmp_path):
        self.manifest(tmp_path, view="bottom")
        with pytest.raises(InputError) as caught:
            assemble(self.project(tmp_path, "{A: {}, botom: {}}"), PluginHost(installed=False))
        assert str(caught.value) == (
            "bottom0.png: said to be of view 'bottom', which the project does not have; did you mean 'botom'?"
            " (views: A, botom)"
        )

    def test_folders_that_are_a_collection_for_each_view(self, tmp_path):
        for view in "AB":
            mvtec(tmp_path / "photographs" / view)
        project = self.project(tmp_path)
        assert project.views["B"].data == str(tmp_path / "photographs/B")
        found = assemble(project, PluginHost(installed=False))
        assert found.parts["test/cut/001"].images["B"].path == tmp_path / "photographs/B/test/cut/001.png"
        assert len(found.parts) == 16
        assert not found.remarks

    def test_no_part_in_common(self, tmp_path):
        for view, number in (("A", 1), ("B", 2)):
            save(tmp_path / f"photographs/good/{number}_{view}.png", grain())
        with pytest.raises(InputError) as caught:
            assemble(self.project(tmp_path), PluginHost(installed=False))
        assert str(caught.value) == (
            "no part was seen from two views (A has good/1; B has good/2); give parts, a regular expression "
            "whose groups name the part in an image's path"
        )

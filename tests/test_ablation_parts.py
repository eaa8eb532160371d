"""The pieces of an ablation: what is remembered of images, which variants there are, what is concluded."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_leather import leather

from leatherens.configs.recipe import Choice, MemberChoice, Mode, Recipe
from leatherens.core.backbones import Pyramids
from leatherens.core.errors import ArtifactError, UnknownPlugin
from leatherens.core.host import PluginHost
from leatherens.core.types import FeatureMaps, ImageBatch, Observation, ScoreMap
from leatherens.ensembles.ablation.conclusions import conclude, sentences
from leatherens.ensembles.ablation.costs import Costs
from leatherens.ensembles.ablation.measuring import Measured
from leatherens.ensembles.ablation.picture import draw
from leatherens.ensembles.ablation.plan import Variant, plan
from leatherens.ensembles.ablation.recording import Recorded, Recordings
from leatherens.ensembles.ablation.results import Finished, Row, failed, made
from leatherens.ensembles.ablation.settings import AblationSettings


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost(installed=False)


def recipe(*ids: str, **changes: Any) -> Recipe:
    return Recipe(members={id: MemberChoice() for id in ids}, **changes)


# recordings


class Watched:
    """Voters that count how many images they are shown."""

    def __init__(self) -> None:
        self.shown = 0

    def __call__(self, batch: ImageBatch) -> dict[str, Observation]:
        self.shown += len(batch)
        grey = batch.pixels.mean(dim=1)
        small = batch.pixels[:, :, ::4, ::4].contiguous()
        scores = ScoreMap(grey, grey.flatten(1).amax(dim=1))
        return {
            "bright": Observation(FeatureMaps((small, grey[:, None]), ("b/small", "b/grey")), scores),
            "dark": Observation(FeatureMaps((small,), ("d/small",)), ScoreMap(-grey, -scores.image)),
        }


def parts(batch: ImageBatch, *rows: int) -> ImageBatch:
    return ImageBatch(batch.pixels[list(rows)], tuple(batch.ids[i] for i in rows))


def seen(recordings: Recordings, voter: str, batch: ImageBatch, *, features: bool = True) -> Observation:
    return Recorded(voter, recordings, features=features).observe(batch, Pyramids({}))


def same(found: Observation, expected: Observation) -> bool:
    return (
        found.scores.pixels.equal(expected.scores.pixels)
        and found.scores.image.equal(expected.scores.image)
        and found.features.names == expected.features.names
        and all(a.equal(b) for a, b in zip(found.features.maps, expected.features.maps, strict=True))
    )


def test_recordings__give_back_what_was_seen_and_compute_once(tmp_path: Path) -> None:
    voters, batch = Watched(), leather(5)
    recordings = Recordings(tmp_path / "kept", voters)
    expected = voters(batch)
    voters.shown = 0

    for rows in ((0, 1), (1, 2), (4, 0, 3), (0, 1, 2, 3, 4)):
        part = parts(batch, *rows)
        for voter in ("bright", "dark"):
            wanted = expected[voter]
            maps = tuple(m[list(rows)] for m in wanted.features.maps)
            scores = ScoreMap(wanted.scores.pixels[list(rows)], wanted.scores.image[list(rows)])
            found = seen(recordings, voter, part)
            assert same(found, Observation(FeatureMaps(maps, wanted.features.names), scores))
    assert voters.shown == 5


def test_recordings__outlive_the_process_and_what_was_cut_short(tmp_path: Path) -> None:
    voters, batch = Watched(), leather(4)
    Recordings(tmp_path, voters).ensure(parts(batch, 0, 1))
    with (tmp_path / "images.txt").open("a", encoding="ascii") as index:
        index.write("0123")  # a line without an end
    with (tmp_path / "00-scores.f32").open("ab") as rows:
        rows.write(b"half a row")
    later = Recordings(tmp_path, voters)

    found = seen(later, "bright", batch)

    assert voters.shown == 4
    assert same(found, voters(batch)["bright"])
    assert same(seen(Recordings(tmp_path, voters), "dark", batch), voters(batch)["dark"])


def test_recordings__know_an_image_by_its_pixels_and_its_mask(tmp_path: Path) -> None:
    voters, batch = Watched(), leather(1)
    recordings = Recordings(tmp_path, voters)
    twice = ImageBatch(batch.pixels.repeat(2, 1, 1, 1), ("first", "again"))
    spoilt = batch.pixels.clone()
    spoilt[0, 0, 0, 0] = 1.0
    masked = torch.ones(1, *batch.size, dtype=torch.bool)
    masked[0, 0, 0] = False

    recordings.ensure(twice)
    recordings.ensure(batch)
    assert voters.shown == 1
    recordings.ensure(ImageBatch(spoilt, batch.ids))
    assert voters.shown == 2
    recordings.ensure(ImageBatch(batch.pixels, batch.ids, masked))
    assert voters.shown == 3


def test_recordings__a_damaged_file_is_named(tmp_path: Path) -> None:
    batch = leather(1)
    recordings = Recordings(tmp_path, Watched())
    recordings.ensure(batch)
    (tmp_path / "00-features.f32").write_bytes(b"")

    with pytest.raises(ArtifactError, match=r"00-features\.f32: damaged; remove .* go on with --resume"):
        seen(recordings, "bright", batch)


def test_recorded__declares_what_it_delivers(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path, Watched())
    batch = leather(1)
    recordings.ensure(batch)
    whole = Recorded("bright", recordings, features=True)
    plain = Recorded("bright", recordings, features=False)

    assert whole.fitted
    assert [(s.name, s.channels, s.stride) for s in whole.features()] == [("b/small", 3, 4), ("b/grey", 1, 1)]
    assert [s.name for s in plain.features()] == ["bright/scores"]
    shown = plain.observe(batch, Pyramids({}))
    assert shown.features["bright/scores"][:, 0].equal(shown.scores.pixels)


# the plan


def names(variants: list[Variant], varies: str) -> list[str]:
    return [variant.name for variant in variants if variant.varies == varies]


def test_plan__takes_every_registered_part(host: PluginHost) -> None:
    variants = plan(recipe("a", "b", "c"), AblationSettings(), host)
    heads, fusions = set(host.heads().ids()), set(host.score_fusions().ids())

    assert set(names(variants, "head")) == heads - {"memory-bank"}
    assert set(names(variants, "fusion")) == fusions - {"weighted"}
    assert {"global", "global, N 16", "independent, N 64"} <= set(names(variants, "block"))


def test_plan__makes_nothing_twice_and_subsets_only_once(host: PluginHost) -> None:
    settings = AblationSettings(subsets=4, blocks=(), heads=(), fusions=())
    variants = plan(recipe("a", "b", "c", "d"), settings, host)

    assert len({variant.key for variant in variants}) == len(variants)
    assert names(variants, "without") == ["a", "b", "c", "d"]
    assert len(names(variants, "subset")) == 6  # pairs; triples are those with one left out
    pairs = plan(recipe("a", "b"), settings, host)
    assert (names(pairs, "without"), names(pairs, "subset")) == ([], [])


def test_plan__variants_of_one_vote_stand_together(host: PluginHost) -> None:
    variants = plan(recipe("a", "b", "c"), AblationSettings(), host)
    votes = [variant.fused for variant in variants if variant.fused]
    changes = sum(a != b for a, b in pairwise(votes))

    assert changes + 1 == len(set(votes))


@pytest.mark.parametrize(
    ("mode", "modes"),
    [
        (Mode.hybrid, ["score", "feature"]),
        (Mode.feature, ["score", "hybrid"]),
        (Mode.score, ["feature", "hybrid"]),
    ],
)
def test_plan__turns_around_the_mode_that_was_asked_for(
    mode: Mode, modes: list[str], host: PluginHost
) -> None:
    variants = plan(recipe("a", "b", mode=mode), AblationSettings(), host)

    assert names(variants, "mode") == modes
    assert names(variants, "head")
    assert bool(names(variants, "fusion")) == (mode is not Mode.feature)


def test_plan__keeps_a_part_s_options_where_the_part_stays(host: PluginHost) -> None:
    centre = recipe("a", "b", block=Choice(id="global", options={"whiten": False, "components": 4}))
    settings = AblationSettings(components=(8,), heads=(), fusions=())
    blocks = {v.name: v.recipe.block.options for v in plan(centre, settings, host) if v.varies == "block"}

    assert blocks["global, N 8"] == {"whiten": False, "components": 8}
    assert blocks["independent, N 8"] == {"components": 8}


def test_plan__subsets_may_be_fused_in_another_mode(host: PluginHost) -> None:
    settings = AblationSettings(subset_mode=Mode.score, blocks=(), heads=(), fusions=())
    variants = plan(recipe("a", "b", "c", "d"), settings, host)

    assert {v.mode for v in variants if v.varies in ("without", "subset")} == {Mode.score}


def test_plan__an_unknown_part_is_named_with_the_nearest(host: PluginHost) -> None:
    with pytest.raises(UnknownPlugin, match="did you mean 'maximum'"):
        plan(recipe("a", "b"), AblationSettings(fusions=("maximun",)), host)


# costs


def test_costs__count_a_shared_backbone_once() -> None:
    costs = Costs(
        backbones={"net": 10.0, "wide": 50.0},
        members={"a": 1.0, "b": 2.0, "c": 4.0},
        models={"a": ("net",), "b": ("net", "wide"), "c": ()},
    )

    assert costs.of(["a"]) == 11
    assert costs.of(["a", "b"]) == 63
    assert costs.of(["c"]) == 4


# rows and conclusions


def row(varies: str, name: str, value: float, spread: float = 0.01, cost: float = 10.0) -> Row:
    """A row whose metrics all have this value, and resampled values around it."""
    metrics = ("image_auroc", "pixel_ap", "au_pro", "false_alarm_rate")
    around = value + spread * np.linspace(-1, 1, 101)
    ids = ("a", "b") if varies == "whole" else (name,)
    numbers = {**dict.fromkeys(metrics, value), "ms_per_image": cost}
    return made(Variant(varies, name, recipe(*ids)), Measured(numbers, dict.fromkeys(metrics, around)))


def test_finished__keeps_rows_but_not_failures(tmp_path: Path) -> None:
    finished = Finished(tmp_path / "variants.jsonl")
    kept, undefined = row("whole", "w", 0.9), row("member", "a", float("nan"))
    broken = failed(Variant("member", "b", recipe("b")), "it cannot be")
    for one in (kept, undefined, broken):
        finished.add(one)

    found = finished.rows([one.variant for one in (kept, undefined, broken)])

    assert set(found) == {kept.variant.key, undefined.variant.key}
    again = found[kept.variant.key]
    assert (again.metrics, again.intervals) == (kept.metrics, kept.intervals)
    assert np.isnan(found[undefined.variant.key].value("au_pro"))
    assert finished.rows([broken.variant]) == {}


def test_conclude__differences_are_paired() -> None:
    rows = [row("member", "a", 0.90), row("member", "b", 0.94), row("whole", "w", 0.95)]
    found = conclude(rows, {"a": 0.99, "b": 0.97})
    fair, best = found["by_validation"], found["with_hindsight"]["au_pro"]

    assert fair["member"] == "a"
    assert fair["differences"]["au_pro"]["difference"] == pytest.approx(0.05)
    assert (fair["differences"]["au_pro"]["low"], fair["differences"]["au_pro"]["high"]) == pytest.approx(
        (0.05, 0.05)  # both move alike, so that the difference does not
    )
    assert (best["member"], best["difference"]) == ("b", pytest.approx(0.01))
    assert sentences(found)[0] == (
        "best member by artificial anomalies on validate (no test image seen): a (0.990)"
    )
    assert "recipe against it, AU-PRO: 0.950 against 0.900, +0.050 [+0.050, +0.050]" in sentences(found)[3]


def test_conclude__without_the_recipe_s_row_names_the_member_only() -> None:
    broken = failed(Variant("whole", "w", recipe("a", "b")), "no head")
    found = conclude([row("member", "a", 0.9), broken], {"a": 0.9})

    assert found["by_validation"] == {"member": "a", "differences": {}}
    assert sentences(found)[-1].startswith("no metric of images or pixels is defined")


def test_conclude__of_equals_the_first_by_name_is_chosen() -> None:
    rows = [row("member", "b", 0.9), row("member", "a", 0.9), row("whole", "w", 0.9)]
    found = conclude(rows, {"b": 0.5, "a": 0.5})

    assert found["by_validation"]["member"] == "a"
    assert found["with_hindsight"]["image_auroc"]["member"] == "a"


def test_picture__names_members_and_is_the_same_each_time(tmp_path: Path) -> None:
    rows = [
        row("member", "a", 0.90, cost=5),
        row("member", "b", 0.94, cost=50),
        row("whole", "w", 0.95, cost=70),
        row("member", "undefined", float("nan")),
    ]
    first, second = tmp_path / "1.svg", tmp_path / "2.svg"

    assert draw(first, rows)
    assert draw(second, rows)
    assert first.read_bytes() == second.read_bytes()
    assert not draw(tmp_path / "3.svg", rows[3:])
    assert not (tmp_path / "3.svg").exists()

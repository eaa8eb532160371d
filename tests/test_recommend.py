"""`leatherens recommend`: rules, the choice, predicted costs against a real run, the command, and --try."""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import at_step, call, press_ctrl_c

from leatherens.configs.recipe import Calibration, MemberChoice, Places, Recipe, read_recipe
from leatherens.configs.recipe import Choice as Part
from leatherens.core.colours import colour_clusters
from leatherens.core.errors import InputError, LeatherensError
from leatherens.core.host import PluginHost
from leatherens.core.leather import write_demo
from leatherens.core.looks.look import Details, Look
from leatherens.core.looks.places import Places as Lying
from leatherens.core.progress import Silent
from leatherens.core.scenario import About, Conditions, Range
from leatherens.core.types import ImageBatch
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.parts import resolve
from leatherens.ensembles.recommending import clock
from leatherens.ensembles.recommending.candidates import Candidate, candidates
from leatherens.ensembles.recommending.choosing import choose
from leatherens.ensembles.recommending.handful import HANDFUL, Handful
from leatherens.ensembles.recommending.pace import Pace
from leatherens.ensembles.recommending.predicting import Budget, Prediction, Predictor
from leatherens.ensembles.recommending.rules import RULES, WEIGHTS, checks
from leatherens.ensembles.recommending.sketch import Amount, Sketcher
from leatherens.ensembles.recommending.trying import Tried, best, to_be_tried
from leatherens.ensembles.splits import Splits

LOOK = Look(
    images=40,
    seen=40,
    unreadable=(),
    smallest=(256, 256),
    largest=(256, 300),
    colours=colour_clusters(np.array([[34.0, 14, 13]] * 40)),
    unevenness=0.1,
    details=Details(4.0, 1.0, 1.0, (256, 256)),
    places=Lying(0.0),
)
"""Forty images of brown leather."""

STILL = replace(LOOK, unevenness=0.9, places=Lying(0.95))
MOVING = replace(LOOK, unevenness=0.9, places=Lying(0.2, fitting=1.0))
PLAIN = Recipe(members={"padim": MemberChoice()})
REGISTERING = PLAIN.model_copy(update={"preparation": (Part(id="registration"),)})


def met(when: Conditions, look: Look = LOOK, recipe: Recipe = PLAIN) -> list[bool]:
    """Which conditions the images meet."""
    return [check.met for check in checks(when, look, recipe)]


def about(when: Conditions) -> About:
    """What a scenario says that is for such images."""
    return About(title="A", use="B.", avoid="C.", cost="D.", when=when)


def candidate(id: str, when: Conditions | None = None, look: Look = LOOK, **more: Any) -> Candidate:
    """A scenario held against images."""
    asked = when or Conditions()
    return Candidate(id, about(asked), PLAIN, checks(asked, look, PLAIN), **more)


def predicted(ms: float, memory_mb: float = 100) -> Prediction:
    """A prediction with these costs."""
    return Prediction(ms_per_image=ms, memory_mb=memory_mb, base_mb=50, gpu_mb=None, disk_mb=1, fit_seconds=1)


def test_every_condition_that_a_scenario_can_name_has_a_rule_and_a_weight() -> None:
    assert set(RULES) == set(Conditions.model_fields) - {"budget"}
    assert {key.partition(".")[0] for key in WEIGHTS} == set(RULES)


@pytest.mark.parametrize(
    ("when", "look", "expected"),
    [
        (Conditions(), LOOK, []),
        (Conditions(colours="one"), LOOK, [True]),
        (Conditions(colours="several"), LOOK, [False]),
        (Conditions(surface="object"), LOOK, [False]),
        (Conditions(surface="object"), STILL, [True]),
        (Conditions(views="one"), LOOK, [True]),
        (Conditions(views="several"), replace(LOOK, views=("a", "b")), [True]),
        (Conditions(images=Range(least=17, most=39)), LOOK, [True, False]),
        (Conditions(side=Range(least=300)), LOOK, [True]),
        (Conditions(side=Range(least=301)), LOOK, [False]),
        (Conditions(aligned=True), STILL, [True]),
        (Conditions(aligned=True), MOVING, [False]),
        (Conditions(aligned=False), MOVING, [True]),
        (Conditions(aligned=True), replace(LOOK, places=Lying(0.9)), [False]),
    ],
)
def test_conditions_are_held_against_the_look(when: Conditions, look: Look, expected: list[bool]) -> None:
    assert met(when, look) == expected


def test_a_recipe_that_registers_counts_a_part_that_can_be_registered_as_aligned() -> None:
    assert met(Conditions(aligned=True), MOVING, REGISTERING) == [True]
    assert met(Conditions(aligned=True), replace(MOVING, places=Lying(0.2, 0.1)), REGISTERING) == [False]


def test_few_images_outweigh_what_they_show() -> None:
    surface = candidate("surface", Conditions(colours="one", surface="texture", images=Range(least=1)))
    few = candidate("few", Conditions(images=Range(most=50)))
    assert few.rank > surface.rank > candidate("any").rank == 0


def chosen(order: Sequence[Candidate], costs: dict[str, float], budget: Budget, wanted: int = 1) -> Any:
    """The choice with these costs in milliseconds; a negative one cannot be predicted."""

    def predict(one: Candidate) -> Prediction:
        if costs[one.id] < 0:
            raise LeatherensError("its weights are missing\nsomewhere")
        return predicted(costs[one.id])

    return choose(order, predict, budget, wanted)


def states(choice: Any) -> dict[str, str]:
    """What became of each."""
    return {verdict.id: verdict.state for verdict in choice.verdicts}


def test_the_first_that_keeps_the_budget_is_picked_and_the_others_say_why_not() -> None:
    order = [candidate("a"), candidate("b"), candidate("c"), candidate("d", Conditions(colours="several"))]
    choice = chosen(order, {"a": 80, "b": 20}, Budget(ms=50))
    assert states(choice) == {"a": "dropped", "b": "picked", "c": "not needed", "d": "not for these images"}
    assert choice.verdicts[0].why == ("80 ms an image are over --ms 50",)
    assert choice.verdicts[3].why == ("one colour: brown",)
    assert choice.within


def test_without_a_budget_the_first_is_picked_and_no_other_is_timed() -> None:
    choice = chosen([candidate("a"), candidate("b")], {"a": 9000}, Budget())
    assert states(choice) == {"a": "picked", "b": "not needed"}


def test_where_nothing_keeps_the_budget_the_nearest_is_named() -> None:
    choice = chosen(
        [candidate("a"), candidate("b"), candidate("c")], {"a": 80, "b": 60, "c": 70}, Budget(ms=50)
    )
    assert choice.pick.id == "b"
    assert not choice.within
    assert choice.pick.why == ("60 ms an image are over --ms 50",)


def test_one_with_more_members_than_one_that_is_over_is_not_timed() -> None:
    more = PLAIN.model_copy(update={"members": {**PLAIN.members, "stfpm": MemberChoice()}})
    larger = more.model_copy(update={"size": (512, 512)})
    order = [
        candidate("a"),
        replace(candidate("more"), recipe=more),
        replace(candidate("larger"), recipe=larger),
    ]
    choice = chosen(order, {"a": 80, "larger": 90}, Budget(ms=50))
    assert states(choice) == {"a": "picked", "more": "dropped", "larger": "dropped"}
    assert choice.verdicts[1].why == ("it has all members of a and more, which is over",)
    assert not choice.within


def test_memory_counts_on_the_gpu_too() -> None:
    both = Prediction(ms_per_image=1, memory_mb=600, base_mb=50, gpu_mb=800, disk_mb=1, fit_seconds=1)
    assert Budget(memory_mb=700).excess(both) == ("800 MB on the GPU are over --memory-mb 700",)
    assert len(Budget(ms=0.5, memory_mb=500).excess(both)) == 3
    assert Budget(memory_mb=400).times_over(both) == 2.0


def test_one_that_cannot_be_made_is_passed_over_and_told() -> None:
    choice = chosen([candidate("a"), candidate("b")], {"a": -1, "b": 5}, Budget())
    assert states(choice) == {"a": "untimed", "b": "picked"}
    assert choice.dropped[0].why == ("its weights are missing",)
    with pytest.raises(LeatherensError, match="no scenario can be used here; a: its weights are missing"):
        chosen([candidate("a")], {"a": -1}, Budget())


def test_where_no_scenario_is_for_the_images_each_says_why() -> None:
    with pytest.raises(InputError, match="no scenario is for such images:\n  a: one colour: brown"):
        chosen([candidate("a", Conditions(colours="several"))], {}, Budget())


def test_as_many_as_are_to_be_tried_are_timed() -> None:
    costs = {"a": 10, "b": 80, "c": 20, "d": 1}
    choice = chosen([candidate(id) for id in "abcd"], costs, Budget(ms=50), wanted=2)
    assert states(choice) == {"a": "picked", "b": "dropped", "c": "within", "d": "not needed"}


def test_scenarios_come_special_ones_first_and_those_for_a_tight_budget_last() -> None:
    found = candidates(PluginHost(installed=False), LOOK, Places(device="cpu"))
    assert all(one.broken is None for one in found)
    fitting = [one for one in found if one.fits]
    usual = [one.rank for one in fitting if not one.tight]
    assert usual == sorted(usual, reverse=True)
    assert [one.tight for one in fitting] == sorted(one.tight for one in fitting)
    assert [one.fits for one in found] == sorted((one.fits for one in found), reverse=True)
    assert fitting[0].id == "one-colour"


def test_a_broken_scenario_spoils_only_itself(tmp_path: Path) -> None:
    plugin = scenarios(tmp_path, {"whole": "members: [padim]\n", "torn": "members: [padimm]\n"})
    found = {
        one.id: one for one in candidates(PluginHost(installed=False, files=[plugin]), LOOK, Places("cpu"))
    }
    assert found["whole"].fits
    assert found["torn"].broken is not None
    assert "did you mean 'padim'?" in found["torn"].broken


def test_a_scenario_whose_threshold_needs_defects_is_never_recommended(tmp_path: Path) -> None:
    plugin = scenarios(tmp_path, {"labelled": "members: [padim]\nthreshold: f1\n"})
    found = {
        one.id: one for one in candidates(PluginHost(installed=False, files=[plugin]), LOOK, Places("cpu"))
    }
    assert not found["labelled"].fits
    assert found["labelled"].broken == "its threshold learns from labelled defects"


def test_a_step_that_was_cut_short_is_counted_to_its_end() -> None:
    pace = Pace()
    with pace.step("learning", 10) as advance:
        for _ in range(3):
            time.sleep(0.02)
            advance(1)
    (step,) = pace.steps
    assert step.seconds == pytest.approx(0.2, rel=0.5)
    with pace.step("all of it", 2) as advance:
        advance(2)
    assert pace.steps[1].seconds < 0.1
    assert pace.seconds == pytest.approx(step.seconds, rel=0.2)


def test_a_handful_stands_for_many() -> None:
    class Source:
        ids = tuple(f"{i}.png" for i in range(20))
        size = (4, 4)

        def batch(self, indices: Sequence[int]) -> ImageBatch:
            pixels = torch.stack([torch.full((3, 4, 4), i / 20) for i in indices])
            return ImageBatch(pixels, tuple(self.ids[i] for i in indices))

    many = Handful(Source(), 21)
    assert len(many.ids) == len(set(many.ids)) == 21
    batch = many.batch([0, HANDFUL, 2])
    assert torch.equal(batch.pixels[0], batch.pixels[1])
    assert not torch.equal(batch.pixels[0], batch.pixels[2])
    assert batch.ids == ("0.png#0", "0.png#1", "2.png#0")


def disk(run: Path) -> dict[str, int]:
    """Bytes of what was learned, by file, less what depends on thresholds."""
    learned = ("members", "ensemble/block", "ensemble/head", "ensemble/scales", "ensemble/score-fusion")
    files = [path for part in learned for path in (run / part).rglob("*.safetensors")]
    return {path.relative_to(run).as_posix(): path.stat().st_size for path in files}


@pytest.mark.parametrize("made", ["banked", "pair"])
def test_a_sketch_is_as_large_as_the_run_will_be(
    made: str, leather: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run: Path = request.getfixturevalue(made)
    host, recipe = PluginHost(installed=False), read_recipe(run / "recipe.yaml")
    splits = Splits.read(run / "splits.json")
    few = DataChoice.at(leather).read(host).train[:HANDFUL]
    sketcher = Sketcher(host, few)
    seconds = sketcher.sketch(recipe, Amount(len(splits.fit), len(splits.validate)), RunFolder(tmp_path))
    found, real = disk(tmp_path), disk(run)
    assert found.keys() == real.keys()
    for name, size in real.items():
        assert found[name] == pytest.approx(size, rel=0.02), name
    assert 0 < seconds < 600


@pytest.mark.parametrize(
    "said",
    [{"tile": (32, 32), "size": (32, 32)}, {"preparation": (Part(id="flatten"),)}],
    ids=["tiles", "prepared"],
)
def test_tiles_and_prepared_pictures_are_timed_too(
    said: dict[str, Any], leather: Path, banked: Path, tmp_path: Path
) -> None:
    host = PluginHost(installed=False)
    recipe = resolve(read_recipe(banked / "recipe.yaml").model_copy(update=said), host)
    few = DataChoice.at(leather).read(host).train[:HANDFUL]
    Sketcher(host, few).sketch(recipe, Amount(12, 2), RunFolder(tmp_path))
    found = clock._measured(tmp_path, tuple(few), {"installed": False})
    assert isinstance(found, clock.Clocked)
    assert found.scoring_ms > 0
    assert (found.preparing_ms > 0) is ("preparation" in said)


def test_many_images_are_counted_in_tiles_and_few_ones_in_folds(leather: Path) -> None:
    host = PluginHost(installed=False)
    collection = DataChoice.at(leather).read(host)
    predictor = Predictor(host, collection, collection.train, {"installed": False}, Silent())
    split = PLAIN.model_copy(update={"calibration": Calibration.split})
    assert predictor._amount(split) == (Amount(12, 2), 1)
    assert predictor._amount(split.model_copy(update={"calibration": Calibration.cross})) == (
        Amount(14, 2),
        6,
    )
    assert predictor._amount(split.model_copy(update={"tile": (32, 32)})) == (Amount(48, 8), 1)


TINY_STFPM = "stfpm: {backbone: test_resnet, weights: random, steps: 3}"
TINY_PATCHCORE = "patchcore: {backbone: test_resnet, weights: random, layers: [1], core_set: 0.05}"
WHEN = "when: {colours: one, surface: texture, images: {least: 8, most: 400}}"


def scenarios(folder: Path, files: dict[str, str]) -> Path:
    """A plugin in a file that offers these scenarios."""
    lines = ["from leatherens import hookimpl", "@hookimpl", "def register_scenarios(register):"]
    for id, text in files.items():
        (folder / f"{id}.yaml").write_text(text, encoding="utf-8")
        lines.append(f"    register('{id}', 'mine:{id}.yaml', summary='tiny')")
    plugin = folder / "mine.py"
    plugin.write_text("\n".join(lines), encoding="utf-8")
    return plugin


def described(title: str, members: str, when: str = WHEN) -> str:
    """A scenario that takes a second."""
    told = f"about: {{title: {title}, use: Tests., avoid: All else., cost: Little., {when}}}\n"
    return f"{told}size: 64\ncalibration: split\nmembers: {{{members}}}\n"


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny scenarios that fit the demo leather better than the built-in ones."""
    both = f"{TINY_STFPM}, {TINY_PATCHCORE}"
    files = {"tiny-bank": described("A bank", TINY_PATCHCORE), "tiny-pair": described("A pair", both)}
    return scenarios(tmp_path_factory.mktemp("scenarios"), files)


def recommended(plugin: Path, *arguments: object) -> Any:
    """What `leatherens recommend` answers with these scenarios."""
    return call("--no-plugins", "--plugin", plugin, "recommend", "--device", "cpu", *arguments)


@pytest.fixture(scope="module")
def answer(plugin: Path, leather: Path) -> dict[str, Any]:
    """The JSON for the demo leather."""
    result = recommended(plugin, "--data", leather, "--json")
    assert result.exit_code == 0, result.stderr
    content: dict[str, Any] = json.loads(result.stdout)
    return content


def test_a_strangers_scenario_is_picked_where_it_fits_best(answer: dict[str, Any]) -> None:
    verdicts = {one["id"]: one for one in answer["scenarios"]}
    assert answer["pick"] == "tiny-bank"  # of equals the one with fewer members
    assert verdicts["tiny-pair"]["verdict"] == "not needed"
    assert verdicts["few-shot"]["verdict"] == "not needed"
    assert "one colour: brown" in verdicts["multi-colour"]["why"]
    assert answer["look"]["surface"] == "texture"
    assert answer["look"]["images"] == 16
    assert verdicts["tiny-bank"]["rank"] == 6


def test_costs_are_predicted_for_the_pick(answer: dict[str, Any]) -> None:
    costs = answer["scenarios"][0]["prediction"]
    assert 0 < costs["ms_per_image"] < 5000
    assert 100 < costs["memory_mb"] < 5000
    assert 0 < costs["disk_mb"] < 10
    assert 50 < costs["base_mb"] < costs["memory_mb"]
    assert costs["gpu_mb"] is None


def test_the_command_that_is_printed_works(answer: dict[str, Any], tmp_path: Path) -> None:
    typed = shlex.split(answer["command"])
    assert typed[0] == "leatherens"
    assert typed[-5:-4] == ["tiny-bank"]
    result = call(*typed[1:], "--out", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "run" / "DONE").exists()


@pytest.fixture
def only_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The built-in scenarios, which take minutes, are left out."""

    def tiny(*arguments: Any) -> list[Candidate]:
        return [one for one in candidates(*arguments) if one.id.startswith("tiny")]

    monkeypatch.setattr("leatherens.ensembles.recommending.recommending.candidates", tiny)


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs are not predicted here, which would take ten seconds each."""
    monkeypatch.setattr(
        "leatherens.ensembles.recommending.recommending.Predictor.of", lambda *arguments: predicted(30, 100)
    )


@pytest.mark.usefixtures("only_tiny", "untimed")
def test_a_budget_that_nobody_keeps_names_the_nearest_and_ends_with_2(plugin: Path, leather: Path) -> None:
    result = recommended(plugin, "--data", leather, "--memory-mb", 1, "--explain")
    assert result.exit_code == 2
    evidence, _, rest = result.stdout.partition("Scenarios, the best fit first:")
    assert "16 good images" in evidence
    assert "one colour: brown" in evidence
    assert "No scenario keeps the budget; this one comes nearest" in rest
    assert "100 MB are over --memory-mb 1" in rest
    assert "run --config tiny-" in rest.splitlines()[-1]


@pytest.mark.usefixtures("only_tiny", "untimed")
def test_trying_reads_no_defect_and_chooses_by_what_it_measured(
    plugin: Path, leather: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(leather, data)
    for path in (data / "test").rglob("*.png"):
        path.write_bytes(b"nobody reads this")
    result = recommended(plugin, "--data", data, "--try", "--out", tmp_path / "tried", "--json")
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    tried = content["tried"]["scenarios"]
    assert tried.keys() == {"tiny-bank", "tiny-pair"}
    assert content["pick"] == max(tried, key=lambda id: tried[id]["separation"])
    for one in tried.values():
        assert 0 <= one["image_auroc"] <= 1
        assert 0 <= one["au_pro"] <= 1
        assert one["good"] == 2  # as many as calibrate
    assert f"--config {content['pick']}" in content["command"]
    assert "no real defects" in content["tried"]["caveat"]

    again = recommended(plugin, "--data", data, "--try", "--out", tmp_path / "tried")
    assert again.exit_code == 0, again.stderr
    assert "tiny-bank: already tried" in again.stderr
    assert f"Best: {content['pick']}. 2 held-out good images, and 20 spoilt copies." in again.stdout
    assert "image AUROC" in again.stdout
    assert "By what the images look like, before any was tried:\ntiny-bank: A bank" in again.stdout

    other = tmp_path / "other"
    write_demo(other, scenario="one-colour", size=64, train=12, test=2, seed=5)
    refused = recommended(plugin, "--data", other, "--try", "--out", tmp_path / "tried")
    assert refused.exit_code == 2
    assert "holds trials on other images; remove it, or give another --out" in refused.stderr


@pytest.mark.usefixtures("only_tiny", "untimed")
def test_an_interrupted_trial_says_how_to_go_on(
    plugin: Path, leather: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_step(monkeypatch, "tiny-bank, held-out images, good and spoilt", press_ctrl_c)
    result = recommended(plugin, "--data", leather, "--try", "--out", tmp_path / "tried")
    assert result.exit_code == 130
    assert "Interrupted; what was learned is kept. Go on with: leatherens --plugin" in result.stderr
    assert f"--try --out {tmp_path / 'tried'}" in result.stderr
    assert list((tmp_path / "tried" / "tiny-bank" / "members").rglob("*.safetensors"))


def test_tiles_are_not_compared_with_whole_photographs() -> None:
    tiled = PLAIN.model_copy(update={"tile": (64, 64)})
    order = [candidate("a"), replace(candidate("tiles"), recipe=tiled), candidate("b")]
    choice = chosen(order, {"a": 1, "tiles": 1, "b": 1}, Budget(), wanted=3)
    found, remarks = to_be_tried(choice)
    assert [one.id for one in found] == ["a", "b"]
    assert remarks == ("tiles was not tried: in its tiles anomalies are of another size",)
    with pytest.raises(InputError, match=r"no two scenarios to compare .* \(a\); leave --try out"):
        to_be_tried(chosen(order, {"a": 1}, Budget()))


def test_the_best_is_told_by_both_metrics_and_the_first_of_equals_wins() -> None:
    def tried(auroc: float, au_pro: float) -> Tried:
        return Tried(image_auroc=auroc, au_pro=au_pro, good=2, spoilt=20, seconds=1)

    assert best({"a": tried(0.9, 0.5), "b": tried(0.8, 0.7), "c": "failed"}) == "b"
    assert best({"a": tried(0.75, 0.75), "b": tried(0.5, 1.0)}) == "a"
    with pytest.raises(LeatherensError, match=r"no scenario could be tried \(c: failed\)"):
        best({"c": "failed"})


def test_what_nobody_can_learn_from_is_refused_in_words(leather: Path, tmp_path: Path, plugin: Path) -> None:
    (one := tmp_path / "one").mkdir()
    shutil.copy(leather / "train" / "good" / "000.png", one)
    (empty := tmp_path / "empty").mkdir()
    shutil.copytree(leather, bad := tmp_path / "defects", ignore=shutil.ignore_patterns("good"))
    (several := tmp_path / "several").mkdir()
    for name in ("a", "b"):
        shutil.copytree(leather, several / name)
    told = {
        one: "one good image to learn from, at least 8 are needed",
        empty: "no images in it",
        bad: "holds defective images only; a scenario learns from good ones",
        several: "holds several collections (a, b); recommend for one at a time, such as",
        tmp_path / "nowhere": "no such folder",
    }
    for folder, reason in told.items():
        result = recommended(plugin, "--data", folder)
        assert result.exit_code == 2, folder
        assert reason in result.stderr, folder


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--ms", "-3"], "--ms: expected milliseconds above 0, got -3"),
        (["--memory-mb", "0"], "--memory-mb: expected megabytes above 0, got 0"),
        (["--out", "x"], "--out: is the folder of --try"),
        (["--device", "tpu"], "unknown device 'tpu'"),
    ],
)
def test_wrong_options_are_refused_in_words(leather: Path, arguments: list[str], reason: str) -> None:
    result = call("recommend", "--data", leather, *arguments)
    assert result.exit_code == 2
    assert reason in result.stderr

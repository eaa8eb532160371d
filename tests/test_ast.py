"""AST: published sizes and settings, teacher and student worked out apart, and the detector itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from by_numpy import atan_clamped, bicubic, convolved
from small_leather import Interrupted, context, learned, leather, seen
from torch import Tensor, nn

from leatherens.core.artifact import read_state, read_tensors, write_state
from leatherens.core.backbones import Pyramids
from leatherens.core.detector import Effort, FeatureSpec, FitContext
from leatherens.core.errors import ArtifactError, ConfigError, InputError
from leatherens.core.level_flows import LevelsFlow, counted_mean, surprise
from leatherens.core.positions import position_code
from leatherens.core.progress import Silent
from leatherens.core.randomness import seeded_construction
from leatherens.core.types import FeatureMaps, ImageBatch
from leatherens.core.weights import DEFAULT_MODEL
from leatherens.plugins.ast import AST
from leatherens.plugins.ast.networks import Residual, Student, teacher_flow, with_positions

TINY: dict[str, Any] = {
    "backbone": "test_resnet",
    "layer": 2,  # 48 channels at stride 8
    "stages": False,
    "weights": "random",
    "positions": 8,
    "kernels": (3, 5),
    "hidden": 8,
    "width": 16,
    "blocks": 2,
    "batch_size": 4,
    "learning_rate": 5e-3,
    "steps": 60,
}


def fitted(images: ImageBatch, found: FitContext | None = None, **options: Any) -> AST:
    return learned(AST(AST.Params(**{**TINY, **options})), images, found)


@pytest.fixture(scope="module")
def taught() -> AST:
    """A small one after twice 60 steps on eight hides."""
    return fitted(leather(8))


def maps_of(detector: AST, batch: ImageBatch) -> Tensor:
    (request,) = detector.backbones()
    return context().pool.pyramids(batch, [request])[request].maps[0]


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def small_teacher(channels: int = 6, **options: Any) -> LevelsFlow:
    with seeded_construction(0, "teacher"):
        made = {"positions": 4, "hidden": 5, "sides": (3, 5), "clamp": 1.9, **options}
        return teacher_flow(channels, **made).requires_grad_(False)


def loosened(flow: LevelsFlow) -> LevelsFlow:
    """With gains that no longer silence what the sub-networks say."""
    for name, parameter in flow.named_parameters():
        if name.endswith("gain"):
            nn.init.constant_(parameter, 1.5)
    return flow


def random_maps(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# teacher and student


def test_sizes_are_the_published_ones() -> None:
    """But for one number of the authors' student, which nothing uses."""
    published = AST.Params()
    with torch.device("meta"):
        teacher = teacher_flow(
            304,
            positions=published.positions,
            hidden=published.hidden,
            sides=published.kernels,
            clamp=published.clamp,
        )
        student = Student(304, positions=published.positions, width=published.width, blocks=published.blocks)
    assert parameters(teacher) == 3_251_080
    assert parameters(student) == 81_421_617 - 1


def test_fresh_teacher__only_shuffles_channels() -> None:
    maps = random_maps(2, 6, 4, 5)
    (latent,), (stretch,) = small_teacher()([maps])
    assert torch.equal(latent.sort(dim=1).values, maps.sort(dim=1).values)
    assert not torch.equal(latent, maps)
    assert not bool(stretch.any())


def test_teacher__stretches_a_single_position_as_its_jacobian_says() -> None:
    """On a map of one position convolutions see its value and the repeated border."""
    flow = loosened(small_teacher(channels=4)).double()
    maps = random_maps(1, 4, 1, 1).double()
    jacobian = torch.autograd.functional.jacobian(
        lambda flat: flow([flat.view_as(maps)])[0][0].flatten(), maps.flatten()
    )
    expected = float(torch.linalg.slogdet(jacobian).logabsdet)
    assert abs(expected) > 0.05
    assert float(flow([maps])[1][0]) == pytest.approx(expected, abs=1e-8)


def test_teacher__stretches_a_whole_map_as_its_jacobian_says() -> None:
    flow = loosened(small_teacher(channels=4)).double()
    maps = random_maps(1, 4, 3, 2).double()
    jacobian = torch.autograd.functional.jacobian(
        lambda flat: flow([flat.view_as(maps)])[0][0].flatten(), maps.flatten()
    )
    expected = float(torch.linalg.slogdet(jacobian).logabsdet)
    stretch = flow([maps])[1][0]
    assert stretch.shape == (1, 3, 2)
    assert float(stretch.sum()) == pytest.approx(expected, abs=1e-8)


def test_teacher__comes_back_after_training(taught: AST) -> None:
    maps = maps_of(taught, leather(2, seed=5))
    with torch.no_grad():
        latents, (stretch,) = taught.teacher_([maps])
        (back,) = taught.teacher_.inverse(latents)
    assert float(stretch.abs().max()) > 1, "or nothing was learned to undo"
    torch.testing.assert_close(back, maps, rtol=0, atol=1e-5 * float(maps.abs().max().clamp_min(1)))


def test_positions__stand_in_front_of_the_features() -> None:
    maps = random_maps(2, 3, 4, 5)
    both = with_positions(maps, 8)
    assert torch.equal(both[:, 8:], maps)
    assert torch.equal(both[0, :8], position_code((4, 5), 8))
    assert torch.equal(both[0, :8], both[1, :8])
    assert both[0, :8, 0, 0].tolist() == [0, 1] * 4


def test_student__adds_what_came_in_after_the_last_activation() -> None:
    block = Residual(3).eval().requires_grad_(False)
    for layer in block.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, -1.0)  # type: ignore[arg-type]
    maps = random_maps(1, 3, 2, 2) - 5
    torch.testing.assert_close(block(maps), maps - 0.01 / (1 + 1e-5) ** 0.5)


# the whole path, apart


class Numbers:
    """A detector's weights, and what it makes of maps by the formulas of the paper."""

    def __init__(self, detector: AST) -> None:
        self.params = detector.params
        modules = {"teacher": detector.teacher_, "student": detector.student_}
        self.state = {
            f"{n}.{k}": t.double().numpy() for n, m in modules.items() for k, t in m.state_dict().items()
        }

    def teacher(self, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latents, and the logarithm of the determinant at each position."""
        volume = np.zeros((len(maps), *maps.shape[2:]))
        for block in range(len(self.params.kernels)):
            maps = maps[:, self.state[f"teacher.shuffles.{block}.0.order"].astype(int)]
            half = maps.shape[1] // 2
            lower, upper = maps[:, :half], maps[:, half:]
            lower, first = self.moved(lower, self.said(f"teacher.couplings.{block}.first", upper))
            upper, second = self.moved(upper, self.said(f"teacher.couplings.{block}.second", lower))
            maps, volume = np.concatenate([lower, upper], axis=1), volume + first + second
        return maps, volume

    def moved(self, half: np.ndarray, said: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wide = half.shape[1]
        scales = atan_clamped(said[:, :wide], self.params.clamp)
        return half * np.exp(scales) + said[:, wide:], scales.sum(axis=1)

    def said(self, name: str, half: np.ndarray) -> np.ndarray:
        hidden = np.maximum(0, self.layer(f"{name}.body.0", self.placed(half), border="edge"))
        said: np.ndarray = self.state[f"{name}.gain"] * self.layer(f"{name}.body.2", hidden, border="edge")
        return said

    def placed(self, maps: np.ndarray) -> np.ndarray:
        height, width = maps.shape[2:]
        quarter = self.params.positions // 4
        slow = np.exp(-np.log(1e4) * np.arange(quarter) / quarter)
        across, down = slow[:, None] * np.arange(width), slow[:, None] * np.arange(height)
        code = np.zeros((4 * quarter, height, width))
        code[0 : 2 * quarter : 2], code[1 : 2 * quarter : 2] = (
            np.sin(across)[:, None],
            np.cos(across)[:, None],
        )
        code[2 * quarter :: 2], code[2 * quarter + 1 :: 2] = np.sin(down)[..., None], np.cos(down)[..., None]
        return np.concatenate([np.broadcast_to(code, (len(maps), *code.shape)), maps], axis=1)

    def student(self, maps: np.ndarray) -> np.ndarray:
        hidden = leaky(self.layer("student.enter", self.placed(maps)))
        for block in range(self.params.blocks):
            inner = hidden
            for at in (0, 3):
                inner = self.layer(f"student.body.{block}.body.{at}", inner)
                inner = leaky(self.normed(f"student.body.{block}.body.{at + 1}", inner))
            hidden = hidden + inner
        return self.layer("student.leave", hidden)

    def normed(self, name: str, maps: np.ndarray) -> np.ndarray:
        mean, variance, weight, bias = (
            self.state[f"{name}.{k}"][:, None, None]
            for k in ("running_mean", "running_var", "weight", "bias")
        )
        normed: np.ndarray = (maps - mean) / np.sqrt(variance + 1e-5) * weight + bias
        return normed

    def layer(self, name: str, maps: np.ndarray, border: str = "constant") -> np.ndarray:
        return convolved(maps, self.state[f"{name}.weight"], self.state[f"{name}.bias"], border=border)


def leaky(maps: np.ndarray) -> np.ndarray:
    return np.where(maps > 0, maps, 0.01 * maps)


def test_whole_path_equals_a_computation_of_its_own(taught: AST) -> None:
    """Convolutions, couplings, norms and interpolation by numpy: nothing of ours but the backbone."""
    batch = leather(2, seed=5)
    numbers, maps = Numbers(taught), maps_of(taught, batch).double().numpy()
    latent, volume = numbers.teacher(maps)
    student = numbers.student(maps)
    positions = ((latent - student) ** 2).mean(axis=1)

    found = seen(taught, batch)
    np.testing.assert_allclose(found.features["ast/teacher"], latent, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.features["ast/student"], student, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.features["ast/difference"], latent - student, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.features["ast/distance"][:, 0], positions, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.scores.pixels, bicubic(positions, (64, 96)), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.scores.image, positions.max(axis=(1, 2)), rtol=1e-3)

    with torch.no_grad():
        lost = taught._unlikeliness(torch.from_numpy(maps).float(), None)
        apart = taught._disagreement(torch.from_numpy(maps).float(), None)
    unlikely = ((latent**2).sum(axis=1) / 2 - volume).mean(axis=(1, 2))
    np.testing.assert_allclose(lost, unlikely, rtol=1e-3)
    np.testing.assert_allclose(apart, positions.mean(axis=(1, 2)), rtol=1e-3)


class Shifted(nn.Module):
    """A student that says what the teacher says, and so much less."""

    def __init__(self, teacher: LevelsFlow, by: float) -> None:
        super().__init__()
        self.teacher = teacher
        self.by = by

    def forward(self, maps: Tensor) -> Tensor:
        latents, _ = self.teacher([maps])
        return latents[0] - self.by


@pytest.mark.parametrize(("by", "score"), [(0.0, 0.0), (2.0, 4.0)])
@pytest.mark.parametrize("rule", ["maximum", "mean"])
def test_a_student_that_is_the_teacher_and_one_that_is_two_off(by: float, score: float, rule: str) -> None:
    detector = fitted(leather(2), image_score=rule, steps=1)
    detector.student_ = Shifted(detector.teacher_, by)  # type: ignore[assignment]
    scores = seen(detector, leather(2, seed=5)).scores
    torch.testing.assert_close(scores.pixels, torch.full((2, 64, 96), score), rtol=1e-5, atol=0)
    assert scores.image.tolist() == pytest.approx([score] * 2, rel=1e-5)


@pytest.mark.parametrize(("side", "grid"), [(256, 8), (768, 24)])
def test_number_of_positions_is_the_published_one(side: int, grid: int) -> None:
    images = leather(2, size=(side, side))
    detector = fitted(images, layer=4, kernels=(3,), blocks=0, width=4, batch_size=2, steps=1)
    found = seen(detector, ImageBatch(images.pixels[:1], ("a",)))
    assert found.features["ast/distance"].shape == (1, 1, grid, grid)
    assert found.scores.pixels.shape == (1, side, side)


# learning


def test_fit__lets_teacher_and_student_agree_on_good_leather_and_not_on_noise(taught: AST) -> None:
    good = seen(taught, leather(4, seed=5)).scores.image
    noise = torch.rand(4, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    strange = seen(taught, ImageBatch(noise, tuple("abcd"))).scores.image
    assert float(strange.min()) > 2 * float(good.max())


def test_fit__lowers_both_losses(taught: AST) -> None:
    teacher, student = (taught.log_[name]["losses"] for name in ("teacher", "student"))
    assert np.mean(teacher[-5:]) < teacher[0] - 20
    assert np.mean(student[-5:]) < 0.5 * student[0]


def test_fit__first_losses_are_those_of_a_fresh_flow() -> None:
    images = leather(4)
    detector = fitted(images, batch_size=4, steps=1)
    maps = maps_of(detector, images).double()
    expected = 0.5 * maps.square().sum(dim=1).mean()
    assert detector.log_["teacher"]["losses"][0] == pytest.approx(float(expected), rel=1e-5)


def test_fit__moves_every_weight_of_both() -> None:
    images = leather(2)
    one, many = (fitted(images, steps=steps).state() for steps in (1, 3))
    same = [
        name
        for name, t in one.items()
        if isinstance(t, Tensor)
        and torch.equal(t, many[name])  # type: ignore[arg-type]
        and not name.endswith("order")
    ]
    assert same == []


def test_fit__same_seed_same_losses_and_scores() -> None:
    images = leather(3)
    one, same, other = (fitted(images, context(seed=seed), steps=4) for seed in (3, 3, 4))
    assert one.log_ == same.log_
    assert torch.equal(seen(one, images).scores.pixels, seen(same, images).scores.pixels)
    assert one.log_["student"]["losses"] != other.log_["student"]["losses"]


class Telling(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


@pytest.mark.parametrize(
    ("after", "sentences"),
    [
        (3, ["ast teacher: going on from step 3 of 6"]),
        (9, ["ast teacher: already learned", "ast student: going on from step 3 of 6"]),
    ],
)
def test_fit__interrupted_and_resumed_gives_the_same(
    after: int, sentences: list[str], tmp_path: Path
) -> None:
    images = leather(3)
    whole = fitted(images, steps=6)
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fitted(images, context(checkpoint=file, progress=Interrupted(after)), steps=6)
    telling = Telling()
    resumed = fitted(images, context(checkpoint=file, progress=telling), steps=6)
    assert telling.sentences == sentences
    assert resumed.log_ == whole.log_
    assert torch.equal(seen(resumed, images).scores.pixels, seen(whole, images).scores.pixels)


def test_fit__does_not_move_the_teacher_while_the_student_learns(tmp_path: Path) -> None:
    images = leather(3)
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fitted(images, context(checkpoint=file, progress=Interrupted(7)), steps=6)
    kept, _ = read_tensors(file)
    whole = fitted(images, steps=6).teacher_.state_dict()
    assert all(torch.equal(kept[f"finished0.{name}"], t) for name, t in whole.items())


def test_fit__keeps_the_last_states_or_the_best_on_held_out_good_images() -> None:
    images = leather(4)
    last, best = (fitted(images, keep=keep, learning_rate=0.05, steps=8) for keep in ("last", "best"))
    assert last.log_["teacher"]["losses"] == best.log_["teacher"]["losses"], "only what is kept differs"
    assert all(last.log_[name]["validations"] == [] for name in ("teacher", "student"))

    maps = maps_of(best, leather(2, seed=9))
    with torch.no_grad():
        kept = {"teacher": best._unlikeliness(maps, None), "student": best._disagreement(maps, None)}
    for name, values in kept.items():
        validations = dict(best.log_[name]["validations"])
        at = best.log_[name]["best_step"]
        assert validations[at] == min(validations.values()) == pytest.approx(float(values.mean()), rel=1e-4)
    assert best.log_["teacher"]["best_step"] < 8, "or this test compares nothing"


def test_fit__ignores_what_is_hidden() -> None:
    images = leather(2)
    valid = torch.zeros(2, 64, 96, dtype=torch.bool)
    valid[:, :, :48] = True
    hidden = ImageBatch(images.pixels, images.ids, valid)
    detector = fitted(hidden, batch_size=2, steps=1)
    maps = maps_of(detector, ImageBatch(hidden.pixels, images.ids))
    expected = 0.5 * maps[..., :6].double().square().sum(dim=1).mean()
    assert detector.log_["teacher"]["losses"][0] == pytest.approx(float(expected), rel=1e-5)
    with torch.no_grad():
        values = detector._disagreement(maps, valid)
        apart = (detector._taught(maps) - detector.student_(maps)).square().mean(dim=1)
    torch.testing.assert_close(values, apart[..., :6].mean(dim=(1, 2)))


def test_tasks__are_learned_by_the_authors_optimiser() -> None:
    detector = fitted(leather(2), learning_rate=2e-4, steps=1)
    for module in (detector.teacher_, detector.student_):
        (adam,) = detector._task("x", module, detector._disagreement, context()).optimizers
        options = {key: adam.defaults[key] for key in ("lr", "betas", "eps", "weight_decay")}
        assert isinstance(adam, torch.optim.Adam)
        assert options == {"lr": 2e-4, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-5}
        owned = [id(p) for group in adam.param_groups for p in group["params"]]
        assert owned == [id(p) for p in module.parameters()]


# scoring


def test_observe__does_not_depend_on_the_rest_of_the_batch(taught: AST) -> None:
    batch = leather(3, seed=5)
    together = seen(taught, batch).scores.image
    alone = [seen(taught, ImageBatch(batch.pixels[i : i + 1], (str(i),))).scores.image for i in range(3)]
    torch.testing.assert_close(torch.cat(alone), together, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rule", ["maximum", "mean"])
def test_observe__image_score_counts_visible_positions(rule: str, taught: AST) -> None:
    detector = AST.from_state(AST.Params(**{**TINY, "image_score": rule}), taught.state())
    batch = leather(1, seed=5)
    valid = torch.zeros(1, 64, 96, dtype=torch.bool)
    valid[:, 32:, 48:] = True
    found = seen(detector, ImageBatch(batch.pixels, batch.ids, valid))
    visible = found.features["ast/distance"][0, 0, 4:, 6:]
    expected = visible.max() if rule == "maximum" else visible.mean()
    assert float(found.scores.image) == pytest.approx(float(expected), rel=1e-6)
    assert bool((found.scores.pixels[~valid] == found.scores.pixels[valid].min()).all())


def test_observe__of_absurd_features_stays_finite(taught: AST) -> None:
    batch, (request,) = leather(1), taught.backbones()
    maps = 1e9 * maps_of(taught, batch)
    scores = taught.observe(batch, Pyramids({request: FeatureMaps((maps,), ("map",))})).scores
    assert float(scores.image) > 1e6
    with torch.no_grad():
        lost = counted_mean(surprise(*taught.teacher_([maps])))
    assert bool(lost.isfinite().all())


def test_features__are_delivered_as_declared(taught: AST) -> None:
    assert taught.features() == (
        FeatureSpec("ast/teacher", 48, 8),
        FeatureSpec("ast/student", 48, 8),
        FeatureSpec("ast/difference", 48, 8),
        FeatureSpec("ast/distance", 1, 8),
    )
    maps = seen(taught, leather(2)).features
    assert maps.names == tuple(spec.name for spec in taught.features())
    for spec, delivered in zip(taught.features(), maps.maps, strict=True):
        assert delivered.shape == (2, spec.channels, 8, 12)


@pytest.mark.parametrize("size", [(64, 96), (65, 83)])
def test_any_size_is_learned_from(size: tuple[int, int]) -> None:
    found = seen(fitted(leather(2, size=size), steps=1), leather(1, size=size, seed=5))
    assert found.scores.pixels.shape == (1, *size)


def test_state__gives_the_same_scores_after_a_round_trip(taught: AST, tmp_path: Path) -> None:
    write_state(tmp_path, taught.state())
    back = AST.from_state(taught.params, read_state(tmp_path))
    batch = leather(2, seed=5)
    assert torch.equal(seen(back, batch).scores.pixels, seen(taught, batch).scores.pixels)
    assert (back.features(), back.log_, back.size_) == (taught.features(), taught.log_, [64, 96])


# settings


def test_params_for__full_effort_are_the_published_settings() -> None:
    assert AST.params_for(Effort.full) == AST.Params(
        backbone="tf_efficientnet_b5",
        layer=5,
        stages=True,
        weights="pretrained",
        positions=32,
        kernels=(3, 3, 3, 5),
        hidden=64,
        clamp=1.9,
        width=1024,
        blocks=4,
        epochs=72,
        steps=None,
        batch_size=8,
        learning_rate=2e-4,
        image_score="maximum",
        keep="last",
        patience=None,
    )


def test_quick_effort_declares_what_it_leaves_out() -> None:
    quick, full = AST.params_for(Effort.quick), AST.params_for(Effort.full)
    changed = {name for name, value in quick if value != getattr(full, name)}
    assert changed == {"backbone", "layer", "stages", "width", "blocks", "learning_rate", "steps"}
    assert quick.backbone == DEFAULT_MODEL


def test_params__survive_json() -> None:
    quick = AST.params_for(Effort.quick)
    assert AST.Params.model_validate(json.loads(quick.model_dump_json())) == quick


# refusals, word for word


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kernels": [3, 4]}, "'kernels.1': expected an odd number, so that the window has a middle, got 4"),
        ({"positions": 6}, "'positions': input should be a multiple of 4, got 6"),
        ({"batch_size": 1}, "'batch_size': input should be greater than or equal to 2, got 1"),
        ({"width": 0}, "'width': input should be greater than 0, got 0"),
        ({"layer": -1}, "'layer': input should be greater than or equal to 0, got -1"),
        ({"image_score": "median"}, "'image_score': input should be 'maximum' or 'mean', got 'median'"),
    ],
)
def test_options__are_refused_in_words(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AST.from_options(options)
    assert str(caught.value) == f"ast: option {sentence}"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"layer": 9}, "test_resnet: cannot give levels (9,) of 0..4"),
        ({"stages": True}, "test_resnet: has no stages that its levels do not show; ask for levels"),
    ],
)
def test_maps_the_backbone_lacks(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fitted(leather(2), **options)
    assert str(caught.value).startswith(sentence)


def test_images_of_another_size_than_the_learned_one_are_refused(taught: AST) -> None:
    with pytest.raises(InputError) as caught:
        seen(taught, leather(1, size=(96, 96)))
    assert str(caught.value) == (
        "ast: learned every position of images of 64 x 96, got 96 x 96; bring the images to that size or fit "
        "anew"
    )


def test_images_too_small_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        fitted(leather(2, size=(48, 96)))
    assert str(caught.value) == (
        "ast: expected images of height and width at least 64, got 48 x 96; the nearest size is 64 x 96"
    )


def test_too_few_images_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        fitted(leather(1))
    assert str(caught.value) == (
        "ast: needs at least 2 good images and one to validate, got 1 to learn from and 2 to validate on"
    )


def test_state__of_another_width_is_refused(taught: AST) -> None:
    with pytest.raises(ArtifactError) as caught:
        AST.from_state(AST.Params(**{**TINY, "width": 8}), taught.state())
    assert str(caught.value) == (
        "ast: the stored state does not fit student_: 'enter.weight' should be (8, 56, 3, 3), got "
        "(16, 56, 3, 3); it is damaged, or of other options"
    )

"""MixedTeacher: published sizes and settings, its mathematics by hand and apart, and the detector itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from small_leather import Interrupted, context, learned, leather, seen
from torch import Tensor, nn

from leatherens.core.artifact import read_state, write_state
from leatherens.core.detector import Effort, FeatureSpec, FitContext, cut
from leatherens.core.errors import ConfigError
from leatherens.core.pyramid_models import normalise, untrained_pyramid
from leatherens.core.randomness import seeded_construction
from leatherens.core.types import ImageBatch
from leatherens.plugins.mixed_teacher import MixedTeacher
from leatherens.plugins.mixed_teacher.maps import half_squares, mixed, pair_loss, pair_map
from leatherens.plugins.mixed_teacher.students import ReducedStudent, Settling

MODEL = "test_resnet"
"""timm's tiny ResNet; levels 1 to 4 have strides 4, 8, 16, 32."""

TINY: dict[str, Any] = {
    "texture_backbone": MODEL,
    "semantic_backbone": MODEL,
    "texture_layers": (1, 2),
    "semantic_layers": (3, 4),
    "weights": "random",
    "batch_size": 4,
    "steps": 40,
}


def fitted(images: ImageBatch, found: FitContext | None = None, **options: Any) -> MixedTeacher:
    return learned(MixedTeacher(MixedTeacher.Params(**{**TINY, **options})), images, found)


@pytest.fixture(scope="module")
def taught() -> MixedTeacher:
    """A small one after 40 steps on eight hides."""
    return fitted(leather(8))


# the students


def reduced(*channels: int, signed: bool = False) -> ReducedStudent:
    with seeded_construction(1, "student"):
        return ReducedStudent(channels, signed=signed)


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_reduced_student_has_the_published_size() -> None:
    student = reduced(64, 128)
    assert [parameters(part) for part in (student.stem, *student.blocks)] == [9_536, 78_208, 230_144]
    assert parameters(student) == 317_888


def test_shapes_at_256_are_the_published_ones() -> None:
    images = torch.empty(1, 3, 256, 256, device="meta")
    with torch.device("meta"):
        texture = ReducedStudent((64, 128), signed=False)(images)
        semantic = untrained_pyramid("efficientnet_b0", (3, 4))(images)
    shapes = [tuple(m.shape[1:]) for m in (*texture, *semantic)]
    assert shapes == [(64, 32, 32), (128, 16, 16), (112, 16, 16), (320, 8, 8)]


def test_reduced_student__is_what_its_layers_say() -> None:
    student = reduced(8, 12).eval()
    for norm in (m for m in student.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.uniform_(norm.bias, -1, 1)
    state = {name: t.double() for name, t in student.state_dict().items()}

    def convolved(maps: Tensor, at: str, norm: str, stride: int, padding: int) -> Tensor:
        maps = F.conv2d(maps, state[f"{at}.weight"], stride=stride, padding=padding)
        scale, shift = (state[f"{norm}.{n}"].view(1, -1, 1, 1) for n in ("weight", "bias"))
        return maps / (1 + 1e-5) ** 0.5 * scale + shift

    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    maps = F.max_pool2d(convolved(images.double(), "stem.0", "stem.1", 2, 3).relu(), 3, 2, 1)
    expected = []
    for at in ("blocks.0", "blocks.1"):
        inner = convolved(maps, f"{at}.body.0", f"{at}.body.1", 2, 1).relu()
        along = convolved(maps, f"{at}.shortcut.0", f"{at}.shortcut.1", 2, 0)
        maps = (convolved(inner, f"{at}.body.3", f"{at}.body.4", 1, 1) + along).relu()
        expected.append(maps.float())
    found = student(images)
    assert [tuple(m.shape) for m in found] == [(2, 8, 8, 12), (2, 12, 4, 6)]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_reduced_student__starts_kaiming_normal_over_what_leaves() -> None:
    for weight in (m.weight.detach() for m in reduced(64, 128).modules() if isinstance(m, nn.Conv2d)):
        leaving = weight.shape[0] * weight.shape[2] * weight.shape[3]
        assert float(weight.std()) == pytest.approx((2 / leaving) ** 0.5, rel=0.05)


def test_reduced_student__may_be_negative_where_its_teacher_is() -> None:
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert all(float(m.detach().min()) == 0 for m in reduced(8, 12)(images))
    assert all(float(m.detach().min()) < 0 for m in reduced(8, 12, signed=True)(images))


@pytest.mark.parametrize("model", ["resnet18", "efficientnet_b0"])
def test_texture_student__is_never_negative_only_for_a_resnet(model: str) -> None:
    detector = MixedTeacher(MixedTeacher.Params(**{**TINY, "texture_backbone": model}))
    detector.channels_ = {"texture": [8, 12]}
    detector._build()
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    lowest = [float(m.detach().min()) for m in detector.students_["texture"](images)]
    assert all(low == 0 if model == "resnet18" else low < 0 for low in lowest)


def test_semantic_student__starts_as_its_teacher_and_moves() -> None:
    found, images = context(), leather(4)
    detector = fitted(images, found, steps=1)
    _, request = detector.backbones()
    start = untrained_pyramid(MODEL, request.layers).eval()
    found.pool.copy_into(start, request)
    pixels = normalise(images.pixels, detector.means_["semantic"], detector.stds_["semantic"])
    teacher = found.pool.pyramids(images, [request])[request].maps
    for one, other in zip(start(pixels), teacher, strict=True):  # of a batch, and image by image
        torch.testing.assert_close(one, other)
    assert float(seen(detector, images).features["mixed-teacher/semantic-distance1"].max()) > 0


# batch normalisation that settles


def test_settling__goes_by_the_batch_and_then_by_what_it_gathered() -> None:
    student = Settling(nn.Sequential(nn.BatchNorm2d(2)))
    student.network.forward = lambda x: [nn.Sequential.forward(student.network, x)]  # type: ignore[method-assign]
    student.after = 2
    images = 3 + 2 * torch.randn(4, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    norm = student.network[0]
    means = []
    for _ in range(4):
        student.train()
        means.append(float(student(images)[0].detach().mean()))
        student.eval()
        student(images)
    assert means[:2] == pytest.approx([0, 0], abs=1e-5)
    assert int(student.steps) == 4, "only steps of learning count"
    gathered = float(norm.running_mean.mean()), float(norm.running_var.mean())
    assert gathered[0] == pytest.approx(float(images.mean()) * (1 - 0.9**2), rel=1e-4)
    assert means[2] == means[3] == pytest.approx(float(student.eval()(images)[0].detach().mean()), rel=1e-5)


@pytest.mark.parametrize(("epochs", "moving"), [(1, False), (None, True)])
def test_fit__leaves_statistics_alone_after_so_many_epochs(epochs: int | None, moving: bool) -> None:
    detector, batch = fitted(leather(8), settled_after=epochs, steps=1), leather(4, seed=5)
    losses = [detector._task(p, detector.params.schedule(8), context()).loss for p in ("texture", "semantic")]
    moved = []
    for _ in range(2):  # the second and last step of the first epoch, and the one after it
        before = statistics(detector)
        detector.students_.train()
        for loss in losses:
            loss(batch, torch.Generator())
        after = statistics(detector)
        moved.append([not torch.equal(before[name], after[name]) for name in before])
    assert all(moved[0])
    assert all(m == moving for m in moved[1])


def statistics(detector: MixedTeacher) -> dict[str, Tensor]:
    state = detector.students_.state_dict()
    return {name: t.clone() for name, t in state.items() if name.endswith(("running_mean", "running_var"))}


# the mathematics


def unit(angle: float) -> Tensor:
    return torch.tensor([np.cos(angle), np.sin(angle)], dtype=torch.float32).view(1, 2, 1, 1)


@pytest.mark.parametrize(("angle", "expected"), [(0, 0.0), (np.pi / 2, 1.0), (np.pi, 2.0)])
def test_level__of_equal_orthogonal_and_opposite_vectors(angle: float, expected: float) -> None:
    """At one position of 32 x 32: 0, 1 / 1024, 2 / 1024."""
    differences = torch.zeros(1, 2, 32, 32)
    differences[:, :, 5, 7] = (unit(0) - unit(angle))[:, :, 0, 0]
    (half,) = half_squares([differences])
    assert float(half[0, 5, 7]) == pytest.approx(expected, abs=1e-6)
    whole = pair_map([half], (32, 32))
    assert float(whole[0, 5, 7]) == pytest.approx(expected * 9.765625e-4, abs=1e-9)
    assert float(whole.sum()) == pytest.approx(float(whole[0, 5, 7]))


def test_pair_map__weighs_a_level_by_its_positions() -> None:
    ones = [torch.ones(1, 8, 12), torch.ones(1, 4, 6)]
    torch.testing.assert_close(pair_map(ones, (16, 24)), torch.full((1, 16, 24), 1 / 96 + 1 / 24))


def test_pair_loss__averages_positions_then_levels() -> None:
    halves = [torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[6.0]]])]
    assert pair_loss(halves).tolist() == [4]


def test_pair_loss__does_not_count_what_is_hidden() -> None:
    valid = torch.tensor([[[True, True, False, False]]])
    halves = [torch.tensor([[[1.0, 3.0, 50.0, 60.0]]]), torch.tensor([[[6.0, 70.0]]])]
    assert pair_loss(halves, valid).tolist() == [4]


def test_mixed__by_columns_divides_each_column_of_the_image_by_its_length() -> None:
    semantic = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    normed = mixed(torch.ones(1, 2, 2), semantic, None, "columns") / 3  # the values spread over 3
    expected = torch.tensor([[[0.3162, 0.4472], [0.9487, 0.8944]]])
    torch.testing.assert_close(normed, expected, atol=5e-5, rtol=0)


def test_mixed__by_image_divides_by_the_largest_value() -> None:
    semantic, texture = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[[1.0, 1.0], [1.0, 10.0]]])
    expected = 3 * torch.tensor([[[0.25, 0.5], [0.75, 10]]])
    torch.testing.assert_close(mixed(texture, semantic, None, "image"), expected)


@pytest.mark.parametrize("by", ["columns", "image"])
@pytest.mark.parametrize("level", [0.0, 0.3])
def test_mixed__of_a_semantic_map_that_says_nothing_is_zero(by: Any, level: float) -> None:
    assert not mixed(torch.rand(1, 4, 5), torch.full((1, 4, 5), level), None, by).any()


@pytest.mark.parametrize("by", ["columns", "image"])
def test_mixed__counts_valid_pixels_only(by: Any) -> None:
    """What stands beside them changes neither spread nor length nor maximum."""
    generator = torch.Generator().manual_seed(0)
    texture, semantic = (torch.rand(2, 6, 8, generator=generator) for _ in range(2))
    valid = torch.zeros(2, 6, 8, dtype=torch.bool)
    valid[:, 1:4, 2:7] = True
    found = mixed(texture, torch.where(valid, semantic, 50.0), valid, by)
    inside = mixed(texture[:, 1:4, 2:7], semantic[:, 1:4, 2:7], None, by)
    torch.testing.assert_close(found[:, 1:4, 2:7], inside)


def test_mixed__keeps_tiny_values_apart() -> None:
    texture = torch.tensor([[[1e-9, 2e-9]]])
    assert mixed(texture, torch.tensor([[[1e-8, 3e-8]]]), None, "columns")[0, 0].tolist() == pytest.approx(
        [2e-17, 4e-17]
    )


# learning


def differences(detector: MixedTeacher, batch: ImageBatch) -> list[list[npt.NDArray[np.float64]]]:
    """Of each pair and level, by numpy from the networks' own outputs: (B, C, h, w)."""
    texture, semantic = detector.backbones()
    pyramids = context().pool.pyramids(batch, [texture, semantic])
    pooled = [m.double().unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5)) for m in pyramids[texture].maps]
    found = []
    for pair, teacher in (("texture", pooled), ("semantic", pyramids[semantic].maps)):
        middle, spread = (torch.tensor(v[pair]).view(1, 3, 1, 1) for v in (detector.means_, detector.stds_))
        student = detector.students_[pair].network((batch.pixels - middle) / spread)
        pairs = zip(teacher, student, strict=True)
        found.append([unit_length(t) - unit_length(s.detach()) for t, s in pairs])
    return found


def unit_length(maps: Tensor) -> npt.NDArray[np.float64]:
    values = maps.double().numpy()
    return np.asarray(values / np.maximum(np.sqrt((values**2).sum(axis=1, keepdims=True)), 1e-12))


def test_fit__judges_held_out_images_by_the_published_loss() -> None:
    detector = fitted(leather(4), steps=6)
    for pair, levels in zip(("texture", "semantic"), differences(detector, leather(2, seed=9)), strict=True):
        expected = np.mean([0.5 * (d**2).sum(axis=1).mean(axis=(1, 2)) for d in levels])
        validations = dict(detector.log_[pair]["validations"])
        assert min(validations.values()) == pytest.approx(expected, rel=1e-4)
        best = min(validations, key=lambda step: validations[step])
        assert detector.log_[pair]["best_step"] == best, "each pair keeps an epoch of its own"


def test_loss__sums_images_and_moves_the_student_of_its_pair() -> None:
    detector = fitted(leather(4), steps=1)
    detector.students_.eval()
    batch, found = leather(3, seed=5), context()
    for pair, levels in zip(("texture", "semantic"), differences(detector, batch), strict=True):
        task = detector._task(pair, detector.params.schedule(4), found)
        loss = task.loss(batch, torch.Generator())
        expected = np.mean([0.5 * (d**2).sum(axis=(0, 1)).mean() for d in levels])
        assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
        owned = [id(p) for o in task.optimizers for g in o.param_groups for p in g["params"]]
        assert owned == [id(p) for p in detector.students_[pair].parameters()]


def test_cycle__starts_at_a_25th_and_peaks_after_30_percent() -> None:
    detector = fitted(leather(2), steps=1)
    schedule = MixedTeacher.Params().schedule(16)
    detector.params = MixedTeacher.Params()
    assert schedule.steps == 200
    for pair in ("texture", "semantic"):
        task = detector._task(pair, schedule, context())
        (adam,), (cycle,) = task.optimizers, task.schedulers
        assert type(adam) is torch.optim.Adam
        rates = []
        for _ in range(schedule.steps):
            rates.append(adam.param_groups[0]["lr"])
            adam.step()
            cycle.step()
        assert rates[0] == pytest.approx(1.6e-4)
        assert max(rates) == pytest.approx(4e-3)
        assert abs(int(np.argmax(rates)) - 60) <= 1
        assert rates[-1] < 1e-5


def test_fit__lowers_the_loss(taught: MixedTeacher) -> None:
    for pair in ("texture", "semantic"):
        losses = taught.log_[pair]["losses"]
        assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:3])


def test_fit__leaves_the_students_in_evaluation(taught: MixedTeacher) -> None:
    assert not any(module.training for module in taught.students_.modules())


def test_fit__keeps_the_teachers() -> None:
    found, images = context(), leather(4)
    texture, _ = MixedTeacher(MixedTeacher.Params(**TINY)).backbones()
    before = [m.clone() for m in found.pool.pyramids(images, [texture])[texture].maps]
    fitted(images, found, steps=3)
    after = found.pool.pyramids(images, [texture])[texture].maps
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("after", [3, 11], ids=["texture", "semantic"])
def test_fit__interrupted_goes_on_to_the_same_state(tmp_path: Path, after: int) -> None:
    """The interruption comes in the third step of either pair, before batch normalisation settles."""
    file = tmp_path / "checkpoint.safetensors"
    options = {"settled_after": 4, "steps": 8, "batch_size": 4}
    whole = fitted(leather(4), **options)
    with pytest.raises(KeyboardInterrupt):
        fitted(leather(4), context(progress=Interrupted(after), checkpoint=file), **options)
    resumed = fitted(leather(4), context(checkpoint=file), **options)
    assert resumed.log_ == whole.log_
    for name, tensor in whole.students_.state_dict().items():
        assert torch.equal(resumed.students_.state_dict()[name], tensor), name


# scoring


@pytest.mark.parametrize("score", ["code", "meant"])
def test_whole_path_equals_a_computation_of_its_own(taught: MixedTeacher, score: str) -> None:
    """Vectors by numpy, smoothing by scipy: nothing of ours but the networks."""
    batch = leather(2, seed=5)
    detector = MixedTeacher.from_state(taught.params.model_copy(update={"score": score}), taught.state())
    found = seen(detector, batch)

    texture, semantic = [], []
    for into, pair in zip((texture, semantic), differences(detector, batch), strict=True):
        for d in pair:
            level = 0.5 * (d**2).sum(axis=1) / (d.shape[2] * d.shape[3])
            enlarged = F.interpolate(torch.from_numpy(level)[:, None], batch.size, mode="bilinear")
            into.append(enlarged[:, 0].numpy())
    for i in range(2):
        texture_map, semantic_map = (sum(level[i] for level in levels) for levels in (texture, semantic))
        factor = semantic_map.max() - semantic_map.min()
        if score == "code":
            normed = semantic_map / np.linalg.norm(semantic_map, axis=0, keepdims=True)
            expected = gaussian_filter1d(texture_map * factor * normed, 4, axis=1)
        else:
            expected = gaussian_filter(texture_map * factor * semantic_map / semantic_map.max(), 4)
        expected *= (8 * 12) * (4 * 6)  # positions of the finest levels: ours are in that unit
        np.testing.assert_allclose(found.scores.pixels[i], expected, rtol=2e-3)
        assert float(found.scores.image[i]) == pytest.approx(expected.max(), rel=2e-3)


def test_score__is_zero_where_the_semantic_student_is_still_its_teacher(taught: MixedTeacher) -> None:
    found = context()
    again = MixedTeacher.from_state(taught.params, taught.state())
    found.pool.copy_into(again.students_["semantic"].network, again.backbones()[1])
    assert float(seen(again, leather(2)).scores.pixels.abs().max()) < 1e-12
    assert float(seen(taught, leather(2)).scores.pixels.max()) > 0


def test_score__is_higher_for_a_defect_than_for_the_same_hide_without_it(taught: MixedTeacher) -> None:
    good = leather(4, seed=5)
    pixels = good.pixels.clone()
    pixels[:, :, 20:36, 40:60] = torch.tensor([0.05, 0.9, 0.95]).view(1, 3, 1, 1)
    found = seen(taught, ImageBatch(pixels, good.ids)).scores
    assert bool((found.image > seen(taught, good).scores.image).all())


def test_score__counts_valid_pixels_only(taught: MixedTeacher) -> None:
    batch = leather(2, seed=5)
    valid = torch.zeros(2, 64, 96, dtype=torch.bool)
    valid[:, 16:48, 32:80] = True
    scores = seen(taught, ImageBatch(batch.pixels, batch.ids, valid)).scores
    assert torch.equal(scores.image, scores.pixels.masked_fill(~valid, 0).amax(dim=(1, 2)))
    lowest = scores.pixels.amin(dim=(1, 2), keepdim=True).expand_as(valid)
    assert torch.equal(scores.pixels[~valid], lowest[~valid])


@pytest.mark.parametrize("size", [(64, 64), (96, 160)], ids=str)
def test_other_sizes_than_the_learned_one_are_scored(taught: MixedTeacher, size: tuple[int, int]) -> None:
    assert seen(taught, leather(1, size=size)).scores.pixels.shape == (1, *size)


def test_features__are_delivered_as_declared(taught: MixedTeacher) -> None:
    wide = (
        context().pool.spec(taught.backbones()[0]).channels,
        context().pool.spec(taught.backbones()[1]).channels,
    )
    declared = [
        ("texture-difference1", wide[0][0], 8),
        ("texture-difference2", wide[0][1], 16),
        ("semantic-difference1", wide[1][0], 16),
        ("semantic-difference2", wide[1][1], 32),
        ("texture-distance1", 1, 8),
        ("texture-distance2", 1, 16),
        ("semantic-distance1", 1, 16),
        ("semantic-distance2", 1, 32),
    ]
    assert taught.features() == tuple(FeatureSpec(f"mixed-teacher/{n}", c, s) for n, c, s in declared)
    found = seen(taught, leather(2)).features
    assert found.names == tuple(spec.name for spec in taught.features())
    for spec, maps in zip(taught.features(), found.maps, strict=True):
        assert maps.shape == (2, spec.channels, 64 // spec.stride, 96 // spec.stride)
    assert cut(found, taught.default_cut).names == found.names[:4]


def test_state__gives_the_same_scores_after_a_round_trip(taught: MixedTeacher, tmp_path: Path) -> None:
    write_state(tmp_path / "state", taught.state())
    again = MixedTeacher.from_state(taught.params, read_state(tmp_path / "state"))
    batch = leather(2, seed=4)
    assert torch.equal(seen(again, batch).scores.pixels, seen(taught, batch).scores.pixels)


# settings


def test_params_for__full_effort_are_the_published_settings() -> None:
    assert MixedTeacher.params_for(Effort.full) == MixedTeacher.Params(
        texture_backbone="resnet18",
        texture_layers=(1, 2),
        semantic_backbone="efficientnet_b0",
        semantic_layers=(3, 4),
        weights="pretrained",
        epochs=100,
        steps=None,
        batch_size=8,
        peak_rate=4e-3,
        settled_after=1,
        patience=None,
        score="code",
        smoothing=4.0,
        crop=None,
    )


def test_params_for__quick_effort_needs_one_backbone_and_declares_what_it_leaves_out() -> None:
    quick, full = MixedTeacher.params_for(Effort.quick), MixedTeacher.params_for(Effort.full)
    changed = {name for name, value in quick if value != getattr(full, name)}
    assert changed == {"texture_backbone", "semantic_backbone", "steps", "crop"}
    assert len({request.model for request in MixedTeacher(quick).backbones()}) == 1


@pytest.mark.parametrize("layers", [(2,), (1, 3), (2, 3)])
def test_texture_levels_of_other_strides_are_refused(layers: tuple[int, ...]) -> None:
    found = tuple(2 ** (i + 1) for i in layers)
    with pytest.raises(ConfigError) as caught:
        fitted(leather(2), texture_layers=layers)
    assert str(caught.value) == (
        f"mixed-teacher: expected texture levels of strides {(4, 8)[: len(layers)]}, test_resnet gives "
        f"{found} at levels {layers}; take neighbouring ones, the first of stride 4"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"score": "other"}, "mixed-teacher: option 'score': input should be 'code' or 'meant', got 'other'"),
        ({"peak_rate": 0}, "mixed-teacher: option 'peak_rate': input should be greater than 0, got 0"),
        ({"crop": 80}, "mixed-teacher: option 'crop': input should be a multiple of 32, got 80"),
    ],
)
def test_options_are_refused_in_words(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MixedTeacher.from_options(options)
    assert str(caught.value) == sentence

"""What flows through the pipeline: what a batch refuses, how invalid pixels are hidden, walks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from leatherens.core.errors import InputError
from leatherens.core.types import (
    CalibratedScores,
    FeatureMaps,
    ImageBatch,
    ImagesInMemory,
    ImageSource,
    ScoreMap,
    batches,
)


def pixels(count: int = 2, height: int = 4, width: int = 6) -> Tensor:
    return torch.rand((count, 3, height, width), generator=torch.Generator().manual_seed(0))


def with_value(value: float, *, image: int) -> Tensor:
    changed = pixels()
    changed[image, 1, 2, 3] = value
    return changed


everywhere = torch.ones(2, 4, 6, dtype=torch.bool)

REFUSED = {
    "rank": (pixels()[0], ("a",), None, "expected images of shape (B, 3, H, W), got (3, 4, 6)"),
    "channels": (
        pixels()[:, :1],
        ("a", "b"),
        None,
        "expected images of shape (B, 3, H, W), got (2, 1, 4, 6)",
    ),
    "dtype": (pixels().double(), ("a", "b"), None, "expected float32 images in 0..1, got torch.float64"),
    "8 bit": (
        torch.zeros(2, 3, 4, 6, dtype=torch.uint8),
        ("a", "b"),
        None,
        "expected float32 images in 0..1, got torch.uint8",
    ),
    "ids": (pixels(), ("a", "b", "c"), None, "a batch of 2 images needs as many ids, got 3"),
    "NaN": (with_value(float("nan"), image=1), ("a", "b"), None, "b: the image holds NaN or infinite values"),
    "infinite": (
        with_value(float("inf"), image=0),
        ("a", "b"),
        None,
        "a: the image holds NaN or infinite values",
    ),
    "0..255": (
        torch.tensor([0.0, 255.0]).view(2, 1, 1, 1).expand(2, 3, 4, 6),
        ("a", "b"),
        None,
        "b: expected values in 0..1, got 255..255; divide 8-bit images by 255",
    ),
    "a little too bright": (
        torch.cat([pixels(1), torch.tensor([0.0, 1.0001]).expand(1, 3, 4, 2).repeat(1, 1, 1, 3)]),
        ("a", "b"),
        None,
        "b: expected values in 0..1, got 0..1.0001; divide 8-bit images by 255",
    ),
    "negative": (
        torch.tensor([-0.25, 1.0]).expand(1, 3, 4, 2),
        ("a",),
        None,
        "a: expected values in 0..1, got -0.25..1; divide 8-bit images by 255",
    ),
    "valid shape": (
        pixels(),
        ("a", "b"),
        everywhere[:, None],
        "expected a bool valid mask of shape (2, 4, 6), got torch.bool (2, 1, 4, 6)",
    ),
    "valid dtype": (
        pixels(),
        ("a", "b"),
        everywhere.float(),
        "expected a bool valid mask of shape (2, 4, 6), got torch.float32 (2, 4, 6)",
    ),
    "nothing valid": (
        pixels(),
        ("a", "b"),
        everywhere & torch.tensor([True, False]).view(2, 1, 1),
        "b: the valid mask leaves nothing to inspect",
    ),
}


@pytest.mark.parametrize(("images", "ids", "valid", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_image_batch__refuses_in_words(
    images: Tensor, ids: tuple[str, ...], valid: Tensor | None, sentence: str
) -> None:
    with pytest.raises(InputError) as caught:
        ImageBatch(images, ids, valid)
    assert str(caught.value) == sentence
    assert isinstance(caught.value, ValueError)


def test_image_batch__knows_its_length_and_size() -> None:
    batch = ImageBatch(pixels(), ("a", "b"))
    assert len(batch) == 2
    assert batch.size == (4, 6)


def test_image_batch__may_be_empty() -> None:
    batch = ImageBatch(pixels()[:0], (), everywhere[:0])
    assert (len(batch), batch.size) == (0, (4, 6))


def test_image_batch__shows_the_mean_colour_of_its_own_valid_pixels_where_it_is_not_valid() -> None:
    images = pixels()
    valid = everywhere.clone()
    valid[0, :, :2] = False
    valid[1, 1:] = False
    batch = ImageBatch(images, ("a", "b"), valid)

    for image, shown, inside in zip(images, batch.pixels, valid, strict=True):
        mean = image[:, inside].mean(dim=1)
        torch.testing.assert_close(shown[:, ~inside], mean[:, None].expand(3, int((~inside).sum())))
        assert torch.equal(shown[:, inside], image[:, inside])


def test_image_batch__shows_what_is_not_hidden_though_it_does_not_count() -> None:
    valid, hidden = everywhere.clone(), ~everywhere
    valid[:, :, :2], hidden[:, 0] = False, True
    valid &= ~hidden
    images = pixels()
    batch = ImageBatch(images, ("a", "b"), valid, hidden)
    assert torch.equal(batch.pixels[:, :, 1:], images[:, :, 1:])
    for shown, image in zip(batch.pixels, images, strict=True):
        expected = image[:, 1:].mean(dim=(1, 2))[:, None].expand(3, 6)
        torch.testing.assert_close(shown[:, 0], expected)
    moved = batch.to("cpu").rows([1])
    assert moved.hidden is not None
    assert torch.equal(moved.hidden, hidden[1:])


@pytest.mark.parametrize(
    ("valid", "hidden", "sentence"),
    [
        (None, ~everywhere, "pixels are hidden, but all are valid; give the valid mask as well"),
        (everywhere, everywhere, "a: pixels are hidden and valid at once"),
        (everywhere, everywhere[:1], r"expected a bool mask of hidden pixels of shape \(2, 4, 6\), got"),
    ],
)
def test_image_batch__refuses_hidden_pixels_that_count(
    valid: Tensor | None, hidden: Tensor, sentence: str
) -> None:
    with pytest.raises(InputError, match=f"^{sentence}"):
        ImageBatch(pixels(), ("a", "b"), valid, hidden)


def test_score_map__knows_which_pixels_count() -> None:
    scores = torch.arange(8.0).view(1, 2, 4)
    valid = torch.zeros(1, 2, 4, dtype=torch.bool)
    valid[0, 1, 1:3] = True
    assert ScoreMap(scores, torch.zeros(1), valid).to("cpu").counted.tolist() == [5, 6]
    assert len(ScoreMap(scores, torch.zeros(1)).counted) == 8


def test_image_batch__does_not_care_what_stood_where_it_is_not_valid() -> None:
    valid = everywhere.clone()
    valid[1, 2, 3] = False
    for value in (float("nan"), -1e30, 255.0):
        hidden = ImageBatch(with_value(value, image=1), ("a", "b"), valid)
        assert torch.equal(hidden.pixels, ImageBatch(pixels(), ("a", "b"), valid).pixels)


def test_image_batch__leaves_the_tensor_it_was_given_alone() -> None:
    images = pixels()
    ImageBatch(images, ("a", "b"), everywhere & (torch.arange(6) > 2))
    assert torch.equal(images, pixels())


def test_image_batch__moves_whole() -> None:
    batch = ImageBatch(pixels(), ("a", "b"), everywhere)
    moved = batch.to("cpu")
    assert torch.equal(moved.pixels, batch.pixels)
    assert moved.valid is not None
    assert torch.equal(moved.valid, everywhere)


def test_score_map__moves_whole() -> None:
    scores = ScoreMap(torch.rand(2, 4, 6), torch.rand(2))
    moved = scores.to("cpu")
    assert torch.equal(moved.pixels, scores.pixels)
    assert torch.equal(moved.image, scores.image)


# feature maps


def test_feature_maps__are_found_and_chosen_by_name() -> None:
    maps = FeatureMaps(tuple(torch.full((1, 1, 1, 1), float(i)) for i in range(3)), ("m/a", "m/b", "m/c"))
    assert float(maps["m/b"]) == 1.0
    assert maps.select(["m/c", "m/a"]).names == ("m/a", "m/c")
    assert [float(m) for m in maps.select(["m/c", "m/a"]).maps] == [0.0, 2.0]


def test_feature_maps__refuse_in_words() -> None:
    with pytest.raises(InputError, match=r"^2 feature maps need as many names, got \('a',\)$"):
        FeatureMaps((torch.zeros(1), torch.zeros(1)), ("a",))
    maps = FeatureMaps((torch.zeros(1),), ("stfpm/teacher1",))
    with pytest.raises(InputError) as caught:
        maps["stfpm/techer1"]
    assert str(caught.value) == (
        "no feature map 'stfpm/techer1'; did you mean 'stfpm/teacher1'? (there are: stfpm/teacher1)"
    )


# sources


def source(count: int = 5) -> ImagesInMemory:
    valid = torch.ones(count, 4, 6, dtype=torch.bool)
    valid[:, 0, 0] = False
    return ImagesInMemory(ImageBatch(pixels(count), tuple("abcde"[:count]), valid))


def test_images_in_memory__are_a_source_that_picks_and_orders() -> None:
    images = source()
    assert isinstance(images, ImageSource)
    assert (images.ids, images.size) == (tuple("abcde"), (4, 6))

    picked = images.batch([3, 0])
    assert picked.ids == ("d", "a")
    assert torch.equal(picked.pixels, images.images.pixels[[3, 0]])
    assert picked.valid is not None
    assert not picked.valid[:, 0, 0].any()


def test_images_in_memory__without_a_mask_have_none() -> None:
    assert ImagesInMemory(ImageBatch(pixels(), ("a", "b"))).batch([1]).valid is None


def test_batches__walk_in_order_and_end_with_what_is_left() -> None:
    assert [batch.ids for batch in batches(source(), 2)] == [("a", "b"), ("c", "d"), ("e",)]
    assert [batch.ids for batch in batches(source(), 2, [4, 1, 0])] == [("e", "b"), ("a",)]
    assert list(batches(source(), 2, [])) == []


def test_calibrated_scores__are_not_score_maps() -> None:
    assert not isinstance(CalibratedScores(torch.zeros(2), 9), ScoreMap)

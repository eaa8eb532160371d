"""Features seen before are those a pass would give, to the bit, and save the pass: in memory and on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from counted_passes import Counted
from safetensors.torch import save_file
from torch import Tensor

from leatherens.core.backbones import BackbonePool, BackboneRequest
from leatherens.core.feature_cache import FeatureCache, content_digest
from leatherens.core.feature_store import FeatureStore
from leatherens.core.pyramid_models import untrained_pyramid
from leatherens.core.randomness import seeded_construction
from leatherens.core.types import ImageBatch
from leatherens.core.weights import WeightFinder

MODEL = "test_resnet"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Weights of all levels: what is pretrained does not depend on which of them are asked for."""
    path = tmp_path / f"{MODEL}.safetensors"
    with seeded_construction(1, "test"):
        save_file(untrained_pyramid(MODEL, (0, 1, 2, 3)).state_dict(), path)
    return path


def images(count: int = 2, *, seed: int = 0) -> ImageBatch:
    pixels = torch.rand((count, 3, 64, 96), generator=torch.Generator().manual_seed(seed))
    return ImageBatch(pixels, tuple(f"image{i}" for i in range(count)))


def pool_with(file: Path, cache: FeatureCache | None = None) -> BackbonePool:
    return BackbonePool(WeightFinder(paths=[file]), cache=cache)


def levels(pool: BackbonePool, batch: ImageBatch, request: BackboneRequest) -> tuple[Tensor, ...]:
    return pool.pyramids(batch, [request], keep=True)[request].maps


def test_cache__gives_the_features_a_pass_would_give_and_saves_the_pass(counted: Counted, file: Path) -> None:
    request = BackboneRequest(MODEL, (1, 3))
    plain, cached = pool_with(file), pool_with(file, FeatureCache())
    batch, shifted = images(3), ImageBatch(images(3).pixels[[2, 0]], ("c", "a"))
    expected = plain.pyramids(batch, [request])[request].maps
    counted.images.clear()

    first, again = levels(cached, batch, request), levels(cached, shifted, request)

    assert len(counted.images) == 3
    for wanted, one, two in zip(expected, first, again, strict=True):
        assert torch.equal(one, wanted)
        assert torch.equal(two, wanted[[2, 0]])


def test_cache__computes_only_the_images_it_has_not_seen_and_twins_once(counted: Counted, file: Path) -> None:
    request, batch = BackboneRequest(MODEL, (1,)), images(4)
    pool = pool_with(file, FeatureCache())

    levels(pool, ImageBatch(batch.pixels[:3], ("a", "b", "c")), request)
    assert len(counted.images) == 3
    maps = levels(pool, ImageBatch(batch.pixels[[3, 0, 3]], ("d", "a", "e")), request)[0]

    assert len(counted.images) == 4
    assert torch.equal(maps[0], maps[2])


def test_cache__is_used_only_when_keeping_is_asked(counted: Counted, file: Path) -> None:
    request = BackboneRequest(MODEL, (1,))
    pool = pool_with(file, FeatureCache())

    for _ in range(2):
        pool.pyramids(images(), [request])

    assert len(counted.images) == 4


def test_cache__keeps_models_apart() -> None:
    one, other = BackboneRequest(MODEL, (1,), "random"), BackboneRequest("test_byobnet", (1,), "random")
    pool = BackbonePool(WeightFinder(), cache=FeatureCache())

    maps = pool.pyramids(images(), [one, other], keep=True)

    assert not torch.equal(maps[one].maps[0], maps[other].maps[0])


def test_cache__drops_the_oldest_beyond_its_limit_and_counts_a_repeated_image_once() -> None:
    cache = FeatureCache(limit_mb=2)
    passes: list[int] = []

    def compute(pixels: Tensor) -> tuple[Tensor, ...]:
        passes.append(len(pixels))
        return (pixels.new_ones((len(pixels), 1, 512, 512)),)  # 1 MiB an image

    def ask(*shades: float) -> None:
        cache.levels(torch.stack([torch.full((3, 2, 2), shade) for shade in shades]), ["m"], compute)

    ask(0.1, 0.1)
    ask(0.2)
    ask(0.1, 0.2)
    assert passes == [1, 1]
    ask(0.3)
    ask(0.2)
    assert passes == [1, 1, 1]
    ask(0.1)
    assert passes == [1, 1, 1, 1]


def test_content__of_images_of_equal_bytes_and_other_shape_differs() -> None:
    grey = torch.full((3, 4, 6), 0.5)

    assert content_digest(grey) == content_digest(grey.clone())
    assert content_digest(grey) != content_digest(grey.transpose(1, 2))
    assert content_digest(grey) != content_digest(grey + 1e-7)


# on disk


def test_stored__features_are_bit_for_bit_those_of_another_process_s_pool(
    counted: Counted, file: Path, tmp_path: Path
) -> None:
    request = BackboneRequest(MODEL, (1, 3))
    expected = levels(pool_with(file), images(3), request)
    first = FeatureCache(store=FeatureStore(tmp_path / "store"))
    levels(pool_with(file, first), images(3), request)
    counted.images.clear()

    second = FeatureCache(store=FeatureStore(tmp_path / "store"))
    found = levels(pool_with(file, second), images(3), request)

    assert counted.images == []
    assert second.store is not None
    assert second.store.read_entries == 6
    assert all(torch.equal(one, two) for one, two in zip(expected, found, strict=True))


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_features__do_not_depend_on_what_shares_the_batch(batch_size: int) -> None:
    """Else what lies in the cache would decide about the last digits of a score."""
    request = BackboneRequest("tf_efficientnet_lite0", (1, 2, 3), "random")
    pool = BackbonePool(WeightFinder())
    batch = images(5)
    whole = pool.pyramids(batch, [request])[request].maps

    parts = [
        pool.pyramids(ImageBatch(pixels, tuple(map(str, range(len(pixels))))), [request])[request].maps
        for pixels in batch.pixels.split(batch_size)
    ]

    for i, level in enumerate(whole):
        assert torch.equal(torch.cat([part[i] for part in parts]), level)


def test_stored__levels_are_shared_between_runs_that_ask_for_others(
    counted: Counted, file: Path, tmp_path: Path
) -> None:
    """A member alone asks for levels 1 and 2; beside it, in another run, one asks for 1, 2 and 3."""
    store = tmp_path / "store"
    whole = BackboneRequest(MODEL, (1, 2, 3))
    before = levels(pool_with(file, FeatureCache(store=FeatureStore(store))), images(), whole)
    counted.images.clear()

    part = BackboneRequest(MODEL, (2, 3))
    after = levels(pool_with(file, FeatureCache(store=FeatureStore(store))), images(), part)

    assert counted.images == []
    assert all(torch.equal(one, two) for one, two in zip(before[1:], after, strict=True))


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet", "tf_efficientnet_lite0", "test_vit"])
def test_level__is_the_same_whichever_others_are_asked_for(model: str, tmp_path: Path) -> None:
    with seeded_construction(1, "test"):
        save_file(untrained_pyramid(model, (0, 1, 2)).state_dict(), tmp_path / f"{model}.safetensors")
    side = 160 if model == "test_vit" else 64
    pixels = torch.rand((1, 3, side, side), generator=torch.Generator().manual_seed(0))
    batch = ImageBatch(pixels, ("a",))
    one, other = BackboneRequest(model, (0, 1)), BackboneRequest(model, (1, 2))

    maps = [pool_with(tmp_path).pyramids(batch, [r])[r].maps for r in (one, other)]

    assert torch.equal(maps[0][1], maps[1][0])


def test_stored__features_of_other_weights_images_shrinks_or_threads_are_not_taken(
    counted: Counted, file: Path, tmp_path: Path
) -> None:
    request, batch = BackboneRequest(MODEL, (1,)), images(1)
    store = tmp_path / "store"

    def passes(pool: BackbonePool, seen: ImageBatch, asked: BackboneRequest) -> int:
        counted.images.clear()
        levels(pool, seen, asked)
        return len(counted.images)

    def fresh(weights: Path = file) -> BackbonePool:
        return pool_with(weights, FeatureCache(store=FeatureStore(store)))

    other = tmp_path / "other" / file.name
    other.parent.mkdir()
    with seeded_construction(2, "test"):
        save_file(untrained_pyramid(MODEL, (0, 1, 2, 3)).state_dict(), other)

    assert passes(fresh(), batch, request) == 1
    assert passes(fresh(), batch, request) == 0
    assert passes(fresh(other), batch, request) == 1
    assert passes(fresh(), images(1, seed=5), request) == 1
    assert passes(fresh(), batch, BackboneRequest(MODEL, (1,), shrink=2)) == 1
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)  # sums are shared out otherwise
        assert passes(fresh(), batch, request) == 1
    finally:
        torch.set_num_threads(threads)


def test_stored__damage_is_computed_anew_and_counted(counted: Counted, file: Path, tmp_path: Path) -> None:
    request = BackboneRequest(MODEL, (1,))
    expected = levels(pool_with(file, FeatureCache(store=FeatureStore(tmp_path / "s"))), images(), request)
    one, two = sorted((tmp_path / "s").rglob("*.features"))
    one.write_bytes(one.read_bytes()[:-1])
    content = bytearray(two.read_bytes())
    content[-3] ^= 1
    two.write_bytes(content)
    counted.images.clear()

    store = FeatureStore(tmp_path / "s")
    found = levels(pool_with(file, FeatureCache(store=store)), images(), request)

    assert (store.damaged, len(counted.images)) == (2, 2)
    assert torch.equal(found[0], expected[0])
    assert FeatureStore(tmp_path / "s").size().entries == 2  # whole again

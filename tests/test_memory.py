"""Memory that runs out: told from other faults, in words that name what should fit, wherever it happens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reference_members import PatchGaussian, TinyAutoencoder

from leatherens.core import backbones
from leatherens.core.backbones import BackbonePool, BackboneRequest, Pyramids
from leatherens.core.detector import FitContext
from leatherens.core.errors import InputError, LeatherensError, MemoryRanOut
from leatherens.core.memory import ran_out, saying_what_fits
from leatherens.core.types import ImageBatch, ImagesInMemory
from leatherens.core.weights import WeightFinder

CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
    "allocate 1125899906842624 bytes. Error code 12 (Cannot allocate memory)"
)
GPU = torch.OutOfMemoryError(
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB of which "
    "512.00 MiB is free."
)


def told(error: Exception, batch: int | None, size: tuple[int, int], multiple: int = 32) -> MemoryRanOut:
    with (
        pytest.raises(MemoryRanOut) as caught,
        saying_what_fits("draem", "scoring", batch=batch, size=size, multiple=multiple, smallest=32),
    ):
        raise error
    return caught.value


@pytest.mark.parametrize("ask", [lambda: torch.empty(1 << 48), lambda: np.empty(1 << 48)])
def test_ran_out__knows_what_torch_and_numpy_really_raise(ask) -> None:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        ask()
    assert ran_out(caught.value)


def test_ran_out__is_not_any_other_fault() -> None:
    assert not ran_out(RuntimeError("shapes cannot be multiplied"))
    with (
        pytest.raises(RuntimeError, match="multiplied"),
        saying_what_fits("draem", "scoring", batch=2, size=(64, 64)),
    ):
        raise RuntimeError("shapes cannot be multiplied")


def test_what_is_told_already_passes_unchanged() -> None:
    error = InputError("told")
    with pytest.raises(LeatherensError) as caught, saying_what_fits("a", "b", batch=1, size=(1, 1)):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("error", "batch", "size", "multiple", "advice", "fits"),
    [
        (
            CPU,
            8,
            (1024, 1024),
            32,
            "8 images of 1024 x 1024 at once; a batch of 4 or images of 704 x 704 should fit, or smaller "
            "options",
            (4, (704, 704)),
        ),
        (
            GPU,  # a quarter of what was asked for is free
            8,
            (512, 1024),
            32,
            "8 images of 512 x 1024 at once; a batch of 2 or images of 256 x 512 should fit, or smaller "
            "options",
            (2, (256, 512)),
        ),
        (
            MemoryError(),
            1,
            (64, 96),
            1,
            "one image of 64 x 96 at once; images of 45 x 67 should fit, or smaller options",
            (None, (45, 67)),
        ),
        (
            MemoryError(),
            None,
            (40, 40),
            1,
            "images of 40 x 40; use smaller options or a machine with more memory",
            (None, None),
        ),
    ],
    ids=["cpu", "gpu", "one image", "nothing smaller"],
)
def test_advice__names_what_should_fit(error, batch, size, multiple, advice, fits) -> None:
    found = told(error, batch, size, multiple)
    assert str(found) == f"draem: memory ran out while scoring {advice}"
    assert (found.batch, found.size) == fits


def images(count: int = 4, size: tuple[int, int] = (64, 96)) -> ImagesInMemory:
    pixels = torch.rand((count, 3, *size), generator=torch.Generator().manual_seed(0))
    return ImagesInMemory(ImageBatch(pixels, tuple(f"hide{i}" for i in range(count))))


class Hungry(TinyAutoencoder):
    """Asks for more than there is, in learning or in scoring."""

    when = "learning"

    class Params(TinyAutoencoder.Params):
        batch_size: int = 4

    def _loss(self, batch, generator):
        if self.when == "learning":
            torch.empty(1 << 48)
        return super()._loss(batch, generator)

    def _observe(self, batch: ImageBatch, pyramids: Pyramids):
        if self.when == "scoring":
            torch.empty(1 << 48)
        return super()._observe(batch, pyramids)


def test_fit__says_which_batch_or_size_should_fit() -> None:
    hungry = Hungry()
    with pytest.raises(MemoryRanOut) as caught:
        hungry.fit(images(), validation=images(1), context=FitContext(BackbonePool(WeightFinder())))
    assert str(caught.value) == (
        "tiny-autoencoder: memory ran out while learning from 4 images of 64 x 96 at once; a batch of 2 or "
        "images of 44 x 64 should fit, or smaller options"
    )
    assert not hungry.fitted


def test_observe__says_which_batch_or_size_should_fit() -> None:
    hungry = Hungry()
    hungry.when = "scoring"
    hungry.fit(images(), validation=images(1), context=FitContext(BackbonePool(WeightFinder())))
    with pytest.raises(MemoryRanOut, match="while scoring 3 images of 64 x 96 at once; a batch of 1 or"):
        hungry.observe(images(3).images, Pyramids({}))


def test_pyramids__say_so_too_and_not_that_the_size_is_wrong(monkeypatch) -> None:
    pool = BackbonePool(WeightFinder())
    request = BackboneRequest("test_resnet", (1,), "random")
    pool.prepare([request])
    monkeypatch.setattr(backbones, "image_by_image", lambda run, pixels: run(torch.empty(1 << 48)))
    with pytest.raises(MemoryRanOut, match=r"^test_resnet: memory ran out while passing 2 images"):
        pool.pyramids(images(2).images, [request])

    def within(run, pixels):
        monkeypatch.setattr(
            type(pool._loaded[request.source].spec), "normalise", lambda spec, p: torch.empty(1 << 48)
        )
        return run(pixels)

    monkeypatch.setattr(backbones, "image_by_image", within)
    with pytest.raises(MemoryRanOut, match=r"^test_resnet: memory ran out"):
        pool.pyramids(images(2).images, [request])


def test_a_member_without_batches_names_a_size() -> None:
    class Greedy(PatchGaussian):
        def _fit(self, images, validation, context):
            raise MemoryError

    with pytest.raises(MemoryRanOut, match="learning from images of 64 x 96; images of 45 x 67 should fit"):
        Greedy().fit(images(), validation=images(1), context=FitContext(BackbonePool(WeightFinder())))

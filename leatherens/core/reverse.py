"""Reverse distillation: a bottleneck folds a teacher's pyramid into one code, a decoder regenerates it.

Deng and Li, CVPR 2022, sections 3.2 and 3.3, with the layers of the authors' code. Everything follows from
the channels of the pyramid and the kind of its residual blocks, so that any pyramid whose levels halve can be
a teacher; of ResNet-18 and WideResNet-50-2 the sizes are the published ones. Shared by the detectors that
learn this way: RD4AD itself and RD++.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leatherens.core.geometry import Size, mean_in_view, resize_scores, valid_positions

Step = Literal["same", "down", "up"]
"""What a block does to height and width: leaves them, halves them, doubles them."""


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """How residual blocks are built.

    squeeze: output channels over inner channels; 0 for plain blocks of two 3 x 3 convolutions.
    depths: blocks in each stage of the decoder, the deepest first. code_depth: blocks that make the code.
    signed: whether levels may be negative. A ResNet's are not; an EfficientNet's are, and a decoder that ends
        in ReLU could not come near them.
    """

    squeeze: int
    depths: tuple[int, ...]
    code_depth: int
    signed: bool = False


PLANS = {
    "resnet18": BlockPlan(0, (2, 2, 2), 2),
    "resnet34": BlockPlan(0, (3, 4, 6), 2),
    "resnet50": BlockPlan(4, (3, 4, 6), 3),
    "wide_resnet50_2": BlockPlan(2, (3, 4, 6), 3),
}
"""The teachers of the paper and their mirror images."""


def rectified(model: str) -> bool:
    """Whether a model's levels end in a ReLU, so that none of their values is negative; ResNets' do.

    >>> rectified("wide_resnet50_2.tv_in1k"), rectified("resnext50_32x4d"), rectified("efficientnet_b0")
    (True, True, False)
    """
    return re.match(r"(wide_)?resnex?t\d", model) is not None


def plan_for(model: str, levels: int) -> BlockPlan:
    """The published plan of a teacher, or plain blocks, two a stage, for any other."""
    known = PLANS.get(model.partition(".")[0])
    if known and levels == len(known.depths):
        return known
    return BlockPlan(0, (2,) * levels, 2, signed=not rectified(model))


def spatial(channels: int, out: int, step: Step) -> nn.Module:
    """The convolution of a block that changes the size: 3 x 3, or 2 x 2 transposed to double it."""
    if step == "up":
        return nn.ConvTranspose2d(channels, out, 2, stride=2, bias=False)
    return nn.Conv2d(channels, out, 3, stride=2 if step == "down" else 1, padding=1, bias=False)


def shortcut(channels: int, out: int, step: Step) -> nn.Module:
    """What is added to a block's result: its input, brought to the same shape."""
    if step == "same" and channels == out:
        return nn.Identity()
    if step == "up":
        resized: nn.Module = nn.ConvTranspose2d(channels, out, 2, stride=2, bias=False)
    else:
        resized = nn.Conv2d(channels, out, 1, stride=2 if step == "down" else 1, bias=False)
    return nn.Sequential(resized, nn.BatchNorm2d(out))


class Block(nn.Module):
    """A residual block; (B, channels, h, w) to (B, out, h', w'), never negative unless `signed`."""

    def __init__(self, channels: int, out: int, step: Step, squeeze: int, *, signed: bool = False) -> None:
        super().__init__()
        self.signed = signed
        inner = out // squeeze if squeeze else out
        point = (
            []
            if squeeze == 0
            else [nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU()]
        )
        last = nn.Conv2d(inner, out, 1, bias=False) if squeeze else spatial(inner, out, "same")
        self.body = nn.Sequential(
            *point,
            spatial(inner if squeeze else channels, inner, step),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            last,
            nn.BatchNorm2d(out),
        )
        self.shortcut = shortcut(channels, out, step)

    def forward(self, maps: Tensor) -> Tensor:
        """Body plus shortcut, then ReLU unless signed."""
        total: Tensor = self.body(maps) + self.shortcut(maps)
        return total if self.signed else F.relu(total)


def stage(
    channels: int, out: int, step: Step, depth: int, squeeze: int, *, signed: bool = False
) -> nn.Sequential:
    """Blocks of which the first changes size and channels; `signed` is the last one's."""
    blocks = [
        Block(channels, out, step, squeeze),
        *(Block(out, out, "same", squeeze) for _ in range(depth - 1)),
    ]
    blocks[-1].signed = signed
    return nn.Sequential(*blocks)


class Bottleneck(nn.Module):
    """Fuses all levels on the deepest one's grid and folds them into a code of half its height and width."""

    def __init__(self, channels: Sequence[int], plan: BlockPlan) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            nn.Sequential(*(self._halving(a, b) for a, b in pairwise(channels[i:])))
            for i in range(len(channels) - 1)
        )
        fused = len(channels) * channels[-1]
        self.code = stage(fused, 2 * channels[-1], "down", plan.code_depth, plan.squeeze)

    @staticmethod
    def _halving(channels: int, out: int) -> nn.Sequential:
        return nn.Sequential(spatial(channels, out, "down"), nn.BatchNorm2d(out), nn.ReLU())

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """(B, C_i, h_i, w_i), fine to coarse, to (B, 2 C_last, h_last / 2, w_last / 2)."""
        brought = [halve(level) for halve, level in zip(self.down, levels, strict=False)]
        code: Tensor = self.code(torch.cat([*brought, levels[-1]], dim=1))
        return code


class Decoder(nn.Module):
    """The teacher turned round: from the code back to every level, the deepest first."""

    def __init__(self, channels: Sequence[int], plan: BlockPlan) -> None:
        super().__init__()
        wide = (2 * channels[-1], *reversed(channels))
        self.stages = nn.ModuleList(
            stage(a, b, "up", depth, plan.squeeze, signed=plan.signed)
            for (a, b), depth in zip(pairwise(wide), plan.depths, strict=True)
        )

    def forward(self, code: Tensor) -> list[Tensor]:
        """(B, 2 C_last, h, w) to the levels (B, C_i, h_i, w_i), fine to coarse."""
        levels: list[Tensor] = []
        for up in self.stages:
            code = up(code)
            levels.insert(0, code)
        return levels


class ReverseNetworks(nn.Module):
    """Bottleneck and decoder, which learn together."""

    def __init__(self, channels: Sequence[int], plan: BlockPlan) -> None:
        super().__init__()
        self.bottleneck = Bottleneck(channels, plan)
        self.decoder = Decoder(channels, plan)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # the transposed ones keep torch's own, as with the authors
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The code, and the levels regenerated from it."""
        code = self.bottleneck(levels)
        return code, self.decoder(code)


def in_view(levels: Sequence[Tensor], valid: Tensor | None) -> list[Tensor]:
    """Levels with zeros at positions mostly on invalid pixels (B, H, W), so that no sum counts them."""
    if valid is None:
        return list(levels)
    return [m * valid_positions(valid, (m.shape[-2], m.shape[-1]))[:, None] for m in levels]


def flattened_loss(
    teacher: Sequence[Tensor], student: Sequence[Tensor], valid: Tensor | None = None
) -> Tensor:
    """(B,): 1 - cosine of whole levels as one vector an image, summed over levels.

    The authors' code. The paper's equation 2 averages the cosine of each position, which weighs faint
    positions like strong ones.
    """
    pairs = zip(in_view(teacher, valid), in_view(student, valid), strict=True)
    return torch.stack([1 - F.cosine_similarity(t.flatten(1), s.flatten(1)) for t, s in pairs]).sum(dim=0)


def positionwise_loss(
    teacher: Sequence[Tensor], student: Sequence[Tensor], valid: Tensor | None = None
) -> Tensor:
    """(B,): 1 - cosine of each position, averaged over positions, summed over levels (equation 2)."""
    return torch.stack([mean_in_view(d, valid) for d in distances(teacher, student)]).sum(dim=0)


LOSSES = {"flattened": flattened_loss, "positions": positionwise_loss}


def distances(teacher: Sequence[Tensor], student: Sequence[Tensor]) -> list[Tensor]:
    """1 - cosine over channels per position (equation 1): (B, h, w) in 0..2, one per level."""
    return [1 - F.cosine_similarity(t, s) for t, s in zip(teacher, student, strict=True)]


def summed_map(levels: Sequence[Tensor], size: Size) -> Tensor:
    """(B, H, W): the levels brought to `size` with aligned corners, as in the authors' code, and added."""
    return torch.stack([resize_scores(level, size, align_corners=True) for level in levels]).sum(dim=0)

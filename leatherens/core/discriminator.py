"""The discriminator of SimpleNet (Liu et al., CVPR 2023): tells features from noisy features, row by row.

Its output is unbounded and positive for normal rows; the anomaly score is its negative.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

HINGE = 0.5
"""Truncation of the loss: rows beyond +0.5 (true) or -0.5 (fake) no longer pull."""


class Discriminator(nn.Module):
    """Linear, batch norm, leaky ReLU, Linear without bias; (M, C) to (M,).

    Build it under `randomness.seeded_construction`: torch draws from the global generator.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(channels, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.2))
        self.tail = nn.Linear(hidden, 1, bias=False)
        for layer in (self.body[0], self.tail):
            nn.init.xavier_normal_(layer.weight)  # type: ignore[arg-type]

    def forward(self, rows: Tensor) -> Tensor:
        """(M, C) to (M,), positive for normal."""
        return self.tail(self.body(rows))[:, 0]  # type: ignore[no-any-return]

    @torch.no_grad()
    def face_outwards(self) -> None:
        """Turns all weights of the last layer negative: minus its output becomes convex in the rows.

        A sum of convex functions of affine ones is convex (Amos, Xu and Kolter, "Input Convex Neural
        Networks", ICML 2017): on the way out of the good rows the anomaly score may bend upwards, never
        down again.
        """
        self.tail.weight.abs_().neg_()

    @torch.no_grad()
    def stay_outwards(self) -> None:
        """Takes back what a gradient step did to the signs of `face_outwards`."""
        self.tail.weight.clamp_(max=0)


def truncated_hinge(true: Tensor, fake: Tensor, margin: float = HINGE) -> Tensor:
    """Mean of max(0, margin - true) plus mean of max(0, margin + fake), a scalar (Liu et al., eq. 6).

    >>> round(float(truncated_hinge(torch.tensor([0.2]), torch.tensor([0.1]))), 6)
    0.9
    """
    return (margin - true).clamp_min(0).mean() + (margin + fake).clamp_min(0).mean()


def hinge_loss(network: nn.Module, true: Tensor, fake: Tensor, margin: float = HINGE) -> Tensor:
    """The truncated hinge of a network on rows (M, C) and (N, C), a scalar.

    One pass over both, so that batch norm sees them together, as in the authors' code.
    """
    judged = network(torch.cat([true, fake]))
    return truncated_hinge(judged[: len(true)], judged[len(true) :], margin)


def with_noise(rows: Tensor, spread: Tensor, scales: Tensor, generator: torch.Generator) -> Tensor:
    """Rows (M, C) plus Gaussian noise of deviation `spread` (C,) times one of `scales` (K,), per row."""
    chosen = scales[
        torch.randint(len(scales), (len(rows), 1), generator=generator, device=rows.device)
    ]  # (M, 1)
    noise = torch.randn(rows.shape, generator=generator, device=rows.device, dtype=rows.dtype)
    return rows + noise * spread * chosen


@contextmanager
def whole_statistics(network: nn.Module) -> Iterator[None]:
    """Inside, batch norms gather the plain average over all passes, from nothing, and keep it afterwards.

    Running averages follow the last few batches. Where batches are not alike (several colours, the edge of a
    cloth), a network that learned with each batch's own statistics says something else by them, on the very
    rows it learned from (Wu and Johnson, "Rethinking Batch in BatchNorm", 2021).
    """
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a plain average
    network.train()
    try:
        with torch.no_grad():
            yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        network.eval()

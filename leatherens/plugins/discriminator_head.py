"""Discriminator head: a small network that learned to tell fused features from noisy ones.

After SimpleNet (Liu et al., CVPR 2023), without its adapter: the fusion block has chosen the space
already. Their noise of deviation 0.015 belongs to the scale of their backbone's features; fused
channels have the variances the PCA found, so here the noise of every channel is relative to that
channel's own deviation on good images. Noise knows nothing of defects; a share of the negatives may be
positions of artificial anomalies instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from leatherens.core.detector import FitContext
from leatherens.core.discriminator import Discriminator, hinge_loss
from leatherens.core.errors import TrainingError
from leatherens.core.heads import GoodMaps, Head, HeadParams, SpoiltMaps
from leatherens.core.noisy_features import FieldPairs, Pairs, WhitePairs, noise_fields, window_sample
from leatherens.core.randomness import numpy_generator, seeded_construction, torch_generator
from leatherens.core.rows import RowReservoir

REPORTS = 20
"""Validations in one training, and with them the states to choose from."""

VALIDATION_ROWS = 20_000

Spoilt = tuple[Tensor, Tensor]
"""Rows (N, C) of artificial anomalies: to learn from and to judge by."""


class DiscriminatorHead(Head):
    """Learns a boundary around normal features by gradient steps."""

    id = "discriminator"

    class Params(HeadParams):
        """The paper's values where it gives any that carry over."""

        hidden: Annotated[int, Field(ge=1)] | None = None
        """Width of the hidden layer; by default twice the channels, 64 to 1024 (the paper: 1024 for 1536)."""
        noise: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (0.25, 0.5, 1.0)
        """Deviations of the noise, in deviations of each channel; one is drawn per row, or per window."""
        noise_field: Literal["white", "simplex", "perlin"] = "white"
        """How noise goes together: independent everywhere, or alike at neighbouring positions and along one
        direction of the channels. White, as published; see `core.noisy_features` for what a field changes."""
        steps: Annotated[int, Field(ge=1)] = 1500
        batch_rows: Annotated[int, Field(ge=2)] = 1024
        learning_rate: Annotated[float, Field(gt=0)] = 2e-4
        weight_decay: Annotated[float, Field(ge=0)] = 1e-5
        max_rows: Annotated[int, Field(ge=2)] = 200_000
        """Positions kept to learn from, drawn evenly from all good images; bounds the memory."""
        anomalies: Annotated[float, Field(ge=0, le=1)] = 0.0
        """Share of the negatives that are positions of artificial anomalies; the paper has none."""

    network_: Discriminator
    hidden_: int
    losses_: list[float]
    """Validation loss at each report; the network of the smallest is kept."""

    @property
    def wants_anomalies(self) -> bool:
        """Only for a share of the negatives."""
        return bool(self.params.anomalies > 0)

    def _fit(self, maps: Iterable[GoodMaps], validation: Iterable[GoodMaps], context: FitContext) -> None:
        self._fit_against((), maps, validation, context)

    def _fit_against(
        self,
        anomalies: Iterable[SpoiltMaps],
        maps: Iterable[GoodMaps],
        validation: Iterable[GoodMaps],
        context: FitContext,
    ) -> None:
        pairs = self._pairs(maps, context, "rows", self.params.max_rows)
        held_out = self._pairs(validation, context, "validation", VALIDATION_ROWS, pairs.spread)
        self.hidden_ = self.params.hidden or min(1024, max(64, 2 * self.channels_))
        with seeded_construction(context.seed, self.id, "weights"):
            network = Discriminator(self.channels_, self.hidden_)
        spoilt = self._spoilt(anomalies, context)
        self.losses_ = self._train(network.to(context.device), pairs, held_out, spoilt, context)
        self.network_ = network.eval()

    def _score(self, maps: Tensor) -> Tensor:
        batch, channels, height, width = maps.shape
        rows = maps.permute(0, 2, 3, 1).reshape(-1, channels)  # (B, C, h, w) -> (B*h*w, C)
        judged: Tensor = self.network_(rows)
        return -judged.view(batch, height, width)

    def _build(self) -> None:
        self.network_ = Discriminator(self.channels_, self.hidden_).eval()

    def _pairs(
        self,
        maps: Iterable[GoodMaps],
        context: FitContext,
        purpose: str,
        limit: int,
        spread: Tensor | None = None,
    ) -> WhitePairs | FieldPairs:
        """A sample of good positions and the noise for them, relative to `spread`, by default their own."""
        device, rng = context.device, numpy_generator(context.seed, self.id, purpose)
        scales = torch.tensor(self.params.noise, device=device)
        if self.params.noise_field == "white":
            rows = self.gather(maps, RowReservoir(limit, rng)).to(device)
            return WhitePairs(rows, rows.std(dim=0) if spread is None else spread, scales)
        windows, taught = (found.to(device) for found in window_sample(self.checked(maps), limit, rng))
        if spread is None:
            spread = windows.movedim(1, -1)[taught].std(dim=0)
        fields = noise_fields(self.params.noise_field, numpy_generator(context.seed, self.id, "fields"))
        return FieldPairs(windows, taught, fields.to(device), spread, scales)

    def _spoilt(self, anomalies: Iterable[SpoiltMaps], context: FitContext) -> Spoilt | None:
        """Positions of artificial anomalies, those of the last fifth of the images to judge by."""
        if not self.wants_anomalies:
            return None
        sample = numpy_generator(context.seed, self.id, "anomalies")
        found = self.gather(anomalies, RowReservoir(self.params.max_rows, sample)).to(context.device)
        cut = max(1, len(found) * 4 // 5)
        return found[:cut], found[cut:]

    def _mixed(self, noisy: Tensor, spoilt: Tensor | None, generator: torch.Generator) -> Tensor:
        """Noisy rows (M, C), a share of them replaced by rows of anomalies (N, C), drawn anew each time."""
        if spoilt is None or not len(spoilt):
            return noisy
        count = round(self.params.anomalies * len(noisy))
        picked = torch.randint(len(spoilt), (count,), generator=generator, device=noisy.device)
        return torch.cat([spoilt[picked], noisy[count:]])

    def _train(
        self,
        network: Discriminator,
        pairs: Pairs,
        held_out: Pairs,
        spoilt: Spoilt | None,
        context: FitContext,
    ) -> list[float]:
        """Gradient steps on random rows; ends in the state of the best validation. All validation losses."""
        optimizer = torch.optim.Adam(
            network.parameters(), lr=self.params.learning_rate, weight_decay=self.params.weight_decay
        )
        draw = torch_generator(context.seed, self.id, "steps", device=context.device)
        to_learn, to_judge = spoilt or (None, None)
        judge = torch_generator(context.seed, self.id, "judge", device=context.device)
        good, noisy = held_out.all(judge)
        judged = good, self._mixed(noisy, to_judge, judge)
        losses: list[float] = []
        best: dict[str, Tensor] = {}
        every = max(1, self.params.steps // REPORTS)
        with context.progress.step(f"{self.id}: learning", self.params.steps) as advance:
            for step in range(1, self.params.steps + 1):
                true, fake = pairs.draw(self.params.batch_rows, draw)
                loss = hinge_loss(network.train(), true, self._mixed(fake, to_learn, draw))
                self._descend(optimizer, loss, step)
                if step % every == 0 or step == self.params.steps:
                    losses.append(_judge(network.eval(), *judged))
                    if losses[-1] == min(losses):
                        best = {name: t.clone() for name, t in network.state_dict().items()}
                advance(1)
        network.load_state_dict(best)
        return losses

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor, step: int) -> None:
        if not bool(loss.isfinite()):
            raise TrainingError(
                f"{self.id}: the loss became NaN or infinite at step {step} "
                f"(learning rate {self.params.learning_rate:g}); try a smaller learning_rate",
                member=self.id,
                step=step,
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


@torch.inference_mode()
def _judge(network: Discriminator, true: Tensor, fake: Tensor) -> float:
    return float(hinge_loss(network, true, fake))

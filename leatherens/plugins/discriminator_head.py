"""Discriminator head: a small network that learned to tell fused features from spoilt ones.

After SimpleNet (Liu et al., CVPR 2023): a perceptron of two layers, the truncated hinge, Gaussian noise for
anomalies. It has no adapter, as the fusion block has chosen the space already. Four things are not theirs,
each measured (docs/decisions.md):

- It learns from held-out good images. Members remember those they were fitted on, and what they say of these
  is not what they say of any other good image.
- The noise of every channel is relative to its deviation on good images, and of many sizes. Small noise alone
  teaches how channels go together, and a defect that raises them together may look good.
- The weights of the last layer have one sign, so that the anomaly score is convex: it cannot fall again on
  the way out, and a network of one convex bowl remembers fewer of the rows it learned from.
- Noise knows nothing of defects: half of the negatives are positions of artificial anomalies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Annotated, Any, ClassVar, Literal

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
"""Losses told of one training."""

NOISE = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class DiscriminatorHead(Head):
    """Learns a boundary around normal features by gradient steps."""

    id = "discriminator"
    check_options: ClassVar[Mapping[str, Any]] = {"steps": 150, "batch_rows": 256, "learning_rate": 5e-3}

    class Params(HeadParams):
        """The paper's values where it gives any that carry over."""

        hidden: Annotated[int, Field(ge=1)] | None = None
        """Width of the hidden layer; by default twice the channels, 64 to 1024 (the paper: 1024 for 1536)."""
        noise: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = NOISE
        """Deviations of the noise, in deviations of each channel; one is drawn per row, or per window."""
        noise_field: Literal["white", "simplex", "perlin"] = "white"
        """How noise goes together: independent everywhere, or alike at neighbouring positions and along one
        direction of the channels. White, as published; see `core.noisy_features` for what a field changes."""
        teachers: Literal["held-out", "fit"] = "held-out"
        """Whose positions are good: those of the held-out images, or of the images that members learned
        from. Where nothing is held out, the latter."""
        convex: bool = True
        """Whether the anomaly score is kept convex in the channels (`Discriminator.face_outwards`)."""
        steps: Annotated[int, Field(ge=1)] = 400
        """Gradient steps."""
        batch_rows: Annotated[int, Field(ge=2)] = 512
        """Positions of one step."""
        learning_rate: Annotated[float, Field(gt=0)] = 2e-3
        weight_decay: Annotated[float, Field(ge=0)] = 1e-5
        max_rows: Annotated[int, Field(ge=2)] = 200_000
        """Positions kept to learn from, drawn evenly from all good images; bounds the memory."""
        anomalies: Annotated[float, Field(ge=0, le=1)] = 0.5
        """Share of the negatives that are positions of artificial anomalies; the paper has none."""

    network_: Discriminator
    hidden_: int
    losses_: list[float]
    """Mean loss since the last report, at each report."""

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
        pairs = self._pairs(self._teachers(maps, validation), context)
        spoilt = self._spoilt(anomalies, context)
        self.hidden_ = self.params.hidden or min(1024, max(64, 2 * self.channels_))
        with seeded_construction(context.seed, self.id, "weights"):
            network = Discriminator(self.channels_, self.hidden_)
        if self.params.convex:
            network.face_outwards()
        self.losses_ = self._train(network.to(context.device), pairs, spoilt, context)
        self.network_ = network.eval()

    def _teachers(self, maps: Iterable[GoodMaps], validation: Iterable[GoodMaps]) -> Iterable[GoodMaps]:
        """The good maps that teach."""
        if self.params.teachers == "fit":
            return maps
        held_out = iter(validation)
        first = next(held_out, None)
        return maps if first is None else chain([first], held_out)

    def _score(self, maps: Tensor) -> Tensor:
        batch, channels, height, width = maps.shape
        rows = maps.permute(0, 2, 3, 1).reshape(-1, channels)  # (B, C, h, w) -> (B*h*w, C)
        judged: Tensor = self.network_(rows)
        return -judged.view(batch, height, width)

    def _build(self) -> None:
        self.network_ = Discriminator(self.channels_, self.hidden_).eval()

    def _pairs(self, maps: Iterable[GoodMaps], context: FitContext) -> Pairs:
        """A sample of good positions and the noise for them, relative to their spread."""
        options, device = self.params, context.device
        rng = numpy_generator(context.seed, self.id, "rows")
        scales = torch.tensor(options.noise, device=device)
        if options.noise_field == "white":
            rows = self.gather(maps, RowReservoir(options.max_rows, rng)).to(device)
            return WhitePairs(rows, rows.std(dim=0), scales)
        windows, taught = (
            found.to(device) for found in window_sample(self.checked(maps), options.max_rows, rng)
        )
        fields = noise_fields(options.noise_field, numpy_generator(context.seed, self.id, "fields"))
        return FieldPairs(
            windows, taught, fields.to(device), windows.movedim(1, -1)[taught].std(dim=0), scales
        )

    def _spoilt(self, anomalies: Iterable[SpoiltMaps], context: FitContext) -> Tensor | None:
        """Positions (N, C) of artificial anomalies."""
        if not self.wants_anomalies:
            return None
        sample = numpy_generator(context.seed, self.id, "anomalies")
        return self.gather(anomalies, RowReservoir(self.params.max_rows, sample)).to(context.device)

    def _mixed(self, noisy: Tensor, spoilt: Tensor | None, generator: torch.Generator) -> Tensor:
        """Noisy rows (M, C), a share of them replaced by rows of anomalies (N, C), drawn anew each time."""
        if spoilt is None or not len(spoilt):
            return noisy
        count = round(self.params.anomalies * len(noisy))
        picked = torch.randint(len(spoilt), (count,), generator=generator, device=noisy.device)
        return torch.cat([spoilt[picked], noisy[count:]])

    def _train(
        self, network: Discriminator, pairs: Pairs, spoilt: Tensor | None, context: FitContext
    ) -> list[float]:
        """Gradient steps on random rows; the mean loss of every stretch between two reports."""
        options = self.params
        optimizer = torch.optim.Adam(
            network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        draw = torch_generator(context.seed, self.id, "steps", device=context.device)
        network.train()
        losses: list[float] = []
        with context.progress.step(f"{self.id}: learning", options.steps) as advance:
            for step in range(1, options.steps + 1):
                true, fake = pairs.draw(options.batch_rows, draw)
                loss = hinge_loss(network, true, self._mixed(fake, spoilt, draw))
                self._descend(optimizer, loss, step)
                if options.convex:
                    network.stay_outwards()
                losses.append(float(loss.detach()))
                advance(1)
        return stretches(losses, max(1, options.steps // REPORTS))

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


def stretches(values: Sequence[float], length: int) -> list[float]:
    """Means of so many values after each other, the last stretch as long as it is.

    >>> stretches([1.0, 3.0, 5.0], 2)
    [2.0, 5.0]
    """
    cut = [values[start : start + length] for start in range(0, len(values), length)]
    return [sum(stretch) / len(stretch) for stretch in cut]

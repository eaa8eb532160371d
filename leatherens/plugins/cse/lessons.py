"""How CSE's embedder is taught: by contrast, or, for comparison, as a plain classifier.

A lesson gives a training task its module, loss and judgement. While a step learns, batch normalisation works
with the batch's own statistics, the frozen decoder's too; the training loop puts every module back into that
mode for each step (the authors' code does not, so that from its second epoch on the embedder's statistics
stay as they were). A validation works with the running ones: an image's value must not depend on its
neighbours.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leatherens.core.geometry import mean_of, positions_of
from leatherens.core.types import ImageBatch
from leatherens.plugins.cse.losses import (
    Axis,
    contrastive,
    reconstruction,
    similarity,
)
from leatherens.plugins.cse.networks import Decoder, Embedder
from leatherens.plugins.cse.samples import Sampler, Samples

PUBLISHED_BATCH = 8
"""The authors sum their losses over batches of 8; so many times the mean is the same for any batch size."""


class Contrast(nn.Module):
    """Embeddings of two good images shall agree, those of a good and a spoilt one shall not.

    Equations of sections 3.3 and 3.4: `weight` times the contrastive term, and the reconstruction of the good
    image's features, which keeps all embeddings from becoming equal.
    """

    def __init__(
        self, sampler: Sampler, embedder: Embedder, decoder: Decoder | None, *, weight: float, axis: Axis
    ) -> None:
        super().__init__()
        self.sampler, self.embedder, self.decoder = sampler, embedder, decoder
        self.weight, self.axis = weight, axis

    def loss(self, batch: ImageBatch, generator: torch.Generator) -> Tensor:
        """Of good images, each paired with any training image, spoilt or not."""
        partners = self.sampler.partners(len(batch), generator)
        pairs = self.sampler.untouched(batch), self.sampler.spoilt(partners, generator)
        return PUBLISHED_BATCH * self.values(*pairs).mean()

    def judge(self, batch: ImageBatch, generator: torch.Generator) -> Tensor:
        """(B,): the loss expected of held-out images, each with a good partner and with itself spoilt."""
        held_out, share = self.sampler.untouched(batch), self.sampler.kinds.clean_share
        good = self.sampler.untouched(self.sampler.partners(len(batch), generator))
        bad = surely_spoilt(self.sampler, batch, generator)
        return share * self.values(held_out, good) + (1 - share) * self.values(held_out, bad)

    def values(self, good: Samples, other: Samples) -> Tensor:
        """The loss of each pair, (B,)."""
        (embedded, reduced), (_, compared) = self.embedder(*good.levels), self.embedder(*other.levels)
        similar = similarity(reduced, compared, self.axis, counted_in_both(reduced, good, other))
        value = self.weight * contrastive(similar, other.defects)
        if self.decoder is None:
            return value
        return value + reconstruction(self.decoder(embedded), good.levels, good.valid)


class Classification(nn.Module):
    """Good or spoilt, told by the mean of a linear map of the reduced embedding (section 5.1)."""

    def __init__(self, sampler: Sampler, embedder: Embedder, classifier: nn.Conv2d) -> None:
        super().__init__()
        self.sampler, self.embedder, self.classifier = sampler, embedder, classifier

    def loss(self, batch: ImageBatch, generator: torch.Generator) -> Tensor:
        """Cross-entropy of good images, spoilt or not."""
        return self.values(self.sampler.spoilt(batch, generator)).mean()

    def judge(self, batch: ImageBatch, generator: torch.Generator) -> Tensor:
        """(B,): the loss expected of held-out images, as they are and spoilt."""
        held_out, share = self.sampler.untouched(batch), self.sampler.kinds.clean_share
        bad = surely_spoilt(self.sampler, batch, generator)
        return share * self.values(held_out) + (1 - share) * self.values(bad)

    def values(self, samples: Samples) -> Tensor:
        """The cross-entropy of each image, (B,)."""
        _, reduced = self.embedder(*samples.levels)
        activation = self.classifier(reduced)[:, 0].float()  # (B, h, w)
        logits = mean_of(activation, positions_of(reduced, samples.valid))
        return F.binary_cross_entropy_with_logits(logits, samples.defects.float(), reduction="none")


def surely_spoilt(sampler: Sampler, batch: ImageBatch, generator: torch.Generator) -> Samples:
    """Every image with an anomaly, the same ones at each validation."""
    always = replace(sampler, kinds=replace(sampler.kinds, clean_share=0.0))
    return always.spoilt(batch, generator, again=True)


def counted_in_both(maps: Tensor, first: Samples, second: Samples) -> Tensor | None:
    """Positions (B, h, w) of maps that hold something to inspect in both images of each pair."""
    one, other = positions_of(maps, first.valid), positions_of(maps, second.valid)
    if one is None or other is None:
        return other if one is None else one
    return one & other

"""How long to train and when to stop, and the options from which that follows."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from leatherens.core.params import Params

MOST_VALIDATIONS = 10


class Schedule(Params):
    """How long to train and when to stop.

    steps: gradient steps in all. patience: validations without a better value before stopping.
    validate_every: steps between two validations; the best validated state is kept.
    """

    steps: PositiveInt
    batch_size: PositiveInt
    validate_every: PositiveInt
    patience: PositiveInt | None = None


class TrainedParams(Params):
    """Options of what learns by gradient steps; everybody sets `epochs` and `batch_size`."""

    epochs: PositiveInt
    """Walks through the good images."""
    steps: PositiveInt | None = None
    """Gradient steps in all, in place of `epochs`: a bound on time whatever the number of images."""
    batch_size: PositiveInt
    patience: PositiveInt | None = None
    """Validations without a better one before stopping."""

    def schedule(self, images: int) -> Schedule:
        """For so many images: validated after each epoch; fewer images than a batch holds make a batch.

        Where `steps` bound the training it is validated `MOST_VALIDATIONS` times at most: on few images it
        would otherwise validate more than it learns.
        """
        batch = min(self.batch_size, images)
        epoch = -(-images // batch)
        every = epoch if self.steps is None else max(epoch, self.steps // MOST_VALIDATIONS)
        return Schedule(
            steps=self.steps or self.epochs * epoch,
            batch_size=batch,
            validate_every=every,
            patience=self.patience,
        )


class KeepingParams(TrainedParams):
    """Of those that keep the last state unless told otherwise."""

    keep: Literal["last", "best"] = "last"
    """The last state, or the one of the smallest loss on validation images; test images never choose."""
    patience: PositiveInt | None = None
    """Only with keep=best: validations without a better one before stopping."""

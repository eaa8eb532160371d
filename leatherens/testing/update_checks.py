"""What taking in further good images must and must not do, where a detector declares that it can."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from leatherens.core.detector import Detector, FitContext
from leatherens.core.types import ImageBatch, ImagesInMemory, ImageSource
from leatherens.testing.comparing import snapshot
from leatherens.testing.trial import Trial


def check_update_as_declared(trial: Trial) -> None:
    """An update lowers the scores of what it took in and keeps what was known before.

    The flag in the other direction: a detector that does not declare `updates` refuses, naming itself.
    """
    member = _copy(trial.small_fit.member)
    if not trial.flags.updates:
        own = type(member)._update is not Detector._update
        trial.expect(not own, "has _update, but updates=False is declared")
        trial.expect_refused(
            lambda: _update(trial, member), "an update without updates=True", words=(member.id, "stays")
        )
        return
    new, old = _other_look(trial), trial.small.good
    before = _score(trial, member, new), _score(trial, member, old)
    returned: object = _update(trial, member)
    trial.expect(returned is member, f"update must return self, got {type(returned).__name__}")
    after = _score(trial, member, new), _score(trial, member, old)
    trial.expect(
        after[0] < before[0],
        f"images taken in score no lower than before ({after[0]:.3g}, before {before[0]:.3g})",
    )
    alone = _score(trial, trial.fit(trial.make(), new, trial.small.validate).member, old)
    trial.expect(
        after[1] < alone - 0.1 * abs(alone - before[1]),
        f"an update forgets: images known before score {after[1]:.3g}, {alone:.3g} if only the new ones are "
        "learned",
    )


def check_interrupted_update_changes_nothing(trial: Trial) -> None:
    """Ctrl-C while an update reads its images leaves the detector as it was."""
    if not trial.flags.updates:
        return
    member = _copy(trial.small_fit.member)
    before = snapshot(member)
    try:
        _update(trial, member, Interrupting(_other_look(trial)))
    except KeyboardInterrupt:
        pass
    else:
        trial.fail("updates=True is declared, but update swallows Ctrl-C or does not read its images")
    after = snapshot(member)
    moved = sorted(name for name in before | after if before.get(name) != after.get(name))
    trial.expect(not moved, f"an interrupted update changes {', '.join(moved)}; never write into tensors")


class Interrupting(ImagesInMemory):
    """Images at whose first batch somebody presses Ctrl-C."""

    def batch(self, indices: Sequence[int]) -> ImageBatch:
        """Ctrl-C."""
        raise KeyboardInterrupt


def _other_look(trial: Trial) -> ImageBatch:
    """Good images unlike those learned from: light where they are dark."""
    teach = trial.small.teach
    return ImageBatch(1 - teach.pixels, tuple(f"new-{id}" for id in teach.ids))


def _copy(member: Detector) -> Detector:
    state = {k: v.clone() if isinstance(v, Tensor) else v for k, v in member.state().items()}
    return type(member).from_state(member.params, state)


def _update(trial: Trial, member: Detector, images: ImageSource | None = None) -> object:
    context = FitContext(trial.pool, seed=0)
    source = images or ImagesInMemory(_other_look(trial))
    return member.update(source, validation=ImagesInMemory(trial.small.validate), context=context)


def _score(trial: Trial, member: Detector, images: ImageBatch) -> float:
    return float(trial.observe(member, images).scores.image.mean())


CHECKS = (check_update_as_declared, check_interrupted_update_changes_nothing)

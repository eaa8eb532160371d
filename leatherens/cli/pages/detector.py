"""What a detector says of itself, in words: its capabilities, its feature maps, what quick effort changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from leatherens.core.capabilities import Capabilities


def abilities(flags: Capabilities) -> Iterator[str]:
    """Sentences, one per flag."""
    step = f"divisible by {flags.multiple_of} and " if flags.multiple_of > 1 else ""
    yield f"Takes images of height and width {step}of at least {flags.min_size} pixels."
    least = "one good image" if flags.min_images == 1 else f"{flags.min_images} good images"
    yield f"Learns from {least} or more."
    yield (
        "Learns by gradient steps: a training has a log and checkpoints, and goes on where it was stopped."
        if flags.trains
        else "Learns without gradient steps, from each image once."
    )
    yield (
        "Takes in further good images without learning anew (`leatherens update`)."
        if flags.updates
        else "Is fitted anew to learn from further images."
    )
    if flags.reconstructs:
        yield "Shows how each image would look if it were good."


def quick_changes(made: Any) -> dict[str, Any]:
    """The options that quick effort sets otherwise than full."""
    from leatherens.core.detector import Effort

    quick, full = (made.params_for(effort).model_dump(mode="json") for effort in (Effort.quick, Effort.full))
    return {name: value for name, value in quick.items() if full.get(name) != value}


def feature_patterns(made: Any) -> list[str]:
    """Its feature maps as patterns: `difference*` for one per level.

    Some are known only after a fit: one step, on a scene of the conformance kit, with its `check_options`.
    """
    from leatherens.core.errors import NotFittedError
    from leatherens.testing.trial import Trial

    member = made.from_options(made.check_options)
    try:
        specs = member.features()
    except (NotFittedError, AttributeError):
        trial = Trial(lambda: made.from_options(made.check_options))
        specs = trial.fit(member, trial.small.teach, trial.small.validate, until=1).member.features()
    return list(dict.fromkeys(re.sub(r"\d+$", "*", spec.name.partition("/")[2]) for spec in specs))

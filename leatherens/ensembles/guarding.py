"""What is put around the parts of an ensemble while they learn and score: any may be a stranger's.

A fault is told with the part's name; what everybody shares is put back; what others will read must not have
been written into. Around a batch that costs some hundredths of a millisecond.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

from torch import Tensor

from leatherens.core.backbones import Pyramids
from leatherens.core.errors import PartFailed
from leatherens.core.strangers import blaming, kept_from
from leatherens.core.types import ImageBatch, ScoreMap, all_finite

SCORING = "while scoring"
LEARNING = "while learning"
WRITING = "while writing its report"
"""What a part was doing, in messages."""


@contextmanager
def guarded(part: str, doing: str) -> Iterator[None]:
    """Around one part's code. part: its kind and id, "head 'memory-bank'". doing: "while scoring".

    What takes longer to look at than to score a small image is looked at while learning only.
    """
    with kept_from(part, doing, quick=doing == SCORING), blaming(part, doing):
        yield


@contextmanager
def only_read(part: str, batch: ImageBatch, pyramids: Pyramids) -> Iterator[None]:
    """Refuse to go on where a part wrote into the images or features that the next one reads."""
    shared = [batch.pixels, *([] if batch.valid is None else [batch.valid])]
    shared += chain.from_iterable(maps.maps for maps in pyramids.values())
    before = [_writes(tensor) for tensor in shared]
    yield
    if [_writes(tensor) for tensor in shared] != before:
        raise PartFailed(
            f"{part} changed the images or feature maps it was given, which others read as well; it must "
            "work on copies"
        )


def _writes(tensor: Tensor) -> int:
    """How often something was written into it; of tensors made in inference mode torch does not know."""
    return 0 if tensor.is_inference() else tensor._version


def checked(part: str, scores: ScoreMap, like: ScoreMap, ids: Sequence[str] = ()) -> ScoreMap:
    """Scores as delivered, refused where they are not finite or of other shapes than those of the images."""
    found, expected = ((tuple(s.pixels.shape), tuple(s.image.shape)) for s in (scores, like))
    if found != expected:
        raise PartFailed(f"{part} delivered scores of shapes {found}, expected {expected}")
    for name, value in (("score map", scores.pixels), ("image score", scores.image)):
        if not all_finite(value):
            first = next(i for i, one in enumerate(value) if not all_finite(one))
            image = ids[first] if ids else f"image {first + 1} of the batch"
            raise PartFailed(f"{part} delivered NaN or infinite values in the {name} of {image}")
    return scores

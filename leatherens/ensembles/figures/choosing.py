"""Which images a figure shows: those asked for, or some of every kind by a rule, so that no eye chose."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from leatherens.core.errors import InputError, did_you_mean
from leatherens.core.judged_run import SCORER
from leatherens.core.listing import counted
from leatherens.core.reporting import ScoredImage

RULE = (
    "of every kind of defect, and of the good ones, the images whose scores lie nearest to the kind's median"
)


def asked_for(images: Sequence[ScoredImage], ids: Sequence[str]) -> list[ScoredImage]:
    """The images of these names, in their order; the end of a name is enough where only one ends like it."""
    by_id = {image.id: image for image in images}
    found = []
    for id in ids:
        ending = [known for known in by_id if known.endswith(f"/{id}")]
        if id not in by_id and len(ending) != 1:
            hint = f"; {len(ending)} images end like it" if ending else did_you_mean(id, by_id)
            raise InputError(
                f"--images: no image '{id}' among the {counted(len(by_id), 'test image')} of this run{hint}"
            )
        found.append(by_id[id if id in by_id else ending[0]])
    return found


def telling(images: Sequence[ScoredImage], most: int) -> list[ScoredImage]:
    """At most so many: the kinds in turn, defects before the good; in each the median score first."""
    kinds: dict[tuple[bool, str], list[ScoredImage]] = {}
    for image in images:
        key = (not image.defective, image.defect if image.defective else "")
        kinds.setdefault(key, []).append(image)
    rounds = zip_longest(*(_from_the_middle(kinds[key]) for key in sorted(kinds)))
    chosen = [image for row in rounds for image in row if image is not None][:most]
    return sorted(chosen, key=lambda image: (not image.defective, image.defect, image.id))


def _from_the_middle(images: Sequence[ScoredImage]) -> list[ScoredImage]:
    """The median first, then those next to it by score."""
    ranked = sorted(images, key=lambda image: (image.scores[SCORER], image.id))
    middle = (len(ranked) - 1) / 2
    order = sorted(range(len(ranked)), key=lambda place: (abs(place - middle), place))
    return [ranked[place] for place in order]

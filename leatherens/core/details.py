"""What a report tells of a run beside its metrics: plain values, which the run keeps in `details.json`.

They need score maps, fitted parts or the photographs; stored, a report can be made again without them. Each
is left empty where it does not apply, and by runs of older versions.
"""

from __future__ import annotations

from pydantic import Field

from leatherens.core.params import Params

Numbers = tuple[float, ...]


class PixelCurves(Params):
    """Of one scorer's pooled pixels; x and y (N,) of each curve, thinned to what a chart can show.

    overlap: PRO over the false-positive rate, up to 0.3. iou: IoU over the pixel threshold, the run's own
    threshold among its points. at: that threshold and its IoU, `None` where it is infinite. best: the
    threshold and value of the largest IoU, chosen with the truth.
    """

    overlap: tuple[Numbers, Numbers]
    au_pro: float
    iou: tuple[Numbers, Numbers]
    at: tuple[float, float] | None
    best: tuple[float, float]


class Unusual(Params):
    """How unusual good test images are among held-out good ones.

    normals: number of held-out ones. rates: by scorer, rising, of each good test image the least false-alarm
    rate at which it is called defective: 1 less its calibrated score.
    """

    normals: int
    rates: dict[str, Numbers]


class Without(Params):
    """What the ensemble would score without one voter; `None` where undefined."""

    voter: str
    image_auroc: float | None
    pixel_auroc: float | None
    au_pro: float | None


class DropOne(Params):
    """The ensemble without each of its voters. head: whether block and head vote, which saw all members.

    why_none: the reason where there is no row, although there are several members.
    """

    rows: tuple[Without, ...] = ()
    head: bool = False
    why_none: str = ""


class PartCost(Params):
    """What a member, or block, head and score fusion together, learned: how much of it and how long.

    parameters: numbers on disk, and disk_mb their size in binary megabytes, backbones left out. backbones:
    models that a member reads. seconds: to fit, `None` where nobody has timed it.
    """

    parameters: int
    disk_mb: float
    backbones: tuple[str, ...] = ()
    seconds: float | None = None


class BackboneCost(Params):
    """A pretrained model, frozen: numbers and binary megabytes in memory."""

    parameters: int
    mb: float


class Costs(Params):
    """By member, of what joins them (`None`: nothing does), and by backbone.

    Milliseconds are metrics; machine: where they were measured.
    """

    members: dict[str, PartCost]
    joint: PartCost | None
    backbones: dict[str, BackboneCost]
    machine: str = ""


class Inspected(Params):
    """What `leatherens data inspect` says of the run's images.

    looked, images: how many were opened, and how many there are; fewer where time ran out.
    """

    looked: int
    images: int
    findings: tuple[str, ...]


class Details(Params):
    """All of it; curves: by scorer."""

    curves: dict[str, PixelCurves] = Field(default_factory=dict)
    unusual: Unusual | None = None
    drop_one: DropOne | None = None
    costs: Costs | None = None
    inspected: Inspected | None = None

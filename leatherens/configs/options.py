"""What can be said of a recipe, as the command line and Python both take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

CALIBRATION: Literal["auto"] = "auto"
"""What a new run is asked for where nothing is said; recipes that do not say it mean `split`."""


class Options(TypedDict, total=False):
    """What `leatherens run` can be told of the recipe; what is left out, or `None`, has its default.

    | option | default | |
    |---|---|---|
    | effort | auto | quick, full (the published schedules), or auto |
    | mode | hybrid; score for one member | what is fused: feature, score or hybrid |
    | block | independent | feature fusion block |
    | head | memory-bank | head on the fused features |
    | features | each member's own cut | by member, patterns of the feature maps that fusion takes |
    | score_fusion | weighted | how scores are fused |
    | calibrator | conformal | how unusual a score is among good ones |
    | threshold | conformal | where defective begins |
    | pixel_threshold | as threshold | where a defective pixel begins, if by another rule |
    | false_alarms | 0.01 | share of good images that may be flagged |
    | calibration | auto | split (a share of the good images), cross (folds of all), or auto |
    | folds | 5 | of cross calibration |
    | shares | 0.7, 0.15, 0.15 | of the good images, to fit, to validate and to calibrate |
    | labelled_share | 0 | of the test images, for thresholds that need labels |
    | size | 256 | pixels that images are brought to: a side, or (height, width) |
    | tile | | look at photographs in windows of this size |
    | overlap | 0.25 | share of a window's side that neighbours share |
    | prepare | | ids of steps before images are brought to their size, in this order |
    | ignore | | picture, white where nothing is to be inspected |
    | masking | before | whether models see what `ignore` leaves out (after) or not (before) |
    | settings | | options of members, steps and parts: {"stfpm.steps": 100} |
    | textures | | folder of pictures for artificial anomalies |
    | weights | | files or folders of pretrained weights |
    | allow_download | False | let missing weights be fetched from the hub |
    | keep_every | | steps between two checkpoints that are kept of each trained member |
    | device | auto | auto, cpu or cuda |
    | seed | 0 | |
    """

    effort: str | None
    mode: Literal["feature", "score", "hybrid"] | None
    block: str | None
    head: str | None
    features: Mapping[str, Sequence[str]] | None
    score_fusion: str | None
    calibrator: str | None
    threshold: str | None
    pixel_threshold: str | None
    false_alarms: float | None
    calibration: Literal["auto", "split", "cross"] | None
    folds: int | None
    shares: Sequence[float] | None
    labelled_share: float | None
    size: int | tuple[int, int] | None
    tile: int | tuple[int, int] | None
    overlap: float | None
    prepare: str | Sequence[str] | None
    ignore: Path | str | None
    masking: Literal["before", "after"] | None
    settings: Mapping[str, Any] | None
    textures: Path | str | None
    weights: Path | str | Sequence[Path | str] | None
    allow_download: bool | None
    keep_every: int | None
    device: str | None
    seed: int | None


def listed(ids: str | Sequence[str]) -> list[str]:
    """Ids one by one, or between commas.

    >>> listed("stfpm, draem"), listed(["stfpm"])
    (['stfpm', 'draem'], ['stfpm'])
    """
    return [id.strip() for id in (ids.split(",") if isinstance(ids, str) else map(str, ids)) if id.strip()]

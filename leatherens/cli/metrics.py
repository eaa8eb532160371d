"""`leatherens metrics`: measure the score maps of any tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leatherens.cli import options
from leatherens.core.errors import ConfigError

if TYPE_CHECKING:
    from leatherens.cli import Session


@click.command(short_help="Measure the score maps of any tool.")
@click.option("--maps", type=options.PATH, required=True, help="Folder of score maps: TIFF, NPY or grey PNG.")
@click.option("--data", "root", type=options.PATH, required=True, help="Labelled photographs.")
@options.defects
@options.masks
@options.layout
@click.option("--scores", type=options.PATH, help="CSV file with the columns image and score.")
@click.option("--threshold", type=float, help="Image score above which an image is defective.")
@click.option("--pixel-threshold", type=float, help="Score above which a pixel is marked.")
@click.option(
    "--limit",
    "limits",
    type=float,
    multiple=True,
    default=(0.3,),
    show_default=True,
    help="False-positive rate to integrate AU-PRO to (repeatable).",
)
@click.option(
    "--resize", type=click.Choice(["bilinear"]), help="Bring maps of another size to their images'."
)
@click.option("--partial", is_flag=True, help="Leave out test images that have no map.")
@click.option(
    "--by", type=click.Choice(["defect", "view"]), multiple=True, help="Break down, too (repeatable)."
)
@click.option("--intervals", "draws", type=int, metavar="N", help="Bootstrap intervals from N resamplings.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the resamplings.")
@click.option("--impostors", is_flag=True, help="What other code computes under the same names, too.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--out", type=options.PATH, help="Write the JSON to this file.")
@click.pass_obj
def metrics(
    session: Session,
    /,
    maps: Path,
    root: Path,
    by: tuple[str, ...],
    draws: int | None,
    seed: int,
    as_json: bool,
    out: Path | None,
    partial: bool,
    resize: str | None,
    scores: Path | None,
    limits: tuple[float, ...],
    threshold: float | None,
    pixel_threshold: float | None,
    impostors: bool,
    **beside: Any,
) -> None:
    """Measure score maps, higher meaning more anomalous, against the truth of a folder of test images.

    The maps may come from any tool, a run's own folder maps among them. Every test image needs one of its own
    size. Nothing is fitted and nothing is rescaled; what is undefined says why. Definitions and rules stand
    below the numbers.
    """
    from leatherens.cli.metrics_text import print_metrics
    from leatherens.core.artifact import without_nan, write_json
    from leatherens.core.measurement import Options
    from leatherens.core.metrics.pixels import require_limit
    from leatherens.core.referee import Referee, content_of, pair_maps, read_image_scores
    from leatherens.core.referee.intervals import Intervals
    from leatherens.core.terminal_progress import terminal_progress
    from leatherens.ensembles.data import DataChoice

    for limit in limits:
        require_limit(limit)
    if draws is not None and draws < 2:
        raise ConfigError(f"--intervals: expected at least 2 resamplings, such as 1000, got {draws}")
    progress = terminal_progress()
    collection = DataChoice.at(root, **beside).read(session.host, learning=False)
    progress.say(collection.sentence)
    paired = pair_maps(collection, maps, partial=partial)
    given = None if scores is None else read_image_scores(scores, [sample for sample, _ in paired.pairs])
    measuring = Options(threshold, pixel_threshold, tuple(dict.fromkeys(limits)), impostors)
    referee = Referee(paired, measuring, given, resize=resize is not None)
    drawing = None if draws is None else Intervals(draws, seed, len(paired.pairs))
    measured = referee.measure(progress, drawing)
    resampled = None if drawing is None else referee.resample(progress, drawing)
    content = content_of(referee, collection, measured, by=by, resampled=resampled)
    if out is not None:
        write_json(out, content)
    if as_json:
        click.echo(json.dumps(without_nan(content), indent=2, ensure_ascii=False))
    else:
        print_metrics(content)

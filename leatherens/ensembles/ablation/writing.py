"""What an ablation leaves: the table, the picture, and everything as JSON, written last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from leatherens.core.artifact import write_json
from leatherens.core.metrics import DEFINITIONS
from leatherens.ensembles.ablation.artificial import SEPARATION
from leatherens.ensembles.ablation.conclusions import TITLES
from leatherens.ensembles.ablation.costs import COST
from leatherens.ensembles.ablation.folder import AblationFolder
from leatherens.ensembles.ablation.measuring import INTERVALS, RESAMPLED
from leatherens.ensembles.ablation.picture import draw
from leatherens.ensembles.ablation.results import Row, row_content, write_csv
from leatherens.ensembles.ablation.settings import AblationSettings
from leatherens.ensembles.running import Run
from leatherens.ensembles.splits import Splits


def write_outcome(
    folder: AblationFolder,
    run: Run,
    settings: AblationSettings,
    rows: Sequence[Row],
    conclusions: Mapping[str, Any],
    splits: Splits,
) -> None:
    """Write table, picture and JSON."""
    write_csv(folder.table, rows)
    draw(folder.picture, rows)
    facts = run.folder.facts()
    definitions = {name: DEFINITIONS[name] for name in RESAMPLED}
    content = {
        "command": run.command,
        "data": facts.data_sentence,
        "data_fingerprint": facts.data_fingerprint,
        "seed": run.recipe.seed,
        "settings": settings.model_dump(mode="json"),
        "recipe": run.recipe.model_dump(mode="json"),
        "remarks": list(facts.remarks),
        "versions": facts.versions,
        "splits": {job: list(ids) for job, ids in splits.jobs().items()},
        "definitions": {
            **definitions,
            "ms_per_image": COST,
            "intervals": INTERVALS,
            "separation": SEPARATION,
        },
        "rows": [row_content(row) for row in rows],
        "conclusions": conclusions,
    }
    write_json(folder.result, content)


def in_short(row: Row) -> str:
    """A row in a line, for who watches."""
    named = f"{row.variant.varies}: {row.variant.name}"
    if row.problem:
        return f"{named}: not made, {row.problem}"
    values = [
        f"{title} {row.value(metric):.3f}"
        for metric, title in TITLES.items()
        if not np.isnan(row.value(metric))
    ]
    return f"{named}: {', '.join(values) or 'nothing to measure'}"

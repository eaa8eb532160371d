"""Measuring a project from what its views' runs have written: nothing is scored, nothing is fitted.

The metrics are those of images, taken over parts: a part's score is its highest severity, its threshold 1.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leatherens.configs.project import Project
from leatherens.core.artifact import read_json, write_json, write_text
from leatherens.core.calibration import normals_needed
from leatherens.core.errors import ArtifactError
from leatherens.core.host import PluginHost
from leatherens.core.listing import counted, named
from leatherens.core.metrics import false_alarm_rate, image_ap, image_auroc, image_f1
from leatherens.core.photographs import read_photograph
from leatherens.core.reading import Sample
from leatherens.core.reporting import ProjectView, ScoredImage, ScoredPart, ScoredView
from leatherens.core.strangers import surviving
from leatherens.core.thresholds import Group
from leatherens.core.views import Severities
from leatherens.ensembles.conditions import conditions_of
from leatherens.ensembles.deciding import Rules, decision_of, load_rules
from leatherens.ensembles.ensemble import ENSEMBLE
from leatherens.ensembles.folder import RunFolder
from leatherens.ensembles.guarding import WRITING
from leatherens.ensembles.parts import build_preparation
from leatherens.ensembles.preparing import load_preparation
from leatherens.ensembles.project.assembling import Assembly, Part
from leatherens.ensembles.project.folder import ProjectFolder
from leatherens.ensembles.sources import FileSource

DEFINITIONS: Mapping[str, str] = {
    "part_auroc": "Probability that a defective part has a higher severity than a good one, ties counted "
    "half. The severity of a part is the highest of its views'.",
    "part_ap": "Average precision of parts by their severity, step-wise, tied severities one step.",
    "part_f1": "F1 of parts, defective meaning that any view is above its threshold.",
    "false_alarm_rate": "Share of the good parts that any view calls defective.",
    "missed_rate": "Share of the defective parts that no view calls defective.",
    "severity": "(score - typical) / (threshold - typical), where typical is the median score of the view's "
    "held-out good images: 0 is typical, 1 is the view's threshold.",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a view's run found: image scores and colours of the images it tested, and its thresholds."""

    folder: RunFolder
    rules: Rules
    scores: Mapping[str, float]
    colours: Mapping[str, str]

    def severity(self, sample: Sample) -> float:
        """Of one image."""
        group = Group(sample.view, self.colours[sample.id])
        return float(self.rules.images.severity(np.array([self.scores[sample.id]]), group)[0])


def measured(folder: ProjectFolder, project: Project, assembly: Assembly, host: PluginHost) -> ProjectView:
    """A project whose views' runs are all finished, measured."""
    begun = folder.begun_with()
    seen = {view: _seen(folder.run(view), project, view, host) for view in project.views}
    scored = tuple(
        found for part in assembly.parts.values() if (found := _scored(part, assembly, seen)).images
    )
    facts = {view: found.folder.facts() for view, found in seen.items()}
    views = tuple(
        ScoredView(view, facts[view].data_sentence, decision_of(found.rules), f"views/{view}/report.html")
        for view, found in seen.items()
    )
    return ProjectView(
        name=folder.path.resolve().name,
        data=assembly.sentence,
        views=views,
        parts=scored,
        metrics=content(
            scored, {view: read_json(one.folder.metrics)["ensemble"] for view, one in seen.items()}
        ),
        promise=promise_of(views),
        remarks=(*promise_remarks(project.false_alarms, views), *assembly.remarks, *_incomplete(scored)),
        command=begun.command,
        project=folder.project.read_text(encoding="utf-8"),
        versions=begun.versions,
    )


def write_results(folder: ProjectFolder, found: ProjectView, host: PluginHost) -> None:
    """Write parts.csv, metrics.json and what the reporters make."""
    write_text(folder.parts, parts_table(found.parts, [view.name for view in found.views]))
    write_json(folder.metrics, found.metrics)
    for id, reporter in host.reporters().usable().items():
        with surviving(f"reporter '{id}'", WRITING):
            reporter().write_project(found, folder.path)


def promise_of(views: Sequence[ScoredView]) -> float | None:
    """The share of fresh good parts that any view flags is at most the sum of the views' shares."""
    promises = [view.decision.promise for view in views if view.decision.promise is not None]
    return min(1.0, sum(promises)) if len(promises) == len(views) else None


def promise_remarks(asked: float | None, views: Sequence[ScoredView]) -> tuple[str, ...]:
    """What the rate asked of parts became, where the held-out good parts are too few to promise it."""
    promise = promise_of(views)
    if asked is None or promise is None or promise <= asked + 1e-9:
        return ()
    held_out = min(view.decision.normals for view in views)
    return (
        f"a false-alarm rate of {asked:.3g} of the parts was asked for; with {held_out} held-out good images "
        f"in a view, {len(views)} views together can promise {promise:.3g} at best "
        f"({normals_needed(asked / len(views))} in every view are needed for the one asked)",
    )


def _seen(folder: RunFolder, project: Project, view: str, host: PluginHost) -> Seen:
    recipe = project.views[view].recipe
    steps = load_preparation(folder, build_preparation(recipe, host))
    rules = load_rules(folder, recipe, host, ENSEMBLE, conditions_of(recipe, steps))
    return Seen(folder, rules, *_read_scores(folder.scores))


def _read_scores(path: Path) -> tuple[dict[str, float], dict[str, str]]:
    """The ensemble's score and the colour by image, as the run wrote them: nine digits hold a float32."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        scores = {line["image"]: float(np.float32(line[ENSEMBLE])) for line in lines}
        return scores, {line["image"]: line.get("colour", "") for line in lines}
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror})") from None
    except (KeyError, ValueError, UnicodeDecodeError):
        raise ArtifactError(f"{path}: damaged, expected a line per image with its scores") from None


def _scored(part: Part, assembly: Assembly, seen: Mapping[str, Seen]) -> ScoredPart:
    """A part as far as its images were tested; one that taught was in no view."""
    tested = {view: sample for view, sample in part.images.items() if sample.id in seen[view].scores}
    by_view = {view: seen[view].severity(sample) for view, sample in tested.items()}
    images = {view: _image(sample, seen[view], by_view[view]) for view, sample in tested.items()}
    return ScoredPart(part.name, part.defective, Severities(by_view, assembly.missing(part)), images)


def _image(sample: Sample, seen: Seen, severity: float) -> ScoredImage:
    return ScoredImage(
        id=sample.id,
        defect=sample.defect,
        defective=sample.defective,
        scores={ENSEMBLE: seen.scores[sample.id]},
        flagged=severity > 1,
        photograph=partial(read_photograph, sample.path),
        score_map=partial(_read_map, seen.folder.map(sample.id)),
        truth=partial(_truth, sample),
        view=sample.view,
        path=sample.path,
    )


def _read_map(path: Path) -> NDArray[np.float32]:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.array(picture, dtype=np.float32)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror or error})") from None


def _truth(sample: Sample) -> NDArray[np.bool_] | None:
    return FileSource([sample], size=(1, 1)).mask(0)


def part_metrics(parts: Sequence[ScoredPart], severities: Sequence[float]) -> dict[str, float]:
    """Metrics of parts with these severities; NaN where undefined. Parts without a label count nowhere."""
    labelled = [i for i, part in enumerate(parts) if part.defective is not None]
    if not labelled:
        return dict.fromkeys(
            ("part_auroc", "part_ap", "part_f1", "false_alarm_rate", "missed_rate"), float("nan")
        )
    labels = np.array([parts[i].defective for i in labelled], dtype=bool)
    scores = np.array([severities[i] for i in labelled])
    found = scores[labels] > 1
    return {
        "part_auroc": image_auroc(scores, labels),
        "part_ap": image_ap(scores, labels),
        "part_f1": image_f1(scores, labels, 1.0),
        "false_alarm_rate": false_alarm_rate(scores, labels, 1.0),
        "missed_rate": float(1 - found.mean()) if found.size else float("nan"),
    }


def content(parts: Sequence[ScoredPart], images: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What metrics.json holds; images: by view the metrics of its images.

    A part that lacks a view is neither found nor lost, so it counts in no metric.
    """
    whole = [part for part in parts if not part.severities.missing]
    views = {
        view: {
            "images": row,
            "parts": part_metrics(whole, [part.severities.by_view[view] for part in whole]),
        }
        for view, row in images.items()
    }
    return {
        "parts": part_metrics(whole, [part.severities.worst for part in whole]),
        "views": views,
        "counts": {
            "good": sum(part.defective is False for part in whole),
            "defective": sum(part.defective is True for part in whole),
            "unlabelled": sum(part.defective is None for part in whole),
            "lacking_a_view": len(parts) - len(whole),
        },
        "definitions": dict(DEFINITIONS),
    }


def _incomplete(parts: Sequence[ScoredPart]) -> tuple[str, ...]:
    torn = [part.id for part in parts if part.severities.missing]
    if not torn:
        return ()
    return (
        f"{counted(len(torn), 'tested part')} without an image of a view count in no metric: {named(torn)}",
    )


def parts_table(parts: Sequence[ScoredPart], views: Sequence[str]) -> str:
    """parts.csv: a line per part, with every view's severity and image; empty where a view is missing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    severities, images = ([f"{what} {view}" for view in views] for what in ("severity", "image"))
    writer.writerow(["part", "defective", "verdict", "severity", "flagged by", *severities, *images])
    for part in parts:
        seen = part.severities
        label = "" if part.defective is None else int(part.defective)
        by_view = [f"{seen.by_view[view]:.6g}" if view in seen.by_view else "" for view in views]
        ids = [part.images[view].id if view in part.images else "" for view in views]
        flagged_by = ";".join(seen.flagged_by)
        writer.writerow([part.id, label, seen.verdict.value, f"{seen.worst:.6g}", flagged_by, *by_view, *ids])
    return text.getvalue()

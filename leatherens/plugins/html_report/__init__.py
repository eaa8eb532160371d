"""The report of a run as one self-contained HTML page: no request, light and dark, printable.

The page is streamed: one image is read, drawn and written before the next, so that memory holds one image
whatever the size of the set.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import Field

from leatherens.core.artifact import without_nan, written_whole
from leatherens.core.params import Params
from leatherens.core.reporting import ProjectView, Reporter, RunView
from leatherens.plugins.html_report.choices import choices
from leatherens.plugins.html_report.colours import colour_scale
from leatherens.plugins.html_report.curves import curves, why_no_curves
from leatherens.plugins.html_report.explained import explained_figure
from leatherens.plugins.html_report.facts import facts
from leatherens.plugins.html_report.gallery import Studio, cards, chosen, close_calls, ranked
from leatherens.plugins.html_report.histogram import histogram
from leatherens.plugins.html_report.page_script import page_script
from leatherens.plugins.html_report.prepared import prepared_figures
from leatherens.plugins.html_report.project import PartStudio, project_content
from leatherens.plugins.html_report.ranking import ranking
from leatherens.plugins.html_report.table import (
    definitions,
    kinds_table,
    more_table,
    number,
    percent,
    scorers_table,
)
from leatherens.plugins.html_report.training import training_figures
from leatherens.plugins.html_report.verdict import mistakes, observed, outcome_rows, rate, tally


class HtmlReport(Reporter):
    """Verdict first, then the table, curves, histogram and every image sorted by score."""

    id: ClassVar[str] = "html"

    class Params(Params):
        """thumbnail: longest side in pixels; quality: JPEG, percent; gallery: most images shown.

        parts: most parts of a project shown with pictures; all of them stand in its table.
        """

        thumbnail: Annotated[int, Field(ge=64, le=1024)] = 320
        quality: Annotated[int, Field(ge=1, le=100)] = 80
        gallery: Annotated[int, Field(ge=1)] = 300  # about 15 MB; a page of thousands opens nowhere
        parts: Annotated[int, Field(ge=1)] = 40

    def write(self, run: RunView, folder: Path) -> Path:
        """Write `report.html` into a folder; needs a decision for "ensemble"."""
        path = folder / "report.html"
        page = _environment().get_template("page.html").stream(self._content(run))
        page.enable_buffering(64)
        with written_whole(path) as beside, beside.open("wb") as file:
            page.dump(file, encoding="utf-8")
        return path

    def write_project(self, project: ProjectView, folder: Path) -> Path:
        """Write `report.html` of a project; the pages of its views lie where its links say."""
        path = folder / "report.html"
        studio = PartStudio(self.params.thumbnail, self.params.quality)
        content = project_content(project, studio, self.params.parts)
        page = _environment().get_template("project.html").stream(content)
        page.enable_buffering(64)
        with written_whole(path) as beside, beside.open("wb") as file:
            page.dump(file, encoding="utf-8")
        return path

    def _content(self, run: RunView) -> dict[str, Any]:
        """Everything the page shows; the cards are made while it is written."""
        decision = run.decisions["ensemble"]
        images = ranked(run.images)
        shown = chosen(images, decision.image, self.params.gallery)
        scale = colour_scale(run.images, decision.pixel)
        counts = tally(run.images)
        drawn = histogram(run.images, decision.image)
        return {
            "run": run,
            "decision": decision,
            "tally": counts,
            "outcomes": outcome_rows(counts),
            "facts": facts(images, decision, scale, drawn),
            "script": page_script(),
            "mistakes": mistakes(images),
            "overlooked": rate(counts.missed, counts.defective),
            "ranking": ranking(run.images),
            "nearest": close_calls(shown, decision.image),
            "observed": observed(run.images, decision.promise),
            "table": scorers_table(run.metrics),
            "more": more_table(run.metrics),
            "kinds": kinds_table(run.metrics),
            "definitions": definitions(run.metrics),
            "curves": curves(run.images, run.decisions),
            "why_no_curves": why_no_curves(run.images),
            "histogram": drawn,
            "explained": explained_figure(run.explained),
            "training": training_figures(run.training),
            "prepared": prepared_figures(run.prepared(), self.params.thumbnail, self.params.quality),
            "scale": scale,
            "shown": len(shown),
            "choices": choices([image for _, image in shown]),
            "cards": cards(shown, Studio(scale, decision.pixel, self.params.thumbnail, self.params.quality)),
            "recipe": _yaml(run.recipe),
        }


def _environment() -> Environment:
    """Templates beside this file; whatever is put into them is escaped."""
    environment = Environment(
        loader=PackageLoader(__name__, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent}
    return environment


def _yaml(recipe: Mapping[str, Any]) -> str:
    return yaml.safe_dump(without_nan(recipe), sort_keys=False, allow_unicode=True)

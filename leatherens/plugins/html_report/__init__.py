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
from leatherens.core.comparison import ComparisonView
from leatherens.core.params import Params
from leatherens.core.reporting import ProjectView, Reporter, RunView
from leatherens.core.unfinished_view import UnfinishedView
from leatherens.plugins.html_report.by_type import strips
from leatherens.plugins.html_report.calibration_plot import calibration_plot
from leatherens.plugins.html_report.card import Studio, if_readable, room_for
from leatherens.plugins.html_report.choices import choices
from leatherens.plugins.html_report.colours import ColourScale, colour_scale, member_scales
from leatherens.plugins.html_report.comparison import Pages, comparison_content
from leatherens.plugins.html_report.cost_table import cost_table
from leatherens.plugins.html_report.curve_tables import curve_tables
from leatherens.plugins.html_report.curves import curves, why_no_curves
from leatherens.plugins.html_report.drop_one import drop_one_table
from leatherens.plugins.html_report.explained import explained_figure
from leatherens.plugins.html_report.explained_numbers import explained_numbers
from leatherens.plugins.html_report.facts import facts
from leatherens.plugins.html_report.gallery import cards, chosen, close_calls, ranked
from leatherens.plugins.html_report.histogram import histogram, histogram_numbers
from leatherens.plugins.html_report.level_maps import working_side
from leatherens.plugins.html_report.page_script import page_script
from leatherens.plugins.html_report.pixel_charts import pixel_charts
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
        disputed: most images shown on which runs side by side differ.
        """

        thumbnail: Annotated[int, Field(ge=64, le=1024)] = 320
        quality: Annotated[int, Field(ge=1, le=100)] = 80
        gallery: Annotated[int, Field(ge=1)] = 300  # about 15 MB; a page of thousands opens nowhere
        parts: Annotated[int, Field(ge=1)] = 40
        disputed: Annotated[int, Field(ge=1)] = 100

    def write(self, run: RunView, folder: Path) -> Path:
        """Write `report.html` into a folder; needs a decision for "ensemble"."""
        return _written(folder / "report.html", "page.html", self._content(run, folder))

    def write_project(self, project: ProjectView, folder: Path) -> Path:
        """Write `report.html` of a project; the pages of its views lie where its links say."""
        studio = PartStudio(self.params.thumbnail, self.params.quality)
        content = project_content(project, studio, self.params.parts)
        return _written(folder / "report.html", "project.html", content)

    def write_comparison(self, comparison: ComparisonView, folder: Path) -> Path:
        """Write `comparison.html` of several runs side by side."""
        pages = Pages(self.params.thumbnail, self.params.quality, self.params.disputed)
        return _written(folder / "comparison.html", "comparison.html", comparison_content(comparison, pages))

    def write_unfinished(self, run: UnfinishedView, folder: Path) -> Path:
        """Write `unfinished.html` of a run that was interrupted, beside whatever report there is."""
        content = {
            "run": run,
            "training": training_figures(run.training),
            "recipe": _yaml(run.recipe) if run.recipe else "",
        }
        return _written(folder / "unfinished.html", "unfinished.html", content)

    def _content(self, run: RunView, folder: Path) -> dict[str, Any]:
        """Everything the page shows; the cards are made while it is written."""
        decision = run.decisions["ensemble"]
        images = ranked(run.images)
        mapped = {image.id for image in run.images if if_readable(image.score_map)[0] is not None}
        pictured = [(rank, image) for rank, image in images if image.id in mapped]
        shown = chosen(pictured, decision.image, self.params.gallery)
        scale = colour_scale([image for image in run.images if image.id in mapped], decision.pixel)
        members = member_scales(run)
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
            "curve_numbers": curve_tables(run.images),
            "pixels": pixel_charts(run.details.curves),
            "why_no_curves": why_no_curves(run.images),
            "histogram": drawn,
            "histogram_numbers": drawn and histogram_numbers(drawn),
            "strips": strips(run.images, drawn),
            "calibration": calibration_plot(run.details.unusual, decision),
            "drop_one": drop_one_table(run.details.drop_one, run.metrics),
            "costs": cost_table(run.details.costs, run.metrics),
            "inspected": run.details.inspected,
            "explained": explained_figure(run.explained),
            "explained_numbers": explained_numbers(run.explained),
            "training": training_figures(run.training),
            "prepared": prepared_figures(run.prepared(), self.params.thumbnail, self.params.quality),
            "scale": scale,
            "shown": len(shown),
            "members": members,
            "choices": choices([image for _, image in shown], list(members)),
            "cards": cards(shown, self._studio(run, folder, scale, members, len(shown))),
            "recipe": _yaml(run.recipe),
        }

    def _studio(
        self, run: RunView, folder: Path, scale: ColourScale, members: Mapping[str, ColourScale], shown: int
    ) -> Studio:
        """What makes the pictures of each card, with room for so many cards."""
        return Studio(
            scale,
            run.decisions["ensemble"].pixel,
            self.params.thumbnail,
            self.params.quality,
            folder,
            members,
            detail=working_side(run.recipe),
            room=room_for(shown),
        )


def _written(path: Path, template: str, content: Mapping[str, Any]) -> Path:
    """A page written whole, as it is made."""
    page = _environment().get_template(template).stream(content)
    page.enable_buffering(64)
    with written_whole(path) as beside, beside.open("wb") as file:
        page.dump(file, encoding="utf-8")
    return path


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

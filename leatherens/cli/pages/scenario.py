"""The page of a scenario, and the page of all: when to use one, its recipe, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leatherens.configs.recipe_file import RecipeFile, read_recipe_file
from leatherens.configs.shown import recipe_text
from leatherens.core.host import PluginHost
from leatherens.core.scenario import About, Measured

COLUMNS = {
    "image_auroc": "image AUROC",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "au_pro": "AU-PRO",
    "iou": "IoU",
    "image_f1": "F1",
    "false_alarm_rate": "false alarms",
    "ms_per_image": "ms/image",
    "state_mb": "MB",
}
"""Metrics of a measured table and their titles."""

_INTRODUCTION = """A scenario is a [recipe](recipes.md) for a situation:
`leatherens run --config one-colour --data DIR`.
[`leatherens recommend`](recommend.md) picks one by your photographs. The advice of the theses (one colour:
DRAEM; several: STFPM; weak hardware: the SSIM autoencoder) is where these began; where something else was
measured to be better, it took the place. The tables have both.

All at quick effort on two CPU cores (x86-64), one thread a run, seed 0; splits and metrics as in
[results](results.md). **Members were chosen with these figures known, so that a scenario's own figures are
those of the best found, not of an untouched test**; one seed, small test sets: differences of a few
hundredths mean little. F1, IoU and false alarms are at the run's own threshold, which comes from good
images only. Milliseconds were taken beside other work and are upper bounds, to be compared within a table.
This page is made from the scenarios' files by `leatherens plugins docs`."""


def scenario_sections(id: str, host: PluginHost) -> Iterator[list[str]]:
    """What a scenario's page has below its title, as paragraphs of lines."""
    found = read_recipe_file(id, host)
    if found.about is not None:
        yield from _said(found.about)
    yield ["## The recipe"]
    yield ["```yaml", *recipe_text(found.content).splitlines(), "```"]
    shown = f"`leatherens config show {id} --resolved` writes every default out."
    yield [f"{shown} A recipe of your own that differs in little begins with `extends: {id}`."]
    if found.about is not None and found.about.measured:
        yield ["## Measured"]
        for measured in found.about.measured:
            yield from _measured(measured)


def overview_page(host: PluginHost) -> str:
    """The page of all scenarios: a table, then what each was measured at."""
    sections = [["# Scenarios"], [f"{_INTRODUCTION}"], *_overview(host)]
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _overview(host: PluginHost) -> Iterator[list[str]]:
    found = {id: read_recipe_file(id, host) for id in host.scenarios().ids()}
    yield ["| scenario | members | use it | avoid it | cost |", "|---|---|---|---|---|", *_rows(found)]
    for id, recipe in found.items():
        if recipe.about is not None and recipe.about.measured:
            yield [f"## {id}"]
            for measured in recipe.about.measured:
                yield from _measured(measured)


def _rows(found: dict[str, RecipeFile]) -> Iterator[str]:
    for id, recipe in found.items():
        about = recipe.about
        told = ("", "", "") if about is None else (about.use, about.avoid, about.cost)
        cells = (f"[`{id}`](plugins/scenario/{id}.md)", ", ".join(recipe.content.get("members", ())), *told)
        yield f"| {' | '.join(cells)} |"


def _said(about: About) -> Iterator[list[str]]:
    yield [f"{about.title}."]
    yield [f"- **Use it:** {about.use}", f"- **Avoid it:** {about.avoid}", f"- **Cost:** {about.cost}"]


def _measured(measured: Measured) -> Iterator[list[str]]:
    """One set: the command, and a table of the scenario and of what it is compared with."""
    rows = {"**this scenario**": measured.scores, **measured.against}
    shown = [key for key in COLUMNS if any(row.get(key) is not None for row in rows.values())]
    yield [f"On {measured.data}:"]
    yield ["```sh", *measured.command.strip().splitlines(), "```"]
    yield [
        f"| | {' | '.join(COLUMNS[key] for key in shown)} |",
        f"|---|{'---|' * len(shown)}",
        *(f"| {name} | {' | '.join(_cells(row, shown))} |" for name, row in rows.items()),
    ]


def _cells(row: dict[str, float | None], shown: Sequence[str]) -> Iterator[str]:
    for key in shown:
        value = row.get(key)
        yield "" if value is None else f"{value:.0f}" if key == "ms_per_image" else _number(key, value)


def _number(key: str, value: float) -> str:
    """Megabytes with one digit, shares with three."""
    return f"{value:.1f}" if key == "state_mb" else f"{value:.3f}"

"""The page of one plugin: what it is, from which paper, its options, what it can do, how it is used."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from leatherens.cli.kinds import typed
from leatherens.cli.pages.detector import abilities, feature_patterns, quick_changes
from leatherens.cli.pages.options import option_table
from leatherens.cli.pages.scenario import scenario_sections
from leatherens.core.host import PluginHost
from leatherens.core.registry import Entry, noun

USE = {
    "detectors": "leatherens run --members {id}",
    "fusion_blocks": "leatherens run --members padim,patchcore --block {id}",
    "heads": "leatherens run --members padim,patchcore --head {id}",
    "score_fusions": "leatherens run --members padim,patchcore --score-fusion {id}",
    "calibrators": "leatherens run --members padim --calibrator {id}",
    "thresholds": "leatherens run --members padim --threshold {id}",
    "readers": "leatherens run --members padim --data FOLDER --layout {id}",
    "preparations": "leatherens run --members padim --prepare {id}",
    "backbones": "leatherens run --members padim --set padim.backbone={id}",
    "reporters": "leatherens run --members padim",
    "scenarios": "leatherens run --config {id} --data FOLDER",
    "trackers": "leatherens run --members padim --track {id}",
}
"""One command that runs it, by kind."""

OPTION = {
    "fusion_blocks": "block",
    "heads": "head",
    "score_fusions": "score_fusion",
    "calibrators": "calibrator",
    "thresholds": "threshold",
}
"""What `--set` calls the part; members and steps go by their ids."""

MADE = "This page is made from the code by `leatherens plugins docs`."


def path_of(entry: Entry) -> PurePosixPath:
    """Where the page lies below the folder of all."""
    return PurePosixPath("plugins", typed(entry.kind), f"{entry.id}.md")


def plugin_page(host: PluginHost, entry: Entry) -> str:
    """The page of one thing that a plugin offers."""
    made: Any = host.registry(entry.kind).load(entry.qualified)
    sections = [
        [f"# {entry.id}"],
        [f"{_sentence(entry.summary)} A {noun(entry.kind)} of plugin {entry.plugin}. {MADE}"],
        ["```sh", USE[entry.kind].format(id=entry.id), "```"],
        *(scenario_sections(entry.qualified, host) if entry.kind == "scenarios" else _class(entry, made)),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _class(entry: Entry, made: Any) -> Iterator[list[str]]:
    """What is said of a class: its docstring, its options, and what only its kind has."""
    yield from _prose(made)
    yield from _options(entry, made)
    if entry.kind == "detectors":
        yield from _detector(made)
    if entry.kind == "readers":
        yield ["## What such a folder holds"]
        yield [f"{_sentence(made.shape)}"]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def _prose(made: type) -> Iterator[list[str]]:
    """The docstring of the class, then that of its module, or of a detector's own package."""
    yield [inspect.cleandoc(made.__doc__ or "")]
    package, _, name = made.__module__.rpartition(".")
    module = sys.modules[package if name == "detector" and package in sys.modules else made.__module__]
    if module.__doc__:
        yield [inspect.cleandoc(module.__doc__)]


def _options(entry: Entry, made: Any) -> Iterator[list[str]]:
    yield ["## Options"]
    table = option_table(made.Params) if hasattr(made, "Params") else []
    if not table:
        yield ["It has none."]
        return
    yield [_how(entry)]
    yield table


def _how(entry: Entry) -> str:
    if entry.kind == "readers":
        return "In a `layout.yaml` in the folder."
    if entry.kind == "reporters":
        return "Of the class; a run writes with the defaults."
    if entry.kind == "trackers":
        return f"`place` on the command line, `--track {entry.id}=PLACE`; the others keep their defaults."
    return f"`--set {OPTION.get(entry.kind, entry.id)}.KEY=VALUE`, or in a recipe."


def _detector(made: Any) -> Iterator[list[str]]:
    changes = quick_changes(made)
    if changes:
        said = ", ".join(f"`{name}={value}`" for name, value in changes.items())
        yield [f"The defaults are those of full effort. Quick effort, the default on a CPU, sets {said}."]
    yield ["## What it can do"]
    yield [f"- {sentence}" for sentence in abilities(made.capabilities)]
    yield ["## Feature maps"]
    patterns = ", ".join(f"`{pattern}`" for pattern in feature_patterns(made))
    yield [
        f"{patterns}; a star stands for one map per level. For fusion, `--features {made.id}=...` picks some."
    ]
    cut = ", ".join(f"`{pattern}`" for pattern in made.default_cut)
    yield [
        "Unless told otherwise, fusion takes all."
        if made.default_cut == ("*",)
        else f"Unless told otherwise, fusion takes {cut}."
    ]

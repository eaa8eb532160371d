"""What a recipe file says of plugins, checked against them: ids that are none, options they do not take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leatherens.configs.recipe_file import RecipeFile, read_recipe_file
from leatherens.core.errors import ConfigError, UnknownPlugin
from leatherens.core.host import PluginHost
from leatherens.core.params import parse_params
from leatherens.core.yaml_file import Keys

KINDS = {
    "block": "fusion_blocks",
    "head": "heads",
    "score_fusion": "score_fusions",
    "calibrator": "calibrators",
    "threshold": "thresholds",
    "pixel_threshold": "thresholds",
}
"""The kind of plugin that each part of a recipe is."""


@dataclass(frozen=True, slots=True)
class _Named:
    """A plugin that a recipe names: where, of which kind, with which options."""

    way: Keys
    kind: str
    id: str
    options: Mapping[str, Any]


def content_of(config: str | Path | None, host: PluginHost) -> Mapping[str, Any]:
    """What a scenario, a recipe file or a run says, for options to be laid over; nothing without a name."""
    if config is None:
        return {}
    found = read_recipe_file(config, host)
    require_parts(found, host)
    return found.content


def require_parts(found: RecipeFile, host: PluginHost) -> None:
    """Refuse a recipe file whose plugins there are not, or do not take what it says; each with its line."""
    sentences = [sentence for named in _named(found.content) for sentence in _wrong(named, found, host)]
    if sentences:
        raise ConfigError("\n".join(sentences))


def _named(content: Mapping[str, Any]) -> Iterator[_Named]:
    for id, said in (content.get("members") or {}).items():
        yield _Named(("members", id), "detectors", id, said.get("options", {}))
    for number, step in enumerate(content.get("preparation", ())):
        yield _Named(("preparation", str(number)), "preparations", step["id"], step.get("options", {}))
    for part, kind in KINDS.items():
        if part in content:
            yield _Named((part,), kind, content[part]["id"], content[part].get("options", {}))


def _wrong(named: _Named, found: RecipeFile, host: PluginHost) -> list[str]:
    """What is wrong with one plugin and its options."""
    try:
        made: Any = host.registry(named.kind).load(named.id)
    except UnknownPlugin as error:
        return [f"{found.where(named.way)}: {error}"]
    try:
        parse_params(
            made.Params,
            _with_required(made, named.options),
            owner=lambda way: f"{found.where((*named.way, 'options', *way))}: {named.id}",
        )
    except ConfigError as error:
        return str(error).split("\n")
    return []


def _with_required(made: Any, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """A detector's options over those of an effort: options may have to fit each other."""
    from leatherens.core.detector import Detector, Effort

    if isinstance(made, type) and issubclass(made, Detector):
        return {**made.params_for(Effort.quick).model_dump(mode="json"), **options}
    return options

"""Which trackers a run was asked to be logged with; kept beside it, so that it goes on with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leatherens.core.artifact import read_json, write_json
from leatherens.core.errors import ArtifactError, ConfigError
from leatherens.core.host import PluginHost
from leatherens.core.observers import require_hooks
from leatherens.core.tracking import Tracker


@dataclass(frozen=True, slots=True)
class Tracking:
    """Trackers by id with their options; none by default. They change nothing of what is learned."""

    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def trackers(self, host: PluginHost) -> list[Tracker]:
        """A new one of each; refused in words where one is not there, cannot work or is asked too much."""
        found = []
        for id, options in self.options.items():
            kind = host.trackers().load(id)
            require_hooks(kind)
            kind.require_needs()
            found.append(kind.from_options(options))
        return found

    def write(self, path: Path) -> None:
        """Write it, if there is any tracker."""
        if self.options:
            write_json(path, self.options)


def tracking_of(asked: str | Sequence[str], host: PluginHost) -> Tracking:
    """What `--track` asks for: ids, each perhaps with the place it writes to (`mlflow=DIR`).

    Raises what `Tracking.trackers` raises: before anything slow begins.
    """
    options: dict[str, dict[str, Any]] = {}
    for word in [asked] if isinstance(asked, str) else asked:
        id, equals, place = (part.strip() for part in word.partition("="))
        if equals and not place:
            raise ConfigError(f"--track {word}: expected a place behind =, as in {id}=DIR; or leave out =")
        if id in options:
            raise ConfigError(f"--track {id}: asked for twice")
        options[id] = {"place": place} if place else {}
    made = Tracking(options).trackers(host)
    stored = [tracker.params.model_dump(mode="json") for tracker in made]  # places as they are meant now
    return Tracking(dict(zip(options, stored, strict=True)))


def stored_tracking(path: Path) -> Tracking:
    """What `Tracking.write` wrote; none where there is no file."""
    if not path.exists():
        return Tracking()
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(value, dict) for value in content.values()):
        raise ArtifactError(f"{path}: damaged, expected trackers with their options; delete it to do without")
    return Tracking(content)

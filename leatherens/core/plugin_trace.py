"""Tells on stderr what plugins do, where LEATHERENS_TRACE_PLUGINS is set: for authors looking for a fault."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import pluggy

    from leatherens.core.registry import Entry


@dataclass(frozen=True, slots=True)
class Trace:
    """Where to write; `None` writes nothing."""

    stream: TextIO | None = None

    @classmethod
    def from_environment(cls) -> Trace:
        """On if LEATHERENS_TRACE_PLUGINS is set to anything but 0."""
        return cls(sys.stderr if os.environ.get("LEATHERENS_TRACE_PLUGINS", "0") not in ("", "0") else None)

    def watch(self, manager: pluggy.PluginManager) -> None:
        """Tell every hook call of a manager."""
        if self.stream is not None:
            manager.add_hookcall_monitoring(self._before, _after)

    def registration(self, entry: Entry) -> None:
        """Tell one registration."""
        self._say(f"  {entry.plugin} registers {entry.kind} '{entry.id}' -> {entry.target}")

    def failure(self, plugin: str, error: BaseException) -> None:
        """Tell why a plugin is broken, with the traceback that the list of plugins leaves out."""
        self._say(f"{plugin} is broken:\n{''.join(traceback.format_exception(error))}".rstrip())

    def _before(self, hook: str, implementations: Sequence[Any], arguments: Mapping[str, Any]) -> None:
        names = ", ".join(implementation.plugin_name for implementation in implementations)
        self._say(f"{hook}({', '.join(arguments)}) of {names or 'nobody'}")

    def _say(self, text: str) -> None:
        if self.stream is not None:
            self.stream.write(f"leatherens plugins: {text}\n")


def _after(outcome: Any, hook: str, implementations: Sequence[Any], arguments: Mapping[str, Any]) -> None:
    """Nothing to add: hooks of this kind return nothing."""

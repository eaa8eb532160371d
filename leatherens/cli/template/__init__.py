"""The package that `leatherens plugins new` writes: what things are called, and its files."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from leatherens.cli.kinds import typed
from leatherens.core.artifact import folder_written_whole
from leatherens.core.errors import ConfigError
from leatherens.core.registry import noun

PREFIX = "leatherens-"
_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

KINDS = {
    "detectors": (
        "colours that good images do not show",
        "`leatherens run --members {id}` learns with it alone; beside others: `--members {id},padim`.",
    ),
    "fusion_blocks": (
        "standardised features side by side",
        "`leatherens run --members padim,patchcore --block {id}` fuses with it.",
    ),
    "heads": (
        "deviations of single feature channels",
        "`leatherens run --members padim,patchcore --head {id}` scores the fused features with it.",
    ),
    "score_fusions": (
        "the median of the voters",
        "`leatherens run --members padim,patchcore --score-fusion {id}` fuses scores with it.",
    ),
    "calibrators": (
        "rank among held-out good images",
        "`leatherens run --members padim --calibrator {id}` calibrates with it.",
    ),
    "thresholds": (
        "median plus k robust deviations",
        "`leatherens run --members padim --threshold {id}` decides with it.",
    ),
    "readers": (
        "images named by what they are",
        "`leatherens run --members padim --data FOLDER` reads a folder of its layout.",
    ),
    "preparations": (
        "a brighter picture of dark leather",
        "`leatherens run --members padim --prepare {id}` prepares photographs with it.",
    ),
    "reporters": (
        "the verdict in Markdown",
        "Every run writes it beside its own report.",
    ),
    "trackers": (
        "a log of runs in JSON lines",
        "`leatherens run --members padim --track {id}` logs with it.",
    ),
}
"""By kind what the template does, and how it is used."""

FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "readme.md",
    ".gitignore": "gitignore",
    ".github/workflows/test.yml": "test.yml",
    "src/{module}/__init__.py": "init.py",
    "src/{module}/{file}.py": "kinds/{kind}.py",
    "tests/test_{file}.py": "test_part.py",
}
"""File of the package to its template."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a package for `id` of a kind (as hooks name it) calls its things.

    >>> names = Names("grain-flow", "score_fusions")
    >>> names.distribution, names.module, names.cls, names.file
    ('leatherens-grain-flow', 'leatherens_grain_flow', 'GrainFlow', 'score_fusion')
    """

    id: str
    registry: str

    @property
    def kind(self) -> str:
        """As it is typed."""
        return typed(self.registry)

    @property
    def distribution(self) -> str:
        """What pip calls it."""
        return f"{PREFIX}{self.id}"

    @property
    def module(self) -> str:
        """What Python imports."""
        return self.distribution.replace("-", "_")

    @property
    def cls(self) -> str:
        """The class."""
        return "".join(word.capitalize() for word in self.id.split("-"))

    @property
    def file(self) -> str:
        """The module of the class."""
        return self.kind.replace("-", "_")

    def said(self) -> dict[str, str]:
        """What templates may name."""
        summary, usage = KINDS[self.registry]
        names = ("id", "registry", "kind", "distribution", "module", "cls", "file")
        return {name: getattr(self, name) for name in names} | {
            "hook": f"register_{self.registry}",
            "noun": noun(self.registry),
            "summary": summary,
            "usage": usage.format(id=self.id),
        }


def named(id: str, registry: str) -> Names:
    """The names for an id, refused where it is none."""
    if not _ID.fullmatch(id):
        near = _nearest(id)
        hint = f"; did you mean '{near}'?" if _ID.fullmatch(near) else ""
        form = "lower-case letters and digits joined by -, as in 'grain-flow'"
        raise ConfigError(f"'{id}' is no id: {form}{hint}")
    if id.startswith(PREFIX):
        alone = id.removeprefix(PREFIX)
        raise ConfigError(f"give the id alone, '{alone}': the package is then called '{id}'")
    return Names(id, registry)


def _nearest(text: str) -> str:
    """What somebody may have meant.

    >>> _nearest("GrainFlow"), _nearest("grain_flow")
    ('grain-flow', 'grain-flow')
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text).lower()
    return re.sub(r"[^a-z0-9]+", "-", apart).strip("-0123456789")


def written(names: Names, out: Path) -> list[str]:
    """Write the package into a new folder, whole or not at all; its files, in order."""
    content = rendered(names)
    with folder_written_whole(out) as folder:
        for file, text in content.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return list(content)


def rendered(names: Names) -> dict[str, str]:
    """Text by file."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader(__name__, "files")
    environment = Environment(
        loader=loader, undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True
    )
    said = names.said()
    files = {
        file.format(**said): environment.get_template(f"{template.format(**said)}.jinja").render(said)
        for file, template in FILES.items()
    }
    part = files[f"src/{names.module}/{names.file}.py"]
    if names.cls in {"Params", *_imported(part)}:
        raise ConfigError(
            f"'{names.id}': the class would be called {names.cls}, a name that is taken; choose another"
        )
    return files


def _imported(source: str) -> set[str]:
    """The names that a module imports."""
    imports = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom))
    return {alias.asname or alias.name for node in imports for alias in node.names}

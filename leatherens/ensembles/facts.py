"""What a run wrote down when it began (run.json), and whether it is still the same run."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import Field

from leatherens.configs.recipe import PLACES, read_recipe_content
from leatherens.core.artifact import read_json
from leatherens.core.errors import ArtifactError
from leatherens.core.params import Params, parse_params
from leatherens.ensembles.data import DataChoice
from leatherens.ensembles.needs import Need

FORMAT = 1
"""Version of the run folder's layout as a run is made."""
CHANGED_FORMAT = 2
"""Of a run that was changed since: an older leatherens would judge by what is no longer in force."""

_NAMED_VERSIONS = (
    "leatherens",
    "torch",
    "timm",
    "numpy",
    "scikit-learn",
    "faiss-cpu",
    "opencv-python-headless",
)


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    found = {"python": platform.python_version()}
    for name in _NAMED_VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


class Facts(Params):
    """What a reader needs to trust or repeat a run.

    data_sentence: how the images were read. remarks: what a reader of the results must know.
    data_fingerprint, recipe_fingerprint: change with the images and masks, and with the recipe.
    backbones: by model, where the weights came from and their fingerprint.
    plugins: everything it uses, by the plugin that offered it; runs of the first version lack it.
    machine: where it began, in a few words; runs of older versions lack it.
    """

    name: str
    command: str
    data: DataChoice
    data_sentence: str
    data_fingerprint: str
    recipe_fingerprint: str
    remarks: tuple[str, ...] = ()
    backbones: dict[str, dict[str, str]] = Field(default_factory=dict)
    plugins: tuple[Need, ...] = ()
    machine: str = ""
    format: int = FORMAT
    versions: dict[str, str] = Field(default_factory=versions)


def read_facts(path: Path) -> Facts:
    """Read run.json; what is none, or of a newer version, is an `ArtifactError`."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise ArtifactError(f"{path}: damaged, expected keys and values, got {type(content).__name__}")
    made = content.get("format")
    if isinstance(made, int) and made > CHANGED_FORMAT:
        by = _made_by(content)
        raise ArtifactError(
            f"{path.parent}: written by leatherens {by} (format {made}), this one reads up to format "
            f"{CHANGED_FORMAT}; update leatherens"
        )
    return parse_params(Facts, content, owner=str(path))


def _made_by(content: dict[str, Any]) -> str:
    named = content.get("versions")
    return str(named.get("leatherens", "of a newer version")) if isinstance(named, dict) else "?"


def recipe_fingerprint(path: Path) -> str:
    """A name for what a recipe file says, less where to compute and where weights lie."""
    content = {key: value for key, value in read_recipe_content(path).items() if key not in PLACES}
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

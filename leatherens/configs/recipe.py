"""A recipe: everything that decides what a run does, as one validated value and one YAML file.

A recipe as a user writes it names what differs from the defaults; the resolved one, which each run
stores, writes every default out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from leatherens.core.artifact import write_text
from leatherens.core.errors import ArtifactError, ConfigError
from leatherens.core.params import Params, parse_params
from leatherens.core.photographs import MIN_SIDE
from leatherens.core.tiling import MOST_OVERLAP, OVERLAP

SIDE = 256
"""Images are brought to this height and width unless a recipe says otherwise."""

SHARES = (0.70, 0.15, 0.15)
"""Of the good images that teach: to fit, to validate, to calibrate (Soares et al., 2023)."""

LABELLED = 0.15
"""Of the labelled test images, what thresholds that need labels learn from by default (the same)."""

PLACES = ("device", "weights", "allow_download")
"""The keys of `Places`."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where to compute and where weights lie, which may change between two uses of one run.

    What is not said stays as it was.
    """

    device: str | None = None
    weights: tuple[str, ...] = ()
    allow_download: bool = False


NO_PLACES = Places()
"""All as it was."""


class Mode(str, Enum):
    """What is fused: calibrated scores, feature maps, or both (the head is then one more voter)."""

    score = "score"
    feature = "feature"
    hybrid = "hybrid"


class Calibration(Enum):
    """Who calibrates: a share of the good images (split), all that teach, in folds (cross), or as many do."""

    auto = "auto"
    split = "split"
    cross = "cross"


class Choice(Params):
    """One plugin by id, with its options."""

    id: str
    options: dict[str, Any] = Field(default_factory=dict)


class MemberChoice(Params):
    """A member's options, and the feature maps fusion takes from it (`None`: its default cut)."""

    options: dict[str, Any] = Field(default_factory=dict)
    features: tuple[str, ...] | None = None


def _sum_to_one(shares: tuple[float, float, float]) -> tuple[float, float, float]:
    if min(shares) <= 0 or not math.isclose(sum(shares), 1):
        raise ValueError("expected three positive numbers that sum to 1, such as 0.7, 0.15 and 0.15")
    return shares


Shares = Annotated[tuple[float, float, float], AfterValidator(_sum_to_one)]


class Recipe(Params):
    """What a run does. Ids name plugins.

    preparation: what happens to a photograph before it is brought to `size`, in this order.
    tile: height and width of the windows that photographs are looked at in, in pixels of the photograph, each
        brought to `size`; `None`: whole. overlap: share of a window's side that neighbours share in scoring.
    threshold: the rule for images and, unless `pixel_threshold` names another, for pixels.
    shares: of the good images that teach, to fit, to validate and to calibrate. labelled: share of the test
        images with a label that thresholds which need labels learn from, and that is not evaluated.
    calibration: which good images thresholds learn from; recipes that do not say it were written when there
        was nothing else than a share, and `leatherens run` asks for `auto`. folds: of `cross`, at most.
    """

    members: Annotated[dict[str, MemberChoice], Field(min_length=1)]
    effort: str = "auto"
    mode: Mode | None = None
    block: Choice = Choice(id="independent")
    head: Choice = Choice(id="memory-bank")
    score_fusion: Choice = Choice(id="weighted")
    preparation: tuple[Choice, ...] = ()
    calibrator: Choice = Choice(id="conformal")
    threshold: Choice = Choice(id="conformal")
    pixel_threshold: Choice | None = None
    calibration: Calibration = Calibration.split
    folds: Annotated[int, Field(ge=2)] = 5
    size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (SIDE, SIDE)
    tile: tuple[Annotated[int, Field(ge=MIN_SIDE)], Annotated[int, Field(ge=MIN_SIDE)]] | None = None
    overlap: Annotated[float, Field(ge=0, le=MOST_OVERLAP)] = OVERLAP
    shares: Shares = SHARES
    labelled: Annotated[float, Field(ge=0, lt=1)] = 0.0
    batch_size: Annotated[int, Field(ge=1)] = 8
    keep_every: Annotated[int, Field(ge=1)] | None = None
    """Steps between two checkpoints of each trained member that stay, to be compared."""
    seed: int = 0
    device: str = "auto"
    weights: tuple[str, ...] = ()
    allow_download: bool = False

    @property
    def places(self) -> Places:
        """Its places."""
        return Places(self.device, self.weights, self.allow_download)

    def at(self, places: Places) -> Recipe:
        """The same recipe at other places."""
        asked = {key: value for key in PLACES if (value := getattr(places, key))}
        return self.model_copy(update=asked)

    @property
    def fusion_mode(self) -> Mode:
        """The mode asked for; alone, a member is the technique itself, several are fused both ways."""
        if self.mode is not None:
            return self.mode
        return Mode.score if len(self.members) == 1 else Mode.hybrid


def read_recipe(path: Path) -> Recipe:
    """A recipe from a YAML file; a `ConfigError` names the file and every wrong key."""
    return parse_params(Recipe, read_recipe_content(path), owner=str(path))


def read_recipe_content(path: Path) -> Mapping[str, Any]:
    """What a recipe file says, not validated."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path}: missing; is this a run folder of leatherens?") from None
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path}: expected keys and values, got {type(content).__name__}")
    return content


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe as YAML, whole."""
    import yaml

    write_text(path, yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True))

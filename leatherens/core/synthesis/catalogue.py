"""The kinds of artificial anomaly by name, for commands and recipes; what they need is imported when made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from leatherens.core.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from leatherens.core.synthesis.kinds import AnomalyKind
    from leatherens.core.synthesis.textures import TextureSource


@dataclass(frozen=True, slots=True)
class Entry:
    """target: module and what makes the kind. summary: a line for lists. textured: takes textures.

    options: what it is made with, where its own defaults are not meant.
    """

    target: str
    summary: str
    textured: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def make(self, textures: TextureSource) -> AnomalyKind:
        """The kind, with these textures if it takes any."""
        module, _, name = self.target.partition(":")
        made = getattr(import_module(f"leatherens.core.synthesis.{module}"), name)
        taken = (textures,) if self.textured else ()
        kind: AnomalyKind = made(*taken, **self.options)
        return kind


def kind_named(id: str, textures: TextureSource | None = None) -> AnomalyKind:
    """The kind of this name, with an exact mask; textures: made on the spot where none are given."""
    if id not in KINDS:
        known = ", ".join(KINDS)
        raise ConfigError(f"no kind of anomaly '{id}'{did_you_mean(id, KINDS)} (kinds: {known})")
    from leatherens.core.synthesis.exact import Exact
    from leatherens.core.synthesis.patterns import ProceduralTextures

    return Exact(KINDS[id].make(ProceduralTextures() if textures is None else textures))


KINDS: Mapping[str, Entry] = {
    "overlay": Entry(
        "overlay:TextureOverlay",
        "a foreign texture through which the product may shine (DRAEM)",
        textured=True,
        options={"clean_share": 0.0},
    ),
    "textural": Entry(
        "textural:TexturalAnomaly", "a foreign texture in place of the product (CSE)", textured=True
    ),
    "structural": Entry(
        "structural:StructuralAnomaly", "the product itself, changed, cut up and shuffled (MemSeg, CSE)"
    ),
    "blur": Entry("blurred:BlurAnomaly", "the product out of focus (CSE)"),
    "cutout": Entry("cutout:CutOut", "a white rectangle (line clearance)"),
    "cutpaste": Entry("cutpaste:CutPaste", "a piece of the product in slightly other colours (CutPaste)"),
    "cutpaste-scar": Entry("cutpaste:CutPasteScar", "a thin, turned strip of the product (CutPaste)"),
    "gaussian-noise": Entry("gaussian_noise:GaussianNoise", "noise from pixel to pixel"),
    "simplex-noise": Entry("noise_patch:NoisePatch", "a rectangle of smooth, coloured noise (RD++)"),
    "mixed": Entry(
        "spoilt_images:mixed_anomalies", "four of these, small or faint (fusions and heads)", textured=True
    ),
}

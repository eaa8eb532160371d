"""The kinds of artificial anomaly by name, for commands and recipes; what they need is imported when made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leatherens.core.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from leatherens.core.synthesis.kinds import AnomalyKind
    from leatherens.core.synthesis.textures import TextureSource


@dataclass(frozen=True, slots=True)
class Entry:
    """summary: a line for lists. make: the kind. textured: whether it looks different with other textures."""

    summary: str
    make: Callable[[TextureSource], AnomalyKind]
    textured: bool = False


def kind_named(id: str, textures: TextureSource | None = None) -> AnomalyKind:
    """The kind of this name, with an exact mask; textures: made on the spot where none are given."""
    if id not in KINDS:
        known = ", ".join(KINDS)
        raise ConfigError(f"no kind of anomaly '{id}'{did_you_mean(id, KINDS)} (kinds: {known})")
    from leatherens.core.synthesis.exact import Exact
    from leatherens.core.synthesis.patterns import ProceduralTextures

    return Exact(KINDS[id].make(ProceduralTextures() if textures is None else textures))


def _overlay(textures: TextureSource) -> AnomalyKind:
    from leatherens.core.synthesis.overlay import TextureOverlay

    return TextureOverlay(textures, clean_share=0.0)


def _textural(textures: TextureSource) -> AnomalyKind:
    from leatherens.core.synthesis.textural import TexturalAnomaly

    return TexturalAnomaly(textures)


def _structural(textures: TextureSource) -> AnomalyKind:
    from leatherens.core.synthesis.structural import StructuralAnomaly

    return StructuralAnomaly()


def _blur(textures: TextureSource) -> AnomalyKind:
    from leatherens.core.synthesis.blurred import BlurAnomaly

    return BlurAnomaly()


def _cutout(textures: TextureSource) -> AnomalyKind:
    from leatherens.core.synthesis.cutout import CutOut

    return CutOut()


def _cutpaste(textures: TextureSource) -> AnomalyKind:
    from leatherens.core.synthesis.cutpaste import CutPaste

    return CutPaste()


def _cutpaste_scar(textures: TextureSource) -> AnomalyKind:
    from leatherens.core.synthesis.cutpaste import CutPasteScar

    return CutPasteScar()


def _gaussian_noise(textures: TextureSource) -> AnomalyKind:
    from leatherens.core.synthesis.gaussian_noise import GaussianNoise

    return GaussianNoise()


def _simplex_noise(textures: TextureSource) -> AnomalyKind:
    from leatherens.core.synthesis.noise_patch import NoisePatch

    return NoisePatch()


def _mixed(textures: TextureSource) -> AnomalyKind:
    from leatherens.core.synthesis.spoilt_images import mixed_anomalies

    return mixed_anomalies(textures)


KINDS: Mapping[str, Entry] = {
    "overlay": Entry("a foreign texture through which the product may shine (DRAEM)", _overlay, True),
    "textural": Entry("a foreign texture in place of the product (CSE)", _textural, True),
    "structural": Entry("the product itself, changed, cut up and shuffled (MemSeg, CSE)", _structural),
    "blur": Entry("the product out of focus (CSE)", _blur),
    "cutout": Entry("a white rectangle (line clearance)", _cutout),
    "cutpaste": Entry("a piece of the product in slightly other colours (CutPaste)", _cutpaste),
    "cutpaste-scar": Entry("a thin, turned strip of the product (CutPaste)", _cutpaste_scar),
    "gaussian-noise": Entry("noise from pixel to pixel", _gaussian_noise),
    "simplex-noise": Entry("a rectangle of smooth, coloured noise (RD++)", _simplex_noise),
    "mixed": Entry("four of these, small or faint (fusions and heads)", _mixed, True),
}

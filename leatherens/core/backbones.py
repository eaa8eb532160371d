"""Frozen pretrained feature pyramids: asked for by members, run once per batch for all of them.

A member asks with a `BackboneRequest`. The `BackbonePool` merges the requests for one (model,
weights), finds the weights, and hands every member its levels. Preprocessing (mean, std) travels
with the weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from leatherens.core.errors import ConfigError, InputError
from leatherens.core.feature_cache import FeatureCache
from leatherens.core.geometry import thinned
from leatherens.core.memory import ran_out, saying_what_fits
from leatherens.core.pyramid_models import image_by_image, normalise, untrained_pyramid
from leatherens.core.randomness import seeded_construction
from leatherens.core.types import FeatureMaps, ImageBatch
from leatherens.core.weights import DEFAULT_MODEL, WeightFinder, fingerprint, load_tensors


@dataclass(frozen=True, slots=True, order=True)
class BackboneRequest:
    """A timm model, the pyramid levels wanted, and where the weights come from.

    layers: indices into timm's `features_only` levels (0 is the finest). For the ResNets 1, 2, 3
        are layer1 to layer3; for most models level i has stride 2^(i+1).
    weights: "pretrained", or "random" where untrained features are really meant.
    stages: count `layers` in stages of an EfficientNet (0 follows the stem), of which several share a stride
        and a level is the last: stages 5 and 6 of EfficientNet-B5 have 304 and 512 channels at stride 32.
    shrink: show the model every so manieth pixel of every so manieth row only.
    """

    model: str = DEFAULT_MODEL
    layers: tuple[int, ...] = (1, 2, 3)
    weights: str = "pretrained"
    stages: bool = False
    shrink: int = 1

    def __post_init__(self) -> None:
        rising = tuple(sorted({layer for layer in self.layers if layer >= 0}))
        if not self.layers or self.layers != rising:
            wanted = "expected rising level numbers such as (1, 2, 3)"
            raise ConfigError(f"{self.model}: {wanted}, got {self.layers}")

    @property
    def source(self) -> _Source:
        """What has to be loaded for it."""
        return self.model, self.weights, self.stages


_Source = tuple[str, str, bool]
"""Model, weights, and whether its stages are asked for rather than its levels."""


@dataclass(frozen=True, slots=True)
class PyramidSpec:
    """What a request delivers: channels and strides per level, and the weights' preprocessing.

    Strides are in pixels of the image, not of the shrunken one.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    origin: str
    fingerprint: str

    def normalise(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) in 0..1 to what the weights were trained on."""
        return normalise(pixels, self.mean, self.std)


class Pyramids(Mapping[BackboneRequest, FeatureMaps]):
    """The feature pyramids of one batch, by request."""

    def __init__(self, maps: Mapping[BackboneRequest, FeatureMaps]) -> None:
        self._maps = dict(maps)

    def __getitem__(self, request: BackboneRequest) -> FeatureMaps:
        return self._maps[request]

    def __iter__(self) -> Any:
        return iter(self._maps)

    def __len__(self) -> int:
        return len(self._maps)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One frozen model in the pool with the levels it was built for.

    identity: names model and weights in caches; for pretrained ones whatever levels it was built for.
    """

    module: nn.Module
    layers: tuple[int, ...]
    spec: PyramidSpec
    identity: str


class BackbonePool:
    """Runs each distinct (model, weights) once per batch, whatever the number of members.

    `finder` knows where pretrained weights are; `cache` keeps pyramids by image content while
    members learn, so that k members and many epochs pay for one pass.
    """

    def __init__(
        self, finder: WeightFinder, *, device: str = "cpu", cache: FeatureCache | None = None
    ) -> None:
        self._finder = finder
        self.device = device
        self._cache = cache
        self._loaded: dict[_Source, _Loaded] = {}

    def prepare(self, requests: Iterable[BackboneRequest]) -> None:
        """Load what these requests need, the levels of equal models merged, so that nothing loads twice."""
        wanted: dict[_Source, set[int]] = {}
        for request in requests:
            wanted.setdefault(request.source, set()).update(request.layers)
        for source, layers in sorted(wanted.items()):
            have = self._loaded.get(source)
            if have is None or not layers <= set(have.layers):
                union = tuple(sorted(layers | set(have.layers if have else ())))
                self._loaded[source] = self._load(source, union)

    def loaded(self) -> dict[str, dict[str, str]]:
        """Where each model's weights came from, and their fingerprint, for the record."""
        return {
            model: {"weights": weights, "origin": loaded.spec.origin, "fingerprint": loaded.spec.fingerprint}
            for (model, weights, _), loaded in sorted(self._loaded.items())
        }

    def parameters(self) -> int:
        """How many numbers the loaded models hold together."""
        return sum(self.sizes().values())

    def sizes(self) -> dict[str, int]:
        """How many numbers, four bytes each, every loaded model holds."""
        found: dict[str, int] = {}
        for (model, _, _), loaded in self._loaded.items():
            numbers = sum(parameter.numel() for parameter in loaded.module.parameters())
            found[model] = found.get(model, 0) + numbers
        return found

    def spec(self, request: BackboneRequest) -> PyramidSpec:
        """Channels, strides and preprocessing of a request, levels in its order."""
        loaded = self._of(request)
        at = [loaded.layers.index(layer) for layer in request.layers]
        whole = loaded.spec
        return PyramidSpec(
            channels=tuple(whole.channels[i] for i in at),
            strides=tuple(whole.strides[i] * request.shrink for i in at),
            mean=whole.mean,
            std=whole.std,
            origin=whole.origin,
            fingerprint=whole.fingerprint,
        )

    def pyramids(
        self, batch: ImageBatch, requests: Iterable[BackboneRequest], *, keep: bool = False
    ) -> Pyramids:
        """The pyramids of a batch, one forward pass per distinct (model, weights) and size of the image.

        keep: remember each image's pyramid by its content (only worth it while learning).
        """
        requests = tuple(dict.fromkeys(requests))
        self.prepare(requests)
        models = ", ".join(sorted({request.model for request in requests}))
        with saying_what_fits(models, "passing", batch=len(batch), size=batch.size):
            return self._pyramids(batch, requests, keep)

    def _pyramids(self, batch: ImageBatch, requests: Sequence[BackboneRequest], keep: bool) -> Pyramids:
        levels: dict[tuple[_Source, int], dict[int, Tensor]] = {}
        for request in requests:
            key = (request.source, request.shrink)
            if key not in levels:
                pixels = thinned(batch.pixels, request.shrink)
                levels[key] = self._levels(self._loaded[request.source], pixels, keep)
        return Pyramids({r: _select(r, levels[r.source, r.shrink]) for r in requests})

    def copy_into(self, student: nn.Module, request: BackboneRequest) -> None:
        """Give an untrained pyramid of this request the pool's weights: a student starts as its teacher."""
        weights = self._of(request).module.state_dict()
        student.load_state_dict({name: weights[name] for name in student.state_dict()})

    def _of(self, request: BackboneRequest) -> _Loaded:
        self.prepare([request])
        return self._loaded[request.source]

    def _levels(self, loaded: _Loaded, pixels: Tensor, keep: bool) -> dict[int, Tensor]:
        if self._cache is None or not keep:
            maps = self._forward(loaded, pixels)
        else:
            names = [f"{loaded.identity}/{layer}/{_computed_by()}" for layer in loaded.layers]
            maps = self._cache.levels(pixels, names, lambda new: self._forward(loaded, new))
        return dict(zip(loaded.layers, maps, strict=True))

    def _forward(self, loaded: _Loaded, pixels: Tensor) -> tuple[Tensor, ...]:
        plain = pixels.to(self.device).contiguous()  # sums come in an order that the memory's decides
        return image_by_image(lambda some: self._run(loaded, some), plain)

    def _run(self, loaded: _Loaded, pixels: Tensor) -> tuple[Tensor, ...]:
        try:
            with torch.no_grad():  # not inference_mode: its tensors could not stand in a loss
                maps = loaded.module(loaded.spec.normalise(pixels))
        except (AssertionError, RuntimeError) as error:  # how timm's models refuse a size
            if ran_out(error):
                raise
            raise InputError(_size_refused(loaded.module, pixels, error)) from None
        return tuple(m.float() for m in maps)

    def _load(self, source: _Source, layers: tuple[int, ...]) -> _Loaded:
        model, weights, stages = source
        with seeded_construction(0, "backbone", model):  # "random" weights are the same everywhere
            module: Any = untrained_pyramid(model, layers, stages=stages)
        origin = "random weights"
        given = fingerprint(module.state_dict()) if weights == "random" else ""
        if weights != "random":
            found = self._finder.find(model, weights)
            load_tensors(module, found, model)
            origin, given = found.origin, fingerprint(found.tensors)
        module = module.eval().requires_grad_(False).to(self.device)
        config = _config(module)
        spec = PyramidSpec(
            channels=tuple(module.feature_info.channels()),
            strides=tuple(module.feature_info.reduction()),
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
            origin=origin,
            fingerprint=fingerprint(module.state_dict()),
        )
        identity = f"{model}/{'stages' if stages else 'levels'}/{given}"
        return _Loaded(module, layers, spec, identity)


def _computed_by() -> str:
    """What may change the last digits of a feature: libraries, processor, and how sums are shared out."""
    import timm

    processor, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return f"torch {torch.__version__}, timm {timm.__version__}, {processor}, {threads} threads"


def _size_refused(module: Any, pixels: Tensor, error: Exception) -> str:
    config = _config(module)
    size, made_for = (
        " x ".join(str(side) for side in sides[-2:]) for sides in (pixels.shape, config["input_size"])
    )
    return (
        f"{config['architecture']}: cannot read images of {size} ({str(error).rstrip('.')}); it was made for "
        f"{made_for}: choose that size or another backbone"
    )


def _config(module: Any) -> dict[str, Any]:
    """What timm knows of a pretrained model: its preprocessing, its size, its name."""
    found: dict[str, Any] = module.pretrained_cfg if hasattr(module, "pretrained_cfg") else module.default_cfg
    return found


def _select(request: BackboneRequest, levels: Mapping[int, Tensor]) -> FeatureMaps:
    return FeatureMaps(
        tuple(levels[layer] for layer in request.layers),
        tuple(f"{request.model}/{'stage' if request.stages else 'level'}{i}" for i in request.layers),
    )

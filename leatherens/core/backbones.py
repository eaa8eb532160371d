"""Frozen pretrained feature pyramids: asked for by members, run once per batch for all of them.

A member asks with a `BackboneRequest`. The `BackbonePool` merges the requests for one (model,
weights), finds the weights, and hands every member its levels. Preprocessing (mean, std) travels
with the weights.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from leatherens.core.errors import ConfigError, InputError, did_you_mean
from leatherens.core.geometry import thinned
from leatherens.core.randomness import seeded_construction
from leatherens.core.stages import stages_of
from leatherens.core.types import FeatureMaps, ImageBatch
from leatherens.core.weights import DEFAULT_MODEL, WeightFinder, load_tensors


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


def normalise(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(B, 3, H, W): (pixels - mean) / std per channel."""
    centre = torch.tensor(mean, device=pixels.device, dtype=pixels.dtype).view(1, 3, 1, 1)
    spread = torch.tensor(std, device=pixels.device, dtype=pixels.dtype).view(1, 3, 1, 1)
    return (pixels - centre) / spread


def untrained_pyramid(model: str, layers: Sequence[int], *, stages: bool = False) -> nn.Module:
    """A timm model that returns these feature levels, with fresh weights and nothing above the last level.

    stages: these stages of an EfficientNet, rather.

    Call it under `randomness.seeded_construction`: timm draws from the global generator.
    """
    import timm

    known = [*timm.list_models(), *timm.list_models(pretrained=True)]  # without and with the weights' tag
    if model not in known:
        near = did_you_mean(model, known)
        raise ConfigError(f"timm has no model '{model}'{near or '; see timm.list_models()'}")
    try:
        wanted = {} if stages else {"out_indices": tuple(layers)}
        pyramid: Any = timm.create_model(model, pretrained=False, features_only=True, **wanted)
    except (RuntimeError, AssertionError, AttributeError, IndexError, ValueError) as error:
        levels = _levels(model)
        raise ConfigError(f"{model}: cannot give levels {tuple(layers)} of {levels} ({error})") from None
    if stages:
        return stages_of(pyramid, model, layers)
    _drop_unused_blocks(pyramid)
    if str(getattr(pyramid, "output_fmt", "NCHW")).endswith("NHWC"):
        pyramid.register_forward_hook(_channels_first)
    return pyramid  # type: ignore[no-any-return]


def _channels_first(module: nn.Module, images: Any, maps: Sequence[Tensor]) -> list[Tensor]:
    """(B, H, W, C) to (B, C, H, W), for the models (Swin, MambaOut) that keep channels last."""
    return [m.permute(0, 3, 1, 2).contiguous() for m in maps]


def _levels(model: str) -> str:
    import timm

    try:
        whole: Any = timm.create_model(model, pretrained=False, features_only=True)
    except (RuntimeError, AttributeError):
        return "none: it has no feature pyramid"
    return f"0..{len(whole.feature_info.info) - 1}"


def _drop_unused_blocks(pyramid: Any) -> None:
    """timm's EfficientNets keep and run the stages above the last level; a student must not carry them."""
    last = pyramid.feature_info.module_name()[-1].split(".")
    if last[0] == "blocks" and len(last) > 1 and isinstance(getattr(pyramid, "blocks", None), nn.Sequential):
        del pyramid.blocks[int(last[1]) + 1 :]


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
    """One frozen model in the pool with the levels it was built for."""

    module: nn.Module
    layers: tuple[int, ...]
    spec: PyramidSpec


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
            name = f"{loaded.spec.fingerprint}/{loaded.layers}"
            maps = self._cache.pyramid(pixels, name, lambda new: self._forward(loaded, new))
        return dict(zip(loaded.layers, maps, strict=True))

    def _forward(self, loaded: _Loaded, pixels: Tensor) -> tuple[Tensor, ...]:
        try:
            with torch.no_grad():  # not inference_mode: its tensors could not stand in a loss
                maps = loaded.module(loaded.spec.normalise(pixels.to(self.device)))
        except torch.OutOfMemoryError:
            raise
        except (AssertionError, RuntimeError) as error:  # how timm's models refuse a size
            raise InputError(_size_refused(loaded.module, pixels, error)) from None
        return tuple(m.float() for m in maps)

    def _load(self, source: _Source, layers: tuple[int, ...]) -> _Loaded:
        model, weights, stages = source
        with seeded_construction(0, "backbone", model):  # "random" weights are the same everywhere
            module: Any = untrained_pyramid(model, layers, stages=stages)
        origin = "random weights"
        if weights != "random":
            found = self._finder.find(model, weights)
            load_tensors(module, found, model)
            origin = found.origin
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
        return _Loaded(module, layers, spec)


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


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Sixteen hex digits that change with any tensor's name, shape or value."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(tensors):
        digest.update(f"{name}{tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class FeatureCache:
    """Pyramids by image content, in memory, the oldest dropped beyond `limit_mb`."""

    def __init__(self, limit_mb: int = 2048) -> None:
        self._limit = limit_mb * 2**20
        self._used = 0
        self._kept: OrderedDict[tuple[bytes, str], tuple[Tensor, ...]] = OrderedDict()

    def pyramid(self, pixels: Tensor, name: str, compute: Any) -> tuple[Tensor, ...]:
        """(B, 3, H, W) to its maps; images not seen before go through `compute` in one batch."""
        keys = [
            (hashlib.blake2b(image.cpu().contiguous().numpy().tobytes(), digest_size=16).digest(), name)
            for image in pixels
        ]
        rows = {key: self._kept[key] for key in keys if key in self._kept}
        new = [i for i, key in enumerate(keys) if key not in rows]
        if new:
            maps = compute(pixels[new])
            for row, i in enumerate(new):
                rows[keys[i]] = tuple(m[row].clone() for m in maps)
                self._remember(keys[i], rows[keys[i]])
        levels = zip(*(rows[key] for key in keys), strict=True)
        return tuple(torch.stack(level) for level in levels)

    def _remember(self, key: tuple[bytes, str], maps: tuple[Tensor, ...]) -> None:
        if key in self._kept:  # the same image twice in one batch
            return
        self._kept[key] = maps
        self._used += sum(m.nbytes for m in maps)
        while self._used > self._limit and self._kept:
            _, dropped = self._kept.popitem(last=False)
            self._used -= sum(m.nbytes for m in dropped)

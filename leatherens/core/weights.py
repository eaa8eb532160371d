"""Where pretrained weights come from: given path, installed packages, hub cache, hub, in this order.

Nothing downloads by surprise, and random weights never stand in for pretrained ones.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from leatherens.core.errors import WeightsError
from leatherens.core.strangers import blaming

WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")

DEFAULT_MODEL = "tf_efficientnet_lite0"
"""The backbone that works offline out of the box: its weights are an ordinary dependency."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's pretrained tensors and where they came from."""

    tensors: Mapping[str, Tensor]
    origin: str


class Backbone(ABC):
    """Plugin kind `backbones`: a timm model whose weights an installed package brings along."""

    id: ClassVar[str]
    """The timm model's name."""

    @abstractmethod
    def weights(self) -> Weights | None:
        """The weights under timm's names, or `None` when the package is not installed."""


class WeightFinder:
    """Where pretrained weights come from, in order: given path, installed packages, hub cache, hub.

    paths: files and folders of files called `MODEL.safetensors`, `MODEL.pth`, `MODEL-anything.pth` and so on.
    packages: the `backbones` plugins, by model name.
    allow_download: whether the hub may be asked; nothing downloads by surprise.
    """

    def __init__(
        self,
        *,
        paths: Sequence[Path] = (),
        packages: Mapping[str, Backbone] | None = None,
        allow_download: bool = False,
    ) -> None:
        self._paths = tuple(paths)
        self._packages = packages or {}
        self._allow_download = allow_download

    def find(self, model: str, weights: str = "pretrained") -> Weights:
        """The weights of a timm model, or a `WeightsError` that lists where it looked."""
        given = self._paths if weights == "pretrained" else (Path(weights),)
        looked: list[str] = []
        if weights != "pretrained" and Path(weights).is_file():  # meant for this model, whatever its name
            return read_weights(Path(weights))
        for path in given:
            file = _file_for(path, model)
            looked.append(f"{path}: {'found' if file else 'nothing for this model'}")
            if file:
                return read_weights(file)
        if weights != "pretrained":
            raise WeightsError(f"no weights for {model} in {weights}")
        return self._installed(model, looked)

    def _installed(self, model: str, looked: list[str]) -> Weights:
        with blaming(f"backbone '{model}'", "while it looked for its weights"):
            found = self._packages[model].weights() if model in self._packages else None
        if found is not None:
            return found
        looked.append(f"installed weight packages: {', '.join(sorted(self._packages)) or 'none'}")
        hub = _hub_id(model)
        cached = _cached(hub)
        if cached:
            return read_weights(cached)
        looked.append(f"local hub cache: {hub or 'this model has no hub entry'} is not there")
        if self._allow_download and hub:
            return _download(model, hub, looked)
        raise WeightsError(_no_weights(model, looked))


def _no_weights(model: str, looked: Sequence[str]) -> str:
    places = "".join(f"\n  - {place}" for place in looked)
    installed = model == DEFAULT_MODEL
    last = "reinstall leatherens" if installed else f"take the backbone that is always there, {DEFAULT_MODEL}"
    return (
        f"no pretrained weights for '{model}'. Looked at:{places}\n"
        f"Three ways out: give a file or folder with --weights (or LEATHERENS_WEIGHTS); allow the hub with "
        f"--allow-download; or {last}."
    )


def _file_for(path: Path, model: str) -> Path | None:
    """The weights of `model` at a path: the folder's file of that name, or the file itself."""
    if path.is_dir():
        return _best_named(sorted(path.iterdir()), model)
    if not path.exists():
        raise WeightsError(f"{path}: no such weights file or folder")
    return _best_named([path], model)


def _best_named(files: Sequence[Path], model: str) -> Path | None:
    """The file called like the model, with its tag or without, or else one that begins so.

    `resnet18-f37072fd.pth` is for resnet18, and `wide_resnet50_2.pth` not for resnet50.
    """
    plain = model.split(".", maxsplit=1)[0]
    exact = [name + suffix for name in (model, plain) for suffix in WEIGHT_SUFFIXES]
    begun = [f"{model}[._-]*{suffix}" for suffix in WEIGHT_SUFFIXES]
    begun += [f"{plain}[_-]*{suffix}" for suffix in WEIGHT_SUFFIXES]
    return next((file for pattern in exact + begun for file in files if fnmatch(file.name, pattern)), None)


def read_weights(file: Path) -> Weights:
    """A .safetensors file, or a torch file of plain tensors (never unpickled as objects)."""
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            loaded: Any = load_file(file)
        else:
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - every loader has its own; the file is named whatever it was
        raise WeightsError(f"{file}: cannot be read as weights ({type(error).__name__}: {error})") from None
    tensors = (
        {n: t for n, t in loaded.items() if isinstance(t, Tensor)} if isinstance(loaded, Mapping) else {}
    )
    if not tensors:
        raise WeightsError(f"{file}: expected named tensors (a state_dict), got {_contents(loaded)}")
    return Weights(tensors, str(file))


def _contents(loaded: Any) -> str:
    keys = ", ".join(str(key) for key in loaded) if isinstance(loaded, Mapping) else ""
    return f"a {type(loaded).__name__}" + (f" of {keys}" if keys else "")


def _hub_id(model: str) -> str:
    import timm

    config = timm.get_pretrained_cfg(model)
    return (config.hf_hub_id or "") if config else ""


def _cached(hub: str) -> Path | None:
    if not hub:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(hub, "model.safetensors")
    return Path(found) if isinstance(found, str) else None


def _download(model: str, hub: str, looked: list[str]) -> Weights:
    from huggingface_hub import hf_hub_download

    try:
        return read_weights(Path(hf_hub_download(hub, "model.safetensors")))
    except WeightsError:
        raise
    except Exception as error:  # noqa: BLE001 - the hub client raises a dozen kinds; each means "not to be had now"
        looked.append(f"the hub: {hub} could not be fetched ({type(error).__name__}); is there a network?")
        raise WeightsError(_no_weights(model, looked)) from None


def load_tensors(module: nn.Module, found: Weights, model: str) -> None:
    """Fill a pyramid; the classifier may be missing or extra, everything else must fit."""
    wanted = module.state_dict()
    given_by_name = {_flat(name): tensor for name, tensor in found.tensors.items()}
    flat = {name: given_by_name[_flat(name)] for name in wanted if _flat(name) in given_by_name}
    missing = [n for n in wanted if n not in flat and not n.endswith("num_batches_tracked")]
    if missing:
        raise WeightsError(
            f"{found.origin}: no weights for {model}: '{missing[0]}' and {len(missing) - 1} more are missing"
        )
    for name, tensor in wanted.items():
        given = flat.get(name, tensor)
        if given.shape != tensor.shape:
            shapes = f"{tuple(tensor.shape)}, got {tuple(given.shape)}"
            raise WeightsError(f"{found.origin}: not the weights of {model}: '{name}' should be {shapes}")
        if given.is_floating_point() and not bool(given.isfinite().all()):
            raise WeightsError(f"{found.origin}: '{name}' holds NaN or infinite values; the file is damaged")
    module.load_state_dict({name: flat.get(name, tensor) for name, tensor in wanted.items()})


def _flat(name: str) -> str:
    """A tensor's name as it is in the whole model and in timm's `features_only` wrappers alike.

    >>> _flat("stages.0.conv.weight") == _flat("stages_0.conv.weight") == _flat("model.stages.0.conv.weight")
    True
    """
    return name.removeprefix("model.").replace(".", "_")


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Sixteen hex digits that change with any tensor's name, shape or value."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(tensors):
        digest.update(f"{name}{tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()

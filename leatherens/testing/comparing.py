"""How two results are compared: when they are the same, which part is larger, what changed in an object."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from leatherens.core.types import FeatureMaps, Observation, ScoreMap

SPREAD_SHARE = 1e-3
ROUNDING = 1e-5
"""Two results are the same when they differ by less than a thousandth of the range of the values, or by
what float32 sums in another order differ by."""


def tolerance(values: Tensor) -> float:
    """How far two results may be apart and still be the same.

    >>> tolerance(torch.tensor([0.0, 2.0]))
    0.002
    """
    spread = float(values.max() - values.min())
    return max(SPREAD_SHARE * spread, ROUNDING * float(values.abs().max()))


def pairs(first: Observation, second: Observation) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The named tensors of two observations, side by side, on the CPU."""
    yield "score map", first.scores.pixels.cpu(), second.scores.pixels.cpu()
    yield "image score", first.scores.image.cpu(), second.scores.image.cpu()
    for name, one, other in zip(first.features.names, first.features.maps, second.features.maps, strict=True):
        yield name, one.cpu(), other.cpu()
    if first.reconstruction is not None and second.reconstruction is not None:
        yield "reconstruction", first.reconstruction.cpu(), second.reconstruction.cpu()


def same(first: Observation, second: Observation) -> bool:
    """Whether two observations agree up to rounding."""
    return all(
        one.shape == other.shape and float((one - other).abs().max()) <= tolerance(one)
        for _, one, other in pairs(first, second)
    )


def pick(seen: Observation, rows: list[int]) -> Observation:
    """The observation of some images of a batch."""
    features = FeatureMaps(tuple(m[rows] for m in seen.features.maps), seen.features.names)
    scores = ScoreMap(seen.scores.pixels[rows], seen.scores.image[rows])
    return Observation(features, scores, None if seen.reconstruction is None else seen.reconstruction[rows])


def joined(seen: list[Observation]) -> Observation:
    """Observations of several batches as one."""
    maps = zip(*(s.features.maps for s in seen), strict=True)
    features = FeatureMaps(tuple(torch.cat(level) for level in maps), seen[0].features.names)
    scores = ScoreMap(torch.cat([s.scores.pixels for s in seen]), torch.cat([s.scores.image for s in seen]))
    shown = [s.reconstruction for s in seen if s.reconstruction is not None]
    return Observation(features, scores, torch.cat(shown) if shown else None)


def separation(high: Tensor, low: Tensor) -> float:
    """Probability that one of `high` (n,) exceeds one of `low` (m,), ties counting half: the AUROC.

    >>> separation(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 2.0]))
    0.875
    """
    above = (high[:, None] > low).double().mean()
    return float(above + 0.5 * (high[:, None] == low).double().mean())


def tensors_in(value: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor reachable from a value through containers and modules, with its path."""
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, nn.Module):
        for name, tensor in [*value.named_parameters(), *value.named_buffers()]:
            yield f"{path}.{name}", tensor
        for name, module in value.named_modules():
            plain = {k: v for k, v in vars(module).items() if not k.startswith("_")}
            yield from tensors_in(plain, f"{path}.{name}" if name else path)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from tensors_in(part, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple | set):
        for i, part in enumerate(value):
            yield from tensors_in(part, f"{path}[{i}]")


def snapshot(member: object) -> dict[str, str]:
    """An object's attributes, comparable: tensors by content, modules by mode, plain values by repr."""
    attributes = vars(member)
    seen = {path: _digest(tensor) for path, tensor in tensors_in(attributes)}
    for name, value in attributes.items():
        if isinstance(value, nn.Module):
            seen |= {f"{name}.{path} mode": _mode(module) for path, module in value.named_modules()}
        elif not isinstance(value, Tensor):
            seen[name] = _plain(value)
    return seen


def _digest(tensor: Tensor) -> str:
    content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return f"{tuple(tensor.shape)} {tensor.dtype} {hashlib.blake2b(content, digest_size=16).hexdigest()}"


def _mode(module: nn.Module) -> str:
    return "training" if module.training else "eval"


def _plain(value: Any) -> str:
    """Plain values by repr, containers by content, other objects by type: their repr may be an address."""
    if isinstance(value, Mapping):
        return str({str(key): _plain(part) for key, part in value.items()})
    if isinstance(value, list | tuple | set):
        return str([_plain(part) for part in value])
    return repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__

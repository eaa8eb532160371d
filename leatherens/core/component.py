"""What every replaceable part shares: an id, options, learned things, and a state without pickle.

The constructor stores options and nothing else. What is learned lives in attributes whose names
end in `_`: tensors, JSON values, or torch modules that `_build` can make again from the options and
the JSON values. From that convention follow "fitted", `state`, `from_state`, `to` and `repr`.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor, nn
from typing_extensions import Self

from leatherens.core.errors import ArtifactError, NotFittedError
from leatherens.core.params import Params, parse_params

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
State: TypeAlias = Mapping[str, "Tensor | JsonValue"]


class Component(ABC):
    """Base of detectors, fusion blocks, heads, score fusions, calibrators and thresholds."""

    id: ClassVar[str]

    class Params(Params):
        """No options."""

    check_options: ClassVar[Mapping[str, Any]] = {}
    """Options with which the conformance kit makes one, where the defaults learn too long or say nothing."""

    def __init__(self, params: Any = None) -> None:
        self.params: Any = self.Params() if params is None else params

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Made from plain options, as a recipe holds them; a wrong one is a `ConfigError`."""
        return cls(parse_params(cls.Params, options, owner=cls.id))

    def __repr__(self) -> str:
        options = ", ".join(f"{key}={value!r}" for key, value in self.params)
        return f"{type(self).__name__}({options})"

    @property
    def fitted(self) -> bool:
        """Whether anything was learned."""
        return bool(self._learned())

    def require_fitted(self, call: str) -> None:
        """Raise unless fitted, naming the call."""
        if not self.fitted:
            raise NotFittedError(
                f"{self.id}: {call} was called before fit; call fit first or load a fitted run"
            )

    def forget(self) -> None:
        """Drop everything learned."""
        for name in self._learned():
            delattr(self, name)

    @contextmanager
    def as_it_was_on_failure(self) -> Iterator[None]:
        """Put back what was learned if the block raises, Ctrl-C included; it must not write into tensors."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    def to(self, device: torch.device | str) -> Self:
        """Move what was learned to a device."""
        for name, value in self._learned().items():
            if isinstance(value, Tensor | nn.Module):
                setattr(self, name, value.to(device))
        return self

    def state(self) -> State:
        """What was learned, flat: tensors and JSON values, a module's tensors under `name.key`."""
        self.require_fitted("state")
        flat: dict[str, Any] = {}
        for name, value in self._learned().items():
            if isinstance(value, nn.Module):
                flat |= {f"{name}.{key}": t.detach().cpu() for key, t in value.state_dict().items()}
            else:
                flat[name] = value.detach().cpu() if isinstance(value, Tensor) else value
        return flat

    @classmethod
    def from_state(cls, params: Any, state: State) -> Self:
        """The fitted component that gave this state."""
        cls._require_whole(state)
        component = cls(params)
        for name, value in state.items():
            if "." not in name:
                setattr(component, name, value)
        component._build()
        component._load_modules(state)
        return component

    @classmethod
    def _require_whole(cls, state: State) -> None:
        """Refuse a state without something learned that the class itself declares."""
        declared = [name for name in vars(cls).get("__annotations__", {}) if name.endswith("_")]
        for name in declared:
            if name not in state and not any(key.startswith(f"{name}.") for key in state):
                raise ArtifactError(
                    f"{cls.id}: the stored state lacks {name}; it is damaged, or of another version"
                )

    def _build(self) -> None:  # noqa: B027 - most components hold no modules
        """Make the modules (attributes ending in `_`) that `state` will be loaded into."""

    def _learned(self) -> dict[str, Any]:
        return {n: v for n, v in vars(self).items() if n.endswith("_") and not n.startswith("_")}

    def _load_modules(self, state: State) -> None:
        for name, module in self._learned().items():
            if isinstance(module, nn.Module):
                prefix = f"{name}."
                tensors = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
                misfit = _misfit(module, tensors)
                if misfit:
                    raise ArtifactError(
                        f"{self.id}: the stored state does not fit {name}: {misfit}; it is damaged, or of "
                        "other options"
                    )
                module.load_state_dict(tensors)
                module.eval()


def _misfit(module: nn.Module, tensors: Mapping[str, Any]) -> str:
    """Why stored tensors are not a module's; empty when they are."""
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in tensors]
    extra = [name for name in tensors if name not in wanted]
    if missing or extra:
        first = f"'{missing[0]}' is missing" if missing else f"'{extra[0]}' is not known"
        return f"{first} ({len(missing)} missing and {len(extra)} unknown tensors)"
    for name, tensor in wanted.items():
        if tensor.shape != tensors[name].shape:
            return f"'{name}' should be {tuple(tensor.shape)}, got {tuple(tensors[name].shape)}"
    return ""
